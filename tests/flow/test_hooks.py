"""The operator's own commands around fetch, stop, start and ready: when they run, as whom, with what, and
what their failure means."""

import os
import re

import pytest

from stage.application import Release
from stage.place import processes_with, wait_for
from cues import end_of, everywhere
from hooks import ORDER, put_hooks, script, told


@pytest.fixture
def hooked(make_cluster):
    """hooked(hooks={name: text of a script}, **rows of [hooks]) -> a cluster that runs."""
    def make(hooks, **rows):
        cluster = make_cluster(start=False)
        put_hooks(cluster, hooks, **rows)
        cluster.start()
        cluster.cli("startup", expect=0)
        return cluster
    return make


def test_each_has_its_moment(hooked):
    log = "echo $FERMATA_NODE $FERMATA_HOOK $FERMATA_VERSION $FERMATA_RUN >> $(dirname $0)/order; echo well $FERMATA_STEP"
    cluster = hooked({name: log for name in ORDER})
    cluster.app.offer(Release("2.2.16"))
    order = cluster.folder / "order"
    wait_for(lambda: order.read_text().count("after_ready") == 3, 20, "those of the startup are over")
    order.unlink()
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", expect=0)
    each = {f"{node.name} {name}" for node in cluster.nodes for name in ORDER}
    wait_for(lambda: {" ".join(text.split()[:2]) for text in told(cluster)} == each, 20, "the journal tells of each")
    assert sum("before_" in text for text in told(cluster)) == len(each) / 2, "and of each once"
    rows = [line.split() for line in order.read_text().splitlines()]
    for node in cluster.nodes:
        assert [row[1] for row in rows if row[0] == node.name] == ORDER
    versions = {row[1]: row[2] for row in rows}
    assert versions["before_stop"] == "2.2.15" and versions["before_start"] == "2.2.16"
    assert versions["before_fetch"] == "2.2.16" and {row[3] for row in rows[:6]} == {"2"}
    assert any(re.match("app2 before_stop ended well: well stop$", text) for text in told(cluster)), told(cluster)
    said = cluster.cli("show", expect=0)
    assert "app3 after_fetch ended well: well fetch" in said.out, said


def test_it_has_nothing_of_ours_and_no_secret(hooked):
    cluster = hooked({"before_stop": "env > $(dirname $0)/environment; for fd in /proc/$$/fd/*; do readlink $fd; done > $(dirname $0)/open; "
                                     "printf '\\033[31mred\\033[0m\\a\\n'"})
    cluster.cli("stop", expect=0)
    names = {row.split("=")[0] for row in (cluster.folder / "environment").read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} <= {
        "PATH", "LANG", "TZ", "HOME", "USER", "FERMATA_NODE", "FERMATA_HOOK", "FERMATA_STEP", "FERMATA_VERSION",
        "FERMATA_RUN", "FERMATA_URL"}
    held = (cluster.folder / "open").read_text()
    assert "hook.lock" in held, "by this its group is found after a crash of the agent"
    assert not re.search("socket:|anon_inode|agent|work.lock", held.replace("agent/state/hook.lock", "")), held
    assert not any(ord(c) < 32 for text in told(cluster) for c in text)


def test_its_failure_fails_the_step_and_the_way_back_is_gone(hooked):
    cluster = hooked({"before_stop": "test $FERMATA_NODE != app2 || { echo a report is being written; exit 3; }"})
    pids = cluster.app_pids()
    cluster.app.offer(Release("2.2.16"))
    said = cluster.cli("upgrade", "--to", "2.2.16", "--yes", expect=1)
    assert end_of(cluster) == "rolled-back"
    assert "before_stop: exit 3: a report is being written" in said.out + said.err, said
    assert everywhere(cluster, "2.2.15") and cluster.ask("/api/app:getInfo")[0] == 200
    assert set(pids) & set(cluster.app_pids()), "app2 was never told to end"


