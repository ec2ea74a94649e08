"""Open tabs: websockets that the gate keeps while the application is away."""
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

import wire
from client import WebSocket, request, status
from gate import alive
from tab import HANDSHAKE, Loop, Raw, Tab, certificate, client_frame
from wait import wait_for

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def closed_gate(gate, coordinator):
    coordinator.ask(wire.CLOSED, message="Upgrade to 2", step="The first node starts",
                    command="upgrade")
    return gate


def tabs(coordinator, count):
    """Waits for the coordinator to hear of so many."""
    coordinator.wait_report(lambda r: r["tabs"] == count)


# what it is told

def test_told_at_once(closed_gate, coordinator, backends, loop):
    tab = Tab(loop, closed_gate.port)
    tab.wait_told("Upgrade")
    assert tab.heard[0][1] == {"type": "maintaining", "payload": {
        "message": "Upgrade to 2 \u00b7 The first node starts", "command": {"name": "upgrade"},
        "code": "APP_COMMANDING"}}
    assert tab.node is None and backends.total() == 0
    tabs(coordinator, 1)
    tab.close()
    tabs(coordinator, 0)
    assert len(tab.heard) == 1


@pytest.mark.parametrize("given, shown", [
    ({}, ("The application is being maintained.", "maintenance")),
    ({"message": "only this"}, ("only this", "maintenance")),
    ({"step": "only that", "command": "start"}, ("only that", "start")),
    ({"message": 'say "x"\n\\ é', "step": "</b>"}, ('say "x"\n\\ é \u00b7 </b>', "maintenance")),
    ({"message": '"' * 479, "step": "\x01" * 479}, ('"' * 479 + " \u00b7 " + "\x01" * 479, "maintenance"))],
    ids=["none", "message", "step", "escaped", "longest"])
def test_words(gate, coordinator, loop, given, shown):
    coordinator.ask(wire.CLOSED, **given)
    tab = Tab(loop, gate.port)
    wait_for(tab.last, 10, "the first message")
    assert (tab.last()["message"], tab.last()["command"]["name"]) == shown


def test_told_when_the_words_change(closed_gate, coordinator, loop):
    """A new step reaches all tabs, with a new voice or without; the same words twice reach none."""
    some = [Tab(loop, closed_gate.port) for _ in range(20)]
    for step, seq in (("step two", None), ("step three", coordinator.seq + 1)):
        voice, began = coordinator.send_ask(wire.CLOSED, seq=seq, message="Upgrade to 2", step=step,
                                            command="upgrade")
        late = max(tab.wait_told(step) for tab in some) - began
        print(f"{step} after {late * 1000:.0f} ms")
    coordinator.ask(wire.CLOSED, message="Upgrade to 2", step="step three", command="upgrade")
    coordinator.ask(wire.CLOSED, message="Upgrade to 2", step="step four", command="upgrade")
    for tab in some:
        tab.wait_told("step four")
        assert [p["message"].split()[-1] for p in tab.payloads()] == ["starts", "two", "three", "four"]


def test_one_who_does_not_read(make_gate, coordinator):
    """It is told the newest when it reads again, not all that it has missed."""
    gate = make_gate(listen="sndbuf=4k", workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="m" * 470)
    slow = Raw(gate.port, rcvbuf=2048)
    wait_for(lambda: status(gate.port)["tabs"] == 1, 10)
    for number in range(200):
        coordinator.ask(wire.CLOSED, message="m" * 470, step=f"{number} " + "s" * 460)
    heard = []
    while not heard or b"199 sss" not in heard[-1]:
        heard.append(slow.frame_of(TEXT))
    print(f"{len(heard)} of 200 messages")
    assert len(heard) < 150
    slow.close()


# how it is let go

