"""Nodes by name: servers that nginx resolves at run time, with `server ... resolve`. An address is known to be
a node's by the name that gave it, and goes on being so for what is under way there when the name has moved."""
import itertools
import threading

import pytest

import wire
from backend import Backends
from client import Ahead, WebSocket, request, status
from gate import version
from matrix import BALANCERS, pipelined
from test_drain import node
from wait import wait_for

if version() < (1, 27, 3):
    pytest.skip("this nginx has no `server ... resolve`", allow_module_level=True)

from names import Names  # noqa: E402

NAMES = ("app1", "app2", "app3")
# each node has lived in three places; who answers says which: app1.2 is app1's second one
HOSTS = {f"app{n}.{place}": f"127.0.{place}.{n}" for n in (1, 2, 3) for place in (1, 2, 3)}
ALL = set(NAMES)


def at(place, *numbers):
    return [f"127.0.{place}.{n}" for n in numbers]


@pytest.fixture
def backends():
    made = Backends(list(HOSTS), HOSTS)
    yield made
    made.close()


@pytest.fixture
def names():
    made = Names()
    made.table = {f"app{n}.test": at(1, n) for n in (1, 2, 3)}
    yield made
    made.close()


def upstream(name, port, balancer="", more="", servers=None, nodes=None):
    servers = servers or " ".join(f"server {n}.test:{port} resolve;" for n in NAMES)
    nodes = nodes or " ".join(f"{n}={n}.test:{port}" for n in NAMES)
    return f"upstream {name} {{ zone {name} 128k; {balancer} {servers} keepalive 4; {more} fermata_nodes {nodes}; }}\n"


@pytest.fixture
def make(make_gate, backends, names, coordinator):
    """A gate with an upstream for each balancer, u0 ...; app has the first. Up, and each name is known."""
    def started(more="", **changes):
        port = backends.port
        every = "".join(upstream(f"u{i}", port, b, more) for i, b in enumerate(BALANCERS.values()))
        values = dict(
            workers=2, balancer="zone app 128k;", servers=" ".join(f"server {n}.test:{port} resolve;" for n in NAMES),
            nodes=" ".join(f"{n}={n}.test:{port}" for n in NAMES), keepalive=f"keepalive 16; {more}",
            http=f"resolver 127.0.0.1:{names.port} valid=1s ipv6=off; resolver_timeout 2s;\n{every}",
            server="".join(f"location /u{i}/ {{ proxy_pass http://u{i}/; proxy_next_upstream error timeout http_500 "
                           "non_idempotent; }\n" for i in range(len(BALANCERS))))
        values.update(changes)
        gate = make_gate(**values).start()
        coordinator.wait_up()
        wait_for(lambda: all(any(name == f"{n}.test" for _, name, _ in names.asked) for n in NAMES), 20)
        coordinator.ask(wire.OPEN)
        for path in ("/", *(f"/u{i}/" for i in range(len(BALANCERS)))):
            for n in NAMES if names.table["app1.test"] else ():
                coordinator.ask(wire.PINNED, pinned=n)
                wait_for(lambda: request(gate.port, path).status == 200, 20, f"{path} to know {n}")
        coordinator.ask(wire.OPEN)
        return gate
    return started


def who(backends, path):
    return [n for n, d in list(backends.nodes.items()) if any(r[2] == path for r in d.requests)]


def connections(backends, name):
    return sum(d.connections for n, d in backends.nodes.items() if n.startswith(name))


class Crowd:
    """Visitors of every upstream, as fast as they are answered."""

    def __init__(self, port, paths):
        self.port, self.paths, self.seen, self.running = port, paths, [], True
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(3)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        for i in itertools.count(number):
            if not self.running:
                return
            path = self.paths[i % len(self.paths)]
            self.seen += [(path, *answer) for answer in pipelined(self.port, f"{path}{i}", 4)]

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(20)
        return self.seen


