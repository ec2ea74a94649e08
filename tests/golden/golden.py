#!/usr/bin/python3
"""What the programs print about their own tables, against the files kept here.

One test of the suite "golden"; its other tests compare what is rendered. FERMATA_BUILD names the build
folder; with FERMATA_GOLDEN_ACCEPT set the files are written, and the change is reviewed as a diff."""
import os
import pathlib
import subprocess
import sys

KEPT = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("FERMATA_BUILD", KEPT.parents[1] / "build"))

PRINTED = [
    ("fermata.scd", "coordinator/fermata", "--print-commands"),
    ("coordinator-options.scd", "coordinator/fermata-coordinator", "--print-options"),
    ("metrics.scd", "coordinator/fermata-coordinator", "--print-metrics"),
    ("procedures.scd", "coordinator/fermata-coordinator", "--print-procedures"),
    ("agent-options.scd", "agent/fermata-agent", "--options"),
]


def fault(name, program, word):
    """What is wrong with this file, or None."""
    made = subprocess.run([BUILD / program, word], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"{program} {word}: exit code {made.returncode}: {made.stderr.strip()}"
    if os.environ.get("FERMATA_GOLDEN_ACCEPT"):
        (KEPT / name).write_text(made.stdout)
    elif not (KEPT / name).exists():
        return f"{name} is missing; type: ./build.sh golden --accept"
    elif (KEPT / name).read_text() != made.stdout:
        return f"{name} differs from what {program} {word} prints; type: ./build.sh golden --accept"
    return None


def main():
    wrong = [found for row in PRINTED if (found := fault(*row))]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
