"""A whole cluster: database, nodes, gate, coordinator, agents, all on this machine."""

import json
import os
import pathlib
import urllib.error
import urllib.request

from . import place
from .authority import Authority
from .application import BASE_VERSION, Node, RealNocoBase, Release, StandIn, shared_env
from .gate import Gate
from .place import StageError, free_port, wait_for
from .programs import Agent, Cli, Coordinator
from .services import Postgres, Redis


class Stage:
    """What stands before any program of ours runs: services, nodes with their first release. A server
    that is lent (postgres=) is emptied first and outlives the stage."""

    def __init__(self, real=False, count=3, folder=None, redis=None, releases=(BASE_VERSION,), postgres=None,
                 workers=()):
        self.folder = pathlib.Path(folder) if folder else place.make_folder()
        self.id = self.folder.name
        self.app = RealNocoBase(self.folder) if real else StandIn(self.folder)
        self._is_lent = postgres is not None
        if postgres:
            postgres.reset()
        self.postgres = postgres or Postgres(self.folder / "postgres", durable=real)
        self.redis = Redis(self.folder / "redis") if (real if redis is None else redis) else None
        self.storage = self.folder / "storage"
        for part in ("uploads", "plugins"):
            (self.storage / part).mkdir(parents=True, exist_ok=True)
        shared = shared_env(self.postgres, self.redis, self.storage, self.id)
        self.nodes = [Node(f"app{n}", self.folder / f"app{n}", free_port(), shared) for n in range(1, count + 1)]
        for node in self.nodes:
            node.env.update(self.app.extra_env(node))
            if node.name in workers:
                node.env["WORKER_MODE"] = "*"
            node.write_env()
        for version in releases:
            self.app.offer(Release(version))
            for node in self.nodes:
                self.app.install(version, node.releases / version)
        for node in self.nodes:
            if releases:
                node.switch(releases[0])

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    def app_pids(self):
        """Every process of the application, wherever it hid."""
        return place.processes_with(f"FERMATA_STAGE={self.id}")

    def kill_apps(self):
        place.kill_processes_with(f"FERMATA_STAGE={self.id}")

    def services(self):
        return [service for service in (None if self._is_lent else self.postgres, self.redis) if service]

    def _close_services(self):
        self.kill_apps()
        for service in reversed(self.services()):
            service.stop()

    def close(self):
        self._close_services()
        if not os.environ.get("FERMATA_KEEP_STAGE"):
            place.remove_folder(self.folder)


class Cluster(Stage):
    """Stage plus our programs, connected and idle. workers: names of nodes that take no requests. options: {"coordinator": {section: {...}},
    "agent": {section: {...}}} for their files. tls: they prove to each other who they are."""

    def __init__(self, options=None, gate_lines="", tls=False, workers=(), **stage):
        super().__init__(workers=workers, **stage)
        options = options or {}
        self.authority = Authority(self.folder / "tls") if tls else None
        self.coordinator = Coordinator(self.folder / "coordinator", self.nodes, self.postgres,
                                       options.get("coordinator", {}) | self._tls("coordinator", "co1"))
        gate_lines += self.authority.directives("gate1") if tls else ""
        if workers:
            self.coordinator.configure(workers=" ".join(workers))
        peers = [node for node in self.nodes if node.name not in workers]
        self.gate = Gate(self.folder / "gate", peers, self.coordinator.address, http_lines=gate_lines)
        self.agents = {n.name: Agent(n, self.app, self.coordinator.address, self.storage,
                                     options.get("agent", {}) | self._tls("node", n.name))
                       for n in self.nodes}
        self.cli = Cli(self.coordinator.socket)

    def _tls(self, role, name):
        return {"tls": self.authority.section(role, name)} if self.authority else {}

    @property
    def programs(self):
        return [*self.agents.values(), self.coordinator]

    def start(self):
        self.gate.start()
        self.coordinator.start()
        for agent in self.agents.values():
            agent.start()
        self.wait_connected()
        return self

    def wait_connected(self, limit=60):
        def connected():
            self.coordinator.process.expect_alive()
            for agent in self.agents.values():
                agent.process.expect_alive()
            said = self.cli("status", "--json", limit=20)
            if said.code != 0:
                return False
            status = said.json[0]["status"]
            peers = status.get("nodes", []) + status.get("gates", [])
            return (len(peers) == len(self.nodes) + 1 and all(peer.get("connected") for peer in peers)
                    and all(node.get("app", "unknown") != "unknown" for node in status["nodes"]))
        wait_for(connected, limit, "all agents and the gate are connected, and agents say what they have", every=0.1)

    def run(self, number=None):
        """A run with its steps and events, as `fermata show RUN --json` has it."""
        argv = ["show", *([str(number)] if number else []), "--json"]
        return self.cli(*argv, expect=0).json

    def tabs(self):
        """(open tabs that the gate keeps, websockets at nodes)"""
        gate = self.cli.status()["status"]["gates"][0]
        return gate.get("tabs", 0), gate.get("websockets", 0)

    def ask(self, path, node=None, method="GET", body=None, headers=None, limit=30):
        """(status, text) from the gate, or straight from a node. Status 0: no answer."""
        base = f"http://{node.address}" if node else self.gate.url
        request = urllib.request.Request(base + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def keep(self):
        """Lets everything live on after us; sweep.py ends it."""
        groups = {"programs": [*self.programs, self.gate], "services": self.services()}
        kept = {}
        for name, members in groups.items():
            kept[name] = [(m.process.pid, place.born(m.process.pid)) for m in members]
            for member in members:
                member.process.disown()
        (self.folder / "kept.json").write_text(json.dumps(kept))

    def close(self):
        try:
            for program in self.programs:
                program.stop()
            self.gate.stop()
        except StageError:
            for program in self.programs:
                if program.is_alive():
                    program.kill()
            raise
        finally:
            super().close()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()
