#!/usr/bin/python3
"""Plants bugs in the runner and the agent core, one at a time, and lets the simulator look for them.

A test of the test: a bug that the simulator does not see is a hole in it. Each row of mutants.txt names a
file, what stands there, what is put in its place, and what that breaks. A mutant counts as caught when the
simulator finds a violation or a run that is stuck (or the mutant trips an assertion), or when it does not come
to an end in a multiple of the time that it takes without a bug.

  mutate.py [--build DIR] [--only N] [--least N]
  mutate.py --check         only: every text stands where its row says
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SIMULATION = ["--first", "--quick", "--runs", "4000"]


def read_mutants(path):
    """Blocks of "# what breaks", "file", "- old" lines, "+ new" lines, separated by blank lines."""
    mutants = []
    for block in re.split(r"\n\s*\n", open(path, encoding="utf-8").read().strip()):
        lines = [line for line in block.splitlines() if not line.startswith("##")]
        if not lines:
            continue
        what = lines[0].lstrip("# ")
        old = "\n".join(line[2:] for line in lines[2:] if line.startswith("- "))
        new = "\n".join(line[2:] for line in lines[2:] if line.startswith("+ "))
        mutants.append((what, lines[1].strip(), old, new))
    return mutants


def sources(build):
    """Every C file that the simulator is made of, with its compile command."""
    commands = json.load(open(os.path.join(build, "compile_commands.json"), encoding="utf-8"))
    wanted = ("coordinator/run/", "coordinator/steps/", "coordinator/procedures/", "coordinator/fleet/",
              "agent/core/", "tests/sim/", "proto/base/", "proto/wire/ask.c")
    found = {}
    for entry in commands:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
        if path.startswith(wanted) and "options" not in path and "test_" not in path:
            found.setdefault(path, None)
    return sorted(found)


def compile_one(source, target, extra=()):
    flags = ["-std=gnu17", "-O1", "-g0", "-w", "-D_GNU_SOURCE", '-DFM_VERSION="mutant"',
             "-I", TOP, "-I", os.path.join(TOP, "proto")]
    return subprocess.run(["cc", *flags, *extra, "-c", source, "-o", target], check=False,
                          capture_output=True, text=True)


def check(mutants):
    """Whether every text stands exactly once; says which does not."""
    good = True
    for number, (what, path, old, _) in enumerate(mutants, 1):
        count = open(os.path.join(TOP, path), encoding="utf-8").read().count(old)
        if count != 1:
            print(f"mutant {number} ({what}): its text stands {count} times in {path}")
            good = False
    return good


def link(objects, program):
    subprocess.run(["cc", *objects, "-o", program], check=True)


def simulate(program, limit_s=None):
    """(has it found something, its first words)"""
    try:
        run = subprocess.run([program, *SIMULATION], check=False, capture_output=True, text=True, timeout=limit_s)
        return run.returncode != 0, (run.stdout.splitlines() or [run.stderr.strip()])[0]
    except subprocess.TimeoutExpired:
        return True, f"it never ends ({limit_s:.0f} s)"


def compile_all(build, scratch):
    """{source: object}"""
    objects = {}
    for number, path in enumerate(sources(build)):
        objects[path] = os.path.join(scratch, f"{number}.o")
        done = compile_one(os.path.join(TOP, path), objects[path])
        if done.returncode != 0:
            sys.exit(f"{path} does not compile: {done.stderr}")
    return objects


def plant(objects, scratch, program, number, mutant):
    """Makes the program with this bug in it."""
    what, path, old, new = mutant
    mutated, made = os.path.join(scratch, "mutant.c"), os.path.join(scratch, "mutant.o")
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        text = file.read()
    with open(mutated, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))
    if compile_one(mutated, made, ("-I", os.path.join(TOP, os.path.dirname(path)))).returncode != 0:
        sys.exit(f"mutant {number} ({what}) does not compile")
    link([o for p, o in objects.items() if p != path] + [made], program)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", type=int, default=0)
    parser.add_argument("--least", type=int, default=19)
    args = parser.parse_args()
    mutants = read_mutants(os.path.join(HERE, "mutants.txt"))
    if not check(mutants):
        return 1
    if args.check:
        return 0
    caught = 0
    with tempfile.TemporaryDirectory() as scratch:
        objects, program = compile_all(args.build, scratch), os.path.join(scratch, "fm-sim")
        link(objects.values(), program)
        began = time.monotonic()
        seen, told = simulate(program)
        if seen:
            sys.exit(f"without any bug the simulator says: {told}")
        limit_s = 5 * (time.monotonic() - began)
        print(f"without a bug: nothing found in {limit_s / 5:.0f} s", flush=True)
        for number, mutant in enumerate(mutants, 1):
            if args.only and number != args.only:
                continue
            plant(objects, scratch, program, number, mutant)
            seen, told = simulate(program, limit_s)
            caught += seen
            print(f"{'caught' if seen else 'MISSED':7} {number:3} {mutant[0]}\n            {told[:110] if seen else mutant[1]}",
                  flush=True)
    total = 1 if args.only else len(mutants)
    print(f"mutate: {caught} of {total} planted bugs caught")
    return 0 if caught >= (total if args.only else min(total, max(args.least, total - 1))) else 1


if __name__ == "__main__":
    sys.exit(main())
