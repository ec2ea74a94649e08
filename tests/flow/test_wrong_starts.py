"""What must not be started is not, each for its own reason, and what to do is said. With the stand-in, and
(slow) with the real NocoBase."""

import contextlib
import os
import shlex
import signal
import subprocess

import pytest

from conftest import QUICK_AGENT
from stage.cluster import Cluster
from stage.place import is_listening, processes_with, wait_for

SLOWLY = {"limits": {"term": "15s", "kill": "10s", "poll": "500ms", "start_poll": "500ms", "stuck": "5m"}}


def status(cluster):
    return cluster.cli.status()["status"]["nodes"][0]


def kill_app(cluster):
    mine = set(processes_with(f"FERMATA_NODE={cluster.nodes[0].name}"))
    for pid in mine & set(cluster.app_pids()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def says(cluster, *words, limit=60):
    """Waits until the node's own words hold all of these, and nothing of the application lives."""
    def look():
        node = status(cluster)
        text = node.get("failure", "") + " " + node.get("detail", "")
        return all(word in text for word in words)
    wait_for(look, limit, f"the node says {words}", every=0.2)


def heals(cluster, limit=300):
    wait_for(lambda: status(cluster)["app"] == "ready", limit, "it starts by itself", every=0.5)


def set_version(cluster, version):
    cluster.postgres.query('update "applicationVersion" set value = %s', version, database="nocobase")


def an_older_release(cluster):
    set_version(cluster, "2.2.16")
    kill_app(cluster)
    says(cluster, "newer than release 2.2.15", "never started", "fermata rollback")
    assert not cluster.app_pids()
    set_version(cluster, "2.2.15")
    heals(cluster)


def a_newer_release_without_permission(cluster):
    set_version(cluster, "2.2.14")
    kill_app(cluster)
    says(cluster, "older than release 2.2.15", "may not migrate", "fermata upgrade --to 2.2.15")
    assert not cluster.app_pids()
    set_version(cluster, "2.2.15")
    heals(cluster)


def a_fenced_database(cluster):
    cluster.postgres.query("alter role nocobase nologin")
    cluster.postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'nocobase'")
    kill_app(cluster)
    says(cluster, "may not log in", "fermata status")
    assert not cluster.app_pids()
    cluster.postgres.query("alter role nocobase login")
    heals(cluster)


def a_database_that_is_away(cluster):
    node = cluster.nodes[0]
    port, node.env["DB_PORT"] = node.env["DB_PORT"], 1
    node.write_env()
    kill_app(cluster)
    says(cluster, "waiting for the database", "refused")
    assert not cluster.app_pids()
    node.env["DB_PORT"] = port
    node.write_env()
    heals(cluster)


def settings_that_cannot_be_read(cluster):
    file = cluster.nodes[0].env_file
    aside = file.with_suffix(".aside")
    file.rename(aside)
    kill_app(cluster)
    says(cluster, "settings cannot be read", str(file))
    assert not cluster.app_pids()
    aside.rename(file)
    heals(cluster)


def by_hand(cluster, *argv, **env):
    """Starts something as an operator would, beside the agent: without its marks."""
    node = cluster.nodes[0]
    full = {"PATH": cluster.app.path, "HOME": str(cluster.folder), **{k: str(v) for k, v in node.env.items()}, **env}
    return subprocess.Popen(argv, cwd=node.current, env=full, start_new_session=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(child):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def start_again(cluster):
    wait_for(lambda: status(cluster)["app"] == "stopped", 30, "the agent sees that it is gone", every=0.2)
    cluster.cli("startup", expect=0)


def a_second_copy(cluster):
    node = cluster.nodes[0]
    cluster.cli("stop", expect=0)
    child = by_hand(cluster, "sh", "-c", "exec " + cluster.app.start_command,
                    SOCKET_PATH=str(cluster.folder / "hand.sock"), PM2_HOME=str(cluster.folder / "hand-pm2"))
    try:
        # Found while it boots already, by where it works; later by the port.
        says(cluster, "end this by hand", "process ", "user root")
        wait_for(lambda: is_listening(node.port), 60, "the copy listens")
        said = cluster.cli("startup")
        assert said.code == 3 and "end this by hand" in said.out + said.err, said
    finally:
        end(child)
    start_again(cluster)


def a_foreign_pm2(cluster):
    home = str(cluster.storage / ".pm2")
    cluster.cli("stop", expect=0)
    if cluster.app.kind == "nocobase":
        child = by_hand(cluster, "node_modules/.bin/pm2", "ping", PM2_HOME=home)
        assert child.wait(60) == 0
    else:
        title = f"PM2 v6.0.5: God Daemon ({home})"
        child = by_hand(cluster, "bash", "-c", f"exec -a {shlex.quote(title)} /usr/bin/python3 -c 'import time; time.sleep(600)'")
    try:
        says(cluster, "pm2", "behind our back", f"PM2_HOME={home} pm2 kill")
        said = cluster.cli("startup")
        assert said.code == 3 and "pm2 kill" in said.out + said.err, said
    finally:
        if cluster.app.kind == "nocobase":
            by_hand(cluster, "node_modules/.bin/pm2", "kill", PM2_HOME=home).wait(60)
        else:
            end(child)
    start_again(cluster)


WRONG = [an_older_release, a_newer_release_without_permission, a_fenced_database, a_database_that_is_away,
         settings_that_cannot_be_read, a_second_copy, a_foreign_pm2]


@pytest.fixture(scope="module")
def standin(lent_postgres):
    with Cluster(count=1, options={"agent": QUICK_AGENT}, postgres=lent_postgres) as cluster:
        cluster.cli("startup", expect=0)
        yield cluster


@pytest.fixture(scope="module")
def real():
    with Cluster(real=True, count=1, options={"agent": SLOWLY}) as cluster:
        cluster.cli("startup", expect=0)
        yield cluster


@pytest.mark.parametrize("wrong", WRONG)
def test_refused_with_its_own_message(standin, wrong):
    wrong(standin)


@pytest.mark.slow
@pytest.mark.limit(900)
@pytest.mark.parametrize("wrong", WRONG)
def test_refused_with_the_real_nocobase(real, wrong):
    wrong(real)