@pytest.mark.parametrize("mode, more", [(wire.OPEN, {}), (wire.PINNED, {"pinned": "app2"})])
@pytest.mark.parametrize("refresh", [False, True])
def test_let_go(closed_gate, coordinator, backends, loop, mode, more, refresh):
    tab = Tab(loop, closed_gate.port)
    tab.wait_told("Upgrade")
    coordinator.ask(mode, refresh=refresh, **more)
    assert tab.wait_end() == 1012
    last = tab.last()
    assert last["code"] == "APP_RUNNING" and last.get("refresh", False) == refresh
    assert "command" not in last
    # where it came from, it gets through now
    again = Tab(loop, closed_gate.port)
    assert again.node == more.get("pinned", again.node) and again.node
    again.close()
    wait_for(lambda: status(closed_gate.port)["tabs"] == 0, 10)


def test_not_let_go_where_nobody_serves(closed_gate, coordinator, loop):
    """Open, but every node is drained: a client would get the page."""
    tab = Tab(loop, closed_gate.port)
    tab.wait_told("Upgrade")
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"], message="Nobody is here")
    tab.wait_told("Nobody")
    assert tab.ended is None and request(closed_gate.port).status == 503
    coordinator.ask(wire.OPEN)
    assert tab.wait_end() == 1012


def test_no_herd(make_gate, coordinator, loop):
    """All leave within the time, evenly, the first at once."""
    gate = make_gate(workers=2, http="fermata_websocket_release 2s;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="m")
    some = [Tab(loop, gate.port) for _ in range(60)]
    tabs(coordinator, 60)
    _, began = coordinator.send_ask(wire.OPEN)
    for tab in some:
        tab.wait_end()
    told = sorted(tab.heard[-1][0] - began for tab in some)
    print(f"first {told[0]:.2f} s, median {told[30]:.2f} s, last {told[-1]:.2f} s")
    assert told[0] < 0.5 and 0.5 < told[30] < 1.6 and 1.5 < told[-1] < 3


def test_closed_again_meanwhile(make_gate, coordinator, loop):
    gate = make_gate(workers=1, http="fermata_websocket_release 60s;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="m")
    some = [Tab(loop, gate.port) for _ in range(6)]
    tabs(coordinator, 6)
    coordinator.ask(wire.OPEN, refresh=True)
    wait_for(lambda: any(tab.ended for tab in some), 10, "the first to leave")
    coordinator.ask(wire.CLOSED, message="closed again")
    staying = [tab for tab in some if not tab.ended]
    assert len(staying) >= 4
    for tab in staying:
        tab.wait_told("closed again")
    assert not any(tab.ended for tab in staying)
    tabs(coordinator, len(staying))


# whom it is for

def test_a_node_s_socket_comes_back_to_the_gate(open_gate, coordinator, backends, loop):
    """The gate closes: the socket ends, and its client is told as soon as it dials again."""
    tab = Tab(loop, open_gate.port)
    assert tab.node
    _, began = coordinator.send_ask(wire.CLOSED, message="closing")
    tab.wait_end()
    again = Tab(loop, open_gate.port)
    late = again.wait_told("closing") - began
    print(f"told {late * 1000:.0f} ms after the ask")
    assert again.node is None
    tabs(coordinator, 1)
    assert late < 2


def test_the_drain_ends(open_gate, coordinator, loop):
    """Waiting tabs are neither in flight nor websockets of a node."""
    before = [Tab(loop, open_gate.port) for _ in range(4)]
    coordinator.ask(wire.CLOSED, message="m")
    for tab in before:
        tab.wait_end()
    after = [Tab(loop, open_gate.port) for _ in range(4)]
    tabs(coordinator, len(after))
    report = coordinator.live()[-1].last
    assert report["in_flight"] == report["websockets"] == 0
    assert all(n["websockets"] == n["in_flight"] == 0 for n in report["nodes"])
    seen = status(open_gate.port)
    assert seen["tabs"] == 4 and seen["websockets"] == 0


def test_bypass_gets_through(closed_gate, loop):
    assert Tab(loop, closed_gate.port, Cookie="fermata=1").node


def test_only_websockets_of_the_application(closed_gate, backends):
    assert Raw(closed_gate.port, "GET /other HTTP/1.1").status == 503
    assert Raw(closed_gate.port, Upgrade=None).status == 503
    assert Raw(closed_gate.port, Upgrade="h2c").status == 503
    assert Raw(closed_gate.port, Connection="keep-alive").status == 503
    assert request(closed_gate.port, "/ws").status == 503
    assert backends.total() == 0


@pytest.mark.parametrize("directive, paths", [
    ("fermata_websocket /sub/ws /two;", {"/ws": 503, "/sub/ws": 101, "/two": 101, "/two/x": 503}),
    ("fermata_websocket off;", {"/ws": 503})])
def test_directive(make_gate, coordinator, directive, paths):
    gate = make_gate(server=directive).start()
    coordinator.wait_up()
    for path, wanted in paths.items():
        assert Raw(gate.port, f"GET {path}?x=1 HTTP/1.1").status == wanted, path


def test_behind_try_files(make_gate, coordinator):
    """The request is still in use by those who redirected it."""
    gate = make_gate(server="location = /ws { fermata off; try_files /no/such @app; }").start()
    coordinator.wait_up()
    raw = Raw(gate.port)
    assert raw.status == 101 and b"maintained" in raw.frame_of(TEXT)
    raw.close()


def test_faults_of_directives(make_gate):
    for change, fault in ((dict(server="fermata_websocket ws;"), "begins with"),
                          (dict(server="fermata_websocket /a; fermata_websocket /b;"), "duplicate"),
                          (dict(http="fermata_websocket_max x;"), "invalid number"),
                          (dict(http="fermata_websocket_release x;"), "invalid value")):
        gate = make_gate(**change)
        done = gate.run("-t")
        assert done.returncode == 1 and fault in done.stderr, done.stderr
        (gate.prefix / "error.log").write_text("")


# the handshake

def test_handshake(closed_gate):
    raw = Raw(closed_gate.port)
    assert raw.status == 101 and raw.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert raw.headers["upgrade"] == "websocket" and raw.headers["connection"] == "upgrade"
    assert "content-length" not in raw.headers and "transfer-encoding" not in raw.headers
    wait_for(lambda: '101 closed - ' in (closed_gate.prefix / "access.log").read_text(), 10)


@pytest.mark.parametrize("line, changes, wanted", [
    ("POST /ws HTTP/1.1", {}, 400),
    ("GET /ws HTTP/1.0", {}, 400),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Key": None}, 400),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Key": "A" * 24}, 400),
    ("GET /ws HTTP/1.1", {"Content_Length": "5"}, 400),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Version": None}, 426),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Version": "8"}, 426),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Version": "12"}, 426),
    ("GET /ws HTTP/1.1", {"Sec_WebSocket_Version": "130"}, 426)])
