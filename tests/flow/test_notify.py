"""People who are not looking: a command is told of runs that begin, wait, stand still and end."""

import os
import signal
import subprocess

from stage.application import Release
from stage.place import processes_with, wait_for
from stage.programs import COORDINATOR
from cues import end_of

LOG = ("{ echo \"$FERMATA_EVENT $FERMATA_RUN $FERMATA_ATTENTION|$FERMATA_SUBJECT|$FERMATA_NEXT\"; } >> ${0%/*}/told; "
       "cat > ${0%/*}/last")


def told_by(make_cluster, script=LOG, **rows):
    """A cluster whose coordinator runs this script, and a function: what it was told, as lists of fields."""
    cluster = make_cluster(start=False)
    path = cluster.folder / "page-me"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    cluster.coordinator.configure_section("notify", command=path, again="100ms", **rows)
    cluster.start()

    def told():
        log = cluster.folder / "told"
        return [line.split("|") for line in log.read_text().splitlines()] if log.exists() else []
    return cluster, told


def test_an_upgrade_is_told_from_begin_to_end(make_cluster):
    cluster, told = told_by(make_cluster)
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    assert cluster.cli("upgrade", "--to", "2.2.16", "--detach", expect=5)
    wait_for(lambda: told()[-1][0] == "held 2 yes", 60, "the person is called")
    assert "fermata approve" in told()[-1][2] and "fermata bypass" in (cluster.folder / "last").read_text()
    cluster.cli("approve", expect=0)
    wait_for(lambda: told()[-1][0] == "end 2 no", 60, "the end is told")
    assert [row[0] for row in told()] == ["begin 1 no", "end 1 no", "begin 2 no", "held 2 yes", "end 2 no"]
    assert told()[-1][1] == "stage: upgrade --to 2.2.16 has ended: done"


def test_what_failed_is_told_with_its_reason(make_cluster):
    cluster, told = told_by(make_cluster, on="attention")
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"), fail="in the migration")
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", expect=1)
    assert end_of(cluster) == "rolled-back"
    wait_for(lambda: told() and told()[-1][0].startswith("end"), 20, "the end is told")
    assert [row[0] for row in told()] == ["turn 2 yes", "end 2 yes"]
    assert "rolled-back" in told()[-1][1] and "It failed because" in (cluster.folder / "last").read_text()


def test_a_dead_node_between_runs_is_told(make_cluster):
    cluster, told = told_by(make_cluster, on="attention")
    cluster.cli("startup", expect=0)
    cluster.agents["app2"].kill()
    for pid in set(processes_with("FERMATA_NODE=app2")) & set(cluster.app_pids()):
        os.kill(pid, signal.SIGKILL)
    cluster.agents["app2"].start()
    wait_for(lambda: any("app2 gets no visitors" in row[1] for row in told()), 30, "it is told")
    wait_for(lambda: any("app2 gets visitors again" in row[1] for row in told()), 60, "it is told")


def test_each_at_least_once_whatever_dies(make_cluster):
    script = "echo x >> ${0%/*}/tries; [ $(wc -l < ${0%/*}/tries) -ne 1 ] || sleep 600\n" + LOG
    cluster, told = told_by(make_cluster, script)
    assert cluster.cli("startup", "--detach", expect=5)
    wait_for((cluster.folder / "tries").exists, 20, "it is being told")
    cluster.coordinator.kill()
    assert not told()
    cluster.coordinator.start()
    cluster.wait_connected()
    wait_for(lambda: told() and told()[-1][0] == "end 1 no", 60, "the end is told")
    assert [row[0] for row in told()] == ["begin 1 no", "end 1 no"]


def test_a_command_that_cannot_tell(make_cluster):
    cluster, _ = told_by(make_cluster, "echo no route to the pager >&2; exit 7")
    cluster.cli("startup", expect=0)
    wait_for(lambda: "people were not told: exit 7: no route to the pager" in cluster.cli("doctor").out, 20, "doctor says it")
    tried = subprocess.run([COORDINATOR, "--config", cluster.coordinator.ini, "--try-notify"],
                           capture_output=True, text=True, timeout=30, check=False)
    assert tried.returncode == 1 and "no route to the pager" in tried.stdout
    assert tried.stderr == "not told: exit 7: no route to the pager\n"
    cluster.coordinator.configure_section("notify", command="page-me")
    tried = subprocess.run([COORDINATOR, "--config", cluster.coordinator.ini, "--check"],
                           capture_output=True, text=True, timeout=30, check=False)
    assert tried.returncode == 2 and "[notify] command" in tried.stderr and "whole path" in tried.stderr, tried
