"""A sweep's rows are the figures of single runs, however many threads made them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.compiled.market import Market, market_of, read_market
from alpha_pulse.backtest.compiled.record import record_of
from alpha_pulse.backtest.compiled.sweep import sweep
from alpha_pulse.backtest.compiled.twin import run_twin
from alpha_pulse.backtest.metrics import equity, equity_paths
from alpha_pulse.backtest.returns import path_figures
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings
from alpha_pulse.testing import FakeFeed, updates_from_prices
from tests.unit.backtest.compiled.hostile import PLAIN

FEED = {"source": "simulated", "days": 8, "seed": 3}


def settings_of(spacing: str, ratio: float = 0.5) -> Settings:
    hedge = {"ratio": ratio, "min_ratio": 0, "amplitude": 0.25, "amplitude_adverse": 0.25}
    return Settings.read({**PLAIN, "feed": FEED, "hedge": hedge, "grid": {"grid_spacing_pct": spacing, "volatility_multiple": 0}})


SETS = [settings_of(spacing, ratio) for spacing in ("0.003", "0.005", "0.01") for ratio in (0.3, 0.6)]


@pytest.fixture(scope="module")
def market() -> Market:
    return asyncio.run(read_market(SETS[0]))


def test_rows_are_the_figures_of_the_record(market):
    rows = sorted(sweep(SETS, market), key=lambda row: row.number)
    for row, settings in zip(rows, SETS, strict=True):
        result = run_twin(settings, market)
        record = record_of(settings, market, result)
        bars = Bars.of(record)
        paths = equity_paths(record, bars, 0.0)
        figures, worth = path_figures(paths.hedged, paths.start, bars), equity(paths.hedged, paths.start)
        assert row.error == ""
        assert row.fills == len(record.fills) > 0
        assert (row.start, row.end) == pytest.approx((paths.start, worth.last))
        assert row.unhedged_end == pytest.approx(paths.unhedged[-1])
        assert row.hedge_pnl == pytest.approx(paths.hedged[-1] - paths.unhedged[-1])
        assert row.max_drawdown == pytest.approx(worth.max_drawdown.value)
        assert row.volatility == pytest.approx(figures.volatility.value)
        assert row.sharpe == pytest.approx(figures.sharpe.value)
        assert row.sortino == pytest.approx(figures.sortino.value)
        assert row.fees == pytest.approx(float(sum(f.fee for f in record.fills)))
        assert row.funding == pytest.approx(float(sum(p.amount for p in record.funding)))
        assert row.turnover == pytest.approx(float(sum(f.price * f.quantity for f in record.fills)))
        assert row.position == pytest.approx(record.position[-1])


def test_threads_change_no_row(market):
    done: list[int] = []
    two = sorted(sweep(SETS, market, workers=2, progress=done.append), key=lambda row: row.number)
    assert two == sorted(sweep(SETS, market), key=lambda row: row.number)
    assert done == list(range(1, len(SETS) + 1))


def test_a_set_that_cannot_run_is_a_row_with_its_reason(market):
    wrong = Settings.read({**PLAIN, "feed": FEED, "risk": {"var_method": "cornish_fisher"}})
    rows = {row.number: row for row in sweep([SETS[0], wrong], market)}
    assert rows[0].error == ""
    assert "risk.var_method" in rows[1].error


def test_sets_are_drawn_as_they_are_run(market):
    drawn = []

    def endless() -> Iterator[Settings]:
        for number in range(10**9):
            drawn.append(number)
            yield SETS[0]

    rows = sweep(endless(), market)
    assert next(rows).fills > 0
    assert len(drawn) < 6
    rows.close()


def test_no_worker_is_no_sweep(market):
    with pytest.raises(ConfigError, match="workers"):
        next(sweep(SETS, market, workers=0))


def test_a_market_of_hours_carries_no_daily_figure():
    short = asyncio.run(market_of(FakeFeed(updates_from_prices(list(np.linspace(60_000.0, 61_000.0, 90)))), "BTCUSDT"))
    row = next(sweep([settings_of("0.003")], short))
    assert row.end > 0
    assert (row.volatility, row.sharpe, row.sortino) == (None, None, None)
