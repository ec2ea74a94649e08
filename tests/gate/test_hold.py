"""Requests that wait for a short hole to end, in place of getting the page."""
import http.client
import os
import signal
import socket
import threading
import time

import pytest

import wire
from client import Ahead, WebSocket, request, status
from gate import alive
from wait import wait_for

ALL = ["app1", "app2", "app3"]


@pytest.fixture
def held_gate(make_gate, coordinator):
    """Open, then no node left: make(line) -> the gate, in the hole."""
    def make(line="fermata_hold 20s;", **more):
        gate = make_gate(server=line, **more).start()
        coordinator.wait_up()
        coordinator.ask(wire.OPEN)
        coordinator.ask(wire.OPEN, drained=ALL)
        return gate
    return make


def held(gate):
    return status(gate.port)["held"]


def wait_held(gate, count):
    wait_for(lambda: held(gate) == count, 10, f"{count} held")


def test_a_request_waits_and_is_served(held_gate, coordinator, backends):
    gate = held_gate()
    waiting = [Ahead(gate.port, f"/{i}", method=m) for i, m in enumerate(("GET", "HEAD", "OPTIONS"))]
    wait_held(gate, 3)
    coordinator.wait_report(lambda r: r["held"] == 3 and r["in_flight"] == 0)
    assert backends.total() == 0
    began = time.monotonic()
    coordinator.ask(wire.OPEN)
    assert [w.done().answer.status for w in waiting] == [200, 200, 200]
    print(f"ask to the last answer: {(max(w.ended for w in waiting) - began) * 1000:.1f} ms")
    assert backends.total() == 3 and held(gate) == 0
    wait_for(lambda: status(gate.port)["in_flight"] == 0, 5)


def test_pin_ends_the_hole_too(held_gate, coordinator):
    gate = held_gate()
    waiting = [Ahead(gate.port, f"/{i}") for i in range(4)]
    wait_held(gate, 4)
    coordinator.ask(wire.PINNED, pinned="app2")
    assert {w.done().answer.getheader("X-Node") for w in waiting} == {"app2"}


def test_nobody_waits_longer_than_the_limit(held_gate, backends):
    """Counted from the beginning of the hole: who comes late waits less, then not at all."""
    gate = held_gate("fermata_hold 2s;")
    began = time.monotonic()
    first = Ahead(gate.port, "/first").done()
    assert first.answer.status == 503 and "right back" in first.answer.text
    assert 1 < first.ended - began < 8
    again = time.monotonic()
    assert request(gate.port, "/api/second").getheader("Content-Type") == "application/json"
    assert time.monotonic() - again < 1
    assert backends.total() == 0 and held(gate) == 0


def test_the_wait_has_its_page_or_json_at_the_end(held_gate):
    gate = held_gate("fermata_hold 2s;")
    waiting = Ahead(gate.port, "/api/x").done()
    assert waiting.answer.status == 503 and waiting.answer.text.startswith("{")


