"""The spline sizer against scipy and against figures worked out by hand."""

from __future__ import annotations

import copy
import json
import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk import normalizers
from alpha_pulse.hedging.risk.sizers import spline as library
from alpha_pulse.hedging.risk.sizers.spline import (
    DEFAULT_KNOTS,
    SIGNAL_CONFIGS,
    SignalConfig,
    build_spline,
    compute_hedge,
    compute_hedge_many,
    compute_multi_signal_hedge,
    liquidity_weight,
    signal_configs_from,
)

DEEP = 10_000_000.0
CURVES = {
    "default": ((0, 0.05), (0.3, 0.25), (0.7, 0.75), (1, 1)),
    "convex": ((0, 0), (0.5, 0.1), (0.8, 0.4), (1, 1)),
    "concave": ((0, 0), (0.1, 0.6), (0.4, 0.9), (1, 1)),
    "steps": ((0, 0), (0.2, 0), (0.4, 0.5), (0.6, 0.5), (0.8, 1), (1, 1)),
    "a cliff": ((0, 0.1), (0.5, 0.2), (0.5 + 1e-9, 0.8), (1, 0.9)),
    "two knots": ((0.2, 0.3), (0.9, 0.7)),
    "three in a corner": ((0.4, 0), (0.41, 0.5), (0.42, 1)),
    "steep ends": ((0, 0), (0.05, 0.4), (0.95, 0.6), (1, 1)),
    "forty": tuple((i / 39, (i / 39) ** 3) for i in range(40)),
    **{name: config.knots for name, config in SIGNAL_CONFIGS.items()},
}


def neighbours(score: float, count: int = 8) -> list[float]:
    found, low, high = [score], score, score
    for _ in range(count):
        low, high = math.nextafter(low, -1.0), math.nextafter(high, 2.0)
        found += [low, high]
    return [x for x in found if 0.0 <= x <= 1.0]


@pytest.mark.parametrize("knots", CURVES.values(), ids=CURVES.keys())
def test_the_curve_is_scipys_pchip_and_constant_outside_its_knots(knots):
    scores, hedges = zip(*knots, strict=True)
    asked = np.unique(np.concatenate([np.linspace(0, 1, 20_001), *(neighbours(s) for s in scores)]))
    expected = PchipInterpolator(scores, hedges)(np.clip(asked, scores[0], scores[-1]))
    assert np.abs(build_spline(knots)(asked) - expected).max() < 1e-12


@pytest.mark.parametrize("knots", CURVES.values(), ids=CURVES.keys())
def test_it_goes_through_its_knots_exactly(knots):
    spline = build_spline(knots)
    assert [(score, spline(score)) for score, _ in knots] == [tuple(map(float, knot)) for knot in knots]


@pytest.mark.parametrize("knots", CURVES.values(), ids=CURVES.keys())
def test_it_never_falls_from_one_float_to_the_next(knots):
    spline = build_spline(knots)
    places = [*np.linspace(0, 1, 300).tolist(), *(score for score, _ in knots), *spline.breaks]
    asked = sorted({near for place in places for near in neighbours(place, 30)})
    hedges = [spline(score) for score in asked]
    assert all(before <= after for before, after in pairwise(hedges))


def test_where_scipys_own_evaluation_falls_by_rounding_this_one_does_not():
    asked = 0.9127555772777217 + np.arange(-500, 500) * math.ulp(0.9)
    assert (np.diff(PchipInterpolator(*zip(*DEFAULT_KNOTS, strict=True))(asked)) < 0).any()
    assert (np.diff(build_spline()(asked)) >= 0).all()


@pytest.mark.parametrize("knots", CURVES.values(), ids=CURVES.keys())
def test_an_array_and_its_scores_one_by_one_give_the_same_bits(knots):
    spline, asked = build_spline(knots), np.random.default_rng(3).random(3000)
    assert spline(asked).tolist() == [spline(score) for score in asked.tolist()]
    assert spline(asked).tolist() == [compute_hedge(score, DEEP, spline)[0] for score in asked.tolist()]


