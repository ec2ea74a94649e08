"""The gate among nginx's other modules: whatever else a location does, on whatever listener."""
import socket
import time

import pytest
from h2 import config, connection

import wire
from backend import Backends
from client import Ahead, request, status
from gate import free_port
from tab import HANDSHAKE
from test_page import raw, read_answer
from wait import wait_for

ERRORS = "error_page 500 502 503 504 /50x.html; location = /50x.html { fermata off; return 200 operators; }"
PLACES = """
location /if/ { if ($arg_x) { set $seen 1; } if ($request_method = POST) { proxy_pass http://app; } proxy_pass http://app; }
location /auth/ { auth_request /authz; proxy_pass http://app; }
location = /authz { internal; proxy_pass http://app/hold/authz; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
location /mirror/ { mirror /copy; proxy_pass http://app; }
location = /copy { internal; proxy_pass http://app/hold/copy; }
location /limit/ { limit_req zone=one; proxy_pass http://app; }
location /delay/ { limit_req zone=one burst=5; proxy_pass http://app; }
location /rewrite/ { rewrite ^/rewrite/(.*)$ /api/$1 last; }
location /basic/ { auth_basic x; auth_basic_user_file nowhere; proxy_pass http://app; }
location /deny/ { deny all; proxy_pass http://app; }
location /except/ { limit_except GET { deny all; } proxy_pass http://app; }
location /named/ { error_page 418 = @app; return 418; }
location /static/ { alias html/; }
location /expires/ { expires max; proxy_pass http://app; }
location /filters/ { gzip on; gzip_types *; ssi on; add_before_body /authz; proxy_pass http://app; }
location /off/ { fermata off; proxy_pass http://app; location /off/on/ { fermata on; proxy_pass http://app; } }
"""
ZONE = "limit_req_zone $binary_remote_addr zone=one:1m rate=12r/m;"


def test_nothing_gets_before_the_page(make_gate, coordinator, backends):
    gate = make_gate(http=ZONE, server=ERRORS + PLACES).start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="kept words")
    for path in ("/if/?x=1", "/auth/", "/mirror/", "/limit/", "/limit/", "/delay/", "/basic/", "/deny/", "/except/",
                 "/named/", "/static/", "/expires/", "/filters/", "/off/on/", "/rewrite/x"):
        for method, body in (("GET", None), ("POST", b"x" * 100)):
            answer = request(gate.port, path, method, body)
            assert answer.status == 503 and "kept words" in answer.text, (method, path, answer.text)
            assert answer.getheader("Cache-Control") == "no-store" and answer.getheader("Expires") is None, path
            assert answer.getheader("Content-Type").startswith("text/html" if path != "/rewrite/x" else "application/json")
    assert backends.total() == 0
    assert request(gate.port, "/off/").getheader("X-Node")


def test_at_the_top_and_taken_back_below(make_gate, coordinator):
    """fermata on in http{}, off in a server or a location, on again below."""
    one, two = free_port(), free_port()
    place = "location / { proxy_pass http://app; }"
    gate = make_gate(http=f"""fermata on; fermata_retry_after 33;
        server {{ listen 127.0.0.1:{one}; {place} location /off/ {{ fermata off; proxy_pass http://app; }} }}
        server {{ listen 127.0.0.1:{two}; fermata off; {place} location /on/ {{ fermata on; proxy_pass http://app; }} }}""")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    for port, path, wanted in ((one, "/", 503), (one, "/off/", 200), (two, "/", 200), (two, "/on/", 503)):
        answer = request(port, path)
        assert answer.status == wanted, (port, path)
        assert wanted == 200 or 33 <= int(answer.getheader("Retry-After")) <= 41


def cut(coordinator):
    """Closes, and waits until nothing is in flight any more. Returns the seconds that took."""
    began = time.monotonic()
    coordinator.wait_force(coordinator.send_ask(wire.CLOSED, message="kept words", cut_after_ms=500)[0])
    return coordinator.wait_report(lambda r: r["in_flight"] == 0 and r["seq"] == coordinator.seq) - began


