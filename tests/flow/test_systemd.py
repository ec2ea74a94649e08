"""The systemd runtime: agents and applications as units of hosts that were really booted."""

import os
import re
import signal
import time

import pytest

from conftest import QUICK_AGENT
from stage import checks, host
from stage.application import Release
from stage.hosted import AGENT_UNIT, UNIT, put_on_hosts
from stage.place import processes_with, wait_for
from cues import assert_nobody_saw_more_than_the_page, end_of, everywhere, watched
from hooks import ORDER, SAYS_VERSION, assert_each_told, put_hooks

pytestmark = [pytest.mark.skipif(host.why_not() != "", reason=host.why_not()), pytest.mark.xdist_group("machine")]
DROP_IN = "50-fermata.conf"


@pytest.fixture
def make_hosted(make_cluster):
    clusters = []

    def make(hooks=None, **stage):
        cluster = put_on_hosts(make_cluster(start=False, **stage), QUICK_AGENT)
        if hooks:
            put_hooks(cluster, hooks)
        clusters.append(cluster)
        cluster.start()
        wait_for(lambda: all(n["app"] != "unknown" for n in cluster.cli.status()["status"]["nodes"]), 20,
                 "every node has reported", every=0.1)
        return cluster
    yield make
    for cluster in clusters:
        for agent in cluster.agents.values():
            agent.host.cut_power()


@pytest.fixture
def hosted(make_hosted):
    """Three hosts after `fermata startup`."""
    cluster = make_hosted()
    cluster.cli("startup", expect=0)
    return cluster


@pytest.fixture
def unfit(make_hosted):
    """One host on which nothing was started, its agent."""
    cluster = make_hosted(count=1)
    return cluster, cluster.agents["app1"]


@pytest.fixture
def one(make_hosted):
    """One host after `fermata startup`."""
    cluster = make_hosted(count=1)
    cluster.cli("startup", expect=0)
    return cluster


def node_status(cluster, name="app1"):
    return next(n for n in cluster.cli.status()["status"]["nodes"] if n["name"] == name)


def is_ready(cluster, name="app1"):
    return node_status(cluster, name)["app"] == "ready"


def test_start_and_stop(one):
    wait_for(lambda: node_status(one).get("memory_bytes", 0) > 0, 20, "what it uses is known", every=0.1)
    agent = one.agents["app1"]
    assert agent.host.show(UNIT, "ActiveState") == "active"
    assert everywhere(one, "2.2.15") and one.ask("/api/app:getInfo")[0] == 200
    one.cli("stop", expect=0)
    assert agent.host.show(UNIT, "ActiveState") == "inactive" and agent.app_pid() is None
    assert one.app_pids() == []


def test_a_crash_is_healed_by_the_agent_and_not_by_systemd(one):
    agent = one.agents["app1"]
    before = agent.app_pid()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent.app_pid() not in (None, before) and is_ready(one), 20, "started again", every=0.1)
    assert agent.host.show(UNIT, "NRestarts") == "0"


def test_nobody_else_starts_the_unit(one):
    agent = one.agents["app1"]
    one.cli("stop", expect=0)

    def is_refused():
        by_hand = agent.host.ctl("start", UNIT, expect=None)
        assert by_hand.returncode != 0 and agent.app_pid() is None
        return "ssert" in by_hand.stderr
    wait_for(is_refused, 20, "systemd says so itself: the agent may be quicker, and cancel the job")
    assert agent.host.show(UNIT, "ActiveState") == "inactive"
    said = agent.host.ctl("status", UNIT, expect=None).stdout
    assert "fermata-starts-it" in said and DROP_IN in said and "fermata-agent(8)" in said


def test_the_unit_is_given_back(one):
    agent = one.agents["app1"]
    pid = agent.app_pid()
    refused = agent.host.inside(agent.program, "--config", agent.ini, "--let-go", expect=1)
    assert "still works" in refused.stderr
    agent.stop()
    agent.host.inside(agent.program, "--config", agent.ini, "--let-go")
    assert agent.app_pid() == pid and not list(agent.host.units.rglob(DROP_IN))
    agent.host.ctl("restart", UNIT)
    wait_for(lambda: one.ask("/api/__health_check", one.nodes[0])[0] == 200, 20, "anybody starts it")


def test_a_killed_agent_finds_its_unit_again(one):
    agent = one.agents["app1"]
    pid, killed = agent.app_pid(), agent.pid
    agent.kill()
    wait_for(lambda: agent.pid not in (None, killed), 20, "another agent")
    wait_for(lambda: is_ready(one), 15, "adopted", every=0.1)
    assert agent.app_pid() == pid


