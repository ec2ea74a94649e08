"""The cluster's own certificates, as an operator makes them: `fermata cert`."""

import pathlib
import subprocess

from .place import StageError
from .programs import CLI


class Authority:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._cert("init")

    def _cert(self, *argv):
        done = subprocess.run([CLI, "cert", *argv, "--dir", self.folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise StageError(f"fermata cert {' '.join(argv)}: {done.stderr}")
        return done.stdout.splitlines()

    def section(self, role, name, *days):
        """[tls] for a peer of this role and name; days: "--days", "7"."""
        certificate, key = self._cert("issue", role, name, *days)
        return {"ca": self.folder / "ca.crt", "certificate": certificate, "key": key}

    def directives(self, name):
        """The same for a gate."""
        files = self.section("gate", name)
        return (f"fermata_ssl_trusted_certificate {files['ca']};\n\tfermata_ssl_certificate {files['certificate']};\n"
                f"\tfermata_ssl_certificate_key {files['key']};\n\t")