def test_the_middle_of_the_default_curve_by_hand():
    """Slopes at .3 and .7: 2.1/(1.1/.6667 + 1/1.25) = .857143 and 2.1/(1/1.25 + 1.1/.8333) = .990566; .5 + .4/8·(.857143 − .990566)."""
    assert build_spline()(0.5) == pytest.approx(0.5 + 0.05 * (2.1 / 2.45 - 2.1 / 2.12), abs=1e-15)


def test_an_array_keeps_its_shape_may_be_empty_or_strided_and_is_not_changed():
    spline, grid = build_spline(), np.linspace(0, 1, 40_000).reshape(200, 200)
    before = grid.copy()
    assert spline(grid).shape == (200, 200)
    assert spline(grid.T).tolist() == spline(grid).T.tolist()
    assert spline(grid[::2, 1::3]).tolist() == spline(grid)[::2, 1::3].tolist()
    assert spline(np.array([])).shape == (0,)
    assert spline(np.array(0.7)).item() == 0.75
    assert spline(np.array([0.5], dtype=np.float32)).dtype == np.float64
    assert (grid == before).all()


def test_a_curve_is_built_once_compares_by_its_knots_and_can_be_sent_to_another_process():
    spline = build_spline([[0, 0.05], (0.3, 0.25), (0.7, 0.75), (1, 1)])
    assert spline is build_spline()
    assert spline.knots == ((0.0, 0.05), (0.3, 0.25), (0.7, 0.75), (1.0, 1.0))
    sent = pickle.loads(pickle.dumps(spline))  # noqa: S301 - our own bytes
    assert (sent, hash(sent), sent(0.63)) == (spline, hash(spline), spline(0.63))
    assert copy.deepcopy(spline)(np.array([0.63])).tolist() == [spline(0.63)]


@pytest.mark.parametrize(
    ("knots", "knot", "problem"),
    [
        ([(0, 0), (0.5, 0.2), (0.3, 0.4), (1, 1)], "knot 3 = (0.3, 0.4)", "below 0.5"),
        ([(0, 0), (0.5, 0.2), (0.5, 0.4), (1, 1)], "knot 3 = (0.5, 0.4)", "given twice"),
        ([(0, 0), (5e-324, 1)], "knot 2 = (5e-324, 1.0)", "given twice"),
        ([(0, 0.5), (1, 0.4)], "knot 2 = (1.0, 0.4)", "hedge is below 0.5"),
        ([(0, 0), (1.01, 1)], "knot 2 = (1.01, 1.0)", "score is not within [0, 1]"),
        ([(-0.01, 0), (1, 1)], "knot 1 = (-0.01, 0.0)", "score is not within [0, 1]"),
        ([(0, 0), (1, 75)], "knot 2 = (1.0, 75.0)", "hedge is not within [0, 1]"),
        ([(0, math.nan), (1, 1)], "knot 1 = (0.0, nan)", "hedge is not within [0, 1]"),
        ([(0, 0), (math.nan, 1)], "knot 2 = (nan, 1.0)", "score is not within [0, 1]"),
        ([(0, 0), (math.inf, 1)], "knot 2", "score is not within [0, 1]"),
        ([(0, 0), (1,)], "knot 2 = (1,)", "a score and a hedge"),
        ([(0, 0), (0.5, 0.6, 0.7)], "knot 2", "a score and a hedge"),
        ([(0, 0), ("high", 1)], "knot 2", "a score and a hedge"),
        ([0.1, 0.2], "knot 1 = 0.1", "a score and a hedge"),
        ([(0.5, 0.5)], "knots", "two knots or more"),
        ([], "knots", "two knots or more"),
    ],
)
def test_knots_that_no_monotone_curve_runs_through_are_refused_by_number(knots, knot, problem):
    for build, curve in ((build_spline, ""), (lambda k: SignalConfig("fear", tuple(k), ""), "fear, ")):
        with pytest.raises(ConfigError) as caught:
            build(knots)
        assert str(caught.value).startswith(curve + knot)
        assert problem in str(caught.value)


