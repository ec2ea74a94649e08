#!/usr/bin/python3
"""An open tab of the real NocoBase in a real browser, left alone through an upgrade of more than a
minute: it shows NocoBase's own dialog meanwhile and works again by itself.

    tab.py        a cluster of its own; also the sixth scenario of `demo.py --tab`"""

import os
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS)]

# pylint: disable=wrong-import-position
from stage.application import Release
from stage.browser import Browser
from stage.place import BUILD, StageError, wait_for

VERSION = "2.2.19"
SLOW_S = 65  # the migration; the gates are closed for longer
TITLE = "App upgrading"

# As the application's own client keeps them.
SIGN_IN = """(() => {
    localStorage.setItem('NOCOBASE_TOKEN', %r);
    localStorage.setItem('NOCOBASE_AUTH', 'basic');
    return true;
})()"""
# Born with a document: another one means that the page was loaded again.
BIRTH = "performance.timeOrigin"
ASK = "fetch('/api/app:getInfo').then(a => a.json()).then(a => a.data.version)"


PICTURES = BUILD / "e2e"


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def open_tab(page, demo):
    """Signed in, at rest. Returns what a person sees."""
    page.navigate(demo.cluster.gate.url + "/signin")
    wait_for(lambda: page.value("location.pathname") == "/signin" and len(page.text()) > 20, 180,
             "the application shows something", every=0.5)
    page.value(SIGN_IN % demo.token)
    page.navigate(demo.cluster.gate.url + "/admin/")
    seen = []

    def at_rest():
        seen.append(lines(page.text()))
        return (len(seen) > 6 and seen[-1] and all(s == seen[-1] for s in seen[-6:])
                and page.value("location.pathname").startswith("/admin"))
    wait_for(at_rest, 240, "the administrator's page is complete", every=0.5)
    return seen[-1]


def watch(page, child, seen):
    """Looks at the tab until the command has ended; seen: (seconds, text) of each change."""
    began = time.monotonic()
    while child.poll() is None:
        text = lines(page.text())
        if text and (not seen or text != seen[-1][1]):
            seen.append((time.monotonic() - began, text))
            if TITLE in text:
                page.picture(PICTURES / "tab-meanwhile.png")
        if time.monotonic() - began > 900:
            raise StageError("the upgrade has not ended within 900 s")
        time.sleep(0.25)


def judge_meanwhile(demo, seen, run):
    check = demo.check
    shown = [(at, text) for at, text in seen if TITLE in text]
    check.that(shown, f"the tab showed \"{TITLE}\"", seen[-1:])
    closed_s = (run["opened_ms"] - run["closed_ms"]) / 1000
    check.that(closed_s > 60, f"it was closed for more than a minute ({closed_s:.0f} s)")
    says = {line.split("\u00b7")[-1].strip() for _, text in shown for line in text}
    told = [step["says"] for step in run["steps"] if step["says"] in says]
    check.that(len(told) >= 3, f"it told the steps as they came ({len(told)} of them)", sorted(says)[:12])
    broken = [text for _, text in seen if any("Render failed" in line or "ChunkLoadError" in line for line in text)]
    check.that(not broken, "the page never broke", broken[:1])
    if shown:
        demo.say(f"          first seen {shown[0][0]:.1f} s after the command; steps: {'; '.join(told)}")


def left_alone(demo):
    """The scenario."""
    cluster, check = demo.cluster, demo.check
    cluster.app.offer(Release(VERSION, f"slow:{SLOW_S}"))
    with Browser(cluster.folder / "browser") as page:
        before, seen = open_tab(page, demo), []
        born = page.value(BIRTH)
        check.that(before, f"a signed-in tab shows the application: {' | '.join(before)[:70]}")
        PICTURES.mkdir(exist_ok=True)
        page.picture(PICTURES / "tab-before.png")
        child = cluster.cli.begin("upgrade", "--to", VERSION, "--yes")
        watch(page, child, seen)
        demo.check.equal(cluster.cli.end(child).code, 0, "exit code of the upgrade")
        run = demo.last_run()
        judge_meanwhile(demo, seen, run)
        judge_afterwards(demo, page, before, born)
        demo.say(f"          console: {[c for c in page.console if 'rror' in c][:3]}")
    demo.serves(VERSION)


def judge_afterwards(demo, page, before, born):
    """Nobody touches the tab: it must come back by itself."""
    check, began = demo.check, time.monotonic()

    def is_back():
        text = lines(page.text())
        return text == before and page.value(BIRTH) not in (None, born)
    try:
        wait_for(is_back, 120, "the tab is back", every=0.5)
        check.that(True, "the tab has loaded again by itself and shows what it showed before")
        demo.say(f"          {time.monotonic() - began:.1f} s after the command's end")
    except StageError:
        check.that(False, "the tab has loaded again by itself and shows what it showed before",
                   f"{page.text()[:300]!r}, loaded again: {page.value(BIRTH) != born}")
    page.picture(PICTURES / "tab-after.png")
    check.that(TITLE not in page.text(), "the dialog is gone")
    check.equal(page.value(ASK), VERSION, "release that the tab talks to")


def main():
    from demo import say  # pylint: disable=import-outside-toplevel
    from figures import Figures  # pylint: disable=import-outside-toplevel
    from scenarios import Demo, startup  # pylint: disable=import-outside-toplevel
    from stage import checks  # pylint: disable=import-outside-toplevel
    from stage.cluster import Cluster  # pylint: disable=import-outside-toplevel
    check = checks.Checks(say)
    cluster = Cluster(real=True, count=2)
    try:
        cluster.start()
        demo = Demo(cluster, check, Figures(), say)
        startup(demo)
        left_alone(demo)
    finally:
        if check.failed or os.environ.get("FERMATA_KEEP_STAGE"):
            os.environ["FERMATA_KEEP_STAGE"] = "1"
            say(f"logs are kept in {cluster.folder}")
        cluster.close()
    say(check.line())
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
