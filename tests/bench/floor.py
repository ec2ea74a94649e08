"""The floor: the same physical work as an upgrade with nothing around it. Nobody drains, nothing is
verified, nothing could be taken back; everything that can be parallel is, polls come every 50 ms.
Fermata's downtime is measured against it."""

import subprocess
import time
import urllib.error
import urllib.request

from stage.place import wait_for

import plain

TICK = 0.05


def _answers(gate, status):
    def ask():
        try:
            with urllib.request.urlopen(f"{gate.url}/api/app:getInfo", timeout=5) as answer:
                return answer.status == status
        except urllib.error.HTTPError as error:
            return error.code == status
        except OSError:
            return False
    return ask


def upgrade(stage, gate, version):
    """Upgrades the running nodes behind a plain gate. Returns unix seconds by name: closed, stopped,
    dumped, first (ready), all (ready), opened."""
    at = {}

    def mark(name):
        at[name] = time.time()
    gate.page(True)
    wait_for(_answers(gate, 503), 10, "the page", TICK)
    mark("closed")
    plain.stop_all(stage, TICK)
    mark("stopped")
    subprocess.run([stage.postgres.bindir / "pg_dump", "-Fc", "-f", stage.folder / "floor.dump",
                    "-d", stage.postgres.conninfo.replace("dbname=postgres", "dbname=nocobase")], check=True)
    mark("dumped")
    for node in stage.nodes:
        node.switch(version)
    first, *others = stage.nodes
    plain.start(stage, first, "--quickstart")
    plain.wait_ready([first], every=TICK)
    mark("first")
    for node in others:
        plain.start(stage, node)
    plain.wait_ready(others, every=TICK)
    mark("all")
    gate.page(False)
    wait_for(_answers(gate, 200), 10, "the end of the page", TICK)
    mark("opened")
    return at
