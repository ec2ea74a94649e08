"""Flips, pins and drains with visitors on the gate."""
import socket
import time

import pytest

import wire
from client import Ahead, Load, WebSocket, request, status
from wait import wait_for

BALANCERS = {
    "round robin": "",
    "least_conn": "least_conn;",
    "ip_hash": "ip_hash;",
    "hash": "hash $request_uri;",
    "hash consistent": "hash $request_uri consistent;",
    "random": "random;",
    "random two": "random two least_conn;",
    "zone": "zone app 128k;",
}


def test_close_under_load(open_gate, coordinator, backends):
    """No wrong answer, and nothing sent after the proof is let through; ten times."""
    load = Load(open_gate.port, clients=12)
    took, drained = [], []
    try:
        for _ in range(10):
            begin = len(load.answers)
            wait_for(lambda: len(load.answers) > begin + 150, 20, "load on an open gate")
            voice, asked = coordinator.send_ask(wire.CLOSED)
            proved = coordinator.wait_force(voice)
            took.append((proved - asked) * 1000)
            empty = coordinator.wait_report(lambda r: (r["epoch"], r["seq"]) == voice
                                            and r["in_flight"] == 0)
            drained.append((empty - asked) * 1000)
            begin = len(load.answers)
            wait_for(lambda: len(load.answers) > begin + 150, 20, "load on a closed gate")
            late = backends.since(empty)
            assert not late, late[:3]
            opened = time.monotonic()
            assert [a for a in load.answers if proved < a[0] and a[1] < opened
                    and a[2] != 503] == []
            took.append(coordinator.ask(wire.OPEN))
    finally:
        load.stop()
    took.sort()
    print(f"{len(load.answers)} answers {load.statuses()}, ask to in force under load: median "
          f"{took[10]:.1f} ms, worst {took[-1]:.1f} ms; to drained: worst {max(drained):.1f} ms")
    assert set(load.statuses()) == {200, 503} and load.faults == []
    seen = status(open_gate.port)
    assert seen["passed"] == load.statuses()[200] and seen["refused"] == load.statuses()[503]
    assert took[10] < 100


@pytest.mark.parametrize("balancer", BALANCERS)
def test_pin(make_gate, coordinator, backends, balancer):
    gate = make_gate(balancer=BALANCERS[balancer], workers=2).start()
    coordinator.wait_up()
    for name in ("app2", "app1", "app3"):
        coordinator.ask(wire.PINNED, pinned=name)
        before = backends[name].accepted
        load = Load(gate.port, clients=4)
        wait_for(lambda: len(load.answers) > 200, 20, "load")
        load.stop()
        assert {(a[2], a[3]) for a in load.answers} == {(200, name)} and load.faults == []
        # kept connections are used again, not made anew for each request
        assert backends[name].accepted - before < len(load.answers) / 4
    coordinator.ask(wire.OPEN)
    got = {request(gate.port, f"/{i}").getheader("X-Node") for i in range(40)}
    assert got == {"app1", "app2", "app3"} or balancer == "ip_hash"


@pytest.mark.parametrize("balancer", BALANCERS)
def test_drain_one(make_gate, coordinator, backends, balancer):
    gate = make_gate(balancer=BALANCERS[balancer], workers=2).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    load = Load(gate.port, clients=6)
    try:
        wait_for(lambda: len(load.answers) > 100, 20, "load")
        voice, _ = coordinator.send_ask(wire.OPEN, drained=["app2"])
        coordinator.wait_force(voice)
        empty = coordinator.wait_report(
            lambda r: (r["epoch"], r["seq"]) == voice and r["nodes"][1]["in_flight"] == 0)
        count = len(load.answers)
        wait_for(lambda: len(load.answers) > count + 200, 20, "load on the others")
        assert [n for n, _ in backends.since(empty) if n == "app2"] == []
        # so that its server can end: no idle connection is left
        wait_for(lambda: backends["app2"].connections == 0, 2, "idle connections to close")
    finally:
        load.stop()
    assert set(load.statuses()) == {200} and load.faults == []


