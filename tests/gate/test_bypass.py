"""An operator on a closed gate: links, cookies, addresses, headers, and the one node they reach."""
import hashlib
import hmac
import http.client
import os
import time

import pytest

import wire
from client import Ahead, Load, WebSocket, request, status
from wait import wait_for

RUN = 7


def token(key, run=RUN, ttl=600):
    """Made by hand, so that the gate is held against the description and not against our own code."""
    text = f"1.{run}.{int(time.time()) + ttl}."
    return text + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def close(coordinator, key=b"", node="", shut=0, run=RUN, **more):
    coordinator.ask(wire.CLOSED, run=run, bypass={"key": key, "node": node, "shut": shut}, **more)


def cookie(value):
    return {"Cookie": f"a=b; fermata_bypass={value}; c=d"}


@pytest.fixture
def key():
    return os.urandom(32)


def test_link_sets_the_cookie_and_the_cookie_passes(gate, coordinator, backends, key):
    close(coordinator, key, "app2")
    secret = token(key)
    answer = request(gate.port, f"/fermata-bypass/{secret}")
    assert answer.status == 303 and answer.getheader("Location") == "/"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("Cache-Control") == "no-store"
    parts = answer.getheader("Set-Cookie").split("; ")
    assert parts[0] == f"fermata_bypass={secret}"
    assert 595 <= int(parts[1].removeprefix("Max-Age=")) <= 600
    assert parts[2:] == ["Path=/", "HttpOnly", "SameSite=Lax"]
    for path in ("/", "/admin", "/api/x"):
        answer = request(gate.port, path, **cookie(secret))
        assert answer.status == 200 and answer.getheader("X-Node") == "app2"
        assert request(gate.port, path).status == 503
    assert backends.total() == 3


def test_link_leads_where_it_says(gate, coordinator, key):
    close(coordinator, key)
    secret = token(key)
    for path, to in (("/admin/x?a=b%20c", "/admin/x?a=b%20c"), ("//evil.example/", "/"),
                     ("/\\evil.example", "/"), ("?x", "/"), ("/", "/")):
        answer = request(gate.port, f"/fermata-bypass/{secret}{path}")
        assert (answer.status, answer.getheader("Location")) == (303, to), path
    assert request(gate.port, f"/fermata-bypass/{secret}", method="POST", body=b"x").status == 405


def test_cookie_is_secure_behind_tls(gate, coordinator, key):
    close(coordinator, key)
    answer = request(gate.port, f"/fermata-bypass/{token(key)}", X_Forwarded_Proto="https")
    assert answer.getheader("Set-Cookie").endswith("; Secure")


def test_secrets_stay_out_of_logs_and_application(gate, coordinator, backends, key):
    close(coordinator, key)
    secret = token(key)
    digits = secret[-64:]
    request(gate.port, f"/fermata-bypass/{secret}/admin?x=1")
    request(gate.port, f"/fermata%2Dbypass/{secret}/admin?x=1")
    request(gate.port, f"/fermata-bypass/{secret[:-1]}x")
    request(gate.port, "/with-cookie", **cookie(secret))
    wait_for(lambda: "with-cookie" in (gate.prefix / "access.log").read_text(), 5)
    for name in ("access.log", "error.log"):
        text = (gate.prefix / name).read_text()
        assert digits[:63] not in text and key.hex() not in text, name
    assert "GET /fermata-bypass/***" in (gate.prefix / "access.log").read_text()
    heads = [head for node in backends.nodes.values() for head in node.heads]
    assert len(heads) == 1 and digits not in heads[0] and "a=b" in heads[0]


def test_wrong_links_are_refused(gate, coordinator, backends, key):
    close(coordinator, key)
    good = token(key)
    other = token(os.urandom(32))
    for bad, why in ((other, "not a link"), (good[:-1] + ("0" if good[-1] != "0" else "1"), "not a"),
                     (good + "0", "not a"), (good[:-1], "not a"), ("", "not a"), ("1.7.x", "not a"),
                     (token(key, run=6), "another run"), (token(key, run=8), "another run"),
                     (token(key, ttl=-1), "run out"), (token(key, ttl=0), "run out"),
                     (good.replace("1.", "2.", 1), "not a"), (good.upper(), "not a")):
        if bad == good.upper() == good:
            continue
        answer = request(gate.port, f"/fermata-bypass/{bad}")
        assert answer.status == 403 and why in answer.text, (bad, answer.text)
        assert answer.getheader("Set-Cookie") is None
        assert request(gate.port, "/x", **cookie(bad)).status == 503, bad
    assert backends.total() == 0


