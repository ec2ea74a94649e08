"""fermata_assets: parts of the client from the gate's own disk, while the application is away."""
import pytest

import wire
from client import Ahead, Load, request, status
from wait import wait_for

DISK = """
location @assets {
    root disk;
    rewrite ^/static/plugins/([^/]+/dist/client/.+)$ /plugins/$1 break;
    expires 1h;
}
location @proxied { proxy_pass http://app; }
location @falls { root disk; error_page 404 = @proxied; }
location /static/proxied/ { fermata_assets @proxied; proxy_pass http://app; }
location /static/falls/ { fermata_assets @falls; proxy_pass http://app; }
location /static/off/ { fermata_assets off; proxy_pass http://app; }
location /own/ { fermata_assets @assets /own/files/; proxy_pass http://app; }
location /assets/ { proxy_pass http://app; }
"""


@pytest.fixture
def with_disk(make_gate, coordinator, backends):
    """A closed gate whose host has the client on disk; its locations are the application's."""
    def make(server=f"fermata_assets @assets; {DISK}", **more):
        gate = make_gate(server=server, **more)
        gate.configure(**gate.values)
        conf = gate.prefix / "nginx.conf"
        # the stock configuration of these tests serves /assets/ past the gate
        conf.write_text(conf.read_text().replace("location /assets/ { fermata off; }", "", 1))
        for name in ("assets/a.js", "static/b.css", "dist/c", "v/assets/d.js", "favicon.ico", "favicon/e.png",
                     "static/off/b.css", "plugins/acl/dist/client/f.js", "api/x", "own/files/g", "own/h", "index.html"):
            path = gate.prefix / "disk" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"disk {name}\n")
        (gate.prefix / "secret").write_text("secret\n")
        gate.start()
        coordinator.wait_up()
        coordinator.ask(wire.CLOSED)
        return gate
    return make


def test_from_disk_while_closed(with_disk, coordinator, backends):
    gate = with_disk()
    for path in ("/assets/a.js", "/static/b.css", "/dist/c", "/v/assets/d.js", "/favicon.ico", "/favicon/e.png",
                 "/own/files/g"):
        answer = request(gate.port, path, Accept="*/*")
        assert (answer.status, answer.text) == (200, f"disk {path[1:]}\n"), path
        assert answer.getheader("Cache-Control") == "max-age=3600"
    assert request(gate.port, "/static/plugins/acl/dist/client/f.js?t=1").text == "disk plugins/acl/dist/client/f.js\n"
    answer = request(gate.port, "/assets/a.js", "HEAD")
    assert answer.status == 200 and answer.text == ""
    answer = request(gate.port, "/assets/a.js", Range="bytes=0-3")
    assert (answer.status, answer.text) == (206, "disk")
    etag = request(gate.port, "/assets/a.js").getheader("ETag")
    assert request(gate.port, "/assets/a.js", If_None_Match=etag).status == 304
    assert backends.total() == 0
    seen = status(gate.port)
    assert (seen["assets"], seen["refused"], seen["in_flight"]) == (12, 0, 0)
    coordinator.ask(wire.OPEN)
    assert request(gate.port, "/assets/a.js").getheader("X-Node")
    assert status(gate.port)["assets"] == 12


def test_everything_else_is_closed(with_disk, backends):
    gate = with_disk()
    for path in ("/", "/index.html", "/api/x", "/own/h", "/assets/", "/assets/../api/x",
                 "/assets/%2e%2e/api/x", "/assets/..%2fapi/x", "/static/off/b.css", "/static/missing.js"):
        answer = request(gate.port, path, Accept="text/html")
        assert answer.status == 503 and answer.getheader("Retry-After") and "disk" not in answer.text, path
    for path in ("/assets/../../secret", "/assets/..%2f..%2fsecret"):
        answer = request(gate.port, path)
        assert answer.status in (400, 503) and "secret" not in answer.text
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert request(gate.port, "/assets/a.js", method, b"x").status == 503
    assert backends.total() == 0 and status(gate.port)["assets"] == 0


def test_what_is_not_there_is_the_page(with_disk, backends):
    """404 would stay in caches: it may well be there when the application is."""
    gate = with_disk()
    answer = request(gate.port, "/static/missing.js", Accept="text/html")
    assert answer.status == 503 and answer.getheader("Cache-Control") == "no-store"
    assert request(gate.port, "/api/static/b.css").getheader("Content-Type") == "application/json"
    seen = status(gate.port)
    assert (seen["assets"], seen["refused"], seen["passed"]) == (0, 2, 0)


def test_no_way_round_the_gate(with_disk, backends):
    """A location for assets that leads to the application is refused there, however it leads there."""
    gate = with_disk()
    for path in ("/static/proxied/a", "/static/falls/a"):
        answer = request(gate.port, path, Accept="text/html")
        assert answer.status == 503 and answer.getheader("Retry-After"), path
    assert backends.total() == 0
    seen = status(gate.port)
    assert (seen["assets"], seen["passed"], seen["refused"]) == (0, 0, 2)


def test_no_drain_waits_for_them(with_disk, coordinator, backends):
    """Tabs go on loading while the last request of before is awaited."""
    gate = with_disk()
    coordinator.ask(wire.OPEN)
    held = Ahead(gate.port, "/hold/1")
    name = wait_for(lambda: next((n for n, d in backends.nodes.items() if any(r[2] == "/hold/1" for r in d.requests)),
                                 None), 10)
    coordinator.ask(wire.CLOSED)
    load = [Ahead(gate.port, "/assets/a.js") for _ in range(50)]
    coordinator.wait_report(lambda r: r["in_flight"] == 1)
    assert [a.done().answer.status for a in load] == [200] * 50
    backends.release(name, "/hold/1")
    assert held.done().answer.status == 200
    coordinator.wait_report(lambda r: r["in_flight"] == 0)
    assert status(gate.port)["assets"] == 50 and backends.total() == 1


def test_under_flips(with_disk, coordinator, backends):
    """Never the page for a file that is on disk and on the nodes."""
    gate = with_disk(location="")

    class Assets(Load):
        def run(self, number):
            while self.running:
                answer = request(gate.port, "/assets/a.js")
                self.answers.append((0, 0, answer.status, answer.getheader("X-Node")))
    load = Assets(gate.port, clients=4)
    try:
        for _ in range(10):
            count = len(load.answers)
            coordinator.ask(wire.OPEN)
            wait_for(lambda: len(load.answers) > count + 20, 20, "visitors")
            coordinator.ask(wire.CLOSED)
    finally:
        load.stop()
    assert set(load.statuses()) == {200} and load.faults == []
    assert {a[3] for a in load.answers} > {None}


@pytest.mark.parametrize("line, said", [
    ("fermata_assets /srv;", "is not a named location"),
    ("fermata_assets @;", "is not a named location"),
    ("fermata_assets @assets /;", "invalid prefix of assets"),
    ("fermata_assets @assets /api/files/;", "invalid prefix of assets"),
    ("fermata_assets @assets /ap;", "invalid prefix of assets"),
    ("fermata_assets @assets static/;", "invalid prefix of assets"),
    ("fermata_assets off /static/;", "is not a named location"),
    ("fermata_assets @assets; fermata_assets off;", "is duplicate"),
])
def test_wrong_directives(make_gate, line, said):
    gate = make_gate(server=line)
    done = gate.run("-t")
    (gate.prefix / "error.log").unlink()
    (gate.prefix / "error.log").touch()
    assert done.returncode != 0 and said in done.stderr