def test_idle_connections_close(open_gate, coordinator, backends):
    """Also when no other request comes that would meet one of them."""
    warm = [Ahead(open_gate.port, f"/hold/warm/{i}") for i in range(24)]
    wait_for(lambda: backends.total() == 24, 5)
    for name, node in backends.nodes.items():
        for r in node.requests:
            backends.release(name, r[2])
    assert [w.done().answer.status for w in warm] == [200] * 24
    held = [Ahead(open_gate.port, f"/hold/{i}") for i in range(6)]
    wait_for(lambda: backends.total() == 30, 5)
    on_two = [r[2] for r in backends["app2"].requests if "warm" not in r[2]]
    assert backends["app2"].connections > len(on_two) > 0
    coordinator.ask(wire.OPEN, drained=["app2"])
    wait_for(lambda: backends["app2"].connections == len(on_two), 3, "idle ones to close")
    for path in on_two:
        backends.release("app2", path)
    wait_for(lambda: backends["app2"].connections == 0, 3, "the last ones to close")
    assert backends["app1"].connections > 0 and backends["app3"].connections > 0
    for name in ("app1", "app3"):
        for r in backends[name].requests:
            backends.release(name, r[2])
    assert [h.done().answer.status for h in held] == [200] * 6
    coordinator.ask(wire.CLOSED)
    wait_for(lambda: sum(n.connections for n in backends.nodes.values()) == 0, 3,
             "all idle ones to close")


