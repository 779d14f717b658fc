"""What a trade costs, against what it protects."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from alpha_pulse.hedging.risk.costs import IMPACT, SHORTFALL_SIGMAS, TradeCost, market_impact, protection, trade_cost, worth_trading
from alpha_pulse.testing.snapshots import make_indicators, make_instrument, make_snapshot


def test_the_shortfall_of_a_standard_normal_is_the_mean_of_its_worst_percent():
    """By brute force: the mean of −Φ⁻¹(u) over u in (0, 0.01), on a fine midpoint grid."""
    from statistics import NormalDist  # noqa: PLC0415 - the reference, used here alone

    steps = 20_000
    mean = sum(-NormalDist().inv_cdf(0.01 * (i + 0.5) / steps) for i in range(steps)) / steps
    assert pytest.approx(mean, rel=1e-4) == SHORTFALL_SIGMAS


def test_impact_follows_the_square_root_of_the_share_of_volume():
    """σ = 2 %, a hundredth of a day's volume: 2 %·√0.01 = 0.2 %."""
    assert market_impact(10.0, 1000.0, 0.0, 100.0, 0.02) == pytest.approx(IMPACT * 0.002)
    assert market_impact(40.0, 1000.0, 0.0, 100.0, 0.02) == pytest.approx(IMPACT * 0.004)


def test_impact_of_walking_an_even_book_is_half_of_what_the_last_unit_pays():
    """50,000 of the 200,000 that lie within 1 %: the last unit is 0.25 % away, the mean 0.125 %."""
    assert market_impact(0.5, 0.0, 200_000.0, 100_000.0, 0.02) == pytest.approx(0.00125)


def test_of_two_estimates_the_larger_counts_and_unknown_is_none():
    assert market_impact(0.5, 1e9, 200_000.0, 100_000.0, 0.02) == pytest.approx(0.00125)
    assert market_impact(0.5, 0.5, 1e12, 100_000.0, 0.02) == pytest.approx(0.02)
    assert market_impact(0.5, 0.0, 0.0, 100_000.0, 0.02) == 0.0
    assert market_impact(0.0, 1000.0, 1e6, 100_000.0, 0.02) == 0.0


def test_the_cost_of_taking_is_fee_half_spread_and_impact():
    """A spread of 100 on 100,000: half is 5 basis points. 0.5 BTC into bids of 1,000,000: half of 1 %·5 % = 2.5 basis points."""
    snapshot = make_snapshot(market={"bid": 99_950.0, "ask": 100_050.0, "bid_depth": 1e6, "ask_depth": 1e9})
    cost = trade_cost(0.5, selling=True, market=snapshot.market, instrument=snapshot.instrument)
    assert cost.fee == pytest.approx(0.0005)
    assert cost.spread == pytest.approx(0.0005)
    assert cost.impact == pytest.approx(0.00025)
    assert cost.total == pytest.approx(0.00125)


def test_a_sale_hits_the_bids_and_a_purchase_the_asks():
    snapshot = make_snapshot(market={"bid_depth": 1e5, "ask_depth": 1e7})
    sale, purchase = (trade_cost(0.5, selling=side, market=snapshot.market, instrument=snapshot.instrument) for side in (True, False))
    assert sale.impact == pytest.approx(100 * purchase.impact)


def test_the_volume_of_a_day_is_read_from_the_indicators_in_base_units():
    snapshot = make_snapshot(indicators=make_indicators(0.02, volume_day=5000.0))
    cost = trade_cost(50.0, selling=True, market=snapshot.market, instrument=snapshot.instrument)
    assert cost.impact == pytest.approx(0.002)


def test_a_rebate_is_no_reason_to_trade():
    cost = trade_cost(1.0, selling=True, market=make_snapshot().market, instrument=make_instrument(taker_fee=Decimal("-0.0001")))
    assert cost.fee == 0.0


def test_a_trade_is_worth_its_cost_up_to_the_share_and_not_beyond():
    """σ = 1 %: 2.665 %; a quarter of it is 0.6663 %."""
    assert protection(0.01) == pytest.approx(0.02665, rel=1e-3)
    limit = 0.25 * protection(0.01)
    assert worth_trading(TradeCost(limit, 0.0, 0.0), 0.01, 0.25)
    assert not worth_trading(TradeCost(math.nextafter(limit, 1.0), 0.0, 0.0), 0.01, 0.25)


def test_where_nothing_moves_nothing_is_worth_a_cost():
    assert not worth_trading(TradeCost(0.0005, 0.0, 0.0), 0.0, 10.0)
    assert worth_trading(TradeCost(0.0, 0.0, 0.0), 0.0, 0.25)
