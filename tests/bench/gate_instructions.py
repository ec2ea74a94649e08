#!/usr/bin/python3
"""What the gate costs in instructions of nginx, by callgrind: time is too coarse for it.

    gate_instructions.py [--requests N] [--only WORD] | --smoke

Each figure is the difference of two workers that served N and 2 N requests on a kept connection, per
request; the median of rounds with other layouts of the heap. nginx reads no clock meanwhile, so that a slow
machine counts no more than a quick one. What is added is against the same locations without the module."""

import argparse
import contextlib
import pathlib
import re
import shutil
import statistics
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
import scratch
from stage.place import StageError

OPEN_MOST, OFF_MOST, PAGE_MOST = 250, 80, 8300

# A text and a file as long as the page, with its headers: what a person would put into the configuration.
_LOCATIONS = """\
        location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; {on} }}
        location /health {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /assets/ {{ empty_gif; }}
        location /here/ {{ empty_gif; {on} }}
        location /text/ {{ return 503 "{text}"; default_type "text/html; charset=utf-8"; {headers} }}
        error_page 503 @file;
        location @file {{ root html; rewrite ^ /page.html break; types {{ }} default_type "text/html; charset=utf-8"; {headers} }}
        location /file/ {{ return 503; }}
"""
_UPSTREAM = "upstream app {{ server 127.0.0.1:{0}; server 127.0.0.2:{0}; keepalive 8; {1} }}"

# name, path, mode of the gate or None, where it is on, status
_RUNS = (
    ("proxied, stock", "/x", None, 200),
    ("proxied, gate open", "/x", "open", 200),
    ("proxied where it is off, stock", "/health", None, 200),
    ("proxied, gate off here", "/health", "open", 200),
    ("not proxied, stock", "/assets/x", None, 200),
    ("not proxied, gate off here", "/assets/x", "open", 200),
    ("not proxied, gate open", "/here/x", "open", 200),
    ("page, HTML", "/x", "closed", 503),
    ("page, JSON", "/api/x", "closed", 503),
    ("page, return 503 text", "/text/x", None, 503),
    ("page, error_page and file", "/file/x", None, 503),
)


def instructions(where, run, app, count, rival, connections):
    """Of a whole life of a worker with so many requests."""
    name, path, mode, expected = run
    page, headers = rival
    nodes = f"fermata_nodes app1=127.0.0.1:{app} app2=127.0.0.2:{app};" if mode else ""
    on = "fermata on;" if mode else ""
    short = re.sub("[^a-z0-9]+", "-", name.lower()) + f"-{count}"
    out = where / f"{short}.callgrind"
    nginx = scratch.Nginx(
        where, short, _LOCATIONS.format(on=on, text=page, headers=headers), connections=connections, http=_UPSTREAM.format(app, nodes), gate=mode,
        wrapper=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}.%p", "--trace-children=yes", "-q"],
        top="timer_resolution 1000s;")
    (nginx.prefix / "html/page.html").write_text(page)
    nginx.start(60)
    try:
        client = scratch.Kept(nginx.port)
        for _ in range(count):
            status = client.ask(path)
            if status != expected:
                raise StageError(f"{name}: {status} in place of {expected}\n{nginx.said()}")
        client.close()
        worker = nginx.worker_pids()[0]
    finally:
        nginx.stop()
        shutil.rmtree(nginx.prefix)
    out = pathlib.Path(f"{out}.{worker}")
    total = re.search(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.M)
    if not total:
        raise StageError(f"callgrind has no total in {out}")
    return int(total.group(1))


def measure(where, options, seen):
    """Instructions per request by name of run: the median of the rounds."""
    found = {run[0]: [] for run in _RUNS if options.only in run[0]}
    app = scratch.Nginx(where, "app", "")
    app.rewrite(f'listen 127.0.0.2:{app.port}; return 200 "hello";')
    app.start()
    try:
        closed = scratch.Nginx(where, "closed", "fermata on;", gate="closed").start()
        rival = scratch.page_like(len(closed.get()[1])), scratch.add_headers(scratch.fields_of(closed.head()))
        closed.stop()
        shutil.rmtree(closed.prefix)
        for number in range(options.rounds):
            count, connections = options.requests + 29 * number, 200 + 61 * number
            for run in _RUNS:
                if run[0] in found:
                    few, many = (instructions(where, run, app.port, n, rival, connections) for n in (count, 2 * count))
                    found[run[0]].append((many - few) / count)
                    seen(run[0], found[run[0]])
    finally:
        app.stop()
        shutil.rmtree(app.prefix)
    return {name: statistics.median(figures) for name, figures in found.items()}


def judge(found):
    """Rows of what is held against a bar: text, figure, bar."""
    for name, stock, bar in (("proxied, gate open", "proxied, stock", OPEN_MOST),
                             ("proxied, gate off here", "proxied where it is off, stock", OFF_MOST),
                             ("not proxied, gate off here", "not proxied, stock", OFF_MOST),
                             ("not proxied, gate open", "not proxied, stock", None)):
        yield f"added: {name}", found[name] - found[stock], bar
    for name in ("page, HTML", "page, JSON"):
        yield name, found[name], PAGE_MOST
    yield "page, HTML, beside return 503 text", found["page, HTML"] - found["page, return 503 text"], 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--only", default="", help="rows with these words; nothing is judged")
    parser.add_argument("--keep", help="a folder in which callgrind's files stay")
    parser.add_argument("--rounds", type=int, default=5, help="each with another layout of the heap")
    parser.add_argument("--smoke", action="store_true", help="150 requests, one round")
    options = parser.parse_args()
    if options.smoke:
        options.requests, options.rounds = 150, 1
    with contextlib.ExitStack() as stack:
        where = pathlib.Path(options.keep) if options.keep else stack.enter_context(scratch.folder())
        found = measure(where, options, lambda name, figures: print(
            f"{name:<32}{figures[-1]:>8.0f}", end="\n", flush=True) if options.only else None)
    for name, figure in found.items():
        print(f"{name:<40}{figure:>8.0f}")
    if options.only:
        return 0
    good = True
    for text, figure, bar in judge(found):
        held = bar is None or figure <= bar
        good = good and held
        verdict = "" if bar is None else f"at most {bar}: {'held' if held else 'NOT HELD'}"
        print(f"{text:<40}{figure:>8.0f}  {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
