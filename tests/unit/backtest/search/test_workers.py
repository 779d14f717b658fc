"""Several processes give what one gives, and a process that dies loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from alpha_pulse.backtest.search.evaluate import Job
from alpha_pulse.backtest.search.market_data import Part, read_data
from alpha_pulse.backtest.search.workers import Inline, Processes, open_pool
from alpha_pulse.errors import ConfigError
from tests.unit.backtest.search.searching import market_file, settings_on


def test_processes_give_what_one_gives_and_a_killed_one_loses_nothing(tmp_path: Path):
    settings = settings_on(market_file(tmp_path, days=10))
    data = asyncio.run(read_data(settings))
    part = Part(0, data.bars)
    jobs = [
        Job(n, settings.model_copy(update={"hedge": settings.hedge.model_copy(update={"ratio": 0.3 + 0.1 * n})}), part) for n in range(5)
    ]
    alone, together = Inline(data, "replay"), Processes(data, "replay", 2)
    try:
        for job in jobs:
            alone.submit(job)
            together.submit(job)
        wanted = {job.number: outcome for job, outcome in (alone.take() for _ in jobs)}
        found = dict([_numbered(together.take())])
        os.kill(next(iter(together._pool._processes)), signal.SIGKILL)
        found |= dict(_numbered(together.take()) for _ in jobs[1:])
    finally:
        together.close()
    assert sorted(found) == sorted(wanted)
    for number, outcome in wanted.items():
        assert found[number].figures == outcome.figures
        assert outcome.error == ""
        np.testing.assert_array_equal(found[number].daily.timing, outcome.daily.timing)
    assert together.rerun <= 2


def _numbered(taken):
    job, outcome = taken
    return job.number, outcome


def test_no_worker_is_no_pool(tmp_path: Path):
    data = asyncio.run(read_data(settings_on(market_file(tmp_path, days=6))))
    with pytest.raises(ConfigError, match="1 at least"):
        open_pool(data, "auto", workers=0)
