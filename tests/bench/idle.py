#!/usr/bin/python3
"""What the programs cost while nothing is to be done: memory and processor of each, over a while.

    idle.py [--seconds N | --polls N] | --smoke

--polls N runs N probes of a ready application eight times as fast as usual; 3600 are an hour's worth. It shows what
probes leave behind in memory. Its processor time is a lower bound: what goes on besides (heartbeats, looks at the
disk) has an eighth of the time. --seconds 3600 is the hour itself, and what the bar is held against.

The agent's children that look at the database count as the agent's, the application does not."""

import argparse
import contextlib
import os
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
from stage.cluster import Cluster
from stage.docked import Docked
from stage.engine import Engine, Images, Registry
from stage.place import StageError, make_folder, remove_folder

RSS_MIB, CORE_SHARE = 8.0, 0.2  # the agent's bars: MiB, percent of a core
GROWN_MIB = 0.25  # what a while may add
POLL_S, HURRY = 1.0, 8  # of agent.ini: poll; the other is ours


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid):
    """Its own time, and that of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(fields[n]) for n in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def docked(limits):
    """One node in a container, which runs; None where no engine can."""
    folder = make_folder()
    engine, registry = Engine(folder / "engine"), Registry(folder / "registry")
    try:
        engine.start()
        registry.start()
        images = Images(engine, registry)
        images.make("2.2.15")
        with Docked(engine, images, options=limits, count=1) as cluster:
            cluster.cli("startup", expect=0)
            yield cluster
    except StageError as error:
        if engine.process and engine.process.is_alive():
            raise
        print(f"no agent in the docker runtime: {error}")
        yield None
    finally:
        registry.stop()
        engine.stop()
        remove_folder(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--polls", type=int, help="this many probes, hurried; 3600 are an hour's worth")
    parser.add_argument("--smoke", action="store_true", help="10 s")
    options = parser.parse_args()
    seconds = took = 10 if options.smoke else options.seconds
    limits = {}
    if options.polls:
        seconds, took = options.polls * POLL_S, options.polls * POLL_S / HURRY
        limits = {"agent": {"limits": {"poll": f"{POLL_S / HURRY * 1000:.0f}ms"}}}
    with Cluster(limits) as cluster, docked(limits) as other:
        cluster.cli("startup", expect=0)
        time.sleep(3)
        pids = {agent.node.name + " agent": agent.process.pid for agent in cluster.agents.values()}
        pids.update({"docker agent": other.agents["app1"].process.pid} if other else {})
        pids["coordinator"] = cluster.coordinator.process.pid
        before = {name: (rss_mib(pid), cpu_s(pid)) for name, pid in pids.items()}
        time.sleep(took)
        rows = {name: (before[name][0], rss_mib(pid), (cpu_s(pid) - before[name][1]) / seconds * 100)
                for name, pid in pids.items()}
    good = True
    print(f"{'idle, ' + format(seconds, 'g') + ' s':<16}{'RSS, MiB':>10}{'at the end':>12}{'core, %':>10}")
    for name, (early, memory, share) in rows.items():
        print(f"{name:<16}{early:>10.2f}{memory:>12.2f}{share:>10.3f}")
        good = good and (not name.endswith("agent") or
                         (memory <= RSS_MIB and memory - early <= GROWN_MIB and share <= CORE_SHARE))
    if options.polls:
        print("hurried: the processor's share is a lower bound")
    print(f"agents: at most {RSS_MIB:g} MiB, {GROWN_MIB:g} more than at the beginning, and {CORE_SHARE:g} % of a core: {'held' if good else 'NOT HELD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
