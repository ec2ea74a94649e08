"""Visitors: a plain client, load, and a websocket."""
import base64
import http.client
import json
import os
import socket
import threading
import time


def request(port, path="/", method="GET", body=None, timeout=20, **headers):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        conn.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = conn.getresponse()
        answer.text = answer.read().decode("utf-8", "replace")
        return answer
    finally:
        conn.close()


def status(port):
    return json.loads(request(port, "/status").text)


class Ahead:
    """A request that is sent now and looked at later."""

    def __init__(self, port, path, **more):
        self.answer = self.error = self.ended = None
        self.thread = threading.Thread(target=self.run, args=(port, path), kwargs=more, daemon=True)
        self.thread.start()

    def run(self, port, path, **more):
        try:
            self.answer = request(port, path, **more)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        self.ended = time.monotonic()

    def done(self, timeout=20):
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "no answer"
        return self


class Load:
    """Clients on kept connections. Every answer is remembered: (sent, ended, status, node)."""

    def __init__(self, port, clients=12, post_every=4):
        self.port, self.post_every = port, post_every
        self.answers, self.faults = [], []
        self.running = True
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True)
                        for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while self.running:
            sent = time.monotonic()
            try:
                if number % self.post_every == 0:
                    conn.request("POST", "/post", b"x" * 3000)
                else:
                    conn.request("GET", "/get")
                answer = conn.getresponse()
                answer.read()
                self.answers.append((sent, time.monotonic(), answer.status,
                                     answer.getheader("X-Node")))
            except (OSError, http.client.HTTPException) as error:
                self.faults.append((sent, repr(error)))
                conn.close()
        conn.close()

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(20)

    def statuses(self):
        found = {}
        for answer in self.answers:
            found[answer[2]] = found.get(answer[2], 0) + 1
        return found


class WebSocket:
    def __init__(self, port, path="/ws", **headers):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        more = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        self.sock.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n{more}"
                           "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.sock.recv(4096)
            if not part:
                break
            head += part
        self.head = head.decode("latin-1")
        self.status = int(self.head.split(" ")[1]) if head else 0
        self.node = next((line.split(": ")[1] for line in self.head.split("\r\n")
                          if line.lower().startswith("x-node: ")), None)

    def echo(self):
        self.sock.sendall(b"hello")
        return self.sock.recv(5) == b"hello"

    def closed_at(self, timeout=5):
        """When the other side closed it, or None."""
        self.sock.settimeout(timeout)
        try:
            if self.sock.recv(1) == b"":
                return time.monotonic()
        except ConnectionError:
            return time.monotonic()
        except TimeoutError:
            pass
        return None

    def close(self):
        self.sock.close()
