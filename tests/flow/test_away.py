"""Hosts that are dead during a run: left out by name, and catching up by themselves when they are back."""

import os
import signal
import socket

import pytest

from stage.application import Release
from stage.place import processes_with, wait_for
from cues import end_of, everywhere


def dies(cluster, name):
    """The host is gone: its agent and its application at once."""
    cluster.agents[name].kill()
    for pid in processes_with(f"FERMATA_NODE={name}"):
        if pid in cluster.app_pids():
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not status_of(cluster, name).get("connected"), 20, f"{name} is missed", every=0.1)


def status_of(cluster, name):
    return next(n for n in cluster.cli.status()["status"]["nodes"] if n["name"] == name)


def findings(cluster):
    said = cluster.cli("doctor", "--json")
    return said.code, [row for line in said.json for row in line.get("findings", {}).get("findings", [])]


def pids_of(cluster, name):
    return set(processes_with(f"FERMATA_NODE={name}")) & set(cluster.app_pids())


def others_are_on(cluster, away, version):
    nodes = cluster.cli.status()["status"]["nodes"]
    return all((n["app"], n["running"]) == ("ready", version) for n in nodes if n["name"] != away)


@pytest.fixture
def hurried(make_cluster):
    cluster = make_cluster(coordinator={"limits": {"preflight": "3s"}})
    cluster.cli("startup", expect=0)
    return cluster


@pytest.mark.parametrize("name", ["app3", pytest.param("app1", marks=pytest.mark.slow)])
def test_a_dead_host_is_left_out_of_an_upgrade_and_catches_up(hurried, name):
    cluster = hurried
    cluster.app.offer(Release("2.2.16"))
    dies(cluster, name)
    said = cluster.cli("upgrade", "--to", "2.2.16", "--yes")
    assert said.code == 3 and f"--without {name}" in said.out + said.err, said
    assert others_are_on(cluster, name, "2.2.15")
    said = cluster.cli("plan", "upgrade", "--to", "2.2.16")
    assert f"--without {name}" in said.out, said

    cluster.cli("upgrade", "--to", "2.2.16", "--yes", "--without", name, expect=0)
    assert others_are_on(cluster, name, "2.2.16")
    shown = cluster.cli("show", expect=0).out
    assert f"--without {name}" in shown, shown
    row = status_of(cluster, name)
    assert row["without"] and "catches up by itself" in row["says"], row
    code, rows = findings(cluster)
    assert code == 4 and any(r["what"] == name and "catches up by itself" in r["text"] for r in rows), rows

    # It is back, and nobody is there who could tell it what is to run.
    cluster.coordinator.kill()
    with socket.create_server(("127.0.0.1", cluster.coordinator.port)) as mute:
        cluster.agents[name].start()
        looks_for_it = 0
        while looks_for_it < 3:
            mute.accept()[0].close()
            looks_for_it += 1
    assert not pids_of(cluster, name) and not (cluster.node(name).releases / "2.2.16").exists()
    cluster.coordinator.start()
    assert everywhere(cluster, "2.2.16", 30)
    assert not status_of(cluster, name).get("without")
    cluster.cli("restart", expect=0)


@pytest.mark.slow
def test_a_host_that_dies_in_a_run_is_left_out_by_name(running):
    cluster = running
    cluster.app.offer(Release("2.2.16", "slow:5"))
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", expect=5)
    wait_for(lambda: "start first" in cluster.cli("status").out, 30, "the first node migrates")
    dies(cluster, "app2")
    wait_for(lambda: "retry --without app2" in cluster.cli("status").out, 30, "the way on is said")
    said = cluster.cli("retry", "--without", "app1")
    assert said.code == 1 and "goes first" in said.out + said.err, said
    cluster.cli("retry", "--without", "app2", expect=0)
    assert end_of(cluster) == "done" and others_are_on(cluster, "app2", "2.2.16")
    cluster.agents["app2"].start()
    assert everywhere(cluster, "2.2.16", 30)


def test_a_host_that_is_back_in_the_middle_waits_for_the_first(running):
    """Its release is fetched, and it starts when the run has the others start: it fails nothing."""
    cluster = running
    dies(cluster, "app3")
    cluster.app.offer(Release("2.2.16", "slow:4"))
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", "--detach", "--without", "app3", expect=5)
    wait_for(lambda: "start first" in cluster.cli("status").out, 30, "the first node migrates")
    cluster.agents["app3"].start()
    wait_for(lambda: status_of(cluster, "app3").get("connected"), 20, "it is back")
    while "start first" in cluster.cli("status").out:
        assert not pids_of(cluster, "app3"), "it runs beside a migration"
    cluster.cli("attach", limit=60)
    assert end_of(cluster) == "done" and everywhere(cluster, "2.2.16", 30)


def test_doctor_expects_what_the_run_wants(running):
    cluster = running
    cluster.app.offer(Release("2.2.16"))
    cluster.cli("upgrade", "--to", "2.2.16", "--detach", expect=5)
    wait_for(lambda: end_of(cluster) == "held", 60, "it waits for a person")
    code, rows = findings(cluster)
    assert code == 0 and not [r for r in rows if r["level"] == "error"], rows
    cluster.cli("approve", expect=0)
    cluster.cli("attach", limit=60)
    assert everywhere(cluster, "2.2.16")
