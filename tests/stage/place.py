"""A place on this machine: its folder, its ports, its processes."""

import atexit
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
TESTS = REPO / "tests"
CACHE = pathlib.Path(os.environ.get("FERMATA_CACHE") or pathlib.Path.home() / ".cache/fermata")
BUILD = pathlib.Path(os.environ.get("FERMATA_BUILD") or REPO / "build")


class StageError(Exception):
    """The stage itself failed, or a program on it did what it must not."""


def wait_for(condition, limit, what, every=0.02):
    """The first true value of condition(), asked until `limit` seconds are over."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise StageError(f"not within {limit:g} s: {what}")
        time.sleep(every)


_given = set()


def port_range():
    """Those below what the kernel gives to clients; of tests that run side by side each has its own part."""
    first, last = 20000, 31999
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return first, last
    each = (last + 1 - first) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    first += each * int(worker.removeprefix("gw"))
    return first, first + each - 1


def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    for _ in range(500):
        port = random.randint(*port_range())
        with socket.socket() as probe:
            if port not in _given and probe.connect_ex(("127.0.0.1", port)) != 0:
                with contextlib.suppress(OSError), socket.socket() as taken:
                    taken.bind(("127.0.0.1", port))
                    _given.add(port)
                    return port
    raise StageError("no free port found")


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_folder(parent=None):
    """A fresh folder that everybody may enter; on the cache's file system if we have a say, so that
    releases can be hard links."""
    candidates = [parent] if parent else [os.environ.get("FERMATA_STAGES"), "/tmp", "/var/tmp"]
    candidates = [c for c in candidates if c and os.path.isdir(c)]
    probe = CACHE
    while not probe.exists():
        probe = probe.parent
    near = [c for c in candidates if os.stat(c).st_dev == probe.stat().st_dev]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fermata-stage-", dir=(near or candidates)[0]))
    folder.chmod(0o755)
    return folder


class Process:
    """A child in a session of its own, its output in a file. Ended by pid, and when we end."""

    def __init__(self, name, argv, log, env=None, cwd=None, user=None):
        self.name, self.log = name, pathlib.Path(log)
        as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
        with open(self.log, "ab") as out:
            self._child = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, cwd=cwd, start_new_session=True, **as_user)
        self.pid = self._child.pid
        atexit.register(self.kill)

    def is_alive(self):
        return self._child.poll() is None

    @property
    def code(self):
        return self._child.poll()

    def send(self, number):
        if self.is_alive():
            os.kill(self.pid, number)

    def wait(self, limit):
        try:
            return self._child.wait(limit)
        except subprocess.TimeoutExpired:
            raise StageError(f"{self.name} (pid {self.pid}) did not end within {limit:g} s") from None

    def stop(self, limit=10, number=signal.SIGTERM):
        """Ends it in its own way. A process that does not end in time is killed, and that is an error."""
        self.send(number)
        try:
            return self.wait(limit)
        finally:
            self.kill()

    def kill(self):
        self.send(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(10)
        atexit.unregister(self.kill)

    def disown(self):
        """Lets it live on after us."""
        atexit.unregister(self.kill)

    def tail(self, lines=20):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def expect_alive(self):
        if not self.is_alive():
            raise StageError(f"{self.name} ended with {self.code}; it said:\n{self.tail()}")


def born(pid):
    """When a process began, in the kernel's ticks, so that its pid cannot be mistaken; None: gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def processes_with(text):
    """Pids of processes that have this text (NAME=value) in their environment."""
    found = []
    wanted = text.encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environ:
                if wanted in environ.read().split(b"\0"):
                    found.append(int(entry))
    return found


def kill_processes_with(text):
    """Ends every process that carries this text in its environment, and waits until all are gone."""
    def gone():
        left = [pid for pid in processes_with(text) if pid != os.getpid()]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left
    wait_for(gone, 15, f"end of all processes with {text}")


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
