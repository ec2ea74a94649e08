"""A disk that is full, or read-only: nothing is in force that is not on it, and it is said."""
import os
import pathlib
import subprocess

import pytest

import wire
from client import request, status
from test_hand import FERMATA
from wait import wait_for


class Disk:
    """The state of the gate on a disk of 64 KiB, in a mount namespace of this nginx alone."""

    def __init__(self, gate):
        self.gate = gate
        (gate.prefix / "state").mkdir()
        plain = gate.command
        gate.command = lambda *more: [
            "unshare", "-m", "--propagation", "private", "sh", "-c",
            'mount -t tmpfs -o size=64k,mode=0700 tmpfs "$0/state" && exec "$@"', str(gate.prefix),
            *plain(*more)]
        gate.start()
        gate.command = plain

    @property
    def path(self):
        return pathlib.Path(f"/proc/{self.gate.master}/root{self.gate.prefix}/state")

    def within(self, *command):
        return subprocess.run(["nsenter", "-t", str(self.gate.master), "-m", *command],
                              capture_output=True, text=True, timeout=60)

    def remount(self, how):
        done = self.within("mount", "-o", f"remount,{how}", str(self.gate.prefix / "state"))
        assert done.returncode == 0, done.stderr

    def fill(self):
        with open(self.path / "fill", "wb", buffering=0) as f:
            with pytest.raises(OSError):
                while True:
                    f.write(b"x" * 4096)

    def free(self):
        (self.path / "fill").unlink()


@pytest.fixture
def disk(make_gate, coordinator):
    made = Disk(make_gate())
    coordinator.wait_up()
    yield made
    log = made.gate.prefix / "error.log"
    log.write_text(log.read_text().replace("[alert]", "[seen]"))


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_no_room_for_the_state(disk, coordinator, trouble):
    make, heal = {"full": (disk.fill, disk.free), "read-only": (
        lambda: disk.remount("ro"), lambda: disk.remount("rw"))}[trouble]
    gate = disk.gate
    coordinator.ask(wire.CLOSED)
    make()
    voice, _ = coordinator.send_ask(wire.OPEN)
    coordinator.wait_report(lambda r: r["error"] == "the state file cannot be written")
    report = coordinator.live()[-1].last
    assert (report["mode"], report["seq"]) == (wire.CLOSED, voice[1] - 1)
    assert request(gate.port).status == 503           # the page is kept
    # a new manager, and a reload, know no more than the disk does
    gate.reload()
    assert request(gate.port).status == 503 and status(gate.port)["seq"] == voice[1] - 1
    heal()
    coordinator.wait_up()
    coordinator.send_ask(wire.OPEN, seq=voice[1])     # asks are repeated
    coordinator.wait_force(voice)
    assert request(gate.port).status == 200
    assert coordinator.live()[-1].last["error"] == ""


def test_by_hand_on_a_full_disk(disk, coordinator):
    """Glass is broken when other things are: done, and said that it will not outlive nginx."""
    gate = disk.gate
    coordinator.ask(wire.OPEN)
    coordinator.close()
    wait_for(lambda: not status(gate.port)["connected"], 10)
    disk.fill()
    words = ("--local", "--state", str(gate.prefix / "state"))
    done = disk.within(FERMATA, "gate", "close", *words)
    assert done.returncode == 0 and "disk" in done.stderr, done.stderr
    assert request(gate.port).status == 503
    disk.free()
    done = disk.within(FERMATA, "gate", "resume", *words)
    assert done.returncode == 0 and request(gate.port).status == 200
    disk.remount("ro")
    done = disk.within(FERMATA, "gate", "close", *words)
    assert done.returncode == 1 and "remount,rw" in done.stderr
    assert request(gate.port).status == 200
    disk.remount("rw")
