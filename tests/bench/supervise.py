#!/usr/bin/python3
"""How soon an agent knows, and whether its death matters: one real agent with its usual settings, the stand-in
as its application, a played coordinator that keeps the time of every report.

    supervise.py [--rounds N] [--deaths N] | --smoke

exit     the application is killed -> the report that it is gone is at the coordinator
ready    the first 200 `ok` that anybody gets -> the report that it is ready
deaths   kill -9 of the agent in every state of its application, and another started: are the same processes
         alive, and how long until the next agent has reported what is so"""

import argparse
import contextlib
import http.client
import os
import pathlib
import select
import signal
import statistics
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
from stage.application import BASE_VERSION, Release
from stage.cluster import Stage
from stage.place import wait_for
from stage.played import PlayedCoordinator
from stage.programs import Agent

EXIT_MS, READY_MS, ADOPT_MS = 20.0, 600.0, 1000.0
NEXT, FAILING = "2.2.16", "2.2.17"


class Rig:
    """One node, its agent, the coordinator that is played."""

    def __init__(self):
        self.stage = Stage(count=1)
        self.node = self.stage.nodes[0]
        for release in (Release(NEXT), Release(FAILING, "fail")):
            self.stage.app.offer(release)
            self.stage.app.install(release.version, self.node.releases / release.version)
        self.coordinator = PlayedCoordinator()
        self.serial = 0
        self.agent = Agent(self.node, self.stage.app, self.coordinator.address, self.stage.storage, {})
        self.agent.start()
        self.ready(start="migrate", release=BASE_VERSION)

    def pids(self):
        return sorted(self.stage.app_pids())

    def ask(self, app, **values):
        self.serial += 1
        self.coordinator.forget()
        self.coordinator.ask(app, start_serial=self.serial, **{"run": 1, **values})

    def reach(self, app, state, **values):
        """Asks, and waits for the state."""
        self.ask(app, **values)
        return self.coordinator.obeyed(lambda r: r["app"] == state, 60, f"{state} after {values}")

    def stopped(self):
        return self.reach("stopped", "stopped")

    def ready(self, **values):
        return self.reach("running", "ready", **{"release": BASE_VERSION, **values})

    def close(self):
        self.agent.kill()
        self.stage.close()
        self.coordinator.close()


def kill_all(pids):
    """When the last of them was gone, by the kernel's word."""
    handles = [os.pidfd_open(pid) for pid in pids]
    for handle in handles:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [], 20)
    gone = time.monotonic()
    for handle in handles:
        os.close(handle)
    return gone


def exits(rig, rounds):
    """Milliseconds from the end of the last process to the report."""
    took = []
    for _ in range(rounds):
        rig.ready()
        pids = rig.pids()
        rig.coordinator.forget()
        gone = kill_all(pids)
        came, _ = rig.coordinator.first(lambda r: r["pids"] == 0 and r["app"] == "failed", 20, "the end is reported")
        took.append(max(came - gone, 0) * 1000)
    return took


