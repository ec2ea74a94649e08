"""What the gate does not forget, and who may not tell it what."""
import os
import random
import shutil
import signal
import socket
import struct
import time

import pytest

import wire
from client import Ahead, Load, WebSocket, request, status
from coordinator import Coordinator
from gate import alive, born
from wait import wait_for


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_for(lambda: not alive(pid), 10, f"{pid} to end")


def state(gate):
    seen = status(gate.port)
    return seen["mode"], seen["pinned"], seen["drained"], seen["epoch"], seen["seq"]


def test_reload(gate, coordinator, backends):
    for mode, more in ((wire.PINNED, dict(pinned="app2", drained=["app3"])), (wire.CLOSED, {}),
                       (wire.OPEN, dict(drained=["app1"]))):
        coordinator.ask(mode, **more)
        before = state(gate)
        load = Load(gate.port, clients=6, post_every=100)
        wait_for(lambda: len(load.answers) > 50, 10)
        gate.reload()
        count = len(load.answers)
        wait_for(lambda: len(load.answers) > count + 100, 10)
        load.stop()
        assert state(gate) == before
        got = {(a[2], a[3]) for a in load.answers}
        if mode == wire.CLOSED:
            assert got == {(503, None)}
        elif mode == wire.PINNED:
            assert got == {(200, "app2")}
        else:
            assert got == {(200, "app2"), (200, "app3")}


def test_after_reload_it_obeys(open_gate, coordinator, backends):
    """Old workers, kept alive by a websocket and a request, count and obey too."""
    sock = WebSocket(open_gate.port)
    held = Ahead(open_gate.port, "/hold/1")
    name = wait_for(lambda: next((n for n, d in backends.nodes.items()
                                  if any(r[2] == "/hold/1" for r in d.requests)), None), 5)
    instance = coordinator.live()[-1].hello["instance"]
    count = len(coordinator.sessions)
    old = open_gate.reload()
    wait_for(lambda: len(coordinator.sessions) > count and len(coordinator.live()) == 1, 10,
             "the new manager alone")
    assert coordinator.live()[-1].hello["instance"] == instance
    voice, _ = coordinator.send_ask(wire.CLOSED)
    coordinator.wait_force(voice)
    assert sock.closed_at()
    assert coordinator.live()[-1].last["in_flight"] == 1
    backends.release(name, "/hold/1")
    assert held.done().answer.status == 200
    coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["websockets"] == 0)
    wait_for(lambda: not any(alive(p) for p in old), 10, "old workers to end")


def test_reload_with_other_nodes(open_gate, coordinator, backends):
    """An index belongs to a name: another order in the file changes nobody's meaning."""
    coordinator.ask(wire.OPEN, drained=["app1", "app9"])
    a = {n: f"127.0.0.1:{d.port}" for n, d in backends.nodes.items()}
    open_gate.configure(nodes=f"app3={a['app3']} app9={a['app2']} app1={a['app1']}")
    old = open_gate.reload()
    wait_for(lambda: not any(alive(p) for p in old), 10, "old workers to end")
    assert {request(open_gate.port).getheader("X-Node") for _ in range(12)} == {"app3"}


def test_failed_reload(open_gate, coordinator):
    coordinator.ask(wire.PINNED, pinned="app1")
    before = state(open_gate)
    open_gate.configure(server="nonsense;")
    os.kill(open_gate.master, signal.SIGHUP)
    wait_for(lambda: "nonsense" in open_gate.log(), 10)
    assert state(open_gate) == before
    coordinator.ask(wire.CLOSED)
    assert request(open_gate.port).status == 503
    (open_gate.prefix / "error.log").write_text("")


def test_kill_worker(gate, coordinator, backends):
    coordinator.ask(wire.OPEN)
    held = [Ahead(gate.port, f"/hold/{i}") for i in range(8)]
    wait_for(lambda: backends.total() == 8, 5)
    coordinator.ask(wire.CLOSED)
    assert coordinator.live()[-1].last["in_flight"] == 8
    for pid in gate.worker_pids():
        kill(pid)
    # their requests are gone with them, and so are they from the count
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    wait_for(lambda: len(gate.worker_pids()) == 4, 10)
    assert request(gate.port).status == 503 and state(gate)[0] == "closed"
    coordinator.ask(wire.OPEN)
    assert request(gate.port).status == 200
    for h in held:
        h.thread.join(20)


