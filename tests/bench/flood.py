#!/usr/bin/python3
"""An application that prints 200 MB/s: is it slowed, does the agent grow, how much of the disk is taken? In the
same run it prints into a file that nobody cuts, as it would without an agent.

    flood.py [--seconds N] | --smoke"""

import argparse
import os
import pathlib
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "bench")]

# pylint: disable=wrong-import-position
from idle import rss_mib
from stage.cluster import Cluster

RATE, BLOCK = 200e6, 1 << 20
GROWTH_MIB, SLOWED = 1.0, 0.9  # the bars: agent's growth, share of the rate without an agent


def flood(path, seconds):
    """(bytes a second, longest wait for one write in ms), paced to RATE."""
    block = (b"x" * 127 + b"\n") * (BLOCK // 128)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began, count, worst = time.monotonic(), 0, 0.0
    while time.monotonic() - began < seconds:
        before = time.monotonic()
        os.write(file, block)
        worst = max(worst, time.monotonic() - before)
        count += 1
        time.sleep(max(0.0, began + count * BLOCK / RATE - time.monotonic()))
    os.close(file)
    return count * BLOCK / (time.monotonic() - began), worst * 1000


class Watcher(threading.Thread):
    """The most that the file took of the disk, and the agent of memory."""

    def __init__(self, path, pid):
        super().__init__()
        self.path, self.pid, self.disk, self.memory, self.ended = path, pid, 0, 0.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.disk = max(self.disk, self.path.stat().st_blocks * 512)
            self.memory = max(self.memory, rss_mib(self.pid))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--smoke", action="store_true", help="3 s")
    options = parser.parse_args()
    seconds = 3 if options.smoke else options.seconds
    with Cluster(count=1) as cluster:
        cluster.cli("startup", expect=0)
        path, pid = cluster.nodes[0].folder / "app.log", cluster.agents["app1"].process.pid
        before = rss_mib(pid)
        watcher = Watcher(path, pid)
        watcher.start()
        rate, worst = flood(path, seconds)
        watcher.ended.set()
        watcher.join()
        alone = cluster.folder / "uncut.bin"
        alone_rate, alone_worst = flood(alone, seconds)
        alone_size = alone.stat().st_size
        alone.unlink()
    growth, ratio = watcher.memory - before, rate / alone_rate
    print(f"{'flood, ' + format(seconds, 'g') + ' s':<16}{'MB/s':>8}{'worst write, ms':>18}{'disk, MiB':>12}")
    print(f"{'with the agent':<16}{rate / 1e6:>8.0f}{worst:>18.0f}{watcher.disk / 2**20:>12.0f}")
    print(f"{'nobody cuts':<16}{alone_rate / 1e6:>8.0f}{alone_worst:>18.0f}{alone_size / 2**20:>12.0f}")
    good = growth <= GROWTH_MIB and ratio >= SLOWED
    print(f"agent grew by {growth:.1f} MiB (at most {GROWTH_MIB:g}); rate {ratio:.2f} of that without it "
          f"(at least {SLOWED:g}): {'held' if good else 'NOT HELD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
