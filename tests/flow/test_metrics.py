"""What the coordinator tells Prometheus: the same as `fermata status`, at every moment of a run, and whoever asks
how badly, it goes on conducting."""

import contextlib
import http.client
import os
import pathlib
import socket
import sqlite3
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cues import end_of
from stage.application import Release
from stage.place import StageError, free_port, wait_for
from stage.programs import COORDINATOR

PLACES = 16  # as in coordinator/http/http.c
VISIT = 5


def ask(port, path, method="GET", body=None, headers=None):
    """(status, headers, text)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


class Metrics:
    """One scrape. metrics["name", "app1", "ready"] is the sample with these values of its labels, in their order."""

    def __init__(self, port):
        code, headers, text = ask(port, "/metrics")
        assert code == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", text
        self.samples = {}
        for family in text_string_to_metric_families(text):
            assert family.documentation and family.type in ("gauge", "counter"), family
            for sample in family.samples:
                key = (sample.name.removeprefix("fermata_"), *sample.labels.values())
                assert sample.name.startswith("fermata_") and key not in self.samples, sample
                self.samples[key] = sample.value

    def __getitem__(self, key):
        return self.samples[key if isinstance(key, tuple) else (key,)]

    def of(self, name, *labels):
        """The one value of a set of states that is true, or the labels of what is only said by them."""
        key = (name, *labels)
        true = [k[len(key):] for k, value in self.samples.items() if k[:len(key)] == key and value == 1]
        assert len(true) == 1, (key, true)
        return true[0] if len(true[0]) > 1 else true[0][0]


def differences(status, metrics):
    """Where a scrape is not what `fermata status --json` says."""
    run = status.get("run") or {}
    pairs = {"mode": (status["public_state"], metrics.of("wanted_mode")),
             "epoch": (int(status["epoch"]), metrics["wanted_epoch"]),
             "cluster": ((status["cluster"], status.get("database", "")), metrics.of("cluster_info")),
             "run": (int(run.get("run", 0)), metrics["run_number"]),
             "state": (run.get("state", "none"), metrics.of("run_state"))}
    if run:
        command, step, _, end = metrics.of("run_info")
        pairs["command"] = (run["procedure"], command)
        pairs["end"] = (run.get("end", ""), end)
        if run.get("steps"):
            pairs["step"] = (run["steps"][0]["name"], step)
    for node in status["nodes"]:
        name = node["name"]
        pairs[name] = ((node.get("connected", False), node["app"], node["goal"], node.get("release", ""),
                        node.get("running", ""), node.get("drained", False)),
                       (bool(metrics["node_connected", name]), metrics.of("node_state", name),
                        metrics.of("node_goal", name), *metrics.of("node_info", name)[:2],
                        not metrics["node_in_service", name]))
    for gate in status["gates"]:
        name = gate["name"]
        pairs[name] = ((gate.get("connected", False), gate["mode"], *(int(gate.get(key, 0)) for key in (
                           "in_flight", "websockets", "tabs", "held", "bypassed", "passed", "refused", "workers"))),
                       (bool(metrics["gate_connected", name]), metrics.of("gate_mode", name), *(
                           metrics[f"gate_{key}", name] for key in (
                               "requests", "websockets", "tabs", "held", "bypassed", "passed_total", "refused_total",
                               "workers"))))
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


def agrees(cluster):
    """Scrapes when the cluster stands still for a moment, and holds it against its status."""
    seen = []

    def look():
        seen[:] = [Metrics(cluster.http), differences(cluster.cli.status()["status"], Metrics(cluster.http))]
        return not seen[1]
    try:
        wait_for(look, 20, "metrics and status say the same", every=0.2)
    except StageError as error:
        raise AssertionError(seen[1]) from error
    return seen[0]


@pytest.fixture
def make_scraped(make_cluster):
    def make(start=True):
        port = free_port()
        cluster = make_cluster(start=start, coordinator={"http": {"listen": f"127.0.0.1:{port}"}})
        cluster.http = port
        return cluster
    return make


@pytest.fixture
def scraped(make_scraped):
    return make_scraped()


def test_metrics_say_before_during_and_after_a_run_what_status_says(scraped):
    before = agrees(scraped)
    assert before["run_active"] == 0 and before["run_waits_for_person"] == 0 and before["run_number"] == 0
    assert before["node_connected", "app1"] == 1 and before["node_ready", "app1"] == 0
    scraped.cli("startup", expect=0)
    wait_for(lambda: Metrics(scraped.http)["gate_in_force", "gate1"], 20, "the gate has followed", every=0.1)
    served = agrees(scraped)
    assert all(served["node_ready", node.name] == 1 for node in scraped.nodes)
    assert served["shut_out_seconds"] == 0 and served["runs_ended_total", "startup", "done"] == 1
    assert served["gate_epoch", "gate1"] == served["wanted_epoch"]
    assert served["journal_commits_total"] > before["journal_commits_total"] and served["journal_bytes"] > 0
    scraped.app.offer(Release("2.2.16"))
    scraped.cli("upgrade", "--to", "2.2.16", "--detach", expect=5)
    wait_for(lambda: Metrics(scraped.http)["run_waits_for_person"], 60, "the run waits for a person", every=0.1)
    during = agrees(scraped)
    assert during["run_active"] == 1 and during.of("run_state") == "held"
    assert during.of("run_info") == ("upgrade", "approve", "no", "")
    assert during.of("wanted_mode") == "closed" and during["gate_in_force", "gate1"] == 1
    assert 0 < during["shut_out_seconds"] <= during["run_duration_seconds"]
    assert during["run_step_duration_seconds"] < during["run_duration_seconds"]
    scraped.cli("approve")
    wait_for(lambda: end_of(scraped) == "done", 60, "the upgrade is done", every=0.2)
    after = agrees(scraped)
    assert after["run_active"] == 0 and after["shut_out_seconds"] == 0 and after["run_duration_seconds"] == 0
    assert after["runs_ended_total", "upgrade", "done"] == 1
    assert [after.of("node_info", node.name)[1] for node in scraped.nodes] == ["2.2.16"] * 3


def test_ends_are_counted_over_lives_and_a_node_away_is_told(scraped):
    scraped.cli("page", "on", expect=0)
    shut_out = Metrics(scraped.http)["shut_out_seconds"]
    scraped.coordinator.kill()
    scraped.coordinator.start()
    scraped.wait_connected()
    again = agrees(scraped)
    assert again["runs_ended_total", "page on", "done"] == 1 and again["shut_out_seconds"] > shut_out > 0
    scraped.agents["app2"].kill()
    wait_for(lambda: not Metrics(scraped.http)["node_connected", "app2"], 20, "the agent's end is told", every=0.1)
    age = Metrics(scraped.http)["node_report_age_seconds", "app2"]
    wait_for(lambda: Metrics(scraped.http)["node_report_age_seconds", "app2"] > age + 1, 20, "its report gets older")
    assert ("node_memory_bytes", "app2") not in Metrics(scraped.http).samples


def test_what_else_is_there(scraped):
    assert ask(scraped.http, "/health")[::2] == (200, "ok\n")
    assert ask(scraped.http, "/metrics?x=1")[0] == 200
    code, _, text = ask(scraped.http, "/")
    assert code == 200 and "/metrics" in text and text.count("\n") == 1
    for path in ("/nothing", "/metrics/", "/metrics/../health", "/%2e%2e/etc/passwd"):
        code, _, text = ask(scraped.http, path)
        assert code == 404 and text == "There is nothing here; there are /metrics and /health.\n", path
    code, headers, text = ask(scraped.http, "/metrics", "HEAD")
    assert code == 200 and text == "" and int(headers["Content-Length"]) > 1000
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(scraped.http, "/metrics", method)[0] in (405, 501), method


def test_a_journal_that_refuses_makes_it_ill_until_it_takes_again(scraped):
    journal = sqlite3.connect(scraped.coordinator.state / "journal.sqlite", isolation_level=None)
    with contextlib.closing(journal):
        journal.execute("begin immediate")
        assert scraped.cli("page", "on").code != 0
        code, _, text = ask(scraped.http, "/health")
        assert code == 503 and "journal" in text and "log" in text, text
        assert Metrics(scraped.http)["journal_writable"] == 0
        journal.execute("rollback")
    scraped.cli("page", "on", expect=0)
    assert ask(scraped.http, "/health")[0] == 200
    assert Metrics(scraped.http)["journal_writable"] == 1 and Metrics(scraped.http)["journal_refused_total"] >= 1


# ---- who asks badly ----

def sockets(cluster):
    folder = pathlib.Path(f"/proc/{cluster.coordinator.process.pid}/fd")
    count = 0
    for fd in folder.iterdir():
        with contextlib.suppress(OSError):
            count += os.readlink(fd).startswith("socket:")
    return count


def memory(cluster):
    """Anonymous memory, in KiB: what comes and goes with who is connected."""
    text = pathlib.Path(f"/proc/{cluster.coordinator.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("RssAnon")).split()[1])


def grown(cluster, used):
    """Sanitizers keep what is freed, and look for leaks themselves."""
    return 0 if "ASAN_OPTIONS" in os.environ else memory(cluster) - used


class Crowd:
    """So many connections, opened without waiting; say() sends to all that are still there."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            self.sockets.append(one)

    def say(self, data):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.send(data)

    def ended(self):
        """How many the other side has ended."""
        count = 0
        for one in self.sockets:
            try:
                count += one.recv(65536) == b""
            except BlockingIOError:
                pass
            except OSError:
                count += 1
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()


