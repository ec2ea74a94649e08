import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from backend import Backends  # noqa: E402
from coordinator import Coordinator  # noqa: E402
from gate import Gate  # noqa: E402
import wire  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: many repetitions; not without being asked for")


@pytest.fixture
def backends():
    made = Backends(["app1", "app2", "app3"])
    yield made
    made.close()


@pytest.fixture
def coordinator():
    made = Coordinator()
    yield made
    made.close()


@pytest.fixture
def make_gate(backends, coordinator):
    made = []

    def make(**changes):
        gate = Gate(backends, changes.pop("coordinators", [coordinator]), **changes)
        made.append(gate)
        return gate
    yield make
    for gate in made:
        gate.close()


@pytest.fixture
def gate(make_gate, coordinator):
    """A running gate with four workers, its session up."""
    made = make_gate().start()
    coordinator.wait_up()
    return made


@pytest.fixture
def open_gate(gate, coordinator):
    coordinator.ask(wire.OPEN)
    return gate
