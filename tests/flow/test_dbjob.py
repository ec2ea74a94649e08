"""fermata-dbjob on a real PostgreSQL: every job, in the right and the wrong order, killed at random
moments and asked again, by a superuser and by a role that has only what preflight asks for."""

import itertools
import os
import pathlib
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2
import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[up]) for up in (0, 1)]

from dbjob import DBJOB, Jobs, frame, read_reports  # noqa: E402  pylint: disable=wrong-import-position
from stage.services import DATABASE, ROLE, Postgres  # noqa: E402  pylint: disable=wrong-import-position

NUMBERS = itertools.count()
SCHEMA = """
create table "applicationVersion" (id bigserial primary key, value varchar(255));
create table "applicationPlugins" (id bigserial primary key, name varchar(255) unique, version text,
    enabled boolean, installed boolean, "builtIn" boolean);
create table migrations (name varchar(255) primary key);
create table users (id bigserial primary key, email text unique, born date, extra json, seen timestamptz,
    kind varchar(10) check (kind in ('a', 'b')));
create table "Odd "" Name" (t text, fermata text default 'x', key bytea);
create table parents (id int primary key, name text);
create table children (age int) inherits (parents);
alter table parents add column later text;
create table parted (id int, at date) partition by range (at);
create table parted_1 partition of parted for values from ('2026-01-01') to ('2027-01-01');
create view grown as select id, email from users where kind = 'a';
create function touch() returns trigger language plpgsql as 'begin new.seen = now(); return new; end';
create trigger touched before update on users for each row execute function touch();
insert into "applicationVersion" (value) values ('2.2.15');
insert into "applicationPlugins" (name, version, enabled, installed, "builtIn")
    select 'p' || i, '2.2.15', true, true, true from generate_series(1, 20) i;
insert into migrations select 'migration ' || i from generate_series(1, 22) i;
insert into users (email, born, extra, seen, kind) select i || '@example.org', '2000-01-01',
    '{"a": [1, 2]}', '2026-01-01', 'b' from generate_series(1, 300) i;
insert into "Odd "" Name" (t, key) values ('it''s', '\\x00ff');
insert into children (id, name, age) values (1, 'c', 3);
insert into parted values (1, '2026-05-05');
"""
MIGRATE = """
update "applicationVersion" set value = '2.2.16';
delete from users where id > 100;
create table new_one (id int);
alter table users add column fresh text;
"""


@pytest.fixture(scope="module")
def postgres():
    # A file system that has seen many databases dropped makes new ones slowly; memory does not.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fermata-dbjob-", dir=place) as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o711)
        server = Postgres(folder / "postgres", durable=False)
        yield server
        server.stop()


def as_app(postgres, sql):
    """Statements as the application, which then owns what it makes."""
    link = postgres.connect(user=ROLE)
    try:
        with link.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        link.close()


@pytest.fixture
def jobs(postgres, tmp_path):
    postgres.query(f"alter role {ROLE} login")
    for name in postgres.databases():
        if name != "postgres":
            postgres.query(f'drop database "{name}" with (force)')
    postgres.fresh_database()
    as_app(postgres, SCHEMA)
    return Jobs(postgres, tmp_path, f"cluster-{next(NUMBERS)}")


def can_connect(postgres):
    try:
        postgres.connect(user=ROLE).close()
        return True
    except psycopg2.OperationalError:
        return False


def contents(postgres, database=DATABASE):
    def one(sql):
        return postgres.query(sql, database=database)
    tables = one("select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public'")
    return {name: sorted(one(f"select to_jsonb(r)::text from only {name} r")) for name, in tables}


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


def tools_of(jobs, tmp_path, **scripts):
    """A bindir in which some tools are replaced; $REAL is the real one's path."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("pg_dump", "pg_restore"):
        path = folder / name
        path.write_text(f"#!/bin/sh\nREAL={jobs.postgres.bindir}/{name}\n"
                        + scripts.get(name, 'exec "$REAL" "$@"') + "\n")
        path.chmod(0o755)
    return str(folder)


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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
    silent = tools_of(jobs, tmp_path, pg_restore='echo "a strange fault" >&2; exit 1')
    jobs.refused("verify", "a strange fault", pg_bindir=silent)
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

def migrated(jobs):
    """A restore point, then an upgrade that went wrong. What was there before."""
    before = contents(jobs.postgres)
    jobs.restore_point()
    jobs.ok("unfence")
    as_app(jobs.postgres, MIGRATE)
    jobs.ok("fence")
    return before


def assert_restored(jobs, before, report):
    assert report.kept_database == f"{DATABASE}_failed_7"
    assert contents(jobs.postgres) == before
    assert jobs.postgres.query('select value from "applicationVersion"',
                               database=report.kept_database) == [("2.2.16",)]
    assert jobs.postgres.query(
        "select pg_get_userbyid(datdba) from pg_database where datname = %s", DATABASE) == [(ROLE,)]
    assert not any(name.startswith("fermata_") for name in jobs.postgres.databases())


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
    postgres, took, hits = jobs.postgres, 1.0, 0
    for i in range(KILLS):
        if not has_copy:
            postgres.query(f'drop database if exists "fermata_scratch_7_{DATABASE}"')
        if i > 0:
            hits += kill_at(jobs, "restore", random.uniform(0, took))
        assert DATABASE in postgres.databases()
        began = time.monotonic()
        assert_restored(jobs, before, jobs.ok("restore"))
        took = min(took, time.monotonic() - began + 0.02)
        # As it was before, for the next.
        postgres.query(f"drop database {DATABASE}")
        postgres.query(f"alter database {DATABASE}_failed_7 rename to {DATABASE}")
        postgres.query(f"comment on database {DATABASE} is null")
        if has_copy:
            jobs.ok("verify")
    assert hits > 0


def test_dump_and_verify_killed(jobs):
    jobs.ok("fence")
    took = duration(jobs, "dump") + 0.02, duration(jobs, "verify") + 0.02
    hits = 0
    for i in range(KILLS):
        order = {"restore_point": f"rp-7-{i + 10}"}
        jobs.order.update(order)
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
