"""What visitors get while the gate is closed, whoever and however they are."""
import contextlib
import gzip
import html
import json
import re
import socket
import subprocess
import time

import pytest

import wire
from client import request
from wait import wait_for

PREPARING, SAVING, STARTING = 1, 3, 5
LANGUAGES = ("en", "zh-CN", "ja", "ko", "de", "fr", "es", "pt", "ru", "ar")


def live(port, **headers):
    answer = request(port, "/fermata-live", **headers)
    assert answer.status == 200 and answer.getheader("Content-Type") == "application/json"
    assert answer.getheader("Cache-Control") == "no-store"
    return json.loads(answer.text)


def raw(port, data, timeout=20):
    """One answer to bytes that no client would send: (status, headers, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.sendall(data)
        return read_answer(sock.makefile("rb"))


def read_answer(file):
    status = int(file.readline().split()[1])
    headers = {}
    for line in iter(file.readline, b"\r\n"):
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    return status, headers, file.read(int(headers.get("content-length", 0)))


def curl(port, path, *more):
    """Over h2: (headers of the last answer, body)."""
    done = subprocess.run(["curl", "-sS", "-i", "--http2-prior-knowledge", "--max-time", "20", *more,
                           f"http://127.0.0.1:{port}{path}"], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), headers, body


def element(text, name):
    found = re.search(rf'<p id="{name}"[^>]*>(.*?)</p>', text, re.S)
    return html.unescape(found[1])


# --- languages ---------------------------------------------------------------------------------------

def test_every_language(gate, coordinator):
    coordinator.ask(wire.CLOSED, phase=SAVING, step="dump it", back_at=int(time.time()) + 600)
    seen = {}
    for tag in LANGUAGES:
        answer = request(gate.port, Accept_Language=tag)
        text = answer.text
        assert f'<html lang="{tag}" dir="{"rtl" if tag == "ar" else "ltr"}"' in text
        assert "{{" not in text and "%s" not in text
        seen[tag] = (element(text, "message"), element(text, "step"), element(text, "note"),
                     re.search("<title>(.*)</title>", text)[1])
        assert " UTC" in element(text, "back")
        spoken = live(gate.port, Accept_Language=tag)
        assert (spoken["message"], spoken["step"]) == seen[tag][:2]
        assert spoken["back"] == element(text, "back") and spoken["phase"] == "saving"
        error = json.loads(request(gate.port, "/api/x", Accept_Language=tag).text)["error"]
        assert error["message"] == seen[tag][0]
    assert len({words for row in seen.values() for words in row}) == 4 * len(LANGUAGES)


@pytest.mark.parametrize("value,tag", [
    ("de", "de"), ("DE-at", "de"), ("en-US,en;q=0.9", "en"), ("tlh, fr;q=0.4", "fr"),
    ("fr;q=0.3, ko;q=0.7, ja;q=0.70", "ko"), ("zh-TW", "zh-CN"), ("zh-Hans-CN", "zh-CN"),
    ("pt-BR,pt;q=0.9", "pt"), ("de;q=0, ru;q=0.001", "ru"), ("*", "en"), ("*;q=0.5, ja", "ja"),
    ("es ; q=0.9 , ar ; q=1.0", "ar"), ("deutsch", "en"), ("d", "en"), ("", "en"), (",,,,", "en"),
    (";q=1", "en"), ("de;q=x, ja;q=0.1", "ja"), ("de;q=1.0000000000000000000000000, fr", "de"),
    ("xx," * 200 + "de", "en"), ("de" + ";" * 3000, "en"), ("\xff\xfe de", "en"),
    ("de-" + "x" * 3000, "de"), ("-", "en"), ("%s%n", "en"), ("<script>", "en"),
])
def test_accept_language(gate, coordinator, value, tag):
    coordinator.ask(wire.CLOSED)
    status, _, body = raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Language: "
                          + value.encode("latin-1") + b"\r\n\r\n")
    assert status == 503 and f'<html lang="{tag}"'.encode() in body


def test_operators_words_stay_as_they_are(gate, coordinator):
    coordinator.ask(wire.CLOSED, message="Wartung bis 14 Uhr", step="something new", phase=99)
    answer = request(gate.port, Accept_Language="ja")
    assert element(answer.text, "message") == "Wartung bis 14 Uhr"
    assert element(answer.text, "step") == "something new"


# --- the page ----------------------------------------------------------------------------------------

def test_page_needs_nothing_else(gate, coordinator):
    coordinator.ask(wire.CLOSED, message="m")
    answer = request(gate.port, "/admin/x?y=1#z")
    assert not re.search(r'(?:src|href|url\()\s*[=("]', answer.text)
    policy = answer.getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; connect-src 'self'")
    assert "unsafe" not in policy and policy.count("'sha256-") == 2
    assert answer.getheader("Refresh") is None
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in answer.text


def test_policy_fits_what_is_sent(gate, coordinator):
    import base64
    import hashlib
    coordinator.ask(wire.CLOSED, message="'</script><script>alert(1)</script>")
    answer = request(gate.port)
    for tag in ("style", "script"):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.S)
        assert len(parts) == 1
        digest = base64.b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in answer.getheader("Content-Security-Policy")


def test_when_it_is_back(gate, coordinator):
    now = int(time.time())
    for back_at, form in ((now + 600, r"Back at about \d\d:\d\d UTC"),
                          (now + 2 * 86400, r"Back at about \d{4}-\d\d-\d\d \d\d:\d\d UTC"),
                          (now - 5, "It is taking a little longer than planned."),
                          (0, ""), (2 ** 62, ""), (2 ** 64 - 4, "")):
        coordinator.ask(wire.CLOSED, back_at=back_at)
        assert re.fullmatch(form, element(request(gate.port).text, "back")), back_at
        spoken = live(gate.port)
        assert re.fullmatch(form, spoken["back"]) and spoken["utc"] in spoken["back"]
        assert spoken["back_at"] == (back_at if back_at < 2 ** 60 else 0)
    moment = time.gmtime(now + 600)
    coordinator.ask(wire.CLOSED, back_at=now + 600)
    assert f"{moment.tm_hour:02}:{moment.tm_min:02} UTC" in request(gate.port).text


def test_time_that_passes(gate, coordinator):
    """The page says so without a word of the coordinator."""
    coordinator.ask(wire.CLOSED, back_at=int(time.time()) + 2)
    assert "Back at" in request(gate.port).text
    wait_for(lambda: "longer than planned" in request(gate.port).text, 10, "the time to pass")


def test_escaping(gate, coordinator):
    bad = '"><img src=x onerror=alert(1)>&\'\u2028\\"</script>\n'
    coordinator.ask(wire.CLOSED, message=bad, step=bad, command="a-b")
    text = request(gate.port).text
    assert "<img" not in text and element(text, "message") == bad
    assert live(gate.port)["message"] == bad
    assert json.loads(request(gate.port, "/api/").text)["error"]["message"] == bad


def test_packed(gate, coordinator):
    """gzip where the client takes it: half of the page's way."""
    coordinator.ask(wire.CLOSED, message="é" * 200)
    plain = request(gate.port)
    assert plain.getheader("Content-Encoding") is None
    status, headers, body = raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\n"
                                b"Accept-Encoding: br, gzip\r\n\r\n")
    assert status == 503 and headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in headers["vary"]
    assert gzip.decompress(body).decode() == plain.text and len(body) * 2 < len(plain.text)
    for accept in (b"gzip;q=0", b"identity", b"deflate"):
        _, headers, body = raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: "
                               + accept + b"\r\n\r\n")
        assert "content-encoding" not in headers and body.decode() == plain.text


