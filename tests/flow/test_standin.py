"""The stand-in keeps what was measured on the real application; flows are worth no more than that."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from stage.application import Release
from stage.cluster import Stage
from stage.place import processes_with, wait_for


class App:
    """One node's application, started by hand."""

    def __init__(self, stage, node):
        self.stage, self.node, self.child = stage, node, None

    def start(self, *args, **tune):
        self.node.tune(**tune)
        env = {"PATH": os.environ["PATH"], **{key: str(value) for key, value in self.node.env.items()},
               "SOCKET_PATH": str(self.node.run / "gateway.sock"), "FERMATA_NODE": self.node.name}
        self.child = subprocess.Popen([*self.stage.app.start_command.split(), *args], env=env, cwd=self.node.current,
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def get(self, path="/api/__health_check", method="GET"):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://{self.node.address}{path}", method=method,
                                                               data=b"" if method == "POST" else None)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def until(self, code, text=""):
        return wait_for(lambda: (got := self.get())[0] == code and text in got[1] and got, 10, f"{code} {text}")

    def pids(self):
        return [pid for pid in processes_with(f"FERMATA_NODE={self.node.name}")
                if pid in processes_with(f"FERMATA_STAGE={self.stage.id}")]

    def term(self):
        os.killpg(self.child.pid, signal.SIGTERM)

    def gone(self):
        return self.child.poll() is not None and not self.pids()

    def stop(self):
        self.term()
        wait_for(self.gone, 5, "end of the stand-in")


@pytest.fixture(scope="module")
def stage():
    made = Stage(count=2, releases=("2.2.15", "2.2.16"))
    made.app.offer(Release("2.2.17", "fail"))
    for node in made.nodes:
        made.app.install("2.2.17", node.releases / "2.2.17")
    yield made
    made.close()


@pytest.fixture
def apps(stage):
    stage.postgres.fresh_database()
    for node in stage.nodes:
        node.switch("2.2.15")
    yield [App(stage, node) for node in stage.nodes]
    stage.kill_apps()


def test_a_start_is_refused_then_busy_then_ready(apps):
    seen = []
    app = apps[0].start("--quickstart", load_ms=300)

    def ready():
        status, text = app.get()
        said = json.loads(text)["error"]["message"] if status == 503 else text
        if (status, said) not in seen:
            seen.append((status, said))
        return status == 200
    wait_for(ready, 10, "ready", every=0.005)
    assert seen[0] == (0, "")
    assert seen[-1] == (200, "ok")
    assert len([row for row in seen if row[0] == 503]) >= 4, seen
    assert json.loads(app.get("/api/app:getInfo")[1])["data"]["version"] == "2.2.15"


def test_a_plain_start_never_installs_or_migrates(apps, stage):
    app = apps[0].start()
    app.until(503, "APP_NOT_INSTALLED_ERROR")
    app.stop()
    apps[0].start("--quickstart").until(200)
    apps[0].stop()
    stage.nodes[0].switch("2.2.16")
    apps[0].start().until(503, "APP_ERROR")
    assert stage.postgres.version() == "2.2.15"


def test_quickstart_migrates_in_either_direction(apps, stage):
    app = apps[0].start("--quickstart")
    app.until(200)
    for version in ("2.2.16", "2.2.15"):
        app.stop()
        stage.nodes[0].switch(version)
        app.start("--quickstart").until(200)
        assert stage.postgres.version() == version


def test_old_code_starts_on_a_new_database(apps, stage):
    stage.nodes[0].switch("2.2.16")
    apps[0].start("--quickstart").until(200)
    apps[1].start().until(200)
    assert json.loads(apps[1].get("/api/app:getInfo")[1])["data"]["version"] == "2.2.16"


def test_a_failed_migration_stays_alive_and_leaves_its_traces(apps, stage):
    app = apps[0].start("--quickstart")
    app.until(200)
    app.stop()
    stage.nodes[0].switch("2.2.17")
    app.start("--quickstart").until(503, "always fails")
    assert app.child.poll() is None
    assert stage.postgres.version() == "2.2.15"
    assert stage.postgres.query("select * from fermata_test", database="nocobase") == [("2.2.17",)]


def test_two_at_once_on_an_empty_database_break_one(apps):
    for app in apps:
        app.start("--quickstart", install_ms=400)
    wait_for(lambda: all("APP_COMMANDING" not in app.get()[1] and app.get()[0] for app in apps), 10, "both settled")
    assert sorted(app.get()[0] for app in apps) == [200, 503]


def test_term_waits_for_websockets(apps):
    app = apps[0].start("--quickstart")
    app.until(200)
    tab = socket.create_connection(("127.0.0.1", app.node.port), timeout=10)
    tab.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n")
    assert tab.recv(4096).startswith(b"HTTP/1.1 101")
    app.term()
    heard = b""
    while b"APP_STOPPED" not in heard: # one frame or several
        part = tab.recv(4096)
        assert part, f"closed after {heard}"
        heard += part
    wait_for(lambda: app.get()[0] == 0, 5, "the port is closed")
    time.sleep(0.3)
    assert app.pids(), "it must not end while a websocket is open"
    tab.close()
    wait_for(app.gone, 5, "end of the stand-in")


def test_term_answers_500_from_a_closed_pool_first(apps):
    app = apps[0].start("--quickstart", stop_ms=600_000)  # longer than anybody waits: the port stays open until then
    app.until(200)
    app.term()
    wait_for(lambda: "ConnectionManager" in app.get("/api/app:getInfo")[1], 60, "500s")
    assert app.get("/api/app:getInfo")[0] == 500 and app.pids()
    os.killpg(app.child.pid, signal.SIGKILL)
    wait_for(app.gone, 60, "end of the stand-in")


def test_a_plugin_is_known_where_it_was_enabled_until_a_restart(apps):
    first, second = apps
    first.start("--quickstart").until(200)
    second.start().until(200)
    assert first.get("/api/pm:enable?filterByTk=departments", "POST")[0] == 200
    wait_for(lambda: first.get("/api/departments:list")[0] == 200, 5, "the plugin")
    assert second.get("/api/departments:list")[0] == 404
    second.stop()
    second.start().until(200)
    assert second.get("/api/departments:list")[0] == 200


def test_the_command_line_may_die_alone(apps):
    app = apps[0].start("--quickstart")
    app.until(200)
    os.kill(app.child.pid, signal.SIGTERM)
    app.child.wait(5)
    assert app.get()[0] == 200 and len(app.pids()) == 1


@pytest.mark.parametrize("tune, after_ready, alive", [
    ({"stray": True}, True, 1), ({"ignore_term": True}, True, 1),
    ({"term_in_start": "never", "load_ms": 5000}, False, 1), ({"crash": "load"}, False, 0),
    ({"die_after_ms": 50}, False, 0)])
def test_misbehaviour(apps, tune, after_ready, alive):
    app = apps[0].start("--quickstart", **tune)
    if after_ready:
        app.until(200)
    else:
        time.sleep(0.6)
    if app.child.poll() is None:
        app.term()
    time.sleep(0.4)
    app.child.poll()
    assert len(app.pids()) == alive
