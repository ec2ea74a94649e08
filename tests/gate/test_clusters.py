"""Several clusters in one nginx: what one does is nothing to the other, whatever happens to nginx meanwhile."""
import hashlib
import hmac
import json
import os
import signal
import subprocess
import time

import pytest

import wire
from backend import Backends
from client import Ahead, Load, WebSocket, request, status
from coordinator import Coordinator
from gate import alive, free_port
from tab import Loop, Tab
from test_hand import FERMATA, hand, seen
from test_reloads import fds
from test_rides import holder
from wait import wait_for

CLUSTER = """
    fermata_cluster {name} {{
        fermata_zone {name}:256k;
        fermata_state state-{name};
        fermata_coordinator 127.0.0.1:{coordinator} name=gate1;
        {block}
    }}
    upstream {name} {{
        {upstream}
        {servers}
        keepalive 16;
        fermata_nodes cluster={name} {nodes};
    }}
    server {{
        listen 127.0.0.1:{port};
        root html;
        fermata {name};
        add_header X-Said "$fermata_cluster $fermata_mode $fermata_node" always;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        location / {{ proxy_pass http://{name}; {location} }}
        location = /status {{ fermata_status; }}
        location = /metrics {{ fermata_status prometheus; }}
        {server}
    }}
"""


class Side:
    """One cluster as its visitors and its coordinator see it."""

    def __init__(self, name, port, coordinator, backends):
        self.name, self.port, self.coordinator, self.backends = name, port, coordinator, backends

    def config(self, **changes):
        addresses = {n: f"127.0.0.1:{node.port}" for n, node in self.backends.nodes.items()}
        values = dict(block="fermata_start_wait 0;", location="", server="", upstream="")
        values.update(changes)
        return CLUSTER.format(name=self.name, port=self.port, coordinator=self.coordinator.port,
                              servers=" ".join(f"server {a};" for a in addresses.values()),
                              nodes=" ".join(f"{n}={a}" for n, a in addresses.items()), **values)

    def ask(self, mode, **more):
        return self.coordinator.ask(mode, **more)

    def get(self, path="/", **headers):
        return request(self.port, path, **headers)

    def status(self):
        return status(self.port)


@pytest.fixture
def two():
    coordinator, backends = Coordinator(), Backends(["two1", "two2"])
    yield Side("two", free_port(), coordinator, backends)
    coordinator.close()
    backends.close()


@pytest.fixture
def make(make_gate, coordinator, backends, two):
    """A gate of two clusters, that of http{} and a named one; where() is both of them, up and open."""
    def started(**changes):
        block = {key: changes.pop(key) for key in ("block", "location", "server", "upstream") if key in changes}
        http = changes.pop("http", "")
        gate = make_gate(http=http + two.config(**block), server=changes.pop("one", ""), **changes).start()
        one = Side("default", gate.port, coordinator, backends)
        for side in (one, two):
            side.coordinator.wait_up()
            side.ask(wire.OPEN)
        return gate, one, two
    return started


def goes(side):
    answer = side.get()
    return answer.status, answer.getheader("X-Node")


def test_modes_are_apart(make):
    """Every mode of one beside every mode of the other, under load on both."""
    _, one, two = make()
    loads = [Load(one.port, clients=4), Load(two.port, clients=4)]
    first, second = WebSocket(one.port), WebSocket(two.port)
    try:
        two.ask(wire.CLOSED)
        assert second.closed_at() and first.echo()
        at = time.monotonic()
        for ours, node in ((wire.PINNED, "app2"), (wire.CLOSED, ""), (wire.OPEN, "")):
            one.ask(ours, pinned=node)
            for theirs, other in ((wire.OPEN, ""), (wire.PINNED, "two1"), (wire.CLOSED, "")):
                two.ask(theirs, pinned=other)
                got, gets = goes(one), goes(two)
                assert got[0] == (503 if ours == wire.CLOSED else 200)
                assert gets[0] == (503 if theirs == wire.CLOSED else 200)
                assert ours != wire.PINNED or got[1] == "app2"
                assert theirs != wire.PINNED or gets[1] == "two1"
        assert first.closed_at() > at
        # two is closed, one open: nothing of one is refused, nothing of two passed
        count, total = len(loads[0].answers), two.backends.total()
        wait_for(lambda: len(loads[0].answers) > count + 100, 20, "load on the open one")
        assert {a[2] for a in loads[0].answers[count:]} == {200} and two.backends.total() == total
    finally:
        for load in loads:
            load.stop()
    assert loads[0].faults == loads[1].faults == []
    assert not {a[3] for a in loads[0].answers} & set(two.backends.nodes)
    assert not {a[3] for a in loads[1].answers} & set(one.backends.nodes)


