"""Restore points by fermata-dbjob on a real PostgreSQL: taken, proved, restored and swept, in the right
and the wrong order, killed at random moments and asked again."""

import os
import pathlib
import random
import signal
import stat
import sys
import time

import psycopg2
import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[up]) for up in (0, 1)]

# pylint: disable=wrong-import-position,unused-import,redefined-outer-name
from dbjob import (MIGRATE, as_app, assert_restored, can_connect, contents, jobs, migrated,  # noqa: E402,F401
                   postgres, tools_of, wait_until)
from stage.services import DATABASE, ROLE  # noqa: E402


# DUMP and VERIFY

def test_order(jobs):
    jobs.refused("dump", "not fenced")
    jobs.refused("restore", "not fenced")
    jobs.refused("verify", "no restore point rp-7-1")
    jobs.ok("fence")
    jobs.refused("restore", "no restore point rp-7-1")
    jobs.ok("dump")
    jobs.refused("restore", "never verified")
    assert jobs.postgres.query("select count(*) from pg_database where datname ~ '_failed_'") == [(0,)]


def test_restore_point(jobs):
    jobs.ok("fence")
    dumped = jobs.ok("dump")
    folder = jobs.points / "rp-7-1"
    assert sorted(os.listdir(folder)) == ["database.dump", "database.list", "manifest.json"]
    assert dumped.bytes == (folder / "database.dump").stat().st_size
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    verified = jobs.ok("verify")
    assert (verified.tables, verified.rows) == (8, 1 + 20 + 22 + 300 + 1 + 1 + 1)
    assert "the same as the original" in verified.text
    assert '"verified": true' in (folder / "manifest.json").read_text()
    before = folder.stat().st_mtime_ns, (folder / "database.dump").stat().st_ino
    assert "there already" in jobs.ok("dump").text
    assert before == (folder.stat().st_mtime_ns, (folder / "database.dump").stat().st_ino)


def test_dump_is_taken_again_once_the_role_was_let_in(jobs):
    jobs.restore_point()
    jobs.ok("unfence")
    as_app(jobs.postgres, "delete from users where id > 200")
    jobs.ok("fence")
    assert "there already" not in jobs.ok("dump").text
    assert jobs.ok("verify").rows == 246


def test_verify_later_compares_with_what_was_written_down(jobs):
    jobs.restore_point()
    jobs.ok("unfence")
    as_app(jobs.postgres, MIGRATE)
    assert "what was dumped" in jobs.ok("verify").text
    jobs.ok("fence")
    jobs.ok("dump", restore_point="rp-7-2")
    jobs.ok("unfence")
    jobs.refused("verify", "cannot be compared any more", restore_point="rp-7-2")


@pytest.mark.parametrize("change, word", [
    ("delete from users where id = 5", "table public.users: 299"),
    ("update users set email = 'other' where id = 5", "table public.users: 300"),
    ("update migrations set name = 'x' where name = 'migration 3'", "migrations"),
    ("select nextval('users_id_seq')", "sequence public.users_id_seq: 301"),
    ("create table more ()", "table public.more"),
    ("alter table users alter born type timestamp", "columns"),
    ("create index fresh on users (born)", "indexes"),
    ("alter table users drop constraint users_kind_check", "constraints"),
    ("drop trigger touched on users", "triggers"),
    ("drop function touch() cascade", "functions"),
])
def test_verify_sees_what_differs(jobs, change, word):
    jobs.ok("fence")
    jobs.ok("dump")
    jobs.postgres.query(change, database=DATABASE)
    jobs.refused("verify", "does not give back what was there", word)
    jobs.refused("restore", "never verified")


def test_spoilt_dump(jobs):
    jobs.restore_point()
    path = jobs.points / "rp-7-1" / "database.dump"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    jobs.refused("verify", "SHA-256")
    jobs.postgres.query(f'drop database "fermata_scratch_7_{DATABASE}"')
    jobs.refused("restore", "SHA-256")
    assert jobs.postgres.version() == "2.2.15"


@pytest.mark.parametrize("script, word", [
    ('"$REAL" "$@"; echo no more room >&2; exit 3', "exit code 3"),
    ("kill -9 $$", "signal 9"),
    ("exit 0", "pg_restore failed"),
])
def test_failing_pg_dump(jobs, tmp_path, script, word):
    jobs.ok("fence")
    jobs.refused("dump", word, pg_bindir=tools_of(jobs, tmp_path, pg_dump=script))
    assert not (jobs.points / "rp-7-1").exists()
    jobs.ok("dump")
    assert os.listdir(jobs.points) == ["rp-7-1"]