def test_own_page_with_every_variable(make_gate, coordinator):
    gate = make_gate(server="fermata_page html own.html; fermata_page json own.json;"
                     "location /other/ { fermata_page html other.html; }")
    names = ("message step phase back back_at back_unix command run title note lang dir live "
             "refresh poll spread").split()
    (gate.prefix / "own.html").write_text("|".join("{{%s}}" % n for n in names) + "|{{no}}{{")
    (gate.prefix / "own.json").write_text('{"m":"{{message}}","at":{{back_unix}}}')
    (gate.prefix / "other.html").write_text("<p>{{step}}</p>")
    gate.start()
    coordinator.wait_up()
    at = int(time.time()) + 3000
    coordinator.ask(wire.CLOSED, message="<m>", step="s", phase=STARTING, command="upgrade",
                    run=12, back_at=at)
    answer = request(gate.port, Accept_Language="de")
    values = answer.text.split("|")
    assert values[0] == "&lt;m&gt;" and values[1] == "Die Anwendung wird gestartet"
    assert values[2] == "starting" and values[3] == f"Zurück gegen {values[4]}"
    assert values[5:8] == [str(at), "upgrade", "12"]
    assert values[10:16] == ["de", "ltr", "/fermata-live", "15", "5", "5"]
    assert values[16] == "{{no}}{{"
    # it looks by itself, and what it may do is its own
    assert answer.getheader("Refresh") is None
    assert answer.getheader("Content-Security-Policy") is None
    assert json.loads(request(gate.port, "/api/").text) == {"m": "<m>", "at": at}
    other = request(gate.port, "/other/")
    assert other.text == "<p>Starting the application</p>" and other.getheader("Refresh") == "15"