def test_counts_are_apart(make):
    """What is under way is reported to the coordinator whose it is, and drained there."""
    _, one, two = make()
    held = Ahead(two.port, "/hold/1")
    wait_for(lambda: two.backends.total() == 1, 10)
    name = next(n for n, d in two.backends.nodes.items() if d.requests)
    two.ask(wire.OPEN, drained=[name])
    two.coordinator.wait_report(lambda r: any(n["name"] == name and n["in_flight"] == 1 for n in r["nodes"]))
    one.ask(wire.CLOSED)
    one.coordinator.wait_report(lambda r: r["in_flight"] == 0)
    assert [n["name"] for n in one.coordinator.live()[-1].last["nodes"]] == ["app1", "app2", "app3"]
    assert [n["name"] for n in two.coordinator.live()[-1].last["nodes"]] == ["two1", "two2"]
    assert one.status()["in_flight"] == 0 and two.status()["in_flight"] == 1
    two.backends.release(name, "/hold/1")
    assert held.done().answer.status == 200
    two.coordinator.wait_report(lambda r: r["in_flight"] == 0)
    # kept connections to a drained node are gone, the others stay
    two.coordinator.wait_report(lambda r: all(n["idle"] == 0 for n in r["nodes"] if n["name"] == name))
    assert one.status()["passed"] == 0 and one.status()["refused"] == 0
    assert two.status()["passed"] == 1


def test_kept_connections_of_the_other_stay(make):
    _, one, two = make(workers=1)
    assert goes(one)[0] == goes(two)[0] == 200
    two.ask(wire.CLOSED)
    wait_for(lambda: all(n.connections == 0 for n in two.backends.nodes.values()), 10, "its own to go")
    assert sum(n.connections for n in one.backends.nodes.values()) == 1
    one.ask(wire.OPEN, drained=["app1"])
    wait_for(lambda: one.status()["idle"] == sum(n.connections for n in one.backends.nodes.values()), 10)


