"""The matrix: balancers, with and without zone, keepalive, weights, limits, backups and retries, against
every mode of the gate. The figure is the number of wrong answers, and it is 0."""
import pytest

import matrix
import wire
from client import WebSocket
from gate import free_port
from matrix import NODES, by_h2, pipelined
from wait import wait_for

ALL = set(NODES)
MODES = [
    ("open", wire.OPEN, {}, ALL),
    *[(f"without {n}", wire.OPEN, dict(drained=[n]), ALL - {n}) for n in NODES],
    ("without app1 and app2", wire.OPEN, dict(drained=["app1", "app2"]), {"app3"}),
    *[(f"pinned to {n}", wire.PINNED, dict(pinned=n), {n}) for n in NODES],
    ("pinned to app2, app3 drained", wire.PINNED, dict(pinned="app2", drained=["app3"]), {"app2"}),
    ("closed", wire.CLOSED, {}, set()),
    ("open again", wire.OPEN, {}, ALL),
]
REQUESTS = 12
# what must share the work evenly does, so that "never the wrong one" is not "always the same one"
FAIR = ("round robin", "least_conn", "random two")


@pytest.fixture
def nodes():
    made = matrix.Nodes()
    yield made
    made.close()


def wrong(upstream, mode, allowed, answers, count):
    expected = upstream.expected(allowed)
    if expected is None:
        good = answers == [(503, None)] * count
    elif upstream.servers == "next upstream" and expected == {"app1"}:
        good = answers == [(500, "app1")] * count    # nobody else may be asked: its own answer
    else:
        good = len(answers) == count and all(s == 200 and n in expected for s, n in answers)
        if good and upstream.balancer == "round robin" and count >= 9:
            good = {n for _, n in answers} == expected
    return [] if good else [f"{mode}: {upstream}: {answers}"]


def start(make_gate, coordinator, groups, port):
    every = [u for group in groups for u in group]
    gate = make_gate(workers=2, http="".join(u.block() for u in every),
                     server=f"listen 127.0.0.1:{port} http2;\n"
                     + "".join(u.location() for u in every)).start()
    coordinator.wait_up()
    return gate


def test_matrix_h1(make_gate, coordinator, nodes):
    all_of_them = matrix.upstreams("h", nodes.ports)
    gate = start(make_gate, coordinator, [all_of_them], free_port())
    bad, count, seen = [], 0, {}
    for mode, ask, more, allowed in MODES:
        coordinator.ask(ask, **more)
        for upstream in all_of_them:
            answers = pipelined(gate.port, upstream.path, REQUESTS)
            bad += wrong(upstream, mode, allowed, answers, REQUESTS)
            count += len(answers)
            if mode == "open":
                seen.setdefault(upstream.balancer, set()).update(n for _, n in answers)
        for name in ALL - allowed:
            wait_for(lambda: nodes.connections(name) == 0, 5, lambda: f"{mode}: connections to "
                     f"{name} to close, {nodes.connections(name)} are open")
    print(f"{len(all_of_them)} upstreams, {len(MODES)} modes: {count} answers, {len(bad)} wrong")
    assert bad == []
    assert all(seen[b] == ALL for b in FAIR)


def test_matrix_h2_and_grpc(make_gate, coordinator, nodes):
    """Visitors by HTTP/2, to nodes by HTTP/1.1 and by gRPC."""
    port = free_port()
    # not max_conns: streams come together here, and what is over the limit is nginx's own 502
    plain = matrix.upstreams("h", nodes.ports, ("after",), ("plain", "weights", "next upstream",
                                                             "backup"))
    grpc = matrix.upstreams("g", nodes.h2, ("none", "after"), ("plain", "weights"))
    start(make_gate, coordinator, [plain, grpc], port)
    bad, count = [], 0
    for mode, ask, more, allowed in MODES:
        coordinator.ask(ask, **more)
        for group in (plain, grpc):
            paths = [f"{u.path}{i}" for u in group for i in range(4)]
            answers = by_h2(port, paths, group is grpc)
            count += len(answers)
            for i, upstream in enumerate(group):
                bad += wrong(upstream, mode, allowed, answers[4 * i:4 * i + 4], 4)
    print(f"{len(plain)} + {len(grpc)} upstreams, {len(MODES)} modes: {count} answers, "
          f"{len(bad)} wrong")
    assert bad == []


def test_matrix_websockets(make_gate, coordinator, backends):
    """A new one goes where it may; one of before is closed where it may not stay, and there only."""
    ports = [backends[n].port for n in NODES]
    some = matrix.upstreams("w", ports, ("none", "after"), ("plain",))
    gate = start(make_gate, coordinator, [some], free_port())
    bad, count, open_now = [], 0, []
    for mode, ask, more, allowed in MODES:
        coordinator.ask(ask, **more)
        left = [s for s in open_now if s.node in allowed]
        bad += [f"{mode}: left open on {s.node}" for s in open_now
                if s.node not in allowed and not s.closed_at()]
        bad += [f"{mode}: closed on {s.node}" for s in left if not s.echo()]
        fresh = [WebSocket(gate.port, path=f"{u.path}ws") for u in some for _ in range(2)]
        count += len(fresh)
        bad += [f"{mode}: {s.status} from {s.node}" for s in fresh
                if (s.status, s.node in allowed) != ((101, True) if allowed else (503, False))]
        for s in left[len(some):]:
            s.close()
        open_now = left[:len(some)] + [s for s in fresh if s.status == 101]
    for s in open_now:
        s.close()
    print(f"{len(some)} upstreams, {len(MODES)} modes: {count} websockets, {len(bad)} wrong")
    assert bad == []


def test_several_upstreams_with_other_nodes(make_gate, coordinator, nodes):
    """Each upstream has its own choice of the nodes: one without an allowed node answers with the page,
    and a node is the same in each, whatever its place there."""
    a, b, c = (f"127.0.0.1:{p}" for p in nodes.ports)
    gate = make_gate(workers=2, http=f"""
        upstream two {{ server {b}; server {a}; keepalive 2; fermata_nodes app2={b} app1={a}; }}
        upstream last {{ least_conn; server {c}; fermata_nodes app3={c}; }}
        upstream unnamed {{ server {a}; server {c}; fermata_nodes app3={c}; }}
        """, server="".join(f"location /{n}/ {{ proxy_pass http://{n}; }}"
                            for n in ("two", "last", "unnamed"))).start()
    coordinator.wait_up()
    expected = [
        (wire.OPEN, {}, {"app1", "app2"}, {"app3"}, {"app1", "app3"}),
        (wire.PINNED, dict(pinned="app3"), None, {"app3"}, {"app3"}),
        (wire.PINNED, dict(pinned="app1"), {"app1"}, None, None),
        (wire.OPEN, dict(drained=["app3", "app1"]), {"app2"}, None, {"app1"}),
        (wire.OPEN, dict(drained=["app2"]), {"app1"}, {"app3"}, {"app1", "app3"}),
    ]
    for ask, more, *sets in expected:
        coordinator.ask(ask, **more)
        for name, allowed in zip(("two", "last", "unnamed"), sets):
            got = set(pipelined(gate.port, f"/{name}/", REQUESTS))
            assert got == ({(503, None)} if allowed is None else {(200, n) for n in allowed}), (
                ask, more, name)
