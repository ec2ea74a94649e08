#!/usr/bin/python3
"""A hole that ends: how soon those who waited at the gate are let go, and whether any is lost.

    hold.py [--requests N] [--rounds N] | --smoke

In turn, on the same gate and with the same connections: N requests are held and the gate is opened
(held); N requests come at once to an open gate (fresh). Both for a resource that the gate answers by
itself, which is the release and hardly anything else, and for the nodes, one nginx that answers at once: there
both hold nginx's own work of passing N requests on. The clock starts when the state file is in its place, which
is just before the word in shared memory changes; the workers' own processor time is told beside it, since
it is the same on a busy machine."""

import argparse
import json
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "gate")]

# pylint: disable=wrong-import-position
import wire
from client import status
from coordinator import Coordinator
from gate import Gate, NGINX, free_port
from wait import wait_for

BAR_MS, BAR_REQUESTS = 50.0, 2000
NODES = """
daemon off; user www-data; worker_processes 1; pid nodes.pid; error_log nodes.log;
events {{ worker_connections 8192; }}
http {{
    log_format at '$msec $request_uri $status';
    access_log nodes.access at;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port} backlog=8192; return 200 "ok"; }}
}}
"""


class Nodes:
    """What the gate needs to know of its nodes: one, played by nginx."""

    class Node:
        def __init__(self, port):
            self.port = port

    def __init__(self, folder):
        port = free_port()
        (folder / "nodes.conf").write_text(NODES.format(port=port))
        self.nodes = {"app1": self.Node(port)}
        self.process = subprocess.Popen([NGINX, "-p", f"{folder}/", "-c", "nodes.conf", "-e", "nodes.log"])
        wait_for(lambda: self.listens(port), 20, "the nodes' nginx")

    @staticmethod
    def listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(20)


class Log:
    """When requests came, by a log that begins its lines with the time."""

    def __init__(self, path, mark):
        self.file, self.mark = open(path, encoding="utf-8"), mark  # pylint: disable=consider-using-with

    def forget(self):
        self.file.read()

    def times(self, count):
        """The times of the next so many requests, in ms, once they are there."""
        seen = []

        def all_there():
            seen.extend(float(line.split(" ", 1)[0]) * 1000 for line in self.file if self.mark in line)
            return len(seen) >= count
        wait_for(all_there, 60, lambda: f"{count} in the log, there are {len(seen)}")
        return sorted(seen)


def connect(port, count):
    conns = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", port), 20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conns.append(s)
    return conns


def send(conns, path):
    for number, s in enumerate(conns):
        s.sendall(f"GET {path}{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def cpu_ms(gate):
    """Processor time of all workers so far."""
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8").split()[0])
               for pid in gate.worker_pids()) / 1e6


def answers(conns, limit=60):
    """Statuses of the answers, one of each connection; those that are lost are 0."""
    found, waiting = {}, {s.fileno(): s for s in conns}
    poll = select.epoll()
    for fd in waiting:
        poll.register(fd, select.EPOLLIN)
    end = time.monotonic() + limit
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(1):
            text = waiting[fd].recv(65536)
            found[fd] = int(text.split(b" ", 2)[1]) if text else 0
            poll.unregister(fd)
            del waiting[fd]
    poll.close()
    return [*found.values(), *[0] * len(waiting)]


def held(gate, coordinator, log, conns, path):
    """(ms from the flip to the last, ms from the first to the last, ms of the workers, statuses)."""
    coordinator.ask(wire.OPEN, drained=["app1"])
    send(conns, path)
    wait_for(lambda: status(gate.port)["held"] == len(conns), 60,
             lambda: f"all to be held: {json.dumps(status(gate.port))}")
    log.forget()
    before = cpu_ms(gate)
    coordinator.send_ask(wire.OPEN)
    got = answers(conns)
    came = log.times(len(conns))
    flip = (gate.prefix / "state" / "state").stat().st_ctime_ns / 1e6
    return came[-1] - flip, came[-1] - came[0], cpu_ms(gate) - before, got


def fresh(gate, log, conns, path):
    """The same without a hole: its clock starts with the first."""
    log.forget()
    before = cpu_ms(gate)
    send(conns, path)
    got = answers(conns)
    came = log.times(len(conns))
    return came[-1] - came[0], came[-1] - came[0], cpu_ms(gate) - before, got


def measure(folder, options):
    """{kind of resource: {held or fresh: [results of the rounds]}}"""
    nodes = Nodes(folder)
    coordinator = Coordinator()
    gate = Gate(nodes, [coordinator], workers=4, keepalive="keepalive 512;",
                server="fermata_hold 60s requests=8192 memory=64m; location /gate/ { empty_gif; }")
    text = (gate.prefix / "nginx.conf").read_text().replace("worker_connections 512;", "worker_connections 8192;")
    (gate.prefix / "nginx.conf").write_text(text)
    rows = {"gate": {"held": [], "fresh": []}, "nodes": {"held": [], "fresh": []}}
    try:
        gate.start()
        coordinator.wait_up()
        coordinator.ask(wire.OPEN)
        logs = {"gate": Log(gate.prefix / "access.log", " /gate/"), "nodes": Log(folder / "nodes.access", " /nodes/")}
        conns = connect(gate.port, options.requests)
        for number in range(options.rounds + 1):
            for kind, log in logs.items():
                results = {"fresh": fresh(gate, log, conns, f"/{kind}/"),
                           "held": held(gate, coordinator, log, conns, f"/{kind}/")}
                for name, result in results.items():
                    if number > 0:  # the first one warms up
                        rows[kind][name].append(result)
        for s in conns:
            s.close()
    finally:
        gate.close()
        coordinator.close()
        nodes.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=BAR_REQUESTS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="200 requests, 2 rounds, no bar on the time")
    options = parser.parse_args()
    if options.smoke:
        options.requests, options.rounds = 200, 2
    with tempfile.TemporaryDirectory(prefix="fermata-hold-") as folder:
        pathlib.Path(folder).chmod(0o755)
        rows = measure(pathlib.Path(folder), options)
    print(f"{options.requests} requests, {options.rounds} rounds, medians in ms")
    print(f"{'answered by':<14}{'':<8}{'flip to last':>14}{'first to last':>15}{'workers':>10}")
    middle = {}
    for kind, names in rows.items():
        for name, results in names.items():
            middle[kind, name] = [statistics.median(r[n] for r in results) for n in range(3)]
            flip, window, cpu = middle[kind, name]
            print(f"{kind:<14}{name:<8}{flip if name == 'held' else float('nan'):>14.1f}{window:>15.1f}{cpu:>10.1f}")
    ratios = [middle[kind, "held"][2] / middle[kind, "fresh"][2] for kind in rows]
    lost = sum(s != 200 for names in rows.values() for results in names.values() for r in results for s in r[3])
    print(f"held to fresh, processor: {ratios[0]:.2f} by the gate, {ratios[1]:.2f} by the nodes; lost: {lost}")
    soon = middle["gate", "held"][0]
    good = lost == 0 and (options.smoke or soon <= BAR_MS)
    said = "not judged" if options.smoke else "held" if good else "NOT HELD"
    print(f"bar, {BAR_REQUESTS} let go within {BAR_MS:g} ms and none lost: {said}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
