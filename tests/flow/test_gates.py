"""Several gates with a real coordinator: one that is away, one whose binary is replaced, one held by hand."""

import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from stage.application import Release
from stage.gate import Gate
from stage.place import StageError, wait_for
from stage.programs import CLI
from cues import end_of, everywhere

CLOSED, OPEN = 503, 200


def asked(gate, path="/api/app:getInfo"):
    """Status of a visitor's request at one gate; 0: no answer."""
    try:
        with urllib.request.urlopen(gate.url + path, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def gate_status(cluster, name):
    return next(g for g in cluster.cli.status()["status"]["gates"] if g["name"] == name)


def wait_gates(cluster, **connected):
    """wait_gates(cluster, gate1=True, gate2=False)"""
    def are():
        said = cluster.cli("status", "--json", limit=20)
        if said.code != 0:
            return False
        seen = {g["name"]: bool(g.get("connected")) for g in said.json[0]["status"]["gates"]}
        return all(seen[name] == wanted for name, wanted in connected.items())
    wait_for(are, 20, f"gates connected: {connected}", every=0.1)


def by_hand(gate, *words):
    """On the gate's own host; a coordinator is not asked."""
    return subprocess.run([CLI, "gate", *words, "--local", "--state", str(gate.folder / "state")],
                          capture_output=True, text=True, timeout=60, check=False)


def waiting_for(cluster):
    return "; ".join(s.get("waiting_for", "") for s in cluster.run()[0]["run"]["steps"])


def passed_while_closed(cluster, gate):
    """Requests that a gate let through while the last run had the gates closed."""
    run = cluster.run()[0]["run"]
    opening = next(step["began_ms"] for step in run["steps"] if step["name"] == "open gates")
    return gate.passed(run["closed_ms"], opening)


def wait_said(cluster, text):
    """Until the run says that it waits for it."""
    try:
        wait_for(lambda: text in waiting_for(cluster), 60, text, every=0.1)
    except StageError:
        pytest.fail(f"waited for {text!r}, the run says {waiting_for(cluster)!r}")


class AsDaemon(Gate):
    """In the background, as packages start it: nginx replaces its binary only so."""

    def start(self):
        subprocess.run(["/usr/sbin/nginx", "-c", self.conf, "-e", self.folder / "error.log"], check=True, timeout=30)
        wait_for(self.master, 10, "nginx writes its pid")

    def master(self):
        try:
            return int((self.folder / "nginx.pid").read_text())
        except (OSError, ValueError):
            return None

    def stop(self):
        for pid in [self.master(), *self.older()]:
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.master() and not self.older(), 20, "nginx ends")

    def older(self):
        """The master whose binary is being replaced."""
        path = self.folder / "nginx.pid.oldbin"
        return [int(path.read_text())] if path.exists() else []


@pytest.fixture
def two(make_cluster):
    """A running cluster of two gates; the second is cluster.second."""
    cluster = make_cluster(start=False, coordinator={"cluster": {"gates": "gate1 gate2"}})
    cluster.second = AsDaemon(cluster.folder / "gate2", cluster.nodes, cluster.coordinator.address, name="gate2")
    try:
        for program in (cluster.gate, cluster.second, cluster.coordinator, *cluster.agents.values()):
            program.start()
        wait_gates(cluster, gate1=True, gate2=True)
        wait_for(lambda: all(n.get("connected") for n in cluster.cli.status()["status"]["nodes"]), 20, "the agents")
        cluster.cli("startup", expect=0)
        assert [asked(g) for g in (cluster.gate, cluster.second)] == [OPEN, OPEN]
        yield cluster
    finally:
        cluster.second.stop()