def test_matrix(make, names, backends, coordinator):
    """Every balancer, in every mode, while all names move and visitors come without a pause."""
    gate = make()
    paths = [f"/u{i}/" for i in range(len(BALANCERS))]
    modes = [
        ("open", wire.OPEN, {}, ALL, 2),
        ("without app1", wire.OPEN, dict(drained=["app1"]), {"app2", "app3"}, 3),
        ("without app1 and app3", wire.OPEN, dict(drained=["app1", "app3"]), {"app2"}, 1),
        ("pinned to app1", wire.PINNED, dict(pinned="app1"), {"app1"}, 2),
        ("pinned to app2, app3 drained", wire.PINNED, dict(pinned="app2", drained=["app3"]), {"app2"}, 1),
        ("closed", wire.CLOSED, {}, set(), 3),
        ("open again", wire.OPEN, {}, ALL, 1),
    ]
    bad, count = [], 0
    for mode, ask, more, allowed, place in modes:
        coordinator.ask(ask, **more)
        crowd = Crowd(gate.port, paths)
        try:
            names.move(**{f"app{n}": at(place, n) for n in (1, 2, 3)})
        finally:
            seen = crowd.stop()
        count += len(seen)
        bad += [(mode, answer) for answer in seen if (
            answer[1:] != (503, None) if not allowed else
            answer[1] != 200 or answer[2].split(".")[0] not in allowed)]
        for path, balancer in zip(paths, BALANCERS):
            after = pipelined(gate.port, path, 12)
            moved = {f"{n}.{place}" for n in allowed}
            bad += [(mode, balancer, "stayed", a) for a in after if allowed and a[1] not in moved]
            if balancer == "round robin" and allowed:
                assert {n for _, n in after} == moved
        for name in ALL - allowed:
            wait_for(lambda: connections(backends, name) == 0, 10, f"{mode}: connections to {name} to close")
    print(f"{len(paths)} balancers, {len(modes)} modes: {count} answers while names moved, {len(bad)} wrong")
    assert bad == [] and count > 500


def held_on_each(gate, backends, paths):
    """A held request by each balancer: its path, who has it, itself."""
    found = []
    for i, path in enumerate(paths):
        held = Ahead(gate.port, f"{path}hold/{i}", timeout=120)
        (name,) = wait_for(lambda: who(backends, f"/hold/{i}"), 10)
        found.append((f"/hold/{i}", name, held))
    return found


@pytest.mark.parametrize("reload", [False, True], ids=["same workers", "reload"])
def test_what_is_under_way_where_the_name_was(make, names, backends, coordinator, reload):
    """Requests, websockets and kept connections at addresses that the name has left: the drain of the node
    waits for them all."""
    gate = make()
    held = held_on_each(gate, backends, [f"/u{i}/" for i in range(len(BALANCERS))] * 3)
    sockets = [WebSocket(gate.port, path=f"/u{i % len(BALANCERS)}/ws") for i in range(14)]
    if reload:
        gate.reload()
        wait_for(lambda: len(coordinator.live()) == 1, 10, "the new manager alone")
    names.move(app1=at(2, 1), app2=at(2, 2), app3=at(2, 3))
    assert all(name.endswith(".1") for _, name, _ in held)
    for name in NAMES:
        left = [h for h in held if h[1] == f"{name}.1"]
        voice, _ = coordinator.send_ask(wire.OPEN, drained=[name])
        coordinator.wait_force(voice)
        first = next(r for _, r in coordinator.live()[-1].reports if (r["epoch"], r["seq"]) == voice)
        assert node(first, name)["in_flight"] == len(left), first
        for s in sockets:
            assert (s.closed_at() if s.node == f"{name}.1" else s.node is None or s.echo()), s.node
        for s in [s for s in sockets if s.node == f"{name}.1"]:
            s.node = None
        for path, at_node, _ in left:
            backends.release(at_node, path)
        coordinator.wait_report(lambda r: r["seq"] == voice[1] and node(r, name)["in_flight"] == 0
                                and node(r, name)["websockets"] == 0 and node(r, name)["idle"] == 0)
        assert all(h.done().answer.status == 200 for _, _, h in left)
        wait_for(lambda: connections(backends, name) == 0, 10, f"connections to {name} to close")
    assert {name for _, name, _ in held} > {"app1.1"}
    for s in sockets:
        s.close()


