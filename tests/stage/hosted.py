"""Nodes that are hosts of their own: agent and application are units of a booted systemd."""

import contextlib
import os
import sys

from .application import STANDIN
from .host import Host
from .place import BUILD, REPO, StageError, wait_for
from .programs import AGENT, Agent

UNIT, AGENT_UNIT = "nocobase.service", "fermata-agent.service"
PACKAGED = REPO / "packaging/systemd"


def replaced(text, **lines):
    """A unit's text with other values of these keys; a value of None leaves the line out."""
    result = []
    for line in text.splitlines():
        key = line.split("=", 1)[0]
        if key not in lines:
            result.append(line)
        elif lines[key] is not None:
            result.append(f"{key}={lines[key]}")
    return "\n".join(result) + "\n"


def with_lines(text, section, *lines):
    return text.replace(f"[{section}]\n", f"[{section}]\n" + "".join(f"{line}\n" for line in lines), 1)


def application_unit(node):
    """The packaged example with the stand-in in it."""
    text = replaced((PACKAGED / UNIT).read_text(), User=None, WorkingDirectory=node.current,
                    EnvironmentFile=node.env_file,
                    ExecStart=f"{sys.executable} -IS {STANDIN} start --launch-mode node $FERMATA_START_ARGS")
    return with_lines(text, "Service", f"StandardOutput=append:{node.folder}/app.log", "StandardError=inherit")


def agent_unit(agent, path):
    """The packaged one, with the folders of the stage."""
    stage = agent.node.folder.parent
    text = replaced((PACKAGED / AGENT_UNIT).read_text(), ExecStart=f"{AGENT} --config {agent.ini}",
                    StateDirectory=None, StateDirectoryMode=None)
    lines = [f"StandardOutput=append:{agent.log}", "StandardError=inherit", f"ReadWritePaths={stage}",
             f'Environment="PATH={path}" LANG=C.UTF-8 TZ=UTC']
    if str(BUILD).startswith("/root") or str(stage).startswith("/root"):
        lines.append("ProtectHome=no")
    lines += [f'Environment="{key}={os.environ[key]}"' for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ]
    return with_lines(text, "Service", *lines)


class HostedAgent(Agent):
    """As an Agent; it and its application live on a host that can lose its power."""

    def __init__(self, node, app, coordinator_address, storage, options):
        own = {section: dict(values) for section, values in options.items()}
        own.setdefault("app", {}).setdefault("runtime", "systemd")
        own["systemd"] = {"unit": UNIT}
        super().__init__(node, app, coordinator_address, storage, own)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.host = Host(node.name, node.folder / "host",
                         {UNIT: application_unit(node), AGENT_UNIT: agent_unit(self, app.path)}, wanted=[AGENT_UNIT])
        self.process = self  # what a cluster asks of a process

    @property
    def is_on(self):
        return self.host.process is not None and self.host.process.is_alive()

    def start(self):
        """Boots the host, which starts the agent; or starts the agent on it."""
        if self.is_on:
            self.host.ctl("start", AGENT_UNIT)
        else:
            self.host.boot()
            wait_for(lambda: self.pid, 20, f"the agent of {self.node.name} runs")

    @property
    def pid(self):
        return self.host.pid_of(AGENT_UNIT)

    def app_pid(self):
        """Of the unit; with runtime = process see Stage.app_pids."""
        return self.host.pid_of(UNIT)

    def stop(self, limit=10):
        if self.is_on:
            self.host.ctl("stop", AGENT_UNIT)

    def kill(self):
        """kill -9; its unit starts it again."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)

    def is_alive(self):
        return self.is_on and self.pid is not None

    def expect_alive(self):
        if not self.is_on:
            raise StageError(f"the host of {self.node.name} is off")

    def disown(self):
        raise StageError("hosts are not kept")


def put_on_hosts(cluster, options):
    """Before the cluster is started: each of its agents on a host of its own."""
    for node in cluster.nodes:
        cluster.agents[node.name] = HostedAgent(node, cluster.app, cluster.coordinator.address, cluster.storage,
                                                options)
    return cluster