def test_kill_old_worker(open_gate, coordinator, backends):
    """Nobody takes its place, so only its end tells that its request is gone."""
    held = Ahead(open_gate.port, "/hold/1")
    wait_for(lambda: backends.total() == 1, 5)
    old = [p for p in open_gate.reload() if alive(p)]
    wait_for(lambda: len(coordinator.live()) == 1, 10)
    coordinator.ask(wire.CLOSED)
    assert coordinator.live()[-1].last["in_flight"] == 1
    for pid in old:
        if alive(pid):
            kill(pid)
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    held.thread.join(20)


def test_kill_worker_during_a_change(open_gate, coordinator):
    """A stopped worker holds the proof back; killed, it does not."""
    victim = open_gate.worker_pids()[0]
    kill(victim, signal.SIGSTOP)
    voice, _ = coordinator.send_ask(wire.CLOSED)
    session = coordinator.live()[-1]
    count = len(session.reports)
    wait_for(lambda: len(session.reports) > count + 2, 10, "more reports")
    assert all((r["epoch"], r["seq"]) != voice for _, r in session.reports)
    kill(victim)
    coordinator.wait_force(voice)
    assert request(open_gate.port).status == 503


def test_kill_manager(gate, coordinator):
    coordinator.ask(wire.PINNED, pinned="app3")
    before = state(gate)
    for _ in range(3):
        old = gate.manager_pid()
        kill(old)
        wait_for(lambda: gate.manager_pid() not in (None, old), 10)
        wait_for(lambda: len(coordinator.live()) == 1, 10, "one session")
        assert state(gate) == before
    session = coordinator.live()[-1]
    assert (session.hello["epoch"], session.hello["seq"]) == before[3:]
    coordinator.ask(wire.CLOSED)
    assert request(gate.port).status == 503


def test_kill_manager_at_random(gate, coordinator):
    """Killed in the middle of anything: state file and zone agree, and asks go on."""
    rng = random.Random(7)
    for _ in range(12):
        mode = rng.choice((wire.OPEN, wire.CLOSED))
        voice, began = coordinator.send_ask(mode)
        pid = gate.manager_pid()
        delay = rng.random() * 0.004
        wait_for(lambda: time.monotonic() > began + delay)
        kill(pid)
        wait_for(lambda: gate.manager_pid() not in (None, pid) and coordinator.live(), 10)
        coordinator.send_ask(mode, epoch=voice[0], seq=voice[1])
        coordinator.wait_force(voice)
        assert request(gate.port).status == (200 if mode == wire.OPEN else 503)


@pytest.mark.parametrize("mode", ["open", "closed", "pinned"])
def test_kill_master(gate, coordinator, backends, mode):
    coordinator.ask(dict(open=wire.OPEN, closed=wire.CLOSED, pinned=wire.PINNED)[mode],
                    pinned="app2" if mode == "pinned" else "", message="kept words")
    before = state(gate)
    left = gate.all_pids() - {gate.master}
    kill(gate.master)
    # the workers are orphans, and still the gate
    assert state(gate) == before
    coordinator.send_ask(wire.CLOSED, seq=coordinator.seq + 1)
    coordinator.wait_force((1, coordinator.seq + 1))
    for pid in left:
        kill(pid)
    gate.pids.clear()
    gate.start()
    assert state(gate)[0] == "closed"
    assert "kept words" not in request(gate.port).text
    assert backends.total() == 0


def test_restart(gate, coordinator, backends):
    coordinator.ask(wire.PINNED, pinned="app2", message="kept words", drained=["app1"])
    before = state(gate)
    gate.stop()
    gate.pids.clear()
    coordinator.close()
    gate.start()
    assert state(gate) == before
    assert request(gate.port).getheader("X-Node") == "app2"


def test_binary_upgrade(gate, coordinator, backends):
    coordinator.ask(wire.CLOSED, message="kept words")
    before = state(gate)
    old = gate.master
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: gate.master not in (None, old) and len(gate.worker_pids()) == 4, 20,
             "the new master")
    gate.all_pids()
    # both answer, both closed, each with a zone and a session of its own
    for _ in range(40):
        assert request(gate.port).status == 503
        assert state(gate) == before
    wait_for(lambda: len(coordinator.live()) == 2, 10, "two sessions")
    assert len({s.hello["instance"] for s in coordinator.live()}) == 2
    coordinator.ask(wire.PINNED, pinned="app1")
    assert {request(gate.port).getheader("X-Node") for _ in range(40)} == {"app1"}
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: not alive(old), 20, "the old master to end")
    assert {request(gate.port).getheader("X-Node") for _ in range(10)} == {"app1"}
    assert len(coordinator.live()) == 1
    assert backends["app2"].requests == []