def test_a_crowd_that_never_ends_its_request_stops_nothing(scraped):
    scraped.cli("startup", expect=0)
    for _ in range(50):
        Metrics(scraped.http)
    wait_for(lambda: sockets(scraped) <= 7 + 3, 20, "connections are let go", every=0.1)
    idle, used = sockets(scraped), memory(scraped)
    with Crowd(scraped.http, 100) as crowd:
        crowd.say(b"GET /metrics HTTP/1.1\r\n")
        restart = scraped.cli.begin("restart")
        most, ended = 0, 0
        while restart.poll() is None:
            crowd.say(b"X-Slow: a\r\n")
            most, ended = max(most, sockets(scraped)), max(ended, crowd.ended())
            time.sleep(0.2)
        said = scraped.cli.end(restart, expect=0)
        assert end_of(scraped) == "done", said
        assert idle + PLACES // 2 < most <= idle + PLACES + 3, (idle, most)  # and the operators'
        # A byte now and then buys nobody more than his time.
        wait_for(lambda: crowd.say(b"X-Slow: b\r\n") or crowd.ended() > PLACES, 4 * VISIT, "the first ones are ended",
                 every=0.2)
    assert Metrics(scraped.http)["run_number"] == 2
    wait_for(lambda: sockets(scraped) <= idle, 20, "all are let go", every=0.1)
    assert grown(scraped, used) < 1024, "KiB"


