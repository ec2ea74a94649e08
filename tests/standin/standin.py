#!/usr/bin/python3
"""A stand-in for NocoBase: started, asked, stopped and broken as the real one, in milliseconds.

    standin.py start --launch-mode node [--quickstart]

It speaks the protocol that was measured on 2.2.15: a refused port while it boots, then 503
APP_COMMANDING with a message that moves on, then 200; its real tables in a real PostgreSQL; the
upgrade on --quickstart (in either direction: a silent downgrade included), unless the version is the
same and SKIP_SAME_VERSION_UPGRADE is true; APP_ERROR for ever, alive,
when a migration fails; on TERM first the pool is closed ("ConnectionManager" 500s), then the port, and
the process does not end while a websocket is open. As with the real one a command line process waits for the
application proper, and both are in one group.

The release is node_modules/@nocobase/server/package.json under the working directory. What it is to
do wrong is told by standin.json beside it and by the file in $STANDIN_TUNE (the latter wins), both
read at each start; DEFAULTS lists all keys. $STANDIN_ACCESS_LOG gets one line per request: unix ms,
pid, method, path, source (X-Request-Source), status, user agent. $STANDIN_SAYS is printed when it is ready."""

import json
import os
import signal
import socket
import sys
import threading
import time
from binascii import b2a_base64

DEFAULTS = {
    "boot_ms": 60,             # the port is refused so long
    "load_ms": 120,            # 503 APP_COMMANDING so long, the messages moving
    "stop_ms": 60,             # from TERM to the closed port, and the end if no websocket is open
    "migration": "ok",         # ok | fail | slow:SECONDS, of this release
    "install_ms": 60,          # an empty database takes so much longer
    "crash": "",               # boot | load | migration: exits with 1 there
    "die_after_ms": 0,         # exits with 1 so long after it was ready
    "hang": "",                # boot (port stays shut) | load (message stands still) | migration (in a statement)
    "deaf": False,             # listens but answers nothing
    "ignore_term": False,
    "term_in_start": "finish",  # ends after the start | never: closes the port, migrates on, stays
    "stray": False,            # leaves a child in a session of its own; "bare": a daemon without environment,
                               # whose number is in $STANDIN_ACCESS_LOG.stray
    "sick": False,             # health check ok, app:getInfo 500 for ever
    "answer_ms": 0,            # every API answer takes so long
}
PLUGINS = ("acl", "users", "data-source-main", "ui-schema-storage", "departments", "map")
BUILTIN = PLUGINS[:4]


def release():
    with open("node_modules/@nocobase/server/package.json", encoding="utf-8") as file:
        return json.load(file)["version"]


def tune():
    settings = dict(DEFAULTS)
    for path in ("standin.json", os.environ.get("STANDIN_TUNE", "")):
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                settings.update(json.load(file))
    unknown = set(settings) - set(DEFAULTS)
    if unknown:
        sys.exit(f"standin: unknown settings: {sorted(unknown)}")
    return settings


def number(version):
    return tuple(int(part) for part in version.split("."))


def rest(milliseconds):
    time.sleep(milliseconds / 1000)


class Failed(Exception):
    """The start fails for good: (code, message)."""


class Database:
    """Two connections, as a pool has; made anew when they broke."""

    def __init__(self):
        sys.path.append("/usr/lib/python3/dist-packages")  # started without `site`, which takes its time
        import psycopg2
        self._driver = psycopg2
        self._lock, self._free, self.closed = threading.Lock(), [], False
        self.unique = psycopg2.errors.UniqueViolation
        self.no_table = psycopg2.errors.UndefinedTable
        self.trouble = psycopg2.Error

    def _connect(self):
        env = os.environ
        link = self._driver.connect(host=env["DB_HOST"], port=env["DB_PORT"], dbname=env["DB_DATABASE"],
                                    user=env["DB_USER"], password=env["DB_PASSWORD"], connect_timeout=5)
        link.autocommit = True
        return link

    def ask(self, sql, *args):
        with self._lock:
            if self.closed:
                raise Closed
            link = self._free.pop() if self._free else None
        link = link or self._connect()
        try:
            with link.cursor() as cursor:
                cursor.execute(sql, args or None)
                rows = cursor.fetchall() if cursor.description else []
        except self._driver.Error:
            if link.closed:
                raise
            self._give_back(link)
            raise
        self._give_back(link)
        return rows

    def _give_back(self, link):
        with self._lock:
            if self.closed or len(self._free) >= 2:
                link.close()
            else:
                self._free.append(link)

    def close(self):
        with self._lock:
            self.closed = True
            for link in self._free:
                link.close()
            self._free = []


