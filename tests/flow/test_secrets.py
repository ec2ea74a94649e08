"""Secrets stay where they belong: before, during and after an upgrade nothing of Fermata holds one where it
could be read, printed or kept."""

import os
import pathlib
import subprocess
import threading

from stage.application import Release
from stage.place import wait_for

# Who may have which in its environment: the application itself, by NocoBase's nature; nobody of ours.
OURS = ("fermata-agent", "fermata-coordin", "fermata-dbjob", "fermata", "pg_dump", "pg_restore")
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


def readable(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def is_of(cluster, pid, text):
    return str(cluster.folder) in text or any(pid == program.process.pid for program in cluster.programs)


def in_processes(cluster, secrets):
    """What any command line shows, of whomever, and what the environments of ours hold."""
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        argv, comm = readable(entry, "cmdline"), readable(entry, "comm").strip()
        for name, value in secrets.items():
            if value in argv:
                found.add(f"{name} in the command line of {comm}")
        if comm in OURS and is_of(cluster, int(entry), argv):
            environ = readable(entry, "environ")
            found |= {f"{name} in the environment of {comm}" for name, value in secrets.items() if value in environ}
    return found


def may_hold(cluster, path):
    """Where a secret lies because its owner put it there, or because it is what a backup is of."""
    # The settings are part of a restore point, and nobody else's to read there, too.
    if "snapshots" in path.parts and path.name == "env" and path.stat().st_mode & 0o077 == 0:
        return True
    own = [node.env_file for node in cluster.nodes] + [cluster.postgres.passfile]
    return (path in own or path.suffix == ".key" or "restore-points" in path.parts or "postgres" in path.parts
            or "sources" in path.parts or "releases" in path.parts)


def in_files(cluster, secrets):
    found, seen = set(), 0
    for path in cluster.folder.rglob("*"):
        if path.is_symlink() or not path.is_file() or may_hold(cluster, path):
            continue
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        seen += 1
        found |= {f"{name} in {path.relative_to(cluster.folder)}" for name, value in secrets.items() if value in text}
    assert seen > 15, "logs, journal and states are among them"
    return found


def in_answers(cluster, secrets):
    found = set()
    for words in (["status"], ["status", "--json"], ["show"], ["show", "--json"], ["doctor"], ["doctor", "--json"],
                  ["plan", "restart"], ["plan", "restart", "--json"], ["config", "show"], ["config", "show", "--json"],
                  ["runs", "--json"]):
        said = cluster.cli(*words)
        assert said.out, said
        found |= {f"{name} in fermata {' '.join(words)}" for name, value in secrets.items()
                  if value in said.out + said.err}
    return found


def watched(cluster, secrets, *words):
    """Runs a command, and looks at all processes again and again meanwhile."""
    found, looks, over = set(), 0, threading.Event()
    child = cluster.cli.begin(*words)
    thread = threading.Thread(target=lambda: (child.communicate(timeout=300), over.set()))
    thread.start()
    while not over.is_set():
        found |= in_processes(cluster, secrets)
        looks += 1
        over.wait(0.02)
    thread.join()
    assert looks > 10 and child.returncode == 0
    return found


def test_no_secret_is_anywhere_it_must_not_be(make_cluster):
    cluster = make_cluster(start=False, tls=True)
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
    cluster.cli("maintenance", "end", expect=0)
    assert not watched(cluster, secrets, "upgrade", "--to", "2.2.16", "--yes")
    assert not in_answers(cluster, secrets)
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