class Watcher(threading.Thread):
    """Asks the health check every 5 ms, until the first `ok`."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.first = port, None
        self.start()

    def run(self):
        end = time.monotonic() + 60
        while self.first is None and time.monotonic() < end:
            time.sleep(0.005)
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                link.request("GET", "/api/__health_check")
                answer = link.getresponse()
                if answer.status == 200 and answer.read() == b"ok":
                    self.first = time.monotonic()
            except (OSError, http.client.HTTPException):
                pass
            finally:
                link.close()


def readies(rig, rounds):
    """Milliseconds from the first 200 `ok` to the report."""
    took = []
    for number in range(rounds):
        rig.stopped()
        rig.node.tune(load_ms=300 + 97 * (number % 11))  # not in step with the agent's probes
        watcher = Watcher(rig.node.port)
        came, _ = rig.ready()
        watcher.join()
        took.append((came - watcher.first) * 1000)
    rig.node.tune()
    return took


# ---- states in which an agent may die: each brings the application there from ready ----

def in_ready(rig):
    rig.ready()


def in_stopped(rig):
    rig.stopped()


def in_boot(rig):
    rig.stopped()
    rig.node.tune(boot_ms=3000)
    rig.reach("running", "starting", release=BASE_VERSION)
    wait_for(lambda: len(rig.pids()) == 2, 20, "both its processes are there")


def in_load(rig):
    rig.stopped()
    rig.node.tune(load_ms=4000)
    rig.ask("running", release=BASE_VERSION)
    rig.coordinator.obeyed(lambda r: "load plugin" in r["detail"], 20, "it loads")


def in_stopping(rig):
    rig.stopped()
    rig.node.tune(stop_ms=3000)
    rig.ready()
    rig.reach("stopped", "stopping")


def in_failed(rig):
    rig.stopped()
    rig.reach("running", "failed", release=FAILING, start="migrate")
    # What the failed migration wrote stays, as with the real one.
    rig.stage.postgres.query('update "applicationPlugins" set version = %s', BASE_VERSION, database="nocobase")


def in_sick(rig):
    rig.stopped()
    rig.node.tune(sick=True)
    rig.ask("running", release=BASE_VERSION)
    rig.coordinator.obeyed(lambda r: "database is away" in r["detail"], 20, "it is sick")


def in_crashed(rig):
    rig.stopped()
    rig.node.tune(crash="load")
    rig.reach("running", "failed", release=BASE_VERSION)


def in_backoff(rig):
    rig.stopped()
    rig.node.tune(crash="load")
    rig.reach("running", "backoff", release=BASE_VERSION, run=0)


def in_refused(rig):
    rig.stopped()
    rig.reach("running", "refused", release=NEXT)


STATES = (in_ready, in_stopped, in_boot, in_load, in_stopping, in_failed, in_sick, in_crashed, in_backoff, in_refused)


def die_in(rig, bring):
    """(milliseconds until adopted, what went wrong or "")"""
    rig.node.tune()
    bring(rig)
    before, wrong = rig.pids(), ""
    rig.agent.kill()
    if set(rig.pids()) != set(before) and bring is not in_stopping:
        wrong = f"{before} became {rig.pids()} while no agent was there"
    rig.node.tune()
    rig.coordinator.forget()
    began = time.monotonic()
    rig.agent.start()
    wait_for(lambda: rig.coordinator.reports or rig.agent.process.expect_alive(), 20, "the next agent reports", every=0.002)
    came, report = rig.coordinator.first(lambda r: r["app"] != "unknown", 20, "the next agent reports what is so")
    alive = set(rig.pids())
    if bring in (in_ready, in_boot, in_load, in_failed, in_sick) and alive != set(before):
        wrong = wrong or f"{before} became {sorted(alive)} with the next agent"
    if bring in (in_stopped, in_refused, in_crashed) and alive:
        wrong = wrong or f"{sorted(alive)} were started"
    # It starts nothing before it is told anew, so that it may say `stopped` as well.
    if bring is in_refused and report["app"] not in ("stopped", "refused", "starting"):
        wrong = wrong or f"it is {report['app']}"
    return (came - began) * 1000, wrong


def deaths(rig, count):
    took, wrong = [], []
    for number in range(count):
        bring = STATES[number % len(STATES)]
        ms, fault = die_in(rig, bring)
        took.append(ms)
        if fault:
            wrong.append(f"{bring.__name__}: {fault}")
    return took, wrong


def tenth(took):
    """What nine of ten do not exceed."""
    return sorted(took)[(len(took) * 9 - 1) // 10]


def say(what, took, bar, of):
    """of: the figure that the bar is about."""
    print(f"{what}, {len(took)} times: median {statistics.median(took):.1f} ms, 90 % {tenth(took):.1f} ms, "
          f"most {max(took):.1f} ms; at most {bar:g} ms: {'held' if of <= bar else 'NOT HELD'}", flush=True)
    return of <= bar


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=30, help="of exits and of starts")
    parser.add_argument("--deaths", type=int, default=100)
    parser.add_argument("--smoke", action="store_true", help="3 rounds, each state once")
    options = parser.parse_args()
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)  # to measure the agent, and not what else the machine does
    rounds, count = (3, len(STATES)) if options.smoke else (options.rounds, options.deaths)
    rig = Rig()
    try:
        took = exits(rig, rounds)
        good = say("exit to report", took, EXIT_MS, statistics.median(took))
        took = readies(rig, rounds)
        good = say("ready to report", took, READY_MS, tenth(took)) and good
        took, wrong = deaths(rig, count)
        good = say("next agent has reported", took, ADOPT_MS, max(took)) and good
    finally:
        rig.close()
    for line in wrong:
        print(f"NOT UNTOUCHED: {line}")
    print(f"the application was untouched by the agent's death {count - len(wrong)} of {count} times")
    return 0 if good and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
