"""The application on its nodes: folders, settings, releases; real NocoBase or the stand-in."""

import dataclasses
import json
import os
import pathlib
import secrets
import shlex
import shutil
import subprocess
import sys

from .place import CACHE, TESTS, StageError

MAKER = TESTS / "stage" / "nocobase.sh"
STANDIN = TESTS / "standin" / "standin.py"
BASE_VERSION = "2.2.15"
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@nocobase.com", "admin123"


def make(*words):
    """Runs nocobase.sh, whose progress goes to our standard error; its standard output."""
    done = subprocess.run([MAKER, *[str(w) for w in words]], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StageError(f"nocobase.sh {words[0]} failed with {done.returncode}")
    return done.stdout.strip()


@dataclasses.dataclass
class Release:
    """How a release came about: made from npm, or relabelled from it with a test migration."""
    version: str
    how: str = "ok"  # ok | fail | slow:SECONDS; of the base itself nothing


class RealNocoBase:
    """The real one from npm. Sources of releases are made on the first call that names them."""
    kind = "nocobase"
    start_command = "node node_modules/.bin/nocobase-v1 start --launch-mode node"

    def __init__(self, folder):
        self.sources = pathlib.Path(folder) / "sources"
        self.base = CACHE / "apps" / BASE_VERSION
        self._how = {}
        make("base", BASE_VERSION, self.base)
        self.path = make("path") + ":" + os.environ["PATH"]

    def offer(self, release):
        """Makes a release that the nodes' fetch command can find."""
        source = self.sources / release.version
        if self._how.setdefault(release.version, release.how) != release.how:
            shutil.rmtree(source)
            self._how[release.version] = release.how
        if source.exists():
            return
        if release.version == BASE_VERSION:
            self.sources.mkdir(parents=True, exist_ok=True)
            source.symlink_to(self.base)
        else:
            make("relabel", self.base, release.version, source, release.how)

    def install(self, version, folder):
        make("copy", (self.sources / version).resolve(), folder)

    @property
    def fetch_command(self):
        return f'exec {shlex.quote(str(MAKER))} copy {shlex.quote(str(self.sources))}/"$FERMATA_VERSION"/. "$FERMATA_RELEASE_DIR"'

    def extra_env(self, node):
        return {"NODE_OPTIONS": f"--require={TESTS / 'stage' / 'tap.js'}", "FERMATA_TAP": node.access_log}


class StandIn:
    """tests/standin/standin.py: the same protocol in milliseconds, and told to misbehave."""
    kind = "standin"
    start_command = f"{sys.executable} -IS {STANDIN} start --launch-mode node"
    path = os.environ["PATH"]

    def __init__(self, folder):
        self.sources = pathlib.Path(folder) / "sources"

    def offer(self, release, **tune):
        """tune: the stand-in's own settings (standin.py), for every node that fetches it from now on."""
        if release.how != "ok":
            tune["migration"] = release.how
        make_fake(self.sources / release.version, release.version, tune)

    def install(self, version, folder):
        shutil.copytree(self.sources / version, folder)

    @property
    def fetch_command(self):
        return (f'mkdir -p "$FERMATA_RELEASE_DIR" && cp -a {shlex.quote(str(self.sources))}/"$FERMATA_VERSION"/. '
                '"$FERMATA_RELEASE_DIR"/')

    def extra_env(self, node):
        return {"STANDIN_ACCESS_LOG": node.access_log, "STANDIN_TUNE": node.tune_file}


def make_fake(folder, version, tune=None):
    package = pathlib.Path(folder) / "node_modules/@nocobase/server/package.json"
    package.parent.mkdir(parents=True, exist_ok=True)
    package.write_text(json.dumps({"name": "@nocobase/server", "version": version}, indent=2))
    (pathlib.Path(folder) / "standin.json").write_text(json.dumps(tune or {}))


class Node:
    """One node's folder: root/releases, root/current, its settings, its run folder."""

    def __init__(self, name, folder, port, shared):
        self.name, self.port = name, port
        self.folder = pathlib.Path(folder)
        self.root, self.run = self.folder / "app", self.folder / "run"
        self.releases, self.current = self.root / "releases", self.root / "current"
        self.env_file = self.folder / "app.env"
        self.access_log = self.folder / "access.log"
        self.tune_file = self.folder / "tune.json"
        for path in (self.releases, self.run):
            path.mkdir(parents=True)
        self.env = dict(shared, APP_PORT=port)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def write_env(self):
        self.env_file.touch(mode=0o600)
        self.env_file.write_text("".join(f"{key}={value}\n" for key, value in self.env.items()))

    def switch(self, version):
        """Points `current` at a release, atomically."""
        fresh = self.root / "current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"releases/{version}")
        fresh.rename(self.current)

    def tune(self, **settings):
        """Settings of the stand-in on this node alone; they win over the release's own."""
        fresh = self.tune_file.with_suffix(".new")
        fresh.write_text(json.dumps(settings))
        fresh.rename(self.tune_file)

    def clear_access_log(self):
        if self.access_log.exists():
            os.truncate(self.access_log, 0)


def shared_env(postgres, redis, storage, stage_id):
    """What all nodes have in common."""
    return {
        "APP_ENV": "production", "APP_HOST": "127.0.0.1", "TZ": "UTC",
        "APP_KEY": secrets.token_hex(24), "APP_AES_SECRET_KEY": secrets.token_hex(32),
        "DB_DIALECT": "postgres", "DB_HOST": "127.0.0.1", "DB_PORT": postgres.port,
        "DB_DATABASE": "nocobase", "DB_USER": "nocobase", "DB_PASSWORD": postgres.password,
        "STORAGE_PATH": storage, "CACHE_DEFAULT_STORE": "redis" if redis else "memory",
        **({"CACHE_REDIS_URL": redis.url, "REDIS_URL": redis.url} if redis else {}),
        "INIT_ROOT_EMAIL": ADMIN_EMAIL, "INIT_ROOT_PASSWORD": ADMIN_PASSWORD,
        "INIT_ROOT_USERNAME": "nocobase", "INIT_ROOT_NICKNAME": "Administrator",
        "FERMATA_STAGE": stage_id,
    }