def test_failing_pg_restore(jobs, tmp_path):
    jobs.ok("fence")
    jobs.ok("dump")
    half = tools_of(jobs, tmp_path, pg_restore='"$REAL" --section=pre-data "$@"')
    jobs.refused("verify", "in the copy", pg_bindir=half)
    loud = tools_of(jobs, tmp_path, pg_restore="""seq 500 >&2; echo pg_restore: error: a strange fault >&2
        sleep 0.2; seq 500 >&2; exit 1""")
    jobs.refused("verify", "(exit code 1): a strange fault 1 2 3", pg_bindir=loud)
    jobs.ok("verify")


def test_passwords_travel_by_environment(jobs, tmp_path):
    note = 'echo "$@" >> {0}/args; cat /proc/$$/environ >> {0}/environment; exec "$REAL" "$@"'.format(tmp_path)
    bindir = tools_of(jobs, tmp_path, pg_dump=note, pg_restore=note)
    line = next(line for line in jobs.postgres.passfile.read_text().splitlines() if ":fermata:" in line)
    password = line.rsplit(":", 1)[1]
    admin = f"postgresql://fermata:{password}@127.0.0.1:{jobs.postgres.port}/postgres"
    for kind in ("preflight", "fence", "dump", "verify"):
        jobs.ok(kind, admin=admin, pg_bindir=bindir)
    assert "database.dump" in (tmp_path / "args").read_text()
    assert password not in (tmp_path / "args").read_text()
    assert f"PGPASSWORD={password}" in (tmp_path / "environment").read_text()


# RESTORE

@pytest.mark.parametrize("has_copy", [True, False])
def test_restore(jobs, has_copy):
    before = migrated(jobs)
    if not has_copy:
        jobs.postgres.query(f'drop database "fermata_scratch_7_{DATABASE}"')
    report = jobs.ok("restore")
    assert ("by its proved copy" in report.text) == has_copy
    assert_restored(jobs, before, report)
    assert "already" in jobs.ok("restore").text
    assert_restored(jobs, before, jobs.ok("restore"))
    jobs.ok("unfence")
    as_app(jobs.postgres, "insert into users (email) values ('new@example.org')")


def test_restore_keeps_what_a_dump_leaves_out(jobs):
    query = jobs.postgres.query
    query(f"""alter database {DATABASE} set search_path = "$user", public;
        alter database {DATABASE} set work_mem = '7MB';
        alter role {ROLE} in database {DATABASE} set statement_timeout = '1h';
        alter database {DATABASE} connection limit 77;
        revoke all on database {DATABASE} from public;
        grant connect on database {DATABASE} to pg_monitor with grant option""")
    query(f"comment on database {DATABASE} is 'of the sales people''s " + "x" * 400 + "'")
    state = f"""select datconnlimit, (select array_agg(acl::text order by acl::text) from unnest(datacl) acl),
        shobj_description(oid, 'pg_database'), (select array_agg(r::text order by r::text) from
        (select setrole, setconfig from pg_db_role_setting where setdatabase = d.oid) r),
        pg_get_userbyid(datdba), datcollate, encoding from pg_database d where datname = '{DATABASE}'"""
    had = query(state)
    migrated(jobs)
    jobs.ok("restore")
    assert query(state) == had


def test_restore_again_in_the_same_run(jobs):
    """After a second try of the upgrade: done is what was done under this fence, not under another."""
    before = migrated(jobs)
    jobs.ok("restore")
    jobs.ok("unfence")
    as_app(jobs.postgres, MIGRATE)
    jobs.ok("fence")
    report = jobs.ok("restore")
    assert "already" not in report.text
    assert report.kept_database.startswith(f"{DATABASE}_failed_7_")
    assert contents(jobs.postgres) == before


def test_restore_after_everything_but_the_databases_was_lost(jobs):
    """A new journal counts runs from one again; a failed database of its namesake proves nothing."""
    migrated(jobs)
    jobs.ok("restore")
    jobs.postgres.query("drop table public.fermata_epoch")
    jobs.ok("unfence")
    before = migrated(jobs)
    assert "already" not in jobs.ok("restore").text
    assert contents(jobs.postgres) == before


def test_restore_does_not_trust_a_copy_that_was_written_to(jobs):
    before = migrated(jobs)
    jobs.postgres.query("delete from users where id = 1", database=f"fermata_scratch_7_{DATABASE}")
    report = jobs.ok("restore")
    assert "by its proved copy" not in report.text
    assert_restored(jobs, before, report)


