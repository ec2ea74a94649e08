"""A daemon that the application left behind, with no parent, session or environment to tell it by: it counts, ends
with the application, and is buried; and what others leave behind is left alone."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

from conftest import QUICK_AGENT
from stage.application import BASE_VERSION
from stage.cluster import Stage
from stage.place import born, wait_for
from stage.played import PlayedCoordinator
from stage.programs import Agent

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]


def can_split():
    return subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode == 0


def inside(pid):
    """The number of a process in the innermost namespace it is in."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("NSpid:")).split()[-1])


class Rig:
    """One node with an agent, and a coordinator that is played."""

    def __init__(self, postgres, within=()):
        self.stage = Stage(count=1, postgres=postgres)
        self.folder, self.node = self.stage.folder, self.stage.nodes[0]
        self.coordinator, self.serial = PlayedCoordinator(), 0
        self.agent = Agent(self.node, self.stage.app, self.coordinator.address, self.stage.storage, QUICK_AGENT)
        self.agent.within = list(within)
        self.mine = []
        self.agent.start()

    def reach(self, app, state, **values):
        self.serial += 1
        self.coordinator.forget()
        self.coordinator.ask(app, start_serial=self.serial, run=1, **values)
        return self.coordinator.obeyed(lambda r: r["app"] == state, 60, f"{state} after {app}")[1]

    def counts(self, number):
        self.coordinator.first(lambda r: r["pids"] == number, 60, f"{number} processes are reported")

    def start_with_daemon(self):
        """The daemon's number, as its own namespace has it."""
        self.node.tune(stray="bare")
        self.reach("running", "ready", release=BASE_VERSION, start="migrate")
        file = pathlib.Path(f"{self.node.access_log}.stray")
        wait_for(file.exists, 20, "the daemon is there")
        return int(file.read_text(encoding="ascii"))

    def look(self):
        """Ends the application's command line alone: the kernel tells the agent, which then looks at all there is."""
        leader = (self.agent.state / "application.session").read_text().split()[0]
        mine = [pid for pid in self.stage.app_pids() if inside(pid) == int(leader)]
        assert len(mine) == 1
        self.coordinator.forget()
        os.kill(mine[0], signal.SIGKILL)

    def close(self):
        self.agent.kill()
        for pid, began in self.mine:
            if began and born(pid) == began:
                os.kill(pid, signal.SIGKILL)
        self.stage.close()
        self.coordinator.close()


@pytest.fixture
def make_rig(request, lent_postgres):
    request.node.stages = []

    def make(**how):
        rig = Rig(lent_postgres, **how)
        request.node.stages.append(rig)
        return rig
    yield make
    for rig in request.node.stages:
        rig.close()


def children(pid):
    """Those of a process, dead ones too: {pid: state}."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{entry}/stat", encoding="utf-8",
                                                            errors="replace") as file:
            state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            if int(parent) == pid:
                found[int(entry)] = state
    return found


def dead(pid):
    return [child for child, state in children(pid).items() if state == "Z"]


def test_a_daemon_counts_and_ends_with_the_application(make_rig):
    rig = make_rig()
    daemon = rig.start_with_daemon()
    rig.mine.append((daemon, born(daemon)))
    assert daemon not in rig.stage.app_pids(), "nothing tells it"
    assert daemon in children(rig.agent.process.pid)
    rig.look()
    rig.counts(2)
    assert rig.reach("stopped", "stopped")["pids"] == 0
    assert born(daemon) is None
    wait_for(lambda: not dead(rig.agent.process.pid), 20, "all are buried")


def test_a_daemon_is_known_to_the_next_agent(make_rig):
    rig = make_rig()
    daemon = rig.start_with_daemon()
    rig.mine.append((daemon, born(daemon)))
    rig.look()
    known = rig.agent.state / "application.known"
    wait_for(lambda: f"\n{daemon} " in known.read_text(), 20, "it is written down")
    rig.agent.kill()
    assert born(daemon)
    rig.agent.start()
    assert daemon not in children(rig.agent.process.pid)
    assert rig.reach("stopped", "stopped")["pids"] == 0
    assert born(daemon) is None


def first_of(rig):
    """Process 1 of the agent's container, by our number; the agent is one of its children."""
    return wait_for(lambda: next((pid for pid in children(rig.agent.process.pid) if inside(pid) == 1), None), 20,
                    "the first process")


def left_behind(first, *argv):
    """Somebody enters the container, as `docker exec` does, starts something in the background, and leaves."""
    subprocess.run(["nsenter", "-t", str(first), "-p", "-m", "sh", "-c", '"$@" & exit 0', "sh", *argv], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not can_split(), reason="namespaces cannot be made here")
def test_the_first_process_of_a_container_buries_and_leaves_alone(make_rig):
    rig = make_rig(within=CONTAINER)
    daemon = rig.start_with_daemon()
    first = first_of(rig)
    agent = next(iter(children(first)))
    assert any(inside(pid) == daemon for pid in children(agent)), "the daemon is the agent's"
    left_behind(first, "sleep", "86399")
    visitor = wait_for(lambda: next((pid for pid in children(first) if pid != agent), None), 20, "it has no parent")
    left_behind(first, "true")
    wait_for(lambda: len(children(first)) == 2, 20, "who ended is buried")
    rig.look()
    rig.counts(2)
    assert rig.reach("stopped", "stopped")["pids"] == 0
    assert born(visitor), "it is nobody's affair"
    assert set(children(first)) == {agent, visitor}
    wait_for(lambda: not children(agent), 20, "all are buried")
    os.kill(first, signal.SIGTERM)
    assert rig.agent.process.wait(20) == 0, "it hands the signal on and ends as the agent does"
