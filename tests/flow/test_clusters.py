"""Two clusters with a coordinator each behind one nginx: while one is upgraded the other's visitors notice nothing."""

import pytest

from stage import checks
from stage.application import Release
from stage.visitors import Visitors
from cues import LOAD, assert_nobody_saw_more_than_the_page, end_of, everywhere, watched

LENT = """
	fermata_cluster two {{
		fermata_zone two:1m;
		fermata_state {folder}/state-two;
		fermata_coordinator {coordinator} name=gate1;
	}}
	upstream two {{ server {node} max_fails=0; fermata_nodes cluster=two app1={node}; keepalive 32; keepalive_timeout 4s; }}
	server {{
		listen 127.0.0.1:{port};
		fermata two;
		location / {{
			proxy_pass http://two;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_set_header X-Request-Source gate;
		}}
	}}
"""


class LentGate:
    """The part of another cluster's nginx that is this cluster's gate."""

    def __init__(self, owner, cluster):
        self.port, self.url = cluster.gate.port, cluster.gate.url
        owner.http_lines += LENT.format(folder=owner.folder, coordinator=cluster.coordinator.address,
                                        node=cluster.nodes[0].address, port=self.port)
        owner.write_conf()

    def start(self):
        """Begins with its owner."""

    stop = start


@pytest.fixture
def both(make_cluster):
    one = make_cluster(start=False)
    two = make_cluster(start=False, postgres=None, count=1)
    two.gate = LentGate(one.gate, two)
    for cluster in (one, two):
        cluster.start()
    return one, two


@pytest.mark.slow
def test_the_other_notices_nothing(both):
    one, two = both
    two.cli("startup", expect=0)
    assert two.ask("/api/app:getInfo")[0] == 200 and one.ask("/api/app:getInfo")[0] == 503
    one.cli("startup", expect=0)
    two.app.offer(Release("2.2.16"))
    with Visitors(one.gate.url, one.folder / "visitors.json", **LOAD) as others:
        visitors, said = watched(two, "upgrade", "--to", "2.2.16", "--yes")
    assert end_of(two) == "done", said
    assert everywhere(two, "2.2.16") and everywhere(one, "2.2.15")
    assert_nobody_saw_more_than_the_page(two, visitors)
    # nothing but answers of the application; each socket lived as long as its visitor
    assert others.answers and not checks.strange(others.answers) and checks.outages(others.answers) == []
    assert len(others.sockets) == LOAD["sockets"]


def test_by_hand_with_its_coordinator_away(both):
    one, two = both
    for cluster in (one, two):
        cluster.cli("startup", expect=0)
    two.coordinator.kill()
    folder = one.gate.folder / "state-two"
    said = two.cli("gate", "close", "--local", "--force", "--state", str(folder), expect=0)
    assert "cluster two: closed" in said.out and str(folder) in said.err
    assert two.ask("/api/app:getInfo")[0] == 503 and one.ask("/api/app:getInfo")[0] == 200
    two.coordinator.start()
    one.cli("restart", expect=0)
    assert end_of(one) == "done" and two.ask("/api/app:getInfo")[0] == 503
    two.cli("gate", "resume", "--local", "--state", str(folder), expect=0)
    assert two.ask("/api/app:getInfo")[0] == 200
