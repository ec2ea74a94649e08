#!/usr/bin/python3
"""What the programs cost while nothing is to be done: memory and processor of each, over a while.

    idle.py [--seconds N] | --smoke

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
def docked():
    """One node in a container, which runs; None where no engine can."""
    folder = make_folder()
    engine, registry = Engine(folder / "engine"), Registry(folder / "registry")
    try:
        engine.start()
        registry.start()
        images = Images(engine, registry)
        images.make("2.2.15")
        with Docked(engine, images, count=1) as cluster:
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
    parser.add_argument("--smoke", action="store_true", help="10 s")
    options = parser.parse_args()
    seconds = 10 if options.smoke else options.seconds
    with Cluster() as cluster, docked() as other:
        cluster.cli("startup", expect=0)
        time.sleep(3)
        pids = {agent.node.name + " agent": agent.process.pid for agent in cluster.agents.values()}
        pids.update({"docker agent": other.agents["app1"].process.pid} if other else {})
        pids["coordinator"] = cluster.coordinator.process.pid
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        rows = {name: (rss_mib(pid), (cpu_s(pid) - before[name]) / seconds * 100) for name, pid in pids.items()}
    good = True
    print(f"{'idle, ' + format(seconds, 'g') + ' s':<16}{'RSS, MiB':>10}{'core, %':>10}")
    for name, (memory, share) in rows.items():
        print(f"{name:<16}{memory:>10.1f}{share:>10.2f}")
        good = good and (not name.endswith("agent") or (memory <= RSS_MIB and share <= CORE_SHARE))
    print(f"agents: at most {RSS_MIB:g} MiB and {CORE_SHARE:g} % of a core: {'held' if good else 'NOT HELD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
