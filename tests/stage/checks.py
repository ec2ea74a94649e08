"""What the records of a stage say. Pure functions over them, and Checks, which counts verdicts."""

import collections
import dataclasses
import json
import re

from .visitors import OK, STRANGE

AGENT = re.compile(r"^/api/(__health_check|app:getInfo)(\?|$)")


@dataclasses.dataclass
class Outage:
    """From the first 503 to the first 200 afterwards, as answers came in."""
    begin_ms: float
    end_ms: float | None

    @property
    def seconds(self):
        return (self.end_ms - self.begin_ms) / 1000 if self.end_ms else float("inf")


def outages(answers, kind="poll"):
    """What one kind of visitor saw. In order of asking: a request that was let through before the
    gates closed may well be answered after they did."""
    found, begin = [], None
    for answer in sorted((a for a in answers if a.kind == kind), key=lambda a: a.sent):
        if answer.verdict == OK and begin is not None:
            found.append(Outage(begin, answer.done))
            begin = None
        elif answer.verdict != OK and begin is None:
            begin = answer.done
    if begin is not None:
        found.append(Outage(begin, None))
    return found


def downtime(answers):
    """Seconds without service, all outages together."""
    return sum(outage.seconds for outage in outages(answers))


def strange(answers):
    return [answer for answer in answers if answer.verdict == STRANGE]


def by_status(answers):
    """{kind: Counter of statuses}"""
    table = collections.defaultdict(collections.Counter)
    for answer in answers:
        table[answer.kind][answer.status] += 1
    return table


def latency_ms(answers, kind="poll", share=0.5):
    took = sorted(a.done - a.sent for a in answers if a.kind == kind and a.verdict == OK)
    return took[min(int(len(took) * share), len(took) - 1)] if took else 0.0


def tab_faults(sockets, count, refresh):
    """What is wrong with how open tabs went through one closing of the gates. Right is: taken to the
    gate's own websocket, told the steps as they came and at last the end (refresh: to load again), and
    back at a node, untouched."""
    found = []
    for number in range(count):
        seen = [s for s in sockets if s.number == number]
        payloads = [json.loads(s.detail)["payload"] for s in seen if s.event == "frame"]
        told = {p["message"] for p in payloads if p["code"] == "APP_COMMANDING"}
        ends = [p.get("refresh", False) for p in payloads if p["code"] == "APP_RUNNING"]
        events = [s.event for s in seen if s.event != "frame"]
        if events != ["open", "closed", "open", "closed", "open"]:
            found.append(f"tab {number}: {' '.join(events)}")
        if len(told) < 2:
            found.append(f"tab {number}: was told {told}")
        if ends != [refresh]:
            found.append(f"tab {number}: at the end refresh was {ends}")
        if others := {p["code"] for p in payloads} - {"APP_COMMANDING", "APP_RUNNING"}:
            found.append(f"tab {number}: was told {others}")
    return found


def door_log(nodes, begin_ms, end_ms):
    """From the application's own door: (ms, node, method, path, source) within the span."""
    found = []
    for node in nodes:
        if not node.access_log.exists():
            continue
        for line in node.access_log.read_text(errors="replace").splitlines():
            fields = line.split(" ")
            if len(fields) >= 5 and begin_ms <= int(fields[0]) < end_ms:
                found.append((int(fields[0]), node.name, fields[2], fields[3], fields[4]))
    return found


def public_requests(nodes, begin_ms, end_ms):
    """Requests at the application's door that came through a gate, or that are no agent's probe."""
    return [row for row in door_log(nodes, begin_ms, end_ms) if row[4] != "-" or not AGENT.match(row[3])]


def request_log(storage, begin_s, end_s):
    """NocoBase's own request log (whole seconds, UTC): requests through a gate within the span."""
    found = []
    for path in sorted(storage.glob("logs/main/request_*.log")):
        for line in path.read_text(errors="replace").splitlines():
            if '"requestSource":"gate"' in line and '"message":"request ' in line:
                row = json.loads(line)
                if begin_s <= row["timestamp"] <= end_s:
                    found.append((row["timestamp"], row["method"], row["path"]))
    return found


class Checks:
    """Says each check as it is made, and counts."""

    def __init__(self, say=print):
        self.passed, self.failed, self._say = 0, [], say

    def that(self, holds, what, detail=""):
        if holds:
            self.passed += 1
            self._say(f"  ok      {what}")
        else:
            self.failed.append(what)
            self._say(f"  FAILED  {what}" + (f": {detail}" if detail else ""))
        return bool(holds)

    def equal(self, got, wanted, what):
        return self.that(got == wanted, f"{what}: {wanted}", f"got {got!r}")

    def line(self):
        return f"{self.passed} passed, {len(self.failed)} failed"