@pytest.mark.parametrize("what", ["another size", "another file"])
def test_a_reload_cannot_bring_another_zone(make_gate, coordinator, what):
    """The old workers would live on in a zone that nobody looks into: refused, and all goes on; USR2 can."""
    gate = make_gate()
    own = gate.prefix / "module.so"
    shutil.copy(gate.values["module"], own)
    gate.configure(module=own)
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app2")
    before = state(gate)
    # a package puts a new file in place of the old one: a reload goes on with what is loaded
    shutil.copy(own, f"{own}.new")
    os.rename(f"{own}.new", own)
    old = gate.reload()
    wait_for(lambda: not any(alive(pid) for pid in old), 20, "the workers before to end")
    assert state(gate) == before
    workers = set(gate.worker_pids())
    conf = gate.prefix / "nginx.conf"
    if what == "another size":
        conf.write_text(conf.read_text().replace("fermata:512k", "fermata:1m"))
    else:
        shutil.copy(own, f"{own}.2")
        conf.write_text(conf.read_text().replace(f"{own};", f"{own}.2;"))
    assert gate.run("-t").returncode == 0
    os.kill(gate.master, signal.SIGHUP)
    wait_for(lambda: "a reload cannot do it" in gate.log(), 20, "the refusal")
    log = gate.prefix / "error.log"
    log.write_text(log.read_text().replace("[emerg]", "[seen]"))
    assert set(gate.worker_pids()) == workers and state(gate) == before
    assert {request(gate.port).getheader("X-Node") for _ in range(20)} == {"app2"}
    coordinator.ask(wire.CLOSED)
    assert request(gate.port).status == 503
    old = gate.master
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: gate.master not in (None, old) and len(gate.worker_pids()) == 4, 20, "the new master")
    gate.all_pids()
    wait_for(lambda: len(coordinator.live()) == 2, 10, "two sessions")
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: not alive(old), 20, "the old master to end")
    assert request(gate.port).status == 503


def test_binary_upgrade_with_one_session(gate, coordinator):
    """Only one of the two zones is told; the other follows by the state file."""
    coordinator.ask(wire.OPEN)
    old = gate.master
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: gate.master not in (None, old) and len(gate.worker_pids()) == 4, 20)
    gate.all_pids()
    wait_for(lambda: len(coordinator.live()) == 2, 10)
    coordinator.seq += 1
    coordinator.live()[-1].send(wire.frame(wire.GATE_ASK, epoch=1, seq=coordinator.seq,
                                           mode=wire.CLOSED))
    coordinator.wait_force((1, coordinator.seq), 5)
    assert all(request(gate.port).status == 503 for _ in range(40))
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: not alive(old), 20)


def test_coordinator_gone(gate, coordinator):
    coordinator.ask(wire.PINNED, pinned="app2")
    before = state(gate)
    port = coordinator.port
    coordinator.close()
    wait_for(lambda: not status(gate.port)["connected"], 5)
    assert state(gate) == before and request(gate.port).getheader("X-Node") == "app2"
    again = Coordinator(port)
    again.seq = coordinator.seq
    again.wait_up(timeout=10)
    again.ask(wire.CLOSED)
    assert request(gate.port).status == 503
    again.close()


def test_silent_coordinator_is_left(make_gate, coordinator):
    """Lost after three seconds of silence; the other address is tried."""
    other = Coordinator()
    gate = make_gate(coordinators=[coordinator, other]).start()
    session = coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    coordinator.answers = False
    wait_for(lambda: session.ended, 8, "the end of the silent session")
    other.wait_up()
    assert request(gate.port).status == 200
    other.close()


def test_no_welcome(make_gate, coordinator):
    coordinator.greets = False
    make_gate().start()
    wait_for(lambda: coordinator.sessions and coordinator.sessions[0].ended, 10,
             "the end of a session without Welcome")


def test_heartbeats(gate, coordinator):
    session = coordinator.live()[-1]
    count = len(session.beats)
    wait_for(lambda: len(session.beats) >= count + 3, 5, "heartbeats")
    gaps = [b - a for a, b in zip(session.beats, session.beats[1:])]
    assert all(0.7 < gap < 1.6 for gap in gaps), gaps