def test_a_warning_is_told_and_gone_on(hooked):
    cluster = hooked({"before_stop": "exit 3", "after_ready": "echo no; exit 4"}, go_on="before_stop")
    cluster.cli("restart", expect=0)
    wait_for(lambda: any("after_ready failed, which is a warning only: exit 4: no" in text for text in told(cluster)),
             20, "the last one is told")
    assert any("app1 before_stop failed, which is a warning only: exit 3" in text for text in told(cluster))


def test_one_that_hangs_is_killed_with_all_that_it_has_started(hooked):
    cluster = hooked({"before_stop": "export FERMATA_HANGS=$0; sleep 1000 & sleep 1000"}, limit="1s")
    mark = f"FERMATA_HANGS={cluster.folder}/before_stop"
    said = cluster.cli("stop", expect=4)
    assert "longer than its limit" in said.out + said.err, said
    wait_for(lambda: not processes_with(mark), 10, "nothing of it is left")
    assert len(cluster.app_pids()) > 0


def test_what_cannot_be_run_is_told_before_anything_is_touched(hooked):
    cluster = hooked({"before_stop": "true"})
    pids = cluster.app_pids()
    (cluster.folder / "before_stop").chmod(0o644)
    for agent in cluster.agents.values():
        agent.stop()
        agent.start()
    cluster.wait_connected()

    def findings():
        said = cluster.cli("doctor", "--json")
        return [row for line in said.json for row in line.get("findings", {}).get("findings", [])
                if "a hook cannot be run: before_stop" in row["text"]]
    wait_for(lambda: len(findings()) == 3, 40, "doctor tells")
    assert all(row["level"] == "error" and "is not executable" in row["text"] for row in findings())
    said = cluster.cli("restart")
    assert said.code == 3 and "before_stop" in said.out + said.err, said
    assert cluster.app_pids() == pids


@pytest.mark.skipif(os.getuid() != 0, reason="to run something as somebody else takes root")
def test_it_is_run_as_who_is_named(hooked):
    cluster = hooked({"before_start": "id -un; id -Gn; cat /proc/self/status | grep CapEff"}, user="nobody")
    texts = told(cluster)
    assert texts and all(re.search(r"before_start ended well: nobody \| nogroup \| CapEff:\s+0000000000000000$", text)
                         for text in texts), texts


@pytest.mark.skipif(os.getuid() != 0, reason="what root runs")
def test_root_runs_nothing_that_others_may_write(make_cluster):
    cluster = make_cluster(start=False)
    path = script(cluster.folder, "hook", "true")
    path.chmod(0o777)
    for agent in cluster.agents.values():
        agent.ini.write_text(agent.ini.read_text() + f"[hooks]\nbefore_start = {path}\n")
    cluster.start()
    said = cluster.cli("startup")
    assert said.code == 3 and "others than root may write to it" in said.out + said.err, said


def test_an_agent_that_dies_in_the_middle_runs_it_again(hooked):
    """What was under way ends with its agent, and begins anew with the next one."""
    cluster = hooked({"before_stop": "echo $$ >> $(dirname $0)/$FERMATA_NODE.pids; test -e $(dirname $0)/go || exec sleep 1000"},
                     limit="50s")
    list(cluster.folder.glob("*.pids"))
    cluster.cli("stop", "--detach", expect=5)
    path = cluster.folder / "app1.pids"
    wait_for(path.exists, 20, "the hook runs")
    first = int(wait_for(path.read_text, 10, "and says who it is"))
    agent = cluster.agents["app1"]
    agent.kill()
    wait_for(lambda: not os.path.exists(f"/proc/{first}"), 10, "it ends with its agent")
    agent.start()
    wait_for(lambda: len(path.read_text().split()) == 2, 20, "it is run again")
    (cluster.folder / "go").touch()
    for node in cluster.nodes:
        for pid in (cluster.folder / f"{node.name}.pids").read_text().split():
            if os.path.exists(f"/proc/{pid}"):
                os.kill(int(pid), 15)
    said = cluster.cli("attach")
    assert "killed by signal 15" in said.out + said.err, said
    cluster.cli("retry", expect=0)
    assert end_of(cluster) == "done" and cluster.app_pids() == []
