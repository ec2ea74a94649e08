#!/usr/bin/python3
"""golden.py [--accept] - generated texts against those kept here.

The unit tests of the suite "golden" compare what is rendered; what a program prints about its own
tables is compared here. --accept writes the files instead: the change is then reviewed as a diff.
"""
import os
import pathlib
import subprocess
import sys

KEPT = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("FERMATA_BUILD", KEPT.parents[1] / "build"))

PRINTED = [
    ("fermata.scd", "coordinator/fermata", "--print-commands"),
    ("coordinator-options.scd", "coordinator/fermata-coordinator", "--print-options"),
    ("procedures.scd", "coordinator/fermata-coordinator", "--print-procedures"),
    ("agent-options.scd", "agent/fermata-agent", "--options"),
]


def printed(accept):
    """Compares or writes each; yields what is wrong."""
    for name, program, word in PRINTED:
        made = subprocess.run([BUILD / program, word], capture_output=True, text=True)
        if made.returncode != 0:
            yield f"{program} {word}: exit code {made.returncode}: {made.stderr.strip()}"
        elif accept:
            (KEPT / name).write_text(made.stdout)
        elif not (KEPT / name).exists():
            yield f"{name} is missing; --accept makes it"
        elif (KEPT / name).read_text() != made.stdout:
            yield f"{name} differs from what {program} {word} prints"


def rendered(accept):
    """The unit tests that compare; yields what is wrong."""
    env = dict(os.environ)
    if accept:
        env["FERMATA_GOLDEN_ACCEPT"] = "1"
    made = subprocess.run(
        ["meson", "test", "-C", BUILD, "--no-rebuild", "--quiet", "--print-errorlogs",
         "--suite", "golden"], env=env)
    if made.returncode != 0:
        yield "unit tests of the suite golden failed"


def main(arguments):
    accept = "--accept" in arguments
    wrong = [*printed(accept), *rendered(accept)]
    for line in wrong:
        print(f"golden: {line}")
    print(f"golden: {len(wrong)} wrong" if wrong else
          f"golden: {'written' if accept else 'as kept'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
