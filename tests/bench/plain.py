"""The application without Fermata: started and ended by hand, behind a plain nginx."""

import contextlib
import os
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from stage.gate import Gate
from stage.place import StageError, is_listening, processes_with, wait_for

RUNBOOK = pathlib.Path(__file__).with_name("runbook.sh")


def environment(stage, node):
    return {"PATH": f"{node.current}/node_modules/.bin:{stage.app.path}", "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8", **{key: str(value) for key, value in node.env.items()},
            "APP_ENV_PATH": str(node.env_file), "SOCKET_PATH": str(node.run / "gateway.sock"),
            "PM2_HOME": str(node.run / "pm2"), "NB_SKIP_STARTUP_UPDATE": "1", "FERMATA_NODE": node.name}


def start(stage, node, *args):
    """Starts the application on its current release, as a group of its own."""
    with open(node.folder / "app.log", "ab") as log:
        subprocess.Popen([*stage.app.start_command.split(), *args], cwd=node.current, env=environment(stage, node),
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def groups(stage):
    """Process groups of the application, all nodes."""
    found = set()
    for pid in processes_with(f"FERMATA_STAGE={stage.id}"):
        with contextlib.suppress(ProcessLookupError):
            found.add(os.getpgid(pid))
    return found


def send(stage, number):
    for group in groups(stage):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)


def is_ready(node):
    """Health check and app:getInfo; StageError when it failed for good."""
    for path in ("__health_check", "app:getInfo"):
        try:
            with urllib.request.urlopen(f"http://{node.address}/api/{path}", timeout=5) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if "APP_ERROR" in text:
                raise StageError(f"{node.name}: {text}") from None
            return False
        except OSError:
            return False
    return True


def wait_ready(nodes, limit=180, every=0.05):
    wait_for(lambda: all([is_ready(node) for node in nodes]), limit, "nodes are ready", every)


def reap():
    """Takes the end of children that were started and forgotten."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def stop_all(stage, every=0.05):
    """The quickest end that does no harm: TERM to all, KILL when the ports are closed or 15 s are over."""
    send(stage, signal.SIGTERM)
    with contextlib.suppress(StageError):
        wait_for(lambda: not any(is_listening(node.port) for node in stage.nodes), 15, "closed ports", every)
    send(stage, signal.SIGKILL)
    wait_for(lambda: reap() or not groups(stage), 15, "end of all processes", every)


class PlainGate(Gate):
    """nginx with a page that is switched by an included file and a reload."""

    def page(self, on):
        self._page.write_text("add_header Retry-After 60 always; return 503;\n" if on else "")
        self.process.send(signal.SIGHUP)

    def write_cluster(self, stage, path):
        """The file that runbook.sh reads."""
        lines = {"NODES": " ".join(node.name for node in stage.nodes), "GATE_INC": self._page,
                 "GATE_PID": self.master(), "GATE_URL": self.url, "STORAGE": stage.storage,
                 "BACKUP": stage.folder / "runbook-backup", "DATABASE": stage.postgres.conninfo}
        for node in stage.nodes:
            lines.update({f"{node.name}_ROOT": node.root, f"{node.name}_ENV": node.env_file,
                          f"{node.name}_RUN": node.run, f"{node.name}_PORT": node.port})
        path.write_text("".join(f"{key}='{value}'\n" for key, value in lines.items()))
        return path


def runbook(stage, cluster_file, word):
    """Runs runbook.sh; what it said."""
    env = {"PATH": stage.app.path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
           "PGPASSFILE": str(stage.postgres.passfile)}
    done = subprocess.run([RUNBOOK, cluster_file, word], env=env, capture_output=True, text=True, check=False,
                          timeout=600)
    if done.returncode:
        raise StageError(f"the runbook failed:\n{done.stdout}{done.stderr}")
    return done.stdout
