"""Nodes that are not alike: said by `fermata doctor`, refused before anything is touched."""

from stage.place import wait_for
from cues import everywhere


def findings(cluster, what, level):
    said = cluster.cli("doctor", "--json")
    rows = [row for line in said.json for row in line.get("findings", {}).get("findings", [])]
    return [row["text"] for row in rows if row["what"] == what and row["level"] == level]


def secrets_of(node):
    return [node.env[key] for key in ("APP_KEY", "APP_AES_SECRET_KEY", "DB_PASSWORD")]


def test_alike_nodes_are_not_complained_about(running):
    assert not [text for node in running.nodes for text in findings(running, node.name, "error")]


def test_another_app_key_is_found_and_refused(running):
    pids, node = running.app_pids(), running.nodes[1]
    secrets = secrets_of(node)
    node.env["APP_KEY"] = "0" * 48
    node.write_env()
    wait_for(lambda: any("APP_KEY is not as on app1" in text for text in findings(running, "app2", "error")),
             40, "the drift is seen")
    said = running.cli("restart")
    assert said.code == 3 and "APP_KEY" in said.out + said.err, said
    assert running.app_pids() == pids and everywhere(running, "2.2.15")
    said = running.cli("plan", "restart")
    assert "APP_KEY" in said.out, said
    logs = "".join(path.read_text(errors="replace") for path in running.folder.rglob("*.log"))
    assert not [secret for secret in secrets if secret in logs]
    node.env["APP_KEY"] = secrets[0]
    node.write_env()
    wait_for(lambda: not findings(running, "app2", "error"), 40, "the drift is gone")
    running.cli("restart", expect=0)


def test_another_storage_is_found_and_refused(cluster):
    own = cluster.folder / "other-storage"
    own.mkdir()
    agent = cluster.agents["app3"]
    agent.ini.write_text(agent.ini.read_text().replace(f"storage = {cluster.storage}", f"storage = {own}"))
    agent.stop()
    agent.start()
    wait_for(lambda: any("is not that of app1" in text for text in findings(cluster, "app3", "error")),
             40, "the drift is seen")
    said = cluster.cli("startup")
    assert said.code == 3 and "storage" in said.out + said.err, said
    assert cluster.app_pids() == []
