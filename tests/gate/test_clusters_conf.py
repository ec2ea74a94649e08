"""What may be said of several clusters in one configuration, and what is refused and how."""
import os

import pytest

SIMPLE = "fermata_zone {0}:256k; fermata_state state-{0}; fermata_coordinator 127.0.0.1:{1};"


def config(*lines, server="fermata on;"):
    return "\n".join(lines) + f"\nserver {{ listen 127.0.0.1:{{port}}; {server} location / {{ root html; }} }}"


def block(name, more="", port=1):
    return f"fermata_cluster {name} {{ {SIMPLE.format(name, port)} {more} }}"


BAD = {
    "two of one name": (config(block("a"), block("a")), "is there twice"),
    "that of http{}": (config(block("default")), "that of the directives in http{}"),
    "no name": (config(block("on")), "invalid name of a cluster"),
    "one zone": (config(block("a"), "fermata_cluster b { fermata_zone a:256k; fermata_state b; }"),
                 'zone "a" is that of cluster "a"'),
    "one folder": (config(block("a"), "fermata_cluster b { fermata_zone b:256k; fermata_state state-a; }"),
                   "the same path name"),
    "one gate": (config(block("a", port=7), block("b", port=7)), 'are both gate "gate1" at coordinator 127.0.0.1:7'),
    "no zone": (config("fermata_cluster a { fermata_state a; }"), 'cluster "a" needs "fermata_zone"'),
    "no folder": (config("fermata_cluster a { fermata_zone a:256k; }"), 'that of cluster "a" is missing'),
    "other directives": (config(block("a", "server { }")), '"server" directive is not allowed here'),
    "in a server": (config(block("a"), server=block("b")), '"fermata_cluster" directive is not allowed here'),
    "none of that name": (config(block("a"), server="fermata b;"), 'there is no cluster "b"'),
    "which of two": (config(block("a"), block("b", port=2)), 'of 2 clusters one is to be named, such as "fermata a"'),
    "status of which": (config(block("a"), block("b", port=2), server="location /s { fermata_status; }"),
                        'such as "fermata_status cluster=a"'),
    "nodes of which": (config(block("a"), block("b", port=2), "upstream u { server 127.0.0.1:9; "
                              "fermata_nodes x=127.0.0.1:9; }", server="fermata a;"), 'such as "fermata_nodes cluster=a"'),
    "nodes of none": (config(block("a"), "upstream u { server 127.0.0.1:9; fermata_nodes cluster=b x=127.0.0.1:9; }"),
                      'there is no cluster "b"'),
    "nodes of two": (config(block("a"), "upstream u { server 127.0.0.1:9; fermata_nodes cluster=a cluster=b "
                            "x=127.0.0.1:9; }"), "names two clusters for one upstream"),
    "status of another": (config(block("a"), block("b", port=2), server="location /s { fermata a; "
                                 "fermata_status cluster=b; }"), 'names another cluster than "fermata"'),
    "no gate": (config(), 'the gate needs "fermata_zone"'),
}

GOOD = {
    "the only one": config(block("a")),
    "node of that name": config(block("a"), "upstream u { server 127.0.0.1:9; fermata_nodes cluster=127.0.0.1:9; }"),
    "another gate of one coordinator": config(
        block("a", port=7), "fermata_cluster b { fermata_zone b:256k; fermata_state b; "
                            "fermata_coordinator 127.0.0.1:7 name=gate2; }", server="fermata a;"),
    "from a file": config("fermata_cluster a { include a.conf; }"),
    "off here": config(block("a"), block("b", port=2), server="fermata off;"),
    "inherited": config(block("a"), block("b", port=2), server="fermata b; location /x { fermata off; "
                        "location /x/y { fermata on; } }"),
}


def check(make_gate, text):
    gate = make_gate()
    (gate.prefix / "a.conf").write_text(SIMPLE.format("a", 1))
    head = (gate.prefix / "nginx.conf").read_text().split("http {")[0]
    (gate.prefix / "nginx.conf").write_text(f"{head} http {{ {text.replace('{port}', str(gate.port))} }}")
    done = gate.run("-t")
    (gate.prefix / "error.log").write_text("")
    return done


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(make_gate, what):
    text, fault = BAD[what]
    done = check(make_gate, text)
    assert done.returncode == 1 and fault in done.stderr, done.stderr
    assert "nginx.conf:" in done.stderr


@pytest.mark.parametrize("what", GOOD)
def test_what_is_not(make_gate, what):
    done = check(make_gate, GOOD[what])
    assert done.returncode == 0, done.stderr


def test_one_folder_by_another_name(make_gate):
    gate = make_gate()
    (gate.prefix / "real").mkdir()
    os.symlink("real", gate.prefix / "link")
    gate.configure(http="fermata_cluster a { fermata_zone a:256k; fermata_state real; }"
                        "fermata_cluster b { fermata_zone b:256k; fermata_state link; }")
    done = gate.run("-t")
    assert done.returncode == 1 and "are the same folder" in done.stderr
    (gate.prefix / "error.log").write_text("")
