"""What is looked through for secrets: every command line, our environments, files and answers. Secrets are
{name: value}; what is found is a set of sentences."""

import base64
import os
import pathlib

from cues import Again

# No environment of ours holds one; the application's does, by NocoBase's nature.
OURS = ("fermata-agent", "fermata-coordin", "fermata-dbjob", "fermata", "pg_dump", "pg_restore")


def in_base64(name, value):
    """As it would stand in the base64 of whatever it is a part of: one row for each place in three bytes."""
    rows = {}
    for shift in range(3):
        coded = base64.urlsafe_b64encode(b"\0" * shift + value.encode()).decode().rstrip("=")
        rows[f"{name} in base64 ({shift})"] = coded[shift + (shift > 0):-1]
    return rows


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
    own += [node.folder / "config.json" for node in cluster.nodes]  # as docker login writes it
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


class Looking(Again):
    """At all processes; `found` is what they showed."""

    def __init__(self, cluster, secrets):
        super().__init__(every=0.02)
        self.cluster, self.secrets, self.found, self.looks = cluster, secrets, set(), 0

    def look(self):
        self.found |= in_processes(self.cluster, self.secrets)
        self.looks += 1
