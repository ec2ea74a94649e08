"""Nodes whose application is a container that somebody made: one engine, a container for each node."""

from .cluster import Cluster
from .engine import APP_DIR
from .programs import Agent

STORAGE = f"{APP_DIR}/storage"


class DockedAgent(Agent):
    def __init__(self, node, app, coordinator_address, storage, options, engine, images):
        own = {section: dict(values) for section, values in options.items()}
        own.setdefault("app", {}).update(runtime="docker", root=None, env_file=None, storage=None, node_dir=None,
                                         start_command=None, fetch_command=None)
        own.setdefault("docker", {}).update({"socket": engine.socket, "container": container_name(node),
                                             "image": images.registry.repository,
                                             "auth_file": node.folder / "config.json", **own.get("docker", {})})
        super().__init__(node, app, coordinator_address, storage, own)
        images.registry.write_login(node.folder / "config.json")


def container_name(node):
    return f"{node.folder.parent.name}-{node.name}"


def container(node, images, version, storage):
    """What an operator may have asked for, in the words of POST /containers/create."""
    env = dict(node.env, STORAGE_PATH=STORAGE, QUOTED="it's \"a\" $HOME \\n", APP_HOST="127.0.0.1", **images.env(node))
    return {
        "Image": f"{images.registry.repository}:{version}", "Env": [f"{key}={value}" for key, value in env.items()],
        "Labels": {"com.example.owner": "operations", "org.opencontainers.image.title": "ours"},
        "Healthcheck": {"Test": ["NONE"]}, "StopSignal": "SIGTERM", "Volumes": {"/own": {}},
        "HostConfig": {
            "NetworkMode": "host", "RestartPolicy": {"Name": "unless-stopped"},
            "Binds": [*images.binds, f"{storage}:{STORAGE}", f"{node.folder}:/node"],
            "Memory": images.memory, "CapAdd": ["SYS_NICE"], "ExtraHosts": ["db.example:127.0.0.1"],
            "Ulimits": [{"Name": "nofile", "Soft": 2048, "Hard": 4096}, *images.engine.ulimits],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "Tmpfs": {"/scratch": "size=1m"},
        },
    }


class Docked(Cluster):
    """A cluster whose nodes run in containers of the engine, of release `version`; not started by us."""

    def __init__(self, engine, images, version="2.2.15", options=None, **stage):
        super().__init__(options=options, real=images.is_real, releases=(), **stage)
        self.engine, self.images = engine, images
        self.agents = {n.name: DockedAgent(n, self.app, self.coordinator.address, self.storage,
                                           (options or {}).get("agent", {}), engine, images)
                       for n in self.nodes}
        for node in self.nodes:
            engine.ask("POST", f"/containers/create?name={container_name(node)}",
                       container(node, images, version, self.storage))

    def container(self, name="app1"):
        """As the engine has it; None: there is none."""
        return self.engine.inspect(container_name(self.node(name)))

    def close(self):
        try:
            for program in self.programs:
                program.kill() if program.is_alive() else None
            stem = self.folder.name
            for name in self.engine.names():
                if name.startswith(stem):
                    self.engine.remove(name)
        finally:
            super().close()