def test_pin_to_what_the_balancer_gave_up(make_gate, coordinator, backends):
    """max_fails has put the pinned node aside: it is tried all the same, the others never."""
    gate = make_gate(workers=1, servers="server 127.0.0.1:{0} max_fails=1 fail_timeout=60s; "
                     "server 127.0.0.1:{1};".format(backends["app1"].port, backends["app2"].port),
                     nodes="app1=127.0.0.1:{0} app2=127.0.0.1:{1}".format(
                         backends["app1"].port, backends["app2"].port),
                     location="proxy_next_upstream error timeout http_500;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    for _ in range(4):
        request(gate.port, "/fail")
    coordinator.ask(wire.PINNED, pinned="app1")
    for _ in range(5):
        answer = request(gate.port, "/x")
        assert answer.status == 200 and answer.getheader("X-Node") == "app1"


def test_pinned_node_down(make_gate, coordinator, backends):
    """The page, not 502, and never another node."""
    gate = make_gate(workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app1")
    backends.stop_listening("app1")
    for _ in range(6):
        answer = request(gate.port, "/x")
        assert answer.status == 503 and "right back" in answer.text, answer.text
    assert backends["app2"].requests == backends["app3"].requests == []
    assert request(gate.port, "/api/x").getheader("Content-Type") == "application/json"


def test_all_drained_is_the_page(make_gate, coordinator, backends):
    open_gate = make_gate(workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"])
    assert request(open_gate.port).status == 503
    # a way that the handler does not see: the wrapper finds no node
    answer = request(open_gate.port, "/health")
    assert answer.status == 503 and "right back" in answer.text
    assert int(answer.getheader("Content-Length")) == len(answer.text.encode())
    assert request(open_gate.port, "/health", Accept="application/json").text[0] == "{"
    assert backends.total() == 0
    # no node has been blamed for it
    coordinator.ask(wire.OPEN)
    assert {request(open_gate.port).getheader("X-Node") for _ in range(6)} == {
        "app1", "app2", "app3"}


def test_drain_while_body_is_read(open_gate, coordinator, backends):
    """Admitted before, sent on after: it goes where it still may."""
    conns = []
    for _ in range(6):
        s = socket.create_connection(("127.0.0.1", open_gate.port), 10)
        s.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        conns.append(s)
    wait_for(lambda: status(open_gate.port)["in_flight"] == 6, 5, "six uploads")
    coordinator.ask(wire.OPEN, drained=["app1", "app3"])
    for s in conns:
        s.sendall(b"67890")
        assert b"app2 POST /up 10" in s.recv(4096)
        s.close()
    assert backends["app1"].requests == backends["app3"].requests == []


def test_close_while_body_is_read(open_gate, coordinator, backends):
    """An upload that was let through is in flight: it is waited for, and ends well."""
    s = socket.create_connection(("127.0.0.1", open_gate.port), 10)
    s.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
    wait_for(lambda: status(open_gate.port)["in_flight"] == 1, 5, "the upload")
    voice, _ = coordinator.send_ask(wire.CLOSED)
    coordinator.wait_force(voice)
    assert coordinator.live()[-1].last["in_flight"] == 1
    s.sendall(b"67890")
    assert b"POST /up 10" in s.recv(4096)
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    s.close()


def test_in_flight_is_counted_and_ends(open_gate, coordinator, backends):
    held = Ahead(open_gate.port, "/hold/1")
    name = wait_for(lambda: next((n for n, d in backends.nodes.items() if d.requests), None), 5)
    voice, _ = coordinator.send_ask(wire.CLOSED)
    coordinator.wait_force(voice)
    report = coordinator.live()[-1].last
    assert report["in_flight"] == 1
    assert [n["in_flight"] for n in report["nodes"] if n["name"] == name] == [1]
    backends.release(name, "/hold/1")
    held.done()
    empty = coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["seq"] == voice[1])
    print(f"end of the last request to the report of zero: {(empty - held.ended) * 1000:.1f} ms")
    assert held.answer.status == 200
    assert empty - held.ended < 0.25


def test_drained_node_ends_its_requests(open_gate, coordinator, backends):
    held = [Ahead(open_gate.port, f"/hold/{i}") for i in range(6)]
    wait_for(lambda: backends.total() == 6, 5)
    on_two = [r[2] for r in backends["app2"].requests]
    voice, _ = coordinator.send_ask(wire.OPEN, drained=["app2"])
    coordinator.wait_force(voice)
    assert coordinator.live()[-1].last["nodes"][1]["in_flight"] == len(on_two) > 0
    for path in on_two:
        backends.release("app2", path)
    coordinator.wait_report(lambda r: r["nodes"][1]["in_flight"] == 0)
    assert coordinator.live()[-1].last["in_flight"] == 6 - len(on_two)
    for name in ("app1", "app3"):
        for r in backends[name].requests:
            backends.release(name, r[2])
    assert [h.done().answer.status for h in held] == [200] * 6


def test_websockets_close(open_gate, coordinator, backends):
    sockets = [WebSocket(open_gate.port) for _ in range(12)]
    assert all(s.status == 101 and s.echo() for s in sockets)
    wait_for(lambda: status(open_gate.port)["websockets"] == 12, 5)
    assert status(open_gate.port)["in_flight"] == 0
    on_two = [s for s in sockets if s.node == "app2"]
    coordinator.ask(wire.OPEN, drained=["app2"])
    assert on_two and all(s.closed_at() for s in on_two)
    assert all(s.echo() for s in sockets if s.node != "app2")
    began = time.monotonic()
    coordinator.ask(wire.CLOSED)
    ends = [s.closed_at() for s in sockets if s.node != "app2"]
    assert all(ends)
    print(f"ask to the last websocket closed: {(max(ends) - began) * 1000:.1f} ms")
    coordinator.wait_report(lambda r: r["websockets"] == 0)
    after = WebSocket(open_gate.port)
    assert after.status == 101 and after.node is None
    wait_for(lambda: sum(n.websockets for n in backends.nodes.values()) == 0, 5)


def test_websockets_on_pin(open_gate, coordinator):
    sockets = [WebSocket(open_gate.port) for _ in range(9)]
    coordinator.ask(wire.PINNED, pinned="app3")
    for s in sockets:
        if s.node == "app3":
            assert s.echo()
        else:
            assert s.closed_at()
    again = WebSocket(open_gate.port)
    assert again.status == 101 and again.node == "app3"


def test_bypassed_websocket(open_gate, coordinator):
    """One of before is closed with all others; one of after stays, also over other words."""
    cookie = {"Cookie": "fermata=1"}
    coordinator.ask(wire.PINNED, pinned="app1")
    before = WebSocket(open_gate.port, **cookie)
    assert before.echo()
    coordinator.ask(wire.CLOSED)
    assert before.closed_at()
    after = WebSocket(open_gate.port, **cookie)
    assert after.status == 101
    coordinator.ask(wire.CLOSED, message="other words")
    assert after.echo()
    coordinator.ask(wire.CLOSED, drained=["app1", "app2", "app3"])
    assert after.closed_at()


def test_cut_after(open_gate, coordinator, backends):
    """A request that takes too long gets the page, not a broken connection."""
    slow = Ahead(open_gate.port, "/hold/long")
    upload = socket.create_connection(("127.0.0.1", open_gate.port), 10)
    upload.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
    wait_for(lambda: backends.total() == 1 and status(open_gate.port)["in_flight"] == 2, 5)
    began = time.monotonic()
    voice, _ = coordinator.send_ask(wire.CLOSED, cut_after_ms=400)
    coordinator.wait_force(voice)
    assert coordinator.live()[-1].last["in_flight"] == 2
    empty = coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["seq"] == voice[1])
    assert 0.39 < empty - began < 1.5
    slow.done()
    assert slow.error is None and slow.answer.status == 503 and "right back" in slow.answer.text
    answer = upload.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503") and b"Connection: close" in answer
    upload.sendall(b"67890")
    upload.close()
    wait_for(lambda: sum(n.connections for n in backends.nodes.values()) == 0, 5,
             "connections to the nodes to close")
    assert backends.total() == 1


def test_cut_spares_the_others(open_gate, coordinator, backends):
    held = [Ahead(open_gate.port, f"/hold/{i}") for i in range(6)]
    wait_for(lambda: backends.total() == 6, 5)
    coordinator.ask(wire.OPEN, drained=["app2"], cut_after_ms=200)
    coordinator.wait_report(lambda r: r["nodes"][1]["in_flight"] == 0)
    for name in ("app1", "app3"):
        for r in backends[name].requests:
            backends.release(name, r[2])
    got = sorted(h.done().answer.status for h in held)
    assert got == sorted([503] * len(backends["app2"].requests)
                         + [200] * (6 - len(backends["app2"].requests)))


def test_retry_goes_to_an_allowed_node(make_gate, coordinator, backends):
    gate = make_gate(location="proxy_next_upstream error timeout http_500 non_idempotent;",
                     servers=" ".join(f"server 127.0.0.1:{n.port} max_fails=0;"
                                      for n in backends.nodes.values())).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, drained=["app1"])
    for _ in range(10):
        # the last node's own answer, after the first one's
        assert request(gate.port, "/fail").status == 500
    assert backends.total() == 20
    assert backends["app1"].requests == []
    assert len(backends["app2"].requests) and len(backends["app3"].requests)


