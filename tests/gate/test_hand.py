"""Break-glass: the gate is closed and opened by hand on its own host, without a coordinator."""
import json
import os
import pathlib
import signal
import subprocess

import pytest

import wire
from client import Ahead, Load, WebSocket, request, status
from coordinator import Coordinator
from gate import ROOT, alive
from wait import wait_for

FERMATA = os.environ.get("FERMATA_CLI", str(ROOT / "build" / "coordinator" / "fermata"))


def hand(gate, *words, user=None):
    return subprocess.run([FERMATA, "gate", *words, "--local", "--state", str(gate.prefix / "state")],
                          capture_output=True, text=True, timeout=60, user=user)


def seen(gate):
    log = gate.prefix / "error.log"
    log.write_text(log.read_text().replace("[alert]", "[seen]"))


@pytest.fixture
def alone(open_gate, coordinator):
    """An open gate whose coordinator has died."""
    coordinator.close()
    wait_for(lambda: not status(open_gate.port)["connected"], 10, "the loss of the coordinator")
    return open_gate


def test_close_and_open(alone, backends):
    socket = WebSocket(alone.port)
    load = Load(alone.port, clients=4)
    try:
        wait_for(lambda: len(load.answers) > 50, 20, "load")
        done = hand(alone, "close")
        assert done.returncode == 0, done.stderr
        assert "closed, in 4 workers of 1 generations" in done.stdout and "by hand of root" in done.stdout
        assert "fermata gate resume --local" in done.stderr
        assert socket.closed_at()
        wait_for(lambda: status(alone.port)["in_flight"] == 0, 10, "the requests of before")
        total, count = backends.total(), len(load.answers)
        wait_for(lambda: len(load.answers) > count + 100, 20, "load on a closed gate")
        assert backends.total() == total
        assert hand(alone, "open").returncode == 0
        wait_for(lambda: backends.total() > total, 20, "visitors at the nodes")
    finally:
        load.stop()
    assert set(load.statuses()) == {200, 503} and load.faults == []
    assert status(alone.port)["by_hand"]
    assert alone.log().count("[alert]") == 2 and "the gate is open by hand of root" in alone.log()
    done = hand(alone, "resume")
    assert done.returncode == 0 and "open, in 4 workers" in done.stdout
    assert status(alone.port)["override"] == "none" and not status(alone.port)["by_hand"]


@pytest.mark.parametrize("how", ["reload", "restart", "kill -9", "new binary"])
def test_it_stays(alone, backends, how):
    """By hand until by hand: over every end of nginx, and no coordinator's word changes it."""
    assert hand(alone, "close").returncode == 0
    if how == "reload":
        alone.reload()
    elif how == "new binary":
        old = alone.master
        os.kill(old, signal.SIGUSR2)
        wait_for(lambda: alone.master not in (None, old) and len(alone.worker_pids()) == 4, 20)
        alone.all_pids()
    else:
        if how == "restart":
            alone.stop()
        else:
            # the master first, or it has a worker again at once
            left = alone.all_pids() - {alone.master}
            os.kill(alone.master, signal.SIGKILL)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not alone.living(), 10)
        alone.pids.clear()
        alone.start()
    assert all(request(alone.port).status == 503 for _ in range(20))
    if how == "new binary":
        # one of the two is asked, and both obey
        assert hand(alone, "resume").returncode == 0
        wait_for(lambda: all(request(alone.port).status == 200 for _ in range(20)), 10, "both to obey")
        os.kill(old, signal.SIGQUIT)
        wait_for(lambda: not alive(old), 20)
    else:
        assert backends.total() == 0
        assert hand(alone, "resume").returncode == 0
        assert request(alone.port).status == 200
    seen(alone)


