#!/usr/bin/python3
"""sizes.py FILE ... - a file has at most 500 lines, a function at most 60."""
import subprocess
import sys

FILE_MOST, FUNCTION_MOST = 500, 60


def main(files):
    bad = []
    for name in files:
        with open(name, encoding="utf-8") as f:
            lines = sum(1 for _ in f)
        if lines > FILE_MOST:
            bad.append(f"{name}: {lines} lines")
    tags = subprocess.run(
        ["ctags", "-L", "-", "--languages=C", "--kinds-C=f", "--fields=+ne", "-f", "-"],
        input="\n".join(files), text=True, check=True, capture_output=True)
    for line in tags.stdout.splitlines():
        if line.startswith("!"):
            continue
        function, name, *fields = line.split("\t")
        at = dict(f.split(":", 1) for f in fields if ":" in f)
        size = int(at.get("end", at["line"])) - int(at["line"]) + 1
        if size > FUNCTION_MOST:
            bad.append(f"{name}:{at['line']}: {function} has {size} lines")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
