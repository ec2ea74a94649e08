"""fermata_api: which paths get JSON whatever they ask for; an application below another path."""
import os

import pytest

import wire
from client import request
from tab import Raw
from test_bypass import RUN, cookie, token
from test_page import live

SUB = "fermata_api /nocobase/api/ /other/; fermata_websocket /nocobase/ws; location /nocobase/ { proxy_pass http://app; }"


def kind(gate, path, **headers):
    answer = request(gate.port, path, **headers)
    assert answer.status == 503
    return answer.getheader("Content-Type").split(";")[0]


def test_below_another_path(make_gate, coordinator, backends):
    """APP_PUBLIC_PATH=/nocobase/: programs that take anything get JSON there, open tabs are kept there."""
    gate = make_gate(server=SUB + "location /own/ { fermata_api off; proxy_pass http://app; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    for path, wanted in (("/nocobase/api/app:getInfo", "application/json"), ("/nocobase/api/__app/sub/x", "application/json"),
                         ("/other/x", "application/json"), ("/nocobase/apix", "text/html"), ("/nocobase/api", "text/html"),
                         ("/nocobase/admin", "text/html"), ("/api/x", "text/html"), ("/own/api/", "text/html")):
        assert kind(gate, path, Accept="*/*") == wanted, path
    assert kind(gate, "/own/", Accept="application/json") == "application/json"
    assert Raw(gate.port, "GET /nocobase/ws?__appName=sub HTTP/1.1").status == 101
    assert Raw(gate.port).status == 503
    assert backends.total() == 0


def test_in_place_of_an_error(make_gate, coordinator, backends):
    """Also where no handler of the gate judges, but no node is left."""
    gate = make_gate(server="location = /n/api/check { fermata off; fermata_api /n/api/; proxy_pass http://app; }"
                     "location = /n/check { fermata off; fermata_api /n/api/; proxy_pass http://app; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"])
    assert kind(gate, "/n/api/check", Accept="*/*") == "application/json"
    assert kind(gate, "/n/check", Accept="*/*") == "text/html"
    assert backends.total() == 0


def test_at_one_level_for_those_below(make_gate, coordinator):
    gate = make_gate(http="fermata_api /all/;", server="location /here/ { fermata_api /here/; proxy_pass http://app; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    assert [kind(gate, p, Accept="*/*") for p in ("/all/x", "/here/x", "/api/x")] == [
        "application/json", "application/json", "text/html"]


@pytest.mark.parametrize("line, said", [
    ("fermata_api api/;", "begins with"),
    ("fermata_api /a/; fermata_api /b/;", "duplicate"),
    ("fermata_api /n/api/; fermata_assets @assets /n/api/files/;", 'invalid prefix of assets "/n/api/files/"'),
    ("fermata_api /n/api/; fermata_assets @assets /n/;", 'invalid prefix of assets "/n/"'),
    ("fermata_assets @assets /n/; location /l/ { fermata_api /n/api/; }", 'invalid prefix of assets "/n/"'),
    ("fermata_api /n/api/; fermata_assets @assets /api/files/;", None),
    ("fermata_api off; fermata_assets @assets /api/files/;", None),
])
def test_directives(make_gate, line, said):
    gate = make_gate(server=line)
    done = gate.run("-t")
    (gate.prefix / "error.log").write_text("")
    assert (done.returncode == 0) == (said is None) and (said or "successful") in done.stderr, done.stderr


def test_the_rest_of_the_host_is_something_else(make_gate, coordinator, backends):
    """The manual's example: what the gate answers itself is told apart from what is not its own."""
    key = os.urandom(32)
    gate = make_gate(server="fermata off; fermata_api /nocobase/api/; fermata_websocket /nocobase/ws;"
                     "location /nocobase/ { fermata on; proxy_pass http://app; }"
                     "location = /fermata-live { fermata on; } location /fermata-bypass/ { fermata on; }")
    conf = gate.prefix / "nginx.conf"
    conf.write_text(conf.read_text().replace("fermata on;", "", 1).replace("proxy_pass http://app;", "return 200 other;", 1))
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, run=RUN, bypass={"key": key})
    assert request(gate.port, "/").text == "other"
    page = request(gate.port, "/nocobase/admin", Accept="text/html")
    assert page.status == 503 and 'data-live="/fermata-live"' in page.text
    assert live(gate.port)["open"] is False
    assert Raw(gate.port, "GET /nocobase/ws HTTP/1.1").status == 101
    answer = request(gate.port, f"/fermata-bypass/{token(key)}/nocobase/")
    assert (answer.status, answer.getheader("Location")) == (303, "/nocobase/")
    assert request(gate.port, "/nocobase/admin", **cookie(token(key))).getheader("X-Node")
    coordinator.ask(wire.OPEN)
    assert live(gate.port)["open"] is True and request(gate.port, "/nocobase/").getheader("X-Node")
