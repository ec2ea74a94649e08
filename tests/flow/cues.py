"""What flows ask and say, in their own words."""

import threading
import time

from stage import checks
from stage.place import StageError, wait_for
from stage.visitors import Visitors

LOAD = {"sockets": 5, "lists": 20, "page_loads": 5, "writes": 20, "token": "stand-in", "limit": 60}


class Again:
    """Does look() again and again, beside the test, while it is entered; `every` is the pause between, in seconds."""

    def __init__(self, every=0.0):
        self._every, self._over = every, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self):
        raise NotImplementedError

    def _run(self):
        while not self._over.is_set():
            self.look()
            self._over.wait(self._every)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def end_of(cluster):
    run = cluster.run()[0]["run"]
    return run["end"] or run["state"]


def versions(cluster):
    """What every node serves by its own word, and what runs there."""
    status = cluster.cli.status()["status"]
    return {node["name"]: (node["app"], node["running"]) for node in status["nodes"]}


def everywhere(cluster, version, limit=5):
    """Does every node say that it is ready on this version, soon?"""
    wanted = {node.name: ("ready", version) for node in cluster.nodes}
    try:
        return wait_for(lambda: versions(cluster) == wanted, limit, "all ready", every=0.1)
    except StageError:
        return False


def watched(cluster, *argv, expect=0, **load):
    """Runs a command with visitors on the cluster; (visitors, what was said)."""
    with Visitors(cluster.gate.url, cluster.folder / "visitors.json", **{**LOAD, **load}) as visitors:
        time.sleep(0.5)
        said = cluster.cli(*argv, expect=expect)
        time.sleep(0.5)
    return visitors, said


def assert_nobody_saw_more_than_the_page(cluster, visitors, interruptions=1):
    assert not checks.strange(visitors.answers)
    found = checks.outages(visitors.answers)
    assert len(found) == interruptions and all(outage.end_ms for outage in found)
    titles = {row[0] for row in cluster.postgres.query("select title from things", database="nocobase")}
    assert visitors.writes and set(visitors.writes) <= titles, "acknowledged writes are lost"


def reached_while_closed(cluster):
    """Requests of visitors that came to the application while the last run had the gates closed."""
    run = cluster.run()[0]["run"]
    steps = {step["name"]: step for step in run["steps"] if step["state"] == "done"}
    drained = steps["drain"]["began_ms"] + steps["drain"]["took_ms"]
    opening = (steps.get("open on first") or steps["open gates"])["began_ms"]
    return (cluster.gate.passed(run["closed_ms"], opening)
            + checks.public_requests(cluster.nodes, drained, opening))