def test_kept_connections_are_those_of_the_name(make, names, backends, coordinator):
    """Counted where they may stay and closed where not, at addresses that the name has left, too."""
    gate = make()
    wait_for(lambda: all(connections(backends, n) for n in NAMES) or request(gate.port, "/x") and None, 20)
    names.move(app1=at(2, 1))
    kept = backends["app1.1"].connections
    assert kept > 0
    voice, _ = coordinator.send_ask(wire.OPEN, drained=["app2"])
    coordinator.wait_force(voice)
    coordinator.wait_report(lambda r: r["seq"] == voice[1] and node(r, "app2")["idle"] == 0
                            and node(r, "app1")["idle"] == connections(backends, "app1") >= kept)
    coordinator.ask(wire.OPEN, drained=["app1"])
    wait_for(lambda: connections(backends, "app1") == 0, 10, "connections to close")
    assert connections(backends, "app3") > 0


def test_names_that_change_places(make, names, backends, coordinator):
    """An address is one node's and then another's: what came under the one name counts for that."""
    gate = make(workers=1)
    held = {}
    for name in ("app1", "app2"):
        coordinator.ask(wire.PINNED, pinned=name)
        held[name] = Ahead(gate.port, f"/hold/{name}", timeout=120)
        assert wait_for(lambda: who(backends, f"/hold/{name}"), 10) == [f"{name}.1"]
    coordinator.ask(wire.OPEN)
    names.move(app1=at(1, 2), app2=at(1, 1))
    for name, answers in (("app1", "app2.1"), ("app2", "app1.1")):
        coordinator.ask(wire.PINNED, pinned=name)
        assert set(pipelined(gate.port, "/x", 6)) == {(200, answers)}
    coordinator.ask(wire.OPEN, drained=["app1"])
    coordinator.wait_report(lambda r: node(r, "app1")["in_flight"] == 1)
    backends.release("app2.1", "/hold/app2")
    assert held["app2"].done().answer.status == 200
    assert node(status(gate.port), "app1")["in_flight"] == 1
    backends.release("app1.1", "/hold/app1")
    coordinator.wait_report(lambda r: node(r, "app1")["in_flight"] == 0)
    assert held["app1"].done().answer.status == 200


def test_two_names_of_one_address(make, names, backends, coordinator):
    """Two nodes all the same: a drain of the one leaves the other, and what came under its name."""
    names.table["app2.test"] = at(1, 1)
    gate = make()
    coordinator.ask(wire.PINNED, pinned="app1")
    held = Ahead(gate.port, "/hold/1", timeout=120)
    wait_for(lambda: who(backends, "/hold/1") == ["app1.1"], 10)
    coordinator.ask(wire.OPEN, drained=["app1", "app3"])
    assert set(pipelined(gate.port, "/x", 12)) == {(200, "app1.1")}
    coordinator.wait_report(lambda r: node(r, "app1")["in_flight"] == 1)
    coordinator.ask(wire.OPEN, drained=["app2", "app3"])
    assert set(pipelined(gate.port, "/x", 12)) == {(200, "app1.1")}
    coordinator.ask(wire.OPEN, drained=["app1", "app2"])
    assert set(pipelined(gate.port, "/x", 12)) == {(200, "app3.1")}
    backends.release("app1.1", "/hold/1")
    coordinator.wait_report(lambda r: node(r, "app1")["in_flight"] == 0)
    assert held.done().answer.status == 200
    wait_for(lambda: backends["app1.1"].connections == 0, 10, "connections to close")


