#!/usr/bin/python3
"""How many pages a second: the gate's against what else nginx can send in its place, and HAProxy's.

    gate_page.py [--rounds N] [--seconds N] | --smoke

One worker each, the same client and connections for all, by turns. What is compared is pages for a second
of the server's processor time: what a worker can send when it has a processor for itself, whoever else is
on the machine. The rounds are short, every other one goes backwards, and ours runs right beside what it is
held against; each gives one ratio, the verdict is over their median. Where the middle half of them lies is
shown, too: as far apart as two equal servers would be. All send the same headers, and as many bytes."""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
import scratch
from stage.place import StageError

FILE_LEAST, TEXT_LEAST = 1.5, 1.0
CONNECTIONS = 32

OURS, FILE, TEXT = "the gate", "error_page 503 and a file", "return 503 \"text\""
ERRORFILE, RETURN = "HAProxy, errorfile 503", "HAProxy, http-request return"

_FILE = """error_page 503 /page.html;
        location / {{ return 503; }}
        location = /page.html {{ internal; types {{ }} default_type "text/html; charset=utf-8"; {0} }}"""
_TEXT = """location / {{ default_type "text/html; charset=utf-8"; {0} return 503 "{1}"; }}"""
_PART = 3900  # nginx takes no longer word in a configuration


def text_server(page, headers):
    """Lines of http and server that return a text, in parts if it is long."""
    if len(page) <= _PART:
        return "", _TEXT.format(headers, page)
    parts = [page[at:at + _PART] for at in range(0, len(page), _PART)]
    maps = "\n".join(f'map "" $part{n} {{ default "{part}"; }}' for n, part in enumerate(parts))
    return maps, _TEXT.format(headers, "".join(f"$part{n}" for n in range(len(parts))))


def servers(where):
    """Everything that sends a page, by name, started; those that are held against ours beside it."""
    ours = scratch.Nginx(where, "ours", "fermata on;", gate="closed").start()
    head, body = ours.head(), ours.get()[1]
    fields = scratch.fields_of(head)
    page, headers = scratch.page_like(len(body)), scratch.add_headers(fields)
    found = {FILE: scratch.Nginx(where, "file", _FILE.format(headers)), OURS: ours}
    (found[FILE].prefix / "html/page.html").write_text(page)
    found[FILE].start()
    http, server = text_server(page, headers)
    found[TEXT] = scratch.Nginx(where, "text", server, http=http).start()
    found[ERRORFILE] = scratch.Haproxy(where, "errorfile", "default_backend none", "backend none", page, fields).start()
    hdr = " ".join(f'hdr {name} "{value}"' for name, value in fields.items())
    found[RETURN] = scratch.Haproxy(
        where, "return", f'http-request return status 503 content-type "{head["Content-Type"]}" '
        f"file {where}/return.html {hdr}", "", page, fields).start()
    for name, one in found.items():
        status, body = one.get()
        sent = one.head()
        if status != 503 or len(body) != len(page) or any(sent[field] != value for field, value in fields.items()):
            raise StageError(f"{name}: {status} with {len(body)} bytes in place of {len(page)}, and {sent}\n{one.said()}")
    return found, len(page)


def cpu_s(one):
    """Processor time of the processes below the one that was started, or its own if it has none."""
    took = 0
    for pid in one.worker_pids() or [one.process.pid]:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            took += int(task.read_text(encoding="ascii").split()[0])
    return took / 1e9


def per_second(one, seconds):
    """Pages for a second of the clock, and for one of the server's processor time."""
    before = cpu_s(one)
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", one.url + "/x"],
                          capture_output=True, text=True, check=True, timeout=seconds + 60)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    total = re.search(r"(\d+) requests in", done.stdout)
    if not refused or refused.group(1) != total.group(1):
        raise StageError(f"not every answer was the page:\n{done.stdout}")
    rate = float(re.search(r"Requests/sec: *([\d.]+)", done.stdout).group(1))
    return rate, int(total.group(1)) / (cpu_s(one) - before)


def rounds(found, options):
    """Rates by name, one pair a round."""
    rates = {name: [] for name in found}
    for number in range(options.rounds):
        for name in (list(found), list(reversed(found)))[number % 2]:
            rates[name].append(per_second(found[name], options.seconds))
    return rates


def judge(rates):
    """Prints; says whether the bars are held."""
    good = True
    for name, figures in rates.items():
        ratios = [ours[1] / theirs[1] for ours, theirs in zip(rates[OURS], figures)]
        ratio, (low, _, high) = statistics.median(ratios), statistics.quantiles(ratios, n=4)
        least = {FILE: FILE_LEAST, TEXT: TEXT_LEAST}.get(name)
        held = least is None or ratio >= least
        good = good and held
        verdict = "" if least is None else f"  at least {least:g}: {'held' if held else 'NOT HELD'}"
        clock, cpu = (statistics.median(column) for column in zip(*figures))
        print(f"{name:<32}{clock:>10.0f}{cpu:>14.0f}{ratio:>13.3f}x  {low:.3f}..{high:.3f}{verdict}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="4 rounds")
    options = parser.parse_args()
    if options.smoke:
        options.rounds = 4
    with scratch.folder() as where:
        found, length = servers(where)
        try:
            rates = rounds(found, options)
        finally:
            for one in found.values():
                one.stop()
    print(f"{f'a page of {length} bytes':<32}{'by clock':>10}{'by processor':>14}{'the gate has':>14}  middle half")
    return 0 if judge(rates) else 1


if __name__ == "__main__":
    sys.exit(main())