def test_upgrade_under_load(make_hosted):
    """And hooks run inside the agent's unit: a stop of the application's does not end them."""
    hosted = make_hosted(hooks=dict.fromkeys(ORDER, SAYS_VERSION))
    hosted.cli("startup", expect=0)
    hosted.app.offer(Release("2.2.16"))
    visitors, said = watched(hosted, "upgrade", "--to", "2.2.16", "--yes")
    assert end_of(hosted) == "done", said
    assert everywhere(hosted, "2.2.16") and hosted.postgres.version() == "2.2.16"
    assert_nobody_saw_more_than_the_page(hosted, visitors)
    assert_each_told(hosted, "2.2.15", "2.2.16")
    groups = [path.read_text() for path in hosted.folder.glob("*.cgroup")]
    assert len(groups) == len(ORDER) * len(hosted.nodes) and all(AGENT_UNIT in group for group in groups), groups


def test_failing_migration_is_rolled_back(hosted):
    hosted.app.offer(Release("2.2.16", "fail"))
    said = hosted.cli("upgrade", "--to", "2.2.16", "--yes", expect=1)
    assert end_of(hosted) == "rolled-back", said
    assert everywhere(hosted, "2.2.15") and hosted.postgres.version() == "2.2.15"
    assert "always fails" in said.out + said.err


def test_a_host_that_boots_starts_nothing_before_it_is_told(hosted):
    """Power fails on a node whose unit is enabled, in the middle of an upgrade."""
    agent = hosted.agents["app3"]
    agent.host.ctl("enable", UNIT)
    hosted.app.offer(Release("2.2.16", "slow:3"))
    hosted.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: hosted.agents["app1"].app_pid() and "2.2.16" in str(hosted.nodes[0].current.readlink()), 60,
             "the first node migrates")
    agent.host.cut_power()
    hosted.nodes[2].clear_access_log()
    agent.start()
    hosted.cli("attach", limit=120)
    assert end_of(hosted) == "done" and everywhere(hosted, "2.2.16")
    # Of the others none answered anything before the first was verified.
    steps = {step["name"]: step for step in hosted.run()[0]["run"]["steps"]}
    verified = steps["start first"]["began_ms"] + steps["start first"]["took_ms"]
    answered = [row[0] for row in checks.door_log(hosted.nodes[2:], 0, time.time() * 1000 + 1)]
    assert answered and min(answered) > verified


def test_a_host_that_boots_on_an_idle_cluster_comes_back(one):
    agent = one.agents["app1"]
    agent.host.ctl("enable", UNIT)
    agent.host.cut_power()
    assert one.app_pids() == []
    agent.start()
    wait_for(lambda: is_ready(one), 30, "ready again", every=0.1)
    assert agent.host.show(UNIT, "NRestarts") == "0"


def with_line(key, value):
    return lambda text: re.sub(f"(?m)^{key}=.*$", f"{key}={value}", text)


@pytest.mark.parametrize("change, says", [
    pytest.param(None, "knows no unit nocobase.service", marks=pytest.mark.slow),
    (with_line("Type", "forking"), "set Type=exec"),
    pytest.param(with_line("WorkingDirectory", "/tmp"), "set WorkingDirectory=", marks=pytest.mark.slow),
    pytest.param(with_line("KillMode", "process"), "set KillMode=control-group", marks=pytest.mark.slow),
    pytest.param(lambda text: text.replace("[Service]", "[Service"), "systemctl status nocobase.service", marks=pytest.mark.slow),
], ids=["missing", "forking", "elsewhere", "leftovers", "unreadable"])
def test_an_unfit_unit_is_named(unfit, change, says):
    """By --check, and by the start that is refused."""
    cluster, agent = unfit
    path = agent.host.units / UNIT
    text = path.read_text()
    path.unlink()
    if change:
        path.write_text(change(text))
    agent.host.ctl("daemon-reload")
    checked = agent.host.inside(agent.program, "--config", agent.ini, "--check", expect=2)
    assert says in checked.stderr
    said = cluster.cli("startup", expect=3)
    assert "app1 could not be started" in said.out + said.err and says in said.out + said.err
    assert cluster.app_pids() == []
    path.write_text(text)
    agent.host.ctl("daemon-reload")
    assert "in order" in agent.host.inside(agent.program, "--config", agent.ini, "--check").stdout
    cluster.cli("startup", expect=0)
    assert everywhere(cluster, "2.2.15")


