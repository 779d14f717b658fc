"""Tests over real sockets, processes and clocks get a second try: on a busy machine a wait can be too short for what it waits for.

A test that fails twice fails, and one that passed only the second time is listed at the end of a run ("RERUN"): look at it.
"""

import pytest

IN_REAL_TIME = {"bot", "cli", "fake_exchange", "live", "llm", "log", "market", "notify", "service", "state"}


def pytest_collection_modifyitems(items):
    for item in items:
        if "integration" in item.path.parts and item.path.parent.name in IN_REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=1))
