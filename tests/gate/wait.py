import time


def wait_for(condition, timeout=10, what="it"):
    """Looks every millisecond; returns what the condition gave, or fails saying what was missed."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what() if callable(what) else what}")
        time.sleep(0.001)
