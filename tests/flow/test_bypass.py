"""`fermata bypass`: the way past the page, in real runs and when there is none."""

import re
import urllib.error
import urllib.request

import pytest

from stage.application import Release
from stage.place import wait_for
from cues import end_of, everywhere

LINK = re.compile(r"^\S*/fermata-bypass/1\.\d+\.\d+\.[0-9a-f]{64}$")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def opened(url):
    """(status, headers) of the link, as a browser sees them before it goes on."""
    try:
        with urllib.request.build_opener(NoRedirect).open(url, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def made(cluster, *argv):
    """A new link, from the first line that is printed."""
    line = cluster.cli("bypass", *argv, expect=0).out.splitlines()[0]
    assert LINK.match(line), line
    return line


def cookie_of(cluster, link):
    status, headers = opened(link if link.startswith("http") else cluster.gate.url + link)
    assert status == 303 and headers["Location"] == "/"
    return {"Cookie": headers["Set-Cookie"].split(";")[0]}


def assert_ended(link):
    """The gate hears of the end of a run when the command line does."""
    wait_for(lambda: opened(link)[0] == 403, 10, "the link is refused", every=0.05)


@pytest.fixture
def held(running):
    """An upgrade that waits for a person."""
    running.app.offer(Release("2.2.16"))
    running.cli("upgrade", "--to", "2.2.16", "--detach", expect=5)
    wait_for(lambda: running.run()[0]["run"]["state"] == "held", 60, "the run waits for approval", every=0.1)
    return running


def test_an_operator_looks_at_the_new_version_and_approves(held):
    said = held.cli("status", expect=0)
    assert "fermata bypass" in said.out, said
    link = made(held, "--url", held.gate.url + "/")
    assert link.startswith(held.gate.url + "/fermata-bypass/")
    cookie = cookie_of(held, link)
    for _ in range(6):
        status, text = held.ask("/api/app:getInfo", headers=cookie)
        assert status == 200 and "2.2.16" in text, text
        assert held.ask("/api/app:getInfo")[0] == 503
    held.cli("approve", expect=0)
    held.cli("attach", expect=0)
    assert end_of(held) == "done" and everywhere(held, "2.2.16")
    # with the run its links end, and the cookie means nothing
    assert_ended(link)
    assert held.ask("/api/app:getInfo", headers=cookie)[0] == 200
    held.cli("page", "on", expect=0)
    assert held.ask("/api/app:getInfo", headers=cookie)[0] == 503


def test_a_rejected_run_keeps_operators_from_what_it_takes_down(held):
    cookie = cookie_of(held, made(held))
    assert held.ask("/api/app:getInfo", headers=cookie)[0] == 200
    held.cli("reject", expect=0)
    held.cli("attach", expect=1)
    assert end_of(held) == "rolled-back" and everywhere(held, "2.2.15")


def test_the_secret_is_kept_nowhere_but_in_the_link(held):
    link = made(held)
    digits = link.rsplit(".", 1)[1]
    cookie = cookie_of(held, link)
    held.ask("/api/app:getInfo", headers=cookie)
    told = held.cli("show", "--json", expect=0).out + held.cli("status", "--json", expect=0).out
    assert "a link past the page for 30 min 00 s was made" in told
    for path in held.folder.rglob("*"):
        if path.is_file() and "postgres" not in str(path):
            assert digits.encode() not in path.read_bytes(), path
    assert digits not in told


def test_a_link_outlives_the_coordinator(held):
    link = made(held)
    held.coordinator.kill()
    cookie = cookie_of(held, link)
    assert held.ask("/api/app:getInfo", headers=cookie)[0] == 200
    said = held.cli("bypass")
    assert said.code == 1 and "does not run" in said.err, said
    held.coordinator.start()
    held.wait_connected()
    assert held.ask("/api/app:getInfo", headers=cookie)[0] == 200
    assert held.ask("/api/app:getInfo", headers=cookie_of(held, made(held)))[0] == 200


def test_in_maintenance_behind_the_page(running):
    running.cli("maintenance", "begin", "--keep", "app2", "--page", expect=0)
    link = made(running, "--ttl", "1m")
    cookie = cookie_of(running, link)
    kept = running.ask("/api/app:getInfo", running.nodes[1])[1]
    for _ in range(4):
        assert running.ask("/api/app:getInfo", headers=cookie) == (200, kept)
        assert running.ask("/api/app:getInfo")[0] == 503
    running.cli("maintenance", "end", expect=0)
    assert_ended(running.gate.url + link)


def test_behind_the_page_by_hand(running):
    running.cli("page", "on", expect=0)
    old = made(running)
    assert running.ask("/api/app:getInfo", headers=cookie_of(running, old))[0] == 200
    running.cli("page", "off", expect=0)
    running.cli("page", "on", expect=0)
    assert opened(running.gate.url + old)[0] == 403
    assert running.ask("/api/app:getInfo", headers=cookie_of(running, made(running)))[0] == 200


def test_a_site_below_a_path(running):
    """The link is at the root of the host, where the gate knows it, and leads to the site."""
    running.cli("page", "on", expect=0)
    for site, to in (("/", "/"), ("/nocobase", "/nocobase/"), ("/a/b//", "/a/b/")):
        link = running.cli("bypass", "--url", running.gate.url + site, expect=0).out.splitlines()[0]
        assert link.startswith(running.gate.url + "/fermata-bypass/1."), link
        status, headers = opened(link)
        assert (status, headers["Location"]) == (303, to), link


def test_wrong_use_says_what_is_true(cluster):
    said = cluster.cli("bypass")
    assert said.code == 1 and "no run yet" in said.err, said
    cluster.cli("startup", expect=0)
    said = cluster.cli("bypass")
    assert said.code == 1 and "gates are open" in said.err and "fermata status" in said.err, said
    cluster.cli("maintenance", "begin", expect=0)
    said = cluster.cli("bypass")
    assert said.code == 1 and "served by one node" in said.err, said
    cluster.cli("maintenance", "end", expect=0)
    for argv in (["--ttl", "0"], ["--ttl", "25h"], ["--ttl", "soon"], ["--ttl", "500ms"], ["--url", "here"],
                 ["--url", "https://a b"]):
        assert cluster.cli("bypass", *argv).code == 2, argv


def test_after_a_stop_there_is_nothing_to_reach(running):
    running.cli("stop", expect=0)
    said = running.cli("bypass", expect=0)
    assert "nobody gets past the page now" in said.out, said
    cookie = cookie_of(running, said.out.splitlines()[0])
    assert running.ask("/api/app:getInfo", headers=cookie)[0] == 503
