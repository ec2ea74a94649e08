"""Things die at bad moments: the coordinator, an agent, the application, the gate."""

import os
import random
import signal
import time

import pytest

from stage.application import Release
from stage.place import Process, is_listening, processes_with, wait_for
from stage.programs import COORDINATOR
from cues import end_of, everywhere

KILLS = int(os.environ.get("FERMATA_KILLS", "30"))
QUICK_KILLS = 3


def node_status(cluster, name="app1"):
    return next(n for n in cluster.cli.status()["status"]["nodes"] if n["name"] == name)


def app_pids(cluster, node):
    mine = set(processes_with(f"FERMATA_NODE={node.name}"))
    return [pid for pid in cluster.app_pids() if pid in mine]


def is_going_back(cluster):
    steps = cluster.run()[0]["run"]["steps"]
    return any(step["table"] == "recovery" and step["state"] in ("running", "done") for step in steps)


@pytest.mark.parametrize("number", [
    pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK_KILLS else []) for n in range(KILLS)])
def test_a_killed_coordinator_resumes_its_upgrade(running, number):
    running.app.offer(Release("2.2.16", "slow:0.5"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    time.sleep(random.Random(number).uniform(0, 4))
    running.coordinator.kill()
    running.coordinator.start()
    running.cli("attach", limit=60)
    assert end_of(running) == "done"
    assert everywhere(running, "2.2.16") and running.ask("/api/app:getInfo")[0] == 200


def test_a_coordinator_killed_again_and_again_resumes(running):
    running.app.offer(Release("2.2.16"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    for _ in range(5):
        time.sleep(0.4)
        running.coordinator.kill()
        running.coordinator.start()
    running.cli("attach", limit=60)
    assert end_of(running) == "done" and everywhere(running, "2.2.16")


def test_a_killed_coordinator_resumes_its_rollback(running):
    running.app.offer(Release("2.2.16", "fail"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: is_going_back(running), 30, "the rollback began")
    running.coordinator.kill()
    running.coordinator.start()
    running.cli("attach", limit=60)
    assert end_of(running) == "rolled-back" and everywhere(running, "2.2.15")


def test_the_application_outlives_its_agent_and_is_adopted(running):
    node = running.nodes[0]
    pids = app_pids(running, node)
    running.agents["app1"].kill()
    assert running.ask("/api/__health_check", node)[0] == 200
    running.agents["app1"].start()
    wait_for(lambda: node_status(running)["app"] == "ready", 15, "the application is adopted", every=0.1)
    assert app_pids(running, node) == pids


def test_an_agents_clean_end_leaves_the_application(running):
    node = running.nodes[0]
    pids = app_pids(running, node)
    running.agents["app1"].stop()
    assert app_pids(running, node) == pids
    running.agents["app1"].start()
    running.wait_connected()


def test_an_agent_killed_during_an_upgrade_is_waited_for(running):
    running.app.offer(Release("2.2.16", "slow:1"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: running.ask("/api/app:getInfo")[0] == 503, 20, "closed gates")
    time.sleep(0.8)
    running.agents["app1"].kill()
    time.sleep(0.5)
    running.agents["app1"].start()
    running.cli("attach", limit=90)
    assert end_of(running) in ("done", "rolled-back")
    assert everywhere(running, "2.2.16" if end_of(running) == "done" else "2.2.15")


def test_a_crash_outside_a_run_is_healed(running):
    node = running.nodes[1]
    for pid in app_pids(running, node):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: running.ask("/api/__health_check", node)[0] == 200, 20, "started again", every=0.1)
    assert running.ask("/api/app:getInfo")[0] == 200


def test_a_process_that_ignores_term_is_killed(running):
    running.cli("stop", expect=0)
    running.nodes[1].tune(ignore_term=True)
    running.cli("startup", expect=0)
    running.cli("stop", expect=0)
    assert running.app_pids() == []


def test_strays_do_not_survive_a_stop(running):
    running.cli("stop", expect=0)
    running.nodes[2].tune(stray=True)
    running.cli("startup", expect=0)
    running.cli("stop", expect=0)
    assert running.app_pids() == []


def test_a_stop_in_the_middle_of_a_start_leaves_nothing(cluster):
    cluster.nodes[0].tune(load_ms=20000, term_in_start="never")
    cluster.cli("startup", "--detach", expect=5)
    wait_for(lambda: is_listening(cluster.nodes[0].port), 20, "the first node boots")
    cluster.cli("abort")
    wait_for(lambda: cluster.app_pids() == [], 20, "nothing is left")


def test_nothing_is_started_on_a_database_of_another_release(running):
    node = running.nodes[2]
    running.postgres.query('update "applicationVersion" set value = %s', "2.2.16", database="nocobase")
    for pid in app_pids(running, node):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: node_status(running, "app3")["app"] == "refused", 20, "the guard refuses", every=0.1)
    assert app_pids(running, node) == []


def test_the_second_node_that_fails_takes_the_upgrade_back(running):
    running.app.offer(Release("2.2.16"))
    running.nodes[1].tune(crash="load")

    def heal():
        running.nodes[1].tune()
    running.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: is_going_back(running), 60, "the rollback began")
    heal()
    running.cli("attach", limit=60)
    assert end_of(running) == "rolled-back" and everywhere(running, "2.2.15")


def test_the_gate_stays_closed_over_reload_and_restart(running):
    running.cli("page", "on", expect=0)
    running.coordinator.kill()
    running.gate.reload()
    time.sleep(0.5)
    assert running.ask("/api/app:getInfo")[0] == 503
    running.gate.stop()
    running.gate.start()
    assert running.ask("/api/app:getInfo")[0] == 503
    running.coordinator.start()
    running.wait_connected()
    assert running.ask("/api/app:getInfo")[0] == 503
    running.cli("page", "off", expect=0)
    assert running.ask("/api/app:getInfo")[0] == 200


def test_a_second_coordinator_on_the_same_journal_is_refused(running):
    second = Process("second", [COORDINATOR, "--config", running.coordinator.ini], running.folder / "second.log")
    assert second.wait(10) != 0
    assert running.coordinator.is_alive() and running.cli.status()