def test_one_node_is_just_being_stopped(make_gate, coordinator, backends):
    """Drained, then its server ends: no visitor sees it."""
    gate = make_gate().start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    load = Load(gate.port, clients=8)
    try:
        wait_for(lambda: len(load.answers) > 200, 20)
        coordinator.ask(wire.OPEN, drained=["app2"])
        coordinator.wait_report(lambda r: r["nodes"][1]["in_flight"] == 0)
        backends.stop_listening("app2")
        count = len(load.answers)
        wait_for(lambda: len(load.answers) > count + 400, 20)
    finally:
        load.stop()
    assert set(load.statuses()) == {200} and load.faults == []


def test_many_flips(open_gate, coordinator, backends):
    """Modes in all orders with load: every answer is one that was allowed at its time."""
    load = Load(open_gate.port, clients=8)
    try:
        for i in range(30):
            mode = (wire.OPEN, wire.CLOSED, wire.PINNED)[i % 3]
            coordinator.ask(mode, pinned="app2" if mode == wire.PINNED else "",
                            drained=["app1"] if i % 4 == 0 else [])
            proved = time.monotonic()
            count = len(load.answers)
            wait_for(lambda: len(load.answers) > count + 30, 20)
            ended = time.monotonic()
            inside = {(a[2], a[3]) for a in list(load.answers) if proved < a[0] and a[1] < ended}
            if mode == wire.CLOSED:
                assert inside == {(503, None)}
            elif mode == wire.PINNED:
                assert inside == {(200, "app2")}
            else:
                assert {s for s, _ in inside} == {200}
                assert i % 4 or "app1" not in {n for _, n in inside}
    finally:
        load.stop()
    assert load.faults == []
