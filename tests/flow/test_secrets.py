"""Secrets stay where they belong: before, during and after an upgrade nothing of Fermata holds one where it
could be read, printed or kept."""

import pathlib
import subprocess
import urllib.request

from stage.application import Release
from stage.place import free_port, wait_for
from secrecy import Looking, in_answers, in_files, in_processes

MARK = "fermata7s3cret"


def plant(cluster):
    """Gives every secret that has no value of its own one that can be recognised. {name: value}"""
    secrets = {"DB_PASSWORD": cluster.postgres.password,
               "admin's passfile": cluster.postgres.passfile.read_text().splitlines()[0].rsplit(":", 1)[1]}
    for node in cluster.nodes:
        for name in ("APP_KEY", "APP_AES_SECRET_KEY", "SMTP_PASSWORD", "REGISTRY_TOKEN"):
            if name not in node.env:
                node.env[name] = f"{MARK}-{name}"
            secrets[name] = node.env[name]
        node.write_env()
    for path in pathlib.Path(cluster.folder).rglob("*.key"):
        rows = [row for row in path.read_text().splitlines() if row and "-----" not in row]
        secrets[f"key {path.name} of {path.parent.name}"] = rows[len(rows) // 2]
    return {name: value for name, value in secrets.items() if len(value) >= 8}


def scraped(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_no_secret_is_anywhere_it_must_not_be(make_cluster):
    http = f"127.0.0.1:{free_port()}"
    cluster = make_cluster(start=False, tls=True, coordinator={"http": {"listen": http}})
    hook = cluster.folder / "hook"
    hook.write_text("#!/bin/sh\nenv\n")
    hook.chmod(0o755)
    secrets = plant(cluster)
    assert len(secrets) >= 8, secrets.keys()
    for agent in cluster.agents.values():
        agent.ini.write_text(agent.ini.read_text() + f"[hooks]\nbefore_stop = {hook}\n")
    cluster.start()
    cluster.cli("startup", expect=0)
    cluster.app.offer(Release("2.2.16"))
    cluster.cli("maintenance", "begin", "--page", "--detach")
    wait_for(lambda: cluster.cli.status()["status"]["run"]["state"] == "held", 30, "the page is up")
    link = cluster.cli("bypass", "--json", expect=0).json[0]["bypass"]["url"]
    secrets["the bypass link"] = link.rsplit("=", 1)[-1].rsplit("/", 1)[-1][-24:]
    metrics = scraped(http)
    assert 'fermata_run_info{command="maintenance",step="hold"' in metrics
    cluster.cli("maintenance", "end", expect=0)
    with Looking(cluster, secrets) as looking:
        cluster.cli("upgrade", "--to", "2.2.16", "--yes", expect=0)
    assert looking.looks > 10 and not looking.found
    metrics += scraped(http)
    assert not in_answers(cluster, secrets)
    assert not [name for name, value in secrets.items() if value in metrics]
    assert not in_files(cluster, secrets)


def test_a_leak_would_be_seen(make_cluster):
    """What the sweep above is worth: a secret in each kind of place, and each is found."""
    cluster = make_cluster(count=1)
    cluster.cli("startup", expect=0)
    secrets = plant(cluster)
    leak = secrets["APP_KEY"]
    (cluster.folder / "leak.log").write_text(f"password {leak}\n")
    assert in_files(cluster, secrets) == {"APP_KEY in leak.log"}
    with subprocess.Popen(["sh", "-c", "read x", "sh", leak], stdin=subprocess.PIPE) as child:
        wait_for(lambda: "APP_KEY in the command line of sh" in in_processes(cluster, secrets), 10, "it is seen")
        child.stdin.close()
    cluster.coordinator.configure(public_url=f"https://x.example/{leak}")
    cluster.coordinator.stop()
    cluster.coordinator.env["FERMATA_LEAK"] = leak
    cluster.coordinator.start()
    cluster.wait_connected()
    assert "APP_KEY in fermata config show" in in_answers(cluster, secrets)
    assert any("in the environment of fermata-coordin" in text for text in in_processes(cluster, secrets))
