"""Stand-in nodes: small HTTP servers that say which node they are and remember what they got."""
import asyncio
import base64
import hashlib
import threading
import time


class Node:
    def __init__(self, name, host="127.0.0.1"):
        self.name, self.host = name, host
        self.port = None
        self.requests = []         # (monotonic time, method, path)
        self.heads = []            # the same as they came
        self.connections = 0       # open now
        self.accepted = 0
        self.websockets = 0
        self.server = None
        self.held = {}             # path -> asyncio.Event
        self.drops = False         # what was held gets no answer

    async def serve(self, reader, writer):
        self.connections += 1
        self.accepted += 1
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections -= 1
            writer.close()

    async def one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:]
                                                           if ": " in line)}
        self.requests.append((time.monotonic(), method, path))
        self.heads.append(head.decode("latin-1"))
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("upgrade") == "websocket":
            return await self.websocket(reader, writer, headers)
        if path.startswith("/hold"):
            event = self.held.setdefault(path, asyncio.Event())
            if await self.gone_before(reader, event.wait()) or self.drops:
                return False
        status = "500 Oops" if "/fail" in path else "200 OK"
        text = f"{self.name} {method} {path} {len(body)}\n".encode()
        if path.startswith("/big/"):
            text = text.ljust(int(path[5:]), b".")
        keep = headers.get("connection") != "close"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nX-Node: {self.name}\r\n"
                     f"Content-Length: {len(text)}\r\n"
                     f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
                     + (b"" if method == "HEAD" else text))
        await writer.drain()
        return keep

    @staticmethod
    async def gone_before(reader, waiting):
        """Whether the client goes away before what is waited for happens."""
        both = [asyncio.ensure_future(waiting), asyncio.ensure_future(reader.read(1))]
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        gone = both[1] in done
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        return gone

    async def websocket(self, reader, writer, headers):
        key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                      f"X-Node: {self.name}\r\n\r\n").encode())
        self.websockets += 1
        try:
            while True:
                data = await reader.read(4096)
                if not data:
                    return False
                writer.write(data)
        finally:
            self.websockets -= 1


class Backends:
    """All nodes in one thread with one event loop. Those with hosts of their own share one port."""

    def __init__(self, names, hosts=None):
        self.nodes = {name: Node(name, **({"host": hosts[name]} if hosts else {})) for name in names}
        self.port = 0
        self.hosts = hosts
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait(10)

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        for node in self.nodes.values():
            self.loop.run_until_complete(self.listen(node, self.port))
            self.port = node.port if self.hosts else 0
        self.loop.call_soon(ready.set)
        self.loop.run_forever()

    async def listen(self, node, port):
        node.server = await asyncio.start_server(node.serve, node.host, port, backlog=512)
        node.port = node.server.sockets[0].getsockname()[1]

    def __getitem__(self, name):
        return self.nodes[name]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def release(self, name, path):
        async def go():
            self.nodes[name].held.setdefault(path, asyncio.Event()).set()
        self.call(go())

    def stop_listening(self, name):
        async def go():
            self.nodes[name].server.close()
        self.call(go())

    def since(self, when):
        return [(name, r) for name, node in self.nodes.items() for r in list(node.requests)
                if r[0] > when]

    def total(self):
        return sum(len(node.requests) for node in self.nodes.values())

    def close(self):
        async def go():
            for node in self.nodes.values():
                node.server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        self.call(go())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
