"""What must hold of every hedge curve, whatever its knots."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from alpha_pulse.hedging.risk.sizers.knots import Knot
from alpha_pulse.hedging.risk.sizers.spline import (
    MonotoneSpline,
    build_spline,
    compute_hedge,
    compute_hedge_many,
    compute_multi_signal_hedge,
    liquidity_weight,
)

share = st.floats(0.0, 1.0)
depth = st.one_of(st.floats(0.0, 1e12), st.sampled_from([0.0, 5e-324, 1.0, 1e7]))
level = st.one_of(share, st.sampled_from([0.0, 0.25, 0.5, 1.0]))  # equal ones make flat segments
gap = st.one_of(st.floats(1e-3, 0.5), st.sampled_from([1e-15, 1e-12, 1e-9, 1e-9, 1e-6]))


@st.composite
def knots(draw: st.DrawFn) -> tuple[Knot, ...]:
    """Two knots to many, some so near that few floats or none lie between them."""
    score, scores = draw(st.one_of(share, st.just(0.0))), []
    for _ in range(draw(st.one_of(st.integers(2, 6), st.integers(2, 40)))):
        if score > 1.0:
            break
        scores.append(score)
        score = max(score + draw(gap), math.nextafter(score, 2.0))
    if len(scores) < 2:
        scores = [0.0, 1.0]
    hedges = sorted(draw(st.lists(level, min_size=len(scores), max_size=len(scores))))
    return tuple(zip(scores, hedges, strict=True))


splines = knots().map(build_spline)


@st.composite
def places(draw: st.DrawFn, spline: MonotoneSpline) -> float:
    """A score anywhere, or a few floats from where the curve's formula changes."""
    score = draw(st.one_of(share, st.sampled_from([*(score for score, _ in spline.knots), *spline.breaks])))
    steps = draw(st.integers(-20, 20))
    for _ in range(abs(steps)):
        score = math.nextafter(score, math.copysign(2.0, steps))
    return min(1.0, max(0.0, score))


@given(st.data(), splines, depth, share)
def test_the_hedge_never_decreases_as_the_score_rises(data, spline, depth_usd, limit):
    low = data.draw(places(spline))
    high = data.draw(st.one_of(places(spline), st.just(min(1.0, math.nextafter(low, 2.0)))))
    low, high = min(low, high), max(low, high)
    assert compute_hedge(low, depth_usd, spline, limit)[0] <= compute_hedge(high, depth_usd, spline, limit)[0]


@given(st.data(), splines)
def test_a_run_of_neighbouring_scores_never_falls(data, spline):
    score = data.draw(places(spline))
    run = np.minimum(1.0, score + np.arange(400) * max(math.ulp(score), 1e-300))
    assert (np.diff(spline(run)) >= 0.0).all()


@given(st.data(), splines, depth, share)
def test_hedge_and_confidence_stay_within_their_bounds(data, spline, depth_usd, limit):
    score = data.draw(places(spline))
    hedge, confidence = compute_hedge(score, depth_usd, spline, limit)
    assert 0.0 <= hedge <= limit
    assert 0.0 <= confidence <= 1.0
    assert confidence == liquidity_weight(depth_usd)
    assert hedge == min(limit, spline(score) * confidence)
    assert spline.knots[0][1] <= spline(score) <= spline.knots[-1][1]


@given(splines)
def test_the_curve_goes_through_every_knot(spline):
    assert tuple((score, spline(score)) for score, _ in spline.knots) == spline.knots


@given(st.data(), splines)
def test_it_is_scipys_pchip(data, spline):
    score = data.draw(places(spline))
    scores, hedges = zip(*spline.knots, strict=True)
    with np.errstate(over="ignore"):  # scipy divides by slopes of 1e-313, and rounds the result to what it should be
        expected = PchipInterpolator(scores, hedges)(min(max(score, scores[0]), scores[-1]))
    assert abs(spline(score) - expected) <= 1e-12


@given(st.data(), splines)
def test_arrays_agree_with_single_scores_to_the_last_bit(data, spline):
    scores = data.draw(st.lists(places(spline), max_size=8))
    assert spline(np.array(scores)).tolist() == [spline(score) for score in scores]


@given(splines, st.lists(st.tuples(share, depth), min_size=1, max_size=8), share)
def test_many_hedges_agree_with_single_ones(spline, pairs, limit):
    hedges, confidences = compute_hedge_many(*zip(*pairs, strict=True), spline, limit)
    for hedge, confidence, (score, depth_usd) in zip(hedges, confidences, pairs, strict=True):
        expected = compute_hedge(score, depth_usd, spline, limit)
        assert abs(hedge - expected[0]) <= 1e-15
        assert abs(confidence - expected[1]) <= 1e-15


@given(depth, depth)
def test_a_deeper_book_never_weighs_less(a, b):
    assert liquidity_weight(min(a, b)) <= liquidity_weight(max(a, b))


weights = st.one_of(st.floats(0.0, 10.0), st.floats(0.0, 1e308))


@given(st.dictionaries(st.sampled_from(["sentiment", "volatility", "momentum", "funding"]), st.tuples(share, weights), min_size=1), depth)
def test_several_signals_hedge_between_the_least_and_the_most_of_them(signals, depth_usd):
    given_weights = {name: weight for name, (_, weight) in signals.items()}
    if max(given_weights.values()) == 0.0:
        given_weights = dict.fromkeys(given_weights, 1.0)
    found = compute_multi_signal_hedge({name: score for name, (score, _) in signals.items()}, given_weights, depth_usd)
    hedges = [entry["hedge_pct"] for entry in found["signals"].values()]
    assert abs(math.fsum(entry["weight"] for entry in found["signals"].values()) - 1.0) <= 1e-12
    assert min(hedges) * found["confidence"] - 1e-12 <= found["weighted_hedge"] <= max(hedges) * found["confidence"] + 1e-12
