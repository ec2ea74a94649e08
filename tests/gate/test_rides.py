"""Requests that were let through while the gate was open: nothing had to be watched then, now it has."""
import socket

import pytest

import wire
from client import Ahead, WebSocket, request, status
from wait import wait_for

PLACES = {"app1": 0, "app2": 1, "app3": 2}


def holder(backends, path, but=()):
    """The node that has got it."""
    return wait_for(lambda: next((n for n, d in backends.nodes.items() if n not in but
                                  and any(r[2] == path for r in d.requests)), None), 10, path)


def on_node(name, count):
    return lambda r: r["nodes"][PLACES[name]]["in_flight"] == count


def test_counted_by_node_while_open(open_gate, coordinator, backends):
    """Without a change, too: a second later at most."""
    held = Ahead(open_gate.port, "/hold/1")
    name = holder(backends, "/hold/1")
    coordinator.wait_report(on_node(name, 1))
    seen = {n["name"]: n["in_flight"] for n in status(open_gate.port)["nodes"]}
    assert seen == {n: int(n == name) for n in PLACES}
    backends.release(name, "/hold/1")
    assert held.done().answer.status == 200
    coordinator.wait_report(on_node(name, 0))


def test_counted_by_node_with_the_proof(open_gate, coordinator, backends):
    """The first report of a change knows of each request on its node."""
    held = {f"/hold/{i}": Ahead(open_gate.port, f"/hold/{i}") for i in range(9)}
    on = [holder(backends, path) for path in held]
    voice, _ = coordinator.send_ask(wire.OPEN, drained=["app2"])
    coordinator.wait_force(voice)
    first = next(r for _, r in coordinator.live()[-1].reports if (r["epoch"], r["seq"]) == voice)
    assert [n["in_flight"] for n in first["nodes"]] == [on.count(n) for n in PLACES]
    assert first["in_flight"] == 9
    for path, name in zip(held, on):
        backends.release(name, path)
    assert [h.done().answer.status for h in held.values()] == [200] * 9
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    assert all(n["in_flight"] == 0 for n in coordinator.live()[-1].last["nodes"])


@pytest.mark.parametrize("zone", ["", "zone app 128k;"])
def test_a_retry_after_the_change(make_gate, coordinator, backends, zone):
    """One that began on a node goes on, after a fault of it, to a node that may be used now."""
    servers = " ".join(f"server 127.0.0.1:{node.port} max_fails=0;" for node in backends.nodes.values())
    gate = make_gate(balancer=zone, servers=servers, workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    for turn in range(6):
        path = f"/hold/{turn}"
        held = Ahead(gate.port, path)
        first = holder(backends, path)
        away, rest = sorted(set(PLACES) - {first})
        coordinator.ask(wire.OPEN, drained=[away])
        backends[first].drops = True
        backends.release(first, path)
        assert holder(backends, path, but=[first]) == rest
        backends.release(rest, path)
        assert held.done().answer.getheader("X-Node") == rest
        backends[first].drops = False
        coordinator.ask(wire.OPEN)
        assert f'"GET {path} HTTP/1.1" 127.0.0.1' in (gate.prefix / "access.log").read_text()
    assert coordinator.live()[-1].last["in_flight"] == 0


def test_a_retry_when_none_is_left(open_gate, coordinator, backends):
    """The page in place of 502, also for what began before."""
    held = Ahead(open_gate.port, "/hold/1", Accept="text/html")
    first = holder(backends, "/hold/1")
    coordinator.ask(wire.CLOSED, message="kept words")
    backends[first].drops = True
    backends.release(first, "/hold/1")
    second = holder(backends, "/hold/1", but=[first])
    assert second != first
    backends[second].drops = True
    backends.release(second, "/hold/1")
    third = holder(backends, "/hold/1", but=[first, second])
    backends[third].drops = True
    backends.release(third, "/hold/1")
    answer = held.done().answer
    assert answer.status == 503 and "kept words" in answer.text
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    seen = status(open_gate.port)
    assert (seen["passed"], seen["refused"]) == (0, 1)


def test_websocket_counted_while_open(open_gate, coordinator, backends):
    socks = [WebSocket(open_gate.port) for _ in range(6)]
    on = [s.node for s in socks]
    coordinator.wait_report(lambda r: [n["websockets"] for n in r["nodes"]] == [on.count(n) for n in PLACES])
    assert coordinator.live()[-1].last["in_flight"] == 0
    for sock in socks:
        sock.close()
    coordinator.wait_report(lambda r: r["websockets"] == 0)


def test_node_in_the_log(open_gate, backends):
    """Known by name where nobody had to look."""
    got = [request(open_gate.port, f"/{i}").getheader("X-Node") for i in range(9)]
    log = wait_for(lambda: (lines := (open_gate.prefix / "access.log").read_text().splitlines())
                   and len(lines) >= 9 and lines)
    assert sorted(line.split()[3] for line in log if '"GET /' in line) == sorted(got)


def test_slow_reader_is_not_awaited(open_gate, coordinator):
    """What its node has answered in full is nobody's work any more, though the client still reads."""
    size = 8_000_000
    with socket.create_connection(("127.0.0.1", open_gate.port), 20) as sock:
        sock.sendall(f"GET /big/{size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        data = sock.recv(1000)
        assert data.startswith(b"HTTP/1.1 200")
        coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"])
        coordinator.wait_report(lambda r: r["in_flight"] == 0)
        while part := sock.recv(1 << 20):
            data += part
    assert len(data.split(b"\r\n\r\n", 1)[1]) == size
