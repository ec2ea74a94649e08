"""The application's output: read over the coordinator by whoever may, bounded, and nobody waits for it."""

import json
import os
import signal
import subprocess
import threading

import pytest

from stage.place import processes_with, wait_for
from stage.programs import CLI
from cues import everywhere

FLOOD = "while :; do head -c 1048576 /dev/zero | tr '\\0' x; echo; done"


def lines(said):
    return [line for line in said.out.splitlines() if line]


def test_the_last_lines_of_a_node(running):
    path = running.nodes[0].folder / "app.log"
    with path.open("a") as log:
        log.write("".join(f"number {n}\n" for n in range(200)) + "\033[31mred\033[0m\n")
    said = running.cli("logs", "app1", "-n", "3", expect=0)
    assert lines(said) == ["app1 | number 198", "app1 | number 199", "app1 | red"], said
    for node in running.nodes[1:]:
        (node.folder / "app.log").write_text("x\n")
    said = running.cli("logs", "--lines", "1", expect=0)
    assert {line.split(" | ")[0] for line in lines(said)} == {"app1", "app2", "app3"}, said
    # More than one piece.
    said = running.cli("logs", "app1", "--lines", "150", expect=0)
    assert len(lines(said)) == 150 and lines(said)[-1].endswith("red")
    assert running.cli("logs", "app9").code == 2


def test_following_goes_on_after_the_coordinator_was_away(running):
    path = running.nodes[0].folder / "app.log"
    child = running.cli.begin("logs", "app1", "-f", "-n", "0", "--json")
    seen = []

    def read_until(text):
        while not any(text in line for line in seen):
            chunk = json.loads(child.stdout.readline())["log"]
            seen.extend(chunk["lines"])
    try:
        wait_for(lambda: running.cli.status(), 10, "the coordinator answers")
        written = 0

        def write_one():
            nonlocal written
            written += 1
            with path.open("a") as log:
                log.write(f"mark {written}\n")
        # The reader is there from its first piece on.
        stop = threading.Event()

        def keep_writing():
            while not stop.wait(0.2):
                write_one()
        thread = threading.Thread(target=keep_writing)
        thread.start()
        read_until("mark")
        stop.set()
        thread.join()
        read_until(f"mark {written}")
        running.coordinator.kill()
        with path.open("a") as log:
            log.write("while it was away\n")
        running.coordinator.start()
        running.wait_connected()
        read_until("while it was away")
        marks = [line for line in seen if line.startswith("mark ")]
        assert len(marks) == len(set(marks)), "nothing comes twice"
    finally:
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0


def test_a_flood_with_a_reader_that_does_not_read(make_cluster):
    cluster = make_cluster(count=1, agent={"app": {"log_mib": 8}})
    cluster.cli("startup", expect=0)
    path = cluster.nodes[0].folder / "app.log"
    agent, coordinator = cluster.agents["app1"].process.pid, cluster.coordinator.process.pid

    def rss(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1])
    before, pids = {pid: rss(pid) for pid in (agent, coordinator)}, cluster.app_pids()
    with subprocess.Popen([CLI, "logs", "app1", "-f"], env=cluster.cli.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as reader, path.open("a") as log:
        flood = subprocess.Popen(["sh", "-c", FLOOD], stdout=log, start_new_session=True)
        try:
            wait_for(lambda: path.stat().st_blocks * 512 > 4 << 20, 30, "the flood")
            most = 0
            for _ in range(40):
                most = max(most, path.stat().st_blocks * 512)
                assert cluster.cli.status()["status"]["nodes"][0]["connected"]
            assert most < 400 << 20, f"{most >> 20} MiB"
            assert rss(agent) < before[agent] + 4096 and rss(coordinator) < before[coordinator] + 8192
            assert flood.poll() is None
        finally:
            os.killpg(flood.pid, signal.SIGKILL)
            flood.wait()
            reader.kill()
    assert cluster.app_pids() == pids and everywhere(cluster, "2.2.15", limit=20)
    wait_for(lambda: path.stat().st_blocks * 512 <= 9 << 20, 20, "the output is within its size")


@pytest.mark.slow
def test_who_gave_up_says_its_last_words(running):
    node = running.nodes[1]
    node.tune(crash="load")
    mine = set(processes_with(f"FERMATA_NODE={node.name}"))
    with (node.folder / "app.log").open("a") as log:
        log.write("Error: the last words\n")
    for pid in mine & set(running.app_pids()):
        os.kill(pid, signal.SIGKILL)

    def status():
        return next(n for n in running.cli.status()["status"]["nodes"] if n["name"] == node.name)
    wait_for(lambda: status()["app"] == "failed" and status()["output"], 120, "it gives up", every=0.5)
    assert "gave up" in status()["failure"]
    assert any("the last words" in line for line in status()["output"])
    said = running.cli("status", expect=0)
    assert "the last that app2 printed:" in said.out and "the last words" in said.out, said
    # It is kept with the run, for when the node is well again.
    wait_for(lambda: "app2 printed last: " in running.cli("show").out and "the last words" in running.cli("show").out,
             20, "the journal has them")
