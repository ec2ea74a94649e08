#!/usr/bin/python3
"""How many pages a second: the gate's against what else nginx can send in its place, and HAProxy's.

    gate_page.py [--rounds N] [--seconds N] | --smoke

One worker each, the same client and connections for all. What is compared is pages for a second of the
server's processor time: what a worker can send when it has a processor for itself, whoever else is on the
machine. Servers and clients are on one processor, so that a worker always finds all that its clients have
asked; within a round they take turns of some milliseconds, so that whatever slows the machine slows all.
Each round has servers of its own, as where a process happens to lie in memory makes a percent or two, and
gives one ratio; the verdict is over their median, and where the middle half of them lies is shown. All send the same headers, and as many bytes."""

import argparse
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
import scratch
from stage.place import StageError

FILE_LEAST, TEXT_LEAST = 1.5, 1.0
CONNECTIONS = 32
SLICE_S = 0.02
PROCESSOR = max(os.sched_getaffinity(0))

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


def servers(where, found):
    """Starts everything that sends a page, by name, what ours is held against beside it. Returns the page's length."""
    ours = scratch.Nginx(where, "ours", "fermata on;", gate="closed").start()
    head, body = ours.head(), ours.get()[1]
    fields = scratch.fields_of(head)
    page, headers = scratch.page_like(len(body)), scratch.add_headers(fields)
    found |= {FILE: scratch.Nginx(where, "file", _FILE.format(headers)), OURS: ours}
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
        for task in tasks(one):
            os.sched_setaffinity(int(task.name), {PROCESSOR})
        status, body = one.get()
        sent = one.head()
        if status != 503 or len(body) != len(page) or any(sent[field] != value for field, value in fields.items()):
            raise StageError(f"{name}: {status} with {len(body)} bytes in place of {len(page)}, and {sent}\n{one.said()}")
    return len(page)


def tasks(one):
    """Threads of the workers below the process that was started, or its own if it has none: what answers."""
    workers = [pid for pid in one.worker_pids() if "worker process" in pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="ascii")]
    return [task for pid in workers or [one.process.pid] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def cpu_s(one):
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks(one)) / 1e9


class Client:
    """wrk against one server, standing still but for slices of time."""

    def __init__(self, one, seconds):
        self.one, self.ran_s, self.before_s = one, 0, cpu_s(one)
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(["taskset", "-c", str(PROCESSOR), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                                         one.url + "/x"], stdout=subprocess.PIPE, text=True)
        self.run()

    def run(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(SLICE_S)
        self.process.send_signal(signal.SIGSTOP)
        self.ran_s += time.monotonic() - began

    def end(self):
        """Pages for a second of the time it ran, and for one of the server's processor time."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        said = self.process.communicate(timeout=60)[0]
        self.ran_s += time.monotonic() - began
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        total = re.search(r"(\d+) requests in", said)
        if self.process.returncode or not refused or refused.group(1) != total.group(1):
            raise StageError(f"not every answer was the page:\n{said}")
        count = int(total.group(1))
        return count / self.ran_s, count / (cpu_s(self.one) - self.before_s)


def turns(found, seconds):
    """Rates by name."""
    clients, names = {name: Client(one, seconds) for name, one in found.items()}, list(found)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in names:
            clients[name].run()
        names.reverse()
    return {name: client.end() for name, client in clients.items()}


def one_round(seconds):
    """Rates by name, and the length of the page."""
    found = {}
    with scratch.folder() as where:
        try:
            length = servers(where, found)
            return turns(found, seconds), length
        finally:
            for one in found.values():
                one.stop()


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
    parser.add_argument("--seconds", type=int, default=4, help="of a round, for all together")
    parser.add_argument("--smoke", action="store_true", help="4 rounds of 3 seconds")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds = 4, 3
    measured, lengths = zip(*(one_round(options.seconds) for _ in range(options.rounds)))
    print(f"{f'a page of {lengths[0]} bytes':<32}{'by clock':>10}{'by processor':>14}{'the gate has':>14}  middle half")
    return 0 if judge({name: [rates[name] for rates in measured] for name in measured[0]}) else 1


if __name__ == "__main__":
    sys.exit(main())
