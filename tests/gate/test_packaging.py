"""The example that we ship, with its folders and ports moved: what passes and what waits."""
import os
import subprocess

import wire
from client import WebSocket, request
from gate import ROOT

EXAMPLE = ROOT / "packaging" / "nginx" / "nocobase.conf"

FILES = {
    "node_modules/@nocobase/app/dist/client/assets/a.js": "/assets/a.js",
    "node_modules/@nocobase/app/dist/client/v/assets/b.js": "/v/assets/b.js",
    "node_modules/@nocobase/app/dist/client/static/c.png": "/static/c.png",
    "node_modules/@nocobase/app/dist/client/favicon/favicon.ico": "/favicon/favicon.ico",
    "node_modules/@nocobase/app/dist/client/global.css": "/global.css",
    "node_modules/@nocobase/app/dist/client/browser-checker.js": "/browser-checker.js?v=1",
    "node_modules/@nocobase/plugin-acl/dist/client/index.js":
        "/static/plugins/@nocobase/plugin-acl/dist/client/index.js?hash=1",
    "node_modules/@nocobase/plugin-acl/dist/client-v2/index.js":
        "/static/plugins/@nocobase/plugin-acl/dist/client-v2/index.js",
    "node_modules/my-plugin/dist/client/index.js": "/static/plugins/my-plugin/dist/client/index.js",
}


def test_example(make_gate, coordinator, backends):
    gate = make_gate()
    release = gate.prefix / "srv" / "releases" / "1"
    for name in [*FILES, "node_modules/@nocobase/plugin-acl/dist/server/secret.js",
                 "node_modules/@nocobase/plugin-acl/package.json"]:
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(name)
    os.symlink("releases/1", gate.prefix / "srv" / "current")
    text = EXAMPLE.read_text()
    for old, new in (("/srv/nocobase", f"{gate.prefix}/srv"), ("listen 80;",
                      f"listen 127.0.0.1:{gate.port};"), ("127.0.0.1:7400",
                      f"127.0.0.1:{coordinator.port}"), ("/var/lib/nginx/fermata",
                      f"{gate.prefix}/state"), ("# fermata_bypass_header",
                                                "fermata_bypass_header")):
        assert old in text
        text = text.replace(old, new)
    for i in (1, 2, 3):
        text = text.replace(f"127.0.0.1:1300{i}", f"127.0.0.1:{backends[f'app{i}'].port}")
    (gate.prefix / "nocobase.conf").write_text(text)
    (gate.prefix / "nginx.conf").write_text(
        f"load_module {gate.values['module']};\nuser www-data;\nworker_processes 2;\n"
        f"pid nginx.pid;\n{gate.values['env']}\nerror_log error.log notice;\n"
        "events {}\nhttp { include /etc/nginx/mime.types; access_log off;\n"
        "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
        "uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
        f"include {gate.prefix}/nocobase.conf; }}\n")
    gate.start()
    coordinator.wait_up()

    for name, url in FILES.items():
        answer = request(gate.port, url)
        assert (answer.status, answer.text) == (200, name), url
    for url in ("/static/plugins/@nocobase/plugin-acl/dist/server/secret.js",
                "/static/plugins/@nocobase/plugin-acl/package.json",
                "/static/plugins/../../../package.json", "/assets/none.js"):
        assert request(gate.port, url).status in (400, 404), url
    waiting = ("/", "/admin/settings", "/api/app:getInfo", "/files/x", "/storage/uploads/x",
               "/index.html", "/v/", "/signin", "/ws")
    for url in waiting:
        assert request(gate.port, url).status == 503, url
    assert backends.total() == 0

    for value, code in (("a long random string", 200), ("a wrong random string", 503)):
        assert request(gate.port, "/", X_Operator=value).status == code

    coordinator.ask(wire.OPEN)
    for url in waiting:
        assert request(gate.port, url).status == 200, url
    sock = WebSocket(gate.port)
    assert sock.status == 101 and sock.echo()
    sock.close()

    # a node that has gone without a word: the next one answers
    backends.stop_listening("app2")
    assert {request(gate.port, "/", m).status for m in ("GET", "POST") for _ in range(9)} == {200}
    assert request(gate.port, "/fermata").text.startswith('{"mode":"open"')




def test_install(tmp_path):
    """Module, what loads it, and the example are where Debian's nginx looks for them."""
    build = os.environ.get("FERMATA_BUILD") or str(ROOT / "build")
    done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], capture_output=True, text=True,
                          env={**os.environ, "DESTDIR": str(tmp_path)}, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "usr/lib/nginx/modules/ngx_http_fermata_module.so").read_bytes()[:4] == b"\x7fELF"
    enabled = tmp_path / "etc/nginx/modules-enabled/50-mod-http-fermata.conf"
    loads = tmp_path / os.readlink(enabled).lstrip("/")
    assert loads.read_text().strip() == "load_module modules/ngx_http_fermata_module.so;"
    assert len(list(tmp_path.glob("usr/**/examples/nocobase.conf"))) == 1
