"""Podman's socket in place of Docker's: the same questions, a service of this stage alone."""

import os
import shutil

from .engine import Engine
from .place import Process, StageError


class Podman(Engine):
    """`podman system service`, ended by its pid."""
    # What it would give by itself is more than can be had in every place where these tests run.
    ulimits = ({"Name": "nproc", "Soft": 2048, "Hard": 2048},)
    tells_names = True

    def start(self):
        if not shutil.which("podman"):
            raise StageError("podman is not installed")
        (self.folder / "containers.conf").write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n')
        (self.folder / "registries.conf").write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
        env = dict(os.environ, CONTAINERS_CONF=self.folder / "containers.conf",
                   CONTAINERS_REGISTRIES_CONF=self.folder / "registries.conf")
        self.process = Process("podman", [
            "podman", f"--root={self.folder}/data", f"--runroot={self.folder}/run", "--storage-driver=vfs",
            "system", "service", "--time=0", f"unix://{self.socket}"], self.folder / "podman.log", env=env)
        if not self._answers(60):
            raise StageError(f"podman does not run here: {self.process.tail(3)}")
        return self

    def load(self, repository, tag, lines, tar, headers=None):
        """It gives the name `latest` to all."""
        super().load(repository, tag, lines, tar, headers)
        self.ask("POST", f"/images/{repository}:latest/tag?repo={repository}&tag={tag}")
        self.ask("DELETE", f"/images/{repository}:latest")
