"""fermata-dbjob on a real PostgreSQL: looking, the fence, one voice, preflight, and orders that make no
sense."""

import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import psycopg2
import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[up]) for up in (0, 1)]

# pylint: disable=wrong-import-position,unused-import,redefined-outer-name
from dbjob import (DBJOB, as_app, assert_restored, can_connect, frame, jobs, migrated,  # noqa: E402,F401
                   postgres, read_reports, tools_of, wait_until)
from stage.services import DATABASE, ROLE  # noqa: E402


# LOOK

def test_look(jobs):
    report = jobs.ok("look")
    assert (report.version, report.installed, report.login) == ("2.2.15", 1, 1)
    assert (report.enabled_plugins, report.pending_plugins, report.stale_plugins) == (20, 0, 0)


def test_look_counts_plugins(jobs):
    as_app(jobs.postgres, """update "applicationPlugins" set installed = false where id <= 2;
        update "applicationPlugins" set installed = null where id = 3;
        update "applicationPlugins" set enabled = false where id in (1, 4);
        update "applicationPlugins" set version = '2.2.14' where id between 5 and 9;
        update "applicationPlugins" set "builtIn" = false where id = 9""")
    report = jobs.ok("look")
    assert (report.enabled_plugins, report.pending_plugins, report.stale_plugins) == (18, 2, 4)


def test_look_at_nothing(jobs):
    jobs.postgres.fresh_database()
    report = jobs.ok("look")
    assert (report.version, report.installed) == ("", 0)
    as_app(jobs.postgres, 'create table "applicationVersion" (id bigserial, value text);'
                          'create table "applicationPlugins" (enabled bool, installed bool, version text,'
                          ' "builtIn" bool)')
    report = jobs.ok("look")
    assert (report.version, report.installed, report.enabled_plugins) == ("", 1, 0)


def test_look_at_other_names(jobs):
    as_app(jobs.postgres, """create schema other; set search_path = other;
        create table nb_application_version (id int, value text);
        create table nb_application_plugins (enabled bool, installed bool, version text, built_in bool);
        insert into nb_application_version values (1, '2.2.9');
        insert into nb_application_plugins values (true, true, '2.2.8', true)""")
    report = jobs.ok("look", schema="other", table_prefix="nb_", underscored=True)
    assert (report.version, report.stale_plugins) == ("2.2.9", 1)
    assert jobs.ok("look", schema="other", table_prefix="nb_").installed == 0


def test_look_when_it_cannot(jobs):
    jobs.ok("fence")
    report = jobs.refused("look", "may not log in (the database is fenced)")
    assert (report.sqlstate, report.login) == ("28000", 0)
    jobs.ok("unfence")
    wrong = jobs.own_conninfo.replace(jobs.postgres.password, "wrong")
    report = jobs.refused("look", "password authentication failed", admin=wrong)
    assert report.sqlstate == "28P01"
    assert "wrong" not in report.text
    assert jobs.refused("look", database="nowhere").sqlstate == "3D000"
    began = time.monotonic()
    jobs.refused("look", admin="host=127.0.0.1 port=1 dbname=x user=y")
    assert time.monotonic() - began < 2