# --- the poll ----------------------------------------------------------------------------------------

def test_live_in_every_mode(gate, coordinator, backends):
    assert live(gate.port)["open"] is False
    coordinator.ask(wire.CLOSED, message="m", phase=PREPARING)
    assert live(gate.port) == {
        "open": False, "message": "m", "phase": "preparing", "step": "Getting ready", "back_at": 0,
        "back": "", "utc": "", "run": 0, "poll": 5}
    for mode, more in ((wire.OPEN, {}), (wire.PINNED, {"pinned": "app2"})):
        coordinator.ask(mode, **more)
        assert live(gate.port) == {"open": True, "spread": 5}
    # nobody is left who could serve
    coordinator.ask(wire.OPEN, drained=["app1", "app2", "app3"])
    assert live(gate.port)["open"] is False
    assert backends.total() == 0
    assert request(gate.port, "/fermata-live", "POST", b"x").status == 405
    head = request(gate.port, "/fermata-live", "HEAD")
    assert head.status == 200 and head.text == "" and int(head.getheader("Content-Length")) > 50


def test_live_elsewhere(make_gate, coordinator, backends):
    gate = make_gate(http="fermata_live /live/now;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    assert request(gate.port, "/live/now").status == 200
    assert request(gate.port, "/fermata-live").status == 503
    assert 'data-live="/live/now"' in request(gate.port).text


def test_live_off(make_gate, coordinator, backends):
    gate = make_gate(http="fermata_live off;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    assert request(gate.port, "/fermata-live").status == 503
    assert 'data-live=""' in request(gate.port).text
    coordinator.ask(wire.OPEN)
    assert request(gate.port, "/fermata-live").getheader("X-Node")


# --- headers -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("path,more,names", [
    ("/", "", "content-security-policy retry-after vary"),
    ("/", "Accept-Encoding: gzip\r\n", "content-encoding content-security-policy retry-after vary"),
    ("/api/x", "", "retry-after vary"), ("/own/", "", "refresh retry-after vary"), ("/fermata-live", "", "vary"),
])
def test_each_header_once(make_gate, coordinator, path, more, names):
    """And the length is right: what follows on the connection is the next answer."""
    gate = make_gate(server="location /own/ { fermata_page html own.html; } add_header X-Site s always;")
    (gate.prefix / "own.html").write_text("<h1>{{title}}</h1>")
    gate.start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    wanted = {"cache-control", "connection", "content-length", "content-type", "date", "server", "x-site", *names.split()}
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        file = sock.makefile("rb")
        for _ in range(3):
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
            assert file.readline().startswith(b"HTTP/1.1 ")
            lines = [line.decode().split(": ", 1) for line in iter(file.readline, b"\r\n")]
            assert sorted(name.lower() for name, _ in lines) == sorted(wanted)
            assert file.read(int(dict(lines)["Content-Length"]))


