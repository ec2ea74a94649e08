"""The docker runtime on Podman's compatible socket: flows of test_docker.py once more, where Podman is installed."""

import pytest

from stage.podman import Podman
from conftest import running_engine
from test_docker import (  # noqa: F401  pylint: disable=unused-import
    docked, images, make_docked, running, test_a_tag_that_moves_or_lies_is_refused,
    test_an_agent_that_was_killed_adopts_its_container, test_an_end_is_seen_at_once_and_started_again,
    test_failing_upgrade_is_rolled_back_to_the_same_container, test_startup_makes_a_container_ours_and_changes_nothing_else,
    test_the_output_goes_to_the_log_file, test_upgrade_pulls_pins_and_keeps)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("machine")]


@pytest.fixture(scope="module")
def engine():
    yield from running_engine(Podman)
