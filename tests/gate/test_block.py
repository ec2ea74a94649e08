"""The page and its headers in one block: what leaves, and what becomes of it when it does not leave at once."""
import re
import socket

import pytest

import wire
from client import request
from test_page import read_answer
from wait import wait_for

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FILLING = "filling " * 6000


def sent(gate, path):
    """What nginx says of its calls while one request is answered, and the answer."""
    before = len(gate.log())
    answer = request(gate.port, path)
    ended = wait_for(lambda: re.search(r"(\d+#\d+: \*\d+ )http log handler", gate.log()[before:]))
    return "".join(line for line in gate.log()[before:].splitlines(True) if ended[1] in line), answer


@pytest.mark.parametrize("path", ["/", "/api/x", "/fermata-live"])
def test_one_call_takes_all(make_gate, coordinator, path):
    gate = make_gate(level="debug", workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    said, _ = sent(gate, path)
    (taken, of), = re.findall(r"send: fd:\d+ (\d+) of (\d+)", said)
    assert taken == of and "writev:" not in said


def test_no_more_at_once_than_the_rate_allows(make_gate, coordinator):
    gate = make_gate(level="debug", workers=1, server="fermata_page html own.html; limit_rate 30k;")
    (gate.prefix / "own.html").write_text(FILLING)
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    said, answer = sent(gate, "/")
    assert answer.text == FILLING and " send: fd" not in said and said.count(" writev: ") > 1


@pytest.mark.parametrize("more", ["", "limit_rate 100k;", "postpone_output 0;"])
def test_slow_reader_gets_each_page_whole(make_gate, coordinator, more):
    gate = make_gate(workers=1, listen="sndbuf=4096", server=f"fermata_page html own.html; {more}")
    (gate.prefix / "own.html").write_text("{{message}}\n" + FILLING + "{{message}}\n")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="first")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", gate.port))
        sock.sendall(ASKED * 3)
        assert sock.recv(1, socket.MSG_PEEK) == b"H"
        coordinator.ask(wire.CLOSED, message="second")
        for _ in range(3):                  # others, whose headers go into the same room
            assert request(gate.port, X="y").text == f"second\n{FILLING}second\n"
        file = sock.makefile("rb")
        for message in ("first", "second", "second"):
            status, headers, body = read_answer(file)
            assert status == 503 and body.decode() == f"{message}\n{FILLING}{message}\n"
            assert "retry-after" in headers


@pytest.mark.parametrize("length", [1, 1500, 2048, 2500, 3900])
def test_long_headers(make_gate, coordinator, length):
    gate = make_gate(level="debug", workers=1, server=f"add_header X-Long {'l' * length} always; postpone_output 8k;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="first")
    for path in ("/", "/api/x") * 2:
        said, answer = sent(gate, path)
        assert answer.status == 503 and answer.getheader("X-Long") == "l" * length
        assert len(answer.text) == int(answer.getheader("Content-Length")) and "first" in answer.text
        assert ("writev:" in said) == (length >= 2048)


def test_filters_may_change_the_page(make_gate, coordinator):
    gate = make_gate(server="sub_filter first second; sub_filter_once off;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="first")
    for _ in range(3):
        text = request(gate.port).text
        assert "second" in text and "first" not in text and text.endswith("</html>\n")
