"""Hooks of a cluster: their scripts, and what the journal tells of them."""

from stage.place import wait_for

ORDER = ["before_fetch", "after_fetch", "before_stop", "after_stop", "before_start", "after_start",
         "before_ready", "after_ready"]


def script(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def told(cluster):
    """The timeline's words about hooks of the last run."""
    return [event["text"] for event in cluster.run()[0]["events"]["events"] if event["kind"] == "hook"]


def put_hooks(cluster, hooks, **rows):
    """Before its agents start. hooks: {name: text of a script}; rows: others of [hooks]."""
    rows.update({name: script(cluster.folder, name, text) for name, text in hooks.items()})
    lines = "".join(f"{key} = {value}\n" for key, value in rows.items())
    for agent in cluster.agents.values():
        agent.ini.write_text(agent.ini.read_text() + f"[hooks]\n{lines}")


SAYS_VERSION = "env > $0.$FERMATA_NODE.env; cat /proc/self/cgroup > $0.$FERMATA_NODE.cgroup; echo $FERMATA_VERSION"


def assert_each_told(cluster, old, new):
    """Of an upgrade: that every hook of every node, a SAYS_VERSION, was run once for the release in question."""
    of = {name: old if name.endswith("_stop") else new for name in ORDER}
    wanted = sorted(f"{node.name} {name} ended well: {of[name]}" for node in cluster.nodes for name in ORDER)
    wait_for(lambda: sorted(told(cluster)) == wanted, 20, "the journal tells of each")
