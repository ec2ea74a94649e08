"""The real NocoBase as images: one from npm, and the same code relabelled as a further layer."""

import contextlib
import os
import shutil
import tarfile
import tempfile

from .application import BASE_VERSION, RealNocoBase, Release
from .engine import APP_DIR, HOST_PROGRAMS, Images, file_system, settings
from .place import CACHE, TESTS

COMMAND = ["node", "node_modules/.bin/nocobase-v1", "start", "--quickstart"]  # as the official image's entrypoint ends


class RealImages(Images):
    """As Images. A container of one begins as NocoBase's own does, with `start --quickstart` and sockets of
    its own, but without pm2, which the npm package does not bring. node and yarn are the host's."""
    is_real, memory, binds = True, 3 << 30, [HOST_PROGRAMS, f"{CACHE}:{CACHE}:ro"]

    def __init__(self, engine, registry, folder):
        super().__init__(engine, registry)
        folder.mkdir(exist_ok=True)
        self.app = RealNocoBase(folder)

    def make(self, tag, how="ok"):  # pylint: disable=arguments-differ
        if tag == BASE_VERSION:
            with self._tar(self._fill_base) as (file, headers):
                self.engine.load(self.registry.repository, tag, settings(tag, COMMAND), file, headers)
        else:
            self.app.offer(Release(tag, how))
            with self._tar(lambda tar: self._fill_changed(tar, tag)) as (file, headers):
                self.engine.stream("POST", f"/build?t={self.registry.repository}:{tag}", file,
                                   {"Content-Type": "application/x-tar", **headers})
        return self.push(tag)

    @contextlib.contextmanager
    def _tar(self, fill):
        """(what fill() has put in, headers): too large for our memory."""
        with tempfile.TemporaryFile(dir=self.app.sources.parent) as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                fill(tar)
            size = file.tell()
            file.seek(0)
            yield file, {"Content-Length": str(size)}

    def _fill_base(self, tar):
        file_system(tar)
        tar.add(TESTS / "stage" / "tap.js", "app/tap.js")
        tar.add(self.app.base, APP_DIR[1:])

    def _fill_changed(self, tar, tag):
        """What the relabelled release does not share with the base, and the way to lay it over that."""
        lines = [f"FROM {self.registry.repository}:{BASE_VERSION}", "ADD changed /", *settings(tag, COMMAND)]
        context = tempfile.mkdtemp(dir=self.app.sources.parent)
        path = os.path.join(context, "Dockerfile")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        tar.add(path, "Dockerfile")
        shutil.rmtree(context)
        source = self.app.sources / tag
        for folder, _, names in os.walk(source):
            for name in names:
                ours = os.path.join(folder, name)
                relative = os.path.relpath(ours, source)
                theirs = os.path.join(self.app.base, relative)
                if not os.path.lexists(theirs) or os.lstat(ours).st_ino != os.lstat(theirs).st_ino:
                    tar.add(ours, f"changed{APP_DIR}/{relative}")

    def env(self, node):
        return {"PATH": self.app.path, "APP_LAUNCH_MODE": "node", "NODE_OPTIONS": "--require=/app/tap.js", "FERMATA_TAP": "/node/access.log"}
