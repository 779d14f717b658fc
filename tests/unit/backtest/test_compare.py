"""Windows of thirty days and what a path did in them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.compare import DAY_MS, compare, protection, window_ends
from alpha_pulse.backtest.metrics import Paths
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings


def daily_bars(prices: list[float]) -> Bars:
    columns = {f.name: np.zeros(len(prices)) for f in fields(Bars)}
    columns |= {name: np.array(prices) for name in ("spot", "mark", "last")}
    return Bars(**(columns | {"ts_ms": np.arange(len(prices), dtype=np.int64) * DAY_MS}))


def test_windows_begin_a_day_apart_and_end_within_the_data():
    assert list(window_ends([day * DAY_MS for day in range(33)])) == [(0, 30), (1, 31), (2, 32)]
    assert list(window_ends([day * DAY_MS for day in range(30)])) == []


def test_an_end_in_a_gap_is_the_last_bar_before_it():
    days = [*range(29), 31, 32]
    assert list(window_ends([day * DAY_MS for day in days])) == [(0, 28), (1, 29), (2, 30)]


def test_the_worst_tenth_is_chosen_by_what_the_unhedged_holder_lost():
    """41 days: price 100 until day 30, then 1 lower each day. Ten windows lose 0, 1, … 10 %; the tenth of 11 windows is the last one.
    The hedged path loses half of it; that path's own worst window is the same one."""
    prices = [100.0] * 30 + [100.0 - day for day in range(11)]
    bars = daily_bars(prices)
    unhedged = 100.0 + np.array(prices)
    paths = Paths(start=200.0, hedged=100.0 + 0.5 * (100.0 + np.array(prices)), unhedged=unhedged, static=unhedged)
    found = protection(paths.hedged, paths, bars, 1.0)
    assert found.worst_decile == pytest.approx(-0.05)
    assert found.worst_window == pytest.approx(-0.05)
    assert found.mean_window == pytest.approx(-0.5 * sum(range(11)) / 11 / 100)
    assert found.max_drawdown == pytest.approx(5 / 200)


def test_less_than_a_window_is_refused():
    bars = daily_bars([100.0] * 10)
    flat = np.full(10, 200.0)
    with pytest.raises(ConfigError, match="shorter than a window of 30 days"):
        protection(flat, Paths(200.0, flat, flat, flat), bars, 1.0)


async def test_every_sizer_runs_on_the_same_market_and_the_unhedged_path_is_the_same():
    settings = Settings.read({"feed": {"days": 32, "seed": 5}, "execution": {"rebalance_interval": 3600}})
    told: list[float] = []
    constant, blend = await compare(settings, ["constant", "blend"], told.append)
    assert (constant.name, blend.name) == ("constant", "blend")
    assert constant.unhedged == blend.unhedged
    assert constant.hedged != blend.hedged
    assert constant.windows == 2
    assert 0.3 < constant.average_ratio < 0.9
    assert told[-1] == 1.0
    assert told == sorted(told)