def test_tabs_are_apart(make):
    """Each is told its own operator's sentence, and let go when its own cluster opens."""
    _, one, two = make(block="fermata_start_wait 0; fermata_websocket_release 100ms; fermata_websocket_max 1;",
                       workers=1)
    loop = Loop()
    try:
        one.ask(wire.CLOSED, message="one is away")
        two.ask(wire.CLOSED, message="two is away")
        tabs = [Tab(loop, side.port) for side in (one, two)]
        for tab, side in zip(tabs, ("one", "two")):
            tab.wait_told(f"{side} is away")
        assert one.status()["tabs"] == two.status()["tabs"] == 1
        # no room for a second one of two; one has its own limit
        assert request(two.port, "/ws", Upgrade="websocket", Connection="upgrade", Sec_WebSocket_Version="13",
                       Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==").status == 503
        tabs.append(Tab(loop, one.port))
        two.ask(wire.OPEN)
        assert tabs[1].wait_end() == 1012 and tabs[1].last()["code"] == "APP_RUNNING"
        one.ask(wire.CLOSED, message="one goes on")
        for tab in (tabs[0], tabs[2]):
            tab.wait_told("one goes on")
            assert not any("two" in p["message"] for p in tab.payloads()) and tab.ended is None
        assert not any("one" in p["message"] for p in tabs[1].payloads()[:-1])
        one.ask(wire.OPEN)
        assert tabs[0].wait_end() == tabs[2].wait_end() == 1012
    finally:
        loop.close()


def test_holds_are_apart(make):
    """A hole of one holds its own visitors only, as many as it may; a change of the other wakes none of them."""
    _, one, two = make(http="fermata_hold 20s requests=2;", workers=1)
    two.ask(wire.OPEN, drained=["two1", "two2"])
    waiting = {two: [Ahead(two.port, f"/{i}") for i in range(2)]}
    wait_for(lambda: two.status()["held"] == 2, 10, "both held")

    def served(side, requests):
        side.ask(wire.OPEN)
        assert [w.done().answer.status for w in requests] == [200, 200] and side.status()["held"] == 0
    one.ask(wire.OPEN, drained=["app1"])
    assert goes(one)[0] == 200 and one.status()["held"] == 0 and two.status()["held"] == 2
    one.ask(wire.OPEN, drained=["app1", "app2", "app3"])
    waiting[one] = [Ahead(one.port, f"/{i}") for i in range(2)]
    wait_for(lambda: one.status()["held"] == 2, 10, "room for those of the other")
    assert two.status()["held"] == 2 and two.backends.total() == 0
    served(two, waiting[two])
    assert one.status()["held"] == 2
    two.ask(wire.OPEN, drained=["two1", "two2"])
    waiting[two] = [Ahead(two.port, f"/{i}") for i in range(2)]
    wait_for(lambda: two.status()["held"] == 2, 10, "room beside those of the other")
    served(one, waiting[one])
    assert two.status()["held"] == 2
    served(two, waiting[two])


COOKIES = {"default": "fermata_bypass", "two": "fermata_bypass_two"}


def token_of(key):
    text = f"1.7.{int(time.time()) + 600}."
    return text + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_keys_are_apart(make):
    _, one, two = make()
    keys = {side: os.urandom(32) for side in (one, two)}
    for side, key in keys.items():
        side.ask(wire.CLOSED, run=7, bypass={"key": key, "node": "", "shut": 0})
    for side, key in keys.items():
        token = token_of(key)
        for other in keys:
            for name in COOKIES.values():
                passes = other is side and name == COOKIES[side.name]
                assert other.get("/x", Cookie=f"{name}={token}").status == (200 if passes else 503)
            # whichever is asked: the link is its owner's
            answer = other.get(f"/fermata-bypass/{token}")
            assert answer.status == 303 and answer.getheader("Set-Cookie").startswith(f"{COOKIES[side.name]}={token}; ")
            assert other.get(f"/fermata-bypass/{token_of(os.urandom(32))}").status == 403
    assert one.status()["passed"] == two.status()["passed"] == 1


def test_operators_of_both_at_once(make):
    """A browser sends the cookies of a host to all its ports."""
    _, one, two = make()
    jar = {}
    for side in (one, two):
        key = os.urandom(32)
        side.ask(wire.CLOSED, run=7, bypass={"key": key, "node": "", "shut": 0})
        name, value = side.get(f"/fermata-bypass/{token_of(key)}").getheader("Set-Cookie").split(";")[0].split("=", 1)
        jar[name] = value
    sent = "; ".join(f"{name}={value}" for name, value in jar.items())
    assert [side.get("/x", Cookie=sent).status for side in (one, two)] == [200, 200]
    one.ask(wire.CLOSED, run=8, bypass={"key": os.urandom(32), "node": "", "shut": 0})
    assert [side.get("/x", Cookie=sent).status for side in (one, two)] == [503, 200]
    two.ask(wire.OPEN)
    answer = one.get(f"/fermata-bypass/{jar[COOKIES['two']]}")
    assert answer.status == 403


def test_pages_are_apart(make, tmp_path):
    """One template of your own, one text for each cluster; each page asks at its own address."""
    page = tmp_path / "page.html"
    page.write_text("<p>{{message}} {{live}}</p>")
    os.chmod(tmp_path, 0o755)
    _, one, two = make(http=f"fermata_page html {page};", workers=1,
                       block="fermata_start_wait 0; fermata_live /two-live;")
    for round_ in range(3):
        for side in (one, two):
            side.ask(wire.CLOSED, message=f"{side.name} {round_}")
        for _ in range(2):
            assert one.get().text == f"<p>default {round_} /fermata-live</p>"
            assert two.get().text == f"<p>two {round_} /two-live</p>"
            assert f"two {round_}" in two.get("/api/x").text
            assert f"default {round_}" in one.get("/api/x").text
    assert json.loads(two.get("/two-live").text)["message"] == "two 2"
    two.ask(wire.OPEN)
    assert json.loads(two.get("/two-live").text)["open"] is True
    assert json.loads(one.get("/fermata-live").text)["open"] is False


def test_status_and_variables(make):
    _, one, two = make(one="location = /other { fermata_status prometheus cluster=two; }"
                           "location = /said { return 200 '$fermata_cluster $fermata_mode'; }",
                       server="location /off/ { fermata off; return 200 $fermata_cluster; "
                              "location /off/on/ { fermata on; return 200 $fermata_cluster; } "
                              "location /off/default/ { fermata default; return 200 $fermata_cluster; } }")
    two.ask(wire.PINNED, pinned="two2")
    assert (one.status()["cluster"], one.status()["mode"]) == ("default", "open")
    assert (two.status()["cluster"], two.status()["mode"]) == ("two", "pinned")
    assert one.get("/said").text == "default open"
    # on: the cluster of the surroundings
    assert [two.get(f"/off/{part}").text for part in ("", "on/", "default/")] == ["two", "two", "default"]
    assert two.get().getheader("X-Said") == "two pinned two2"
    for metrics in (two.get("/metrics").text, one.get("/other").text):
        lines = [line for line in metrics.splitlines() if not line.startswith("#")]
        assert all('{cluster="two"' in line for line in lines)
        assert 'fermata_mode{cluster="two",mode="pinned"} 1' in lines
        assert 'fermata_connected{cluster="two"} 1' in lines
        assert 'fermata_node_allowed{cluster="two",node="two2"} 1' in lines


def test_logs_say_which(make):
    gate, one, two = make()
    two.ask(wire.CLOSED)
    one.ask(wire.PINNED, pinned="app1")
    lines = [line for line in gate.log().splitlines() if "mode " in line]
    assert lines[-2].endswith(', cluster: "two"') and lines[-1].endswith(', cluster: "default"')


@pytest.mark.parametrize("zone", ["", "zone two_peers 64k;"], ids=["no zone", "zone"])
def test_a_location_that_leads_to_the_other(make, zone):
    """Let through by one gate and passed to nodes of another: that one has a say as well."""
    _, one, two = make(upstream=zone, one="""
        location /lend/ { proxy_pass http://two; }
        location /free/ { fermata off; proxy_pass http://two; }
        location /jump/ { fermata two; error_page 404 = @one; }
        location @one { fermata default; proxy_pass http://app; }""")
    assert one.get("/lend/x").getheader("X-Node") in two.backends.nodes
    two.ask(wire.CLOSED, message="two is away")
    total = two.backends.total()
    answer = one.get("/lend/x")
    assert answer.status == 503 and "two is away" in answer.text and two.backends.total() == total
    # a location where it is off is nobody's visitors
    assert one.get("/free/x").status == 200 and two.backends.total() == total + 1
    assert one.get("/jump/x").status == 503
    two.ask(wire.OPEN)
    assert one.get("/jump/x").getheader("X-Node") in one.backends.nodes
    one.ask(wire.CLOSED, message="one is away")
    for path in ("/lend/x", "/jump/x"):
        assert "one is away" in one.get(path).text
    # under way to two, by the gate of one: waited for by two, and by nobody else
    one.ask(wire.OPEN)
    held = Ahead(one.port, "/lend/../hold/9")
    held.done()
    held = Ahead(one.port, "/lend/slow")
    assert held.done().answer.status == 200
    wait_for(lambda: one.status()["in_flight"] == two.status()["in_flight"] == 0, 10, "nothing left over")


@pytest.mark.parametrize("how", ["kill workers", "kill manager", "reload", "restart", "kill all", "new binary"])
def test_each_stays_as_it_was(make, how):
    gate, one, two = make()
    two.ask(wire.CLOSED)
    one.ask(wire.PINNED, pinned="app2")
    old = gate.master
    if how == "kill workers":
        before = gate.worker_pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(gate.worker_pids()) == 4 and not set(before) & set(gate.worker_pids()), 20)
    elif how == "kill manager":
        pid = gate.manager_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: gate.manager_pid() not in (None, pid), 20)
    elif how == "reload":
        gate.reload()
    elif how == "new binary":
        os.kill(old, signal.SIGUSR2)
        wait_for(lambda: gate.master not in (None, old) and len(gate.worker_pids()) == 4, 20)
    else:
        if how == "restart":
            gate.stop()
        else:
            left = gate.all_pids() - {gate.master}
            for pid in (gate.master, *left):
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not any(alive(p) for p in gate.pids), 10)
        gate.pids.clear()
        gate.start()
    gate.all_pids()
    assert all(goes(one) == (200, "app2") and goes(two)[0] == 503 for _ in range(12))
    assert (one.status()["mode"], two.status()["mode"]) == ("pinned", "closed")
    count = 2 if how == "new binary" else 1
    for side in (one, two):
        wait_for(lambda: len(side.coordinator.live()) == count, 20, "its sessions")     # pylint: disable=cell-var-from-loop
    two.ask(wire.OPEN)
    one.ask(wire.CLOSED)
    assert all(goes(one)[0] == 503 and goes(two)[0] == 200 for _ in range(12))
    if how == "new binary":
        os.kill(old, signal.SIGQUIT)
        wait_for(lambda: not alive(old), 20)
        assert goes(one)[0] == 503 and goes(two)[0] == 200


