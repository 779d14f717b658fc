"""What a hedge protected from: against empyrical, and by hand."""

from __future__ import annotations

import math
import random

import empyrical
import numpy as np
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import DAY_MS, HOUR_MS
from alpha_pulse.backtest.protection import capture, geometric_mean, protection, protection_figures, semi_variance, worst_decile
from alpha_pulse.backtest.result import paths_of
from alpha_pulse.backtest.returns import daily_returns
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import RecordBuilder


def run(days=80, short="0.5", inventory="1", step_ms=DAY_MS, seed=2):
    """A run short from its first bar on, through a wandering price."""
    chance = random.Random(seed)  # noqa: S311 - a made-up path
    built = RecordBuilder(inventory=inventory, bar_ms=step_ms)
    price = 50_000.0
    if short != "0":
        built.fill(Side.SELL, short, f"{price:.1f}", taker=True, reference=f"{price:.1f}")
    for _ in range(days):
        built.bar(price)
        price = round(price * math.exp(chance.gauss(0, 0.03)), 1)
    bars = Bars.of(built.record)
    return bars, paths_of(built.record, bars)


def test_semi_variance_is_the_square_of_empyricals_downside_risk():
    bars, paths = run()
    found = semi_variance(bars, paths, 1.0, DAY_MS)
    for figure, path in ((found.hedged, paths.hedged), (found.unhedged, paths.unhedged), (found.static, paths.static)):
        changes = np.diff(path) / bars.spot[:-1]
        risk = empyrical.downside_risk(changes, annualization=1)
        assert figure.value == pytest.approx(1e8 * risk**2)
    assert found.removed.value == pytest.approx(1 - found.hedged.value / found.unhedged.value)
    assert found.removed.value == pytest.approx(0.75, abs=1e-6)  # half the losses, squared
    assert found.static_removed.value == pytest.approx(0.75, abs=1e-6)


def test_capture_is_empyricals_on_geometric_mean_days():
    bars, paths = run()
    found = capture(bars, paths)
    hedged, unhedged = (daily_returns(path, paths.start, bars) for path in (paths.hedged, paths.unhedged))
    assert found.up.value == pytest.approx(empyrical.up_capture(hedged, unhedged, period="yearly"))
    assert found.down.value == pytest.approx(empyrical.down_capture(hedged, unhedged, period="yearly"))
    assert found.up.value == pytest.approx(0.5, abs=0.05)
    assert geometric_mean(np.array([0.1, -0.1])) == pytest.approx(math.sqrt(0.99) - 1)


def test_without_a_hedge_everything_is_captured_and_nothing_removed():
    bars, paths = run(short="0")
    found = protection_figures(bars, paths, 1.0)
    assert found.capture.up.value == pytest.approx(1.0)
    assert found.capture.down.value == pytest.approx(1.0)
    assert found.downside_day.removed.value == pytest.approx(0.0)
    assert found.worst_decile.hedged.value == found.worst_decile.unhedged.value


def test_the_worst_tenth_is_that_of_the_sizer_comparison():
    bars, paths = run()
    found = worst_decile(bars, paths, 1.0)
    assert found.windows == 50
    assert found.hedged.value == protection(paths.hedged, paths, bars, 1.0).worst_decile
    assert found.unhedged.value < found.hedged.value < 0


def test_a_run_that_is_too_short_or_has_no_coins_says_so():
    bars, paths = run(days=3)
    found = protection_figures(bars, paths, 1.0)
    assert found.worst_decile.hedged.reason == "the run is shorter than 30 days"
    assert found.downside_day.removed.reason == "too few whole windows of one day: 2, where 5 are needed"
    assert found.capture.up.reason == "too few whole days: 2, where 5 are needed"
    neutral = protection_figures(bars, paths, 0.0)
    assert neutral.downside_hour.removed.reason == "there is no inventory to protect"
    assert neutral.worst_decile.windows == 0


def test_a_price_that_only_rises_leaves_nothing_to_remove():
    built = RecordBuilder(bar_ms=HOUR_MS)
    for hour in range(200):
        built.bar(50_000.0 + hour)
    bars = Bars.of(built.record)
    paths = paths_of(built.record, bars)
    assert semi_variance(bars, paths, 1.0, HOUR_MS).removed.reason == "the unhedged holder never lost"
    assert capture(bars, paths).down.reason == "the unhedged net worth never fell over a day"
