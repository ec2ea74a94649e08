#!/usr/bin/python3
"""Visitors' downtime of one upgrade of a real three-node cluster, by a 20 ms poller through the gate.

    downtime.py [--rounds N] [--only NAME]... [--json FILE] | --smoke

Interleaved runs, each on the same database, of: Fermata (open_when = all, and = first), a careful bash
runbook of the documented procedure, and the floor: the same physical work with nothing around it. The
figures of one row say little on a shared machine; the ratios in the same table do."""

import argparse
import contextlib
import json
import pathlib
import shutil
import statistics
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "bench")]

# pylint: disable=wrong-import-position
import floor
import plain
from stage import checks
from stage.application import BASE_VERSION, Release
from stage.cluster import Cluster
from stage.place import StageError
from stage.visitors import Visitors

NEW = "2.2.16"
GOLDEN = "golden"
SOCKETS = 30


def say(line=""):
    print(line, flush=True)


class Bench:
    def __init__(self):
        self.cluster = Cluster(real=True)
        cluster = self.cluster
        cluster.app.offer(Release(NEW))
        for node in cluster.nodes:
            cluster.app.install(NEW, node.releases / NEW)
        self.plain_gate = plain.PlainGate(cluster.folder / "plain-gate", cluster.nodes)
        self.plain_gate.start()
        self.cluster_file = self.plain_gate.write_cluster(cluster, cluster.folder / "runbook.conf")
        self._make_golden()

    def _make_golden(self):
        """An installed database of the old release, and the storage that belongs to it."""
        stage = self.cluster
        plain.start(stage, stage.nodes[0], "--quickstart")
        plain.wait_ready(stage.nodes[:1])
        plain.stop_all(stage)
        stage.postgres.fresh_database(template="nocobase", name=GOLDEN)
        shutil.copytree(stage.storage, stage.folder / GOLDEN)

    def reset(self):
        stage = self.cluster
        stage.kill_apps()
        plain.reap()
        stage.postgres.forget_coordinators()
        stage.postgres.fresh_database(template=GOLDEN)
        shutil.rmtree(stage.storage)
        shutil.copytree(stage.folder / GOLDEN, stage.storage)
        shutil.rmtree(stage.folder / "runbook-backup", ignore_errors=True)
        for node in stage.nodes:
            node.switch(BASE_VERSION)
            for release in (BASE_VERSION, NEW):  # a sweep may have taken one away
                if not (node.releases / release).exists():
                    stage.app.install(release, node.releases / release)

    # the contenders: prepare() brings three nodes up on the old release, conduct() upgrades them

    @contextlib.contextmanager
    def fermata(self, open_when):
        cluster = self.cluster
        for daemon in cluster.programs:
            shutil.rmtree(daemon.state, ignore_errors=True)
        shutil.rmtree(cluster.gate.folder / "state", ignore_errors=True)
        cluster.coordinator.configure(open_when=open_when)
        cluster.start()
        try:
            cluster.cli("startup", expect=0)

            def conduct():
                cluster.cli("upgrade", "--to", NEW, "--yes", expect=0)
                return cluster.run()[0]["run"]
            yield cluster.gate, conduct
        finally:
            for daemon in cluster.programs:
                daemon.stop()
            cluster.gate.stop()

    @contextlib.contextmanager
    def runbook(self):
        plain.runbook(self.cluster, self.cluster_file, "start")
        yield self.plain_gate, lambda: plain.runbook(self.cluster, self.cluster_file, NEW)

    @contextlib.contextmanager
    def floor(self):
        for node in self.cluster.nodes:
            plain.start(self.cluster, node)
        plain.wait_ready(self.cluster.nodes)
        yield self.plain_gate, lambda: floor.upgrade(self.cluster, self.plain_gate, NEW)

    def measure(self, contender):
        """{"downtime": s, "strange": n, "first": s or None, "steps": ...}"""
        self.reset()
        with contender() as (gate, conduct):
            time.sleep(2)
            with Visitors(gate.url, self.cluster.folder / "bench.json", sockets=SOCKETS, limit=400) as visitors:
                time.sleep(2)
                result = conduct()
                time.sleep(2)
        if self.cluster.postgres.version() != NEW:
            raise StageError(f"the database is on {self.cluster.postgres.version()}")
        row = {"downtime": checks.downtime(visitors.answers), "strange": len(checks.strange(visitors.answers)),
               "answers": len(visitors.answers)}
        if isinstance(result, dict) and "first" in result:
            row["first"] = result["first"] - checks.outages(visitors.answers)[0].begin_ms / 1000
        if isinstance(result, dict) and "steps" in result:
            row["steps"] = {s["name"]: s["took_ms"] / 1000 for s in result["steps"] if s["state"] == "done"}
        return row


def table(results):
    def middle(rows, key="downtime"):
        values = [row[key] for row in rows]
        return statistics.median(values), min(values), max(values)
    say(f"\n{'visitors downtime, s':<28}{'median':>8}{'min':>8}{'max':>8}{'/ floor':>9}{'strange answers':>17}")
    whole = middle(results["floor"])[0] if results.get("floor") else None
    first = middle(results["floor"], "first")[0] if results.get("floor") else None
    for name, rows in results.items():
        if not rows:
            continue
        mid, low, high = middle(rows)
        base = first if name.endswith("first") else whole
        ratio = f"{mid / base:.2f}" if base else ""
        say(f"{name:<28}{mid:>8.1f}{low:>8.1f}{high:>8.1f}{ratio:>9}{sum(r['strange'] for r in rows):>17}")
    if first:
        mid, low, high = middle(results["floor"], "first")
        say(f"{'floor, to the first node':<28}{mid:>8.1f}{low:>8.1f}{high:>8.1f}")
    for name, rows in results.items():
        if rows and "steps" in rows[0]:
            say(f"\n{name}, median of each step: " + ", ".join(
                f"{step} {statistics.median(row['steps'].get(step, 0) for row in rows):.2f}" for step in rows[0]["steps"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=("all", "first", "runbook", "floor"))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="one round without the runbook")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.only = 1, ["all", "first", "floor"]
    bench = Bench()
    contenders = {"fermata, open_when = all": ("all", lambda: bench.fermata("all")),
                  "fermata, open_when = first": ("first", lambda: bench.fermata("first")),
                  "runbook": ("runbook", bench.runbook), "floor": ("floor", bench.floor)}
    contenders = {name: act for name, (word, act) in contenders.items() if not options.only or word in options.only}
    results = {name: [] for name in contenders}
    try:
        for number in range(1, options.rounds + 1):
            for name, contender in contenders.items():
                row = bench.measure(contender)
                results[name].append(row)
                say(f"round {number}: {name:<28}{row['downtime']:>8.2f} s")
    finally:
        bench.plain_gate.stop()
        bench.cluster.close()
    table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
