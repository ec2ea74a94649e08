#!/usr/bin/python3
"""How a gate is closed and opened under load: for how long the old state is still served once the flip is
said to be done, and what fails. Ours, a reload of nginx with `return 503`, and HAProxy's admin socket.

    gate_flip.py [--rounds N] | --smoke

By turns, the same clients and nodes for all, four workers each. A request counts as of the old state after
the flip if it was sent after the flip was said to be done and still got what the old state gives: for ours
that is the report of the gate, for a reload the end of `nginx -s reload`, for HAProxy the answer of its
socket."""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "gate")]

# pylint: disable=wrong-import-position
import scratch
import wire
from backend import Backends
from client import Load
from coordinator import Coordinator
from stage.place import wait_for

WINDOW_MOST_MS = 2.0
FLIPS_PER_ROUND = 10
SEEN = 60  # answers of the new state between two flips

_PROXY = 'proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";'


class Ours:
    name = "the gate"

    def __init__(self, where, backends):
        self.coordinator = Coordinator()
        names = " ".join(f"{n}=127.0.0.1:{node.port}" for n, node in backends.nodes.items())
        self.server = scratch.Nginx(
            where, "ours", f"location / {{ {_PROXY} }} fermata on;", gate="open", workers=4,
            http=_upstream(backends, f"fermata_nodes {names};"), coordinator=self.coordinator.port).start()
        self.coordinator.wait_up()

    def flip(self, close):
        self.coordinator.ask(wire.CLOSED if close else wire.OPEN)

    def stop(self):
        self.server.stop()
        self.coordinator.close()


class Reload:
    name = "nginx -s reload"

    def __init__(self, where, backends):
        self.page = where / "page.inc"
        self.page.write_text("")
        self.server = scratch.Nginx(where, "reload", f"location / {{ include {self.page}; {_PROXY} }}", workers=4,
                                    http=_upstream(backends, "")).start()

    def flip(self, close):
        self.page.write_text("return 503;" if close else "")
        subprocess.run([scratch.NGINX, "-p", f"{self.server.prefix}/", "-c", "nginx.conf", "-e", "error.log",
                        "-s", "reload"], check=True, capture_output=True, timeout=60)

    def stop(self):
        self.server.stop()


class Haproxy:
    name = "HAProxy, state maint"

    def __init__(self, where, backends):
        self.nodes = list(backends.nodes)
        lines = "\n".join(f"    server {n} 127.0.0.1:{node.port}" for n, node in backends.nodes.items())
        self.server = scratch.Haproxy(where, "haproxy", "default_backend app", f"backend app\n{lines}",
                                      "maintenance\n", threads=4).start()

    def flip(self, close):
        state = "maint" if close else "ready"
        self.server.admin("; ".join(f"set server app/{name} state {state}" for name in self.nodes))

    def stop(self):
        self.server.stop()


def _upstream(backends, more):
    lines = " ".join(f"server 127.0.0.1:{node.port};" for node in backends.nodes.values())
    return f"upstream app {{ {lines} keepalive 16; {more} }}"


def settled(load, status):
    """Until so many answers in a row are of the new state."""
    wait_for(lambda: len(load.answers) > SEEN and all(a[2] == status for a in load.answers[-SEEN:]), 60,
             f"only {status}, last {load.answers[-5:]} {load.faults[-3:]}", every=0.002)


def flips(one, count, seen):
    """Flips under load; adds (took, window) in ms to seen, returns what failed."""
    load = Load(one.server.port, clients=12)
    try:
        settled(load, 200)
        for number in range(count):
            close = number % 2 == 0
            began = time.monotonic()
            one.flip(close)
            done = time.monotonic()
            settled(load, 503 if close else 200)
            old = 200 if close else 503
            late = [a[0] for a in load.answers if a[0] > done and a[2] == old]
            seen.append(((done - began) * 1000, (max(late) - done) * 1000 if late else 0.0))
    finally:
        load.stop()
    return len(load.faults) + sum(1 for a in load.answers if a[2] not in (200, 503))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=10, help=f"of {FLIPS_PER_ROUND} flips each")
    parser.add_argument("--smoke", action="store_true", help="one round")
    options = parser.parse_args()
    rounds = 1 if options.smoke else options.rounds
    backends = Backends(["app1", "app2", "app3"])
    with scratch.folder() as where:
        gates = [kind(where, backends) for kind in (Ours, Reload, Haproxy)]
        seen, failed = {g.name: [] for g in gates}, {g.name: 0 for g in gates}
        try:
            for _ in range(rounds):
                for one in gates:
                    failed[one.name] += flips(one, FLIPS_PER_ROUND, seen[one.name])
        finally:
            for one in gates:
                one.stop()
            backends.close()
    print(f"{f'{rounds * FLIPS_PER_ROUND} flips under load, ms':<32}{'took':>8}{'worst':>8}{'old after':>11}{'worst':>8}"
          f"{'failed':>8}")
    for name, figures in seen.items():
        took, window = zip(*figures)
        print(f"{name:<32}{statistics.median(took):>8.1f}{max(took):>8.1f}{statistics.median(window):>11.1f}"
              f"{max(window):>8.1f}{failed[name]:>8}")
    good = max(window for _, window in seen[Ours.name]) <= WINDOW_MOST_MS and failed[Ours.name] == 0
    print(f"the gate: old state at most {WINDOW_MOST_MS:g} ms after the report, none failed: "
          f"{'held' if good else 'NOT HELD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
