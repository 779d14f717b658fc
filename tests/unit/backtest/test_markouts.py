"""Markouts: where the market went after the fills."""

from __future__ import annotations

import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.markouts import markouts
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import RecordBuilder


def found(built, horizons=(1, 5, 60)):
    return markouts(built.record, Bars.of(built.record), horizons)


def test_a_buy_before_a_rise_and_a_sell_before_a_fall_are_above_zero():
    built = RecordBuilder()
    built.fill(Side.BUY, "1", "100")
    built.bar(100.0)
    built.bar(101.0)
    built.fill(Side.SELL, "2", "101", taker=True)
    built.bar(101.0)
    built.bar(100.0)
    one, five = found(built, (1, 5))
    assert (one.fills, one.maker.value) == (2, pytest.approx(100.0))
    assert one.taker.value == pytest.approx(1e4 / 101)
    assert one.every.value == pytest.approx((100 * 100.0 + 202 * 1e4 / 101) / 302)  # by notional
    assert five.fills == 0
    assert five.every.reason == "no fill has so many bars after it"


def test_a_fill_that_is_picked_off_is_below_zero():
    built = RecordBuilder()
    built.fill(Side.BUY, "1", "100")
    for price in (100.0, 99.0, 98.0):
        built.bar(price)
    one, two = found(built, (1, 2))
    assert (one.maker.value, two.maker.value) == (pytest.approx(-100.0), pytest.approx(-200.0))
    assert one.taker.reason == "no taker fill has so many bars after it"


def test_a_horizon_over_a_gap_is_left_out():
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.BUY, "1", "100")
    built.bar(100.0)
    built.open_ms += 600_000
    built.bar(150.0)
    built.bar(150.0)
    built.bar(150.0)
    (one,) = found(built, (1,))
    assert one.fills == 0


def test_a_run_without_fills_has_no_markout():
    built = RecordBuilder()
    built.bar(100.0)
    assert [line.every.value for line in found(built)] == [None, None, None]
