"""Every procedure from end to end, as an operator types it and as visitors see it."""

import json
import time

import pytest

from stage import checks
from stage.application import Release
from stage.place import wait_for
from stage.visitors import Visitors
from cues import assert_nobody_saw_more_than_the_page, end_of, everywhere, reached_while_closed, watched

def test_startup_starts_the_first_node_alone(cluster):
    assert cluster.ask("/api/app:getInfo")[0] == 503
    cluster.cli("startup", expect=0)
    assert everywhere(cluster, "2.2.15")
    steps = {step["name"]: step for step in cluster.run()[0]["run"]["steps"]}
    first_ready = steps["start first"]["began_ms"] + steps["start first"]["took_ms"]
    others = [row[0] for row in checks.door_log(cluster.nodes[1:], 0, time.time() * 1000 + 1)]
    assert others and min(others) > first_ready
    assert cluster.ask("/api/app:getInfo")[0] == 200


def test_startup_of_a_running_cluster_is_refused_and_touches_nothing(running):
    pids = running.app_pids()
    said = running.cli("startup")
    assert said.code == 3, said
    assert running.app_pids() == pids


def test_upgrade_under_load(running):
    running.app.offer(Release("2.2.16"))
    visitors, said = watched(running, "upgrade", "--to", "2.2.16", "--yes")
    assert end_of(running) == "done", said
    assert everywhere(running, "2.2.16") and running.postgres.version() == "2.2.16"
    assert_nobody_saw_more_than_the_page(running, visitors)
    assert not reached_while_closed(running)


def test_upgrade_opens_on_the_first_node(make_cluster):
    cluster = make_cluster(coordinator={"cluster": {"open_when": "first"}})
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    for node in cluster.nodes[1:]:
        node.tune(load_ms=1500)
    visitors, _ = watched(cluster, "upgrade", "--to", "2.2.16", "--yes")
    assert everywhere(cluster, "2.2.16")
    assert_nobody_saw_more_than_the_page(cluster, visitors)
    steps = {step["name"]: step for step in cluster.run()[0]["run"]["steps"]}
    back = checks.outages(visitors.answers)[0].end_ms
    assert back < steps["join others"]["began_ms"] + steps["join others"]["took_ms"] - 1000


@pytest.mark.parametrize("migration, refresh", [
    pytest.param("slow:3", True, marks=pytest.mark.slow), ("fail", False)])
def test_open_tabs_come_back_by_themselves(running, migration, refresh):
    """They load again only if it is another version that they come back to."""
    for node in running.nodes:
        node.tune(load_ms=1500)
    running.app.offer(Release("2.2.16", migration))
    with Visitors(running.gate.url, running.folder / "visitors.json", sockets=5, limit=120) as visitors:
        wait_for(lambda: running.tabs() == (0, 5), 20, "five tabs at the nodes", every=0.1)
        running.cli("upgrade", "--to", "2.2.16", "--yes", expect=0 if refresh else 1)
        wait_for(lambda: running.tabs() == (0, 5), 30, "all are back", every=0.1)
    assert not checks.tab_faults(visitors.sockets, 5, refresh)


def test_failing_migration_is_rolled_back(running):
    running.app.offer(Release("2.2.16", "fail"))
    visitors, said = watched(running, "upgrade", "--to", "2.2.16", "--yes", expect=1)
    assert end_of(running) == "rolled-back", said
    assert everywhere(running, "2.2.15") and running.postgres.version() == "2.2.15"
    assert_nobody_saw_more_than_the_page(running, visitors)
    assert "always fails" in said.out + said.err
    tables = running.postgres.query("select to_regclass('fermata_test')", database="nocobase")
    assert tables == [(None,)], "what the failed migration wrote must be gone"


