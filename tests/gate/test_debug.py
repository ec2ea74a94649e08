"""error_log ... debug: what the gate says of each request and of itself, in nginx's manner."""
import concurrent.futures
import os
import pathlib
import re
import subprocess

import pytest

import wire
from client import Ahead, WebSocket, request, status
from gate import ASAN, NGINX, ROOT, module
from test_bypass import cookie, token
from test_hand import hand
from wait import wait_for

MODULE = ROOT / "ngx_module"
HEADERS = pathlib.Path("/usr/share/nginx/src")

with_debug = pytest.mark.skipif(
    "--with-debug" not in subprocess.run([NGINX, "-V"], capture_output=True, text=True).stderr,
    reason="this nginx is built without debug logging")


def texts():
    """Every text of a debug message, up to its first value; not those that begin with one."""
    found = []
    for path in sorted(MODULE.glob("ngx_*.c")):
        for text in re.findall(r'ngx_log_debug\d\([^"]*"((?:[^"\\]|\\.)*)"', path.read_text()):
            found.append(re.split(r'%|\\"', text)[0].strip())
    return [text for text in found if text != "fermata"]


class Debug:
    """A gate at the level of debug, and what it has written since the last look."""

    def __init__(self, gate):
        self.gate, self.at = gate, 0

    def says(self, *wanted):
        def all_there():
            fresh = self.gate.log()[self.at:]
            return all(re.search(f"\\[debug\\] [^\n]*fermata {w}", fresh) for w in wanted)
        wait_for(all_there, 20, lambda: f"{wanted} in {self.fresh()}")
        self.at = len(self.gate.log())

    def fresh(self):
        return "\n".join(line for line in self.gate.log()[self.at:].splitlines() if "fermata" in line)


@pytest.fixture
def debug(make_gate, coordinator):
    gate = make_gate(level="debug", workers=2, server="fermata_hold 20s;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    return Debug(gate)


@with_debug
def test_the_way_of_a_request(debug, coordinator, backends):
    gate = debug.gate
    debug.says("dials coordinator 127.0.0.1", "frame in", "frame out", "ask 1.1: taken, mode:1",
               "state 1.1 written: 0", "node 2 is \"app3\" at 127.0.0.1", "slot 1", "change .* seen, word:01",
               "reports 1.1, in flight:0")
    assert request(gate.port).status == 200
    debug.says("gate is open")
    held = Ahead(gate.port, "/hold/1")
    name = wait_for(lambda: next((n for n, d in backends.nodes.items()
                                  if any(r[2] == "/hold/1" for r in d.requests)), None), 10)
    coordinator.ask(wire.PINNED, pinned="app2")
    debug.says("adopts a request, node:", "limits tries, word:03", "word:03.* cut:0")
    backends.release(name, "/hold/1")
    assert held.done().answer.status == 200
    debug.says("frees node .* last:1", "settles a request, in flight:0")
    assert request(gate.port).getheader("X-Node") == "app2"
    debug.says("verdict: pass, word:03", "takes node 1")
    for _ in range(3):
        request(gate.port)
    debug.says("rejects node")
    socket = WebSocket(gate.port)
    assert socket.status == 101
    debug.says("counts a websocket, node:1")
    coordinator.ask(wire.CLOSED)
    assert socket.closed_at() and request(gate.port, Accept="text/html").status == 503
    debug.says("closes a connection, upgraded:1", "verdict: page", "refuses: kind 0", "page: kind 0")
    assert request(gate.port, "/api/x").status == 503
    debug.says("verdict: refuse", "refuses: kind 1")
    tab = WebSocket(gate.port)
    assert tab.status == 101
    debug.says("handshake of a tab: 0", "keeps an open tab", "news")
    tab.close()
    debug.says("closes a tab")


@with_debug
def test_holding(debug, coordinator):
    gate = debug.gate
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"])
    waiting = Ahead(gate.port, "/")
    wait_for(lambda: status(gate.port)["held"] == 1, 10, "one held")
    debug.says("verdict: hold", "holds a request, at most")
    coordinator.ask(wire.OPEN)
    assert waiting.done().answer.status == 200
    debug.says("judges a held request anew", "gate is open")


@with_debug
def test_operators_without_their_secrets(debug, coordinator):
    gate, key = debug.gate, os.urandom(32)
    coordinator.ask(wire.CLOSED, run=7, bypass={"key": key, "node": "app1", "shut": 0})
    secret = token(key)
    # what nginx itself writes of what it receives is not ours
    before = len(gate.log())
    assert request(gate.port, **cookie(secret)).status == 200
    debug.says("bypass by cookie: 0", "verdict: pass, .* bypass:1")
    assert request(gate.port, f"/fermata-bypass/{secret}").status == 303
    debug.says("bypass by link: 0")
    ours = [line for line in gate.log()[before:].splitlines() if re.search(r"\d fermata ", line)]
    assert ours and not any(secret[-64:] in line or key.hex() in line for line in ours)


@with_debug
def test_by_hand_and_refused(debug, coordinator):
    gate = debug.gate
    coordinator.send_ask(wire.CLOSED, epoch=0, seq=9)
    debug.says("ask 0.9: stale, mode:2")
    assert hand(gate, "close", "--force").returncode == 0
    debug.says('request "close" by root, force:1', "override: mode:2", "word:02")
    assert hand(gate, "resume").returncode == 0
    debug.says('request "resume" by root', "override: mode:0")


def test_nothing_of_it_without_debug(tmp_path):
    """Compiled for an nginx without --with-debug not a text is left, nor a variable that nobody uses."""
    module()
    objs = ROOT / "build/ngx_module" / ("objs-asan" if ASAN else "objs-plain")
    if not (objs / "Makefile").exists() or not HEADERS.exists():
        pytest.skip("the module was given, not built here")
    makefile = (objs / "Makefile").read_text()
    includes = re.search(r"^ALL_INCS = ((?:.*\\\n)*.*)$", makefile, re.M).group(1).replace("\\\n", " ").split()
    flags = ["-O1", "-fPIC", "-W", "-Wall", "-Wpointer-arith", "-Wno-unused-parameter", "-Werror"]

    def compiled(path):
        target = tmp_path / f"{path.stem}.o"
        subprocess.run(["gcc", "-c", "-DNGX_DEBUG=0", *flags, *includes, "-o", target, path], check=True,
                       cwd=HEADERS, timeout=300)
        return target.read_bytes()

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        binaries = list(pool.map(compiled, sorted(MODULE.glob("ngx_*.c"))))
    given = [t.encode() for t in texts()]
    assert len(given) > 40
    left = [t for t in given if any(t in b for b in binaries)]
    assert left == []