def test_several_addresses(make, names, backends, coordinator):
    """All are the node's, each is used, and one that fails is followed by another of the same node."""
    names.table["app1.test"] = at(1, 1) + at(2, 1) + at(3, 1)
    gate = make()
    every = {(200, f"app1.{n}") for n in (1, 2, 3)}
    for ask, more in ((wire.PINNED, dict(pinned="app1")), (wire.OPEN, dict(drained=["app2", "app3"]))):
        coordinator.ask(ask, **more)
        for path, balancer in zip((f"/u{i}/" for i in range(len(BALANCERS))), BALANCERS):
            got = set(pipelined(gate.port, path, 24))
            assert got <= every and (balancer != "round robin" or got == every), balancer
    backends.stop_listening("app1.1")
    backends.stop_listening("app1.2")
    for path in (f"/u{i}/" for i in range(len(BALANCERS))):
        got = pipelined(gate.port, f"{path}more", 6)
        assert [s for s, _ in got] == [200] * 6, path
    coordinator.ask(wire.OPEN, drained=["app1"])
    names.move(app1=[f"127.0.4.{n}" for n in range(1, 25)])
    for path in (f"/u{i}/" for i in range(len(BALANCERS))):
        got = pipelined(gate.port, path, 12)
        assert len(got) == 12 and set(got) <= {(200, "app2.1"), (200, "app3.1")}, path
    wait_for(lambda: connections(backends, "app1") == 0, 10, "connections to close")


@pytest.mark.parametrize("before, after", [([], []), (["app3"], ["app3"]), ([], ["app3"])],
                         ids=["open", "drained", "drained then"])
def test_a_further_try_after_the_names_have_moved(make, names, backends, coordinator, before, after):
    """A node is lost with a request that it had, and all addresses are others by then. It is asked again where
    it may go, though its balancer would give it nothing more."""
    gate = make()
    coordinator.ask(wire.OPEN, drained=before)
    held = []
    for i in range(2 * len(BALANCERS)):
        ahead = Ahead(gate.port, f"/u{i // 2}/hold/{i}", method="POST", body=b"x", timeout=120)
        (first,) = wait_for(lambda: who(backends, f"/hold/{i}"), 10)
        held.append((f"/hold/{i}", first, ahead))
    names.move(**{f"app{n}": at(2, n) for n in (1, 2, 3)})
    coordinator.ask(wire.OPEN, drained=after)
    allowed = {f"{n}.2" for n in ALL - set(after)}
    for path, first, ahead in held:
        backends[first].drops = True
        for name in allowed:
            backends.release(name, path)
        backends.release(first, path)
        answer = ahead.done().answer
        backends[first].drops = False
        assert answer.status == 200 and answer.getheader("X-Node") in allowed, (path, first, answer.text)


def test_the_last_answer_is_passed_on(make, backends, coordinator):
    """There are fewer nodes left than when the request began: the last one's answer is its own, not the page."""
    gate = make()
    for i in range(len(BALANCERS)):
        path = f"/hold/fail/{i}"
        held = Ahead(gate.port, f"/u{i}{path}", timeout=120)
        (first,) = wait_for(lambda: who(backends, path), 10)
        coordinator.ask(wire.OPEN, drained=[next(n for n in NAMES if not first.startswith(n))])
        for name in backends.nodes:
            backends.release(name, path)
        answer = held.done().answer
        assert answer.status == 500 and len(who(backends, path)) == 2, (path, answer.text)
        coordinator.ask(wire.OPEN)


def test_names_without_an_address(make, names, backends, coordinator):
    """At the start nobody has one: no error, and the node serves as soon as its name is known. It loses them
    again: another node's is not taken in its place."""
    for n in NAMES:
        names.table[f"{n}.test"] = None
    gate = make()
    assert request(gate.port).status == 502
    for mode, more in ((wire.PINNED, dict(pinned="app1")), (wire.OPEN, dict(drained=["app2"]))):
        coordinator.ask(mode, **more)
        assert request(gate.port).status == 503
    coordinator.ask(wire.OPEN)
    names.move(app2=at(1, 2))
    wait_for(lambda: request(gate.port).status == 200, 20, "app2 to be known")
    for mode, more, expected in (
            (wire.PINNED, dict(pinned="app1"), (503, None)), (wire.PINNED, dict(pinned="app2"), (200, "app2.1")),
            (wire.OPEN, dict(drained=["app2"]), (503, None)), (wire.OPEN, dict(drained=["app1"]), (200, "app2.1"))):
        coordinator.ask(mode, **more)
        for path in (f"/u{i}/" for i in range(len(BALANCERS))):
            assert set(pipelined(gate.port, path, 6)) == {expected}, (more, path)
    names.move(app1=at(1, 1), app2=None)
    coordinator.ask(wire.PINNED, pinned="app1")
    wait_for(lambda: request(gate.port).status == 200, 20, "app1 to be known")
    coordinator.ask(wire.PINNED, pinned="app2")
    assert request(gate.port).status == 503