class Closed(Exception):
    """The pool was closed by a stop."""


class Application:
    def __init__(self, settings, quickstart):
        self.settings, self.quickstart = settings, quickstart
        self.version = release()
        self.code, self.message, self.command = "APP_COMMANDING", "", "start"
        self.db = None
        self.loaded = set()
        self.websockets = {}
        self.stopping = threading.Event()
        self.started = False
        self.listener = None

    # starting

    def start(self):
        self._tempt("boot")
        rest(self.settings["boot_ms"])
        self.db = Database()
        self._listen()
        try:
            self._wait_for_database()
            self._load()
            self.code = "APP_RUNNING"
            if os.environ.get("STANDIN_SAYS"):
                print(os.environ["STANDIN_SAYS"], flush=True)
        except Failed as failure:
            self.code, self.message = failure.args
        except self.db.unique:
            self.code, self.message = "APP_ERROR", "Validation error"
        except self.db.trouble as error:
            self.code, self.message = "APP_ERROR", str(error).strip().split("\n", 1)[0]
        self.started = True

    def _tempt(self, phase):
        if self.settings["crash"] == phase:
            os._exit(1)
        while self.settings["hang"] == phase:
            time.sleep(60)

    def _wait_for_database(self):
        """As the real one: ten attempts, one second doubling, and nothing said about it."""
        pause = 1.0
        for _ in range(10):
            try:
                self.db.ask("select 1")
                return
            except self.db.trouble:
                time.sleep(pause)
                pause *= 2
        raise Failed("APP_ERROR", "no database")

    def _load(self):
        self._tempt("load")
        for count in range(1, 5):
            self.message = f"load plugin [{PLUGINS[count - 1]}], {count}/4"
            rest(self.settings["load_ms"] / 4)
        try:
            rows = self.db.ask('select value from "applicationVersion"')
            found = rows[0][0] if rows else None
            installed = True
        except self.db.no_table:
            found, installed = None, False
        skips = os.environ.get("SKIP_SAME_VERSION_UPGRADE") == "true" and found == self.version
        if self.quickstart and installed and not skips:
            self._upgrade(found)
        elif self.quickstart and not installed:
            self._install()
        elif not installed:
            raise Failed("APP_NOT_INSTALLED_ERROR", "Application main is not installed, Please run "
                                                    "'yarn nocobase install' command first")
        elif found is None or number(found) < number(self.version):
            raise Failed("APP_ERROR", 'column "invalid" does not exist')
        self.loaded = {row[0] for row in self.db.ask('select name from "applicationPlugins" where enabled')}

    def _install(self):
        self.message = "install plugins..."
        for table in ('"applicationVersion" (id serial primary key, value text)',
                      '"applicationPlugins" (id serial primary key, name text unique, "packageName" text, '
                      'version text, enabled boolean, installed boolean, "builtIn" boolean, options json)',
                      "migrations (name text primary key)",
                      "things (id bigserial primary key, title text)"):
            self.db.ask(f"create table if not exists {table}")
        self._add_plugins()
        self._write_version()

    def _add_plugins(self):
        known = {row[0] for row in self.db.ask('select name from "applicationPlugins"')}
        for name in PLUGINS:
            rest(self.settings["install_ms"] / len(PLUGINS))
            if name not in known:
                on = name in BUILTIN
                self.db.ask('insert into "applicationPlugins" (name, "packageName", version, enabled, installed, '
                            '"builtIn") values (%s, %s, %s, %s, %s, %s)', name, f"@nocobase/plugin-{name}",
                            self.version, on, on, on)

    def _write_version(self):
        rows = self.db.ask('select coalesce(max(id), 0) + 1 from "applicationVersion"')
        self.db.ask('delete from "applicationVersion"')
        self.db.ask('insert into "applicationVersion" values (%s, %s)', rows[0][0], self.version)

    def _upgrade(self, found):
        """In either direction, without a lock and without a transaction, the version last."""
        known = {row[0] for row in self.db.ask('select name from "applicationPlugins"')}
        if set(PLUGINS) - known:
            self._add_plugins()
        self.message = "install plugins..."
        self.db.ask('update "applicationPlugins" set version = %s', self.version)
        name = f"20990101000000-fermata-{self.version}"
        newer = found is None or number(found) < number(self.version)
        if newer and not self.db.ask("select 1 from migrations where name = %s", name):
            self._migrate(name)
        if found != self.version:
            self._write_version()

    def _migrate(self, name):
        how = self.settings["migration"]
        self.message = f"run migration {name}"
        self.db.ask("create table if not exists fermata_test (release text)")
        self.db.ask("insert into fermata_test values (%s)", self.version)
        if self.settings["crash"] == "migration":
            os._exit(1)
        if self.settings["hang"] == "migration":
            self.db.ask("select pg_sleep(%s), %s", 86400, "a-literal-that-nobody-sees")
        if how.startswith("slow:"):
            time.sleep(float(how[len("slow:"):]))
        if how == "fail":
            raise Failed("APP_ERROR", f"Migration {name}/@nocobase/server (up) failed: Original error: "
                                      "this test migration always fails")
        self.db.ask("insert into migrations values (%s)", name)

    # stopping

    def stop(self):
        """Ends the process if it may end; otherwise it lives on, as the real one does."""
        self.db.close()
        for websocket in list(self.websockets.values()):
            websocket.frame({"type": "maintaining", "payload": {
                "message": "application main is stopped", "code": "APP_STOPPED"}})
        rest(self.settings["stop_ms"])  # measured: 500s from a closed pool, 60-150 ms long
        shut(self.listener)
        while self.websockets:
            time.sleep(0.02)
        with_suppressed_unlink(os.environ.get("SOCKET_PATH"))
        os._exit(0)

    def stop_in_start(self):
        if self.settings["term_in_start"] == "never":
            shut(self.listener)
            while True:
                time.sleep(60)
        while not self.started:
            time.sleep(0.01)
        self.stop()

    # answering

    def _listen(self):
        path = os.environ.get("SOCKET_PATH")
        if path:
            with_suppressed_unlink(path)
            keep = socket.socket(socket.AF_UNIX)
            keep.bind(path)
            self.gateway = keep
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind((os.environ.get("APP_HOST", "0.0.0.0"), int(os.environ.get("APP_PORT", "13000"))))
        except OSError:
            print(f"Port {os.environ.get('APP_PORT')} already in use", flush=True)
            os._exit(1)
        self.listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            if not self.settings["deaf"]:
                threading.Thread(target=Visitor(self, link).serve, daemon=True).start()

    def trouble(self):
        """The 503 of an application that is not ready."""
        return 503, {"error": {"status": 503, "maintaining": True, "message": self.message,
                               "command": {"name": self.command}, "code": self.code}}

    def answer(self, method, path, query, body):
        """(status, object or text)"""
        if not path.startswith("/api/"):
            return 200, "<!doctype html><title>stand-in</title>"
        if self.code != "APP_RUNNING":
            return self.trouble()
        rest(self.settings["answer_ms"])
        try:
            return self._api(method, path[len("/api/"):], query, body)
        except Closed:
            return 500, {"errors": [{"message": "ConnectionManager.getConnection was called after the "
                                                "connection manager was closed!"}]}
        except self.db.trouble as error:
            return 500, {"errors": [{"message": str(error).strip().split("\n", 1)[0]}]}

    def _api(self, method, action, query, body):
        if action == "__health_check":
            return 200, "ok"
        if action == "app:getInfo":
            if self.settings["sick"]:
                return 500, {"errors": [{"message": "sick"}]}
            rows = self.db.ask('select value from "applicationVersion"')
            return 200, {"data": {"database": {"dialect": "postgres"}, "version": rows[0][0], "lang": "en-US",
                                  "name": "main", "theme": "default"}}
        if action == "auth:signIn":
            return 200, {"data": {"user": {"id": 1}, "token": "stand-in"}}
        if action == "things:list":
            rows = self.db.ask("select id, title from things order by id desc limit 20")
            return 200, {"data": [{"id": row[0], "title": row[1]} for row in rows]}
        if action == "things:create" and method == "POST":
            title = json.loads(body or b"{}").get("title")
            rows = self.db.ask("insert into things (title) values (%s) returning id", title)
            return 200, {"data": {"id": rows[0][0], "title": title}}
        if action == "pm:enable" and method == "POST":
            return self._enable(query.removeprefix("filterByTk="))
        resource = action.split(":")[0]
        return (200, {"data": []}) if resource in self.loaded else (404, "Not Found")

    def _enable(self, name):
        self.db.ask('update "applicationPlugins" set enabled = true, installed = true where name = %s', name)

        def command():
            self.command, self.message, self.code = "pm.enable", f"load plugin [{name}]", "APP_COMMANDING"
            rest(self.settings["load_ms"])
            self.loaded.add(name)
            self.command, self.code = "start", "APP_RUNNING"
        threading.Thread(target=command, daemon=True).start()
        return 200, {"data": name}


