"""Our own programs: the coordinator, the agents, the command line."""

import dataclasses
import json
import os
import pathlib
import subprocess
import threading

from .place import BUILD, Process, StageError, free_port, is_listening, wait_for

COORDINATOR = BUILD / "coordinator/fermata-coordinator"
CLI = BUILD / "coordinator/fermata"
AGENT = BUILD / "agent/fermata-agent"


def write_ini(path, sections):
    """sections: {name: {key: value}}; a value of None leaves the key out."""
    text = []
    for section, values in sections.items():
        text.append(f"[{section}]")
        text += [f"{key} = {value}" for key, value in values.items() if value is not None]
        text.append("")
    path.touch(mode=0o600)
    path.write_text("\n".join(text))


class Daemon:
    """A program of ours that can be started, ended and killed any number of times."""

    def __init__(self, name, program, folder, path=None):
        self.name, self.program, self.folder = name, program, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ini = self.folder / f"{name}.ini"
        self.log = self.folder / f"{name}.log"
        self.state = self.folder / "state"
        self._path = path or os.environ["PATH"]
        self.env = {}  # besides
        self.within = []  # a program that runs it, as unshare
        self.process = None

    def start(self):
        self.state.mkdir(mode=0o700, exist_ok=True)
        env = {"PATH": self._path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "TZ": "UTC"}
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "FERMATA_CACHE"):
            if key in os.environ:
                env[key] = os.environ[key]
        self.process = Process(self.name, [*self.within, self.program, "--config", self.ini], self.log, env=env | self.env)

    def stop(self, limit=10):
        if self.process:
            self.process.stop(limit)

    def kill(self):
        """kill -9: nothing is said, nothing is cleaned up."""
        self.process.kill()

    def is_alive(self):
        return self.process is not None and self.process.is_alive()


class Coordinator(Daemon):
    def __init__(self, folder, nodes, postgres, options):
        """options: {section: {key: value}} that replace what stands here."""
        super().__init__("coordinator", COORDINATOR, folder)
        self.port = free_port()
        self.socket = self.folder / "coordinator.sock"
        sections = {
            "cluster": {"name": "stage", "nodes": " ".join(n.name for n in nodes), "gates": "gate1"},
            "database": {"name": "nocobase", "role": "nocobase", "admin": postgres.conninfo,
                         "bindir": postgres.bindir},
            "coordinator": {"listen": f"127.0.0.1:{self.port}", "socket": self.socket, "state_dir": self.state,
                            "restore_points": self.folder / "restore-points"},
            "limits": {}, "tls": {}, "http": {},
        }
        for section, values in options.items():
            sections.setdefault(section, {}).update(values)
        self._sections = sections
        self.configure()

    def configure(self, **cluster):
        """Writes the file; cluster: keys of [cluster] to change."""
        self.configure_section("cluster", **cluster)

    def configure_section(self, section, **values):
        self._sections.setdefault(section, {}).update(values)
        write_ini(self.ini, self._sections)

    def configure_http(self, **http):
        """The same for [http]."""
        self._sections["http"].update(http)
        write_ini(self.ini, self._sections)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        super().start()
        wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), 15, "the coordinator listens")


class Agent(Daemon):
    def __init__(self, node, app, coordinator_address, storage, options):
        super().__init__("agent", AGENT, node.folder / "agent", app.path)
        self.node = node
        sections = {
            "agent": {"node": node.name, "coordinator": coordinator_address, "state_dir": self.state},
            "app": {"root": node.root, "runtime": "process", "env_file": node.env_file, "storage": storage,
                    "node_dir": node.run, "start_command": app.start_command,
                    "fetch_command": app.fetch_command, "url": f"http://{node.address}",
                    "log_file": node.folder / "app.log"},
            "limits": {}, "tls": {},
        }
        for section, values in options.items():
            sections.setdefault(section, {}).update(values)
        write_ini(self.ini, sections)


@dataclasses.dataclass
class Said:
    """What the command line said."""
    argv: list
    code: int
    out: str
    err: str

    @property
    def json(self):
        """All lines of standard output as JSON (NDJSON)."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __str__(self):
        return f"$ fermata {' '.join(self.argv)}\n{self.out}{self.err}(exit {self.code})"


class Cli:
    def __init__(self, socket):
        self.env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
                    "TZ": "UTC", "NO_COLOR": "1", "FERMATA_SOCKET": str(socket)}
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if key in os.environ:
                self.env[key] = os.environ[key]

    def __call__(self, *argv, limit=600, expect=None):
        """Runs `fermata argv`. expect: the exit code that must come."""
        done = subprocess.run([CLI, *argv], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=limit, check=False)
        return self._checked(Said(list(argv), done.returncode, done.stdout, done.stderr), expect)

    def begin(self, *argv):
        """Starts `fermata argv` and returns at once; end(child) has its result."""
        return subprocess.Popen([CLI, *argv], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def end(self, child, limit=600, expect=None):
        out, err = child.communicate(timeout=limit)
        return self._checked(Said(child.args[1:], child.returncode, out, err), expect)

    def show(self, *argv, limit=600, expect=None, say=None):
        """Runs it with its lines on the screen as they come; after `limit` seconds it is killed."""
        say = say or (lambda line: print(line, flush=True))
        say("$ fermata " + " ".join(argv))
        child = subprocess.Popen([CLI, *argv], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        lines = []
        watchdog = threading.Timer(limit, child.kill)
        watchdog.start()
        for line in child.stdout:
            lines.append(line)
            if line.strip():
                say("  " + line.rstrip("\n"))
        code = child.wait()
        watchdog.cancel()
        return self._checked(Said(list(argv), code, "".join(lines), ""), expect)

    @staticmethod
    def _checked(said, expect):
        if expect is not None and said.code != expect:
            raise StageError(f"exit code {said.code}, not {expect}:\n{said}")
        return said

    def status(self):
        return self("status", "--json", expect=0, limit=20).json[0]