def test_restore_with_guests(jobs):
    """Others than the application are connected to the database: they are ended."""
    before = migrated(jobs)
    guest = jobs.postgres.connect()
    assert_restored(jobs, before, jobs.ok("restore"))
    with pytest.raises(psycopg2.Error):
        guest.cursor().execute("select 1")


def test_restore_of_a_database_that_is_gone(jobs):
    before = migrated(jobs)
    jobs.postgres.query(f"drop database {DATABASE}")
    assert jobs.ok("restore").kept_database == ""
    assert contents(jobs.postgres) == before


# kill -9

def kill_at(jobs, kind, seconds):
    """Whether the job was still at it."""
    job = jobs.start(kind)
    time.sleep(seconds)
    was_alive = job.poll() is None
    job.kill()
    job.wait()
    job.stdout.close()
    return was_alive


def duration(jobs, kind):
    began = time.monotonic()
    jobs.ok(kind)
    return time.monotonic() - began


KILLS = int(os.environ.get("FERMATA_KILLS", "8"))


@pytest.mark.parametrize("has_copy", [True, False])
def test_restore_killed(jobs, has_copy):
    before = migrated(jobs)
    postgres, took, hits = jobs.postgres, 0, 0
    for _ in range(KILLS):
        if not has_copy:
            postgres.query(f'drop database if exists "fermata_scratch_7_{DATABASE}"')
        if took:
            hits += kill_at(jobs, "restore", random.uniform(0, took))
        else:
            took = duration(jobs, "restore")
        assert DATABASE in postgres.databases()
        assert_restored(jobs, before, jobs.ok("restore"))
        # As it was before, for the next.
        postgres.query(f"drop database {DATABASE}")
        postgres.query(f"alter database {DATABASE}_failed_7 rename to {DATABASE}")
        postgres.query(f"comment on database {DATABASE} is null")
        if has_copy:
            jobs.ok("verify")
    assert hits > 0


def test_dump_and_verify_killed(jobs):
    jobs.ok("fence")
    took = duration(jobs, "dump"), duration(jobs, "verify")
    hits = 0
    for i in range(KILLS):
        jobs.order["restore_point"] = f"rp-7-{i + 10}"
        hits += kill_at(jobs, "dump", random.uniform(0, took[0]))
        assert set(os.listdir(jobs.points)) >= {"rp-7-1"}
        jobs.ok("dump")
        hits += kill_at(jobs, "verify", random.uniform(0, took[1]))
        assert jobs.ok("verify").rows == 346
        assert not [name for name in os.listdir(jobs.points) if name.endswith(".partial")]
    assert hits > 0


def test_fence_killed(jobs):
    took = duration(jobs, "fence")
    for _ in range(KILLS):
        jobs.ok("unfence")
        links = [jobs.postgres.connect(user=ROLE) for _ in range(3)]
        kill_at(jobs, "fence", random.uniform(0, took))
        jobs.ok("fence")
        assert jobs.postgres.backends() == 0 and not can_connect(jobs.postgres)
        for link in links:
            link.close()


def test_children_die_with_the_job(jobs, tmp_path):
    jobs.ok("fence")
    slow = tools_of(jobs, tmp_path, pg_dump=f"echo $$ > {tmp_path}/pid.new; "
                                            f"mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 60")
    job = jobs.start("dump", pg_bindir=slow)
    wait_until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists())


# SWEEP

def test_sweep(jobs):
    postgres, query = jobs.postgres, jobs.postgres.query
    migrated(jobs)
    jobs.ok("restore")
    for run in (9, 10):
        jobs.order["run"] = run
        jobs.order["restore_point"] = f"rp-{run}-1"
        jobs.ok("dump")
        jobs.ok("verify")
        jobs.ok("restore")
    query(f"create database {DATABASE}_failed_1")
    query('create database "fermata_scratch_1_others"')
    (jobs.points / "rp-x.partial").mkdir()
    (jobs.points / "something").mkdir()
    jobs.order["run"] = 11
    jobs.restore_point()
    assert "removed 1 copies, 2 failed databases, 0 restore points" in jobs.ok("sweep").text
    assert set(postgres.databases()) == {"postgres", DATABASE, f"{DATABASE}_failed_10",
                                         f"{DATABASE}_failed_1", "fermata_scratch_1_others"}
    jobs.ok("sweep", keep=["rp-7-1", "rp-10-1"])
    assert sorted(os.listdir(jobs.points)) == ["rp-10-1", "rp-7-1", "something"]
    jobs.ok("sweep", keep=["rp-7-1", "rp-10-1"], cluster="another")
    jobs.ok("sweep", keep=["rp-0"], cluster="another")
    assert sorted(os.listdir(jobs.points)) == ["rp-10-1", "rp-7-1", "something"]
