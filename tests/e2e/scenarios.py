"""The five scenarios, and what must hold after each."""

import contextlib
import json
import random
import time

from stage import checks
from stage.application import ADMIN_EMAIL, ADMIN_PASSWORD, BASE_VERSION, Release
from stage.place import StageError, wait_for
from stage.visitors import Visitors

PLUGIN = "departments"  # comes with NocoBase, is not enabled at first, has a resource of that name
SOCKETS = 12
LOAD = {"sockets": SOCKETS, "lists": 5, "page_loads": 4, "writes": 3}
THINGS = {"name": "things", "title": "Things", "fields": [
    {"name": "id", "type": "bigInt", "autoIncrement": True, "primaryKey": True, "allowNull": False,
     "interface": "integer"},
    {"name": "title", "type": "string", "interface": "input"}]}


class Demo:
    """What the scenarios share."""

    def __init__(self, cluster, check, figures, say):
        self.cluster, self.check, self.figures, self.say = cluster, check, figures, say
        self.token = None
        self.version = BASE_VERSION
        self._assets = None

    # the command line

    def fermata(self, *argv, code=0):
        """Runs it on the screen; returns (run as `show` has it, seconds)."""
        began = time.monotonic()
        said = self.cluster.cli.show(*argv, say=self.say)
        seconds = time.monotonic() - began
        self.check.equal(said.code, code, f"exit code of `fermata {' '.join(argv[:2])}`")
        return self.last_run(), seconds

    def last_run(self):
        return self.cluster.run()[0]["run"]

    # the application

    def api(self, action, node=None, method="GET", body=None):
        """(status, object or text), signed in."""
        headers = {"Content-Type": "application/json", "X-Authenticator": "basic"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else (b"" if method == "POST" else None)
        status, text = self.cluster.ask(f"/api/{action}", node, method, data, headers)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def sign_in(self):
        status, answer = self.api("auth:signIn", method="POST", body={
            "account": ADMIN_EMAIL, "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
        if self.check.that(status == 200, "the administrator can sign in through the gate", answer):
            self.token = answer["data"]["token"]

    def on_every_node(self, action, wanted, what):
        got = {node.name: self.api(action, node)[0] for node in self.cluster.nodes}
        self.check.that(set(got.values()) == {wanted}, what, got)

    def serves(self, version):
        """Every node runs this version, is ready, and the gate is open."""
        self.version = version
        self.check.equal(self.cluster.postgres.version(), version, "release in the database")
        for node in self.cluster.nodes:
            package = node.current / "node_modules/@nocobase/server/package.json"
            self.check.equal(json.loads(package.read_text())["version"], version, f"release on {node.name}")
        self.on_every_node("__health_check", 200, "every node is healthy")
        status, answer = self.cluster.ask("/api/app:getInfo")
        self.check.that(status == 200 and f'"{version}"' in answer, f"the gate serves {version}", answer[:100])
        rows = self.cluster.postgres.query(
            'select count(*) filter (where enabled and not installed), '
            'count(*) filter (where "builtIn" and version <> %s) from "applicationPlugins"', version,
            database="nocobase")
        self.check.equal(rows[0], (0, 0), "plugins pending and stale")

    def titles(self):
        return [row[0] for row in self.cluster.postgres.query("select title from things", database="nocobase")]

    # visitors

    def visitors(self, name):
        if self._assets is None:
            _, page = self.cluster.ask("/admin/")
            self._assets = [part.split('"')[0] for part in page.split('src="')[1:] if part.startswith("/assets/")][:1]
        return Visitors(self.cluster.gate.url, self.cluster.folder / f"visitors-{name}.json", token=self.token,
                        pages=["/", "/admin/", *self._assets], **LOAD)

    def judge_visitors(self, visitors, run, outages=1):
        """What must hold for every visitor over any run that closes the gates."""
        check = self.check
        found = checks.outages(visitors.answers)
        check.that(len(found) == outages and all(o.end_ms for o in found),
                   f"visitors saw {outages} interruption(s), and its end",
                   [(o.begin_ms, o.end_ms) for o in found])
        odd = checks.strange(visitors.answers)
        check.that(not odd, "every answer to a visitor was the application's own or our page",
                   f"{len(odd)} of {len(visitors.answers)}, such as {odd[:3]}")
        bad = [a for a in visitors.answers if a.kind == "asset" and a.verdict != checks.OK]
        check.that(not bad, "assets were served all through", bad[:2])
        reached = self.reached(run)
        check.that(not reached, "no request reached the application while the gates were closed", reached[:5])
        missing = set(visitors.writes) - set(self.titles())
        check.that(visitors.writes and not missing,
                   f"all {len(visitors.writes)} writes that were acknowledged are there", sorted(missing)[:5])
        self.judge_sockets(visitors, run)
        return reached

    def wait_tabs(self):
        """The gate has let them go and every one has come back to a node: nobody touches them."""
        with contextlib.suppress(StageError):  # judge_sockets() says who is missing
            wait_for(lambda: self.cluster.tabs() == (0, SOCKETS), 30, "all tabs are back", every=0.2)

    def judge_sockets(self, visitors, run):
        """Open tabs: each is taken to the gate, told the steps and the end, and comes back."""
        faults = checks.tab_faults(visitors.sockets, SOCKETS, run["end"] == "done")
        self.check.that(not faults, f"all {SOCKETS} open tabs were told the steps and came back by themselves",
                        faults[:4])

    def reached(self, run):
        """Requests of visitors that reached the application while the gates were closed: those that
        nginx took since the gates were closed; those that came to the application's own door since all
        earlier ones had ended; and those in NocoBase's own request log, which has whole seconds."""
        steps = {step["name"]: step for step in run["steps"] if step["state"] == "done" and step["table"] == "steps"}
        closed = run["closed_ms"]
        drained = steps["drain"]["began_ms"] + steps["drain"]["took_ms"]
        opening = next(step["began_ms"] for step in run["steps"]
                       if step["name"] in ("open on first", "open gates") and step["state"] == "done")
        first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
                       for second in (drained // 1000 + 1, opening // 1000 - 1))
        return (self.cluster.gate.passed(closed, opening)
                + checks.public_requests(self.cluster.nodes, drained, opening)
                + checks.request_log(self.cluster.storage, first, last))


def startup(demo):
    """An empty database: the first node alone until it is ready, then the others."""
    check = demo.check
    check.equal(demo.cluster.postgres.version(), None, "release in the empty database")
    status, _ = demo.cluster.ask("/api/app:getInfo")
    check.equal(status, 503, "visitors get the page before anything runs")
    run, seconds = demo.fermata("startup")
    check.equal(run["end"], "done", "the run's end")
    demo.serves(BASE_VERSION)
    steps = {step["name"]: step for step in run["steps"]}
    first_ready = steps["start first"]["began_ms"] + steps["start first"]["took_ms"]
    probed = [row[0] for row in checks.door_log(demo.cluster.nodes[1:], 0, time.time() * 1000)]
    check.that(probed and min(probed) > first_ready, "no second node was up before the first was ready")
    demo.sign_in()
    demo.figures.scenario("1 startup", seconds)
    demo.figures.steps("startup", run)


def maintenance(demo):
    """A plugin enabled on the kept node is served by every node afterwards."""
    check, cluster = demo.check, demo.cluster
    kept, *others = cluster.nodes
    demo.on_every_node(f"{PLUGIN}:list", 404, f"no node knows {PLUGIN} yet")
    with Visitors(cluster.gate.url, cluster.folder / "begin.json", sockets=SOCKETS) as before:
        time.sleep(0.5)
        run, began = demo.fermata("maintenance", "begin", "--keep", kept.name)
    check.equal(run["state"], "held", "the run's state")
    check.that(all(cluster.ask("/api/__health_check", node)[0] == 0 for node in others),
               "the others are stopped")
    status, answer = demo.api(f"pm:enable?filterByTk={PLUGIN}", kept, "POST")
    check.that(status == 200, f"{PLUGIN} is enabled through {kept.name}", answer)
    wait_for(lambda: demo.api(f"{PLUGIN}:list", kept)[0] == 200, 60, f"{kept.name} serves {PLUGIN}", every=0.25)
    status, answer = demo.api("collections:create", kept, "POST", THINGS)
    check.that(status == 200, "a collection is made through the kept node", answer)
    wait_for(lambda: demo.api("app:getInfo", kept)[0] == 200, 60, f"{kept.name} is ready", every=0.25)
    with Visitors(cluster.gate.url, cluster.folder / "end.json", sockets=SOCKETS) as after:
        time.sleep(0.5)
        run, ended = demo.fermata("maintenance", "end")
        time.sleep(0.5)
    check.equal(run["end"], "done", "the run's end")
    for visitors, when in ((before, "begin"), (after, "end")):
        lost = [a for a in visitors.answers if a.verdict != checks.OK]
        check.that(visitors.answers and not lost,
                   f"visitors were served all through `maintenance {when}` ({len(visitors.answers)} answers)",
                   lost[:3])
    demo.on_every_node(f"{PLUGIN}:list", 200, f"every node serves {PLUGIN}")
    demo.on_every_node("things:list", 200, "every node serves the new collection")
    demo.serves(BASE_VERSION)
    demo.figures.scenario("2 maintenance begin", began, before.answers)
    demo.figures.scenario("2 maintenance end", ended, after.answers)


def upgrade(demo):
    """2.2.16 with visitors on the cluster."""
    cluster, version = demo.cluster, "2.2.16"
    cluster.app.offer(Release(version))
    for number in range(20):
        demo.api("things:create", method="POST", body={"title": f"before {number}"})
    with demo.visitors("upgrade") as visitors:
        time.sleep(2)
        run, seconds = demo.fermata("upgrade", "--to", version, "--yes")
        demo.wait_tabs()
    demo.check.equal(run["end"], "done", "the run's end")
    demo.serves(version)
    before = {f"before {number}" for number in range(20)}
    demo.check.that(before <= set(demo.titles()), "data written before is there")
    reached = demo.judge_visitors(visitors, run)
    demo.figures.scenario(f"3 upgrade to {version}", seconds, visitors.answers, len(reached))
    demo.figures.steps(f"upgrade to {version}", run)
    demo.figures.upgrade(checks.downtime(visitors.answers))


def failing_upgrade(demo):
    """A migration throws: everything is as before, and the run ends rolled-back."""
    cluster, version, old = demo.cluster, "2.2.17", demo.version
    cluster.app.offer(Release(version, "fail"))
    upload = cluster.storage / "uploads" / "of-before.txt"
    upload.write_text("written before the upgrade\n")
    with demo.visitors("rollback") as visitors:
        time.sleep(2)
        run, seconds = demo.fermata("upgrade", "--to", version, "--yes", code=1)
        demo.wait_tabs()
    demo.check.equal(run["end"], "rolled-back", "the run's end")
    demo.check.that("always fails" in run["why"], "the run says why", run["why"])
    demo.serves(old)
    rows = cluster.postgres.query("select release from fermata_test", database="nocobase")
    demo.check.that((version,) not in rows, "what the failed migration wrote is gone", rows)
    demo.check.that(upload.exists(), "files of before are there")
    reached = demo.judge_visitors(visitors, run)
    demo.figures.scenario("4 failing upgrade, taken back", seconds, visitors.answers, len(reached))
    demo.figures.steps("the failing upgrade", run)


def killed_coordinator(demo):
    """kill -9 of the coordinator while the gates are closed; restarted, it goes on to the end."""
    cluster, version = demo.cluster, "2.2.18"
    cluster.app.offer(Release(version))
    with demo.visitors("killed") as visitors:
        time.sleep(2)
        began = time.monotonic()
        child = cluster.cli.begin("upgrade", "--to", version, "--yes", "--detach")
        demo.check.equal(cluster.cli.end(child).code, 5, "exit code of a detached upgrade")
        wait_for(lambda: cluster.ask("/api/app:getInfo")[0] == 503, 60, "closed gates", every=0.1)
        pause = random.uniform(0.5, 15)
        time.sleep(pause)
        at = cluster.run()[0]["run"]
        step = next((s["name"] for s in at["steps"] if s["state"] == "running"), at["state"])
        cluster.coordinator.kill()
        demo.say(f"  kill -9 of the coordinator {pause:.1f} s after the gates closed, at \"{step}\"")
        time.sleep(1)
        cluster.coordinator.start()
        demo.fermata("attach", str(at["run"]))
        seconds = time.monotonic() - began
        demo.wait_tabs()
    run = demo.last_run()
    demo.check.equal(run["run"], at["run"], "the same run")
    demo.check.equal(run["end"], "done", "the run's end")
    demo.serves(version)
    reached = demo.judge_visitors(visitors, run)
    demo.figures.scenario("5 upgrade, coordinator killed", seconds, visitors.answers, len(reached))


SCENARIOS = (
    ("startup on an empty database", startup),
    ("in-app maintenance: a plugin for every node", maintenance),
    ("upgrade with visitors on it", upgrade),
    ("an upgrade whose migration throws", failing_upgrade),
    ("the coordinator is killed in the middle of an upgrade", killed_coordinator),
)
