"""PostgreSQL and Redis, private to a stage."""

import os
import pathlib
import pwd
import secrets
import signal
import subprocess

import psycopg2

from .place import Process, StageError, free_port, is_listening, wait_for

ADMIN, ROLE, DATABASE = "fermata", "nocobase", "nocobase"


def _bindir():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda p: int(p.parts[-3]))
    if not found:
        raise StageError("PostgreSQL is not installed")
    return found[-1].parent


class Postgres:
    """A server of its own. Administrator `fermata` (superuser), application role `nocobase` (not),
    both with a password that stands in passfile only."""

    def __init__(self, folder, durable=True):
        self.folder, self.port = pathlib.Path(folder), free_port()
        self.bindir = _bindir()
        self.password = secrets.token_hex(12)
        self.passfile = self.folder / "passfile"
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self._durable = durable
        self.process = None
        self._make()
        self.start()
        self.query(f"create role {ROLE} login password '{self.password}'")
        self.fresh_database()

    def _make(self):
        self.folder.mkdir(parents=True)
        admin_file = self.folder / "admin.password"
        for path in (self.passfile, admin_file):
            path.touch(mode=0o600)
        admin_password = secrets.token_hex(12)
        admin_file.write_text(admin_password)
        self.passfile.write_text(f"127.0.0.1:{self.port}:*:{ADMIN}:{admin_password}\n"
                                 f"127.0.0.1:{self.port}:*:{ROLE}:{self.password}\n")
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            account = pwd.getpwnam(self._user)
            for path in (self.folder, data, admin_file):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", data, "-U", ADMIN, f"--pwfile={admin_file}", "-E", "UTF8",
                  "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync", "--no-instructions")
        admin_file.unlink()

    def _run(self, tool, *args):
        as_user = {"user": self._user, "group": self._user, "extra_groups": []} if os.getuid() == 0 else {}
        done = subprocess.run([self.bindir / tool, *args], cwd=self.folder, capture_output=True,
                              text=True, check=False, **as_user)
        if done.returncode:
            raise StageError(f"{tool} failed: {done.stderr.strip()}")

    def start(self):
        quick = [] if self._durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self.process = Process(
            "postgres", [self.bindir / "postgres", "-D", self.folder / "data", "-p", self.port,
                         "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
                         "-c", "max_connections=200", "-c", "log_line_prefix=%m [%p] %u@%d ", *quick],
            self.folder.parent / "postgres.log", user=self._user if os.getuid() == 0 else None)

        def answers():
            self.process.expect_alive()
            try:
                self.connect("postgres").close()
                return True
            except psycopg2.OperationalError:
                return False
        wait_for(answers, 60, "PostgreSQL answers")

    def stop(self):
        """Fast shutdown: connections are ended."""
        self.process.stop(60, signal.SIGINT)

    @property
    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user={ADMIN} dbname=postgres passfile={self.passfile}"

    def connect(self, database=DATABASE, user=ADMIN):
        link = psycopg2.connect(host="127.0.0.1", port=self.port, user=user, dbname=database,
                                passfile=str(self.passfile), connect_timeout=5)
        link.autocommit = True
        return link

    def query(self, sql, *args, database="postgres"):
        """Rows, or [] for a command."""
        link = self.connect(database)
        try:
            with link.cursor() as cursor:
                cursor.execute(sql, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            link.close()

    def fresh_database(self, template=None, name=DATABASE):
        self.query(f'drop database if exists "{name}" with (force)')
        self.query(f'create database "{name}" owner {ROLE}' + (f' template "{template}"' if template else ""))

    def reset(self):
        """As after __init__: one empty database, the role may log in."""
        for name in self.databases():
            if name != "postgres":
                self.query(f'drop database "{name}" with (force)')
        self.forget_coordinators()
        self.fresh_database()

    def forget_coordinators(self):
        """Lets a coordinator with a new journal speak to this server: otherwise an earlier one's epoch
        forbids it, and rightly so."""
        self.query("drop table if exists public.fermata_epoch")
        self.query(f"alter role {ROLE} login")

    def databases(self):
        return [row[0] for row in self.query("select datname from pg_database where not datistemplate")]

    def backends(self):
        """Live connections of the application's role."""
        return self.query("select count(*) from pg_stat_activity where usename = %s", ROLE)[0][0]

    def version(self):
        """What the database calls its release; None before it is installed."""
        try:
            rows = self.query('select value from "applicationVersion"', database=DATABASE)
        except psycopg2.errors.UndefinedTable:
            return None
        return rows[0][0] if rows else None


class Redis:
    """Keeps nothing on disk."""

    def __init__(self, folder):
        self.port = free_port()
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True)
        self.process = Process("redis", ["redis-server", "--port", self.port, "--bind", "127.0.0.1",
                                          "--save", "", "--appendonly", "no", "--dir", folder],
                                folder.parent / "redis.log")
        wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), 20, "Redis listens")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self):
        self.process.stop(20)
