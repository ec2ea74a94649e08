"""Orders for fermata-dbjob and its reports, in as much of the wire as they need, and a database to give
them to."""

import collections
import itertools
import os
import pathlib
import struct
import subprocess
import tempfile
import time

import psycopg2
import pytest

from stage.place import BUILD
from stage.services import DATABASE, ROLE, Postgres

DBJOB = BUILD / "coordinator/fermata-dbjob"
KINDS = {name: i for i, name in enumerate(
    ["", "look", "fence", "unfence", "dump", "verify", "restore", "sweep", "preflight"])}
ORDER = {name: i for i, name in enumerate(
    ["", "kind", "epoch", "run", "cluster", "admin", "database", "role", "restore_point", "directory",
     "schema", "table_prefix", "underscored", "keep", "version", "pg_bindir"])}
REPORT = ["", "final", "ok", "text", "version", "installed", "pending_plugins", "stale_plugins",
          "enabled_plugins", "backends", "bytes", "tables", "rows", "kept_database", "login", "sqlstate"]
TEXTS = {"text", "version", "kept_database", "sqlstate"}
ENVELOPE_ORDER, ENVELOPE_REPORT = 40, 41


# The wire, as far as it is needed here.

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def read_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return n, at


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(fields):
    body = b"".join(field(ORDER[name], one) for name, value in fields.items()
                    for one in (value if isinstance(value, list) else [value]))
    body = field(ENVELOPE_ORDER, body)
    return struct.pack(">I", len(body)) + body


def read_report(data):
    report = {name: "" if name in TEXTS else 0 for name in REPORT[1:]}
    tag, at = read_varint(data, 0)
    assert tag == ENVELOPE_REPORT << 3 | 2
    _, at = read_varint(data, at)
    while at < len(data):
        tag, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value].decode(), at + value
        report[REPORT[tag >> 3]] = value
    return collections.namedtuple("Report", report)(**report)


def read_reports(data):
    reports, at = [], 0
    while at < len(data):
        size, = struct.unpack_from(">I", data, at)
        reports.append(read_report(data[at + 4:at + 4 + size]))
        at += 4 + size
    return reports


class Jobs:
    """Orders of one cluster. go() runs one to its end; start() leaves it running."""

    def __init__(self, postgres, folder, cluster):
        self.postgres = postgres
        self.points = folder / "points"
        self.epoch = 1
        self.order = {"run": 7, "cluster": cluster, "admin": postgres.conninfo, "database": DATABASE,
                      "role": ROLE, "restore_point": "rp-7-1", "directory": str(self.points),
                      "version": "2.2.15"}
        self.progress = []

    @property
    def own_conninfo(self):
        return f"postgres://{ROLE}:{self.postgres.password}@127.0.0.1:{self.postgres.port}/{DATABASE}"

    def start(self, kind, **changes):
        fields = {**self.order, "epoch": self.epoch, **changes, "kind": KINDS[kind]}
        if kind == "look":
            fields["admin"] = changes.get("admin", self.own_conninfo)
        job = subprocess.Popen([DBJOB], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        job.stdin.write(frame(fields))
        job.stdin.close()
        return job

    def end(self, job):
        """The final report; what the exit code says must be the same."""
        try:
            reports = read_reports(job.stdout.read())
            code = job.wait(60)
        finally:
            job.stdout.close()
            if job.poll() is None:
                job.kill()
        assert reports and reports[-1].final and not any(r.final for r in reports[:-1])
        assert code == (0 if reports[-1].ok else 1)
        self.progress = [r.text for r in reports[:-1]]
        return reports[-1]

    def go(self, kind, **changes):
        return self.end(self.start(kind, **changes))

    def ok(self, kind, **changes):
        report = self.go(kind, **changes)
        assert report.ok, report.text
        return report

    def refused(self, kind, *words, **changes):
        report = self.go(kind, **changes)
        assert not report.ok
        for word in words:
            assert word in report.text, report.text
        return report

    def restore_point(self):
        """As an upgrade takes it."""
        self.ok("fence")
        self.ok("dump")
        self.ok("verify")


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