@pytest.mark.slow
def test_without_a_gate_that_is_away(two):
    """Refused with what to type; with that it goes on, and the gate obeys before its first request."""
    two.second.stop()
    wait_gates(two, gate1=True, gate2=False)
    two.app.offer(Release("2.2.16", "slow:4"))
    said = two.cli("upgrade", "--to", "2.2.16", "--yes")
    assert said.code == 3 and "--without gate2" in said.out + said.err, said
    assert asked(two.gate) == OPEN
    two.cli("upgrade", "--to", "2.2.16", "--yes", "--without", "gate2", "--detach", expect=5)
    wait_for(lambda: asked(two.gate) == CLOSED, 30, "closed gates")
    assert gate_status(two, "gate2")["without"] and "goes on without it" in gate_status(two, "gate2")["says"]
    two.second.start()
    first = []
    wait_for(lambda: first.append(asked(two.second)) or gate_status(two, "gate2").get("connected"), 20, "gate2")
    assert set(first) <= {0, CLOSED} and CLOSED in first
    assert "it is back" in gate_status(two, "gate2")["says"]
    two.cli("attach", limit=120)
    assert end_of(two) == "done" and everywhere(two, "2.2.16")
    assert passed_while_closed(two, two.second) == []
    wait_for(lambda: asked(two.second) == OPEN, 20, "visitors at gate2")
    assert not gate_status(two, "gate2").get("without")


def test_a_run_does_not_end_without_a_gate_that_went_away(two):
    """In the middle of a run: said, waited for, and left out only when a person says so."""
    two.app.offer(Release("2.2.16", "slow:3"))
    two.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: [asked(g) for g in (two.gate, two.second)] == [CLOSED, CLOSED], 30, "closed gates")
    two.second.stop()
    wait_said(two, "retry --without gate2")
    assert two.run()[0]["run"]["state"] == "running"
    two.cli("retry", "--without", "gate2", expect=0, limit=120)
    assert end_of(two) == "done" and everywhere(two, "2.2.16") and asked(two.gate) == OPEN
    two.second.start()
    wait_for(lambda: asked(two.second) == OPEN, 20, "gate2, which is told the newest")


@pytest.mark.slow
def test_a_new_binary_in_the_middle_of_an_upgrade(two):
    """Two nginx, two sessions of one name: the run waits for both, and both open."""
    two.app.offer(Release("2.2.16", "slow:6"))
    two.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: asked(two.second) == CLOSED, 30, "closed gates")
    old = two.second.master()
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: gate_status(two, "gate2").get("sessions") == 2, 20, "two sessions")
    assert "its binary is being replaced" in gate_status(two, "gate2")["says"]
    assert {asked(two.second) for _ in range(40)} == {CLOSED}
    two.cli("attach", limit=120)
    assert end_of(two) == "done" and everywhere(two, "2.2.16")
    assert {asked(two.second) for _ in range(40)} == {OPEN}
    assert passed_while_closed(two, two.second) == []
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: gate_status(two, "gate2").get("sessions") == 1, 20, "one session")
    assert two.second.master() not in (None, old) and asked(two.second) == OPEN


def test_closed_by_hand_while_the_coordinator_is_dead(two):
    """It is told when it is back, writes it down, shows it, and its run waits for the hand."""
    two.coordinator.kill()
    done = by_hand(two.second, "status")
    assert done.returncode == 0 and "open" in done.stdout, done
    done = by_hand(two.second, "close")
    assert done.returncode == 0 and "by hand of root" in done.stdout, done
    assert (asked(two.gate), asked(two.second)) == (OPEN, CLOSED)
    assert "closed by hand of root" in (two.second.folder / "error.log").read_text()
    two.coordinator.start()
    wait_gates(two, gate1=True, gate2=True)
    wait_for(lambda: "closed by hand of root" in gate_status(two, "gate2")["says"], 20, "it is shown")
    assert asked(two.second) == CLOSED
    wait_for(lambda: all(n.get("connected") for n in two.cli.status()["status"]["nodes"]), 20, "the agents")
    two.app.offer(Release("2.2.16"))
    two.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_said(two, "gate2 to be open")
    assert "fermata gate resume --local" in waiting_for(two)
    assert by_hand(two.second, "resume").returncode == 0
    two.cli("attach", limit=120)
    assert end_of(two) == "done" and (asked(two.gate), asked(two.second)) == (OPEN, OPEN)
    before, now = two.cli("show", "1", expect=0).out, two.cli("show", expect=0).out
    assert "gate2 is closed by hand of root" in before, before
    assert "gate2 obeys the coordinator again" in now, now
