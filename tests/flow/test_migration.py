"""What people hear of a migration, and what happens to one that does not move."""

import contextlib

import psycopg2
import pytest

from stage.application import Release
from stage.place import processes_with, wait_for
from cues import end_of, everywhere

STUCK = {"limits": {"stuck": "4s"}}


def pids_of(cluster, name):
    return set(processes_with(f"FERMATA_NODE={name}")) & set(cluster.app_pids())


def node(cluster, name="app1"):
    return next(n for n in cluster.cli.status()["status"]["nodes"] if n["name"] == name)


@contextlib.contextmanager
def locked(cluster, table):
    """Somebody holds the table, as an operator's forgotten session does."""
    link = psycopg2.connect(f"{cluster.postgres.conninfo} dbname=nocobase application_name=forgotten")
    try:
        with link.cursor() as cursor:
            cursor.execute(f"lock table {table} in access exclusive mode")
            yield link.info.backend_pid
    finally:
        link.close()


def begin_upgrade(cluster, until="start first"):
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: until in cluster.cli("status").out, 60, f"the run is at {until}", every=0.1)


def test_what_runs_in_the_database_is_said_and_who_holds_it_up(running):
    cluster = running
    cluster.app.offer(Release("2.2.16", "slow:3"))
    begin_upgrade(cluster)
    with locked(cluster, "migrations") as holder:
        words = ("from migrations where name = ?", "Lock/relation", f"held by pid {holder}", "forgotten")

        def said():
            text = cluster.cli("status").out
            return text if all(word in text for word in words) else None
        text = wait_for(said, 30, "the statement, what it waits for, and who holds that", every=0.3)
        assert "in the database for" in text and "waiting for app1" in text
        assert "from migrations" in node(cluster)["detail"]
    cluster.cli("attach", limit=60)
    assert end_of(cluster) == "done" and everywhere(cluster, "2.2.16")
    assert "from migrations" not in node(cluster)["detail"]


@pytest.fixture
def hanging(make_cluster):
    cluster = make_cluster(agent=STUCK)
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    cluster.nodes[0].tune(hang="migration")
    begin_upgrade(cluster)
    wait_for(lambda: end_of(cluster) == "halted", 60, "a person is asked", every=0.2)
    return cluster


def test_a_migration_that_does_not_move_is_left_alone_and_a_person_asked(hanging):
    cluster = hanging
    pids = pids_of(cluster, "app1")
    said = cluster.cli("status").out
    assert pids and "stuck" in said and "no progress" in said and "fermata resume to wait on" in said, said
    assert "pg_sleep(?)" in said and "Timeout/PgSleep" in said, said
    assert cluster.ask("/api/app:getInfo")[0] == 503

    cluster.cli("resume", "--detach", expect=5)
    assert end_of(cluster) == "running"
    wait_for(lambda: end_of(cluster) == "halted", 30, "asked again", every=0.2)
    assert pids_of(cluster, "app1") == pids, "what is slow was ended"

    cluster.nodes[0].tune()
    said = cluster.cli("rollback", limit=120)
    assert end_of(cluster) == "rolled-back", said
    assert everywhere(cluster, "2.2.15") and not pids & pids_of(cluster, "app1")
    logs = "".join(path.read_text(errors="replace") for path in cluster.folder.rglob("*.log")
                   if "postgres" not in path.name)
    shown = cluster.cli("show").out
    assert "pg_sleep" in shown and "nobody-sees" not in logs + shown


@pytest.mark.slow
def test_a_migration_that_does_not_move_is_begun_anew_on_a_persons_word(hanging):
    cluster = hanging
    pids = pids_of(cluster, "app1")
    cluster.nodes[0].tune()
    cluster.cli("retry", expect=0, limit=120)
    assert end_of(cluster) == "done" and everywhere(cluster, "2.2.16")
    assert not pids & pids_of(cluster, "app1")


@pytest.mark.parametrize("term, ends_by_itself", [("20s", True), ("300ms", False)])
def test_a_migration_is_waited_for_after_term_and_then_killed(make_cluster, term, ends_by_itself):
    cluster = make_cluster(agent={"limits": {"term": term}})
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16", "slow:4"))
    first = cluster.nodes[0]
    first.env["STANDIN_SAYS"] = "the migration was finished"
    first.write_env()
    begin_upgrade(cluster)
    wait_for(lambda: "run migration" in node(cluster)["detail"], 30, "it migrates", every=0.05)
    first.env.pop("STANDIN_SAYS")
    first.write_env()
    pids = pids_of(cluster, "app1")
    cluster.cli("abort", expect=1)
    wait_for(lambda: end_of(cluster) == "stopped-by-operator", 60, "all is as before", every=0.2)
    assert not pids & pids_of(cluster, "app1"), "a process of the group is left"
    assert everywhere(cluster, "2.2.15")
    printed = (first.folder / "app.log").read_text(errors="replace")
    assert ("the migration was finished" in printed) == ends_by_itself