def test_cookie_runs_out(gate, coordinator, key):
    close(coordinator, key)
    secret = token(key, ttl=3)
    assert request(gate.port, "/x", **cookie(secret)).status == 200
    wait_for(lambda: request(gate.port, "/x", **cookie(secret)).status == 503, 20, "its end")


def test_key_rotates_with_the_run_and_ends_with_it(gate, coordinator, key):
    close(coordinator, key)
    secret = token(key)
    assert request(gate.port, "/x", **cookie(secret)).status == 200
    close(coordinator, os.urandom(32), run=RUN + 1)
    assert request(gate.port, "/x", **cookie(secret)).status == 503
    assert request(gate.port, f"/fermata-bypass/{secret}").status == 403
    close(coordinator, b"")
    assert request(gate.port, "/x", **cookie(token(bytes(32)))).status == 503
    coordinator.ask(wire.OPEN, run=RUN + 1)
    answer = request(gate.port, f"/fermata-bypass/{secret}")
    assert answer.status == 403 and "another run" in answer.text


def test_open_gate_gives_the_cookie_no_meaning(open_gate, coordinator, key):
    coordinator.ask(wire.OPEN, run=RUN, drained=["app1", "app2"], bypass={"key": key,
                                                                          "node": "app1"})
    answer = request(open_gate.port, "/x", **cookie(token(key)))
    assert answer.getheader("X-Node") == "app3"
    assert request(open_gate.port, f"/fermata-bypass/{token(key)}").status == 303
    coordinator.ask(wire.PINNED, run=RUN, pinned="app2", bypass={"key": key, "node": "app1"})
    answer = request(open_gate.port, "/x", **cookie(token(key)))
    assert answer.getheader("X-Node") == "app2"


def test_key_survives_reload_and_restart(gate, coordinator, key):
    close(coordinator, key, "app3")
    secret = token(key)
    gate.reload()
    assert request(gate.port, "/x", **cookie(secret)).getheader("X-Node") == "app3"
    coordinator.close()
    gate.stop()
    gate.start()
    assert request(gate.port, "/x", **cookie(secret)).getheader("X-Node") == "app3"
    assert (gate.prefix / "state" / "state").stat().st_mode & 0o777 == 0o600


def test_only_the_kept_node_is_reached(make_gate, coordinator, backends, key):
    """Also when it is away: the page, and never another node."""
    gate = make_gate(workers=1).start()
    coordinator.wait_up()
    close(coordinator, key, "app1")
    backends.stop_listening("app1")
    for _ in range(6):
        answer = request(gate.port, "/x", **cookie(token(key)))
        assert answer.status == 503 and "right back" in answer.text
    assert backends.total() == 0
    close(coordinator, key, "nobody-here-is-called-so")
    assert request(gate.port, "/x", **cookie(token(key))).status == 503
    close(coordinator, key, "app2", drained=["app2"])
    assert request(gate.port, "/x", **cookie(token(key))).status == 503
    close(coordinator, key, "")
    got = {request(gate.port, "/x", **cookie(token(key))).getheader("X-Node") for _ in range(8)}
    assert got == {"app2", "app3"}


def test_others_are_not_pinned_with_the_operator(make_gate, coordinator, backends, key):
    """What the gate is off for (health, assets) may use every node."""
    gate = make_gate(workers=1).start()
    coordinator.wait_up()
    close(coordinator, key, "app1")
    assert {request(gate.port, "/health").getheader("X-Node") for _ in range(9)} == {
        "app1", "app2", "app3"}
    close(coordinator, key, "app1", shut=1)
    assert {request(gate.port, "/health").getheader("X-Node") for _ in range(9)} == {
        "app1", "app2", "app3"}


def test_shut_stops_operators_too(make_gate, coordinator, key):
    gate = make_gate(server="fermata_bypass_address 127.0.0.0/8;").start()
    coordinator.wait_up()
    close(coordinator, key)
    assert request(gate.port).status == 200
    close(coordinator, key, shut=1)
    assert request(gate.port, **cookie(token(key))).status == 503
    assert request(gate.port, Cookie="fermata=1").status == 503
    # a link may be opened beforehand
    assert request(gate.port, f"/fermata-bypass/{token(key)}").status == 303