def test_headers_in_a_log_that_comes_late(make_gate, coordinator):
    """The body is still being read when the page has long been made anew."""
    gate = make_gate(workers=1, http="log_format late '$status $sent_http_content_length $sent_http_retry_after';",
                     server="access_log late.log late;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="first")
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        status, headers, _ = read_answer(sock.makefile("rb"))
        for number in range(4):
            coordinator.ask(wire.CLOSED, message=f"another, which is longer {number}" * 3)
            assert f"longer {number}" in request(gate.port, "/").text
        sock.sendall(b"x" * 100000)
        sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(OSError, IndexError):
            read_answer(sock.makefile("rb"))
    line = f"{status} {headers['content-length']} {headers['retry-after']}"
    wait_for(lambda: line in (gate.prefix / "late.log").read_text().splitlines(), 20, f"the line {line}")


# --- programs ----------------------------------------------------------------------------------------

def test_retry_after_is_spread_and_stays(make_gate, coordinator):
    """Clients differ, and each hears the same again."""
    gate = make_gate(server="set_real_ip_from 127.0.0.1; real_ip_header X-Client;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, back_at=int(time.time()) + 400)

    def heard(client):
        return int(request(gate.port, "/api/x", X_Client=client).getheader("Retry-After"))
    values = [heard(f"192.0.2.{i}") for i in range(40)]
    assert min(values) >= 390 and max(values) <= 460 and max(values) - min(values) > 20
    assert abs(heard("192.0.2.7") - heard("192.0.2.7")) <= 1
    # soon is not at once, and never is not for ever
    for back_at, least, most in ((int(time.time()) + 1, 5, 6), (int(time.time()) + 10 ** 7, 3600,
                                                                3660)):
        coordinator.ask(wire.CLOSED, back_at=back_at)
        assert least <= heard("192.0.2.9") <= most


def test_accept(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    for accept, kind in (("application/json", "application/json"), ("text/html", "text/html"),
                         ("application/json, text/plain, */*", "application/json"),
                         ("text/html, application/json", "text/html"), ("*/*", "text/html"),
                         ("APPLICATION/JSON", "application/json"), ("", "text/html"),
                         ("x" * 4000, "text/html")):
        answer = request(gate.port, "/files/1", Accept=accept)
        assert answer.getheader("Content-Type").split(";")[0] == kind, accept
        assert "Accept" in answer.getheader("Vary")
    assert request(gate.port, "/api/x", Accept="text/html").getheader("Content-Type") == \
        "application/json"


def test_large_body_is_answered_at_once(make_gate, coordinator):
    """20 MB that nobody wants: the answer comes, and is whole."""
    gate = make_gate(server="client_max_body_size 0;").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    size = 20 * 1024 * 1024
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        sock.sendall(b"POST /api/files:create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                     % size)
        status, headers, body = read_answer(sock.makefile("rb"))
        assert status == 503 and json.loads(body)["error"]["maintaining"]
        # a client that sends all of it nonetheless keeps its connection
        part = b"x" * 65536
        try:
            for _ in range(size // len(part)):
                sock.sendall(part)
            sock.sendall(b"GET /api/next HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, body = read_answer(sock.makefile("rb"))
            assert status == 503 and json.loads(body)["error"]["maintaining"]
        except (ConnectionError, IndexError):
            assert headers["connection"] == "close"


def test_chunked_body_keeps_the_connection(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        file = sock.makefile("rb")
        for _ in range(3):
            sock.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            sock.sendall(b"3e8\r\n" + b"y" * 1000 + b"\r\n0\r\n\r\n")
            status, headers, body = read_answer(file)
            assert status == 503 and headers["connection"] == "keep-alive"
            assert json.loads(body)["error"]["code"] == "APP_COMMANDING"


def test_expect_continue(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        file = sock.makefile("rb")
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     b"Content-Length: 5\r\n\r\n")
        assert file.readline() == b"HTTP/1.1 100 Continue\r\n" and file.readline() == b"\r\n"
        sock.sendall(b"hello")
        status, headers, _ = read_answer(file)
        assert status == 503 and headers["connection"] == "keep-alive"


def test_http_1_0_and_0_9(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    status, headers, body = raw(gate.port, b"GET / HTTP/1.0\r\n\r\n")
    assert status == 503 and headers["connection"] == "close" and b"</html>" in body
    status, headers, body = raw(gate.port, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert status == 503 and headers["connection"] == "keep-alive"
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        sock.sendall(b"GET /\r\n")
        assert sock.makefile("rb").read().rstrip().endswith(b"</html>")


def test_ranges_and_conditions_do_not_count(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    whole = request(gate.port).text
    for headers in ({"Range": "bytes=0-9"}, {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"},
                    {"If-None-Match": "*"}, {"If-Range": '"x"', "Range": "bytes=-1"}):
        answer = request(gate.port, **headers)
        assert answer.status == 503 and answer.text == whole
        for name in ("Content-Range", "Accept-Ranges", "ETag", "Last-Modified"):
            assert answer.getheader(name) is None


def test_websocket_elsewhere_gets_an_ordinary_answer(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    status, headers, body = raw(
        gate.port, b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert status == 503 and "upgrade" not in headers and b"</html>" in body


def test_pipelined(gate, coordinator):
    coordinator.ask(wire.CLOSED)
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3
                     + b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok" * 3)
        file = sock.makefile("rb")
        assert [read_answer(file)[0] for _ in range(6)] == [503] * 6


def test_h2(make_gate, coordinator, backends):
    gate = make_gate(listen="http2").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED, message="m")
    status, headers, body = curl(gate.port, "/admin")
    assert status == 503 and headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store" and b"</html>" in body
    status, headers, body = curl(gate.port, "/api/x", "-I")
    assert status == 503 and headers["content-type"] == "application/json" and body == b""
    assert int(headers["content-length"]) > 50
    status, headers, body = curl(gate.port, "/fermata-live")
    assert status == 200 and json.loads(body)["message"] == "m"
    assert backends.total() == 0


def test_grpc(make_gate, coordinator, backends):
    gate = make_gate(listen="http2").start()
    coordinator.wait_up()
    coordinator.ask(wire.CLOSED)
    for kind in ("application/grpc", "application/grpc+proto", "application/grpc;charset=x"):
        status, headers, body = curl(gate.port, "/pkg.Service/Call", "-X", "POST", "-H",
                                     f"content-type: {kind}")
        assert (status, headers["content-type"]) == (200, "application/grpc")
        assert headers["grpc-status"] == "14" and "maintained" in headers["grpc-message"]
        assert int(headers["retry-after"]) >= 5 and body == b""
    for kind in ("application/grpc-web+proto", "application/grpcx"):
        assert curl(gate.port, "/x", "-X", "POST", "-H", f"content-type: {kind}")[0] == 503
    assert backends.total() == 0


@pytest.mark.parametrize("path", [b"/\xff\xfe\x80", b"/%ff%fe", b"/%00", b"/a%0d%0aX: y",
                                  b"/" + b"a" * 7000, b"/api/%2e%2e/x", b"/api/\xc3\x28"])
def test_strange_uris(gate, coordinator, backends, path):
    coordinator.ask(wire.CLOSED)
    status, headers, body = raw(gate.port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status in (400, 503) and "x" not in headers
    body.decode()
    assert backends.total() == 0


def test_huge_headers(gate, coordinator, backends):
    coordinator.ask(wire.CLOSED)
    for name in (b"Accept", b"Accept-Language", b"Accept-Encoding", b"Content-Type", b"Cookie"):
        for value, statuses in ((b"a" * 7000, (503,)), (b"b" * 40000, (400, 494))):
            assert raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\n" + name + b": " + value
                       + b"\r\n\r\n")[0] in statuses
    assert raw(gate.port, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Accept-Language: de\r\n" * 50
               + b"\r\n")[0] == 503
    assert backends.total() == 0
