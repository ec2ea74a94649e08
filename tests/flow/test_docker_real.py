"""The docker runtime with the real NocoBase in its containers, started as its own image starts it."""

import pytest

from stage import checks
from stage.application import BASE_VERSION
from stage.docked import Docked, container_name
from stage.engine import Engine, Registry
from stage.place import make_folder, remove_folder
from stage.real_images import RealImages
from conftest import running_engine
from cues import end_of, everywhere, reached_while_closed, watched

pytestmark = [pytest.mark.slow, pytest.mark.limit(900), pytest.mark.xdist_group("machine")]  # images of 1.1 GiB

VISITORS = {"sockets": 0, "lists": 0, "page_loads": 2, "writes": 0, "token": None, "limit": 300}


@pytest.fixture(scope="module")
def engine():
    yield from running_engine(Engine)


@pytest.fixture(scope="module")
def stage(engine, lent_postgres):
    """Two nodes, up and serving."""
    folder = make_folder()
    registry = Registry(folder / "registry")
    docked = None
    try:
        images = RealImages(engine, registry.start(), folder / "images")
        images.make(BASE_VERSION)
        for tag, how in (("2.2.16", "ok"), ("2.2.17", "fail")):
            images.make(tag, how)
            images.forget(tag)
        docked = Docked(engine, images, count=2, postgres=lent_postgres)
        docked.start()
        docked.cli("startup", expect=0, limit=300)
        yield docked
    finally:
        if docked:
            docked.close()
        registry.stop()
        remove_folder(folder)


def names_kept(stage, version):
    return stage.engine.inspect(f"{container_name(stage.node('app1'))}-fermata-{version}")


def test_upgrade_of_the_real_one_in_containers(stage):
    assert everywhere(stage, BASE_VERSION)
    visitors, said = watched(stage, "upgrade", "--to", "2.2.16", "--yes", **VISITORS)
    assert end_of(stage) == "done", said
    assert everywhere(stage, "2.2.16") and stage.postgres.version() == "2.2.16"
    assert not checks.strange(visitors.answers)
    assert [bool(outage.end_ms) for outage in checks.outages(visitors.answers)] == [True]
    assert not reached_while_closed(stage)
    assert names_kept(stage, BASE_VERSION)
    status, answer = stage.ask("/api/app:getInfo")
    assert status == 200 and '"2.2.16"' in answer


def test_a_migration_that_throws_in_a_container_is_taken_back(stage):
    assert everywhere(stage, "2.2.16")
    before = stage.container()["Image"]
    _, said = watched(stage, "upgrade", "--to", "2.2.17", "--yes", expect=1, **VISITORS)
    assert end_of(stage) == "rolled-back", said
    assert everywhere(stage, "2.2.16") and stage.postgres.version() == "2.2.16"
    assert stage.container()["Image"] == before
    assert not reached_while_closed(stage)