def test_faulty_handshake(closed_gate, coordinator, line, changes, wanted):
    raw = Raw(closed_gate.port, line, **changes)
    assert raw.status == wanted
    if wanted == 426:
        assert raw.headers["sec-websocket-version"] == "13"
    assert status(closed_gate.port)["tabs"] == 0


def test_one_who_does_not_wait_for_the_answer(closed_gate):
    raw = Raw(closed_gate.port, early=client_frame(PING, b"early") + client_frame(TEXT, b"ping")[:3])
    assert raw.status == 101
    assert raw.frame_of(PONG) == b"early"
    raw.send(client_frame(TEXT, b"ping")[3:] + client_frame(PING, b"late"))
    assert raw.frame_of(PONG) == b"late"


def test_big_header(closed_gate):
    """Its buffers are freed while the tab waits."""
    raw = Raw(closed_gate.port, Cookie="x" * 6000, early=client_frame(PING, b"still"))
    assert raw.status == 101 and raw.frame_of(PONG) == b"still"
    raw.send(client_frame(CLOSE, struct.pack(">H", 1001)))
    assert raw.end() == 1001


def test_gone_before_the_answer(closed_gate, coordinator):
    text = "".join(f"{k}: {v}\r\n" for k, v in HANDSHAKE.items())
    for _ in range(50):
        sock = socket.create_connection(("127.0.0.1", closed_gate.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(f"GET /ws HTTP/1.1\r\n{text}\r\n".encode())
        sock.close()
    wait_for(lambda: status(closed_gate.port)["tabs"] == 0, 10, "none to be left")


# frames

def test_pings(closed_gate, loop):
    tab = Tab(loop, closed_gate.port)
    for data in (b"", b"1", b"x" * 125):
        tab.ping(data)
    tab.say("ping")
    tab.say('{"type":"auth:token","payload":{"token":"' + "t" * 3000 + '"}}')
    tab.ping(b"after them")
    assert len(tab.heard) == 1 and tab.ended is None


def test_byte_by_byte(closed_gate):
    raw = Raw(closed_gate.port)
    data = (client_frame(TEXT, b"a" * 200, fin=False) + client_frame(PING, b"middle")
            + client_frame(0, b"b" * 130) + client_frame(PING, b"end"))
    for i in range(len(data)):
        raw.send(data[i:i + 1])
    assert raw.frame_of(PONG) == b"middle" and raw.frame_of(PONG) == b"end"


ENDS = {
    "no mask": (client_frame(TEXT, b"x", mask=None), 1002),
    "long ping": (client_frame(PING, b"x" * 126), 1002),
    "ping in parts": (client_frame(PING, b"x", fin=False), 1002),
    "reserved bit": (client_frame(0x41, b"x"), 1002),
    "unknown data": (client_frame(3, b"x"), 1002),
    "unknown control": (client_frame(11, b"x"), 1002),
    "nothing to go on": (client_frame(0, b"x"), 1002),
    "message in a message": (client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"x"), 1002),
    "half a code": (client_frame(CLOSE, b"x"), 1002),
    "forbidden code": (client_frame(CLOSE, struct.pack(">H", 1006)), 1002),
    "64 KiB": (client_frame(TEXT, b"x", size=65536), 1009),
    "1 TiB": (client_frame(TEXT, b"x", size=1 << 40), 1009),
    "negative": (client_frame(TEXT, b"x", size=1 << 63), 1002),
    "many of nothing": (client_frame(TEXT, fin=False) + client_frame(0, fin=False) * 12000, 1008),
    "many": (client_frame(TEXT, b"x" * 300) * 2000, 1009),
    "close": (client_frame(CLOSE), 1000),
    "close with a reason": (client_frame(CLOSE, struct.pack(">H", 4000) + b"why"), 4000)}


@pytest.mark.parametrize("data, code", ENDS.values(), ids=ENDS)
def test_frames_that_end_it(closed_gate, coordinator, data, code):
    workers = set(wait_for(lambda: (pids := closed_gate.worker_pids()) and len(pids) == 4 and pids, 10, "all workers"))
    raw = Raw(closed_gate.port)
    raw.send(data)
    assert raw.end() == code
    wait_for(lambda: status(closed_gate.port)["tabs"] == 0, 10, "its end")
    assert set(closed_gate.worker_pids()) == workers


def test_a_flood_after_a_fault(closed_gate):
    """What comes after a fault is thrown away for a while, not for ever."""
    raw = Raw(closed_gate.port)
    raw.send(client_frame(3))
    with pytest.raises(OSError):
        for _ in range(4000):
            raw.send(b"x" * 4096)
    wait_for(lambda: status(closed_gate.port)["tabs"] == 0, 10, "its end")


def test_the_dead_are_found(make_gate, coordinator, loop):
    """Who answers pings stays, who says nothing for the time goes."""
    gate = make_gate(server="fermata_websocket_timeout 900ms;").start()
    coordinator.wait_up()
    living, dead = Tab(loop, gate.port), Raw(gate.port)
    began = time.monotonic()
    assert dead.frame_of(PING) == b""
    assert dead.end() is None
    assert 0.8 < time.monotonic() - began < 5
    wait_for(lambda: time.monotonic() - began > 3, 10)
    assert living.ended is None and status(gate.port)["tabs"] == 1


# limits

def test_limit(make_gate, coordinator, loop):
    gate = make_gate(workers=1, http="fermata_websocket_max 2;").start()
    coordinator.wait_up()
    two = [Tab(loop, gate.port) for _ in range(2)]
    third = Raw(gate.port)
    assert third.status == 503 and int(third.headers["retry-after"]) > 0
    two[0].close()
    wait_for(lambda: status(gate.port)["tabs"] == 1, 10)
    assert Raw(gate.port).status == 101


def test_visitors_first(make_gate, coordinator):
    """When connections become scarce, tabs make room, and nobody is refused."""
    gate = make_gate(workers=1, http="fermata_websocket_max 480;").start()
    coordinator.wait_up()
    some = [Raw(gate.port) for _ in range(400)]
    idle = []
    for _ in range(200):
        sock = socket.create_connection(("127.0.0.1", gate.port), 15)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 503")
        idle.append(sock)
    left = status(gate.port)["tabs"]
    print(f"{left} of 400 tabs are left beside 200 connections")
    assert 100 < left < 400
    for sock in idle:
        sock.close()
    for raw in some:
        raw.close()


# nginx around it

def test_reload(closed_gate, coordinator, loop):
    """Old workers send their tabs away and end; the tabs are taken up by the new ones."""
    some = [Tab(loop, closed_gate.port) for _ in range(12)]
    tabs(coordinator, 12)
    old = closed_gate.reload()
    assert {tab.wait_end() for tab in some} == {1012}
    wait_for(lambda: not any(alive(p) for p in old), 10, "old workers to end")
    again = [Tab(loop, closed_gate.port) for _ in range(12)]
    for tab in again:
        tab.wait_told("Upgrade")
    wait_for(lambda: status(closed_gate.port)["tabs"] == 12, 10)
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    assert {tab.wait_end() for tab in again} == {1012}


def test_quit_and_stop(make_gate, coordinator, loop):
    for number in (signal.SIGQUIT, signal.SIGTERM):
        gate = make_gate().start()
        coordinator.wait_up()
        tab = Tab(loop, gate.port)
        tab.wait_told("maintained")
        pids = gate.all_pids()
        os.kill(gate.master, number)
        tab.wait_end()
        wait_for(lambda: not any(alive(p) for p in pids), 15, "nginx to end")


def test_killed_workers(closed_gate, coordinator, loop):
    some = [Tab(loop, closed_gate.port) for _ in range(8)]
    tabs(coordinator, 8)
    for pid in closed_gate.worker_pids():
        os.kill(pid, signal.SIGKILL)
    for tab in some:
        tab.wait_end()
    tabs(coordinator, 0)
    wait_for(lambda: len(closed_gate.worker_pids()) == 4, 10)
    Tab(loop, closed_gate.port).wait_told("Upgrade")


def test_new_binary(closed_gate, coordinator, loop):
    old = closed_gate.master
    before = [Tab(loop, closed_gate.port) for _ in range(4)]
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: closed_gate.master not in (None, old) and len(closed_gate.worker_pids()) == 4,
             20, "the new master")
    closed_gate.all_pids()
    wait_for(lambda: len(coordinator.live()) == 2, 10, "two sessions")
    coordinator.ask(wire.CLOSED, message="both")
    for tab in before:
        tab.wait_told("both")
    os.kill(old, signal.SIGQUIT)
    assert {tab.wait_end() for tab in before} == {1012}
    wait_for(lambda: not alive(old), 20, "the old master to end")
    Tab(loop, closed_gate.port).wait_told("both")


def test_tls(make_gate, coordinator, loop):
    gate = make_gate(workers=1)
    key, cert = certificate(gate.prefix)
    gate.configure(http=f"server {{ listen 127.0.0.1:{(port := free())} ssl; fermata on; "
                        f"ssl_certificate {cert}; ssl_certificate_key {key}; "
                        "location / { proxy_pass http://app; } }")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="m")
    some = [Tab(loop, port, tls=True) for _ in range(5)]
    for tab in some:
        tab.wait_told("m")
        tab.ping(b"x" * 125)
    coordinator.ask(wire.CLOSED, message="next")
    for tab in some:
        tab.wait_told("next")
    gate.reload()
    assert {tab.wait_end() for tab in some} == {1012}
    again = Tab(loop, port, tls=True)
    again.wait_told("next")
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, refresh=True)
    assert again.wait_end() == 1012 and again.last()["refresh"] is True


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_http2_gets_the_page(make_gate, coordinator):
    gate = make_gate(listen="http2").start()
    coordinator.wait_up()
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
                           "--http2-prior-knowledge", f"http://127.0.0.1:{gate.port}/ws"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "2 503"
