"""Raw readings to [0, 1] and to [−1, +1], against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.normalizers import (
    annualize_funding,
    normalize_funding,
    normalize_funding_rate,
    normalize_orderbook_imbalance,
    normalize_price_momentum,
    normalize_sentiment,
    normalize_volatility,
    normalize_volatility_regime,
    normalize_zscore,
)

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(("interval", "annual"), [(8.0, 0.1095), (4.0, 0.219), (1.0, 0.876)])
def test_one_basis_point_a_settlement_is_annualised_by_its_interval(interval, annual):
    assert annualize_funding(0.0001, interval) == pytest.approx(annual)  # 3, 6 and 24 settlements a day, 365 days


def test_funding_that_longs_receive_stays_negative_a_year():
    assert annualize_funding(-0.0002, 8.0) == pytest.approx(-0.219)


@pytest.mark.parametrize(("raw", "expected"), [(-1.0, 0.0), (-0.5, 0.25), (0.0, 0.5), (0.4, 0.7), (1.0, 1.0), (7.0, 1.0), (-7.0, 0.0)])
def test_sentiment_is_its_place_in_the_range(raw, expected):
    assert normalize_sentiment(raw) == pytest.approx(expected)


def test_sentiment_takes_the_range_of_its_source():
    assert normalize_sentiment(25.0, min_val=0.0, max_val=100.0) == pytest.approx(0.25)


def test_the_widest_range_of_floats_still_has_a_middle():
    assert normalize_sentiment(0.0, min_val=-1.7e308, max_val=1.7e308) == pytest.approx(0.5)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (1.0, -1.0)])
def test_a_sentiment_range_without_width_is_refused(low, high):
    with pytest.raises(ConfigError, match="min_val < max_val"):
        normalize_sentiment(0.0, min_val=low, max_val=high)


@pytest.mark.parametrize(("realized", "share"), [(0.0, 0.0), (0.01, 0.25), (0.02, 0.75), (0.025, 0.75), (0.04, 1.0), (9.0, 1.0)])
def test_volatility_is_the_share_of_the_lookback_at_or_below_it(realized, share):
    unsorted_with_a_tie = [0.04, 0.02, 0.01, 0.02]
    assert normalize_volatility(realized, unsorted_with_a_tie) == share
    assert normalize_volatility(realized, np.array(unsorted_with_a_tie)) == share
    assert normalize_volatility(realized, tuple(unsorted_with_a_tie)) == share


@pytest.mark.parametrize("empty", [[], (), np.array([])])
def test_an_empty_lookback_is_refused(empty):
    with pytest.raises(ConfigError, match="empty"):
        normalize_volatility(0.02, empty)


def test_a_bad_past_volatility_is_named_by_its_place():
    with pytest.raises(ConfigError, match=r"lookback\[1\] = nan"):
        normalize_volatility(0.02, [0.01, math.nan, 0.03])
    with pytest.raises(ConfigError, match=r"lookback\[2\] = -0.03"):
        normalize_volatility(0.02, np.array([0.01, 0.02, -0.03]))


def test_a_lookback_whose_sum_overflows_is_still_ranked():
    assert normalize_volatility(1.0, [1.7e308, 1.7e308, 0.5]) == pytest.approx(1 / 3)


def test_a_table_is_no_lookback():
    with pytest.raises(ConfigError, match="2 dimensions"):
        normalize_volatility(0.02, np.ones((3, 2)))


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.0, 0.5), (0.0005, 0.75), (-0.0005, 0.25), (0.001, 1.0), (-0.001, 0.0), (0.5, 1.0), (-0.5, 0.0)]
)
def test_funding_is_neutral_at_a_half_and_full_at_its_threshold(rate, expected):
    assert normalize_funding(rate) == pytest.approx(expected)


def test_the_funding_threshold_can_be_annual():
    assert normalize_funding(0.05, extreme_threshold=0.1) == pytest.approx(0.75)  # (0.05 + 0.1)/0.2


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0.0), (0.05, -0.5), (-0.05, 0.5), (0.1, -1.0), (0.9, -1.0), (-0.9, 1.0)])
def test_high_annual_funding_is_bearish(rate, expected):
    assert normalize_funding_rate(rate) == pytest.approx(expected)


def test_annual_funding_is_measured_from_its_neutral_rate():
    assert normalize_funding_rate(0.15, neutral=0.11, extreme=0.2) == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("bid", "ask", "expected"), [(3.0, 1.0, 0.5), (1.0, 3.0, -0.5), (5.0, 5.0, 0.0), (5.0, 0.0, 1.0), (0.0, 5.0, -1.0)]
)
def test_more_bids_than_asks_are_bullish(bid, ask, expected):
    assert normalize_orderbook_imbalance(bid, ask) == pytest.approx(expected)


def test_an_empty_book_says_nothing():
    assert normalize_orderbook_imbalance(0.0, 0.0) == 0.0


def test_depths_at_the_ends_of_the_floats_keep_their_ratio():
    assert normalize_orderbook_imbalance(1.5e308, 0.5e308) == pytest.approx(0.5)
    assert normalize_orderbook_imbalance(5e-324, 0.0) == 1.0


@pytest.mark.parametrize(
    ("vol", "expected"),
    [(0.0, 1.0), (0.02, 1.0), (0.035, 0.5), (0.05, 0.0), (0.075, -0.5), (0.06, -0.2), (0.10, -1.0), (3.0, -1.0)],
)
def test_calm_is_bullish_and_stress_bearish_linear_on_each_side_of_the_baseline(vol, expected):
    assert normalize_volatility_regime(vol) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [(0.02, 0.02, 0.1), (0.05, 0.06, 0.1), (0.1, 0.02, 0.1), (0.2, 0.02, 0.1)])
def test_volatility_levels_out_of_order_are_refused(levels):
    baseline, low, high = levels
    with pytest.raises(ConfigError, match="low_vol < baseline_vol < high_vol"):
        normalize_volatility_regime(0.05, baseline_vol=baseline, low_vol=low, high_vol=high)


@pytest.mark.parametrize(("value", "expected"), [(10.0, 0.0), (13.0, 0.5), (7.0, -0.5), (16.0, 1.0), (99.0, 1.0), (-99.0, -1.0)])
def test_a_zscore_is_full_at_three_deviations(value, expected):
    assert normalize_zscore(value, mean=10.0, std=2.0) == pytest.approx(expected)


def test_a_zscore_takes_its_cap():
    assert normalize_zscore(12.0, mean=10.0, std=2.0, cap=2.0) == pytest.approx(0.5)


def test_without_spread_a_zscore_says_nothing():
    assert normalize_zscore(12.0, mean=10.0, std=0.0) == 0.0


def test_momentum_is_the_mean_of_the_last_returns_over_five_percent():
    assert normalize_price_momentum([9.0, 0.01, 0.02, 0.03], lookback=3) == pytest.approx(0.4)  # 2 %/5 %
    assert normalize_price_momentum(np.array([9.0, -0.01, -0.02, -0.03]), lookback=3) == pytest.approx(-0.4)


def test_twenty_returns_count_for_momentum_unless_told():
    assert normalize_price_momentum([9.0, 0.04] + [0.0] * 19) == pytest.approx(0.04)  # 0.04/20/0.05


def test_a_short_history_of_returns_is_averaged_whole():
    assert normalize_price_momentum([0.01, 0.03]) == pytest.approx(0.4)


def test_momentum_is_clipped():
    assert normalize_price_momentum([0.5]) == 1.0
    assert normalize_price_momentum([-0.5]) == -1.0


def test_momentum_without_returns_or_with_a_gap_is_refused():
    with pytest.raises(ConfigError, match="empty"):
        normalize_price_momentum([])
    with pytest.raises(ConfigError, match=r"returns\[0\] = nan"):
        normalize_price_momentum([math.nan, 0.01])
    with pytest.raises(ConfigError, match="lookback"):
        normalize_price_momentum([0.01], lookback=0)


def test_a_gap_before_the_lookback_does_not_matter():
    assert normalize_price_momentum([math.nan, 0.01], lookback=1) == pytest.approx(0.2)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: annualize_funding(x, 8.0),
        lambda x: annualize_funding(0.1, x),
        normalize_sentiment,
        lambda x: normalize_sentiment(0.0, x, 1.0),
        lambda x: normalize_sentiment(0.0, -1.0, x),
        lambda x: normalize_volatility(x, [0.1]),
        lambda x: normalize_volatility(0.1, [0.1, x]),
        normalize_funding,
        lambda x: normalize_funding(0.1, x),
        normalize_funding_rate,
        lambda x: normalize_funding_rate(0.1, x),
        lambda x: normalize_funding_rate(0.1, 0.0, x),
        lambda x: normalize_orderbook_imbalance(x, 1.0),
        lambda x: normalize_orderbook_imbalance(1.0, x),
        normalize_volatility_regime,
        lambda x: normalize_volatility_regime(0.05, x),
        lambda x: normalize_volatility_regime(0.05, 0.05, x),
        lambda x: normalize_volatility_regime(0.05, 0.05, 0.02, x),
        lambda x: normalize_zscore(x, 0.0, 1.0),
        lambda x: normalize_zscore(0.0, x, 1.0),
        lambda x: normalize_zscore(0.0, 0.0, x),
        lambda x: normalize_zscore(0.0, 0.0, 1.0, x),
        lambda x: normalize_price_momentum([0.1, x]),
    ],
)
def test_no_normalizer_takes_nan_or_infinity(call, bad):
    with pytest.raises(ConfigError):
        call(bad)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: annualize_funding(0.1, 0.0), "interval_hours"),
        (lambda: annualize_funding(0.1, -8.0), "interval_hours"),
        (lambda: normalize_volatility(-0.01, [0.1]), "realized"),
        (lambda: normalize_funding(0.1, 0.0), "extreme_threshold"),
        (lambda: normalize_funding_rate(0.1, extreme=-0.1), "extreme"),
        (lambda: normalize_orderbook_imbalance(-1.0, 1.0), "bid"),
        (lambda: normalize_orderbook_imbalance(1.0, -1.0), "ask"),
        (lambda: normalize_volatility_regime(-0.01), "vol"),
        (lambda: normalize_zscore(0.0, 0.0, -1.0), "std"),
        (lambda: normalize_zscore(0.0, 0.0, 1.0, cap=0.0), "cap"),
    ],
)
def test_a_scale_or_an_amount_of_the_wrong_sign_is_refused_by_name(call, field):
    with pytest.raises(ConfigError) as refused:
        call()
    assert refused.value.field == field


def test_the_results_are_plain_floats_whatever_comes_in():
    assert type(normalize_sentiment(np.float64(0.3))) is float
    assert type(normalize_volatility(np.float32(0.3), np.array([1, 2]))) is float
    assert type(normalize_zscore(np.float64(0.3), 0, 1)) is float
    assert type(normalize_price_momentum(np.array([0.1, 0.2]))) is float
