"""A search's trials on a cluster of two nodes, while a worker is killed and a node goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpha_pulse.backtest.search.evaluate import Job
from alpha_pulse.backtest.search.market_data import Part, read_data
from alpha_pulse.backtest.search.on_ray import RayPool
from alpha_pulse.backtest.search.workers import Inline
from alpha_pulse.errors import ConfigError
from tests.unit.backtest.search.searching import market_file, settings_on

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore")]  # Ray leaves sockets and subprocesses to the collector
JOBS = 12


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A head with one CPU, and a second node with another."""
    pytest.importorskip("ray", reason="pip install 'alpha-pulse[distributed]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - takes seconds

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        second = made.add_node(num_cpus=1)
    yield made, second
    made.shutdown()


def test_a_killed_worker_and_a_lost_node_lose_no_trial(cluster: tuple[Any, Any], tmp_path: Path):
    made, second = cluster
    settings = settings_on(market_file(tmp_path, days=120))
    data = asyncio.run(read_data(settings))
    part = Part(0, data.bars)
    hedges = [settings.hedge.model_copy(update={"ratio": 0.2 + 0.05 * number}) for number in range(JOBS)]
    jobs = [Job(number, settings.model_copy(update={"hedge": hedge}), part) for number, hedge in enumerate(hedges)]
    alone, pool = Inline(data, "replay"), RayPool(data, "replay", address=made.address, size=2)
    try:
        for job in jobs:
            alone.submit(job)
            pool.submit(job)
        found = {}
        for taken in range(JOBS):
            job, outcome = pool.take()
            found[job.number] = outcome
            if taken == 2:
                os.kill(pool.pids[-1], signal.SIGKILL)
            if taken == 6:
                made.remove_node(second)
    finally:
        pool.close()
    wanted = {job.number: outcome for job, outcome in (alone.take() for _ in jobs)}
    assert sorted(found) == list(range(JOBS))
    for number, outcome in wanted.items():
        assert found[number].figures == outcome.figures
        np.testing.assert_array_equal(found[number].daily.timing, outcome.daily.timing)
    assert 1 <= pool.rerun <= 4
    assert len(pool.pids) >= 3  # the killed one was replaced


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path):
    pytest.importorskip("ray", reason="pip install 'alpha-pulse[distributed]'")
    data = asyncio.run(read_data(settings_on(market_file(tmp_path, days=6))))
    with pytest.raises(ConfigError, match="the cluster does not answer"):
        RayPool(data, "replay", address="127.0.0.1:1", size=1)