@pytest.mark.parametrize("where", ["a node", "elsewhere"])
def test_a_cut_ends_the_question_of_auth_request(make_gate, coordinator, backends, where):
    """Nobody has answered it: the visitor gets the page at once, and no node gets the request."""
    elsewhere = Backends(["auth"])
    at = "app" if where == "a node" else f"127.0.0.1:{elsewhere['auth'].port}"
    places = PLACES.replace("http://app/hold/authz", f"http://{at}/hold/authz")
    gate = make_gate(http=ZONE, server=ERRORS + places).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    asked = backends if where == "a node" else elsewhere
    try:
        for method, body in (("GET", None), ("POST", b"x" * 100)):
            before = asked.total()
            held = Ahead(gate.port, "/auth/x", method=method, body=body)
            wait_for(lambda: asked.total() > before, 10, "the question")
            assert 0.4 < cut(coordinator) < 5
            answer = held.done().answer
            assert answer and answer.status == 503 and "kept words" in answer.text, held.error
            coordinator.ask(wire.OPEN)
        for nodes in (backends, elsewhere):
            for name, node in nodes.nodes.items():
                assert {path for _, _, path in node.requests} <= {"/hold/authz"}
                nodes.release(name, "/hold/authz")
        assert request(gate.port, "/auth/x").getheader("X-Node")
        wait_for(lambda: status(gate.port)["in_flight"] == 0, 10)
    finally:
        elsewhere.close()


def test_a_cut_ends_a_mirror(make_gate, coordinator, backends):
    """Its visitor has an answer long since; it is under way all the same."""
    gate = make_gate(http=ZONE, server=PLACES).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    assert request(gate.port, "/mirror/x").status == 200
    wait_for(lambda: any(r[2] == "/hold/copy" for n in backends.nodes.values() for r in n.requests), 10, "the copy")
    assert cut(coordinator) > 0.4


def test_a_cut_ends_a_delay(make_gate, coordinator, backends):
    """Of limit_req: the page comes at once, not never."""
    gate = make_gate(http=ZONE, server=PLACES).start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    assert request(gate.port, "/delay/1").status == 200
    wait_for(lambda: status(gate.port)["in_flight"] == 0, 10)
    held = Ahead(gate.port, "/delay/2")
    wait_for(lambda: status(gate.port)["in_flight"] == 1, 10, "the delay")
    assert cut(coordinator) > 0.4
    answer = held.done(3).answer
    assert answer.status == 503 and "kept words" in answer.text
    assert backends.total() == 1


