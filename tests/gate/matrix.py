"""Every stock balancer beside everything that may stand beside it, as blocks of one nginx.conf."""
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from h2 import config, connection, events

from gate import NGINX, alive, children, free_port
from wait import wait_for

NODES = ("app1", "app2", "app3")
BALANCERS = {
    "round robin": "",
    "least_conn": "least_conn;",
    "ip_hash": "ip_hash;",
    "hash": "hash $request_uri;",
    "consistent hash": "hash $request_uri consistent;",
    "random": "random;",
    "random two": "random two least_conn;",
}
# nginx refuses `backup` beside the others
WITH_BACKUP = ("round robin", "least_conn")
SERVERS = {
    "plain": ("", "", ""),
    "weights": ("weight=1", "weight=3", "weight=5"),
    "max_conns": ("max_conns=1", "max_conns=1", "max_conns=1"),
    "next upstream": ("max_fails=0", "max_fails=0", "max_fails=0"),
    "backup": ("", "", "backup"),
}
KEEPALIVES = ("none", "before", "after")


class Upstream:
    """One upstream{} and the location that leads to it."""

    def __init__(self, number, kind, ports, **what):
        self.name, self.kind, self.ports = f"{kind}{number}", kind, ports
        self.balancer = what["balancer"]
        self.zone = what["zone"]
        self.keepalive = what["keepalive"]
        self.servers = what["servers"]
        self.path = f"/{self.name}/" + ("fail/" if self.servers == "next upstream" else "")

    def __str__(self):
        return (f"{self.name}: {self.balancer}, {'zone' if self.zone else 'no zone'}, keepalive "
                f"{self.keepalive}, {self.servers}")

    def block(self):
        balancer, keepalive = BALANCERS[self.balancer], "keepalive 2;"
        head = {"none": balancer, "before": keepalive + balancer,
                "after": balancer + keepalive}[self.keepalive]
        zone = f"zone {self.name} 64k;" if self.zone else ""
        servers = " ".join(f"server 127.0.0.1:{port} {more};"
                           for port, more in zip(self.ports, SERVERS[self.servers]))
        nodes = " ".join(f"{n}=127.0.0.1:{p}" for n, p in zip(NODES, self.ports))
        return f"upstream {self.name} {{ {zone} {servers} {head} fermata_nodes {nodes}; }}\n"

    def location(self):
        how = "grpc_pass grpc://" if self.kind == "g" else "proxy_pass http://"
        more = ("proxy_next_upstream error timeout http_500 non_idempotent;"
                if self.servers == "next upstream" else "")
        kept = self.keepalive != "none" and self.kind == "h"
        close = 'proxy_set_header Connection "";' if kept else ""
        return f"location /{self.name}/ {{ {how}{self.name}; {more} {close} }}\n"

    def expected(self, allowed):
        """Nodes that may answer; None: the page."""
        if not allowed:
            return None
        if self.servers == "backup" and allowed - {"app3"}:
            return allowed - {"app3"}
        # one that fails is asked, and another one after it, if there is one
        if self.servers == "next upstream" and allowed - {"app1"}:
            return allowed - {"app1"}
        return allowed


def upstreams(kind, ports, keepalives=KEEPALIVES, servers=tuple(SERVERS)):
    found = []
    for balancer, zone, keepalive, what in itertools.product(BALANCERS, (False, True), keepalives,
                                                             servers):
        if what != "backup" or balancer in WITH_BACKUP:
            found.append(Upstream(len(found), kind, ports, balancer=balancer, zone=zone,
                                  keepalive=keepalive, servers=what))
    return found


class Nodes:
    """Three nodes in an nginx of their own, each with a port for h1 and one for h2: they say who they
    are; under /fail/ the first one fails."""

    def __init__(self):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="fermata-nodes-"))
        os.chmod(self.prefix, 0o755)
        self.ports, self.h2 = [free_port() for _ in NODES], [free_port() for _ in NODES]
        fails = "location ~ /fail/ { return 500 oops; }"
        servers = "".join(
            f"server {{ listen 127.0.0.1:{a}; listen 127.0.0.1:{b} http2;"
            f" keepalive_requests 1000000; add_header X-Node {name} always;"
            f" location / {{ return 200 {name}; }} {fails if name == 'app1' else ''} }}\n"
            for name, a, b in zip(NODES, self.ports, self.h2))
        temps = "".join(f"{t}_temp_path {t};" for t in ("client_body", "proxy", "fastcgi", "uwsgi",
                                                        "scgi"))
        (self.prefix / "nginx.conf").write_text(
            "user www-data; worker_processes 1; pid nginx.pid; error_log error.log;\n"
            f"events {{ worker_connections 4096; }} http {{ {temps} access_log off;\n{servers}}}\n")
        done = subprocess.run([NGINX, "-p", f"{self.prefix}/", "-c", "nginx.conf", "-e",
                               "error.log"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        self.master = int(wait_for((self.prefix / "nginx.pid").read_text, 10, "the nodes' pid"))
        self.pids = [self.master, *children(self.master)]

    def connections(self, name):
        """Connections to this node that are open: as many as the kernel says."""
        ports = {self.ports[NODES.index(name)], self.h2[NODES.index(name)]}
        count = 0
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            count += int(fields[1].split(":")[1], 16) in ports and fields[3] == "01"
        return count

    def close(self):
        self.pids = [self.master, *children(self.master)]
        os.kill(self.master, signal.SIGTERM)
        wait_for(lambda: not any(alive(p) for p in self.pids), 20, "the nodes to end")
        shutil.rmtree(self.prefix, ignore_errors=True)


def pipelined(port, path, count):
    """So many requests in one go over one connection: [(status, node)]."""
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(b"".join(
            f"GET {path}{i} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n"
            f"{'Connection: close' if i == count - 1 else 'X: y'}\r\n\r\n".encode()
            for i in range(count)))
        data = b"".join(iter(lambda: s.recv(65536), b""))
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        data = data[int(headers["Content-Length"]):]
        answers.append((int(lines[0].split(" ")[1]), headers.get("X-Node")))
    return answers


def by_h2(port, paths, grpc=False, at_once=20):
    """Over one connection of HTTP/2, so many streams at once: [(status, node)], in the order of paths."""
    h2 = connection.H2Connection(config.H2Configuration(header_encoding="utf-8"))
    answers, asked, ended = {}, {}, set()
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        h2.initiate_connection()
        while len(ended) < len(paths):
            while len(asked) < len(paths) and len(asked) - len(ended) < at_once:
                stream, number = h2.get_next_available_stream_id(), len(asked)
                asked[stream] = number
                h2.send_headers(stream, [(":method", "POST" if grpc else "GET"),
                                         (":path", paths[number]), (":scheme", "http"),
                                         (":authority", "x"),
                                         *([("content-type", "application/grpc"),
                                            ("te", "trailers")] if grpc else [])], not grpc)
                if grpc:
                    h2.send_data(stream, b"\0\0\0\0\0", True)
            s.sendall(h2.data_to_send())
            data = s.recv(65536)
            assert data, "the connection was closed"
            for event in h2.receive_data(data):
                if isinstance(event, events.ResponseReceived):
                    headers = dict(event.headers)
                    # gRPC has a status of its own; 14 is UNAVAILABLE
                    away = headers.get("grpc-status") == "14"
                    answers[asked[event.stream_id]] = (503 if away else int(headers[":status"]),
                                                       headers.get("x-node"))
                elif isinstance(event, events.DataReceived):
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (events.StreamEnded, events.StreamReset)):
                    ended.add(event.stream_id)
    return [answers.get(i) for i in range(len(paths))]
