"""The gate: the distribution's nginx with our module, or without it (what people have today)."""

import os
import pathlib
import signal
import subprocess

from .place import BUILD, Process, StageError, free_port, is_listening, wait_for

MODULE = pathlib.Path("ngx_module/ngx_http_fermata_module.so")

# Idle connections to a node end before Node.js ends them (5 s): a request that cannot be repeated would
# be answered with 502 if it met such an end.
# Assets come from the disk of the first node's current release, whatever the nodes do: a tab that is
# open during maintenance breaks for good if a chunk is answered with a page.
_CONF = """\
{load}
{user}
worker_processes 4;
worker_shutdown_timeout 2s;
error_log {folder}/error.log notice;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
	include /etc/nginx/mime.types;
	types {{ application/javascript mjs; }}
	default_type application/octet-stream;
	log_format stage '$msec $request_time $status $upstream_addr $upstream_status $request_method $request_uri';
	access_log {folder}/access.log stage;
	client_body_temp_path {folder}/tmp/body;
	proxy_temp_path {folder}/tmp/proxy;
	fastcgi_temp_path {folder}/tmp/fastcgi;
	uwsgi_temp_path {folder}/tmp/uwsgi;
	scgi_temp_path {folder}/tmp/scgi;
	map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
	{main}
	upstream app {{
{servers}
		{nodes}
		keepalive 32;
		keepalive_timeout 4s;
	}}
	server {{
		listen 127.0.0.1:{port};
		client_max_body_size 100m;
		{server}
		location = /fermata-status {{ {status} }}
		location ~ ^/static/plugins/((?:@[^/]+/)?[^/]+/dist/client(?:-v2)?/.*)$ {{
			{assets}
			alias {current}/node_modules/$1;
		}}
		location ^~ /assets/ {{
			{assets}
			alias {current}/node_modules/@nocobase/app/dist/client/assets/;
		}}
		location ^~ /v/assets/ {{
			{assets}
			alias {current}/node_modules/@nocobase/app/dist/client/v/assets/;
		}}
		location ^~ /favicon/ {{
			{assets}
			alias {current}/node_modules/@nocobase/app/dist/client/favicon/;
		}}
		location / {{
			{page}
			proxy_pass http://app;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Request-Source gate;
			proxy_read_timeout 600s;
		}}
	}}
}}
"""


class Gate:
    """With a coordinator's address: our module, asked by it. Without: plain, and its page is an
    included file and a reload, as people do it by hand."""

    def __init__(self, folder, nodes, coordinator=None, port=None, name="gate1", module=None,
                 http_lines="", server_lines=""):
        self.folder, self.name, self.port = pathlib.Path(folder), name, port or free_port()
        self.nodes, self.coordinator = nodes, coordinator
        self.module = module or os.environ.get("FERMATA_MODULE") or BUILD / MODULE
        self.http_lines, self.server_lines = http_lines, server_lines
        self.conf = self.folder / "nginx.conf"
        self.process = None
        (self.folder / "tmp").mkdir(parents=True)
        self.folder.chmod(0o755)
        self._page = self.folder / "maintenance.inc"
        self._page.write_text("")
        self.write_conf()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def write_conf(self):
        ours = self.coordinator is not None
        names = " ".join(f"{n.name}={n.address}" for n in self.nodes)
        self.conf.write_text(_CONF.format(
            folder=self.folder, port=self.port, current=self.nodes[0].current,
            load=f"load_module {self.module};" if ours else "",
            user="user www-data;" if os.getuid() == 0 else "",
            main=f"fermata_zone fermata:1m;\n\tfermata_state {self.folder}/state;\n"
                 f"\tfermata_coordinator {self.coordinator} name={self.name};\n\t{self.http_lines}" if ours else "",
            servers="\n".join(f"\t\tserver {n.address} max_fails=0;" for n in self.nodes),
            nodes=f"fermata_nodes {names};" if ours else "",
            server=("fermata on;\n\t\t" if ours else "") + self.server_lines,
            status="fermata off; fermata_status;" if ours else "return 404;",
            assets="fermata off;" if ours else "",
            page="" if ours else f"include {self._page};"))

    def start(self):
        self.process = Process("nginx", ["/usr/sbin/nginx", "-c", self.conf, "-e", self.folder / "error.log",
                                          "-g", "daemon off;"], self.folder / "nginx.out")
        wait_for(lambda: is_listening(self.port) or self.process.expect_alive(), 10, "nginx listens")

    def stop(self):
        if self.process:
            self.process.stop(10, signal.SIGTERM)

    def reload(self):
        checked = subprocess.run(["/usr/sbin/nginx", "-t", "-q", "-c", self.conf, "-e", self.folder / "error.log"],
                                 capture_output=True, text=True, check=False)
        if checked.returncode:
            raise StageError(f"nginx -t: {checked.stderr}")
        self.process.send(signal.SIGHUP)

    def master(self):
        return self.process.pid

    def passed(self, begin_ms, end_ms):
        """Requests that nginx began within the span and sent to a node: (ms, address, request)."""
        found = []
        for line in (self.folder / "access.log").read_text(errors="replace").splitlines():
            end, took, _status, upstream, _upstream_status, method, uri = line.split(" ", 6)
            began = (float(end) - float(took)) * 1000
            if upstream != "-" and begin_ms <= began < end_ms:
                found.append((began, upstream, f"{method} {uri}"))
        return found
