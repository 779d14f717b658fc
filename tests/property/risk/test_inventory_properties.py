"""What must hold of the inventory assessor for every position, market and configuration."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.hedging.risk.inventory import (
    Action,
    HedgeInstrument,
    InventoryPosition,
    MarketConditions,
    RiskConfig,
    assess_inventory_risk,
    hedge_floor,
    inventory_scores,
    loss_from_entry,
    risk_score,
)

ORDER = list(Action)


def spread_out(low: float = -12.0, high: float = 12.0) -> st.SearchStrategy[float]:
    """Numbers of every magnitude between two powers of ten."""
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


AMOUNTS = st.just(0.0) | spread_out()
SIZES = st.builds(math.copysign, AMOUNTS, st.sampled_from([1.0, -1.0]))
VOLATILITIES = AMOUNTS | st.floats(0.0, 0.2)
POSITIONS = st.builds(InventoryPosition, st.just("BTC"), SIZES, spread_out(), AMOUNTS | st.floats(0.0, 1000.0), SIZES | st.just(0.0))
MARKETS = st.builds(
    MarketConditions,
    spread_out(),
    VOLATILITIES,
    AMOUNTS | st.floats(0.0, 60.0),
    SIZES | st.floats(-0.5, 0.5),
    AMOUNTS,
    AMOUNTS,
)


@st.composite
def configs(draw: st.DrawFn) -> RiskConfig:
    def rising(count: int, low: float, high: float) -> list[float]:
        return sorted(draw(st.lists(st.floats(low, high), min_size=count, max_size=count)))

    scores, shares, points = rising(4, 1e-3, 200.0), rising(4, 1e-3, 1.0), rising(3, 0.0, 100.0)
    steps, looks, minutes = rising(2, 1e-3, 1.0), rising(2, 0.0, 200.0), sorted(draw(st.tuples(*[st.integers(1, 10_000)] * 3)))
    return RiskConfig(
        max_loss_pct=draw(st.floats(1e-3, 1.0)),
        hedge_trigger_loss_pct=draw(st.floats(0.0, 1.0)),
        max_hold_minutes=draw(st.floats(1.0, 1e6)),
        max_hedge_cost_bps=draw(st.floats(0.0, 1000.0)),
        adverse_move_pct=draw(st.floats(0.0, 1.0)),
        volatility_scale=draw(st.floats(1e-3, 1.0)),
        loss_weight=draw(st.floats(0.0, 100.0)),
        age_weight=draw(st.floats(0.0, 100.0)),
        volatility_weight=points[2],
        liquidity_weight=draw(st.floats(0.0, 100.0)),
        high_volatility=steps[0],
        extreme_volatility=steps[1],
        high_volatility_points=points[1],
        low_volatility_points=points[0],
        liquidate_score=scores[3],
        hedge_full_score=scores[2],
        hedge_partial_score=scores[1],
        reduce_score=scores[0],
        liquidate_pct=shares[3],
        hedge_full_pct=shares[2],
        hedge_partial_pct=shares[1],
        reduce_pct=shares[0],
        funding_threshold=draw(st.floats(-1.0, 1.0)),
        urgent_score=looks[1],
        elevated_score=looks[0],
        urgent_minutes=minutes[0],
        elevated_minutes=minutes[1],
        calm_minutes=minutes[2],
        taker_fee_bps=draw(st.floats(0.0, 100.0)),
    )


CONFIGS = st.just(RiskConfig()) | configs()


@given(POSITIONS, MARKETS, CONFIGS)
def test_every_valid_question_has_a_finite_answer_within_its_bounds(position, market, config):
    result = assess_inventory_risk(position, market, config)
    json.dumps(dataclasses.asdict(result), allow_nan=False)
    parts = result.risk_breakdown
    assert 0.0 <= parts.loss_severity <= config.loss_weight
    assert 0.0 <= parts.position_age <= config.age_weight
    assert 0.0 <= parts.volatility_regime <= config.volatility_weight
    assert 0.0 <= parts.size_vs_liquidity <= config.liquidity_weight
    assert 0.0 <= result.risk_score == parts.total <= config.max_score
    assert 0.0 <= result.hedge_pct <= 1.0
    assert "\n" not in result.summary


@given(POSITIONS, MARKETS)
def test_the_default_score_never_passes_90(position, market):
    assert 0.0 <= assess_inventory_risk(position, market).risk_score <= 90.0


@given(POSITIONS, MARKETS, CONFIGS)
def test_hold_and_no_hedge_are_the_same_thing(position, market, config):
    result = assess_inventory_risk(position, market, config)
    assert (result.action is Action.HOLD) == (result.hedge_pct == 0.0) == (result.suggested_hedge is None)
    if result.suggested_hedge is not None:
        sells = result.suggested_hedge.instrument in {HedgeInstrument.SPOT_SELL, HedgeInstrument.PERP_SHORT}
        assert sells == (position.size > 0.0)
        assert result.suggested_hedge.size == abs(position.size) * result.hedge_pct


@given(POSITIONS, MARKETS, CONFIGS)
def test_only_the_cost_rule_stands_between_the_floor_and_the_action(position, market, config):
    result = assess_inventory_risk(position, market, config)
    loss = loss_from_entry(position.size, market.current_price, position.entry_price)
    floor = hedge_floor(result.risk_score, loss, config)
    if (result.action, result.hedge_pct) != floor:
        assert result.action is Action.HOLD
        assert floor[0] is not Action.LIQUIDATE
        assert "max_hedge_cost_bps" in result.reasoning


@given(MARKETS, CONFIGS, AMOUNTS)
def test_a_flat_inventory_always_holds(market, config, age):
    result = assess_inventory_risk(InventoryPosition("BTC", 0.0, 1.0, age), market, config)
    assert (result.action, result.risk_score, result.suggested_hedge) == (Action.HOLD, 0.0, None)


@given(POSITIONS, MARKETS, CONFIGS)
def test_a_hedge_leaves_its_complement_of_every_scenario(position, market, config):
    result = assess_inventory_risk(position, market, config)
    values = dataclasses.astuple(result.pnl_scenarios)
    expected = [(1.0 - result.hedge_pct) * value for value in values[:4]]
    assert values[4:] == pytest.approx(expected, rel=1e-12, abs=0.0)
    assert values[0] == -values[3]
    assert values[1] == -values[2]


@given(POSITIONS, MARKETS, CONFIGS)
def test_a_hedge_costs_at_least_its_spread_and_its_basis_points_are_of_its_own_notional(position, market, config):
    hedge = assess_inventory_risk(position, market, config).suggested_hedge
    if hedge is None:
        return
    assert hedge.total_cost_usd >= hedge.spread_cost_usd >= 0.0
    notional = hedge.size * market.current_price
    assert hedge.total_cost_usd == pytest.approx(notional * hedge.total_cost_bps / 1e4, rel=1e-9)
    if hedge.instrument in {HedgeInstrument.SPOT_BUY, HedgeInstrument.SPOT_SELL}:
        assert hedge.funding_cost_1d_usd == 0.0
    if config.funding_threshold >= 0.0:
        assert hedge.funding_cost_1d_usd <= 0.0  # the perpetual is picked only to earn


ARGUMENTS = st.tuples(SIZES.filter(bool), spread_out(), VOLATILITIES, AMOUNTS | st.just(math.inf), AMOUNTS)


@given(ARGUMENTS, CONFIGS, st.integers(0, 4), AMOUNTS | st.floats(0.0, 0.2))
def test_the_score_rises_with_size_price_volatility_and_age_and_falls_with_depth(arguments, config, which, other):
    ends = sorted((abs(arguments[which]), other if which != 1 else max(other, 1e-12)))
    if which == 0 and ends[0] == 0.0:
        return
    low, high = ([*arguments[:which], value, *arguments[which + 1 :]] for value in ends)
    if which == 3:
        low, high = high, low
    below, above = inventory_scores(*low, config), inventory_scores(*high, config)
    assert all(less <= more for less, more in zip(below, above, strict=True))
    assert risk_score(below) <= risk_score(above)


@given(CONFIGS, st.lists(st.floats(0.0, 200.0), min_size=2, max_size=2).map(sorted), st.floats(-1.0, 2.0))
def test_a_higher_score_never_hedges_less(config, scores, loss):
    lower, higher = (hedge_floor(score, loss, config) for score in scores)
    assert lower[1] <= higher[1]
    assert ORDER.index(lower[0]) <= ORDER.index(higher[0])


@given(CONFIGS, st.floats(0.0, 200.0), st.lists(st.floats(-1.0, 2.0), min_size=2, max_size=2).map(sorted))
def test_a_deeper_loss_never_hedges_less(config, score, losses):
    assert hedge_floor(score, losses[0], config)[1] <= hedge_floor(score, losses[1], config)[1]


@given(POSITIONS.filter(lambda position: position.unrealized_pnl == 0.0), MARKETS, CONFIGS, AMOUNTS, st.integers(0, 1))
def test_the_hedge_never_shrinks_as_age_or_volatility_grow_whatever_it_costs(position, market, config, more, which):
    """The cost rule stands in too: the cost in basis points does not depend on the action."""
    before = assess_inventory_risk(position, market, config)
    if which:
        position = dataclasses.replace(position, age_minutes=position.age_minutes + more)
    else:
        market = dataclasses.replace(market, volatility_1d=market.volatility_1d + more)
    assert assess_inventory_risk(position, market, config).hedge_pct >= before.hedge_pct


@given(POSITIONS.filter(lambda position: position.size != 0.0), MARKETS, CONFIGS)
def test_a_short_in_the_mirrored_market_gets_the_mirrored_answer(position, market, config):
    """Depths swapped, funding negated, and an entry at which the fraction lost is the same."""
    here = dataclasses.replace(position, entry_price=market.current_price, unrealized_pnl=0.0)
    there = dataclasses.replace(here, size=-here.size)
    mirrored = dataclasses.replace(
        market, perp_funding_rate=-market.perp_funding_rate, bid_depth_usd=market.ask_depth_usd, ask_depth_usd=market.bid_depth_usd
    )
    one, other = assess_inventory_risk(here, market, config), assess_inventory_risk(there, mirrored, config)
    assert (one.action, one.hedge_pct, one.risk_breakdown) == (other.action, other.hedge_pct, other.risk_breakdown)
    assert one.position_notional_usd == other.position_notional_usd
    assert dataclasses.astuple(one.pnl_scenarios)[:4] == dataclasses.astuple(other.pnl_scenarios)[3::-1]
    if one.suggested_hedge is not None and other.suggested_hedge is not None:
        assert dataclasses.astuple(one.suggested_hedge)[1:] == dataclasses.astuple(other.suggested_hedge)[1:]
