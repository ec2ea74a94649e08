"""Other hosts: every connection by TLS, and nobody is who its certificate does not say."""

import os
import re
import subprocess

import pytest

from stage.application import Release
from stage.authority import Authority
from stage.place import Process, free_port, wait_for
from stage.programs import AGENT, COORDINATOR, Cli, write_ini
from cues import end_of, everywhere


def connected(cli, kind="nodes"):
    return {peer["name"] for peer in cli.status()["status"].get(kind, []) if peer.get("connected")}


def test_an_upgrade_over_tls(make_cluster):
    cluster = make_cluster(tls=True)
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    cluster.cli("upgrade", "--to", "2.2.16", "--yes", expect=0)
    assert end_of(cluster) == "done" and everywhere(cluster, "2.2.16")


def test_the_gate_survives_a_reload_over_tls(make_cluster):
    cluster = make_cluster(tls=True)
    lines = cluster.gate.folder / "error.log"
    before = lines.read_text().count("is up")
    cluster.gate.reload()
    wait_for(lambda: lines.read_text().count("is up") > before, 20, "the new manager's line is up")
    cluster.cli("page", "on", expect=0)
    assert not re.findall(r"\[(alert|emerg|crit)\]", lines.read_text())


def test_a_node_with_the_certificate_of_another_stays_outside(make_cluster):
    cluster = make_cluster(tls=True)
    agent = cluster.agents["app2"]
    agent.stop()
    agent.ini.write_text(agent.ini.read_text().replace("app2.node", "app1.node"))
    agent.start()
    said = "it says that it is node app2, its certificate does not"
    wait_for(lambda: said in agent.log.read_text(), 20, "the agent is told why")
    assert said in cluster.coordinator.log.read_text()
    assert connected(cluster.cli) == {"app1", "app3"}


def test_a_gate_believes_coordinators_only(make_cluster):
    """With a node's certificate on the coordinator's port nobody is opened a gate by it."""
    cluster = make_cluster(tls=True)
    ini = cluster.coordinator.ini
    cluster.coordinator.stop()
    ini.write_text(ini.read_text().replace("co1.coordinator", "app1.node"))
    cluster.coordinator.start()
    gate, agent = cluster.gate.folder / "error.log", cluster.agents["app1"].log
    wait_for(lambda: "no line to coordinator" in gate.read_text(), 20, "the gate hangs up")
    wait_for(lambda: "its certificate is not accepted" in agent.read_text(), 20, "the agent hangs up")
    assert not connected(cluster.cli) and not connected(cluster.cli, "gates")


def test_a_gate_with_another_name_is_refused(make_cluster):
    cluster = make_cluster(tls=True, start=False)
    other = cluster.authority.section("gate", "gate2")["certificate"]
    conf = cluster.gate.conf
    conf.write_text(conf.read_text().replace("gate1.gate.", "gate2.gate."))
    assert other in conf.read_text()
    cluster.gate.start()
    cluster.coordinator.start()
    log = cluster.gate.folder / "error.log"
    wait_for(lambda: "it says that it is gate gate1, its certificate does not" in log.read_text(), 20,
             "the gate is told why")
    assert not connected(cluster.cli, "gates")


def test_without_tls_nothing_leaves_the_host(tmp_path, make_cluster):
    cluster = make_cluster(start=False)
    ini = cluster.coordinator.ini
    ini.write_text(re.sub("listen = .*", "listen = 192.0.2.7:7400", ini.read_text()))
    done = subprocess.run([COORDINATOR, "--config", ini], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and "fermata help cert init" in done.stderr
    conf = cluster.gate.conf
    conf.write_text(conf.read_text().replace(cluster.coordinator.address, "192.0.2.7:7400"))
    done = subprocess.run(["/usr/sbin/nginx", "-t", "-c", conf, "-e", tmp_path / "error.log"], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode != 0 and "fermata_ssl_certificate" in done.stderr


class Hosts:
    """Two network namespaces with one wire between them: 10.77.0.1 and 10.77.0.2."""

    def __init__(self):
        self.names = [f"fm{os.getpid() % 100000}{end}" for end in "ab"]
        a, b = self.names
        for name in self.names:
            self._ip("netns", "add", name)
        self._ip("link", "add", "wire", "netns", a, "type", "veth", "peer", "name", "wire", "netns", b)
        for number, name in enumerate(self.names, start=1):
            self._ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "wire")
            self._ip("-n", name, "link", "set", "wire", "up")
            self._ip("-n", name, "link", "set", "lo", "up")

    @staticmethod
    def _ip(*argv):
        subprocess.run(["ip", *argv], check=True, timeout=20)

    def cut(self):
        self._ip("-n", self.names[1], "link", "set", "wire", "down")

    def mend(self):
        self._ip("-n", self.names[1], "link", "set", "wire", "up")

    def on(self, number, argv):
        return ["ip", "netns", "exec", self.names[number], *argv]

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=20)


@pytest.fixture
def hosts():
    made = Hosts()
    yield made
    made.close()


def test_an_agent_on_another_host(hosts, make_cluster, tmp_path):
    """A wire that is cut is noticed, and mended by itself."""
    stage = make_cluster(start=False, count=1)
    authority = Authority(tmp_path / "tls")
    port = free_port()
    coordinator, agent = stage.coordinator, stage.agents["app1"]
    coordinator.state.mkdir(mode=0o700)
    agent.state.mkdir(mode=0o700)
    ini = coordinator.ini.read_text().replace("[tls]\n", "")
    ini = re.sub("listen = .*", f"listen = 10.77.0.1:{port}", ini)
    write_ini(tmp_path / "tls.ini", {"tls": authority.section("coordinator", "co1")})
    coordinator.ini.write_text(ini + (tmp_path / "tls.ini").read_text())
    ini = re.sub("coordinator = .*", f"coordinator = 10.77.0.1:{port}", agent.ini.read_text().replace("[tls]\n", ""))
    write_ini(tmp_path / "tls.ini", {"tls": authority.section("node", "app1")})
    agent.ini.write_text(ini + (tmp_path / "tls.ini").read_text())
    running = [Process("coordinator", hosts.on(0, [COORDINATOR, "--config", coordinator.ini]), coordinator.log),
               Process("agent", hosts.on(1, [AGENT, "--config", agent.ini]), agent.log)]
    cli = Cli(coordinator.socket)
    try:
        wait_for(lambda: coordinator.socket.exists() and connected(cli) == {"app1"}, 20, "the agent is connected")
        hosts.cut()
        wait_for(lambda: not connected(cli), 20, "the cut is noticed")
        hosts.mend()
        wait_for(lambda: connected(cli) == {"app1"}, 30, "the agent is back by itself")
    finally:
        for process in running:
            process.stop(10)


def test_a_certificate_that_ends_soon_is_told(make_cluster):
    cluster = make_cluster(count=2, tls=True, start=False)
    agent = cluster.agents["app2"]
    (cluster.folder / "tls" / "app2.node.crt").unlink(missing_ok=True)
    soon = cluster.authority.section("node", "app2", "--days", "7")
    assert f"certificate = {soon['certificate']}" in agent.ini.read_text()
    cluster.start()
    said = cluster.cli("doctor")
    assert "its certificate ends in" in said.out and "app2" in said.out, said
    assert said.out.count("its certificate ends in") == 1, said