def test_added_and_taken_away(make_gate, coordinator, backends, two):
    """By a reload, again and again; the other one's visitors notice nothing, and nothing is left open."""
    gate = make_gate().start()
    one = Side("default", gate.port, coordinator, backends)
    coordinator.wait_up()
    one.ask(wire.OPEN)
    # a channel to each old worker is gone when the master has heard of its end
    opened = fds(gate.master)
    gate.reload()
    wait_for(lambda: fds(gate.master) == opened, 20, lambda: f"{fds(gate.master)} to be {opened}")
    load = Load(gate.port, clients=4)
    socket = WebSocket(gate.port)
    try:
        for number in range(3):
            gate.configure(http=two.config())
            gate.reload()
            two.coordinator.wait_up()
            if number:
                # its file: as it was when it was taken away
                assert two.get().status == 503 and two.status()["seq"] == two.coordinator.seq
            two.ask(wire.OPEN)
            assert two.get().status == 200
            two.ask(wire.CLOSED)
            assert fds(gate.master)["anon_inode"] == opened["anon_inode"] + 2
            # one that fails changes nothing for either
            gate.configure(http=two.config() + "fermata_cluster three { fermata_zone three:256k; }")
            os.kill(gate.master, signal.SIGHUP)
            wait_for(lambda: "that of cluster \"three\" is missing" in gate.log(), 20)
            assert two.get().status == 503 and one.get().status == 200
            (gate.prefix / "error.log").write_text("")
            gate.configure(http="")
            gate.reload()
            wait_for(lambda: two.coordinator.live() == [], 20, "the end of its session")
            lines = [line for line in gate.log().splitlines() if "is taken away" in line]
            assert len(lines) == 2 and "[alert]" in lines[0] and 'cluster "two"' in lines[0] and "is closed" in lines[0]
            assert "[notice]" in lines[1] and "state-two" in lines[1]
            assert socket.echo() and one.get().status == 200
    finally:
        load.stop()
    socket.close()
    # a kept connection ends with its worker; nobody was answered wrongly
    ended = ("RemoteDisconnected", "ConnectionReset", "BrokenPipe")
    assert [fault for fault in load.faults if not fault[1].startswith(ended)] == []
    assert set(load.statuses()) == {200}
    wait_for(lambda: fds(gate.master) == opened, 20, lambda: f"{fds(gate.master)} to be {opened}")


