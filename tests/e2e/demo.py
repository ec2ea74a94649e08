#!/usr/bin/python3
"""The demo: Fermata conducts a real three-node NocoBase cluster, and what it says is checked.

    demo.py [--keep] [--tab] [--only N]... [--times N] [--no-floor]

Five scenarios on one cluster, in order: startup, in-app maintenance, an upgrade under load, an
upgrade that fails and is taken back, a coordinator killed in the middle of an upgrade; with --tab a
sixth: an open tab in a real browser. Ends with one page of figures; exit code 0 only if every check held."""

import argparse
import contextlib
import os
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "bench")]

# pylint: disable=wrong-import-position
import floor
import plain
import tab
from figures import Figures
from scenarios import SCENARIOS, Demo
from stage import checks
from stage.application import BASE_VERSION, Release
from stage.cluster import Cluster
from stage.place import StageError
from stage.visitors import Visitors


def say(line=""):
    print(line, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="leave the cluster up and say how to use it")
    parser.add_argument("--only", type=int, action="append", choices=range(1, 7), metavar="N",
                        help="this scenario alone (and what it needs before it)")
    parser.add_argument("--tab", action="store_true", help="an open tab in a real browser, too")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="all of it, N times in a row")
    parser.add_argument("--no-floor", action="store_true", help="leave out the floor and the ratio")
    return parser.parse_args()


def measure_floor(cluster, figures):
    """The same upgrade with nothing around it, on the same cluster, our programs out of the way."""
    version = "2.2.30"
    say("\n--- the floor: the same work with nothing around it " + "-" * 27)
    cluster.app.offer(Release(version))
    for program in cluster.programs:
        program.stop()
    for node in cluster.nodes:
        cluster.app.install(version, node.releases / version)
    gate = plain.PlainGate(cluster.folder / "plain-gate", cluster.nodes)
    gate.start()
    try:
        with Visitors(gate.url, cluster.folder / "floor.json", sockets=12, limit=300) as visitors:
            time.sleep(1)
            at = floor.upgrade(cluster, gate, version)
            time.sleep(1)
    finally:
        gate.stop()
    figures.floor(checks.downtime(visitors.answers), at["first"] - at["closed"])
    say(f"  {checks.downtime(visitors.answers):.1f} s")


def explain(cluster):
    say(f"""
The cluster is up and stays up.
  visitors        {cluster.gate.url}        (sign in: admin@nocobase.com, admin123)
  nodes           {', '.join(f'{n.name} http://{n.address}' for n in cluster.nodes)}
  files, logs     {cluster.folder}
Try:
  export FERMATA_SOCKET={cluster.coordinator.socket} PATH={pathlib.Path(cluster.coordinator.program).parent}:$PATH
  fermata status
  fermata plan upgrade --to 2.2.19
  fermata upgrade --to 2.2.19
  fermata approve
  fermata runs
To end it all:
  {sys.executable} {TESTS / 'stage' / 'sweep.py'} {cluster.folder}""")


def once(options, count):
    """One pass. Returns its Checks."""
    began = time.monotonic()
    check, figures = checks.Checks(say), Figures()
    scenarios = (*SCENARIOS, ("an open tab is left alone through an upgrade", tab.left_alone))
    wanted = sorted(set(options.only or range(1, 7 if options.tab else 6)) | ({1, 2} if max(options.only or [5]) > 2 else {1}))
    say("=== Fermata on a real NocoBase cluster" + (f", pass {count}" if options.times > 1 else ""))
    say("--- the stage: PostgreSQL, Redis, nginx, three nodes with NocoBase " + BASE_VERSION)
    cluster = Cluster(real=True)
    try:
        cluster.start()
        say(f"  {time.monotonic() - began:.0f} s; everything is in {cluster.folder}")
        demo = Demo(cluster, check, figures, say)
        for number, (title, scenario) in enumerate(scenarios, start=1):
            if number in wanted:
                say(f"\n--- {number}. {title} " + "-" * max(3, 73 - len(title)))
                scenario(demo)
        if not (options.no_floor or options.keep or options.only):
            measure_floor(cluster, figures)
    except Exception as error:  # said, counted, and the stage is taken down
        check.that(False, "the demo ran to its end", f"{type(error).__name__}: {error}")
        if not isinstance(error, StageError):
            raise
    finally:
        if options.keep:
            with contextlib.suppress(Exception):
                cluster.app.offer(Release("2.2.19"))
            explain(cluster)
            cluster.keep()
        else:
            if check.failed:
                os.environ["FERMATA_KEEP_STAGE"] = "1"
                say(f"\nlogs are kept in {cluster.folder}")
            cluster.close()
    say()
    figures.show(say)
    say(f"\n{time.monotonic() - began:.0f} s in all")
    return check


def main():
    options = parse()
    passed, failed, good = 0, 0, 0
    for count in range(1, options.times + 1):
        check = once(options, count)
        passed, failed = passed + check.passed, failed + len(check.failed)
        good += not check.failed
        for what in check.failed:
            say(f"FAILED: {what}")
    if options.times > 1:
        say(f"{good} of {options.times} passes held")
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