@pytest.mark.parametrize("score", [-1e-12, 1.0000000001, math.nan, math.inf, -math.inf])
def test_what_is_no_score_is_refused_everywhere(score):
    spline = build_spline()
    for ask in (
        lambda: spline(score),
        lambda: spline(np.array([0.1, score, 0.2])),
        lambda: compute_hedge(score, DEEP, spline),
        lambda: compute_hedge_many([0.1, score], DEEP, spline),
        lambda: compute_multi_signal_hedge({"funding": score}, {"funding": 1}, DEEP),
    ):
        with pytest.raises(ConfigError, match="score"):
            ask()


@pytest.mark.parametrize("depth", [-1.0, -1e-300, math.nan, math.inf])
def test_what_is_no_depth_is_refused_everywhere(depth):
    spline = build_spline()
    for ask in (
        lambda: liquidity_weight(depth),
        lambda: liquidity_weight(np.array([1.0, depth])),
        lambda: compute_hedge(0.5, depth, spline),
        lambda: compute_hedge_many([0.1, 0.2], [1.0, depth], spline),
        lambda: compute_multi_signal_hedge({"funding": 0.5}, {"funding": 1}, depth),
    ):
        with pytest.raises(ConfigError, match="depth"):
            ask()


def test_in_an_array_the_first_bad_value_is_named():
    with pytest.raises(ConfigError, match=r"scores\[2\] = nan"):
        build_spline()(np.array([0.0, 1.0, math.nan, -5.0]))
    with pytest.raises(ConfigError, match=r"depths\[1\] = -2\.0"):
        liquidity_weight(np.array([0.0, -2.0, math.nan]))


@pytest.mark.parametrize("limit", [-0.1, 1.01, 80, math.nan])
def test_the_most_that_may_be_hedged_is_a_fraction(limit):
    for ask in (lambda: compute_hedge(0.5, 1.0, build_spline(), limit), lambda: compute_hedge_many([0.5], [1.0], build_spline(), limit)):
        with pytest.raises(ConfigError, match="max_hedge_pct"):
            ask()


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_the_depth_of_a_liquid_market_is_above_0(limit):
    with pytest.raises(ConfigError, match="max_depth"):
        liquidity_weight(1.0, limit)


def test_the_liquidity_weight_is_a_ratio_of_logarithms():
    """ln(100,001)/ln(10,000,001) = 11.512935/16.118096."""
    assert liquidity_weight(100_000) == pytest.approx(11.512935464920229 / 16.118095750958314, rel=1e-14)
    assert liquidity_weight(math.e - 1, math.e**2 - 1) == pytest.approx(0.5)
    assert [liquidity_weight(depth) for depth in (0, DEEP, 1e12)] == [0.0, 1.0, 1.0]
    assert liquidity_weight(np.array([[0.0, 100_000.0, 1e12]])).tolist() == [[0.0, pytest.approx(11.5129354649202 / 16.1180957509583), 1.0]]


def test_a_thin_book_lowers_hedge_and_confidence_alike():
    """0.75 at score 0.7, times 11.512935/16.118096."""
    weight = 11.512935464920229 / 16.118095750958314
    assert compute_hedge(0.7, 100_000, build_spline()) == (pytest.approx(0.75 * weight), pytest.approx(weight))
    assert compute_hedge(0.7, DEEP, build_spline()) == (0.75, 1.0)
    assert compute_hedge(0.7, 0, build_spline()) == (0.0, 0.0)


def test_the_limit_cuts_the_hedge_but_not_the_confidence():
    assert compute_hedge(0.9, DEEP, build_spline(), 0.6) == (0.6, 1.0)
    assert compute_hedge(0.9, DEEP, build_spline(), 0.0) == (0.0, 1.0)
    assert compute_hedge(0.0, DEEP, build_spline(), 0.6) == (0.05, 1.0)


def test_many_hedges_are_those_of_one_at_a_time():
    random = np.random.default_rng(5)
    scores, depths, spline = random.random(500), 10 ** random.uniform(0, 9, 500), build_spline(CURVES["steps"])
    hedges, confidences = compute_hedge_many(scores, depths, spline, 0.8)
    one_by_one = [compute_hedge(score, depth, spline, 0.8) for score, depth in zip(scores.tolist(), depths.tolist(), strict=True)]
    assert np.abs(hedges - [hedge for hedge, _ in one_by_one]).max() < 1e-15
    assert np.abs(confidences - [weight for _, weight in one_by_one]).max() < 1e-15


