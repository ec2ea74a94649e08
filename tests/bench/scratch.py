"""A bare nginx for one measurement: a prefix of its own, a port picked free, ended by pid. With or without the gate."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import urllib.error
import urllib.request

from stage.gate import MODULE
from stage.place import BUILD, Process, StageError, free_port, is_listening, make_folder, wait_for

NGINX = "/usr/sbin/nginx"

_CONF = """\
{load}
{user}
worker_processes {workers};
{top}
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile on; tcp_nopush on;
    default_type text/plain;
    keepalive_requests 10000000;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    {zone}
    {http}
    server {{
        listen 127.0.0.1:{port} reuseport;
        root html;
        {server}
    }}
}}
"""


# What a server says by itself, in every answer.
_OWN_FIELDS = ("server", "date", "content-type", "content-length", "connection")


def fields_of(head):
    """Headers that an answer has besides those that any server adds."""
    return {name: value for name, value in head.items() if name.lower() not in _OWN_FIELDS}


def add_headers(fields):
    """The same as lines of nginx's configuration."""
    return " ".join(f'add_header {name} "{value}" always;' for name, value in fields.items())


def page_like(length):
    """A plain page without what a configuration file would have to escape."""
    return ("<!doctype html><title>Maintenance</title><p>" + "We will be right back. " * (length // 20))[:length]


@contextlib.contextmanager
def folder():
    made = make_folder()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Nginx:
    """server and http are lines of configuration; gate: the first mode, "open" or "closed"; wrapper: a
    command in front of nginx, whose workers then have the rights of the caller."""

    def __init__(self, where, name, server, http="", gate=None, workers=1, wrapper=(), coordinator=None,
                 connections=1024, top=""):
        self.name, self.port, self.prefix = name, free_port(), where / name
        (self.prefix / "html").mkdir(parents=True)
        self.prefix.chmod(0o755)
        self.workers, self.wrapper, self.process = workers, list(wrapper), None
        zone = f"fermata_zone fermata:512k; fermata_state state; fermata_default {gate};" if gate else ""
        if coordinator:
            zone += f" fermata_coordinator 127.0.0.1:{coordinator};"
        user = "root" if wrapper else "www-data"
        self.values = dict(
            load=f"load_module {BUILD / MODULE};" if gate else "", zone=zone, http=http, top=f"daemon off; {top}",
            user=f"user {user};" if os.getuid() == 0 else "", workers=workers, port=self.port, connections=connections)
        self.rewrite(server)

    def rewrite(self, server):
        (self.prefix / "nginx.conf").write_text(_CONF.format(server=server, **self.values))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, limit=20):
        self.process = Process(self.name, [*self.wrapper, NGINX, "-p", f"{self.prefix}/", "-c", "nginx.conf",
                                           "-e", "error.log"], self.prefix / "out")
        try:
            wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), limit, f"{self.name} listens")
        except StageError as error:
            raise StageError(f"{error}\n{self.said()}") from None
        return self

    def worker_pids(self):
        """Below valgrind, too, whose processes keep their command lines."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
                if int(parent) == self.process.pid and state != "Z":
                    found.append(int(path.parent.name))
        return sorted(found)

    def said(self):
        return "".join(path.read_text(errors="replace") for path in
                       (self.prefix / "out", self.prefix / "error.log") if path.exists())

    def stop(self):
        if self.process:
            self.process.stop(20, signal.SIGTERM)

    def ask(self, path="/"):
        """Status, headers with names in any case, and body, whatever the status."""
        try:
            answer = urllib.request.urlopen(self.url + path, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read()

    def get(self, path="/"):
        """Status and body."""
        status, _, body = self.ask(path)
        return status, body

    def head(self, path="/"):
        """Headers sent to a GET."""
        return self.ask(path)[1]


class Kept:
    """One kept connection, requests one after the other: as little as a client can do."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path, headers=""):
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, body = data.split(b"\r\n\r\n", 1)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += self.more()
        return int(head.split(b" ")[1])

    def more(self):
        part = self.sock.recv(65536)
        if not part:
            raise StageError("the server closed a kept connection")
        return part

    def close(self):
        self.sock.close()


_HAPROXY = """\
global
    nbthread {threads}
    stats socket {prefix}/admin level admin
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    errorfile 503 {prefix}/page.http
frontend front
    bind 127.0.0.1:{port}
    {front}
{back}
"""


class Haproxy:
    """front: lines of its frontend; back: whole sections behind it; page: what errorfile 503 sends,
    with these headers."""

    def __init__(self, where, name, front, back, page, headers=None, threads=1):
        self.name, self.port, self.prefix, self.process = name, free_port(), where / name, None
        self.prefix.mkdir()
        (where / f"{name}.html").write_text(page)
        fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {"Retry-After": 10}).items())
        (self.prefix / "page.http").write_text(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\n"
            f"{fields}Content-Length: {len(page)}\r\n\r\n{page}")
        (self.prefix / "haproxy.cfg").write_text(_HAPROXY.format(
            threads=threads, prefix=self.prefix, port=self.port, front=front, back=back))

    url = Nginx.url
    ask, get = Nginx.ask, Nginx.get
    head = Nginx.head
    worker_pids = Nginx.worker_pids

    def start(self):
        self.process = Process(self.name, ["/usr/sbin/haproxy", "-db", "-f", self.prefix / "haproxy.cfg"],
                               self.prefix / "out")
        try:
            wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), 20, f"{self.name} listens")
        except StageError as error:
            raise StageError(f"{error}\n{self.said()}") from None
        return self

    def admin(self, command):
        """What the admin socket answers."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.prefix / "admin"))
            sock.sendall(command.encode() + b"\n")
            data = b""
            while part := sock.recv(4096):
                data += part
        return data.decode()

    def said(self):
        return (self.prefix / "out").read_text(errors="replace")

    def stop(self):
        if self.process:
            self.process.send(signal.SIGTERM)
            self.process.wait(20)
