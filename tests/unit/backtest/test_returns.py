"""Return and risk of a path: equal to empyrical where that has the figure, by hand where it has not."""

from __future__ import annotations

import itertools
import math
import random

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import DAY_MS, HOUR_MS, YEAR_DAYS, Figure, equity
from alpha_pulse.backtest.returns import (
    MIN_CAGR_DAYS,
    annual_volatility,
    compound_annual,
    daily_returns,
    drawdowns,
    path_figures,
    sharpe,
    shortfall,
    sortino,
    value_at_risk,
)
from alpha_pulse.testing.records import START_MS, RecordBuilder


def bars_of(count, step_ms=DAY_MS):
    built = RecordBuilder(bar_ms=step_ms)
    for _ in range(count):
        built.bar(100.0)
    return Bars.of(built.record)


def wander(days, seed=5):
    chance = random.Random(seed)  # noqa: S311 - a made-up path
    path = [100.0]
    for _ in range(days):
        path.append(path[-1] * math.exp(chance.gauss(0.0004, 0.03)))
    return np.array(path)


@pytest.fixture(scope="module")
def year():
    path = wander(YEAR_DAYS)
    return path, bars_of(len(path)), np.diff(path) / path[:-1]


def test_daily_returns_are_those_of_whole_days_from_the_first_close(year):
    path, bars, returns = year
    assert daily_returns(path, 100.0, bars) == pytest.approx(returns)
    hourly = bars_of(49, HOUR_MS)
    values = np.linspace(100.0, 148.0, 49)
    assert daily_returns(values, 100.0, hourly) == pytest.approx([24 / 100, 24 / 124])


def test_the_first_day_begins_before_the_costs_of_the_first_bar():
    path = np.array([99.0, 110.0, 121.0])
    assert daily_returns(path, 100.0, bars_of(3)) == pytest.approx([0.1, 0.1])


def test_every_figure_that_empyrical_has_is_equal_to_its(year):
    path, bars, returns = year
    found = path_figures(path, 100.0, bars)
    options = {"annualization": YEAR_DAYS}
    assert found.total_return.value == pytest.approx(empyrical.cum_returns_final(returns))
    assert found.cagr.value == pytest.approx(empyrical.cagr(returns, **options))
    assert found.volatility.value == pytest.approx(empyrical.annual_volatility(returns, **options))
    assert found.sharpe.value == pytest.approx(empyrical.sharpe_ratio(returns, **options))
    assert found.sortino.value == pytest.approx(empyrical.sortino_ratio(returns, **options))
    assert found.calmar.value == pytest.approx(empyrical.calmar_ratio(returns, **options))
    assert found.var_95.value == pytest.approx(-empyrical.value_at_risk(returns, 0.05))
    assert found.cvar_95.value == pytest.approx(-empyrical.conditional_value_at_risk(returns, 0.05))
    assert found.drawdowns[0].depth == pytest.approx(-empyrical.max_drawdown(returns))
    assert found.daily_returns == YEAR_DAYS


@given(st.lists(st.floats(-0.2, 0.2), min_size=25, max_size=60))
def test_on_any_returns_ratios_and_tails_are_empyricals(values):
    returns = np.array(values)
    if returns.std(ddof=1) > 1e-6:
        assert sharpe(returns) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365), abs=1e-9)
        assert annual_volatility(returns) == pytest.approx(empyrical.annual_volatility(returns, annualization=365))
    if (returns < -1e-6).any():
        assert sortino(returns) == pytest.approx(empyrical.sortino_ratio(returns, annualization=365), rel=1e-9, abs=1e-9)
    assert value_at_risk(returns) == pytest.approx(-empyrical.value_at_risk(returns), abs=1e-12)
    assert shortfall(returns) == pytest.approx(-empyrical.conditional_value_at_risk(returns), abs=1e-12)
    assert shortfall(returns) >= value_at_risk(returns) - 1e-12


def test_drawdowns_have_a_peak_a_trough_and_a_recovery():
    path = np.array([100.0, 110.0, 99.0, 104.5, 110.0, 121.0, 96.8, 108.9])
    first, second = drawdowns(path, 100.0, bars_of(len(path)))
    day = lambda number: START_MS + number * DAY_MS  # noqa: E731 - a word for a bar's close
    assert (first.peak_ms, first.trough_ms, first.recovered_ms, first.days) == (day(2), day(3), day(5), 3.0)
    assert first.depth == pytest.approx(0.1)
    assert (second.peak_ms, second.trough_ms, second.recovered_ms, second.days) == (day(6), day(7), None, 2.0)
    assert second.depth == pytest.approx(0.2)


def test_a_path_that_begins_below_its_start_is_in_a_drawdown_from_the_first_bar():
    (only,) = drawdowns(np.array([99.0, 98.0]), 100.0, bars_of(2))
    assert (only.peak_ms, only.recovered_ms) == (START_MS + DAY_MS, None)
    assert only.depth == pytest.approx(0.02)


@given(st.lists(st.floats(1.0, 1000.0), min_size=1, max_size=40))
def test_the_deepest_drawdown_is_the_worst_of_the_path_and_they_never_overlap(values):
    path = np.array(values)
    found = drawdowns(path, 100.0, bars_of(len(path)))
    assert max((fall.depth for fall in found), default=0.0) == pytest.approx(equity(path, 100.0).max_drawdown.value)
    for before, after in itertools.pairwise(found):
        assert before.recovered_ms is not None
        assert before.peak_ms < before.trough_ms or before is found[0]
        assert before.recovered_ms <= after.peak_ms


def test_a_short_run_says_why_it_carries_no_figure():
    found = path_figures(np.array([100.0, 101.0, 102.0]), 100.0, bars_of(3))
    assert found.total_return.value == pytest.approx(0.02)
    assert "shorter than 30 days" in found.cagr.reason
    assert found.calmar.reason == found.cagr.reason
    assert found.sharpe.reason == "too few whole days: 2, where 5 are needed"
    ten = path_figures(np.linspace(100.0, 101.0, 11), 100.0, bars_of(11))
    assert "too few whole days for a tail" in ten.var_95.reason
    assert ten.sortino.reason == "no day lost"
    assert ten.calmar.value is None
    still = path_figures(np.full(11, 100.0), 100.0, bars_of(11))
    assert still.sharpe.reason == "the path did not vary"


def test_a_net_worth_that_is_not_positive_has_no_return():
    found = path_figures(np.array([10.0, -1.0]), 10.0, bars_of(2))
    assert found.drawdowns == ()
    for figure in (found.total_return, found.cagr, found.sharpe, found.var_95, found.longest_drawdown_days):
        assert figure == Figure(None, "net worth is not positive all along")


def test_a_days_rate_compounds_over_the_year():
    assert compound_annual(Figure(0.1), 365.0).value == pytest.approx(0.1)
    assert compound_annual(Figure(0.1), 36.5).value == pytest.approx(1.1**10 - 1)
    assert compound_annual(Figure(0.1), MIN_CAGR_DAYS - 0.1).value is None