def test_many_scores_may_share_one_depth():
    hedges, confidences = compute_hedge_many([0.0, 0.3, 0.7, 1.0], DEEP, build_spline())
    assert hedges.tolist() == [0.05, 0.25, 0.75, 1.0]
    assert confidences.tolist() == [1.0] * 4
    with pytest.raises(ConfigError, match="shapes"):
        compute_hedge_many([0.1, 0.2, 0.3], [1.0, 2.0], build_spline())


def test_the_four_curves_have_their_knots():
    assert {name: config.knots for name, config in SIGNAL_CONFIGS.items()} == {
        "sentiment": ((0, 0.05), (0.3, 0.25), (0.7, 0.75), (1, 1)),
        "volatility": ((0, 0.10), (0.4, 0.30), (0.8, 0.80), (1, 1)),
        "momentum": ((0, 0), (0.5, 0.20), (0.9, 0.60), (1, 0.90)),
        "funding": ((0, 0.05), (0.3, 0.15), (0.6, 0.50), (1, 1)),
    }
    assert all(config.name == name and config.description for name, config in SIGNAL_CONFIGS.items())


def test_several_signals_add_up_by_weight():
    """Sentiment 0.7 → 0.75, volatility 0.4 → 0.30, at weights 3 : 1: 0.5625 + 0.075 = 0.6375, times 11.512935/16.118096."""
    found = compute_multi_signal_hedge({"sentiment": 0.7, "volatility": 0.4}, {"volatility": 0.5, "sentiment": 1.5}, 100_000)
    weight = 11.512935464920229 / 16.118095750958314
    assert found == {
        "signals": {
            "sentiment": {"raw_value": 0.7, "hedge_pct": 0.75, "weight": pytest.approx(0.75), "contribution": pytest.approx(0.5625)},
            "volatility": {"raw_value": 0.4, "hedge_pct": 0.3, "weight": pytest.approx(0.25), "contribution": pytest.approx(0.075)},
        },
        "weighted_hedge": pytest.approx(0.6375 * weight),
        "confidence": pytest.approx(weight),
        "depth_usd": 100_000,
        "weights_normalised": True,
    }
    assert json.loads(json.dumps(found)) == found


def test_weights_that_add_up_to_1_are_left_alone():
    names = list(SIGNAL_CONFIGS)
    found = compute_multi_signal_hedge(dict.fromkeys(names, 1.0), dict(zip(names, (0.1, 0.2, 0.3, 0.4), strict=True)), DEEP)
    assert found["weights_normalised"] is False
    assert [entry["weight"] for entry in found["signals"].values()] == [0.1, 0.2, 0.3, 0.4]
    assert found["weighted_hedge"] == pytest.approx(0.1 + 0.2 + 0.3 * 0.9 + 0.4)


def test_enormous_and_tiny_weights_are_normalised_all_the_same():
    for weight in (1e308, 5e-324):
        found = compute_multi_signal_hedge({"sentiment": 0.7, "funding": 0.6}, {"sentiment": weight, "funding": weight}, DEEP)
        assert found["weighted_hedge"] == pytest.approx(0.625)


@pytest.mark.parametrize("weight", [1, 0.2, 7.0])
def test_one_signal_alone_is_exactly_the_single_signal_hedge(weight):
    for score in np.linspace(0, 1, 101).tolist():
        found = compute_multi_signal_hedge({"momentum": score}, {"momentum": weight}, 31_000)
        assert (found["weighted_hedge"], found["confidence"]) == compute_hedge(score, 31_000, build_spline(CURVES["momentum"]))