def test_closing_is_no_hole_unless_it_is_said(make_gate, coordinator):
    gate = make_gate(server="fermata_hold 20s;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.ask(wire.CLOSED)
    assert request(gate.port).status == 503
    assert held(gate) == 0


def test_a_closed_gate_holds_where_it_is_said(make_gate, coordinator):
    gate = make_gate(server="fermata_hold 20s closed;").start()
    coordinator.wait_up()
    # nobody knows how long it has been closed
    assert request(gate.port).status == 503
    coordinator.ask(wire.OPEN)
    coordinator.ask(wire.CLOSED)
    waiting = Ahead(gate.port, "/x")
    wait_held(gate, 1)
    coordinator.ask(wire.CLOSED, message="other words")
    coordinator.ask(wire.CLOSED, cut_after_ms=60000)
    assert held(gate) == 1
    coordinator.ask(wire.OPEN)
    assert waiting.done().answer.status == 200


def test_a_hole_that_becomes_a_closed_gate_is_the_page(held_gate, coordinator):
    gate = held_gate()
    waiting = Ahead(gate.port, "/x")
    wait_held(gate, 1)
    coordinator.ask(wire.CLOSED)
    assert waiting.done().answer.status == 503 and held(gate) == 0


def test_what_is_not_held(held_gate, backends):
    """Writes, websockets, and what the gate is off for."""
    gate = held_gate()
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert request(gate.port, "/x", method=method, body=b"x").status == 503
    assert WebSocket(gate.port).node is None
    assert request(gate.port, "/assets/a.js").status == 200
    assert held(gate) == 0 and backends.total() == 0


def test_methods_can_be_chosen(held_gate, coordinator):
    """A body that is held is not read, and comes whole afterwards."""
    gate = held_gate("fermata_hold 20s; fermata_hold_methods POST;")
    assert request(gate.port).status == 503
    waiting = Ahead(gate.port, "/up", method="POST", body=b"x" * 900_000)
    wait_held(gate, 1)
    assert not list((gate.prefix / "body").rglob("0*"))
    coordinator.ask(wire.OPEN)
    assert waiting.done().answer.text.split()[1:] == ["POST", "/up", "900000"]


def test_number_and_memory_are_bounded(held_gate, coordinator):
    gate = held_gate("fermata_hold 20s requests=3;", workers=1)
    waiting = [Ahead(gate.port, f"/{i}") for i in range(3)]
    wait_held(gate, 3)
    assert request(gate.port, "/more").status == 503
    coordinator.ask(wire.OPEN)
    assert [w.done().answer.status for w in waiting] == [200] * 3
    gate.stop()
    gate.configure(server="fermata_hold 20s memory=16k;")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.ask(wire.OPEN, drained=ALL)
    waiting = [Ahead(gate.port, f"/{i}") for i in range(8)]
    wait_for(lambda: sum(w.ended is not None for w in waiting) + held(gate) == 8, 10)
    assert 1 <= held(gate) <= 3
    coordinator.ask(wire.OPEN)
    assert sorted({w.done().answer.status for w in waiting}) == [200, 503]


def test_a_client_that_goes_away_is_forgotten(held_gate, coordinator, backends):
    gate = held_gate()
    gone = []
    for i in range(8):
        s = socket.create_connection(("127.0.0.1", gate.port), 10)
        s.sendall(f"GET /gone/{i} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        gone.append(s)
    stays = Ahead(gate.port, "/stays")
    wait_held(gate, 9)
    for s in gone:
        s.close()
    wait_held(gate, 1)
    coordinator.ask(wire.OPEN)
    assert stays.done().answer.status == 200
    assert [r[2] for n in backends.nodes.values() for r in n.requests] == ["/stays"]
    wait_for(lambda: (gate.prefix / "access.log").read_text().count(" 499 ") == 8, 5)


def test_pipelined_requests_wait_in_turn(held_gate, coordinator):
    gate = held_gate()
    s = socket.create_connection(("127.0.0.1", gate.port), 20)
    s.sendall(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_held(gate, 1)
    coordinator.ask(wire.OPEN)
    text = b""
    while text.count(b"HTTP/1.1 200") < 2 or not text.endswith(b"/two 0\n"):
        text += s.recv(4096)
    assert text.index(b"GET /one") < text.index(b"GET /two")
    s.close()


def test_order_is_kept(held_gate, coordinator, backends):
    gate = held_gate(workers=1, balancer="hash x;")
    waiting = []
    for i in range(30):
        waiting.append(Ahead(gate.port, f"/{i}"))
        wait_held(gate, i + 1)
    coordinator.ask(wire.OPEN)
    assert [w.done().answer.status for w in waiting] == [200] * 30
    served = sorted(r for n in backends.nodes.values() for r in n.requests)
    places = [int(r[2][1:]) for r in served]
    assert all(abs(place - at) < 10 for at, place in enumerate(places)), places


def test_an_operator_does_not_wait(make_gate, coordinator):
    gate = make_gate(server="fermata_hold 20s closed;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.ask(wire.CLOSED)
    assert request(gate.port, "/me", Cookie="fermata=1").status == 200
    assert held(gate) == 0


def test_reload_keeps_no_old_worker(held_gate, coordinator):
    gate = held_gate("fermata_hold 60s;")
    waiting = [Ahead(gate.port, f"/{i}") for i in range(12)]
    wait_held(gate, 12)
    old = gate.reload()
    assert [w.done().answer.status for w in waiting] == [503] * 12
    wait_for(lambda: not any(alive(p) for p in old), 10, "old workers to end")
    # the hole lasts, and so does the waiting, in the new ones
    again = Ahead(gate.port, "/again")
    wait_held(gate, 1)
    coordinator.ask(wire.OPEN)
    assert again.done().answer.status == 200


def test_end_of_nginx_and_of_a_worker(held_gate, coordinator):
    gate = held_gate("fermata_hold 60s;", workers=2)
    waiting = [Ahead(gate.port, f"/{i}") for i in range(12)]
    wait_held(gate, 12)
    for pid in gate.worker_pids():
        os.kill(pid, signal.SIGKILL)
    for w in waiting:
        w.done()
    wait_for(lambda: held(gate) == 0 and len(gate.worker_pids()) == 2, 10)
    again = Ahead(gate.port, "/again")
    wait_held(gate, 1)
    os.kill(gate.master, signal.SIGQUIT)
    assert again.done().answer.status == 503
    wait_for(lambda: not gate.living(), 10, "nginx to end")


def test_many_holes_lose_nobody(held_gate, coordinator):
    """Whoever comes in a hole is served after it, on a connection that goes on."""
    gate = held_gate("fermata_hold 30s;")
    conns = [http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30) for _ in range(12)]
    answers = []

    def visit(conn):
        for _ in range(20):
            conn.request("GET", "/")
            answer = conn.getresponse()
            answer.read()
            answers.append(answer.status)
    for i in range(20):
        coordinator.ask(wire.OPEN, drained=ALL)
        threads = [threading.Thread(target=visit, args=(conn,), daemon=True) for conn in conns]
        for thread in threads:
            thread.start()
        wait_held(gate, 12)
        coordinator.ask(wire.OPEN if i % 2 else wire.PINNED, pinned="" if i % 2 else "app1")
        for thread in threads:
            thread.join(30)
    assert answers == [200] * (20 * 12 * 20)
    assert held(gate) == 0 and status(gate.port)["in_flight"] == 0
    for conn in conns:
        conn.close()


def test_a_hole_that_nobody_tells_the_end_of(make_gate, coordinator):
    """Without a coordinator nginx finds out by itself who is there; what a run has drained stays so."""
    gate = make_gate().start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.ask(wire.OPEN, drained=ALL, hole=1)
    assert request(gate.port).status == 503
    coordinator.close()
    wait_for(lambda: request(gate.port).status == 200, 30, "nginx finds out by itself")
    gate.reload()
    assert request(gate.port).status == 200
    coordinator.open(coordinator.port)
    coordinator.wait_up()
    wait_for(lambda: request(gate.port).status == 503, 10, "the hole is believed again")
    coordinator.ask(wire.OPEN, drained=ALL)
    coordinator.close()
    wait_for(lambda: not coordinator.live(), 10, "it is gone")
    began = time.monotonic()
    while time.monotonic() - began < 6:
        assert request(gate.port).status == 503
        time.sleep(0.2)


def test_faults_in_directives(make_gate):
    for line, fault in (("fermata_hold;", "invalid number"), ("fermata_hold 0;", "invalid time"),
                        ("fermata_hold soon;", "invalid time"), ("fermata_hold off 1;", "after"),
                        ("fermata_hold 1s requests=0;", "invalid parameter"),
                        ("fermata_hold 1s memory=x;", "invalid parameter"),
                        ("fermata_hold 1s; fermata_hold 2s;", "duplicate"),
                        ("fermata_hold_methods TRACE;", "invalid value")):
        gate = make_gate(server=line)
        done = gate.run("-t")
        assert done.returncode == 1 and fault in done.stderr, (line, done.stderr)
        (gate.prefix / "error.log").write_text("")
