"""The inventory assessor against figures worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.inventory import (
    Action,
    HedgeInstrument,
    InventoryAssessment,
    InventoryPosition,
    MarketConditions,
    RiskConfig,
    assess_inventory_risk,
    hedge_floor,
    inventory_scores,
    loss_from_entry,
    pick_instrument,
    price_hedge,
    re_evaluate_minutes,
    risk_score,
)

DEFAULTS = RiskConfig()
LONG = InventoryPosition("BTC", 10.0, 45_000.0, age_minutes=60.0)
SHORT = InventoryPosition("BTC", -10.0, 43_000.0, age_minutes=60.0)
MARKET = MarketConditions(44_000.0, 0.05, 3.0, 0.08, 5e6, 5e6)


def assess(position: InventoryPosition = LONG, config: RiskConfig | None = None, **market: float) -> InventoryAssessment:
    return assess_inventory_risk(position, dataclasses.replace(MARKET, **market), config)


# The example of the documentation: 10 BTC at 44,000, notional 440,000.


def test_the_worked_example_scores_48_82_and_hedges_half_with_a_short_perpetual():
    result = assess()
    parts = result.risk_breakdown
    assert parts.loss_severity == pytest.approx(30.0)
    assert parts.position_age == pytest.approx(2.5)  # 20 · 60/480
    assert parts.volatility_regime == pytest.approx(15.0)
    assert parts.size_vs_liquidity == pytest.approx(1.32)  # 15 · 440,000 / 5,000,000
    assert result.risk_score == parts.total == pytest.approx(48.82)
    assert (result.action, result.hedge_pct) == (Action.HEDGE_PARTIAL, 0.5)
    assert result.re_evaluate_minutes == 60
    assert result.position_notional_usd == pytest.approx(440_000.0)
    assert result.current_unrealized_pnl == pytest.approx(-10_000.0)


def test_the_worked_example_costs_66_dollars_and_earns_48_of_funding_a_day():
    hedge = assess().suggested_hedge
    assert hedge is not None
    assert (hedge.instrument, hedge.size) == ("perp_short", 5.0)
    assert hedge.spread_cost_usd == pytest.approx(66.0)  # 220,000 · 3/10,000
    assert hedge.funding_cost_1d_usd == pytest.approx(-48.22, abs=0.005)  # 220,000 · 0.08/365
    assert hedge.total_cost_usd == pytest.approx(66.0)
    assert hedge.total_cost_bps == pytest.approx(3.0)


def test_the_worked_example_halves_every_scenario():
    expected = (-22_000.0, -8_800.0, 8_800.0, 22_000.0, -11_000.0, -4_400.0, 4_400.0, 11_000.0)
    assert dataclasses.astuple(assess().pnl_scenarios) == pytest.approx(expected)


def test_the_summary_is_an_order_on_one_line():
    expected = "SELL 5 BTC perpetual (hedge 50 % of 10 BTC, about 220,000 USD notional, cost 66.00 USD = 3.0 bps)"
    assert assess().summary == expected


def test_the_answer_is_plain_json_with_the_documented_names_in_order():
    data = json.loads(json.dumps(dataclasses.asdict(assess())))
    assert list(data) == [
        "action",
        "hedge_pct",
        "risk_score",
        "risk_breakdown",
        "reasoning",
        "suggested_hedge",
        "pnl_scenarios",
        "position_notional_usd",
        "current_unrealized_pnl",
        "re_evaluate_minutes",
        "summary",
    ]
    assert list(data["risk_breakdown"]) == ["loss_severity", "position_age", "volatility_regime", "size_vs_liquidity", "total"]
    assert list(data["suggested_hedge"]) == [
        "instrument",
        "size",
        "spread_cost_usd",
        "funding_cost_1d_usd",
        "total_cost_usd",
        "total_cost_bps",
    ]
    moves = ("down_5pct", "down_2pct", "up_2pct", "up_5pct")
    assert list(data["pnl_scenarios"]) == [*(f"move_{move}" for move in moves), *(f"hedged_{move}" for move in moves)]
    assert data["action"] == "HEDGE_PARTIAL"
    assert data["suggested_hedge"]["instrument"] == "perp_short"
    assert json.loads(json.dumps(dataclasses.asdict(assess(spot_spread_bps=99.0))))["suggested_hedge"] is None


# The parts of the score.


@pytest.mark.parametrize(
    ("volatility", "points"),
    [(0.0, 0.0), (0.025, 15.0), (0.04, 24.0), (0.05, 30.0), (0.3, 30.0)],
)
def test_loss_severity_grows_with_volatility_up_to_its_weight(volatility, points):
    """30 · min(1, vol/5 %), for 5 % adverse against 5 % allowed."""
    assert inventory_scores(1.0, 100.0, volatility, math.inf, 0.0, DEFAULTS)[0] == pytest.approx(points)


def test_a_larger_allowed_loss_lowers_loss_severity_and_a_smaller_one_cannot_pass_the_weight():
    wide, narrow = RiskConfig(max_loss_pct=0.10), RiskConfig(max_loss_pct=0.01)
    assert inventory_scores(1.0, 100.0, 0.05, math.inf, 0.0, wide)[0] == pytest.approx(15.0)  # 0.05/0.10 · 30
    assert inventory_scores(1.0, 100.0, 0.50, math.inf, 0.0, wide)[0] == pytest.approx(15.0)  # volatility counts once at most
    assert inventory_scores(1.0, 100.0, 0.05, math.inf, 0.0, narrow)[0] == 30.0


@pytest.mark.parametrize(("minutes", "points"), [(0.0, 0.0), (60.0, 2.5), (240.0, 10.0), (480.0, 20.0), (1e9, 20.0)])
def test_age_counts_in_a_line_up_to_the_longest_hold(minutes, points):
    assert inventory_scores(1.0, 100.0, 0.0, math.inf, minutes, DEFAULTS)[1] == pytest.approx(points)


@pytest.mark.parametrize(
    ("volatility", "points"),
    [(0.0, 0.0), (0.02, 4.0), (0.0499999, 9.99998), (0.05, 15.0), (0.0799999, 15.0), (0.08, 25.0), (0.9, 25.0)],
)
def test_the_volatility_regime_is_a_slope_and_then_two_steps(volatility, points):
    assert inventory_scores(1.0, 100.0, volatility, math.inf, 0.0, DEFAULTS)[2] == pytest.approx(points)


@pytest.mark.parametrize(("depth", "points"), [(math.inf, 0.0), (4000.0, 3.75), (1000.0, 15.0), (10.0, 15.0), (0.0, 15.0)])
def test_liquidity_compares_the_notional_with_the_depth(depth, points):
    """15 · 1,000 / depth."""
    assert inventory_scores(-10.0, 100.0, 0.0, depth, 0.0, DEFAULTS)[3] == pytest.approx(points)


def test_a_long_is_measured_against_the_bids_and_a_short_against_the_asks():
    assert assess(LONG, bid_depth_usd=440_000.0, ask_depth_usd=1e9).risk_breakdown.size_vs_liquidity == pytest.approx(15.0)
    assert assess(LONG, bid_depth_usd=1e9, ask_depth_usd=440_000.0).risk_breakdown.size_vs_liquidity == pytest.approx(0.0066)
    assert assess(SHORT, bid_depth_usd=1e9, ask_depth_usd=880_000.0).risk_breakdown.size_vs_liquidity == pytest.approx(7.5)


def test_the_highest_score_is_90():
    assert inventory_scores(1e12, 1e12, 1.0, 0.0, 1e12, DEFAULTS) == (30.0, 20.0, 25.0, 15.0)
    assert risk_score((30.0, 20.0, 25.0, 15.0)) == 90.0 == DEFAULTS.max_score


def test_a_volatility_that_is_no_number_scores_like_the_worst():
    assert inventory_scores(1.0, 100.0, math.nan, math.nan, math.nan, DEFAULTS) == (30.0, 20.0, 25.0, 15.0)


def test_what_was_lost_already_does_not_enter_the_score():
    assert assess(dataclasses.replace(LONG, entry_price=90_000.0)).risk_score == assess(LONG).risk_score


# From the score to the action.


@pytest.mark.parametrize(
    ("score", "action", "pct"),
    [
        (90.0, Action.LIQUIDATE, 1.0),
        (75.0, Action.LIQUIDATE, 1.0),
        (74.99, Action.HEDGE_FULL, 1.0),
        (60.0, Action.HEDGE_FULL, 1.0),
        (59.99, Action.HEDGE_PARTIAL, 0.5),
        (45.0, Action.HEDGE_PARTIAL, 0.5),
        (44.99, Action.REDUCE, 0.25),
        (35.0, Action.REDUCE, 0.25),
        (34.99, Action.HOLD, 0.0),
        (0.0, Action.HOLD, 0.0),
    ],
)
def test_each_threshold_belongs_to_the_stronger_action(score, action, pct):
    assert hedge_floor(score, 0.0, DEFAULTS) == (action, pct)


def test_a_loss_beyond_the_trigger_lifts_hold_to_reduce_and_nothing_else():
    assert hedge_floor(10.0, 0.02, DEFAULTS) == (Action.HOLD, 0.0)  # at the trigger is not beyond it
    assert hedge_floor(10.0, 0.0201, DEFAULTS) == (Action.REDUCE, 0.25)
    assert hedge_floor(50.0, 0.9, DEFAULTS) == (Action.HEDGE_PARTIAL, 0.5)


@pytest.mark.parametrize(("score", "minutes"), [(60.0, 15), (59.9, 60), (40.0, 60), (39.9, 240), (0.0, 240)])
def test_the_next_look_comes_sooner_at_a_higher_score(score, minutes):
    assert re_evaluate_minutes(score, DEFAULTS) == minutes


def test_the_loss_from_entry_is_a_fraction_of_the_entry_on_the_side_that_is_held():
    assert loss_from_entry(2.0, 90.0, 100.0) == pytest.approx(0.10)
    assert loss_from_entry(-2.0, 90.0, 100.0) == pytest.approx(-0.10)
    assert loss_from_entry(-2.0, 125.0, 100.0) == pytest.approx(0.25)
    assert loss_from_entry(0.0, 125.0, 0.0) == 0.0


def test_a_calm_market_holds_but_an_old_loss_asks_to_reduce_and_says_why():
    calm = assess(dataclasses.replace(LONG, entry_price=44_500.0), volatility_1d=0.01)  # lost 1.1 %
    assert calm.action is Action.HOLD
    lost = assess(LONG, volatility_1d=0.01)  # lost 2.2 %
    assert (lost.action, lost.hedge_pct) == (Action.REDUCE, 0.25)
    assert lost.risk_score == calm.risk_score
    assert "hedge_trigger_loss_pct" in lost.reasoning
    assert "hedge_trigger_loss_pct" not in calm.reasoning


def test_a_score_that_reduces_by_itself_does_not_blame_the_loss():
    result = assess(LONG, volatility_1d=0.045)  # 27 + 2.5 + 9 + 1.32 = 39.82
    assert (result.action, result.risk_score) == (Action.REDUCE, pytest.approx(39.82))
    assert "hedge_trigger_loss_pct" not in result.reasoning


def test_without_a_hedge_nothing_is_suggested_and_the_hedged_scenarios_are_the_plain_ones():
    result = assess(dataclasses.replace(LONG, entry_price=44_000.0), volatility_1d=0.01)
    assert (result.action, result.hedge_pct, result.suggested_hedge) == (Action.HOLD, 0.0, None)
    scenarios = dataclasses.astuple(result.pnl_scenarios)
    assert scenarios[:4] == scenarios[4:]
    assert result.summary.startswith("HOLD 10 BTC")


def test_a_flat_inventory_holds_whatever_the_market_does():
    """Venues report a flat position with entry 0."""
    result = assess(InventoryPosition("BTC", 0.0, 0.0, age_minutes=1e6), volatility_1d=0.5, bid_depth_usd=0.0, ask_depth_usd=0.0)
    assert (result.action, result.hedge_pct, result.risk_score, result.suggested_hedge) == (Action.HOLD, 0.0, 0.0, None)
    assert result.re_evaluate_minutes == 240
    assert set(dataclasses.astuple(result.pnl_scenarios)) == {0.0}


def test_no_answer_has_a_negative_zero():
    flat = assess(InventoryPosition("BTC", -0.0, 0.0))
    full = assess(dataclasses.replace(LONG, age_minutes=480.0), perp_funding_rate=0.0, volatility_1d=0.06)
    assert full.hedge_pct == 1.0
    for text in (json.dumps(dataclasses.asdict(flat)), json.dumps(dataclasses.asdict(full))):
        assert "-0.0," not in text
        assert "-0.0}" not in text
        assert "-0 BTC" not in text


# Costs.


def test_a_hedge_dearer_than_the_limit_becomes_hold_with_the_reason():
    at_limit, dear = assess(spot_spread_bps=50.0), assess(spot_spread_bps=50.01)
    assert at_limit.action is Action.HEDGE_PARTIAL
    assert (dear.action, dear.hedge_pct, dear.suggested_hedge) == (Action.HOLD, 0.0, None)
    assert "max_hedge_cost_bps" in dear.reasoning
    assert "HEDGE_PARTIAL" in dear.reasoning
    assert dear.risk_score == at_limit.risk_score  # the risk is still there, and looked at as soon
    assert dear.pnl_scenarios.hedged_down_5pct == dear.pnl_scenarios.move_down_5pct


def test_the_cost_rule_holds_back_a_lifted_reduce_too():
    assert assess(volatility_1d=0.01, spot_spread_bps=51.0).action is Action.HOLD


def test_liquidation_goes_ahead_at_any_cost_and_says_so():
    result = assess(dataclasses.replace(LONG, age_minutes=480.0), volatility_1d=0.08, spot_spread_bps=400.0)
    assert result.risk_score == pytest.approx(76.32)  # 30 + 20 + 25 + 1.32
    assert (result.action, result.hedge_pct, result.re_evaluate_minutes) == (Action.LIQUIDATE, 1.0, 15)
    assert result.suggested_hedge is not None
    assert result.suggested_hedge.size == 10.0
    assert "max_hedge_cost_bps" in result.reasoning
    assert result.summary.startswith("SELL 10 BTC perpetual (liquidate 100 % of 10 BTC")


@pytest.mark.parametrize(
    ("size", "funding", "instrument"),
    [
        (1.0, 0.0201, "perp_short"),
        (1.0, 0.02, "spot_sell"),
        (1.0, -0.5, "spot_sell"),
        (-1.0, -0.0201, "perp_long"),
        (-1.0, -0.02, "spot_buy"),
        (-1.0, 0.5, "spot_buy"),
    ],
)
def test_the_perpetual_is_used_only_where_funding_pays_for_it(size, funding, instrument):
    assert pick_instrument(size, funding, DEFAULTS) == instrument


def test_a_short_is_hedged_by_a_purchase_that_earns_negative_funding():
    result = assess(SHORT, perp_funding_rate=-0.0365)
    assert result.suggested_hedge is not None
    assert result.suggested_hedge.instrument is HedgeInstrument.PERP_LONG
    assert result.suggested_hedge.funding_cost_1d_usd == pytest.approx(-22.0)  # 220,000 · 0.0365/365
    assert result.summary.startswith("BUY 5 BTC perpetual (hedge 50 % of -10 BTC")
    assert result.pnl_scenarios.move_up_5pct == pytest.approx(-22_000.0)
    assert result.pnl_scenarios.hedged_up_5pct == pytest.approx(-11_000.0)
    assert result.current_unrealized_pnl == pytest.approx(-10_000.0)


def test_spot_pays_no_funding():
    result = assess(perp_funding_rate=0.01)
    assert result.suggested_hedge is not None
    assert result.suggested_hedge.instrument is HedgeInstrument.SPOT_SELL
    assert result.suggested_hedge.funding_cost_1d_usd == 0.0
    assert result.summary.startswith("SELL 5 BTC spot (")


def test_funding_that_is_paid_joins_the_cost_and_funding_that_is_earned_does_not():
    """100,000 USD, 2 bps = 20 USD; 36.5 % a year is 0.1 % = 10 bps = 100 USD a day."""
    paid = price_hedge(HedgeInstrument.PERP_LONG, 10.0, 10_000.0, 2.0, 0.365, DEFAULTS)
    assert (paid.funding_cost_1d_usd, paid.total_cost_usd, paid.total_cost_bps) == pytest.approx((100.0, 120.0, 12.0))
    earned = price_hedge(HedgeInstrument.PERP_SHORT, 10.0, 10_000.0, 2.0, 0.365, DEFAULTS)
    assert (earned.funding_cost_1d_usd, earned.total_cost_usd, earned.total_cost_bps) == pytest.approx((-100.0, 20.0, 2.0))


def test_a_negative_threshold_accepts_a_perpetual_that_costs_funding():
    config = RiskConfig(funding_threshold=-0.1)
    result = assess(config=config, perp_funding_rate=-0.0365)
    assert result.suggested_hedge is not None
    assert result.suggested_hedge.instrument is HedgeInstrument.PERP_SHORT
    assert result.suggested_hedge.total_cost_usd == pytest.approx(66.0 + 22.0)
    assert "pays 22.00 USD" in result.reasoning


def test_taker_fees_join_the_total_and_the_cost_rule():
    result = assess(config=RiskConfig(taker_fee_bps=5.0))
    assert result.suggested_hedge is not None
    assert result.suggested_hedge.spread_cost_usd == pytest.approx(66.0)
    assert result.suggested_hedge.total_cost_usd == pytest.approx(176.0)  # 220,000 · 8/10,000
    assert result.suggested_hedge.total_cost_bps == pytest.approx(8.0)
    assert assess(config=RiskConfig(taker_fee_bps=47.5)).action is Action.HOLD


def test_the_profit_is_the_positions_own_if_given():
    assert assess(dataclasses.replace(LONG, unrealized_pnl=-123.0)).current_unrealized_pnl == -123.0
    assert assess(dataclasses.replace(LONG, entry_price=40_000.0)).current_unrealized_pnl == pytest.approx(40_000.0)


# Every number can be set, and is checked.


def test_every_number_of_the_score_follows_its_setting():
    config = RiskConfig(
        adverse_move_pct=0.10,
        max_loss_pct=0.20,
        volatility_scale=0.10,
        loss_weight=40.0,
        max_hold_minutes=100.0,
        age_weight=10.0,
        high_volatility=0.20,
        extreme_volatility=0.30,
        low_volatility_points=6.0,
        high_volatility_points=7.0,
        volatility_weight=8.0,
        liquidity_weight=50.0,
    )
    # 0.1/0.2 · 40 · 0.05/0.10 = 10;  10 · 30/100 = 3;  6 · 0.05/0.20 = 1.5;  50 · 100/1000 = 5
    assert inventory_scores(1.0, 100.0, 0.05, 1000.0, 30.0, config) == pytest.approx((10.0, 3.0, 1.5, 5.0))
    assert inventory_scores(1.0, 100.0, 0.20, 1000.0, 30.0, config)[2] == 7.0
    assert inventory_scores(1.0, 100.0, 0.30, 1000.0, 30.0, config)[2] == 8.0
    assert config.max_score == 108.0


def test_every_threshold_and_hedge_follows_its_setting():
    config = RiskConfig(
        liquidate_score=40.0,
        hedge_full_score=30.0,
        hedge_partial_score=20.0,
        reduce_score=10.0,
        liquidate_pct=0.9,
        hedge_full_pct=0.8,
        hedge_partial_pct=0.4,
        reduce_pct=0.1,
        hedge_trigger_loss_pct=0.5,
        urgent_score=50.0,
        elevated_score=5.0,
        urgent_minutes=1,
        elevated_minutes=2,
        calm_minutes=3,
    )
    assert [hedge_floor(score, 0.5, config) for score in (40.0, 30.0, 20.0, 10.0, 9.0)] == [
        (Action.LIQUIDATE, 0.9),
        (Action.HEDGE_FULL, 0.8),
        (Action.HEDGE_PARTIAL, 0.4),
        (Action.REDUCE, 0.1),
        (Action.HOLD, 0.0),
    ]
    assert hedge_floor(9.0, 0.51, config) == (Action.REDUCE, 0.1)
    assert [re_evaluate_minutes(score, config) for score in (50.0, 49.0, 4.0)] == [1, 2, 3]


def test_the_documented_defaults():
    assert dataclasses.astuple(DEFAULTS) == (
        *(0.05, 0.02, 480.0, 50.0, 0.05, 0.05),  # losses, hold, cost, adverse move and its scale
        *(30.0, 20.0, 25.0, 15.0),  # weights
        *(0.05, 0.08, 15.0, 10.0),  # volatility steps
        *(75.0, 60.0, 45.0, 35.0, 1.0, 1.0, 0.5, 0.25),  # thresholds and hedges
        *(0.02, 60.0, 40.0, 15, 60, 240, 0.0),  # funding, next look, taker fee
    )


def test_every_setting_is_documented():
    assert RiskConfig.__doc__ is not None
    assert [field.name for field in dataclasses.fields(RiskConfig) if f"\n        {field.name}: " not in RiskConfig.__doc__] == []


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RiskConfig)])
@pytest.mark.parametrize("value", [math.nan, math.inf, -2.0, "0.05", None, True])
def test_no_setting_takes_nonsense_and_the_error_names_it(field, value):
    with pytest.raises(ConfigError) as caught:
        RiskConfig(**{field: value})
    assert caught.value.field == field
    assert caught.value.fix


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_loss_pct": 5.0}, "max_loss_pct"),  # 5 meant as 5 %
        ({"max_loss_pct": 0.0}, "max_loss_pct"),
        ({"max_hold_minutes": 0.0}, "max_hold_minutes"),
        ({"reduce_score": 50.0}, "reduce_score"),
        ({"hedge_partial_score": 61.0}, "hedge_partial_score"),
        ({"hedge_full_score": 76.0}, "hedge_full_score"),
        ({"reduce_pct": 0.6}, "reduce_pct"),
        ({"hedge_full_pct": 0.4}, "hedge_partial_pct"),
        ({"hedge_partial_pct": 1.5}, "hedge_partial_pct"),
        ({"high_volatility": 0.09}, "high_volatility"),
        ({"low_volatility_points": 16.0}, "low_volatility_points"),
        ({"volatility_weight": 14.0}, "high_volatility_points"),
        ({"urgent_score": 30.0}, "elevated_score"),
        ({"urgent_minutes": 90}, "urgent_minutes"),
        ({"calm_minutes": 30}, "elevated_minutes"),
        ({"calm_minutes": 240.5}, "calm_minutes"),
        ({"calm_minutes": 10**400}, "calm_minutes"),
        ({"reduce_score": 0.0}, "reduce_score"),
    ],
)
def test_settings_out_of_range_or_order_are_refused_by_name(settings: dict[str, Any], field):
    with pytest.raises(ConfigError) as caught:
        RiskConfig(**settings)
    assert caught.value.field == field


def test_equal_thresholds_skip_an_action():
    config = RiskConfig(reduce_score=45.0)
    assert hedge_floor(44.0, 0.0, config)[0] is Action.HOLD
    assert hedge_floor(45.0, 0.0, config)[0] is Action.HEDGE_PARTIAL


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"asset": ""}, "asset"),
        ({"asset": "BTC\nETH"}, "asset"),
        ({"asset": 7}, "asset"),
        ({"size": math.nan}, "size"),
        ({"size": -math.inf}, "size"),
        ({"size": 1e300}, "size"),
        ({"size": "10"}, "size"),
        ({"entry_price": 0.0}, "entry_price"),
        ({"entry_price": -1.0}, "entry_price"),
        ({"entry_price": math.nan}, "entry_price"),
        ({"age_minutes": -1.0}, "age_minutes"),
        ({"age_minutes": math.inf}, "age_minutes"),
        ({"unrealized_pnl": math.nan}, "unrealized_pnl"),
    ],
)
def test_an_impossible_position_is_refused_by_name(changes: dict[str, Any], field):
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(LONG, **changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"current_price": 0.0}, "current_price"),
        ({"current_price": -1.0}, "current_price"),
        ({"volatility_1d": -0.01}, "volatility_1d"),
        ({"spot_spread_bps": -1.0}, "spot_spread_bps"),
        ({"perp_funding_rate": math.inf}, "perp_funding_rate"),
        ({"bid_depth_usd": -1.0}, "bid_depth_usd"),
        ({"bid_depth_usd": math.inf}, "bid_depth_usd"),
        ({"ask_depth_usd": math.nan}, "ask_depth_usd"),
    ],
)
def test_an_impossible_market_is_refused_by_name(changes, field):
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(MARKET, **changes)
    assert caught.value.field == field


def test_an_empty_book_gives_all_the_liquidity_points():
    assert assess(bid_depth_usd=0.0).risk_breakdown.size_vs_liquidity == 15.0
    assert assess(SHORT, ask_depth_usd=0.0).risk_breakdown.size_vs_liquidity == 15.0


def test_integers_and_numpy_numbers_give_the_same_plain_floats():
    position = InventoryPosition("BTC", np.int64(10), np.float32(45_000), 60)  # type: ignore[arg-type]
    market = MarketConditions(44_000, 0.05, 3, np.float64(0.08), 5_000_000, 5_000_000)
    result = assess_inventory_risk(position, market, RiskConfig(max_hold_minutes=480, calm_minutes=np.int64(240)))  # type: ignore[arg-type]
    assert result == assess()
    json.dumps(dataclasses.asdict(result))
    assert type(position.size) is float
