"""A name server whose answers a test changes, and who has asked it."""
import collections
import time

from dnslib import QTYPE, RCODE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from wait import wait_for


class Names(BaseResolver):
    def __init__(self):
        self.table = {}
        self.asked = []            # (monotonic time, name, who)
        self.server = DNSServer(self, port=0, address="127.0.0.1", logger=DNSLogger("-request,-reply,-truncated"))
        self.port = self.server.server.server_address[1]
        self.server.start_thread()

    def resolve(self, request, handler):
        name = str(request.q.qname).rstrip(".")
        self.asked.append((time.monotonic(), name, handler.client_address))
        reply = request.reply()
        found = self.table.get(name)
        if found is None:
            reply.header.rcode = RCODE.NXDOMAIN
        for address in (found or []) if request.q.qtype == QTYPE.A else []:
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=1))
        return reply

    def move(self, **where):
        """Gives names, without their domain, other addresses; None: there is no such name any more. Returns
        when every worker that looks one up has heard of it, for all of its upstreams: it keeps an answer for
        about a second and shares it among them."""
        askers = {(name, who) for _, name, who in self.asked}
        for name, addresses in where.items():
            self.table[f"{name}.test"] = addresses
        at = time.monotonic()

        def heard():
            counts = collections.Counter((name, who) for when, name, who in list(self.asked) if when > at)
            waiting = [key for key in askers if key[0].split(".")[0] in where]
            return waiting and all(counts[key] >= 3 for key in waiting)
        wait_for(heard, 60, "nginx to look the names up")

    def close(self):
        self.server.stop()
        self.server.server.server_close()