def test_taken_away_with_work(make):
    """What is under way is said; what stays is not spoken of; a gate that serves is no alarm."""
    gate, one, two = make()
    socket = WebSocket(two.port)
    waiting = [Ahead(side.port, f"/hold/{number}") for number, side in enumerate((one, two, two))]
    wait_for(lambda: one.status()["in_flight"] == 1 and two.status()["in_flight"] == 2
             and sum(node["websockets"] for node in two.status()["nodes"]) == 1, 20, "all of it to be counted")
    gate.configure(http="")
    gate.reload()
    lines = [line for line in gate.log().splitlines() if "is taken away" in line]
    assert len(lines) == 2 and all('cluster "two"' in line for line in lines) and "[warn]" in lines[0]
    assert "with 2 requests, 1 websockets and 0 open tabs" in lines[0]
    assert socket.echo()
    for number, side in enumerate((one, two, two)):
        side.backends.release(holder(side.backends, f"/hold/{number}"), f"/hold/{number}")
    assert [ahead.done().answer.status for ahead in waiting] == [200, 200, 200]
    socket.close()


def test_by_hand(make):
    """Each has its folder; one that was not named where there are two is not guessed."""
    gate, one, two = make()
    for side in (one, two):
        side.coordinator.close()
    wait_for(lambda: not (one.status()["connected"] or two.status()["connected"]), 10)
    folder = str(gate.prefix / "state-two")
    done = subprocess.run([FERMATA, "gate", "close", "--local", "--state", folder], capture_output=True, text=True)
    assert done.returncode == 0 and "cluster two: closed, in 4 workers" in done.stdout
    assert f"fermata gate resume --local --state {folder}\n" in done.stderr
    assert goes(two)[0] == 503 and goes(one)[0] == 200
    assert one.status()["override"] == "none" and two.status()["override"] == "closed"
    done = hand(gate, "status")
    assert "cluster default: open" in done.stdout
    assert f"cluster two: fermata gate status --local --state {folder}\n" in done.stdout
    told = json.loads(hand(gate, "status", "--json").stdout)
    assert told["cluster"] == "default" and told["others"] == [f"two {folder}"]
    # without --state, with the folder of http{} where the example has it
    script = ("mount -t tmpfs none /var/lib/nginx && mkdir /var/lib/nginx/fermata && "
              f"mount --bind {gate.prefix}/state /var/lib/nginx/fermata && exec {FERMATA} gate close --local")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and "several clusters" in done.stderr and "nothing was done" in done.stderr
    assert "cluster default: fermata gate close --local --state /var/lib/nginx/fermata\n" in done.stderr
    assert f"cluster two: fermata gate close --local --state {folder}\n" in done.stderr
    assert goes(one)[0] == 200 and one.status()["override"] == "none"
    done = subprocess.run([FERMATA, "gate", "resume", "--local", "--state", folder], capture_output=True, text=True)
    assert done.returncode == 0 and goes(two)[0] == 200
    seen(gate)