@pytest.mark.parametrize(
    ("signals", "weights", "named"),
    [
        ({}, {}, "signals"),
        ({"moon": 0.5}, {"moon": 1}, "moon"),
        ({"funding": 0.5, "moon": 0.5}, {"funding": 1, "moon": 0}, "moon"),
        ({"funding": 0.5, "momentum": 0.5}, {"funding": 1}, "momentum"),
        ({"funding": 0.5}, {"funding": 1, "momentum": 0}, "momentum"),
        ({"funding": 0.5, "momentum": 0.5}, {"funding": 1, "momentum": -0.1}, "momentum"),
        ({"funding": 0.5}, {"funding": math.nan}, "funding"),
        ({"funding": 0.5}, {"funding": math.inf}, "funding"),
        ({"funding": 0.5, "momentum": 0.5}, {"funding": 0, "momentum": 0}, "add up to 0"),
        ({"funding": 1.5, "momentum": 0.5}, {"funding": 0, "momentum": 1}, "funding = 1.5"),
    ],
)
def test_signals_and_weights_that_do_not_fit_are_refused_by_name(signals, weights, named):
    with pytest.raises(ConfigError, match=named):
        compute_multi_signal_hedge(signals, weights, DEEP)


def test_own_curves_can_be_given_and_replace_the_known_ones():
    own = {"moon": SignalConfig("moon", ((0, 0), (1, 0.5)), "a line")}
    found = compute_multi_signal_hedge({"moon": 0.5}, {"moon": 1}, DEEP, own)
    assert found["weighted_hedge"] == pytest.approx(0.25)
    with pytest.raises(ConfigError, match="funding"):
        compute_multi_signal_hedge({"funding": 0.5}, {"funding": 1}, DEEP, own)


def test_parsed_data_become_curves_and_numbers_may_be_strings():
    knots = [{"score": "0.0", "hedge": "5e-2"}, {"score": 1, "hedge": 1.0}]
    found = signal_configs_from({"fear": {"description": "how afraid", "knots": knots}, "greed": {"knots": knots}})
    assert dict(found) == {
        "fear": SignalConfig("fear", ((0.0, 0.05), (1.0, 1.0)), "how afraid"),
        "greed": SignalConfig("greed", ((0.0, 0.05), (1.0, 1.0))),
    }


END = {"score": 1, "hedge": 1}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (None, "fear"),
        ([END], "fear"),
        ({"description": "none"}, "fear, knots"),
        ({"knots": "0 1"}, "fear, knots"),
        ({"knots": [END]}, "fear, knots"),
        ({"knots": [{"score": 0, "hedge": 0}, {"score": 0.5}, END]}, "fear, knot 2"),
        ({"knots": [{"score": 0, "hedge": 0, "note": 1}, END]}, "fear, knot 1"),
        ({"knots": [(0, 0), END]}, "fear, knot 1"),
        ({"knots": [{"score": 0, "hedge": "much"}, END]}, "fear, knot 1"),
        ({"knots": [{"score": 0, "hedge": None}, END]}, "fear, knot 1"),
        ({"knots": [{"score": False, "hedge": 0}, END]}, "fear, knot 1"),
        ({"knots": [{"score": 0, "hedge": "nan"}, END]}, "fear, knot 1"),
        ({"knots": [{"score": 0, "hedge": 0}, END], "smooth": True}, "smooth"),
        ({"knots": [{"score": 0, "hedge": 0}, END], "description": 3}, "fear, description"),
    ],
)
def test_parsed_data_that_are_no_curve_are_refused_by_curve_and_knot(entry, named):
    with pytest.raises(ConfigError, match=named):
        signal_configs_from({"greed": {"knots": [{"score": 0, "hedge": 0}, END]}, "fear": entry})


def test_no_curves_and_no_name_are_refused():
    with pytest.raises(ConfigError, match="no curve"):
        signal_configs_from({})
    with pytest.raises(ConfigError, match="needs a name"):
        SignalConfig("", DEFAULT_KNOTS, "")


def test_a_raw_reading_becomes_a_score_with_the_normalizers_beside_it():
    assert library.normalize_sentiment is normalizers.normalize_sentiment
    assert library.normalize_volatility is normalizers.normalize_volatility
    assert library.normalize_funding is normalizers.normalize_funding
    assert build_spline()(library.normalize_sentiment(0.4)) == pytest.approx(0.75)  # (0.4 + 1)/2 = 0.7
