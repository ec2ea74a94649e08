"""An open tab: the websocket of NocoBase's client, kept by the library that others use."""
import asyncio
import json
import os
import socket
import ssl
import struct
import threading
import time

import websockets
from websockets.legacy.client import connect  # Debian 12's own, and what newer ones still have

from wait import wait_for


class Loop:
    """One event loop in a thread, for all tabs of a test."""

    def __init__(self):
        self.loop, self.tabs = asyncio.new_event_loop(), []
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, coroutine, timeout=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self):
        async def end():
            for tab in self.tabs:
                tab.socket.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=10)
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


class Tab:
    """Everything it was told is in heard: (monotonic time, message as object)."""

    def __init__(self, loop, port, path="/ws", tls=False, **headers):
        self.owner, self.heard = loop, []
        self.code = self.ended = self.socket = None
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}"
        loop.call(self.open(url, context, headers))

    async def open(self, url, context, headers):
        self.socket = await connect(url, ssl=context, extra_headers=headers, ping_interval=None, open_timeout=15)
        self.node = self.socket.response_headers.get("X-Node")
        self.task = asyncio.ensure_future(self.listen())
        self.owner.tabs.append(self)

    async def listen(self):
        try:
            async for text in self.socket:
                self.heard.append((time.monotonic(), json.loads(text)))
        except websockets.ConnectionClosed:
            pass
        finally:
            self.code, self.ended = self.socket.close_code, time.monotonic()

    def payloads(self):
        return [message["payload"] for _, message in list(self.heard)]

    def last(self):
        return self.heard[-1][1]["payload"] if self.heard else None

    def wait_told(self, text, timeout=10):
        """When it heard a message with this text in it."""
        return wait_for(lambda: next((t for t, m in list(self.heard)
                                      if text in m["payload"]["message"]), None),
                        timeout, lambda: f"{text!r}, heard: {self.heard}")

    def wait_end(self, timeout=15):
        wait_for(lambda: self.ended, timeout, lambda: f"the end, heard: {self.heard}")
        return self.code

    def say(self, text):
        self.owner.call(self.socket.send(text))

    def ping(self, data):
        """Sends a ping, waits for the pong with the same data."""
        async def go():
            await asyncio.wait_for(await self.socket.ping(data), 10)
        self.owner.call(go())

    def close(self):
        self.owner.call(self.socket.close())


def client_frame(opcode, payload=b"", fin=True, mask=b"\1\2\3\4", size=None):
    """A frame as a client sends it; size is what its head says, if not the truth."""
    size = len(payload) if size is None else size
    first = (0x80 if fin else 0) | opcode
    head = bytes([first, (0x80 if mask else 0) | (size if size < 126 else 126 if size < 65536 else 127)])
    if size >= 65536:
        head += struct.pack(">Q", size)
    elif size >= 126:
        head += struct.pack(">H", size)
    if mask:
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return head + (mask or b"") + payload


HANDSHAKE = {"Host": "x", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}


class Raw:
    """The same without a library: what no client would send."""

    def __init__(self, port, line="GET /ws HTTP/1.1", early=b"", rcvbuf=None, **changes):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(15)
        self.sock.connect(("127.0.0.1", port))
        headers = {**HANDSHAKE, **{k.replace("_", "-"): v for k, v in changes.items()}}
        text = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if v is not None)
        self.sock.sendall(f"{line}\r\n{text}\r\n".encode() + early)
        self.rest = b""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {n.lower(): v for n, _, v in (h.partition(": ") for h in head[1:] if h)}

    def until(self, mark):
        while mark not in self.rest:
            part = self.sock.recv(4096)
            assert part, f"closed after {self.rest!r}"
            self.rest += part
        found, self.rest = self.rest.split(mark, 1)
        return found

    def exactly(self, size):
        while len(self.rest) < size:
            part = self.sock.recv(4096)
            if not part:
                raise ConnectionError(f"closed after {self.rest!r}")
            self.rest += part
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def frame(self):
        """(opcode, payload) of the next frame."""
        first, size = self.exactly(2)
        assert first & 0x70 == 0 and size < 127
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        return first & 0x0f, self.exactly(size)

    def frame_of(self, opcode):
        """The payload of the next frame of that kind."""
        while True:
            got, payload = self.frame()
            if got == opcode:
                return payload

    def send(self, data):
        self.sock.sendall(data)

    def end(self):
        """The code that it is closed with; None when it is cut."""
        code = None
        try:
            while True:
                opcode, payload = self.frame()
                if opcode == 8:
                    code = struct.unpack(">H", payload)[0]
        except ConnectionError:
            return code

    def close(self):
        self.sock.close()


def certificate(folder):
    """A key and a certificate for a test's own server."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    os.system(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
              f"-subj /CN=localhost -keyout {key} -out {cert} 2>/dev/null")
    return key, cert
