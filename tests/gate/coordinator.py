"""A coordinator that does as it is told: it keeps every session and every report with its time."""
import contextlib
import socket
import struct
import threading
import time

import wire
from wait import wait_for


class Session:
    def __init__(self, owner, conn):
        self.owner, self.conn = owner, conn
        self.hello = None
        self.reports = []          # (monotonic time, report)
        self.beats = []
        self.ended = None
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.conn.recv(size - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return data

    def run(self):
        try:
            while True:
                size = struct.unpack(">I", self.exactly(4))[0]
                body, message = wire.decode_envelope(self.exactly(size))
                now = time.monotonic()
                if body == wire.HELLO:
                    self.hello = message
                    if self.owner.greets:
                        self.send(wire.frame(wire.WELCOME, major=1, cluster="demo", epoch=1,
                                             heartbeat_ms=1000, lost_ms=3000))
                elif body == wire.GATE_REPORT:
                    self.reports.append((now, message))
                elif body == wire.HEARTBEAT:
                    self.beats.append(now)
                    if self.owner.answers:
                        self.send(wire.frame(wire.HEARTBEAT, count=len(self.beats)))
        except (OSError, ConnectionError) as end:
            self.ended = str(end)
        finally:
            self.ended = self.ended or "closed"
            self.conn.close()

    def send(self, data):
        with self.lock:
            self.conn.sendall(data)

    def close(self):
        try:
            self.conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @property
    def last(self):
        return self.reports[-1][1] if self.reports else None


class Coordinator:
    def __init__(self, port=0):
        self.sessions = []
        self.epoch, self.seq = 1, 0
        self.greets = self.answers = True
        self.listener = None
        self.last_ask = None
        self.open(port)

    def open(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sessions.append(Session(self, conn))

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in self.sessions:
            session.close()

    def live(self):
        return [s for s in self.sessions if s.ended is None and s.reports]

    def wait_up(self, count=1, timeout=10):
        wait_for(lambda: len(self.live()) >= count, timeout, "a gate's session")
        return self.live()[-1]

    def send_ask(self, mode, epoch=None, seq=None, **more):
        """To every session. Returns the voice and the time just before it was sent."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        epoch = self.epoch if epoch is None else epoch
        data = wire.frame(wire.GATE_ASK, epoch=epoch, seq=seq, mode=mode, **more)
        began = time.monotonic()
        self.last_ask = (epoch, seq), data, began
        for session in self.live():
            session.send(data)
        return (epoch, seq), began

    def say_again(self, voice):
        """As a coordinator does: the session that was asked may have ended with its manager."""
        asked, data, at = self.last_ask or (None, b"", 0)
        if asked == voice and time.monotonic() - at > 1:
            self.last_ask = asked, data, time.monotonic()
            for session in self.live():
                with contextlib.suppress(OSError):
                    session.send(data)

    def wait_force(self, voice, timeout=10):
        """Until every live session says that voice is in force. Returns when it was heard."""
        def heard(session):
            return [t for t, r in list(session.reports) if (r["epoch"], r["seq"]) == voice]

        def forced():
            self.say_again(voice)
            return self.live() and all(heard(s) for s in self.live())
        wait_for(forced, timeout, f"{voice} in force, last: {[s.last for s in self.live()]}")
        return max(heard(s)[0] for s in self.live())

    def ask(self, mode, **more):
        """Sends, waits until in force, returns the milliseconds it took."""
        voice, began = self.send_ask(mode, **more)
        return (self.wait_force(voice) - began) * 1000

    def wait_report(self, what, timeout=10):
        """The time at which a report that fits was heard from the live session."""
        session = self.live()[-1]
        seen = len(session.reports) - 1

        def fits():
            nonlocal seen
            while seen < len(session.reports):
                when, report = session.reports[max(seen, 0)]
                if what(report):
                    return when
                seen += 1
            return None
        return wait_for(fits, timeout, f"a report, last: {session.last}")
