"""Debian's nginx with the module, in a prefix of its own, ended by pid."""
import functools
import glob
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from wait import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Another nginx than the distribution's: its binary; its module is FERMATA_GATE_MODULE.
NGINX = os.environ.get("FERMATA_GATE_NGINX") or shutil.which("nginx", path="/usr/sbin:/usr/bin")
ASAN = bool(os.environ.get("FERMATA_GATE_ASAN"))


@functools.lru_cache(None)
def module():
    """The module under test: FERMATA_GATE_MODULE, or built here (incremental)."""
    given = os.environ.get("FERMATA_GATE_MODULE")
    if given:
        return given
    build = ROOT / "build" / "ngx_module"
    target = build / ("ngx_http_fermata_module.asan.so" if ASAN else "ngx_http_fermata_module.so")
    command = [str(ROOT / "ngx_module" / "build.sh")] + (["--asan"] if ASAN else [])
    done = subprocess.run(command + [str(build), str(target)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(target)


@functools.lru_cache(None)
def version():
    """Of nginx, as numbers."""
    said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(int(part) for part in re.search(r"nginx/([\d.]+)", said).group(1).split("."))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            text = pathlib.Path(path).read_text()
        except OSError:
            continue
        state, parent = text.rsplit(")", 1)[1].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(path.split("/")[2]))
    return found


def title(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rsplit(")", 1)[1].split()[0] not in "ZX"


def born(pid):
    """With its pid this names a process for ever: pids are given again. None: it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


CONFIG = """
load_module {module};
user www-data;
worker_processes {workers};
pid nginx.pid;
{env}
error_log error.log {level};
events {{ worker_connections {connections}; {events} }}
http {{
    log_format gate '$msec $status $fermata_mode $fermata_node $fermata_epoch.$fermata_seq '
                    '$fermata_bypassed "$request" $upstream_addr';
    access_log access.log gate;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    keepalive_requests 100000;

    fermata_zone fermata:512k;
    fermata_state state;
    {coordinator}
    fermata_start_wait {start_wait};
    {default}

    upstream app {{
        {balancer}
        {servers}
        {keepalive}
        fermata_nodes {nodes};
    }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    {http}
    server {{
        listen 127.0.0.1:{port} {listen};
        root html;
        fermata on;
        fermata_bypass $cookie_fermata;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        location / {{ proxy_pass http://app; {location} }}
        location /assets/ {{ fermata off; }}
        location = /health {{ fermata off; proxy_pass http://app; }}
        location = /status {{ fermata_status; }}
        location /try/ {{ try_files $uri @app; }}
        location @app {{ proxy_pass http://app; }}
        location /missing/ {{ fermata off; error_page 404 = @app; }}
        {server}
    }}
}}
"""


class Gate:
    def __init__(self, backends, coordinators=(), **changes):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="fermata-gate-"))
        os.chmod(self.prefix, 0o755)
        for name in ("html/assets", "logs"):
            (self.prefix / name).mkdir(parents=True)
        if ASAN:
            (self.prefix / "asan").mkdir()
            os.chmod(self.prefix / "asan", 0o777)
        (self.prefix / "html/assets/a.js").write_text("asset\n")
        self.backends = backends
        self.port = free_port()
        self.pids = set()
        addresses = {n: f"127.0.0.1:{node.port}" for n, node in backends.nodes.items()}
        self.values = dict(
            module=module(), workers=4, connections=512,
            # nginx hands nothing down to a new binary but what it is told to
            env="env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;" if ASAN else "",
            level="notice", events="", default="", start_wait="0", balancer="",
            keepalive="keepalive 16;", http="", location="", server="", listen="", port=self.port,
            servers=" ".join(f"server {a};" for a in addresses.values()),
            nodes=" ".join(f"{n}={a}" for n, a in addresses.items()),
            coordinator="".join(f"fermata_coordinator 127.0.0.1:{c.port} name=gate1;"
                                for c in coordinators))
        self.values.update(changes)
        self.configure()

    def configure(self, **changes):
        self.values.update(changes)
        (self.prefix / "nginx.conf").write_text(CONFIG.format(**self.values))

    def command(self, *more):
        return [NGINX, "-p", f"{self.prefix}/", "-c", "nginx.conf", "-e", "error.log", *more]

    def environment(self):
        env = dict(os.environ)
        if ASAN:
            names = [subprocess.check_output(["gcc", f"-print-file-name={n}"], text=True).strip()
                     for n in ("libasan.so", "libubsan.so")]
            env["LD_PRELOAD"] = " ".join(names)
            env["ASAN_OPTIONS"] = ("detect_leaks=0:detect_odr_violation=0:"
                                   f"log_path={self.prefix}/asan/asan")
            env["UBSAN_OPTIONS"] = f"print_stacktrace=1:log_path={self.prefix}/asan/ubsan"
        return env

    def run(self, *more):
        return subprocess.run(self.command(*more), capture_output=True, text=True, timeout=60,
                              env=self.environment())

    def start(self):
        done = self.run()
        assert done.returncode == 0, done.stderr
        wait_for(lambda: self.worker_pids() and self.answers(), 20, "nginx to start")
        self.all_pids()
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    @property
    def master(self):
        try:
            return int((self.prefix / "nginx.pid").read_text())
        except (OSError, ValueError):
            return None

    def all_pids(self):
        master = self.master
        now = {master, *children(master)} if master else set()
        self.pids |= {(pid, born(pid)) for pid in now}
        return now

    def living(self):
        """Those of our processes that have not ended."""
        return [pid for pid, at in self.pids if at and born(pid) == at]

    def worker_pids(self, master=None):
        master = master or self.master
        return [p for p in children(master) if "worker process" in title(p)] if master else []

    def manager_pid(self, master=None):
        master = master or self.master
        found = [p for p in children(master) if "cache manager" in title(p)
                 and "shutting" not in title(p)]
        return found[-1] if found else None

    def reload(self):
        before = set(self.worker_pids()) | {self.manager_pid()}
        os.kill(self.master, signal.SIGHUP)
        wait_for(lambda: len(set(self.worker_pids()) - before) == self.values["workers"]
                 and self.manager_pid() not in before, 20, "new workers")
        self.all_pids()
        return before

    def log(self):
        return (self.prefix / "error.log").read_text(errors="replace")

    def stop(self):
        master = self.master
        self.all_pids()
        if master and alive(master):
            os.kill(master, signal.SIGTERM)
        try:
            wait_for(lambda: not self.living(), 30, lambda: f"{[title(p) for p in self.living()]} to end")
        except AssertionError:
            for pid in self.living():
                os.kill(pid, signal.SIGKILL)
            raise

    def close(self):
        """Stops, and asserts what must hold of every run."""
        try:
            self.stop()
            reports = list((self.prefix / "asan").glob("*")) if ASAN else []
            assert not reports, "\n".join(p.read_text(errors="replace") for p in reports)
            log = self.log()
            bad = [line for line in log.splitlines()
                   if "[alert]" in line and "fermata: " not in line and f"{self.prefix}/state/" not in line
                   and "exited on signal 9" not in line
                   or "open socket" in line or "[emerg]" in line]
            assert not bad, "\n".join(bad)
            assert "exited on signal 11" not in log and "exited on signal 6" not in log
        finally:
            if not os.environ.get("FERMATA_GATE_KEEP"):
                shutil.rmtree(self.prefix, ignore_errors=True)
