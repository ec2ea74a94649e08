"""A coordinator that is played: it asks one agent for what it is told to, and keeps every report with its
time. For what the real one would not ask, and to measure an agent without it."""

import socket
import struct
import sys
import threading
import time

from .place import TESTS, wait_for

sys.path.append(str(TESTS / "gate"))
import wire  # noqa: E402  pylint: disable=wrong-import-position

STATES = ("unknown", "stopped", "starting", "ready", "failed", "stopping", "refused", "backoff", "stuck")
GOALS = {"none": 0, "stopped": 1, "running": 2}
MODES = {"plain": 0, "migrate": 1}
AGENT_ASK, AGENT_REPORT = 10, 11
ASK = {"epoch": 1, "seq": 2, "run": 3, "app": 4, "release": 5, "start": 6, "start_serial": 12}
REPORT = {1: "epoch", 2: "seq", 4: "app", 5: "current", 7: "running", 8: "pids", 9: "detail", 10: "failure",
          20: "ready_ms", 21: "starts"}
TEXTS = ("current", "running", "detail", "failure")


def framed(body, content):
    data = wire.field(body, "")[:-1] + wire.varint(len(content)) + content
    return struct.pack(">I", len(data)) + data


def read_report(data):
    report = {name: "" if name in TEXTS else 0 for name in REPORT.values()}
    at = 0
    while at < len(data):
        key, at = wire.read_varint(data, at)
        value, at = wire.read_varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value].decode(), at + value
        if key >> 3 in REPORT:
            report[REPORT[key >> 3]] = value
    report["app"] = STATES[report["app"]]
    return report


class PlayedCoordinator:
    """ask(app="running", ...) replaces what was wanted; reports: [(monotonic time, {...})] since forget()."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.reports, self.wanted = [], None
        self._seq, self._link, self._lock = 0, None, threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        file = link.makefile("rb")
        try:
            while size := file.read(4):
                data = file.read(struct.unpack(">I", size)[0])
                came = time.monotonic()
                key, at = wire.read_varint(data, 0)
                _, at = wire.read_varint(data, at)
                self._take(link, key >> 3, data[at:], came)
        except (OSError, struct.error):
            pass

    def _take(self, link, body, content, came):
        if body == wire.HELLO:
            with self._lock:
                self._link = link
                link.sendall(wire.frame(wire.WELCOME, major=1, cluster="played", epoch=1, heartbeat_ms=1000,
                                        lost_ms=3000))
            self._say()
        elif body == wire.HEARTBEAT:
            with self._lock:
                link.sendall(wire.frame(wire.HEARTBEAT, count=1))
        elif body == AGENT_REPORT:
            self.reports.append((came, read_report(content)))

    def ask(self, app, start="plain", **values):
        self._seq += 1
        self.wanted = {"epoch": 1, "seq": self._seq, "app": GOALS[app], "start": MODES[start], **values}
        self._say()

    def _say(self):
        if self.wanted is None or self._link is None:
            return
        content = b"".join(wire.field(ASK[name], value) for name, value in self.wanted.items() if value)
        with self._lock:
            self._link.sendall(framed(AGENT_ASK, content))

    def forget(self):
        self.reports = []

    def first(self, condition, limit, what):
        """(time, report) of the first that came since forget() and fits."""
        def look():
            return next(((came, report) for came, report in list(self.reports) if condition(report)), None)
        return wait_for(look, limit, what, every=0.002)

    def obeyed(self, condition, limit, what):
        """The same, of those that answer the latest ask."""
        seq = self._seq
        return self.first(lambda report: report["seq"] == seq and condition(report), limit, what)

    def close(self):
        self._listener.close()


