"""A container engine and a registry of this stage alone, and images of the stand-in in them."""

import base64
import contextlib
import crypt
import http.client
import io
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import urllib.parse

from .application import STANDIN
from .place import Process, StageError, free_port, is_listening, wait_for

APP_DIR = "/app/nocobase"


class EngineError(StageError):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, limit):
        super().__init__("engine", timeout=limit)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """dockerd, ended by its pid; every container of it ends with it."""
    ulimits = ()  # that a container has to ask for
    tells_names = False  # of an image in place of its digest, whatever it was asked for by

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.socket = self.folder / "docker.sock"
        self.process = None
        self._drivers = ("overlay2", "overlay2", "vfs")

    def start(self):
        """Also again, after a kill. Raises StageError with dockerd's own words where it cannot run."""
        if not shutil.which("dockerd"):
            raise StageError("dockerd is not installed")
        for driver in self._drivers:
            self.process = Process("dockerd", [
                "dockerd", "--host", f"unix://{self.socket}", "--data-root", self.folder / "data",
                "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "--iptables=false",
                "--bridge=none", f"--storage-driver={driver}"], self.folder / "dockerd.log")
            if self._answers(60):
                self._drivers = (driver,) * 5  # with another it would not find what it has
                return self
        raise StageError(f"dockerd does not run here: {self.process.tail(3)}")

    def _answers(self, limit):
        def is_there():
            if not self.process.is_alive():
                return "ended"
            try:
                return self.ask("GET", "/_ping", limit=5) == "OK" and "well"
            except OSError:
                return False
        return wait_for(is_there, limit, "dockerd answers") == "well"

    def stop(self):
        if self.process is None:
            return
        if self.process.is_alive():
            for row in self.ask("GET", "/containers/json?all=1"):
                self.remove(row["Id"])
        try:
            self.process.stop(60)
        finally:
            self._clear()

    def _clear(self):
        """What a dockerd that was killed has left: its containerd, and mounts."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "exec/containerd/containerd.pid").read_text()), signal.SIGTERM)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for path in reversed([path for path in mounts if path.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", path], check=False)

    def ask(self, method, path, body=None, headers=None, limit=60):
        """The answer, as JSON where it is; a stream of objects is a list. EngineError for a refusal."""
        link = _Connection(self.socket, limit)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        try:
            link.request(method, urllib.parse.quote(path, safe="/?&=%:@.,"), body, headers)
            answer = link.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            link.close()
        if answer.status >= 300 and answer.status != 304:
            raise EngineError(answer.status, text)
        try:
            return json.loads(text)
        except ValueError:
            pass
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return text

    def stream(self, method, path, body=None, headers=None):
        """As ask(), of an answer that tells its failure in its last line."""
        rows = self.ask(method, path, body, headers, limit=300)
        rows = rows if isinstance(rows, list) else [rows]
        for row in rows:
            if isinstance(row, dict) and "error" in row:
                raise EngineError(200, row["error"])
        return rows

    def inspect(self, name):
        """None: there is no such container."""
        try:
            return self.ask("GET", f"/containers/{name}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def remove(self, name):
        try:
            self.ask("DELETE", f"/containers/{name}?force=1&v=1")
        except EngineError as error:
            if error.status != 404:
                raise

    def load(self, repository, tag, lines, tar, headers=None):
        """An image from its file system and the lines of its Dockerfile. tar: bytes or a file."""
        changes = "&".join(f"changes={urllib.parse.quote(line, safe='')}" for line in lines)
        self.stream("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}&{changes}", tar,
                    {"Content-Type": "application/x-tar", **(headers or {})})

    def names(self):
        return sorted(row["Names"][0][1:] for row in self.ask("GET", "/containers/json?all=1"))


class Registry:
    """docker-registry on loopback, for one user with a password."""
    user = "fermata"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.password = secrets.token_hex(8)
        salt = "$2b$05$" + secrets.token_hex(11)
        (self.folder / "htpasswd").write_text(f"{self.user}:{crypt.crypt(self.password, salt)}\n")
        (self.folder / "config.yml").write_text(json.dumps({
            "version": "0.1", "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
            "auth": {"htpasswd": {"realm": "stage", "path": str(self.folder / "htpasswd")}}}))
        self.process = None

    @property
    def repository(self):
        return f"127.0.0.1:{self.port}/nocobase/nocobase"

    def start(self):
        if not shutil.which("docker-registry"):
            raise StageError("docker-registry is not installed")
        self.process = Process("registry", ["docker-registry", "serve", self.folder / "config.yml"],
                               self.folder / "registry.log")
        wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), 20, "the registry listens")
        return self

    def stop(self):
        if self.process:
            self.process.stop(20)

    def write_login(self, path):
        """As docker login writes it."""
        auth = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        path = pathlib.Path(path)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"auths": {f"127.0.0.1:{self.port}": {"auth": auth}}}))

    @property
    def header(self):
        auth = {"username": self.user, "password": self.password, "serveraddress": f"127.0.0.1:{self.port}"}
        return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()}


# ---- images ----

# What every container of the stage mounts: the host's programs, so that images are small.
HOST_PROGRAMS = "/usr:/usr:ro"


def file_system(tar):
    """Nothing but the way to the host's programs."""
    for name in ("bin", "lib", "lib64", "sbin"):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, f"usr/{name}"
        tar.addfile(info)
    for name in ("usr", "tmp", "etc"):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(info)


def settings(version, command):
    """The image's own settings, as a Dockerfile has them."""
    return ["ENV NOCOBASE_RUNNING_IN_DOCKER=true", f"ENV IMAGE_SAYS={version}", f"WORKDIR {APP_DIR}", "EXPOSE 80",
            f"LABEL org.opencontainers.image.version={version}", f"CMD {json.dumps(command)}"]


def _tar(version, tune):
    """The stand-in and its release."""
    package = json.dumps({"name": "@nocobase/server", "version": version}).encode()
    files = {
        f"{APP_DIR}/node_modules/@nocobase/server/package.json": package,
        f"{APP_DIR}/standin.json": json.dumps(tune).encode(),
        f"{APP_DIR}/ballast": os.urandom(4 << 20),  # so that a pull has something to tell
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        file_system(tar)
        tar.add(STANDIN, "app/standin.py")
        for name, raw in files.items():
            info = tarfile.TarInfo(name[1:])
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return out.getvalue()


COMMAND = ["/usr/bin/python3", "-IS", "/app/standin.py", "start", "--quickstart"]


class Images:
    """Releases as images: made here, pushed, and taken off the engine again."""
    is_real, memory, binds = False, 512 << 20, [HOST_PROGRAMS]

    def __init__(self, engine, registry):
        self.engine, self.registry = engine, registry

    def make(self, tag, version=None, **tune):
        """tag: of the repository; version: of the code in it, the tag when not given."""
        version = version or tag
        self.engine.load(self.registry.repository, tag, settings(version, COMMAND), _tar(version, tune))
        return self.push(tag)

    def push(self, tag):
        self.engine.stream("POST", f"/images/{self.registry.repository}/push?tag={tag}", headers=self.registry.header)
        return f"{self.registry.repository}:{tag}"

    def env(self, node):  # pylint: disable=unused-argument
        """What a container of these needs besides its node's settings."""
        return {"STANDIN_ACCESS_LOG": "/node/access.log", "STANDIN_TUNE": "/node/tune.json",
                "STANDIN_SAYS": "app has been started"}

    def forget(self, tag):
        """It is in the registry only."""
        try:
            self.engine.ask("DELETE", f"/images/{self.registry.repository}:{tag}?force=1")
        except EngineError as error:
            if error.status != 404:
                raise
