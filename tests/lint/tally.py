"""tally.py PATH ... - adds up test results and prints `N passed, N failed`; exit code 1 if any failed.

PATH is a folder of meson's logs (every sub-test of a TAP program counts), a JUnit file of pytest, or
a folder of sanitizer reports (every file in it is a failure, but for those of processes that were killed)."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


def of_meson(folder):
    """A program that ended badly without a failed sub-test (a crash, a time-out) is a failure too."""
    passed = failed = 0
    for log in sorted(folder.glob("testlog*.json")):
        for line in log.read_text(errors="replace").splitlines():
            test = json.loads(line)
            out = test.get("stdout") or ""
            good = len(re.findall(r"^ok \d+(?!.*# SKIP)", out, re.MULTILINE))
            bad = len(re.findall(r"^not ok \d+", out, re.MULTILINE))
            fine = test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
            if not fine:
                print(f"failed: {test['name']} ({test['result']})")
            if fine and good + bad == 0:
                good = test["result"] != "SKIP"
            passed += good
            failed += bad if fine else max(bad, 1)
    return passed, failed


def of_junit(path):
    passed = failed = 0
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        bad = number["failures"] + number["errors"]
        failed += bad
        passed += max(number["tests"] - bad - number["skipped"], 0)
    return passed, failed


# What the search for leaks says when its process is killed meanwhile, as flows do: it has found nothing.
_KILLED = re.compile(r"(==\d+==Unable to get registers from thread \d+\.\n)+")


def of_reports(folder):
    found = 0
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        text = path.read_text(errors="replace")
        print(f"--- {path.name}\n{text[:4000]}")
        if not _KILLED.fullmatch(text):
            found += 1
    return 0, found


def main(paths):
    passed = failed = 0
    for path in map(pathlib.Path, paths):
        if path.name == "meson-logs":
            good, bad = of_meson(path)
        elif path.is_dir():
            good, bad = of_reports(path)
        else:
            good, bad = of_junit(path)
        passed, failed = passed + good, failed + bad
    if passed + failed == 0:
        print("no test has run")
        failed = 1
    sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
