"""The bill by purpose, fill rates, time at limits, turnover and cost per hedged coin-day: by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.backtest.activity import activity, fill_rates, time_at_limits
from alpha_pulse.backtest.attribution import attribute
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.record import LATCHED, RESTRICTED, Sent
from alpha_pulse.backtest.result import paths_of
from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.testing.records import RecordBuilder

DAY_MS = 86_400_000


def measured(built):
    bars = Bars.of(built.record)
    return activity(built.record, bars, paths_of(built.record, bars), attribute(built.record, bars))


def test_the_bill_is_by_purpose_and_adds_up_to_the_run():
    built = RecordBuilder(bar_ms=DAY_MS)
    built.fill(Side.SELL, "0.5", "100", taker=True, reference="101", purpose=Purpose.REBALANCE)
    built.bar(100.0)
    built.fill(Side.SELL, "0.1", "110")
    built.fund("0.001", 100.0)
    built.bar(110.0)
    built.fund("-0.0005", 110.0)
    built.bar(110.0)
    found = measured(built)
    assert list(found.ledger) == ["grid", "rebalance"]
    grid, rebalance = found.ledger["grid"], found.ledger["rebalance"]
    assert (grid.fills, grid.notional, grid.slippage) == (1, pytest.approx(11.0), 0.0)
    assert (rebalance.quantity, rebalance.fees, rebalance.slippage) == (0.5, pytest.approx(0.025), pytest.approx(0.5))
    parts = attribute(built.record)
    assert grid.fees + rebalance.fees == pytest.approx(parts.fees)
    assert found.funding_received - found.funding_paid == pytest.approx(parts.funding)
    assert found.funding_paid == pytest.approx(0.6 * 110 * 0.0005)


def test_cost_per_hedged_coin_day_is_all_but_the_price_exposure():
    built = RecordBuilder(bar_ms=DAY_MS)
    built.fill(Side.SELL, "0.5", "100")
    for _ in range(11):
        built.bar(100.0)
    found = measured(built)
    assert found.cost_per_hedged_coin_day.value == pytest.approx(0.01 / (0.5 * 10))  # a maker fee of 0.01, ten days
    assert found.trading_cost_per_hedged_coin_day.value == pytest.approx(0.01 / 5)
    assert found.turnover_per_year.value == pytest.approx(50 / 100_100 * 365 / 10, rel=1e-4)
    flat = RecordBuilder()
    flat.bar(100.0)
    flat.bar(100.0)
    assert measured(flat).cost_per_hedged_coin_day.reason == "nothing was hedged for any time"
    assert measured(flat).turnover_per_year.reason == "the run is shorter than a day"


def test_an_order_that_filled_in_parts_filled_once():
    built = RecordBuilder()
    first = built.fill(Side.SELL, "0.1", "100")
    built.fill(Side.SELL, "0.2", "100")
    built.record.fills[1] = replace(built.record.fills[1], client_order_id=first.client_order_id)
    built.record.sent["grid"] = Sent(4, Decimal("1.2"))
    built.record.sent["stop"] = Sent(1, Decimal("0.5"))
    rates = fill_rates(built.record)
    assert (rates["grid"].sent, rates["grid"].filled, rates["grid"].rate.value) == (4, 1, 0.25)
    assert rates["grid"].quantity_rate.value == pytest.approx(0.25)
    assert (rates["stop"].filled, rates["stop"].rate.value) == (0, 0.0)
    assert "floor" not in rates


def test_time_at_limits_is_weighted_by_time():
    built = RecordBuilder(settings={"hedge": {"max_ratio": 0.75}})
    for target, ratio, floor in ((-0.5, 0.5, 0.0), (-0.75, 0.5, 0.6), (-0.6, 0.5, 0.6), (-0.6, 0.5, 0.6), (0.0, 0.5, 0.0)):
        built.bar(100.0, target=target, ratio=ratio, floor=floor)
    built.record.cap.extend([math.inf, math.inf, 0.6, 0.6, 0.6])
    built.record.posture.extend([0, LATCHED, LATCHED | RESTRICTED, 0, 0])
    limits = time_at_limits(built.record, Bars.of(built.record))
    assert limits.at_cap.value == 0.5
    assert limits.at_max_ratio.value == 0.25
    assert limits.floor_binding.value == 0.75
    assert (limits.latched.value, limits.restricted.value) == (0.5, 0.25)


def test_what_an_engine_does_not_record_is_said():
    built = RecordBuilder(inventory="0")
    built.bar(100.0)
    limits = time_at_limits(built.record, Bars.of(built.record))
    assert limits.at_cap.reason == limits.latched.reason == "this engine does not record it"
    assert limits.at_max_ratio.reason == "there is no inventory"