def test_lower_voice_is_refused(gate, coordinator, backends):
    coordinator.ask(wire.CLOSED, epoch=5, seq=10)
    for epoch, seq in ((5, 9), (4, 99), (0, 1)):
        coordinator.send_ask(wire.OPEN, epoch=epoch, seq=seq)
        report = coordinator.live()[-1]
        coordinator.wait_report(lambda r: f"{epoch}.{seq} is refused" in r["error"])
        assert (report.last["epoch"], report.last["seq"], report.last["mode"]) == (5, 10, 2)
        assert request(gate.port).status == 503
    # the same voice with other rules is nobody's word either
    coordinator.send_ask(wire.OPEN, epoch=5, seq=10)
    coordinator.wait_report(lambda r: "other rules" in r["error"])
    assert request(gate.port).status == 503
    # not forgotten over an end
    gate.stop()
    gate.pids.clear()
    gate.start()
    coordinator.wait_up()
    assert (coordinator.live()[-1].hello["epoch"], coordinator.live()[-1].hello["seq"]) == (5, 10)
    coordinator.send_ask(wire.OPEN, epoch=5, seq=9)
    coordinator.wait_report(lambda r: "is refused" in r["error"])
    assert request(gate.port).status == 503
    coordinator.ask(wire.OPEN, epoch=6, seq=0)
    assert request(gate.port).status == 200
    assert coordinator.live()[-1].last["error"] == ""


def test_unknown_node(gate, coordinator):
    coordinator.ask(wire.OPEN)
    coordinator.send_ask(wire.PINNED, pinned="app9")
    coordinator.wait_report(lambda r: "app9" in r["error"])
    assert state(gate)[0] == "open"
    coordinator.ask(wire.OPEN, drained=["app9"])   # nothing to drain: in force as it is
    assert request(gate.port).status == 200


def test_no_opinion(gate, coordinator):
    """A voice without a mode: it is obeyed, and nothing changes."""
    coordinator.ask(wire.PINNED, pinned="app2", drained=["app3"], message="kept words")
    coordinator.send_ask(0)
    coordinator.wait_report(lambda r: r["seq"] == coordinator.seq)
    report = coordinator.live()[-1].last
    assert (report["mode"], report["pinned"], report["drained"]) == (wire.PINNED, "app2", ["app3"])
    assert request(gate.port).getheader("X-Node") == "app2"
    coordinator.send_ask(wire.OPEN, seq=coordinator.seq - 1)
    coordinator.wait_report(lambda r: "is refused" in r["error"])
    coordinator.send_ask(0, seq=coordinator.seq)    # said again: what was refused is settled
    coordinator.wait_report(lambda r: r["error"] == "")


def ask_bytes(**more):
    return wire.frame(wire.GATE_ASK, **{**dict(epoch=99, seq=1, mode=wire.OPEN), **more})


