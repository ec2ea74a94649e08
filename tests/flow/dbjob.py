"""Orders for fermata-dbjob and its reports, in as much of the wire as they need."""

import collections
import struct
import subprocess

from stage.place import BUILD
from stage.services import DATABASE, ROLE

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