def test_the_stores_way_back_brings_files_back(running):
    upload = running.storage / "uploads" / "a.txt"
    upload.write_text("before")
    running.app.offer(Release("2.2.16", "fail"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", expect=1)
    assert upload.read_text() == "before"


def test_upgrade_waits_for_a_person(running):
    running.app.offer(Release("2.2.16"))
    running.cli("upgrade", "--to", "2.2.16", "--detach", expect=5)
    wait_for(lambda: running.run()[0]["run"]["state"] == "held", 30, "the run waits for approval", every=0.1)
    assert running.ask("/api/app:getInfo")[0] == 503
    running.cli("approve", expect=0)
    running.cli("attach", expect=0)
    assert end_of(running) == "done" and everywhere(running, "2.2.16")


def test_a_rejected_upgrade_is_taken_back(running):
    running.app.offer(Release("2.2.16"))
    running.cli("upgrade", "--to", "2.2.16", "--message", "Better tomorrow", "--detach", expect=5)
    wait_for(lambda: running.run()[0]["run"]["state"] == "held", 30, "the run waits for approval", every=0.1)
    status, page = running.ask("/", headers={"Accept": "text/html"})
    assert status == 503 and "Better tomorrow" in page
    running.cli("reject", expect=0)
    running.cli("attach")
    assert end_of(running) in ("rolled-back", "stopped-by-operator")
    assert everywhere(running, "2.2.15")


def test_upgrade_to_nothing_is_refused_or_taken_back_before_the_page(running):
    visitors, said = watched(running, "upgrade", "--to", "9.9.9", "--yes", expect=None)
    assert said.code in (1, 3), said
    assert not checks.outages(visitors.answers)
    assert everywhere(running, "2.2.15")


def test_rollback_after_the_gates_opened_says_the_loss(running):
    running.app.offer(Release("2.2.16"))
    running.cli("upgrade", "--to", "2.2.16", "--yes", expect=0)
    running.ask("/api/things:create", method="POST", body=json.dumps({"title": "after"}).encode())
    assert running.cli("rollback").code in (2, 3), "must want --yes"
    running.cli("rollback", "--yes")
    assert end_of(running) == "rolled-back-with-loss"
    assert everywhere(running, "2.2.15")


def test_maintenance_brings_a_plugin_to_every_node(running):
    kept, *others = running.nodes
    visitors, _ = watched(running, "maintenance", "begin", "--keep", "app1", writes=5)
    assert not checks.outages(visitors.answers) and not checks.strange(visitors.answers)
    assert all(running.ask("/", node)[0] == 0 for node in others)
    assert running.ask("/api/pm:enable?filterByTk=departments", kept, "POST", b"")[0] == 200
    wait_for(lambda: running.ask("/api/departments:list", kept)[0] == 200, 5, "the plugin")
    visitors, _ = watched(running, "maintenance", "end", writes=5)
    assert not checks.outages(visitors.answers) and not checks.strange(visitors.answers)
    assert [running.ask("/api/departments:list", node)[0] for node in running.nodes] == [200] * 3


def test_restart_goes_node_by_node_without_an_interruption(running):
    before = set(running.app_pids())
    visitors, _ = watched(running, "restart")
    assert not checks.outages(visitors.answers) and not checks.strange(visitors.answers)
    assert not before & set(running.app_pids())
    assert everywhere(running, "2.2.15")


def test_stop_and_startup_again(running):
    running.cli("stop", "--message", "Moving house", expect=0)
    status, text = running.ask("/api/app:getInfo")
    assert running.app_pids() == [] and status == 503 and "Moving house" in text
    running.cli("startup", expect=0)
    assert everywhere(running, "2.2.15")


def test_page_on_and_off(running):
    pids = running.app_pids()
    running.cli("page", "on", "--message", "Back soon", expect=0)
    status, text = running.ask("/api/app:getInfo")
    assert status == 503 and "Back soon" in text
    running.cli("page", "off", expect=0)
    assert running.ask("/api/app:getInfo")[0] == 200
    assert running.app_pids() == pids


def test_one_run_at_a_time(running):
    running.cli("maintenance", "begin", expect=0)
    running.app.offer(Release("2.2.16"))
    assert running.cli("upgrade", "--to", "2.2.16", "--yes").code == 3
    running.cli("maintenance", "end", expect=0)


@pytest.mark.parametrize("argv", [["upgrade"], ["nonsense"], ["status", "--nonsense"]])
def test_usage_is_said(running, argv):
    assert running.cli(*argv).code == 2