def test_the_coordinator_is_told_and_does_not_overrule(alone, coordinator):
    assert hand(alone, "close").returncode == 0
    again = Coordinator(coordinator.port)
    again.seq = coordinator.seq
    session = again.wait_up()
    report = session.last
    assert (report["override"], report["override_by"], report["mode"]) == (2, "root", 2)
    voice, _ = again.send_ask(wire.OPEN)
    again.wait_force(voice)
    # heard, kept, and not done: the report says how it is
    assert session.last["mode"] == wire.CLOSED and session.last["seq"] == voice[1]
    assert request(alone.port).status == 503
    assert hand(alone, "resume").returncode == 0
    again.wait_report(lambda r: r["override"] == 0 and r["mode"] == wire.OPEN)
    assert request(alone.port).status == 200
    again.close()
    seen(alone)


def test_refused_while_the_coordinator_is_there(open_gate):
    done = hand(open_gate, "close")
    assert done.returncode == 3 and "fermata page on" in done.stderr and "--force" in done.stderr
    assert request(open_gate.port).status == 200
    done = hand(open_gate, "close", "--force")
    assert done.returncode == 0 and request(open_gate.port).status == 503
    done = hand(open_gate, "open")
    assert done.returncode == 3 and "fermata page off" in done.stderr
    assert hand(open_gate, "resume").returncode == 0 and request(open_gate.port).status == 200
    seen(open_gate)


def test_status(open_gate, coordinator, backends):
    held = Ahead(open_gate.port, "/hold/1")
    wait_for(lambda: backends.total() == 1, 5)
    name = next(n for n, d in backends.nodes.items() if d.requests)
    coordinator.ask(wire.CLOSED)       # what is under way is counted while it matters
    done = hand(open_gate, "status")
    assert done.returncode == 0 and done.stderr == ""
    assert "coordinator: connected" in done.stdout
    assert f"  {name}: 1 requests, 0 websockets" in done.stdout
    told = json.loads(hand(open_gate, "status", "--json").stdout)
    assert (told["mode"], told["in_flight"], told["override"]) == ("closed", "1", "none")
    assert f"{name} 1 0 0" in told["nodes"]
    backends.release(name, "/hold/1")
    assert held.done().answer.status == 200


def test_nobody_there(alone):
    """Taken back: what was not carried out now is not carried out later."""
    alone.stop()
    alone.pids.clear()
    done = hand(alone, "close")
    assert done.returncode == 1 and "nothing was done" in done.stderr and "next: " in done.stderr
    assert [p.name for p in (alone.prefix / "state").iterdir() if "request" in p.name] == []
    alone.start()
    assert request(alone.port).status == 200


def test_wrong_ways(alone, backends):
    bad = subprocess.run([FERMATA, "gate", "close"], capture_output=True, text=True)
    assert bad.returncode == 2 and "--local" in bad.stderr and "fermata page on" in bad.stderr
    bad = subprocess.run([FERMATA, "gate", "close", "--local", "--state", "/nowhere"],
                         capture_output=True, text=True)
    assert bad.returncode == 1 and "fermata_state" in bad.stderr
    # nobody but root and nginx's user gets in at all
    state = alone.prefix / "state"
    bad = hand(alone, "close", user="nobody")
    assert bad.returncode == 1 and "root" in bad.stderr
    # a file of somebody else, carried there, is not heard; nor is what is no request
    for name, owner in (("request.close.0123456789abcdef", 65534), ("request.close.xyz", 0),
                        ("request.explode.0123456789abcdef", 0), ("request.close", 0)):
        (state / name).write_text("")
        os.chown(state / name, owner, owner)
    os.symlink("/etc/passwd", state / "request.close.fedcba9876543210")
    wait_for(lambda: "of user 65534 is not heard" in alone.log()
             and alone.log().count("is not heard") == 2, 10, "the foreign request to be seen")
    assert request(alone.port).status == 200 and pathlib.Path("/etc/passwd").exists()
    seen(alone)


def test_damaged_override(alone):
    """Somebody wanted something else than the coordinator: the page, and it is said."""
    assert hand(alone, "open").returncode == 0
    alone.stop()
    alone.pids.clear()
    path = alone.prefix / "state" / "override"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    alone.start()
    assert request(alone.port).status == 503
    assert "is not a state file" in alone.log()
    assert hand(alone, "resume").returncode == 0 and request(alone.port).status == 200
    seen(alone)
