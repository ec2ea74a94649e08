"""The gate before anything, and its plain flips."""
import http.client
import json
import time

import pytest

import wire
from client import request, status
from wait import wait_for


def test_closed_without_state(gate, backends):
    assert request(gate.port).status == 503
    assert request(gate.port, "/api/x").status == 503
    assert request(gate.port, "/assets/a.js").text == "asset\n"
    assert backends.total() == 0
    assert status(gate.port)["mode"] == "closed"


def test_open_default(make_gate, backends):
    gate = make_gate(default="fermata_default open;", coordinators=[]).start()
    assert request(gate.port).status == 200


def test_open_passes(open_gate, backends):
    nodes = {request(open_gate.port, f"/{i}").getheader("X-Node") for i in range(12)}
    assert nodes == {"app1", "app2", "app3"}
    seen = status(open_gate.port)
    assert seen["mode"] == "open" and seen["passed"] == 12 and seen["in_every_worker"]


def test_speed_of_an_idle_gate(open_gate, coordinator):
    times = [coordinator.ask(mode) for _ in range(10) for mode in (wire.CLOSED, wire.OPEN)]
    times.sort()
    print(f"ask to in force, idle: median {times[10]:.1f} ms, worst {times[-1]:.1f} ms")
    assert times[10] < 50 and times[-1] < 300


def test_report(open_gate, coordinator):
    coordinator.ask(wire.PINNED, pinned="app2", drained=["app3"])
    report = coordinator.live()[-1].last
    assert report["mode"] == wire.PINNED and report["pinned"] == "app2"
    assert report["drained"] == ["app3"] and report["error"] == ""
    assert [n["name"] for n in report["nodes"]] == ["app1", "app2", "app3"]
    assert report["workers"] == 4


def test_hello(gate, coordinator):
    session = coordinator.live()[-1]
    assert session.hello["role"] == wire.ROLE_GATE and session.hello["name"] == "gate1"
    assert session.hello["major"] == 1 and len(session.hello["instance"]) == 16


def test_variables(open_gate, coordinator):
    request(open_gate.port, "/seen")
    coordinator.ask(wire.CLOSED, epoch=7, seq=9)
    request(open_gate.port, "/refused")
    log = []

    def written():
        log[:] = (open_gate.prefix / "access.log").read_text().splitlines()
        return len(log) == 2
    wait_for(written, 5, "two lines in the log")
    assert " 200 open app" in log[0] and " 1.1 0 " in log[0]
    assert " 503 closed - 7.9 0 " in log[1]