def test_who_does_not_hang_up_is_let_go(scraped):
    idle = sockets(scraped)
    with Crowd(scraped.http, PLACES) as crowd:
        wait_for(lambda: sockets(scraped) == idle + PLACES, 20, "all are in", every=0.1)
        crowd.say(b"GET /metrics HTTP/1.1\r\n\r\n")
        wait_for(lambda: sockets(scraped) <= idle, 4 * VISIT, "all are let go", every=0.1)


def test_too_much_is_refused_and_costs_nothing(scraped):
    idle, used = sockets(scraped), memory(scraped)
    log = len(scraped.coordinator.log.read_text())
    for _ in range(40):
        code, _, text = ask(scraped.http, "/metrics", headers={"X-Long": "a" * 10_000})
        assert code in (400, 413, 431) and "fermata_" not in text, code
        code, _, text = ask(scraped.http, "/metrics", "POST", b"b" * 100_000)
        assert code in (400, 405, 413, 501) and "fermata_" not in text, code
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"GET\r\n\r\n", b"\n" * 100,
                        b"GET /metrics HTTP/9.9\r\n\r\n", b"a" * 20_000, b""):
            with socket.create_connection(("127.0.0.1", scraped.http), timeout=60) as one:
                with contextlib.suppress(OSError):
                    one.sendall(garbage)
                    one.shutdown(socket.SHUT_WR)
                    while one.recv(65536):
                        pass
    assert ask(scraped.http, "/health")[0] == 200
    wait_for(lambda: sockets(scraped) <= idle, 20, "all are let go", every=0.1)
    assert grown(scraped, used) < 1024, "KiB"
    assert len(scraped.coordinator.log.read_text()) - log < 1000, "who asks badly writes our log"


# ---- its start ----

def start_fails(cluster):
    done = subprocess.run([COORDINATOR, "--config", cluster.coordinator.ini], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1, done
    return done.stderr


def listening(cluster, address):
    cluster.coordinator.state.mkdir(mode=0o700, exist_ok=True)
    cluster.coordinator.configure_http(listen=address)
    return start_fails(cluster)


def test_only_loopback_and_only_what_is_free(make_scraped):
    cluster = make_scraped(start=False)
    said = listening(cluster, "0.0.0.0:9999")
    assert "[http] listen: 0.0.0.0:9999 is not a loopback address" in said and "reverse proxy" in said, said
    said = listening(cluster, " ".join(f"127.1:{free_port()}" for _ in range(5)))
    assert "[http] listen: more than 4 addresses" in said, said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = listening(cluster, address)
    assert f"[http] listen: listen on {address}: Address already in use" in said, said


def test_two_addresses_are_one_server(make_scraped):
    cluster = make_scraped(start=False)
    ports = free_port(), free_port()
    cluster.coordinator.configure_http(listen=" ".join(f"127.0.0.1:{port}" for port in ports))
    cluster.coordinator.start()
    assert [ask(port, "/health")[2] for port in ports] == ["ok\n", "ok\n"]
    with Crowd(ports[0], PLACES) as crowd:
        wait_for(lambda: sockets(cluster) >= PLACES, 20, "all places are taken", every=0.1)
        with pytest.raises(TimeoutError), socket.create_connection(("127.0.0.1", ports[1]), timeout=1) as one:
            one.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            one.recv(100)
        crowd.say(b"GET / HTTP/1.1\r\n\r\n")
        assert ask(ports[1], "/health")[2] == "ok\n"


def test_nothing_listens_unless_it_is_asked_for(cluster):
    text = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, timeout=20, check=True).stdout
    ours = [line for line in text.splitlines() if f"pid={cluster.coordinator.process.pid}," in line]
    assert len(ours) == 1 and f":{cluster.coordinator.port} " in ours[0], ours