def test_waits_are_apart(make_gate, coordinator, backends, two):
    """After a start each waits for its own coordinator; settings of http{} hold where a block has none."""
    gate = make_gate(http=two.config(block=""), start_wait="60s", default="fermata_default open;").start()
    one = Side("default", gate.port, coordinator, backends)
    for side in (one, two):
        side.coordinator.wait_up()
        assert goes(side)[0] == 503 and side.status()["waiting"] is True
    two.ask(wire.OPEN)
    assert goes(two)[0] == 200 and goes(one)[0] == 503
    assert one.status()["waiting"] is True and two.status()["waiting"] is False
    one.ask(wire.OPEN)
    assert goes(one)[0] == 200


def test_a_zone_does_not_change_hands(make, coordinator):
    """What one coordinator has said is not held against another; a cluster may have another name."""
    gate, one, two = make()
    two.ask(wire.CLOSED)
    text = gate.values["http"]
    gate.configure(http=text.replace("fermata_zone two", "fermata_zone fermata"))
    config_file = gate.prefix / "nginx.conf"
    config_file.write_text(config_file.read_text().replace("fermata_zone fermata:512k", "fermata_zone two:256k")
                           .replace("fermata_zone fermata:256k", "fermata_zone fermata:512k"))
    os.kill(gate.master, signal.SIGHUP)
    wait_for(lambda: 'is that of cluster "default" until nginx is restarted' in gate.log()
             or 'is that of cluster "two" until nginx is restarted' in gate.log(), 20)
    assert goes(one)[0] == 200 and goes(two)[0] == 503
    (gate.prefix / "error.log").write_text("")
    gate.configure(http=text.replace("fermata_cluster two", "fermata_cluster new").replace("cluster=two", "cluster=new")
                   .replace("fermata two;", "fermata new;"))
    gate.reload()
    wait_for(lambda: two.status()["cluster"] == "new", 20, "workers of before to end")
    assert goes(one)[0] == 200 and goes(two)[0] == 503
    two.coordinator.wait_up()
    two.ask(wire.OPEN)
    assert goes(two)[0] == 200