def test_a_drop_in_that_undoes_ours_is_named(unfit):
    cluster, agent = unfit
    (agent.host.units / f"{UNIT}.d" / "90-mine.conf").write_text("[Service]\nRestart=always\n")
    agent.host.ctl("daemon-reload")
    said = cluster.cli("startup", expect=3)
    assert "Restart=" in said.out + said.err and "systemctl cat" in said.out + said.err
    assert cluster.app_pids() == []


def test_a_command_that_cannot_be_executed_is_named(unfit):
    cluster, agent = unfit
    path = agent.host.units / UNIT
    path.write_text(with_line("ExecStart", "/nonexistent/node start")(path.read_text()))
    agent.host.ctl("daemon-reload")
    said = cluster.cli("startup", expect=None)
    # Which is heard first, the unit's result or that its process is gone, is a race.
    words = said.out + said.err
    assert said.code != 0 and ("systemd says: failed, exit-code 203" in words or "app1: the application is gone" in words)
    assert "code=203" in agent.log.read_text()


def test_the_bus_comes_back(one):
    """While it is away nothing is proved; afterwards all is as it was."""
    agent = one.agents["app1"]
    pid = agent.app_pid()
    agent.host.ctl("stop", "dbus.socket", "dbus.service")
    wait_for(lambda: "systemd cannot be asked" in node_status(one)["detail"], 20, "the agent says so", every=0.1)
    assert agent.app_pid() == pid and one.ask("/api/__health_check", one.nodes[0])[0] == 200
    agent.host.ctl("start", "dbus.socket")
    wait_for(lambda: "systemd" not in node_status(one)["detail"] and is_ready(one), 20, "the bus is back", every=0.1)
    one.cli("stop", expect=0)
    assert agent.app_pid() is None and agent.host.show(UNIT, "ActiveState") == "inactive"


def test_a_start_in_the_middle_of_which_the_agent_dies_is_adopted(one):
    agent = one.agents["app1"]
    one.cli("stop", expect=0)
    one.nodes[0].tune(load_ms=1500)
    one.cli("startup", "--detach", expect=5)
    wait_for(agent.app_pid, 20, "the unit runs")
    pid, killed = agent.app_pid(), agent.pid
    agent.kill()
    wait_for(lambda: agent.pid not in (None, killed), 20, "another agent")
    one.cli("attach", expect=0)
    assert everywhere(one, "2.2.15") and agent.app_pid() == pid


def running_step(cluster):
    return next((step["name"] for step in cluster.run()[0]["run"]["steps"] if step["state"] == "running"), None)


STEPS = ("fetch", "close gates", "drain", "stop nodes", "fence", "restore point", "switch release", "unfence",
         "start first", "start others")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["app1", "app3"])
@pytest.mark.parametrize("step", STEPS)
def test_power_fails_in_every_step_of_an_upgrade(hosted, step, victim):
    """The unit is enabled, and yet nothing starts that the guard forbids; the run comes to an end that is told."""
    agent = hosted.agents[victim]
    agent.host.ctl("enable", UNIT)
    hosted.app.offer(Release("2.2.16", "slow:1"))
    for node in hosted.nodes:
        node.tune(load_ms=400)
    hosted.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    order = [row["name"] for row in hosted.run()[0]["run"]["steps"]]
    assert step in order
    wait_for(lambda: running_step(hosted) == step or step in done_steps(hosted), 60, f"step {step}", every=0.01)
    agent.host.cut_power()
    mine = next(node for node in hosted.nodes if node.name == victim)
    assert not app_pids_of(hosted, mine)
    agent.start()
    hosted.cli("attach", limit=150)
    ended = end_of(hosted)
    if ended == "halted":
        hosted.cli("retry", limit=150)
        hosted.cli("attach", limit=150)
        ended = end_of(hosted)
    assert ended in ("done", "rolled-back", "rolled-back-with-loss"), ended
    version = "2.2.16" if ended == "done" else "2.2.15"
    assert everywhere(hosted, version, limit=30) and hosted.postgres.version() == version


def done_steps(cluster):
    return [step["name"] for step in cluster.run()[0]["run"]["steps"] if step["state"] == "done"]


def app_pids_of(cluster, node):
    mine = set(processes_with(f"FERMATA_NODE={node.name}"))
    return [pid for pid in cluster.app_pids() if pid in mine]