def test_the_pinned_node_itself(make, names, backends, coordinator):
    """Its balancer has given up on it: one more try, at an address that it has now."""
    gate = make(servers=" ".join(f"server {n}.test:{backends.port} resolve max_fails=1 fail_timeout=300;"
                                 for n in NAMES), workers=1)
    names.move(app1=at(2, 1))
    coordinator.ask(wire.PINNED, pinned="app1")
    assert request(gate.port).getheader("X-Node") == "app1.2"
    held = Ahead(gate.port, "/hold/1", timeout=60)
    wait_for(lambda: who(backends, "/hold/1") == ["app1.2"], 10)
    backends["app1.2"].drops = True
    backends.release("app1.2", "/hold/1")
    held.done()
    backends["app1.2"].drops = False
    assert set(pipelined(gate.port, "/x", 3)) == {(200, "app1.2")}
    coordinator.ask(wire.OPEN)
    assert "app1.2" not in {n for _, n in pipelined(gate.port, "/x", 6)}


def test_beside_servers_of_one_address(make, names, backends, coordinator):
    port = backends.port
    gate = make(servers=f"server 127.0.1.2:{port}; server APP1.test:{port} resolve; server app3.test:{port} resolve;",
                nodes=f"app2=127.0.1.2:{port} app1=app1.test:{port} app3=app3.test:{port}")
    for place in (2, 1):
        names.move(app1=at(place, 1), app3=at(place, 3))
        for ask, more, expected in (
                (wire.OPEN, {}, {f"app1.{place}", "app2.1", f"app3.{place}"}),
                (wire.OPEN, dict(drained=["app1"]), {"app2.1", f"app3.{place}"}),
                (wire.OPEN, dict(drained=["app2"]), {f"app1.{place}", f"app3.{place}"}),
                (wire.PINNED, dict(pinned="app1"), {f"app1.{place}"}),
                (wire.PINNED, dict(pinned="app2"), {"app2.1"})):
            coordinator.ask(ask, **more)
            assert {n for _, n in pipelined(gate.port, "/x", 12)} == expected


@pytest.mark.parametrize("servers, nodes, fault", [
    ("server app1.test:80 resolve;", "app1=127.0.1.1:80", 'write its name, as in "app1=app1.test:80"'),
    ("server app1.test:81 resolve;", "app1=localhost:80", 'write its name, as in "app1=app1.test:81"'),
    ("server app1.test:80 resolve;", "app1=nobody.invalid:80", 'nor is it that of a server with "resolve"'),
    ("server nobody.invalid:81 resolve;", "app1=nobody.invalid:80", 'nor is it that of a server with "resolve"'),
    ("server app.test service=http resolve;", "app1=app1.test:80", 'has "service"'),
], ids=["address", "other host", "nobody", "other port", "service"])
def test_refused(make_gate, servers, nodes, fault):
    gate = make_gate(servers=servers, nodes=nodes, balancer="zone app 64k;", http="resolver 127.0.0.1:1;")
    done = gate.run("-t")
    assert done.returncode == 1 and fault in done.stderr, done.stderr
    (gate.prefix / "error.log").write_text("")


def test_taken(make_gate):
    """Case and the usual port are as they are for nginx; a name without a node is said."""
    gate = make_gate(servers="server App1.test resolve; server app2.test resolve backup; server app1.test:80 resolve;",
                     nodes="app1=app1.TEST", balancer="zone app 64k;", http="resolver 127.0.0.1:1;")
    done = gate.run("-t")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "cannot be drained" in line]
    assert len(said) == 1 and "server app2.test" in said[0]