def test_look_does_not_wait_for_ever(jobs):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        jobs.refused("look", "does not answer",
                     admin=f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x user=y")
        assert 2 < time.monotonic() - began < 6


# FENCE

def test_fence(jobs):
    links = [jobs.postgres.connect(user=ROLE) for _ in range(5)]
    links[0].cursor().execute("begin; insert into migrations values ('not committed')")
    report = jobs.ok("fence")
    assert (report.backends, report.login) == (5, 0)
    assert jobs.postgres.backends() == 0
    assert not can_connect(jobs.postgres)
    for link in links:
        with pytest.raises(psycopg2.Error):
            link.cursor().execute("select 1")
    assert jobs.ok("fence").backends == 0
    assert jobs.ok("unfence").login == 1
    assert jobs.ok("unfence").login == 1
    assert can_connect(jobs.postgres)


def test_fence_against_a_crowd(jobs):
    """Clients that reconnect as fast as they can: once the job is done, none is in."""
    end = threading.Event()

    def press():
        while not end.is_set():
            try:
                jobs.postgres.connect(user=ROLE).close()
            except psycopg2.OperationalError:
                pass
    crowd = [threading.Thread(target=press) for _ in range(4)]
    for one in crowd:
        one.start()
    try:
        for _ in range(3):
            jobs.ok("fence")
            for _ in range(20):
                assert jobs.postgres.backends() == 0
            jobs.ok("unfence")
    finally:
        end.set()
        for one in crowd:
            one.join()


def test_fence_refuses_to_lock_itself_out(jobs):
    admin = jobs.postgres.conninfo.replace("user=fermata", f"user={ROLE}")
    jobs.postgres.query(f"drop table if exists public.fermata_epoch; grant all on schema public to {ROLE}")
    jobs.refused("fence", "lock itself out", admin=admin)
    assert can_connect(jobs.postgres)
    try:
        jobs.postgres.query(f"alter role {ROLE} superuser; drop table public.fermata_epoch; "
                            "grant all on schema public to fermata; alter role fermata nosuperuser")
        jobs.refused("fence", "only superuser that may log in")
        jobs.refused("preflight", "only superuser that may log in")
    finally:
        link = jobs.postgres.connect("postgres", user=ROLE)
        link.cursor().execute("alter role fermata superuser; drop table public.fermata_epoch; "
                              f"revoke all on schema public from {ROLE}; alter role {ROLE} nosuperuser")
        link.close()


def test_unknown_role(jobs):
    jobs.refused("fence", 'role "nobody_here" does not exist', role="nobody_here")
    jobs.refused("unfence", 'role "nobody_here" does not exist', role="nobody_here")


# One voice

@pytest.mark.parametrize("kind", ["fence", "unfence", "dump", "verify", "restore", "sweep", "preflight"])
def test_lower_epoch_is_refused(jobs, kind):
    jobs.restore_point()
    jobs.epoch = 9
    jobs.ok("fence")
    before = sorted(jobs.postgres.databases()), os.listdir(jobs.points)
    report = jobs.refused(kind, "stale", "epoch 8", "epoch 9", epoch=8, keep=["rp-1"])
    assert report.text.startswith("stale")
    assert (sorted(jobs.postgres.databases()), os.listdir(jobs.points)) == before
    assert not can_connect(jobs.postgres)
    jobs.ok("unfence", epoch=9)


def test_other_clusters_have_other_voices(jobs):
    jobs.ok("fence", epoch=9)
    jobs.ok("fence", epoch=1, cluster="another")


def test_newer_job_ends_an_older_one(jobs, tmp_path):
    jobs.ok("fence")
    slow = tools_of(jobs, tmp_path, pg_dump=f"touch {tmp_path}/began; sleep 30")
    old = jobs.start("dump", pg_bindir=slow)
    try:
        wait_until((tmp_path / "began").exists)
        jobs.epoch = 2
        jobs.ok("unfence")
    finally:
        old.kill()
        old.wait()
        old.stdout.close()
    assert not (jobs.points / "rp-7-1").exists()


def test_older_job_that_wakes_up_late_does_nothing(jobs, tmp_path):
    jobs.ok("fence")
    slow = tools_of(jobs, tmp_path, pg_dump=f'"$REAL" "$@"; touch {tmp_path}/began; '
                                            f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    old = jobs.start("dump", pg_bindir=slow)
    wait_until((tmp_path / "began").exists)
    jobs.ok("unfence", epoch=2)
    (tmp_path / "go").touch()
    assert not jobs.end(old).ok
    assert not (jobs.points / "rp-7-1").exists()


# PREFLIGHT

def test_preflight(jobs):
    report = jobs.ok("preflight")
    assert (report.installed, report.version, report.login) == (1, "2.2.15", 1)
    assert report.bytes > 1 << 20
    assert jobs.postgres.query("select to_regclass('public.fermata_epoch')") in ([(None,)], [("fermata_epoch",)])
    assert not jobs.points.exists()


def test_preflight_before_the_first_startup(jobs):
    jobs.postgres.query(f"drop database {DATABASE}")
    report = jobs.ok("preflight")
    assert report.installed == 0 and "CREATE DATABASE" in report.text


def test_preflight_says_every_fault(jobs, tmp_path):
    query = jobs.postgres.query
    query(f"create role poor login password '{jobs.postgres.password}'")
    try:
        query("drop table if exists public.fermata_epoch")
        old = tools_of(jobs, tmp_path, pg_dump="echo pg_dump '(PostgreSQL)' 9.6.1", pg_restore="exit 1")
        admin = (f"postgresql://poor:{jobs.postgres.password}@127.0.0.1:{jobs.postgres.port}/postgres")
        jobs.refused("preflight", admin=admin, pg_bindir=old, directory="/etc/passwd/here")
        said = "\n".join(jobs.progress)
        for words in ("CREATEDB", "CREATEROLE", f'GRANT "{ROLE}" TO "poor"', "pg_signal_backend",
                      "GRANT CREATE ON SCHEMA public", "permission denied", "pg_dump is of version 9", "pg_restore failed",
                      "/etc/passwd/here cannot be written"):
            assert words in said
    finally:
        query("drop role poor")
    jobs.refused("preflight", "CREATE ROLE", role="nobody_here")
    jobs.refused("preflight", "lock itself out", admin=jobs.own_conninfo)
    jobs.refused("preflight", "connect as [database] admin", admin="host=127.0.0.1 port=1")


def test_rights_that_preflight_asks_for_are_enough(jobs):
    """The whole way with an administrator who is no superuser."""
    query = jobs.postgres.query
    query("drop table if exists public.fermata_epoch")
    query(f"""create role keeper login createdb createrole password '{jobs.postgres.password}';
        grant {ROLE} to keeper; grant pg_signal_backend to keeper; grant create on schema public to keeper""")
    try:
        jobs.order["admin"] = (f"postgresql://keeper:{jobs.postgres.password}@127.0.0.1:"
                               f"{jobs.postgres.port}/postgres")
        jobs.ok("preflight")
        link = jobs.postgres.connect(user=ROLE)
        assert jobs.ok("fence").backends == 1
        link.close()
        jobs.ok("unfence")
        before = migrated(jobs)
        assert_restored(jobs, before, jobs.ok("restore"))
        jobs.ok("sweep", keep=["rp-1"])
        assert os.listdir(jobs.points) == []
    finally:
        for name in jobs.postgres.databases():
            if name != "postgres":
                query(f'drop database "{name}" with (force)')
        query("drop owned by keeper")
        query("drop role keeper")
        jobs.postgres.fresh_database()


# Orders that make no sense

@pytest.mark.parametrize("data, word", [
    (b"", "too early"), (b"\0\0\0\5abc", "too early"), (b"\xff\xff\xff\xff", "may send"),
    (b"\0\0\0\0", "empty frame"), (b"\0\0\0\3abc", ""), (frame({"kind": 77}), "kind 77"),
    (frame({"kind": 2, "database": 'a"b', "role": "x"}), "name"),
    (frame({"kind": 4, "database": "a", "role": "x", "cluster": "c", "restore_point": "../x"}), "restore point"),
    (frame({"kind": 4, "database": "a", "role": "x", "cluster": "c", "restore_point": "x"}), "no folder"),
])
def test_bad_orders(data, word):
    done = subprocess.run([DBJOB], input=data, stdout=subprocess.PIPE, check=False, timeout=20)
    report, = read_reports(done.stdout)
    assert done.returncode == 1 and report.final and not report.ok and word in report.text


def test_command_line():
    assert subprocess.run([DBJOB, "--version"], capture_output=True, check=True).stdout.startswith(b"fermata-dbjob ")
    assert b"restore" in subprocess.run([DBJOB, "--help"], capture_output=True, check=True).stdout
    assert subprocess.run([DBJOB, "password=x"], capture_output=True, check=False).returncode == 2
