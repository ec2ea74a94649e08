"""Flows: real processes, a real PostgreSQL, a real nginx, and the stand-in application.

    /usr/bin/python3 -m pytest tests/flow            (all)
    /usr/bin/python3 -m pytest tests/flow -k upgrade (some)

A flow that fails prints the end of every log of its stage. FERMATA_BUILD names the build folder,
FERMATA_KEEP_STAGE=1 keeps the stage's folder."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from stage.cluster import Cluster  # noqa: E402  pylint: disable=wrong-import-position
from stage.place import StageError, make_folder, remove_folder  # noqa: E402  pylint: disable=wrong-import-position
from stage.services import Postgres  # noqa: E402  pylint: disable=wrong-import-position
from stage.programs import AGENT, CLI, COORDINATOR  # noqa: E402  pylint: disable=wrong-import-position

# Short enough that a fault is noticed within a test, long enough for a machine that is busy.
QUICK_AGENT = {"limits": {"term": "1s", "kill": "5s", "poll": "100ms", "start_poll": "50ms", "stuck": "10s"}}
QUICK_COORDINATOR = {"limits": {"drain": "2s"}}


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: many repetitions; left out of `build.sh test`")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for cluster in getattr(item, "stages", []):
            for name, text in log_tails(cluster):
                report.sections.append((name, text))


def log_tails(cluster, lines=40):
    for path in sorted(cluster.folder.rglob("*.log")):
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace").splitlines()
            if text and "postgres" not in path.name:
                yield str(path.relative_to(cluster.folder)), "\n".join(text[-lines:])


def merged(quick, own):
    result = {section: dict(values) for section, values in quick.items()}
    for section, values in (own or {}).items():
        result.setdefault(section, {}).update(values)
    return result


def running_engine(kind):
    """A container engine for a fixture to yield; where it cannot run, the test is skipped."""
    folder = make_folder()
    engine = kind(folder / "engine")
    try:
        engine.start()
    except StageError as error:
        pytest.skip(f"no container engine can run here: {error}")
    yield engine
    engine.stop()
    remove_folder(folder)


@pytest.fixture(scope="session")
def lent_postgres():
    """One server for all flows, emptied before each: to make one takes longer than many a flow."""
    folder = make_folder()
    server = Postgres(folder / "postgres", durable=False)
    yield server
    server.stop()
    remove_folder(folder)


@pytest.fixture
def make_cluster(request, lent_postgres):
    """make_cluster(count=3, releases=("2.2.15",), agent={section: {key: value}}, coordinator={...},
    start=True) -> Cluster, taken down after the test."""
    missing = [str(program) for program in (COORDINATOR, CLI, AGENT) if not program.exists()]
    if missing:
        pytest.fail(f"not built: {', '.join(missing)}", pytrace=False)
    request.node.stages = []

    def make(start=True, agent=None, coordinator=None, **stage):
        cluster = Cluster(options={"agent": merged(QUICK_AGENT, agent),
                                   "coordinator": merged(QUICK_COORDINATOR, coordinator)},
                          **{"postgres": lent_postgres, **stage})
        request.node.stages.append(cluster)
        return cluster.start() if start else cluster
    yield make
    for cluster in request.node.stages:
        cluster.close()


@pytest.fixture
def cluster(make_cluster):
    """Three nodes, one gate, everything connected, nothing started, an empty database."""
    return make_cluster()


@pytest.fixture
def running(cluster):
    """The same after `fermata startup`."""
    cluster.cli("startup", expect=0)
    return cluster