HOSTILE = {
    "too large": struct.pack(">I", 65537) + b"x" * 100,
    "huge": b"\xff\xff\xff\xff" + b"x" * 70000,
    "empty": struct.pack(">I", 0),
    "garbage": struct.pack(">I", 200) + bytes(random.Random(1).randbytes(200)),
    "no body": struct.pack(">I", 2) + b"\x78\x01",
    "unknown body": struct.pack(">I", 4) + b"\xfa\x07\x01x",
    "another's message": wire.frame(wire.GATE_REPORT, epoch=1),
    "second hello": wire.frame(wire.HELLO, major=1),
    "welcome again": wire.frame(wire.WELCOME, major=1),
    "mode unknown": ask_bytes(mode=9),
    "bad name": ask_bytes(drained=["../x"]),
    "too many": ask_bytes(drained=["a"] * 33),
    "thousands": ask_bytes(drained=["a"] * 20000),
    "long text": ask_bytes(message="x" * 480),
    "not utf-8": ask_bytes(message="").replace(b"\x18\x01", b"\x18\x01\x3a\x02\xc3\x28")
    .replace(struct.pack(">I", len(ask_bytes()) - 4), struct.pack(">I", len(ask_bytes())))
    .replace(bytes([len(ask_bytes()) - 7]), bytes([len(ask_bytes()) - 3]), 1),
    "cut short": ask_bytes()[:-1] + b"\xff",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_frame(gate, coordinator, what):
    """Ends that connection, with a reason in the log, and nothing else."""
    manager = gate.manager_pid()
    session = coordinator.live()[-1]
    session.send(HOSTILE[what])
    wait_for(lambda: session.ended, 5, "the end of the session")
    assert "no line to coordinator" in gate.log()
    assert state(gate) == ("closed", "", [], 0, 0)
    coordinator.wait_up()
    assert gate.manager_pid() == manager
    coordinator.ask(wire.OPEN)
    assert request(gate.port).status == 200


def test_hostile_stream(gate, coordinator):
    """Random bytes and torn frames, many times: the manager is the same process at the end."""
    rng = random.Random(3)
    manager = gate.manager_pid()
    good = ask_bytes(epoch=1, message="m" * 100, drained=["app1"])
    for _ in range(25):
        session = coordinator.wait_up(timeout=15)
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        # the last four bytes are an impossible length, wherever a frame ends
        session.send(bytes(data) + rng.randbytes(rng.randint(0, 40)) + b"\xff" * 70000)
        wait_for(lambda: session.ended, 5)
    assert gate.manager_pid() == manager


def test_slow_frame(gate, coordinator):
    """One byte after the other is one frame all the same."""
    session = coordinator.live()[-1]
    for byte in ask_bytes(epoch=2, message="w" * 50):
        session.send(bytes([byte]))
    coordinator.wait_force((2, 1))
    assert request(gate.port).status == 200


@pytest.mark.parametrize("damage", ["empty", "magic", "bit", "short", "long", "fifo", "link"])
def test_corrupt_state(gate, coordinator, backends, damage):
    coordinator.ask(wire.OPEN)
    gate.stop()
    gate.pids.clear()
    coordinator.close()
    path = gate.prefix / "state" / "state"
    data = bytearray(path.read_bytes())
    assert data[:4] == b"FMGS"
    if damage == "magic":
        data[0] ^= 1
    elif damage == "bit":
        data[-5] ^= 2              # the mode, and still a mode
    if damage in ("fifo", "link"):
        path.unlink()
        os.mkfifo(path) if damage == "fifo" else os.symlink("/etc/passwd", path)
    else:
        path.write_bytes({"empty": b"", "short": data[:-1], "long": data + b"x"}.get(damage, data))
    gate.start()
    assert request(gate.port).status == 503
    assert "[alert]" in gate.log() and "the gate is closed by default" in gate.log()
    gate_log = gate.prefix / "error.log"
    gate_log.write_text(gate_log.read_text().replace("[alert]", "[seen]"))


def test_default_last(make_gate, coordinator):
    gate = make_gate(default="fermata_default last;").start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app1")
    coordinator.ask(wire.CLOSED)
    gate.stop()
    gate.pids.clear()
    coordinator.close()
    (gate.prefix / "state" / "state").write_bytes(b"")
    gate.start()
    assert state(gate)[:2] == ("pinned", "app1")


def test_state_cannot_be_written(gate, coordinator):
    """Not on disk, so not in force and not said; then it is."""
    coordinator.ask(wire.OPEN)
    directory = gate.prefix / "state"
    os.rename(directory, gate.prefix / "away")
    voice, _ = coordinator.send_ask(wire.CLOSED)
    coordinator.wait_report(lambda r: "state file" in r["error"])
    assert coordinator.live()[-1].last["seq"] == voice[1] - 1
    assert request(gate.port).status == 200
    os.rename(gate.prefix / "away", directory)
    coordinator.wait_force(voice)
    assert request(gate.port).status == 503
    assert coordinator.live()[-1].last["error"] == ""
    log = gate.prefix / "error.log"
    log.write_text(log.read_text().replace("[alert]", "[seen]"))


def test_master_process_off(make_gate, coordinator, backends):
    import subprocess
    gate = make_gate(workers=1)
    conf = gate.prefix / "nginx.conf"
    conf.write_text(conf.read_text().replace("user www-data;", "master_process off;"))
    process = subprocess.Popen(gate.command("-g", "daemon off;"), env=gate.environment())
    gate.pids.add((process.pid, born(process.pid)))
    try:
        coordinator.wait_up()
        coordinator.ask(wire.OPEN)
        assert request(gate.port).status == 200
        coordinator.ask(wire.CLOSED)
        assert request(gate.port).status == 503
    finally:
        process.send_signal(signal.SIGQUIT)
        assert process.wait(10) == 0


def test_frames_larger_than_a_socket(gate, coordinator):
    session = coordinator.live()[-1]
    for i in range(300):
        session.send(wire.frame(wire.HEARTBEAT, count=i + 1))
    coordinator.ask(wire.OPEN)
    assert session.ended is None
