"""A host of its own: a systemd booted as PID 1 in namespaces, with D-Bus, on this machine's files. It
can lose its power and boot again; what it had in /etc survives, what it had in /run does not."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from .place import Process, StageError, wait_for

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
DBUS_UNITS = pathlib.Path("/lib/systemd/system")

# Little enough to boot in a moment: no udev, no journal, no login.
TARGETS = {
    "sysinit.target": "", "sockets.target": "", "shutdown.target": "",
    "basic.target": "Requires=sysinit.target\nAfter=sysinit.target\n",
    "multi-user.target": "Requires=basic.target dbus.socket\nAfter=basic.target dbus.socket\n",
    "network-online.target": "", "remote-fs.target": "",
}

# Runs as the first process of the new namespaces, and becomes PID 1.
BOOT = r"""
set -eu
mount -t proc proc /proc
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$HOST/etc,workdir=$HOST/etc.work" /etc
mount --bind "$HOST/units" /etc/systemd/system
mount -t tmpfs -o mode=755 tmpfs /run
umount -R /sys/fs/cgroup || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=fermata SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system PATH="$PATH" \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --log-level=info
"""


def why_not():
    """Why no systemd can be booted here; "" if it can."""
    if os.getuid() != 0:
        return "booting a systemd takes root"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    if not (DBUS_UNITS / "dbus.service").exists():
        return "dbus is not installed"
    return "" if cgroup_root() else "there is no cgroup v2 on this machine"


def cgroup_root():
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(f"{path}/cgroup.controllers"):
            return pathlib.Path(path)
    return None


class Host:
    """units: {name: text} of /etc/systemd/system; wanted: names that the boot starts."""

    def __init__(self, name, folder, units, wanted=()):
        self.name, self.folder = name, pathlib.Path(folder)
        self.units = self.folder / "units"
        self.process = self._init = None
        self._cgroup = cgroup_root() / f"fermata-{self.folder.parent.name}-{name}"
        for path in ("etc", "etc.work", "units/multi-user.target.wants"):
            (self.folder / path).mkdir(parents=True)
        for unit in ("dbus.service", "dbus.socket"):
            shutil.copy(DBUS_UNITS / unit, self.units / unit)
        for target, lines in TARGETS.items():
            self.write(target, f"[Unit]\nDescription={target}\nDefaultDependencies=no\n{lines}")
        for unit, text in units.items():
            self.write(unit, text)
        for unit in wanted:
            (self.units / "multi-user.target.wants" / unit).symlink_to(f"../{unit}")

    def write(self, unit, text):
        (self.units / unit).write_text(text)

    def boot(self):
        self._cgroup.mkdir(exist_ok=True)
        first = (f'echo $$ > {self._cgroup}/cgroup.procs && exec unshare --pid --mount --fork --uts --ipc --cgroup '
                 '--kill-child=SIGKILL --propagation private sh -c "$BOOT"')
        self.process = Process(f"systemd of {self.name}", ["sh", "-c", first], self.folder / "systemd.log",
                               env={"PATH": os.environ["PATH"], "HOST": str(self.folder), "BOOT": BOOT})
        self._init = wait_for(self._find_init, 20, f"PID 1 of {self.name}")
        wait_for(lambda: self._answers(), 30, f"systemd of {self.name} answers")

    def _find_init(self):
        self.process.expect_alive()
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            for pid in file.read().split():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    if comm.read().strip() == "systemd":
                        return int(pid)
        return None

    def _answers(self):
        self.process.expect_alive()
        return self.ctl("is-active", "basic.target", expect=None).stdout.strip() == "active"

    def inside(self, *argv, expect=0):
        """Runs a command on the host."""
        done = subprocess.run(["nsenter", "-t", str(self._init), "-m", "-p", "-i", "-u", "-C", *[str(a) for a in argv]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        if expect is not None and done.returncode != expect:
            raise StageError(f"{' '.join(map(str, argv))} on {self.name}: exit code {done.returncode}, not {expect}\n"
                             f"{done.stdout}{done.stderr}")
        return done

    def ctl(self, *argv, expect=0):
        return self.inside("systemctl", "--no-pager", *argv, expect=expect)

    def show(self, unit, name):
        return self.ctl("show", "-p", name, "--value", unit).stdout.strip()

    def pid_of(self, unit):
        """As seen from here; None when nothing of it runs."""
        for path in self._cgroup.rglob("cgroup.procs"):
            if path.parent.name == unit:
                pids = path.read_text().split()
                return int(pids[0]) if pids else None
        return None

    def cut_power(self):
        """Everything on it is gone, from one moment to the next."""
        if self.process is None or not self.process.is_alive():
            return
        os.kill(self._init, signal.SIGKILL)
        self.process.wait(20)
        self.process.kill()
        wait_for(self._remove_cgroup, 20, f"all processes of {self.name} are gone")

    def _remove_cgroup(self):
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True
