#!/usr/bin/python3
"""How fast the coordinator goes on: from the report that proves a step to the next step's ask on the wire.

    latency.py [--rounds N] | --smoke

The real coordinator, with its journal on this disk, restarts a cluster whose agents and gate are played
here: they obey at once, so that what is measured is the coordinator's alone. Between report and ask lie
the decision, the commit (write and fsync), and the sending; so the figure bounds both "commit to ask" and
"report to next step"."""

import argparse
import pathlib
import socket
import statistics
import struct
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "gate")]

# pylint: disable=wrong-import-position
import wire
from stage.application import BASE_VERSION
from stage.cluster import Cluster
from stage.place import wait_for

BAR_MS = 20.0
ROLE_AGENT, APP_STOPPED, APP_READY, GOAL_STOPPED = 1, 1, 3, 1
AGENT_ASK, AGENT_REPORT = 10, 11
# What is needed of the asks; they have more fields.
ASKS = {wire.GATE_ASK: {1: ("epoch", int), 2: ("seq", int), 3: ("mode", int), 5: ("drained", [str])},
        AGENT_ASK: {1: ("epoch", int), 2: ("seq", int), 3: ("run", int), 4: ("app", int), 12: ("start_serial", int),
                    13: ("salt", str)}}
wire.SCHEMA[AGENT_REPORT] = {1: ("epoch", int), 2: ("seq", int), 3: ("node", str), 4: ("app", int),
                             5: ("current", str), 6: ("releases", [str]), 7: ("running", str), 8: ("pids", int), 24: ("facts", bytes)}


def known(schema, data):
    """Only the fields that the schema names."""
    kept, at = b"", 0
    while at < len(data):
        begin = at
        key, at = wire.read_varint(data, at)
        value, at = wire.read_varint(data, at)
        at += value if key & 7 == 2 else 0
        kept += data[begin:at] if key >> 3 in schema else b""
    return wire.decode(schema, kept)


class Peer:
    """Does at once what it is asked. Each change of what is wanted of it is noted with the time at which
    the ask came and that at which the report went."""

    def __init__(self, name, role, address, steps):
        self.name, self.role, self.steps = name, role, steps
        self.wanted = None
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock = threading.Lock()
        self.send(wire.HELLO, major=1, role=role, name=name, program="bench", instance=name)
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, body, **values):
        with self.lock:
            self.socket.sendall(wire.frame(body, **values))

    def report(self, ask):
        if self.role == wire.ROLE_GATE:
            self.send(wire.GATE_REPORT, epoch=ask["epoch"], seq=ask["seq"], mode=ask["mode"] or wire.OPEN, workers=1,
                      drained=ask["drained"])
            return
        stopped = ask["app"] == GOAL_STOPPED
        facts = b"".join(wire.field(number, value) for number, value in
                         ((1, ask["salt"]), (2, "APP_KEY 0"), (4, "storage")))  # alike on all nodes
        self.send(AGENT_REPORT, epoch=ask["epoch"], seq=ask["seq"], node=self.name, current=BASE_VERSION,
                  releases=[BASE_VERSION], app=APP_STOPPED if stopped else APP_READY,
                  running="" if stopped else BASE_VERSION, pids=0 if stopped else 1,
                  facts=facts)

    def _listen(self):
        file = self.socket.makefile("rb")
        while size := file.read(4):
            data = file.read(struct.unpack(">I", size)[0])
            came = time.monotonic()
            key, at = wire.read_varint(data, 0)
            _, at = wire.read_varint(data, at)
            body = key >> 3
            if body == wire.HEARTBEAT:
                self.send(wire.HEARTBEAT, count=1)
            elif body in (AGENT_ASK, wire.GATE_ASK):
                ask = known(ASKS[body], data[at:])
                wanted = (ask["app"], ask["start_serial"]) if body == AGENT_ASK else (ask["mode"], ask["drained"])
                self.report(ask)
                if self.wanted not in (None, wanted):
                    self.steps.append((came, time.monotonic()))
                self.wanted = wanted


def measure(rounds):
    """Milliseconds from each step's report to the next one's ask."""
    took = []
    cluster = Cluster()
    try:
        cluster.coordinator.start()
        address, steps = ("127.0.0.1", cluster.coordinator.port), []
        peers = [Peer(node.name, ROLE_AGENT, address, steps) for node in cluster.nodes]
        peers.append(Peer("gate1", wire.ROLE_GATE, address, steps))
        wait_for(lambda: all(p.wanted is not None for p in peers), 20, "every peer was asked")
        for _ in range(rounds):
            steps.clear()
            cluster.cli("restart", expect=0)
            took += [(ask - report) * 1000 for (_, report), (ask, _) in zip(steps, steps[1:])]
    finally:
        cluster.close()
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=20, help="restarts of a cluster of three")
    parser.add_argument("--smoke", action="store_true", help="3 rounds")
    options = parser.parse_args()
    took = measure(3 if options.smoke else options.rounds)
    if not took:
        print("no step was seen")
        return 1
    middle = statistics.median(took)
    print(f"report of a step to the next ask on the wire, {len(took)} steps: median {middle:.1f} ms, "
          f"90 % {sorted(took)[len(took) * 9 // 10]:.1f} ms, most {max(took):.1f} ms")
    print(f"at most {BAR_MS:g} ms in the median: {'held' if middle <= BAR_MS else 'NOT HELD'}")
    return 0 if middle <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
