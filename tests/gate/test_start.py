"""fermata_start_wait: a gate that was away obeys the newest ask before it serves its first request."""
import os
import signal
import time

import pytest

import wire
from client import Load, request, status
from coordinator import Coordinator
from gate import alive
from test_hand import hand
from wait import wait_for


def again(gate):
    """As after a boot: nginx comes back, and finds its state."""
    gate.stop()
    gate.pids.clear()
    gate.start()


def test_it_obeys_before_it_serves(make_gate, coordinator, backends):
    """Closed while it was away: not one request is let through by what its file says."""
    gate = make_gate(start_wait="30s").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    gate.stop()
    gate.pids.clear()
    coordinator.greets = False          # it is slow to answer
    gate.start()
    load = Load(gate.port, clients=4)
    try:
        wait_for(lambda: len(load.answers) > 200, 20, "visitors")
        assert status(gate.port)["waiting"] and status(gate.port)["mode"] == "closed"
        session = wait_for(lambda: next((s for s in coordinator.sessions if s.hello and not s.ended), None), 10, "a Hello")
        session.send(wire.frame(wire.WELCOME, major=1, cluster="demo", epoch=1, heartbeat_ms=1000,
                                lost_ms=3000))
        wait_for(lambda: session.last, 10, "a report")
        assert session.last["waiting"] == 1 and session.last["mode"] == wire.CLOSED
        coordinator.ask(wire.CLOSED)
        wait_for(lambda: not status(gate.port)["waiting"], 10)
    finally:
        load.stop()
    assert set(load.statuses()) == {503} and backends.total() == 0


@pytest.mark.parametrize("said", ["the same ask", "no opinion"])
def test_told_that_nothing_has_changed(make_gate, coordinator, said):
    gate = make_gate(start_wait="30s").start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app2")
    again(gate)
    coordinator.wait_up()
    assert request(gate.port).status == 503
    if said == "the same ask":
        coordinator.send_ask(wire.PINNED, pinned="app2", seq=coordinator.seq)
    else:
        coordinator.send_ask(0)
    wait_for(lambda: not status(gate.port)["waiting"], 10, "the end of the wait")
    assert request(gate.port).getheader("X-Node") == "app2"
    coordinator.wait_report(lambda r: r["mode"] == wire.PINNED and not r["waiting"])


def test_an_older_word_ends_no_wait(make_gate, coordinator):
    gate = make_gate(start_wait="30s").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, epoch=5, seq=5)
    again(gate)
    coordinator.wait_up()
    coordinator.send_ask(wire.OPEN, epoch=4, seq=9)
    coordinator.wait_report(lambda r: "is refused" in r["error"])
    assert status(gate.port)["waiting"] and request(gate.port).status == 503
    coordinator.ask(wire.OPEN, epoch=6, seq=1)
    assert request(gate.port).status == 200


def test_no_coordinator(make_gate, coordinator):
    """It waits as long as it was told to, says so, and goes on as it was."""
    gate = make_gate(start_wait="1500ms").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.close()
    again(gate)
    began = time.monotonic()
    assert request(gate.port).status == 503
    wait_for(lambda: request(gate.port).status == 200, 20, "the end of the wait")
    assert time.monotonic() - began > 0.5
    assert "no word from a coordinator, 1.1 is in force again" in gate.log()
    # a new manager, or a reload, is no start
    gate.reload()
    assert all(request(gate.port).status == 200 for _ in range(20))


def test_forever(make_gate, coordinator, backends):
    """Nobody is served before a coordinator has spoken, or root has opened it on this host."""
    gate = make_gate(start_wait="forever").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    port = coordinator.port
    coordinator.close()
    again(gate)
    time.sleep(4)   # longer than it would be if nothing were said
    assert request(gate.port).status == 503 and status(gate.port)["waiting"]
    assert backends.total() == 0 and "however long that takes" in gate.log()
    gate.reload()
    assert request(gate.port).status == 503
    assert hand(gate, "open").returncode == 0 and request(gate.port).status == 200
    assert hand(gate, "resume").returncode == 0 and request(gate.port).status == 503
    back = Coordinator(port)
    back.wait_up()
    back.send_ask(wire.OPEN)
    wait_for(lambda: request(gate.port).status == 200, 20, "the end of the wait")
    back.close()


def test_wrong_wait(make_gate):
    for line, said in (("soon", "invalid value"), ("forever; fermata_start_wait 1s", "is duplicate"),
                       ("1s; fermata_start_wait forever", "is duplicate")):
        gate = make_gate(start_wait=line)
        done = gate.run("-t")
        assert done.returncode != 0 and said in done.stderr
        (gate.prefix / "error.log").write_text("")


def test_who_does_not_wait(make_gate, coordinator):
    """A closed gate has nothing to wait with; a new binary was not away; nor one without coordinator."""
    gate = make_gate(start_wait="30s").start()
    assert not status(gate.port)["waiting"]
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    old = gate.master
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: gate.master not in (None, old) and len(gate.worker_pids()) == 4, 20)
    gate.all_pids()
    assert {request(gate.port).status for _ in range(40)} == {200}
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: not alive(old), 20)
    gate.configure(coordinator="")
    again(gate)
    assert request(gate.port).status == 200


def test_the_manager_dies_while_it_waits(make_gate, coordinator):
    gate = make_gate(start_wait="30s").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    again(gate)
    pid = wait_for(gate.manager_pid, 10)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gate.manager_pid() not in (None, pid), 10)
    assert request(gate.port).status == 503 and status(gate.port)["waiting"]
    coordinator.wait_up()
    coordinator.send_ask(wire.OPEN, seq=coordinator.seq)
    wait_for(lambda: request(gate.port).status == 200, 10, "the end of the wait")


def test_closed_again_and_cannot_be_written(make_gate, coordinator):
    """Told to close, and the disk refuses: the wait does not end in serving."""
    gate = make_gate(start_wait="1s").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.greets = False
    again(gate)
    other = Coordinator()
    gate.configure(coordinator=f"fermata_coordinator 127.0.0.1:{other.port} name=gate1;")
    again(gate)
    other.wait_up()
    os.rename(gate.prefix / "state", gate.prefix / "away")
    voice, _ = other.send_ask(wire.CLOSED, epoch=2)
    other.wait_report(lambda r: "state file" in r["error"])
    began = time.monotonic()
    session = other.live()[-1]
    wait_for(lambda: time.monotonic() > began + 2.5 and session.last, 10)
    assert request(gate.port).status == 503 and status(gate.port)["waiting"]
    os.rename(gate.prefix / "away", gate.prefix / "state")
    other.wait_force(voice)
    assert request(gate.port).status == 503 and not status(gate.port)["waiting"]
    other.close()
    log = gate.prefix / "error.log"
    log.write_text(log.read_text().replace("[alert]", "[seen]"))
