"""Worker nodes: they take no requests, go behind the first, and are otherwise nodes like all."""

import pytest

from stage.application import Release
from stage.place import wait_for
from cues import end_of, everywhere, watched


def visitors_at(node):
    """Requests that reached it, but for those of its own agent."""
    return [line for line in node.access_log.read_text().splitlines() if "fermata-agent" not in line]


def starts_in_order(cluster):
    """Names of nodes by the time of the last start."""
    born = {}
    for node in cluster.nodes:
        log = [line.split() for line in node.access_log.read_text().splitlines()]
        pid = log[-1][1]
        born[node.name] = min(int(row[0]) for row in log if row[1] == pid)
    return sorted(born, key=born.get)


@pytest.fixture
def split(make_cluster):
    """The first of the list is a worker, and so is the third."""
    cluster = make_cluster(workers=("app1", "app3"))
    cluster.cli("startup", expect=0)
    return cluster


def test_an_upgrade_goes_over_the_first_that_takes_requests(split):
    assert starts_in_order(split)[0] == "app2"
    split.app.offer(Release("2.2.16"))
    _, said = watched(split, "upgrade", "--to", "2.2.16", "--yes")
    assert end_of(split) == "done", said
    assert everywhere(split, "2.2.16")
    assert starts_in_order(split)[0] == "app2"
    assert visitors_at(split.nodes[1])
    assert not visitors_at(split.nodes[0]) and not visitors_at(split.nodes[2])
    said = split.cli("status", expect=0)
    assert said.out.count("worker, takes no requests") == 2, said


def test_in_maintenance_a_worker_is_stopped_and_never_kept(split):
    said = split.cli("maintenance", "begin", "--keep", "app3")
    assert said.code == 3 and "fermata maintenance begin --keep app2" in said.out + said.err, said
    split.cli("maintenance", "begin", "--detach", expect=5)
    wait_for(lambda: split.cli.status()["status"]["run"]["state"] == "held", 30, "the kept node is alone")
    wanted = {"app1": "stopped", "app2": "ready", "app3": "stopped"}
    wait_for(lambda: {node["name"]: node["app"] for node in split.cli.status()["status"]["nodes"]} == wanted, 20,
             "the kept node serves, the others are stopped")
    assert split.cli.status()["status"]["gates"][0]["pinned"] == "app2"
    split.cli("maintenance", "end", expect=0)
    assert everywhere(split, "2.2.15")


def test_a_restart_drains_no_worker(split):
    split.cli("restart", expect=0)
    assert everywhere(split, "2.2.15")
    assert "worker nodes, started behind the first and not behind the gates: app1, app3" in split.cli("plan", "restart").out


@pytest.mark.parametrize("declared, mode, says", [
    ("", "workflow:process", "is not declared a worker"),
    ("app3", "!,workflow:process", "is declared a worker, and takes requests")])
def test_what_is_declared_must_be_so(make_cluster, declared, mode, says):
    cluster = make_cluster(start=False)
    cluster.nodes[2].env["WORKER_MODE"] = mode
    cluster.nodes[2].write_env()
    cluster.coordinator.configure(workers=declared)
    cluster.start()
    wait_for(lambda: says in cluster.cli("doctor").out, 40, "doctor tells")
    said = cluster.cli("startup")
    assert said.code == 3 and says in said.out + said.err, said
    assert cluster.app_pids() == []


def test_a_gate_that_has_a_worker_for_a_peer_is_named(make_cluster):
    cluster = make_cluster(start=False)
    cluster.nodes[2].env["WORKER_MODE"] = "*"
    cluster.nodes[2].write_env()
    cluster.coordinator.configure(workers="app3")
    cluster.start()
    wait_for(lambda: "it sends visitors to app3, which is a worker node" in cluster.cli("doctor").out, 40, "doctor tells")
