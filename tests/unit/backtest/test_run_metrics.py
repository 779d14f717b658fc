"""Figures of merit: by hand, against a naive computation, and where a run is too short to carry them."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time

import numpy as np
import pytest

from alpha_pulse.backtest.attribution import attribute
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import (
    DAY_MS,
    HOUR_MS,
    Paths,
    average_ratio,
    delta,
    drawdown_fraction,
    effectiveness,
    effectiveness_of,
    equity,
    equity_paths,
    trading,
    window_rows,
)
from alpha_pulse.backtest.result import summarise
from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.testing.records import MINUTE_MS, RecordBuilder, wandering_record


def hourly(prices, inventory="1", short="0.5"):
    """A run in hourly bars that is short from its first bar on."""
    built = RecordBuilder(inventory=inventory, bar_ms=HOUR_MS)
    if short != "0":
        built.fill(Side.SELL, short, f"{prices[0]:.1f}", taker=True, reference=f"{prices[0]:.1f}")
    for price in prices:
        built.bar(price)
    return built.record


def wander(n, seed=3):
    chance = random.Random(seed)  # noqa: S311 - a made-up path
    prices = [50_000.0]
    for _ in range(n - 1):
        prices.append(round(prices[-1] * math.exp(chance.gauss(0, 0.01)), 1))
    return prices


def measured(record, taker_fee=0.0005):
    bars = Bars.of(record)
    return bars, equity_paths(record, bars, taker_fee)


def test_a_constant_half_hedge_without_basis_reaches_its_ceiling():
    bars, paths = measured(hourly(wander(200)))
    result = effectiveness(bars, paths, 1.0)
    assert result.average_ratio.value == pytest.approx(0.5)
    assert result.ceiling.value == pytest.approx(0.75)
    assert result.hour.value == pytest.approx(0.75, abs=1e-4)
    assert result.static_hour.value == pytest.approx(0.75, abs=1e-4)
    assert result.day.value == pytest.approx(0.75, abs=1e-4)


def test_effectiveness_equals_a_naive_computation():
    record = wandering_record(days=7, seed=11)
    bars, paths = measured(record)
    for horizon in (HOUR_MS, DAY_MS):
        step = horizon // MINUTE_MS
        rows = range(0, len(record.spot), step)
        pairs = list(itertools.pairwise(rows))
        hedged = [record.wallet[i] + record.unrealized[i] + record.spot[i] for i in range(len(record.spot))]
        ours = statistics.pvariance([(hedged[b] - hedged[a]) / record.spot[a] for a, b in pairs])
        theirs = statistics.pvariance([(record.spot[b] - record.spot[a]) / record.spot[a] for a, b in pairs])
        assert effectiveness_of(paths.hedged, bars, 1.0, horizon).value == pytest.approx(1 - ours / theirs, rel=1e-9)


def test_a_short_inventory_hedged_by_a_long_is_measured_the_same_way():
    built = RecordBuilder(inventory="-1", wallet="50000", bar_ms=HOUR_MS)
    prices = wander(60)
    built.fill(Side.BUY, "0.5", f"{prices[0]:.1f}")
    for price in prices:
        built.bar(price)
    bars, paths = measured(built.record)
    result = effectiveness(bars, paths, -1.0)
    assert result.average_ratio.value == pytest.approx(0.5)
    assert result.hour.value == pytest.approx(0.75, abs=1e-4)


@pytest.mark.parametrize(
    ("bars", "inventory", "reason"),
    [(1, 1.0, "too few whole windows"), (4, 1.0, "too few whole windows of one hour: 3, where 5"), (200, 0.0, "no inventory")],
)
def test_effectiveness_is_none_with_its_reason_where_there_is_nothing_to_measure(bars, inventory, reason):
    columns, paths = measured(hourly(wander(bars), inventory=str(int(inventory))))
    figure = effectiveness_of(paths.hedged, columns, inventory, HOUR_MS)
    assert figure.value is None
    assert reason in figure.reason


def test_a_price_that_stands_still_has_no_effectiveness():
    bars, paths = measured(hourly([100.0] * 20))
    figure = effectiveness_of(paths.hedged, bars, 1.0, HOUR_MS)
    assert figure.value is None
    assert figure.reason == "the spot price did not move"


def test_bars_longer_than_the_window_give_no_window():
    built = RecordBuilder(bar_ms=4 * HOUR_MS)
    for price in wander(50):
        built.bar(price)
    start, end = window_rows(Bars.of(built.record), HOUR_MS)
    assert len(start) == len(end) == 0


def test_a_window_that_ends_in_a_gap_of_the_data_is_left_out():
    built = RecordBuilder()
    for _ in range(90):
        built.bar(100.0)
    built.open_ms += 90 * MINUTE_MS
    for _ in range(121):
        built.bar(100.0)
    bars = Bars.of(built.record)
    start, end = window_rows(bars, HOUR_MS)
    lengths = (bars.ts_ms[end] - bars.ts_ms[start]).tolist()
    begins = ((bars.ts_ms[start] - bars.ts_ms[0]) // HOUR_MS).tolist()
    # Closes run from minute 0 to 89 and from 180 to 300: hour 2 lies in the gap.
    assert begins == [0, 3, 4]
    assert lengths == [HOUR_MS] * 3


def test_all_three_paths_leave_the_same_start_and_the_static_one_pays_its_opening():
    record = hourly([100.0, 90.0, 80.0])
    _, paths = measured(record)
    assert paths.start == 100_100
    assert paths.unhedged.tolist() == [100_100, 100_090, 100_080]
    fee = 0.5 * 100 * 0.0005
    assert paths.static == pytest.approx([100_100 - fee, 100_095 - fee, 100_090 - fee])
    assert paths.hedged == pytest.approx(paths.static)


def test_the_static_hedge_receives_the_same_funding_on_its_own_position():
    built = RecordBuilder(bar_ms=HOUR_MS)
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.fill(Side.BUY, "1", "100")
    built.fund("0.01", 100.0)
    built.bar(100.0)
    built.bar(100.0)
    _, paths = measured(built.record, taker_fee=0)
    # The average position is −0.5, so half a coin's funding: 0.5 · 100 · 1 %.
    assert paths.static[-1] - paths.unhedged[-1] == pytest.approx(0.5)


def test_a_drawdown_counts_what_was_lost_before_the_first_bar_closed():
    figures = equity(np.array([90.0, 95.0, 80.0]), 100.0)
    assert figures.max_drawdown_quote == 20
    assert figures.max_drawdown.value == pytest.approx(0.2)
    assert figures.pnl == -20


def test_a_net_worth_that_is_not_positive_has_a_drawdown_in_money_only():
    figures = equity(np.array([10.0, -5.0]), 10.0)
    assert drawdown_fraction(np.array([10.0, -5.0]), 10.0) is None
    assert figures.max_drawdown.value is None
    assert figures.max_drawdown.reason
    assert figures.max_drawdown_quote == 15


def test_residual_delta_and_tracking_error_are_time_averages():
    built = RecordBuilder()
    built.bar(100.0, target=-0.5)
    built.fill(Side.SELL, "1.5", "100")
    built.bar(100.0, target=-0.5)
    built.bar(100.0, target=-0.5)
    result = delta(Bars.of(built.record), 1.0)
    assert result.end == -0.5
    assert result.average == pytest.approx(0.25)
    assert result.average_absolute == pytest.approx(0.75)
    assert result.tracking_rms.value == pytest.approx(math.sqrt((0.25 + 1) / 2))


def test_bars_without_a_target_are_left_out_of_the_tracking_error():
    built = RecordBuilder()
    built.bar(100.0, target=math.nan)
    built.bar(100.0, target=-0.5)
    built.bar(100.0, target=-0.5)
    assert delta(Bars.of(built.record), 1.0).tracking_rms.value == pytest.approx(0.5)
    never = RecordBuilder()
    never.bar(100.0, target=math.nan)
    assert delta(Bars.of(never.record), 1.0).tracking_rms.value is None


def test_activity_counts_makers_takers_stops_and_value():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "100")
    built.fill(Side.BUY, "0.5", "100")
    built.fill(Side.SELL, "0.5", "100", taker=True, purpose=Purpose.STOP)
    built.bar(100.0)
    bars = Bars.of(built.record)
    result = trading(built.record, bars, attribute(built.record, bars))
    assert (result.maker_fills, result.taker_fills, result.stop_fills, result.sells, result.buys) == (2, 1, 1, 2, 1)
    assert result.maker_share.value == pytest.approx(0.75)
    assert result.turnover == pytest.approx(200)
    assert result.turnover_base == pytest.approx(2)
    assert result.cost_per_coin_month.reason == "the run is shorter than a day"
    assert result.funding_annualised.reason == "the run is shorter than a day"


def test_funding_is_annualised_on_the_average_short():
    built = RecordBuilder(bar_ms=HOUR_MS)
    built.fill(Side.SELL, "1", "100")
    for hour in range(73):
        if hour and hour % 8 == 0:
            built.fund("0.0001", 100.0)
        built.bar(100.0)
    result = summarise(built.record)
    assert result.days == 3
    assert result.trading.funding_annualised.value == pytest.approx(0.0001 * 3 * 365)
    # Nothing moved, so the hedge earned its funding less its fee: 0.09 − 0.02 in three days.
    assert result.trading.cost_per_coin_month.value == pytest.approx(-(0.09 - 0.02) * 10)
    assert result.trading.cost_per_month.value == pytest.approx(-0.007)


def test_a_flat_run_says_why_it_has_no_funding_yield():
    record = hourly(wander(60), short="0")
    result = summarise(record)
    assert result.trading.funding_annualised.reason == "the perpetual position was flat"
    assert result.trading.maker_share.reason == "nothing was traded"
    assert average_ratio(Bars.of(record), 1.0).value == 0


def test_a_year_of_minutes_is_measured_in_well_under_two_seconds():
    record = wandering_record(days=1, seed=2)
    n = 525_600
    bars = Bars.of(record)
    index = np.resize(np.arange(len(bars.ts_ms)), n)
    columns = {name: getattr(bars, name)[index] for name in Bars.__slots__ if name != "ts_ms"}
    year = Bars(ts_ms=bars.ts_ms[0] + MINUTE_MS * np.arange(n), **columns)
    begin = time.process_time()
    paths = equity_paths(record, year, 0.0005)
    effectiveness(year, paths, 1.0)
    delta(year, 1.0)
    for path in (paths.hedged, paths.unhedged, paths.static):
        equity(path, paths.start)
    assert time.process_time() - begin < 2
    assert isinstance(paths, Paths)
