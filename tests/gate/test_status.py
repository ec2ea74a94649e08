"""The status location: JSON, and metrics that Prometheus reads; both, and the manual, say the same."""
import json
import re

import wire
from client import request
from gate import ROOT

LINE = re.compile(r'^(\w+)(?:\{(\w+)="([^"\\\n]*)"\})? (\d+)$')


def metrics(port):
    answer = request(port, "/metrics")
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    kinds, helps, values = {}, {}, {}
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, text = line.split(" ", 3)
            assert name not in helps
            helps[name] = text
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            kinds[name] = kind
        else:
            name, _, label, value = LINE.match(line).groups()
            assert name in kinds and (name, label) not in values
            values[name, label] = int(value)
    assert set(kinds) == set(helps) == {name for name, _ in values}
    return kinds, helps, values


def test_metrics_are_the_status(make_gate, coordinator):
    gate = make_gate(server="location = /metrics { fermata_status prometheus; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app2", drained=["app3"], run=12, back_at=1700000000,
                    message='"\n\\')
    assert [request(gate.port, f"/{i}").getheader("X-Node") for i in range(3)] == ["app2"] * 3
    kinds, _, values = metrics(gate.port)
    seen = json.loads(request(gate.port, "/status").text)
    assert {m for (n, m), v in values.items() if n == "fermata_mode" and v} == {seen["mode"]}
    for (name, label), value in values.items():
        key = name.removeprefix("fermata_")
        if kinds[name] == "counter":
            key = key.removesuffix("_total")
        if key.startswith("node_"):
            node = next(n for n in seen["nodes"] if n["name"] == label)
            assert node[key.removeprefix("node_")] == value
        elif key != "mode":
            assert seen[key] == value, key
    assert values["fermata_passed_total", None] == 3 and kinds["fermata_passed_total"] == "counter"
    assert values["fermata_run", None] == 12 and values["fermata_workers", None] == 4
    assert values["fermata_node_allowed", "app2"] == 1
    assert values["fermata_node_allowed", "app3"] == 0
    assert request(gate.port, "/metrics", "POST").status == 405
    head = request(gate.port, "/metrics", "HEAD")
    assert head.status == 200 and head.text == ""


def test_metrics_are_in_the_manual(make_gate, coordinator):
    gate = make_gate(server="location = /metrics { fermata_status prometheus; }").start()
    _, helps, _ = metrics(gate.port)
    manual = (ROOT / "docs" / "fermata-gate.7.scd").read_text()
    told = dict(re.findall(r"^\|[\[ ] \*(fermata_\w+)\*\n:[\[ ] (.+)$", manual, re.M))
    assert told == helps


def test_config(make_gate):
    for args, fault in (("yaml", "neither"), ("json; fermata_status prometheus", "duplicate")):
        gate = make_gate(server=f"location = /m {{ fermata_status {args}; }}")
        done = gate.run("-t")
        assert done.returncode == 1 and fault in done.stderr
        (gate.prefix / "error.log").write_text("")


def test_variables(make_gate, coordinator):
    names = "run back_at message step retry_after epoch seq mode bypassed".split()
    gate = make_gate(server="add_header X-Said '%s' always;"
                     % "|".join(f"$fermata_{n}" for n in names)).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, run=12, back_at=1700000000, message="m & é", step="s", epoch=7,
                    seq=9)
    answer = request(gate.port)
    said = answer.getheader("X-Said").encode("latin-1").decode().split("|")
    assert said == ["12", "1700000000", "m & é", "s", answer.getheader("Retry-After"), "7", "9",
                    "closed", "0"]
    coordinator.ask(wire.OPEN, epoch=7, seq=10)
    said = request(gate.port).getheader("X-Said").split("|")
    assert said[:4] == ["0", "0", "", ""] and said[7] == "open"
