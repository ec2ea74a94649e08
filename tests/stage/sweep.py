#!/usr/bin/python3
"""sweep.py FOLDER - ends everything that belongs to a kept stage, and removes its folder."""

import contextlib
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from stage.place import born, kill_processes_with, remove_folder, wait_for


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    kept = json.loads((folder / "kept.json").read_text(encoding="utf-8"))
    # Our own programs first (they would start things again), then the application, then the services.
    for group in ("programs", None, "services"):
        if group is None:
            kill_processes_with(f"FERMATA_STAGE={folder.name}")
            continue
        alive = [pid for pid, since in kept[group] if born(pid) == since]
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if group == "services" else signal.SIGTERM)
        wait_for(lambda: not any(born(pid) for pid in alive), 30, f"end of the {group}")
    remove_folder(folder)


if __name__ == "__main__":
    main()