def test_page_for_people(gate, coordinator):
    coordinator.ask(wire.CLOSED, message='Upgrade <b> & "more"', step="Step <i>")
    answer = request(gate.port, "/admin", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert answer.status == 503
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Vary") == "Accept, Accept-Language, Accept-Encoding"
    assert 10 <= int(answer.getheader("Retry-After")) <= 12
    assert '<noscript><meta http-equiv="refresh"' in answer.text
    assert "Upgrade &lt;b&gt; &amp; &quot;more&quot;" in answer.text
    assert "Step &lt;i&gt;" in answer.text and "prefers-color-scheme:dark" in answer.text
    assert "http://" not in answer.text and "https://" not in answer.text
    assert len(answer.text.encode()) == int(answer.getheader("Content-Length"))


def test_body_for_programs(gate, coordinator):
    coordinator.ask(wire.CLOSED, message='say "x"\n\\ é', command="upgrade")
    for answer in (request(gate.port, "/api/app:getInfo"),
                   request(gate.port, "/x", Accept="application/json, text/plain, */*")):
        assert answer.status == 503
        assert answer.getheader("Content-Type") == "application/json"
        assert answer.getheader("Cache-Control") == "no-store"
        assert json.loads(answer.text) == {"error": {
            "status": 503, "maintaining": True, "message": 'say "x"\n\\ é',
            "code": "APP_COMMANDING", "command": {"name": "upgrade"}}}


def test_words_change_without_a_new_voice(gate, coordinator):
    coordinator.ask(wire.CLOSED, message="first")
    assert "first" in request(gate.port).text
    coordinator.send_ask(wire.CLOSED, seq=coordinator.seq, message="second")
    coordinator.wait_report(lambda r: r["seq"] == coordinator.seq)
    wait_for(lambda: "second" in request(gate.port).text, 5, "the other words")


def test_retry_after_from_eta(gate, coordinator):
    coordinator.ask(wire.CLOSED, back_at=int(time.time()) + 300)
    assert 290 <= int(request(gate.port).getheader("Retry-After")) <= 360


def test_methods(gate, coordinator, backends):
    coordinator.ask(wire.CLOSED)
    conn = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    for method, body in (("GET", None), ("HEAD", None), ("POST", b"x" * 20000), ("GET", None),
                         ("PUT", b"y"), ("DELETE", None), ("OPTIONS", None)):
        conn.request(method, "/some", body)
        answer = conn.getresponse()
        text = answer.read()
        assert answer.status == 503 and bool(text) == (method != "HEAD"), method
        assert int(answer.getheader("Content-Length")) > 500
        assert conn.sock is not None, f"connection closed after {method}"
    conn.close()
    assert backends.total() == 0


def test_bypass(gate, coordinator, backends):
    coordinator.ask(wire.CLOSED)
    assert request(gate.port, "/me", Cookie="fermata=1").status == 200
    assert request(gate.port, "/me", Cookie="fermata=0").status == 503
    assert request(gate.port, "/me", Cookie="other=1").status == 503
    assert [r[2] for n in backends.nodes.values() for r in n.requests] == ["/me"]
    wait_for(lambda: " 200 closed app" in (gate.prefix / "access.log").read_text(), 5)


def test_off_passes_when_closed(gate, backends):
    assert request(gate.port, "/health").status == 200
    assert backends.total() == 1


def test_no_way_around(gate, backends):
    """try_files, error_page and a missing asset do not lead to the application."""
    for path in ("/try/x", "/missing/x", "/?x", "//", "/api", "/%61pi/x", "/ws"):
        assert request(gate.port, path).status == 503, path
    assert backends.total() == 0


def test_ways_that_pass_when_open(open_gate):
    for path in ("/try/x", "/missing/x"):
        assert request(open_gate.port, path).status == 200, path
    # the answer is with the client a moment before its request is gone
    wait_for(lambda: status(open_gate.port)["in_flight"] == 0, 10)


def test_own_page(make_gate, coordinator):
    gate = make_gate(server="fermata_page html own.html; fermata_retry_after 77;")
    (gate.prefix / "own.html").write_text("<p>{{message}}|{{step}}|{{other}}</p>")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="a<b", step="s")
    answer = request(gate.port)
    assert answer.text == "<p>a&lt;b|s|{{other}}</p>" and answer.getheader("Refresh") == "15"
    assert 77 <= int(answer.getheader("Retry-After")) <= 77 + 77 // 4


def test_config_faults(make_gate):
    for change, fault in ((dict(http="fermata_coordinator 192.0.2.1:7400;"), "TLS"),
                          (dict(http="fermata_zone other:1k;"), "duplicate"),
                          (dict(nodes="app1"), "name=address"),
                          (dict(nodes="..=127.0.0.1:1"), "invalid node name"),
                          (dict(nodes="app1=nobody.invalid:80"),
                           'host not found in node "app1=nobody.invalid:80" of upstream "app" in '),
                          (dict(default="fermata_default perhaps;"), "perhaps"),
                          (dict(server="fermata_page html nowhere.html;"), "nowhere.html")):
        gate = make_gate(**change)
        done = gate.run("-t")
        assert done.returncode == 1 and fault in done.stderr, done.stderr
        (gate.prefix / "error.log").write_text("")


def test_test_writes_nothing(make_gate, coordinator):
    gate = make_gate().start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    state = gate.prefix / "state" / "state"
    before = (state.stat().st_mtime_ns, state.stat().st_ino, sorted(p.name for p in
              state.parent.iterdir()))
    done = gate.run("-t")
    assert done.returncode == 0, done.stderr
    assert before == (state.stat().st_mtime_ns, state.stat().st_ino,
                      sorted(p.name for p in state.parent.iterdir()))
    assert request(gate.port).status == 200
