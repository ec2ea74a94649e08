"""The one page of figures at the end of the demo."""

from stage import checks


class Figures:
    def __init__(self):
        self._rows = []   # (scenario, seconds, downtime or None, counts, reached, requests)
        self._steps = []  # (scenario, [(step, seconds)])
        self._floor = None
        self._upgrade = None

    def scenario(self, name, seconds, answers=(), reached=None):
        """reached: requests at the application's door while the gates were closed."""
        counts = {}
        for kind in checks.by_status(answers).values():
            for status, number in kind.items():
                counts[status] = counts.get(status, 0) + number
        down = checks.downtime(answers) if answers else None
        self._rows.append((name, seconds, down, counts, reached))

    def steps(self, name, run):
        rows = [(step["name"], step["took_ms"] / 1000) for step in run["steps"] if step["state"] == "done"]
        self._steps.append((name, rows))

    def upgrade(self, downtime):
        self._upgrade = downtime

    def floor(self, whole, first):
        self._floor = (whole, first)

    def show(self, say):
        say("=== figures " + "=" * 68)
        say(f"{'scenario':<34}{'took':>8}{'downtime':>10}{'reached*':>10}  answers by status")
        for name, seconds, down, counts, reached in self._rows:
            answers = "  ".join(f"{status or 'none'}: {number}" for status, number in sorted(counts.items()))
            say(f"{name:<34}{seconds:>6.1f} s{'' if down is None else f'{down:.1f} s':>10}"
                f"{'' if reached is None else reached:>10}  {answers}")
        say("  * requests that reached the application while the gates were closed, by its own log")
        for name, rows in self._steps:
            say(f"\nsteps of {name}: " + ", ".join(f"{step} {took:.1f} s" for step, took in rows))
        if self._floor:
            whole, first = self._floor
            say(f"\nthe floor (the same work with nothing around it): {whole:.1f} s, to the first ready node {first:.1f} s")
            if self._upgrade:
                say(f"upgrade under load {self._upgrade:.1f} s / floor {whole:.1f} s = {self._upgrade / whole:.2f}"
                    "   (bench downtime has the careful comparison)")
