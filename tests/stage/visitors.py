"""Visitors: a 20 ms poller, some load, open websockets; every answer is kept.

As a program (python3 visitors.py) it reads its settings as JSON from standard input, visits until
SIGTERM or its limit, and writes what it saw. class Visitors starts that program, so that the
tests' own work does not disturb its clock."""

import asyncio
import base64
import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

Answer = collections.namedtuple("Answer", "sent done kind status verdict detail")
Socket = collections.namedtuple("Socket", "at number event detail")

OK, PAGE, STRANGE = "ok", "page", "strange"
MOST_ANSWERS = 200_000
MOST_AT_ONCE = 10  # of each kind: a slow application must not be buried
RETRIES = 30  # nocobase: its client dials /ws again every 1 s, 30 times, then never


def now_ms():
    return time.time() * 1000


class Stale(Exception):
    """The server closed an idle connection before it saw our request."""


class Connection:
    """One keep-alive connection. Not a whole HTTP client: enough for nginx and NocoBase."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self._reader = self._writer = None
        self.used = 0

    async def ask(self, method, path, headers, body=b""):
        """(status, headers, body)"""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
            self.used = 0
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *headers]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            reused, partial = self.used > 0, getattr(error, "partial", b"")
            self.close()
            if reused and not partial:
                raise Stale from error
            raise ConnectionResetError("connection closed before an answer") from error
        self.used += 1
        status_line, *rest = head.decode("latin-1").split("\r\n")
        got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        status = int(status_line.split()[1])
        text = await self._body(got) if status != 304 else b""
        if got.get("connection", "").lower() == "close":
            self.close()
        return status, got, text

    async def _body(self, got):
        if got.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int((await self._reader.readline()).split(b";")[0], 16):
                parts.append(await self._reader.readexactly(size))
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
            return b"".join(parts)
        return await self._reader.readexactly(int(got.get("content-length", 0)))

    def close(self):
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def judge(status, headers, body):
    """(verdict, detail) of an answer. The page is known by Retry-After, which NocoBase never sends."""
    if status == 503 and "retry-after" in headers:
        return PAGE, ""
    if 200 <= status < 400 and not (status == 200 and b'"errors"' in body[:20]):
        return OK, ""
    return STRANGE, body[:160].decode("utf-8", "replace")


def page_kind(path):
    """Assets are let through at any time, documents are not."""
    return "asset" if path.startswith(("/assets/", "/static/", "/v/assets/", "/favicon/")) else "page"


class Crowd:
    def __init__(self, settings):
        self.host, self.port = settings["host"], settings["port"]
        self.settings = settings
        self.answers, self.sockets, self.writes = [], [], []
        self.stale = 0
        self._idle = []
        self._common = ["User-Agent: fermata-visitor", "Accept: */*"]
        token = settings.get("token")
        self._signed_in = [*self._common, f"Authorization: Bearer {token}"] if token else self._common
        self._stop = asyncio.Event()

    async def visit(self, kind, method, path, headers, body=b""):
        connection = self._idle.pop() if self._idle else Connection(self.host, self.port)
        sent = now_ms()
        try:
            async with asyncio.timeout(self.settings.get("patience", 60)):
                try:
                    status, got, text = await connection.ask(method, path, headers, body)
                except Stale:
                    self.stale += 1
                    status, got, text = await connection.ask(method, path, headers, body)
            verdict, detail = judge(status, got, text)
            self._idle.append(connection)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            connection.close()
            status, verdict, detail = 0, STRANGE, f"{type(error).__name__}: {error}"
        self.answers.append(Answer(sent, now_ms(), kind, status, verdict, detail))
        return verdict

    async def write(self, number):
        tag = f"{self.settings['tag']}-{number}"
        body = json.dumps({"title": tag}).encode()
        headers = [*self._signed_in, "Content-Type: application/json"]
        if await self.visit("write", "POST", "/api/things:create", headers, body) == OK:
            self.writes.append(tag)

    async def every(self, seconds, act):
        """Calls act(number) at even times, without waiting for its end. A tick is left out when it is
        late, or when as many as MOST_AT_ONCE have not ended."""
        loop, number, running = asyncio.get_running_loop(), 0, set()
        due = loop.time()
        while not self._stop.is_set() and len(self.answers) < MOST_ANSWERS:
            if len(running) < MOST_AT_ONCE:
                task = asyncio.create_task(act(number))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())
        if running:
            await asyncio.wait(running, timeout=self.settings.get("patience", 60))

    async def socket(self, number):
        """One open tab's websocket."""
        failures = 0
        await asyncio.sleep(number * 0.01)
        while not self._stop.is_set() and failures < RETRIES:
            try:
                await self._one_socket(number)
                failures = 0
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                failures += 1
                self.sockets.append(Socket(now_ms(), number, "refused", str(error)[:80]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1)

    async def _one_socket(self, number):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(f"GET /ws HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUpgrade: websocket\r\n"
                         f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                         "Sec-WebSocket-Version: 13\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.split()[1] != "101":
                raise ValueError(head.split("\r\n")[0])
            self.sockets.append(Socket(now_ms(), number, "open", ""))
            stop = asyncio.create_task(self._stop.wait())
            frames = asyncio.create_task(self._frames(reader, writer, number))
            done, _ = await asyncio.wait({stop, frames}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            frames.cancel()
            if frames in done:
                self.sockets.append(Socket(now_ms(), number, "closed", frames.result()))
        finally:
            writer.close()

    async def _frames(self, reader, writer, number):
        """Reads frames until the end; why it ended."""
        try:
            while True:
                first, second = await reader.readexactly(2)
                size = second & 0x7F
                if size >= 126:
                    size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
                data = await reader.readexactly(size)
                opcode = first & 0x0F
                if opcode == 8:
                    return f"close {int.from_bytes(data[:2], 'big') or ''}"
                if opcode == 9:  # answered with an empty mask
                    writer.write(bytes([0x8A, 0x80 | len(data), 0, 0, 0, 0]) + data)
                if opcode == 1:
                    self.sockets.append(Socket(now_ms(), number, "frame", data[:300].decode("utf-8", "replace")))
        except (asyncio.IncompleteReadError, OSError):
            return "cut"

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.call_later(self.settings["limit"], self._stop.set)
        tasks = [self.socket(number) for number in range(self.settings["sockets"])]
        tasks.append(self.every(self.settings["poll"], lambda _: self.visit(
            "poll", "GET", "/api/app:getInfo", self._common)))
        pages = self.settings["pages"]
        rates = (("lists", lambda _: self.visit(
                     "list", "GET", "/api/things:list?pageSize=20&sort=-id", self._signed_in)),
                 ("page_loads", lambda n: self.visit(
                     page_kind(pages[n % len(pages)]), "GET", pages[n % len(pages)], self._common)),
                 ("writes", self.write))
        for name, act in rates:
            if self.settings[name]:
                tasks.append(self.every(1 / self.settings[name], act))
        await asyncio.gather(*tasks)
        for connection in self._idle:
            connection.close()

    def result(self):
        return {"answers": self.answers, "sockets": self.sockets, "writes": self.writes, "stale": self.stale}


def main():
    settings = json.load(sys.stdin)
    crowd = Crowd(settings)
    asyncio.run(crowd.run())
    with open(settings["out"] + ".new", "w", encoding="utf-8") as out:
        json.dump(crowd.result(), out)
    os.rename(settings["out"] + ".new", settings["out"])


class Visitors:
    """`with Visitors(...) as v:`; after the block v.answers, v.sockets, v.writes, v.stale."""

    def __init__(self, url, out, **settings):
        host, port = url.removeprefix("http://").split(":")
        self.settings = {"host": host, "port": int(port), "out": str(out), "poll": 0.02, "limit": 900,
                         "sockets": 0, "lists": 0, "page_loads": 0, "writes": 0, "pages": ["/"],
                         "tag": f"v{time.time_ns()}", **settings}
        self.answers, self.sockets, self.writes, self.stale = [], [], [], 0

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.settings["out"])
        self._child = subprocess.Popen([sys.executable, "-I", os.path.abspath(__file__)], stdin=subprocess.PIPE,
                                       start_new_session=True, text=True)
        self._child.stdin.write(json.dumps(self.settings))
        self._child.stdin.close()
        return self

    def __exit__(self, *_):
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(90)
        finally:
            self._child.kill()
        with open(self.settings["out"], encoding="utf-8") as file:
            seen = json.load(file)
        self.answers = sorted((Answer(*row) for row in seen["answers"]), key=lambda a: a.done)
        self.sockets = [Socket(*row) for row in seen["sockets"]]
        self.writes, self.stale = seen["writes"], seen["stale"]


if __name__ == "__main__":
    main()
