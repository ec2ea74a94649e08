"""A long life in a short time: reload after reload under load, with sockets open, and flips in between."""
import os
import pathlib
import re
import signal

import pytest

import wire
from client import Load, WebSocket, request, status
from gate import ASAN, alive
from wait import wait_for


def rss_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def fds(pid):
    """What a process has open, by kind."""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            kind = os.readlink(fd).split(":")[0]
        except OSError:
            continue
        found[kind] = found.get(kind, 0) + 1
    return found


def reload_and_wait(gate, old):
    """The next generation, and the end of those that nobody holds. Returns the generation before."""
    before = set(gate.worker_pids())
    os.kill(gate.master, signal.SIGHUP)
    wait_for(lambda: len(set(gate.worker_pids()) - before) >= gate.values["workers"], 60, "new workers")
    gate.all_pids()
    wait_for(lambda: not any(alive(p) for p in old), 60, "old workers to end")
    return before


def reloads(gate, coordinator, count):
    """Flips while it reloads; a socket of every generation is held until the next but one."""
    held, old, sizes = [], set(), [(rss_kib(gate.master), fds(gate.master))]
    load = Load(gate.port, clients=6, post_every=100)
    try:
        for number in range(count):
            if number % 3 == 0:
                coordinator.ask(wire.OPEN, drained=["app1"] if number % 2 else [])
            held.append(WebSocket(gate.port))
            assert held[-1].status == 101 and held[-1].echo()
            if len(held) > 2:
                held.pop(0).close()
            if number % 3 == 2:
                coordinator.ask(wire.CLOSED)
                assert all(sock.closed_at(20) for sock in held)
                held.clear()
                coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["websockets"] == 0, 30)
                coordinator.ask(wire.OPEN)
            sessions = len(coordinator.sessions)
            keep = reload_and_wait(gate, set() if held else old)
            # an ask that the old manager hears in its last moment is nobody's
            wait_for(lambda: len(coordinator.sessions) > sessions and len(coordinator.live()) == 1, 60,
                     "the new manager alone")
            old = keep if not held else old | keep
            sizes.append((rss_kib(gate.master), fds(gate.master)))
    finally:
        load.stop()
        for sock in held:
            sock.close()
    wait_for(lambda: not any(alive(p) for p in old), 60, "old workers to end")
    # a channel to each old one is gone when the master has heard of its end
    wait_for(lambda: fds(gate.master) == sizes[0][1], 20, lambda: f"{fds(gate.master)} to be {sizes[0][1]}")
    return load, sizes


def hold(gate, coordinator, load, sizes):
    """Nothing has grown, nothing was answered wrongly."""
    half = len(sizes) // 2
    # AddressSanitizer keeps what is freed
    assert ASAN or sizes[-1][0] <= sizes[half][0] * 1.1 + 512, f"memory of the master: {[s[0] for s in sizes]}"
    assert set(load.statuses()) <= {200, 503}, load.statuses()
    coordinator.ask(wire.OPEN)
    coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["websockets"] == 0
                            and all(n["in_flight"] == 0 for n in r["nodes"]), 30)
    seen = status(gate.port)
    assert seen["workers"] == gate.values["workers"] and seen["in_every_worker"]
    print(f"{len(sizes)} reloads, {len(load.answers)} answers {load.statuses()}, {len(load.faults)} connections that "
          f"nginx ended with a generation; master {sizes[half][0]} then {sizes[-1][0]} KiB")


def test_reloads(open_gate, coordinator):
    hold(open_gate, coordinator, *reloads(open_gate, coordinator, 12))


@pytest.mark.slow
def test_500_reloads(open_gate, coordinator):
    hold(open_gate, coordinator, *reloads(open_gate, coordinator, 500))


def holds(gate, socks, pids):
    """Opens one more socket; whether one of pids has it."""
    socks.append(WebSocket(gate.port))
    assert socks[-1].status == 101
    return int(re.search(r"X-Worker: (\d+)", socks[-1].head)[1]) in pids


@pytest.mark.slow
def test_more_generations_than_slots(make_gate, coordinator):
    """Sockets keep more than 128 generations alive: whoever finds no slot serves the page and says so, until there is one."""
    gate = make_gate(workers=1, server="add_header X-Worker $pid always;").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    socks, newest = [], set(gate.worker_pids())
    try:
        while "this one serves the page only" not in gate.log():
            # one may still get a worker on its way out: each is to be kept alive by its own
            wait_for(lambda: holds(gate, socks, newest), 20, "a socket at the newest worker")
            before = reload_and_wait(gate, set())
            newest = set(gate.worker_pids()) - before
            assert len(gate.worker_pids()) <= 129
        assert len(gate.worker_pids()) > 128
        wait_for(lambda: request(gate.port).status == 503, 20, "the newest worker alone to accept")
        voice, _ = coordinator.send_ask(wire.CLOSED)
        coordinator.wait_force(voice, 60)
    finally:
        for sock in socks:
            sock.close()
    wait_for(lambda: len(gate.worker_pids()) == 1, 60, "old workers to end")
    coordinator.ask(wire.OPEN)
    reload_and_wait(gate, set(gate.worker_pids()))
    assert request(gate.port).status == 200
