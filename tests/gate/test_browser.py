"""The page in a real browser: what its script does, and how it looks. Skipped where there is no Chromium."""
import re
import shutil
import sys
import time

import pytest

import wire
from client import request
from gate import ROOT

sys.path.append(str(ROOT / "tests"))

from stage.browser import Browser  # noqa: E402
from stage.place import wait_for  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium: ./build.sh deps browser")
STARTING, SAVING = 5, 3
# Born with a document: another one means that it was loaded again.
BIRTH = "performance.timeOrigin"


@pytest.fixture
def page(tmp_path):
    with Browser(tmp_path / "browser") as made:
        yield made


@pytest.fixture
def shown(make_gate, coordinator, page):
    """A closed gate, and its page at an address with a query and a fragment: (gate, address)."""
    gate = make_gate(workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="Upgrade <b>to 2</b>", phase=SAVING, back_at=int(time.time()) + 1800)
    address = f"http://127.0.0.1:{gate.port}/admin/page?tab=2#part"
    show(page, address)
    return gate, address


def show(page, address):
    page.navigate(address)
    wait_for(lambda: page.value("document.readyState") == "complete" and page.value("!!document.getElementById('step')"),
             60, "the page", every=0.1)


def log_times(gate, uri, count):
    """When the last so many requests for it were answered, by the log."""
    def found():
        lines = (gate.prefix / "access.log").read_text().splitlines()
        times = [float(line.split()[0]) for line in lines if f" {uri} HTTP" in line]
        return times[-count:] if len(times) >= count else None
    return wait_for(found, 60, f"{count} requests for {uri}", every=0.1)


def test_it_follows_the_run(shown, page, coordinator):
    """The visitor's own time in place of UTC; a new step without loading anything again; and nothing is forbidden."""
    born, text = page.value(BIRTH), page.text()
    assert "Upgrade <b>to 2</b>" in text and "Saving a copy of all data" in text
    assert re.search(r"Back at about \d\d:\d\d", text) and "UTC" not in text, text
    assert page.value("getComputedStyle(document.querySelector('main')).borderRadius") == "16px"
    coordinator.ask(wire.CLOSED, message="Nearly done", phase=STARTING, back_at=int(time.time()) - 5)
    wait_for(lambda: "Nearly done" in page.text(), 30, "the new words", every=0.1)
    text = page.text()
    assert "Starting the application" in text and "longer than planned" in text
    assert page.value(BIRTH) == born and page.console == []


def test_it_brings_the_visitor_back_to_where_they_were(shown, page, coordinator):
    gate, address = shown
    coordinator.ask(wire.OPEN)
    wait_for(lambda: "GET /admin/page?tab=2" in page.text(), 60, "the application", every=0.1)
    assert page.value("location.href") == address


@pytest.mark.parametrize("number, least, most", [(0, 0, 4), (0.96, 4.5, 30)])
def test_not_all_at_once(shown, page, coordinator, number, least, most):
    """What a page throws says when it comes back: at once to 5 s after it has heard that it may."""
    gate, _ = shown
    page.value(f"(Math.random = () => {number}, 1)")
    coordinator.ask(wire.OPEN)
    wait_for(lambda: "GET /admin/page" in page.text(), 60, "the application", every=0.1)
    heard = log_times(gate, "/fermata-live", 1)[-1]
    came = log_times(gate, "/admin/page?tab=2", 2)[-1]
    assert least <= came - heard <= most


def test_what_was_posted_is_not_posted_again(shown, page, coordinator, backends):
    gate, _ = shown
    born = page.value(BIRTH)
    page.value("(f => { f.method = 'post'; f.action = '/form?x=1'; document.body.append(f); f.submit(); return 1 })"
               "(document.createElement('form'))")
    # the page's policy lets no form of its own be sent
    assert page.value(BIRTH) == born
    page.navigate("about:blank")
    page.navigate(f"data:text/html,<form id=f method=post action=http://127.0.0.1:{gate.port}/form></form>"
                  "<script>f.submit()</script>")
    wait_for(lambda: (page.value("location.pathname") or "") == "/form" and "Saving" in page.text(), 60, "the page after POST", every=0.1)
    coordinator.ask(wire.OPEN)
    wait_for(lambda: "GET /form" in page.text(), 60, "the application", every=0.1)
    assert [m for n in backends.nodes.values() for _, m, path in n.requests if path == "/form"] == ["GET"]


def test_it_survives_the_gate(shown, page, coordinator):
    """nginx is away for a while, and comes back open: so does the page."""
    gate, address = shown
    page.value("(f => { window.lost = 0; window.fetch = (...a) => f(...a).catch(e => { window.lost++; throw e }); return 1 })"
               "(window.fetch)")
    gate.stop()
    gate.pids.clear()
    wait_for(lambda: page.value("window.lost"), 60, "a question that nobody answers", every=0.1)
    assert "Upgrade" in page.text()
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    wait_for(lambda: "GET /admin/page?tab=2" in page.text(), 90, "the application", every=0.1)
    assert page.value("location.href") == address


def test_without_scripts(shown, page, coordinator):
    """Loaded again by the browser, until the application is there."""
    gate, address = shown
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    # one with a fragment is no other address to a browser without scripts, and stays
    page.navigate(address.split("#")[0])
    _, first, again = log_times(gate, "/admin/page?tab=2", 3)
    assert 14 < again - first < 40
    coordinator.ask(wire.OPEN)
    wait_for(lambda: "GET /admin/page?tab=2" in page.text(), 60, "the application", every=0.1)


def test_how_it_looks(make_gate, coordinator, page):
    """Dark and light, on a phone, from right to left, with the longest word that an operator can type."""
    gate = make_gate(workers=1).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="W" * 479, phase=SAVING)
    color = "getComputedStyle(document.body).backgroundColor"
    page.ask("Emulation.setDeviceMetricsOverride", width=320, height=560, deviceScaleFactor=2, mobile=True)
    seen = {}
    for scheme in ("light", "dark"):
        page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        show(page, f"http://127.0.0.1:{gate.port}/")
        seen[scheme] = page.value(color)
        assert page.value("document.scrollingElement.scrollWidth <= innerWidth")
    light, dark = (sum(int(n) for n in re.findall(r"\d+", seen[s])[:3]) for s in ("light", "dark"))
    assert light > 700 and dark < 100
    page.ask("Emulation.setUserAgentOverride", userAgent="x", acceptLanguage="ar")
    show(page, f"http://127.0.0.1:{gate.port}/")
    assert page.value("document.documentElement.dir") == "rtl" and page.value("document.documentElement.lang") == "ar"
    # the heading begins on the right, the operator's latin words on the left
    assert page.value("getComputedStyle(document.querySelector('h1')).direction") == "rtl"
    assert page.value("getComputedStyle(document.getElementById('message')).direction") == "ltr"
    assert request(gate.port, Accept_Language="ar").text.count("http") == 1   # http-equiv alone