class Visitor:
    """One connection."""

    def __init__(self, app, link):
        self.app, self.link, self.buffer = app, link, b""
        self._lock = threading.Lock()

    def serve(self):
        try:
            while self._request():
                pass
        except OSError:
            pass
        shut(self.link)

    def _until(self, size=None):
        """Bytes up to the end of a head, or `size` of them; None at the end of the stream."""
        while True:
            end = self.buffer.find(b"\r\n\r\n") + 4 if size is None else size
            if end >= (4 if size is None else 0) and len(self.buffer) >= end:
                taken, self.buffer = self.buffer[:end], self.buffer[end:]
                return taken
            more = self.link.recv(65536)
            if not more:
                return None
            self.buffer += more

    def _request(self):
        head = self._until()
        if head is None:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = self._until(int(headers.get("content-length", 0)))
        if body is None:
            return False
        path, _, query = target.partition("?")
        if headers.get("upgrade", "").lower() == "websocket" and path == "/ws":
            log_request(method, target, headers, 101)
            self._websocket(headers)
            return False
        status, content = self.app.answer(method, path, query, body)
        log_request(method, target, headers, status)
        return self._send(status, content, headers.get("connection", "").lower() != "close")

    def _send(self, status, content, keep):
        if isinstance(content, str):
            kind, text = "text/html; charset=utf-8", content.encode()
        else:
            kind, text = "application/json", json.dumps(content).encode()
        words = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
        self.link.sendall(f"HTTP/1.1 {status} {words[status]}\r\nContent-Type: {kind}\r\n"
                          f"Content-Length: {len(text)}\r\nConnection: {'keep-alive' if keep else 'close'}"
                          "\r\n\r\n".encode() + text)
        return keep

    def _websocket(self, headers):
        import hashlib  # loads OpenSSL: not before it is needed
        guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        proof = hashlib.sha1((headers["sec-websocket-key"] + guid).encode(), usedforsecurity=False).digest()
        # Known to the application before its visitor can know of it.
        with self._lock:
            self.app.websockets[id(self)] = self
            self.link.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              b"Sec-WebSocket-Accept: " + b2a_base64(proof, newline=False) + b"\r\n\r\n")
        try:
            while self.link.recv(4096):
                pass
        finally:
            del self.app.websockets[id(self)]

    def frame(self, message):
        text = json.dumps(message).encode()
        size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
        try:
            with self._lock:
                self.link.sendall(b"\x81" + size + text)
        except OSError:
            pass


