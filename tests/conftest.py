"""A test that waits for ever is a failed test, not a hung machine."""
import signal

import pytest

LIMIT = 300


class Overdue(Exception):
    pass


def limited(item, part):
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT

    def ring(*_):
        raise Overdue(f"{part} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from limited(item, "setup")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from limited(item, "the test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from limited(item, "teardown")
