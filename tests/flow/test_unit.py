"""The agent as its packaged, hardened unit: it does all its work in there, and its application is another
user's, in a control group of its own."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from conftest import QUICK_AGENT, merged
from stage import host
from stage.application import Release
from stage.hosted import AGENT_UNIT, PACKAGED, put_on_hosts
from stage.place import wait_for
from cues import end_of, everywhere

pytestmark = [pytest.mark.skipif(host.why_not() != "", reason=host.why_not()), pytest.mark.xdist_group("machine")]
USER = "nobody"
AT_MOST = 4.0  # systemd-analyze's measure of exposure: 10 is no protection at all
GROUP = "app-app1"


@pytest.fixture
def packaged(make_cluster):
    """One host whose agent runs the application as another user, after `fermata startup`."""
    cluster = make_cluster(start=False, count=1)
    node, account = cluster.nodes[0], pwd.getpwnam(USER)
    options = merged(QUICK_AGENT, {"app": {"runtime": "process", "user": USER, "nice": 19, "open_files": 4000}})
    put_on_hosts(cluster, options)
    for path in (node.run, cluster.storage, node.releases, node.access_log.parent):
        os.chown(path, account.pw_uid, account.pw_gid)
    os.chown(node.env_file, account.pw_uid, account.pw_gid)
    cluster.start()
    wait_for(lambda: cluster.cli.status()["status"]["nodes"][0]["app"] != "unknown", 20, "it has reported", every=0.1)
    cluster.cli("startup", expect=0)
    yield cluster
    cluster.agents["app1"].host.cut_power()


def group_pids(cluster):
    # pylint: disable=protected-access
    found = list(cluster.agents["app1"].host._cgroup.rglob(f"{AGENT_UNIT}/{GROUP}/cgroup.procs"))
    return [int(pid) for path in found for pid in path.read_text().split()]


def capabilities(pid, name):
    return int(re.search(rf"(?m)^{name}:\s+(\S+)$", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1), 16)


def test_the_packaged_unit_is_not_exposed(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / AGENT_UNIT
    path.write_text(re.sub("(?m)^ExecStart=.*$", "ExecStart=/bin/true", (PACKAGED / AGENT_UNIT).read_text()))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path], capture_output=True,
                          text=True, check=False)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level.group(1)) <= AT_MOST


def test_the_application_is_its_users_and_has_its_limits(packaged):
    pids = packaged.app_pids()
    assert pids and sorted(group_pids(packaged)) == sorted(pids)
    for pid in pids:
        assert os.stat(f"/proc/{pid}").st_uid == pwd.getpwnam(USER).pw_uid
        assert capabilities(pid, "CapEff") == 0 and capabilities(pid, "CapPrm") == 0
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max open files\s+4000\s+4000", limits)


def test_the_agent_keeps_what_it_needs_and_no_more(packaged):
    pid = packaged.agents["app1"].pid
    for name in ("CapPrm", "CapBnd"):
        kept = capabilities(pid, name)
        assert kept and not kept & (1 << 21 | 1 << 12 | 1 << 16), "SYS_ADMIN, NET_ADMIN and SYS_MODULE are gone"


def test_upgrade_and_its_way_back(packaged):
    packaged.app.offer(Release("2.2.16"))
    packaged.cli("upgrade", "--to", "2.2.16", "--yes", expect=0)
    assert end_of(packaged) == "done" and everywhere(packaged, "2.2.16")
    packaged.app.offer(Release("2.2.17", "fail"))
    packaged.cli("upgrade", "--to", "2.2.17", "--yes", expect=1)
    assert end_of(packaged) == "rolled-back" and everywhere(packaged, "2.2.16")


def test_the_application_outlives_the_unit_and_is_ended_to_the_last(packaged):
    agent = packaged.agents["app1"]
    pids = packaged.app_pids()
    agent.stop()
    assert packaged.app_pids() == pids and packaged.ask("/api/__health_check", packaged.nodes[0])[0] == 200
    agent.start()
    wait_for(lambda: everywhere(packaged, "2.2.15", limit=1), 20, "adopted", every=0.1)
    assert packaged.app_pids() == pids
    packaged.cli("stop", expect=0)
    assert packaged.app_pids() == [] and group_pids(packaged) == []


def test_a_process_without_marks_does_not_survive_a_stop(packaged):
    """One that hid its environment and left the session is still in the group."""
    agent = packaged.agents["app1"]
    hidden = 'import os, time; os.setsid(); os.execve("/bin/sleep", ["hidden-stray", "600"], {})'
    pid = group_pids(packaged)[0]
    group = pathlib.Path("/proc") / str(pid) / "cgroup"
    assert group.read_text().strip().endswith(f"{AGENT_UNIT}/{GROUP}")
    # pylint: disable=protected-access
    procs = next(iter(agent.host._cgroup.rglob(f"{AGENT_UNIT}/{GROUP}/cgroup.procs")))
    done = agent.host.inside("sh", "-c", "python3 -c '" + hidden + "' >/dev/null 2>&1 & echo started")
    assert done.stdout.strip() == "started"

    def strays():
        return [int(e) for e in os.listdir("/proc") if e.isdigit() and is_stray(int(e))]

    def is_stray(number):
        try:
            return pathlib.Path(f"/proc/{number}/cmdline").read_bytes().startswith(b"hidden-stray")
        except OSError:
            return False
    stray = wait_for(strays, 10, "the stray runs")[0]
    procs.write_text(str(stray))
    packaged.cli("stop", expect=0)
    assert strays() == [] and packaged.app_pids() == []
