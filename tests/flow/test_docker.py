"""The docker runtime: a real engine, a registry with a password, the stand-in in containers."""

import re
import subprocess

import pytest

from stage.docked import Docked, container, container_name
from stage.engine import Engine, Images, Registry
from stage.programs import AGENT
from stage.place import make_folder, remove_folder, wait_for
from conftest import QUICK_AGENT, QUICK_COORDINATOR, merged, running_engine
from cues import Again, assert_nobody_saw_more_than_the_page, end_of, everywhere, watched
from hooks import ORDER, SAYS_VERSION, assert_each_told, put_hooks
from secrecy import Looking, in_answers, in_base64, in_files

pytestmark = pytest.mark.xdist_group("machine")


@pytest.fixture(scope="module")
def engine():
    yield from running_engine(Engine)


@pytest.fixture(scope="module")
def images(engine):
    folder = make_folder()
    registry = Registry(folder / "registry").start()
    images = Images(engine, registry)
    images.make("2.2.15")
    for tag, version, tune in (("2.2.16", None, {}), ("2.2.17", None, {"migration": "fail"}), ("2.2.18", "2.2.15", {})):
        images.make(tag, version, **tune)
        images.forget(tag)
    yield images
    registry.stop()
    remove_folder(folder)


@pytest.fixture
def make_docked(request, engine, images, lent_postgres):
    request.node.stages = []

    def make(start=True, agent=None, coordinator=None, **stage):
        options = {"agent": merged(QUICK_AGENT, agent), "coordinator": merged(QUICK_COORDINATOR, coordinator)}
        cluster = Docked(engine, images, options=options, postgres=lent_postgres, **{"count": 2, **stage})
        request.node.stages.append(cluster)
        return cluster.start() if start else cluster
    yield make
    for cluster in request.node.stages:
        cluster.close()
    for tag in ("2.2.16", "2.2.17", "2.2.18"):
        images.forget(tag)


@pytest.fixture
def docked(make_docked):
    return make_docked()


@pytest.fixture
def running(docked):
    docked.cli("startup", expect=0)
    return docked


def env_of(container):
    return dict(row.split("=", 1) for row in container["Config"]["Env"])


def test_startup_makes_a_container_ours_and_changes_nothing_else(docked):
    before = docked.container()
    docked.cli("startup", expect=0)
    assert everywhere(docked, "2.2.15")
    after = docked.container()
    assert without_ours(after) == without_ours(before)
    labels = after["Config"]["Labels"]
    assert labels["fermata.node"] == "app1" and labels["fermata.version"] == "2.2.15"
    assert labels["fermata.restart"] == "unless-stopped"
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "no"


def without_ours(container):
    """What must be the same whatever Fermata did to it: all but its image, its identity and our marks."""
    config, host = dict(container["Config"]), dict(container["HostConfig"])
    for key in ("Image", "Env", "Labels"):
        config.pop(key)
    if container["Id"].startswith(config["Hostname"]):
        config.pop("Hostname")
    # Podman tells the host's name as a setting, once it has started.
    moves = ("SKIP_SAME_VERSION_UPGRADE", "IMAGE_SAYS", "HOSTNAME")
    env = {k: v for k, v in env_of(container).items() if k not in moves}
    labels = {k: v for k, v in container["Config"]["Labels"].items()
              if not k.startswith("fermata.") and k != "org.opencontainers.image.version"}
    host.pop("RestartPolicy")
    # A volume without a name is named by its binding from now on.
    binds = {bind for bind in host.pop("Binds") or () if ":/own" not in bind}
    mounts = sorted((m["Type"], m.get("Name", ""), m["Source"], m["Destination"], m["RW"]) for m in container["Mounts"])
    networks = {name: (e["IPAMConfig"], e["Links"], e["Aliases"]) for name, e in
                container["NetworkSettings"]["Networks"].items()}
    return config, env, labels, host, binds, mounts, networks


def test_upgrade_pulls_pins_and_keeps(make_docked):
    """And hooks run, on the host; and nobody sees the registry's password."""
    running = make_docked(start=False)
    put_hooks(running, dict.fromkeys(ORDER, SAYS_VERSION))
    running.start().cli("startup", expect=0)
    before = running.container()
    registry = running.images.registry
    secrets = {"password": registry.password, **in_base64("password", registry.password)}
    with Watching(running) as watching, Looking(running, secrets) as looking:
        visitors, said = watched(running, "upgrade", "--to", "2.2.16", "--yes")
    assert end_of(running) == "done", said
    assert_each_told(running, "2.2.15", "2.2.16")
    found = looking.found | in_files(running, secrets) | in_answers(running, secrets)
    found |= {f"{name} in status" for name, value in secrets.items() if value in str(watching.seen)}
    assert looking.looks > 10 and not found, found
    assert everywhere(running, "2.2.16") and running.postgres.version() == "2.2.16"
    assert_nobody_saw_more_than_the_page(running, visitors)
    assert any(re.search(r"\d of \d+ layers, [\d.]+ of [\d.]+ MiB", text) for text in watching.seen), watching.seen
    after = running.container()
    assert without_ours(after) == without_ours(before)
    assert env_of(after)["IMAGE_SAYS"] == "2.2.16"  # the image's own moved with the image
    digest = after["Config"]["Labels"]["fermata.digest"]
    assert re.fullmatch(re.escape(running.images.registry.repository) + r"@sha256:[0-9a-f]{64}", digest)
    assert after["Image"].startswith("sha256:")
    assert running.engine.tells_names or after["Config"]["Image"] == after["Image"]
    # The first migrated, the second may not: its image would run the upgrade again.
    modes = {name: running.container(name)["Config"]["Labels"]["fermata.mode"] for name in ("app1", "app2")}
    assert modes == {"app1": "migrate", "app2": "plain"}
    assert env_of(running.container("app2"))["SKIP_SAME_VERSION_UPGRADE"] == "true"
    assert "SKIP_SAME_VERSION_UPGRADE" not in env_of(running.container("app1"))
    kept = running.engine.inspect(f"{container_name(running.node('app1'))}-fermata-2.2.15")
    assert kept["Image"] == before["Image"] and not kept["State"]["Running"]


