"""Drained is proved: over generations of workers, over clocks that jump, within the limit."""
import pathlib
import subprocess
import time

import pytest

import gate as gates
import wire
from client import Ahead, WebSocket, request, status
from wait import wait_for


def on(backends, path):
    return next((n for n, d in backends.nodes.items() if any(r[2] == path for r in d.requests)), None)


def node(report, name):
    return next(n for n in report["nodes"] if n["name"] == name)


def test_old_generations_are_proved_too(open_gate, coordinator, backends):
    """A request, an upload and websockets in workers of before the reload, kept connections in those of
    after it: the count has all of them, the limit cuts them, and then the node's server may end."""
    held = Ahead(open_gate.port, "/hold/old")
    sockets = [WebSocket(open_gate.port) for _ in range(9)]
    name = wait_for(lambda: on(backends, "/hold/old"), 5)
    open_gate.reload()
    wait_for(lambda: len(coordinator.live()) == 1, 10, "the new manager alone")
    for i in range(24):
        assert request(open_gate.port, f"/{i}").status == 200
    assert backends[name].connections > 1
    voice, _ = coordinator.send_ask(wire.OPEN, drained=[name], cut_after_ms=1500)
    coordinator.wait_force(voice)
    first = next(r for _, r in coordinator.live()[-1].reports if (r["epoch"], r["seq"]) == voice)
    assert first["generations"] == 2 and node(first, name)["in_flight"] == 1
    assert all(s.closed_at() for s in sockets if s.node == name)
    coordinator.wait_report(lambda r: r["seq"] == voice[1] and node(r, name)["in_flight"] == 0
                            and node(r, name)["websockets"] == 0 and node(r, name)["idle"] == 0)
    assert held.done().answer.status == 503 and "right back" in held.answer.text
    wait_for(lambda: backends[name].connections == 0, 5, "every connection to the node to close")
    assert all(s.echo() for s in sockets if s.node != name)
    for s in sockets:
        s.close()
    coordinator.wait_report(lambda r: r["generations"] == 1)


def test_kept_connections_are_counted_where_they_may_stay(open_gate, coordinator, backends):
    for i in range(30):
        assert request(open_gate.port, f"/{i}").status == 200
    voice, _ = coordinator.send_ask(wire.OPEN, drained=["app2"])
    coordinator.wait_force(voice)
    coordinator.wait_report(lambda r: node(r, "app2")["idle"] == 0 and r["idle"] > 0)
    wait_for(lambda: backends["app2"].connections == 0, 5)
    report = coordinator.live()[-1].last
    for name in ("app1", "app3"):
        assert node(report, name)["idle"] == backends[name].connections > 0
    seen = {n["name"]: n["idle"] for n in status(open_gate.port)["nodes"]}
    assert seen == {n["name"]: n["idle"] for n in report["nodes"]}


def test_between_two_tries(make_gate, coordinator, backends):
    """A request that one node has failed and another holds is under way at each moment."""
    servers = " ".join(f"server 127.0.0.1:{n.port} max_fails=0;" for n in backends.nodes.values())
    gate = make_gate(workers=1, servers=servers, keepalive="",
                     location="proxy_next_upstream error timeout non_idempotent;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, drained=["app3"])
    backends.stop_listening("app1")
    held = [Ahead(gate.port, f"/hold/{i}", method="POST", body=b"x") for i in range(4)]
    wait_for(lambda: backends.total() == 4, 10, "all of them at the second node")
    voice, _ = coordinator.send_ask(wire.OPEN, drained=["app3", "app2"], cut_after_ms=0)
    coordinator.wait_force(voice)
    report = next(r for _, r in coordinator.live()[-1].reports if (r["epoch"], r["seq"]) == voice)
    assert node(report, "app2")["in_flight"] == 4 and node(report, "app1")["in_flight"] == 0
    for i in range(4):
        backends.release("app2", f"/hold/{i}")
    coordinator.wait_report(lambda r: r["seq"] == voice[1] and node(r, "app2")["in_flight"] == 0)
    assert [h.done().answer.status for h in held] == [200] * 4
    assert backends["app3"].requests == []


@pytest.mark.skipif(gates.ASAN, reason="preloads its own")
@pytest.mark.parametrize("jump", [-86400 * 400, 86400 * 400])
def test_a_clock_that_jumps(make_gate, coordinator, backends, tmp_path, jump):
    """The limit of a drain and the line to the coordinator know nothing of the wall clock."""
    source = pathlib.Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", tmp_path / "clock.so", source], check=True)
    tmp_path.chmod(0o755)
    offset = pathlib.Path("/tmp") / f"fermata-clock-{tmp_path.name}-{jump}"
    offset.write_text("0")
    gate = make_gate()
    gate.environment = lambda: dict(LD_PRELOAD=str(tmp_path / "clock.so"), CLOCK_FILE=str(offset))
    try:
        gate.start()
        session = coordinator.wait_up()
        coordinator.ask(wire.OPEN)
        held = Ahead(gate.port, "/hold/1")
        wait_for(lambda: backends.total() == 1, 10)
        coordinator.send_ask(wire.CLOSED, cut_after_ms=1500)
        began = time.monotonic()
        wait_for(lambda: session.last["mode"] == wire.CLOSED, 10)
        offset.write_text(str(jump))
        dates = time.strftime("%Y", time.gmtime(time.time() + jump))
        wait_for(lambda: dates in request(gate.port).getheader("Date"), 10, "the jump to be seen")
        held.done()
        assert held.answer.status == 503 and 1.4 < held.ended - began < 10
        count = len(session.beats)
        wait_for(lambda: len(session.beats) > count + 2, 15, "heartbeats after the jump")
        coordinator.ask(wire.OPEN)
        assert request(gate.port).status == 200 and session.ended is None
    finally:
        offset.unlink()


def test_more_nodes_than_there_may_be(make_gate):
    """32 are taken, 33 are refused at configuration, with the number."""
    for count in (32, 33):
        gate = make_gate(nodes=" ".join(f"n{i}=127.0.0.1:{20000 + i}" for i in range(count)),
                         servers=" ".join(f"server 127.0.0.1:{20000 + i};" for i in range(count)))
        done = gate.run("-t")
        assert done.returncode == (0 if count == 32 else 1), done.stderr
        if count == 33:
            assert "too many nodes" in done.stderr and "one more than 32" in done.stderr
        (gate.prefix / "error.log").write_text("")


def test_a_second_zone_takes_a_block(make_gate):
    gate = make_gate(http="fermata_zone other:512k;")
    done = gate.run("-t")
    assert done.returncode == 1 and 'another cluster takes a block "fermata_cluster"' in done.stderr
    (gate.prefix / "error.log").write_text("")
