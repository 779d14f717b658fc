"""Liquidation, its distances, value at risk, and the stop's place and size, against figures worked out by hand."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from alpha_pulse.domain.instrument import MarginTier
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.margin import liquidation_distance, liquidation_price, size_at_distance, top_up_for_distance
from alpha_pulse.hedging.risk.stop import stop_distance, stop_size, stop_trigger
from alpha_pulse.hedging.risk.var import normal_quantile, parametric_var, var_floor
from alpha_pulse.testing.snapshots import make_instrument

BTC = make_instrument(margin_tiers=(MarginTier(Decimal("1e12"), Decimal("0.005")),))


def test_a_short_at_one_times_leverage_survives_a_rally_of_99_percent():
    """d = (1/L − mmr)/(1 + mmr) with L = 1: (1 − 0.005)/1.005 = 0.990."""
    assert liquidation_distance(100_000.0, -1.0, 100_000.0, BTC, 100_000.0) == pytest.approx((1 - 0.005) / 1.005)


def test_a_short_at_two_times_leverage_survives_half_of_that():
    assert liquidation_distance(50_000.0, -1.0, 100_000.0, BTC, 100_000.0) == pytest.approx((0.5 - 0.005) / 1.005)


def test_the_liquidation_price_of_a_short_is_where_equity_meets_maintenance():
    price = liquidation_price(30_000.0, -1.0, 100_000.0, BTC, 100_000.0)
    assert 30_000.0 - (price - 100_000.0) == pytest.approx(0.005 * price)


def test_the_liquidation_price_of_a_long_is_where_equity_meets_maintenance():
    price = liquidation_price(30_000.0, 1.0, 100_000.0, BTC, 100_000.0)
    assert 30_000.0 + (price - 100_000.0) == pytest.approx(0.005 * price)


def test_a_higher_tier_uses_its_rate_and_its_deduction():
    tiers = (MarginTier(Decimal(50_000), Decimal("0.004")), MarginTier(Decimal("1e12"), Decimal("0.01"), Decimal(300)))
    price = liquidation_price(30_000.0, -1.0, 100_000.0, make_instrument(margin_tiers=tiers), 100_000.0)
    assert 30_000.0 - (price - 100_000.0) == pytest.approx(0.01 * price - 300.0)


def test_flat_or_overfunded_positions_cannot_be_liquidated():
    assert liquidation_distance(100.0, 0.0, 0.0, BTC, 100.0) == math.inf
    assert liquidation_distance(200_000.0, 1.0, 100_000.0, BTC, 100_000.0) == math.inf


def test_a_cut_to_a_distance_lands_at_that_distance():
    size = size_at_distance(20_000.0, 0.25, BTC, 100_000.0)
    assert liquidation_distance(20_000.0, -size, 100_000.0, BTC, 100_000.0) == pytest.approx(0.25)
    assert size_at_distance(-1.0, 0.25, BTC, 100_000.0) == 0.0


def test_a_top_up_moves_liquidation_out_to_the_distance():
    extra = top_up_for_distance(20_000.0, 1.0, 0.35, BTC, 100_000.0)
    assert liquidation_distance(20_000.0 + extra, -1.0, 100_000.0, BTC, 100_000.0) == pytest.approx(0.35)
    assert top_up_for_distance(1e9, 1.0, 0.35, BTC, 100_000.0) == 0.0


def test_value_at_risk_of_the_normal():
    assert normal_quantile(0.99) == pytest.approx(2.3263478740)
    assert parametric_var(100_000.0, 0.04, 1.0, normal_quantile(0.99)) == pytest.approx(9305.39, abs=0.01)
    assert parametric_var(-100_000.0, 0.04, 4.0, normal_quantile(0.99)) == pytest.approx(18610.78, abs=0.01)


def test_the_var_floor_leaves_just_the_limit_unhedged():
    floor = var_floor(9_000.0, 6_000.0)
    assert (1.0 - floor) * 9_000.0 == pytest.approx(6_000.0)
    assert var_floor(5_000.0, 6_000.0) == 0.0
    assert var_floor(0.0, 0.0) == 0.0


def test_the_stop_is_at_the_percentage_or_some_sigmas_whichever_is_farther():
    settings = RiskSettings()
    assert stop_distance(settings, 0.01) == pytest.approx(0.15)
    assert stop_distance(settings, 0.04) == pytest.approx(0.20)
    assert stop_distance(RiskSettings(stop_volatility_multiple=0), 0.04) == pytest.approx(0.15)
    assert stop_distance(RiskSettings(stop_loss_pct=None), 0.04) == 0.0
    assert stop_distance(settings, 1.0) == 0.95


def test_the_trigger_lies_on_the_losing_side():
    assert stop_trigger(100.0, 0.15, losing_side_below=True) == pytest.approx(85.0)
    assert stop_trigger(100.0, 0.15, losing_side_below=False) == pytest.approx(115.0)
    assert stop_trigger(100.0, 0.0, losing_side_below=True) == 0.0


def test_the_stop_completes_the_hedge_and_covers_what_could_unwind_before_it():
    size = stop_size(1.0, -0.5, 0.25, 85.0, 100.0, 100.0, 1.0, 1.0)
    assert size.quantity == pytest.approx(0.75)
    assert size.shortfall == 0.0
    assert size.top_up == 0.0


def test_a_stop_that_margin_does_not_allow_says_what_would_mend_it():
    """Wallet 50: at 85 the equity is 50 + 0.5·15 = 57.5, so |F| may reach 0.676 of the wanted 1."""
    size = stop_size(1.0, -0.5, 0.0, 85.0, 50.0, 100.0, 1.0, 1.0)
    assert size.quantity == pytest.approx(57.5 / 85.0 - 0.5)
    assert size.shortfall == pytest.approx(1.0 - 57.5 / 85.0)
    richer = stop_size(1.0, -0.5, 0.0, 85.0, 50.0 + size.top_up, 100.0, 1.0, 1.0)
    assert richer.shortfall == pytest.approx(0.0, abs=1e-9)


def test_a_cap_on_the_position_is_no_matter_of_margin():
    size = stop_size(1.0, -0.5, 0.0, 85.0, 1000.0, 100.0, 1.0, 0.8)
    assert size.shortfall == pytest.approx(0.2)
    assert size.top_up == 0.0


def test_a_short_inventory_is_stopped_above_with_a_buy():
    size = stop_size(-1.0, 0.5, 0.1, 115.0, 120.0, 100.0, 1.0, 1.0)
    assert size.quantity == pytest.approx(0.6)


def test_the_venues_own_margin_must_carry_the_stop_and_what_rests_beside_it():
    """Wallet 30 at a limit of 3, S = 1, F = −0.5 from 100: at 85·1.02 the equity is 36.65, of which 99 % carry 1.2554."""
    known = {"unwinding": 0.0, "trigger": 85.0, "wallet": 30.0, "entry": 100.0, "leverage": 3.0, "max_position": 1.0}
    assert stop_size(1.0, -0.5, **known, resting=0.25, limit=3.0).quantity == pytest.approx(0.5)
    crowded = stop_size(1.0, -0.5, **known, resting=0.5, limit=3.0)
    assert crowded.quantity == pytest.approx(2.97 * 36.65 / 86.7 - 0.5 - 0.5)
    richer = stop_size(1.0, -0.5, **(known | {"wallet": 30.0 + crowded.top_up}), resting=0.5, limit=3.0)
    assert richer.shortfall == pytest.approx(0.0, abs=1e-9)


def test_a_short_inventorys_stop_has_its_margin_both_at_the_trigger_and_a_little_beyond():
    known = {"unwinding": 0.0, "trigger": 115.0, "wallet": 32.0, "entry": 100.0, "leverage": 3.0, "max_position": 1.0}
    size = stop_size(-1.0, 0.5, **known, resting=0.5, limit=3.0)
    for price in (115.0, 115.0 * 1.02):
        assert (0.5 + size.quantity + 0.5) * price <= 3.0 * (32.0 + 0.5 * (price - 100.0))