def test_a_cut_is_no_error_page(make_gate, coordinator, backends):
    """The operator's own pages of errors are not for what the gate ends; refused is what was cut."""
    gate = make_gate(server=ERRORS + "location /api/ { proxy_pass http://app/hold/; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.OPEN)
    held = [Ahead(gate.port, path) for path in ("/hold/1", "/api/2")]
    wait_for(lambda: backends.total() == 2, 10)
    cut(coordinator)
    answers = [h.done().answer for h in held]
    assert [a.getheader("Content-Type") for a in answers] == ["text/html; charset=utf-8", "application/json"]
    assert all(a.status == 503 and "kept words" in a.text for a in answers)
    seen = status(gate.port)
    assert (seen["passed"], seen["refused"]) == (0, 2)


@pytest.mark.parametrize("where", ["fermata off;", "", "internal; fermata off;"])
def test_no_error_page_takes_its_place(make_gate, coordinator, backends, where):
    """Where no node is left: the gate's page, or JSON by what was asked for; a way out with another status is kept."""
    gate = make_gate(workers=1, server=ERRORS.replace("fermata off;", where) + "location @way { fermata off; return 200 way; }"
                     "location /way/ { error_page 502 503 =200 @way; proxy_pass http://app; }").start()
    coordinator.wait_up()
    coordinator.ask(wire.PINNED, pinned="app1", message="kept words")
    backends.stop_listening("app1")
    for path, kind in (("/x", "text/html"), ("/api/x", "application/json")):
        answer = request(gate.port, path)
        assert answer.status == 503 and "kept words" in answer.text and answer.getheader("Retry-After"), answer.text
        assert answer.getheader("Content-Type").split(";")[0] == kind
    assert request(gate.port, "/way/x").text == "way"
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"], message="kept words")
    assert "kept words" in request(gate.port, "/health").text
    coordinator.ask(wire.OPEN)
    assert {request(gate.port, f"/{i}").status for i in range(6)} == {200}
    assert request(gate.port, "/fail").status == 500


def test_listeners(make_gate, coordinator):
    """IPv6, a unix socket, and the PROXY protocol, whose address says who is an operator."""
    six, proxied = free_port(), free_port()
    gate = make_gate()
    path = gate.prefix / "gate.sock"
    gate.configure(server=f"listen [::1]:{six}; listen unix:{path}; listen 127.0.0.1:{proxied} proxy_protocol;"
                   "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"
                   "fermata_bypass_address 192.0.2.1 2001:db8::/32;")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, back_at=int(time.time()) + 400)
    tab = ("GET /ws HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in HANDSHAKE.items()) + "\r\n").encode()

    def ask(family, address, proxy=b"", what=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.socket(family) as sock:
            sock.settimeout(20)
            sock.connect(address)
            sock.sendall(proxy + what)
            return read_answer(sock.makefile("rb"))
    listeners = ((socket.AF_INET6, ("::1", six)), (socket.AF_UNIX, str(path)))
    for family, address in listeners:
        answered, headers, _ = ask(family, address)
        assert answered == 503 and 390 <= int(headers["retry-after"]) <= 460
        assert ask(family, address, what=tab)[0] == 101
    via = (socket.AF_INET, ("127.0.0.1", proxied))
    times = set()
    for line, wanted in ((b"PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\n", 503), (b"PROXY TCP4 192.0.2.77 192.0.2.2 1 2\r\n", 503),
                         (b"PROXY TCP6 2001:db9::5 ::1 1 2\r\n", 503), (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 200),
                         (b"PROXY TCP6 2001:db8::5 ::1 1 2\r\n", 200), (b"PROXY UNKNOWN\r\n", 503)):
        answered, headers, _ = ask(*via, proxy=line)
        assert answered == wanted, line
        times.add(headers.get("retry-after"))
    # by the client that is meant, not by the proxy
    assert len(times) > 3
    assert ask(*via, proxy=b"PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\n", what=tab)[0] == 101


def h2_post(port, path, sizes):
    """A body in parts over h2, which nobody reads: what kinds of frames the stream gets, and the body."""
    conn = connection.H2Connection(config.H2Configuration(client_side=True))
    conn.initiate_connection()
    conn.send_headers(1, [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"),
                          ("content-length", str(sum(sizes)))])
    found, body = [], b""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(conn.data_to_send())
        while "StreamReset" not in found and "ConnectionTerminated" not in found:
            if sizes and conn.outbound_flow_control_window >= sizes[0] and "StreamEnded" not in found:
                size, *sizes = sizes
                conn.send_data(1, b"x" * size)
                sock.sendall(conn.data_to_send())
            for event in conn.receive_data(sock.recv(65536)):
                if getattr(event, "stream_id", None) == 1:
                    found.append(type(event).__name__)
                    body += getattr(event, "data", b"")
    return found, body


@pytest.mark.parametrize("sizes", [[100], [16000, 16000, 16000]])
def test_h2_with_a_body(make_gate, coordinator, backends, sizes):
    """All of the answer, and then only the word that nobody wants the body."""
    gate = make_gate(listen="http2").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    for path, begins in (("/api/x", b"{"), ("/x", b"<!doctype html>")):
        frames, body = h2_post(gate.port, path, list(sizes))
        assert frames[0] == "ResponseReceived" and frames[-2:] == ["StreamEnded", "StreamReset"], frames
        assert body.startswith(begins)
    assert backends.total() == 0


def test_words_in_headers_and_logs_are_one_line(make_gate, coordinator):
    """$fermata_message in add_header: no other header comes of it."""
    gate = make_gate(server="add_header X-Said $fermata_message always; add_header X-Step $fermata_step always;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="a\r\nX-Evil: 1\r\n\r\n\x7f\u20ac", step="b\n\tc")
    status_code, headers, _ = raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_code == 503 and "x-evil" not in headers
    assert headers["x-said"].encode("latin-1").decode() == "a  X-Evil: 1     \u20ac" and headers["x-step"] == "b  c"