def test_operators_are_counted_apart_and_end_when_shut(open_gate, coordinator, backends, key):
    """Nobody waits for them, until nobody may pass: then they end like all others."""
    secret = cookie(token(key))
    close(coordinator, key, "app1")
    socket = WebSocket(open_gate.port, **secret)
    assert socket.status == 101 and socket.node == "app1" and socket.echo()
    slow = Ahead(open_gate.port, "/hold/1", **secret)
    wait_for(lambda: status(open_gate.port)["bypassed"] == 2, 5, "both to be counted")
    coordinator.wait_report(lambda r: r["bypassed"] == 2 and r["in_flight"] == 0
                            and r["websockets"] == 0)
    close(coordinator, key, "app1", message="other words")
    assert socket.echo()
    voice, _ = coordinator.send_ask(wire.CLOSED, run=RUN, cut_after_ms=600,
                                    bypass={"key": key, "shut": 1})
    coordinator.wait_force(voice)
    assert socket.closed_at()
    assert coordinator.live()[-1].last["in_flight"] == 1
    coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["websockets"] == 0
                            and r["bypassed"] == 0)
    assert slow.done().answer.status == 503
    assert status(open_gate.port)["bypassed"] == 0


def test_operators_move_with_the_node(open_gate, coordinator, key):
    secret = cookie(token(key))
    close(coordinator, key, "app1")
    socket = WebSocket(open_gate.port, **secret)
    assert socket.echo()
    close(coordinator, key, "app2")
    assert socket.closed_at()
    again = WebSocket(open_gate.port, **secret)
    assert again.status == 101 and again.node == "app2"


def test_operators_stay_when_the_gate_opens(open_gate, coordinator, backends, key):
    close(coordinator, key, "app1")
    socket = WebSocket(open_gate.port, **cookie(token(key)))
    slow = Ahead(open_gate.port, "/hold/1", **cookie(token(key)))
    wait_for(lambda: status(open_gate.port)["bypassed"] == 2, 5)
    coordinator.ask(wire.OPEN)
    assert socket.echo()
    backends.release("app1", "/hold/1")
    assert slow.done().answer.status == 200
    socket.close()
    wait_for(lambda: status(open_gate.port)["bypassed"] == 0
             and status(open_gate.port)["in_flight"] == 0, 5)


def test_by_address_and_header(make_gate, coordinator):
    gate = make_gate(server="fermata_bypass_address 192.0.2.0/24 ::1;"
                            "fermata_bypass_header X-Operator 0123456789abcdef;"
                            "location /mine/ { fermata_bypass_address 127.0.0.1;"
                            " proxy_pass http://app; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    assert request(gate.port).status == 503
    assert request(gate.port, "/mine/").status == 200
    assert request(gate.port, x_operator="0123456789abcdef").status == 200
    for wrong in ("0123456789abcdeF", "0123456789abcdef0", "", "0123456789abcde"):
        assert request(gate.port, X_Operator=wrong).status == 503
    assert request(gate.port, Cookie="fermata=1").status == 200


def test_faults_in_directives(make_gate):
    for line, fault in (("fermata_bypass_address here;", "invalid address"),
                        ("fermata_bypass_header X short;", "at least 16"),
                        ("fermata_bypass_header X;", "invalid number of arguments")):
        gate = make_gate(server=line)
        done = gate.run("-t")
        assert done.returncode == 1 and fault in done.stderr, done.stderr
        (gate.prefix / "error.log").write_text("")


def test_operators_under_load_are_the_only_ones(open_gate, coordinator, backends, key):
    """Flips under load: on a closed and drained gate nothing but the operator reaches a node."""
    load = Load(open_gate.port, clients=6)
    secret = cookie(token(key))
    try:
        for i in range(6):
            close(coordinator, key, "app2")
            proved = coordinator.wait_report(lambda r: r["mode"] == wire.CLOSED
                                             and r["in_flight"] == 0)
            conn = http.client.HTTPConnection("127.0.0.1", open_gate.port, timeout=20)
            for n in range(20):
                conn.request("GET", f"/operator/{i}/{n}", headers=secret)
                answer = conn.getresponse()
                answer.read()
                assert answer.status == 200 and answer.getheader("X-Node") == "app2"
            conn.close()
            assert {r[1][2].split("/")[1] for r in backends.since(proved)} == {"operator"}
            coordinator.ask(wire.OPEN)
    finally:
        load.stop()
    assert set(load.statuses()) <= {200, 503} and load.faults == []
