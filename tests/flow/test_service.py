"""Nodes that cannot serve, outside a run and in one that stands still: visitors do not meet them."""

import os
import re
import signal
import time

from stage.application import Release
from stage.place import processes_with, wait_for
from stage.visitors import Visitors
from cues import everywhere


def node_of(cluster, name):
    return next(n for n in cluster.cli.status()["status"]["nodes"] if n["name"] == name)


def pids_of(cluster, name):
    return set(processes_with(f"FERMATA_NODE={name}")) & set(cluster.app_pids())


def kill_app(cluster, name):
    for pid in pids_of(cluster, name):
        os.kill(pid, signal.SIGKILL)


def visits(cluster, address):
    """What the gate's log says of requests that it sent, or tried to send, to this address."""
    lines = (cluster.gate.folder / "access.log").read_text(errors="replace").splitlines()
    return [line for line in lines if address in line]


def visiting(cluster):
    return Visitors(cluster.gate.url, cluster.folder / "visitors.json", limit=120)


def test_a_host_that_was_left_out_gets_no_visitors_until_it_is_ready(make_cluster):
    cluster = make_cluster(coordinator={"limits": {"preflight": "3s"}})
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    away = cluster.node("app3")
    cluster.agents["app3"].kill()
    kill_app(cluster, "app3")
    wait_for(lambda: not node_of(cluster, "app3").get("connected"), 20, "app3 is missed", every=0.1)
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", "--without", "app3", expect=0)
    row = node_of(cluster, "app3")
    assert row["drained"] and "gets no visitors" in row["says"], row
    away.tune(boot_ms=700, load_ms=1500)
    before = len(visits(cluster, away.address))
    with visiting(cluster) as visitors:
        cluster.agents["app3"].start()
        assert everywhere(cluster, "2.2.16", 60)
        wait_for(lambda: len(visits(cluster, away.address)) > before + 5, 20, "app3 has visitors", every=0.1)
    assert not [a for a in visitors.answers if a.verdict != "ok"]
    # One that was tried and refused would be listed with another beside it, one that was loading with its 503.
    tried = visits(cluster, away.address)[before:]
    assert tried and all(re.search(rf"200 {re.escape(away.address)} 200 ", line) for line in tried), tried
    assert not node_of(cluster, "app3").get("drained")


def test_the_kept_node_dies_and_nobody_notices(make_cluster):
    """In-app maintenance stands still and waits for a person: the agent starts the node anew by itself."""
    cluster = make_cluster(gate_lines="fermata_hold 60s;")
    cluster.cli("startup", expect=0)
    cluster.cli("maintenance", "begin", "--keep", "app1", expect=0)
    cluster.node("app1").tune(boot_ms=300, load_ms=700)
    old = pids_of(cluster, "app1")
    with visiting(cluster) as visitors:
        time.sleep(0.5)
        killed = time.time() * 1000
        kill_app(cluster, "app1")
        wait_for(lambda: cluster.cli.status()["status"]["gates"][0].get("held"), 20, "requests wait", every=0.02)
        held = time.time() * 1000
        wait_for(lambda: node_of(cluster, "app1")["app"] == "ready" and not pids_of(cluster, "app1") & old, 30, "app1 is back", every=0.1)
        time.sleep(0.5)
    late = [a for a in visitors.answers if a.sent > held and a.verdict != "ok"]
    at_once = [a for a in visitors.answers if a.sent <= held and a.verdict != "ok"]
    waited = [a for a in visitors.answers if a.done - a.sent > 500]
    print(f"held after {held - killed:.0f} ms; {len(waited)} waited; not ok: {[(a.sent - killed, a.status) for a in at_once]}")
    assert waited and not late, late
