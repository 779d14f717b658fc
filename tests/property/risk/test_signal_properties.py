"""What holds for any signals, positions, readings and moments."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.hedging.risk.distributional import quick_downside_metrics, quick_signal
from alpha_pulse.hedging.risk.normalizers import (
    normalize_funding,
    normalize_funding_rate,
    normalize_orderbook_imbalance,
    normalize_price_momentum,
    normalize_sentiment,
    normalize_volatility,
    normalize_volatility_regime,
    normalize_zscore,
)
from alpha_pulse.hedging.risk.sizers.signal import Direction, HedgeEngine

finite = st.floats(allow_nan=False, allow_infinity=False)
not_negative = st.floats(0.0, allow_nan=False, allow_infinity=False)
positive = st.floats(0.0, exclude_min=True, allow_nan=False, allow_infinity=False)
opinions = st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(0.0, 100.0)), max_size=8)
SIGN = {Direction.REDUCE_LONG: -1, Direction.INCREASE_SHORT: -1, Direction.HOLD: 0, Direction.REDUCE_SHORT: 1, Direction.INCREASE_LONG: 1}


def engine(signals: list[tuple[float, float]], **settings: float) -> HedgeEngine:
    made = HedgeEngine(**settings)
    for index, (value, weight) in enumerate(signals):
        made.add_signal(f"s{index}", value, weight)
    return made


@given(st.lists(st.tuples(finite, not_negative), max_size=6), finite, positive, not_negative, st.floats(0, 1), st.floats(0, 1))
def test_every_figure_of_a_decision_is_within_its_bounds(signals, position, baseline, k, action, conviction):
    settings = {"size_scaling_k": k, "action_threshold": action, "high_conviction_threshold": conviction}
    decision = engine(signals, baseline_position_usd=max(baseline, 1e-300), **settings).compute(position)
    assert 0.0 <= decision.magnitude <= 1.0
    assert 0.0 <= decision.confidence <= 1.0
    assert -1.0 <= decision.combined_signal <= 1.0
    assert (decision.magnitude == 0.0) is (decision.direction is Direction.HOLD)


@given(opinions, finite)
def test_a_change_of_position_always_goes_with_the_combined_signal(signals, position):
    decision = engine(signals).compute(position)
    assert SIGN[decision.direction] in {0, math.copysign(1.0, decision.combined_signal)}
    if decision.direction is Direction.REDUCE_LONG:
        assert position > 0.0
    if decision.direction is Direction.REDUCE_SHORT:
        assert position < 0.0


@given(opinions, finite)
def test_the_mirror_image_of_a_market_gives_the_mirror_image_of_a_decision(signals, position):
    decision = engine(signals).compute(position)
    mirrored = engine([(-value, weight) for value, weight in signals]).compute(-position)
    assert SIGN[mirrored.direction] == -SIGN[decision.direction]
    assert mirrored.magnitude == decision.magnitude
    assert mirrored.confidence == decision.confidence


@given(opinions, finite)
def test_contributions_add_up_to_the_combined_signal(signals, position):
    decision = engine(signals).compute(position)
    total = sum(part.contribution for part in decision.signal_breakdown.values())
    assert total == pytest.approx(decision.combined_signal, abs=1e-12)


@given(opinions, st.floats(-1e9, 1e9), st.integers(-8, 8))
def test_only_the_ratios_of_the_weights_matter(signals, position, exponent):
    signals = [(value, weight if weight > 1e-9 else 0.0) for value, weight in signals]  # subnormals lose bits
    decision = engine(signals).compute(position)
    scaled = engine([(value, weight * 2.0**exponent) for value, weight in signals]).compute(position)
    assert scaled.combined_signal == decision.combined_signal
    assert scaled.magnitude == decision.magnitude


@given(opinions, st.floats(-1e9, 1e9), st.randoms(use_true_random=False))
def test_the_order_of_adding_does_not_matter(signals, position, random):
    shuffled = random.sample(signals, len(signals))
    assert engine(shuffled).compute(position).magnitude == engine(signals).compute(position).magnitude


@given(st.floats(-1.0, -0.1), st.floats(0.0, 1e9), st.floats(0.0, 1e9))
def test_a_larger_long_is_never_reduced_less(value, one, other):
    small, large = sorted((1.0 + one, 1.0 + other))
    bearish = engine([(value, 1.0)])
    assert bearish.compute(small).magnitude <= bearish.compute(large).magnitude


@given(finite, finite)
def test_readings_to_the_unit_interval_stay_in_it_and_never_fall_with_the_reading(one, other):
    low, high = sorted((one, other))
    for normalize in (normalize_sentiment, normalize_funding):
        assert 0.0 <= normalize(low) <= normalize(high) <= 1.0


@given(not_negative, not_negative, st.lists(not_negative, min_size=1, max_size=20))
def test_a_higher_volatility_never_ranks_lower(one, other, lookback):
    low, high = sorted((one, other))
    assert 0.0 <= normalize_volatility(low, lookback) <= normalize_volatility(high, lookback) <= 1.0


@given(finite, finite, finite, positive)
def test_funding_never_turns_bullish_as_it_rises(one, other, neutral, extreme):
    low, high = sorted((one, other))
    assert 1.0 >= normalize_funding_rate(low, neutral, extreme) >= normalize_funding_rate(high, neutral, extreme) >= -1.0


@given(not_negative, not_negative)
def test_the_imbalance_of_a_book_turns_round_with_its_sides(bid, ask):
    imbalance = normalize_orderbook_imbalance(bid, ask)
    assert -1.0 <= imbalance <= 1.0
    assert imbalance == -normalize_orderbook_imbalance(ask, bid)


@given(not_negative, not_negative, st.lists(not_negative, min_size=3, max_size=3, unique=True))
def test_more_volatility_is_never_more_bullish(one, other, levels):
    low_vol, baseline, high_vol = sorted(levels)
    low, high = sorted((one, other))
    calm = normalize_volatility_regime(low, baseline, low_vol, high_vol)
    assert 1.0 >= calm >= normalize_volatility_regime(high, baseline, low_vol, high_vol) >= -1.0


@given(finite, finite, not_negative, positive)
def test_a_zscore_stays_within_one_and_has_the_sign_of_the_distance(value, mean, std, cap):
    score = normalize_zscore(value, mean, std, cap)
    assert -1.0 <= score <= 1.0
    assert score * (1.0 if value >= mean else -1.0) >= 0.0


@given(st.lists(finite, min_size=1, max_size=40), st.integers(1, 50))
def test_momentum_stays_within_one_whatever_the_returns(returns, lookback):
    assert -1.0 <= normalize_price_momentum(returns, lookback) <= 1.0


@given(finite, not_negative)
def test_a_tail_loses_no_less_than_its_edge_and_no_less_than_the_mean(er, vol):
    metrics = quick_downside_metrics(er, vol)
    assert metrics.cvar_5 >= metrics.var_5
    assert metrics.cvar_5 >= -metrics.expected_return
    assert 0.0 <= metrics.p_loss <= 1.0


@given(
    st.floats(-1e100, 1e100),
    st.floats(-1e100, 1e100),
    st.floats(0.0, 1e100),
    st.sampled_from(["probability", "risk_adjusted", "sharpe", "kelly"]),
)
def test_a_better_mean_never_gives_a_worse_signal(one, other, vol, method):
    worse, better = sorted((one, other))
    assert -1.0 <= quick_signal(worse, vol, method) <= quick_signal(better, vol, method) + 1e-15 <= 1.0 + 1e-15
    assert quick_signal(0.0, vol, method) == 0.0