class Watching(Again):
    """What `fermata status` says of the first node."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster, self.seen = cluster, set()

    def look(self):
        self.seen.add(str(self.cluster.cli.status()["status"]["nodes"][0].get("detail")))


def test_failing_upgrade_is_rolled_back_to_the_same_container(running):
    before = running.container()
    said = running.cli("upgrade", "--to", "2.2.17", "--yes", expect=1)
    assert end_of(running) == "rolled-back", said
    assert everywhere(running, "2.2.15") and running.postgres.version() == "2.2.15"
    after = running.container()
    assert without_ours(after) == without_ours(before) and after["Image"] == before["Image"]
    assert after["Id"] == before["Id"] or after["Config"]["Labels"]["fermata.mode"] == "plain"


def test_a_tag_that_moves_or_lies_is_refused(running):
    ids = [running.container(name)["Id"] for name in ("app1", "app2")]
    said = running.cli("upgrade", "--to", "latest", "--yes")
    assert said.code == 2 and "must be a version such as" in said.err, said
    said = running.cli("upgrade", "--to", "2.2.18", "--yes")
    assert said.code != 0 and "holds NocoBase 2.2.15, not 2.2.18" in said.out + said.err, said
    assert [running.container(name)["Id"] for name in ("app1", "app2")] == ids
    assert everywhere(running, "2.2.15")


def test_settings_that_name_a_tag_are_refused(docked):
    agent = docked.agents["app1"]
    text = agent.ini.read_text()
    agent.ini.write_text(re.sub(r"(?m)^image = (.*)$", r"image = \1:latest", text))
    done = subprocess.run([AGENT, "--config", agent.ini, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "names a tag: write image =" in done.stderr, done
    agent.ini.write_text(text)
    done = subprocess.run([AGENT, "--config", agent.ini, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done


def test_an_agent_that_was_killed_adopts_its_container(running):
    pid = running.container()["State"]["Pid"]
    running.agents["app1"].kill()
    running.agents["app1"].start()
    assert everywhere(running, "2.2.15", limit=60)
    assert running.container()["State"]["Pid"] == pid
    assert "told to end" not in running.agents["app1"].log.read_text()


def test_an_end_is_seen_at_once_and_started_again(running):
    starts = running.container()["State"]["StartedAt"]
    running.engine.ask("POST", f"/containers/{container_name(running.node('app1'))}/kill?signal=KILL")
    wait_for(lambda: running.container()["State"]["StartedAt"] != starts and running.container()["State"]["Running"],
             30, "it is started again")
    assert everywhere(running, "2.2.15", limit=60)
    assert "exit code 137" in running.agents["app1"].log.read_text()


def test_a_container_made_by_somebody_else_is_named(running):
    name = container_name(running.node("app1"))
    running.engine.remove(name)
    theirs = container(running.node("app1"), running.images, "2.2.15", running.storage)
    running.engine.ask("POST", f"/containers/create?name={name}", theirs)
    running.engine.ask("POST", f"/containers/{name}/start")

    def is_named():
        node = running.cli.status()["status"]["nodes"][0]
        return node["app"] == "refused" and f"docker stop {name}" in str(node)
    wait_for(is_named, 20, "it is named, with what to type")
    running.engine.ask("POST", f"/containers/{name}/stop?t=0")
    assert everywhere(running, "2.2.15", limit=60)
    assert running.container()["Config"]["Labels"]["fermata.node"] == "app1"


def test_the_output_goes_to_the_log_file(running):
    path = running.node("app1").folder / "app.log"
    wait_for(lambda: path.exists() and path.read_text().count("app has been started") == 1, 10, "what it said is there")


@pytest.mark.slow
def test_an_engine_that_is_killed_proves_nothing(running):
    """Its containers live on until it comes back, and then end; nobody is taken for stopped meanwhile."""
    running.engine.process.kill()
    def unknown():
        return all(node["app"] == "unknown" for node in running.cli.status()["status"]["nodes"])
    wait_for(unknown, 20, "the agents say that they do not know")
    running.engine.start()
    assert everywhere(running, "2.2.15", limit=60)