def shut(link):
    try:
        link.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    link.close()


def with_suppressed_unlink(path):
    try:
        os.unlink(path)
    except (OSError, TypeError):
        pass


_log = None


def log_request(method, target, headers, status):
    global _log
    path = os.environ.get("STANDIN_ACCESS_LOG")
    if not path:
        return
    if _log is None:
        _log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(_log, f"{int(time.time() * 1000)} {os.getpid()} {method} {target} "
                   f"{headers.get('x-request-source', '-')} {status} {headers.get('user-agent', '-')}\n".encode())


def leave_daemon():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    path = os.environ["STANDIN_ACCESS_LOG"] + ".stray"
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".new", path)
    os.closerange(0, 64)
    Term.obey()
    os.execve("/bin/sleep", ["sleep", "86399"], {})


def leave_stray():
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 64)
        Term.obey()
        while True:
            time.sleep(60)


class Term:
    """Has TERM come? Waited for, not handled: a handler that sets an Event hangs when it interrupts its wait()."""

    def __init__(self, ignored):
        self.came, self.ignored = False, ignored
        if ignored:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait(self, seconds=86400 * 365):
        if self.ignored:
            time.sleep(seconds)
        elif not self.came:
            self.came = signal.sigtimedwait({signal.SIGTERM}, seconds) is not None
        return self.came

    @staticmethod
    def obey():
        """In a child: TERM ends it."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def be_application(settings, quickstart):
    app = Application(settings, quickstart)
    asked = Term(settings["ignore_term"])
    threading.Thread(target=app.start, daemon=True).start()
    while not app.started and not asked.wait(0.01):
        pass
    if settings["stray"] == "bare":
        leave_daemon()
    elif settings["stray"]:
        leave_stray()
    if not app.started:
        app.stop_in_start()
    if settings["die_after_ms"] and app.code == "APP_RUNNING":
        if not asked.wait(settings["die_after_ms"] / 1000):
            os._exit(1)
    asked.wait()
    app.stop()


def main():
    if sys.argv[1:2] != ["start"]:
        sys.exit("usage: standin.py start --launch-mode node [--quickstart]")
    settings = tune()
    child = os.fork()
    if child == 0:
        be_application(settings, "--quickstart" in sys.argv)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
