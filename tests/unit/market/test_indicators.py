import math

import numpy as np
import pytest

from alpha_pulse.market import indicators
from alpha_pulse.market.levels import bin_price, cluster, is_swing_high, is_swing_low, price_bin, volume_peaks


def test_half_of_an_average_is_kept_after_its_half_life():
    assert indicators.decay(24.0, 24.0) == pytest.approx(0.5)
    assert indicators.decay(48.0, 24.0) == pytest.approx(0.25)
    assert indicators.decay(0.0, 24.0) == 1.0


def test_the_variance_weighs_the_squared_return_scaled_to_a_day():
    # 1 % in an hour is 24·0.0001 a day; three quarters of 0.0004 and a quarter of 0.0024
    assert indicators.ewma_variance(0.0004, 0.01, 1.0 / 24.0, 0.75) == pytest.approx(0.0009)


def test_two_half_steps_forget_as_much_as_one_whole_step():
    halves = indicators.ewma_variance(
        indicators.ewma_variance(0.0004, 0.0, 0.5, indicators.decay(0.5, 1.0)), 0.0, 0.5, indicators.decay(0.5, 1.0)
    )
    assert halves == pytest.approx(indicators.ewma_variance(0.0004, 0.0, 1.0, indicators.decay(1.0, 1.0)))


def test_an_exponential_average_moves_by_what_it_does_not_keep():
    assert indicators.ema(100.0, 110.0, 0.9) == pytest.approx(101.0)


def test_yang_zhang_equals_the_paper_worked_by_hand():
    opens = np.array([100.0, 101.0, 103.0, 102.0])
    highs = np.array([102.0, 104.0, 105.0, 103.0])
    lows = np.array([99.0, 100.0, 101.0, 98.0])
    closes = np.array([101.0, 103.0, 102.0, 99.0])
    overnight = [math.log(o / c) for o, c in zip(opens[1:], closes[:-1], strict=True)]
    move = [math.log(c / o) for o, c in zip(opens[1:], closes[1:], strict=True)]
    satchell = [
        math.log(h / c) * math.log(h / o) + math.log(low / c) * math.log(low / o)
        for o, h, low, c in zip(opens[1:], highs[1:], lows[1:], closes[1:], strict=True)
    ]
    k = 0.34 / (1.34 + 4.0 / 2.0)
    expected = np.var(overnight, ddof=1) + k * np.var(move, ddof=1) + (1 - k) * np.mean(satchell)
    assert indicators.yang_zhang(opens, highs, lows, closes) == pytest.approx(expected, rel=1e-12)


def test_yang_zhang_needs_three_bars():
    two = np.array([100.0, 101.0])
    assert indicators.yang_zhang(two, two, two, two) == 0.0


def test_yang_zhang_finds_the_volatility_of_a_random_walk():
    random = np.random.Generator(np.random.PCG64(1))
    path = np.exp(np.cumsum(random.normal(0.0, 0.01 / math.sqrt(240), 400 * 240))).reshape(400, 240)
    variance = indicators.yang_zhang(path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1])
    assert math.sqrt(variance) == pytest.approx(0.01, rel=0.1)


def test_the_true_range_includes_the_gap_from_the_close_before():
    assert indicators.true_range(105.0, 103.0, 100.0) == 5.0
    assert indicators.true_range(98.0, 95.0, 100.0) == 5.0
    assert indicators.true_range(103.0, 99.0, 100.0) == 4.0


def test_the_average_true_range_starts_with_a_mean_and_goes_on_as_wilder_does():
    highs = np.array([10.0, 12.0, 13.0, 14.0, 20.0])
    lows = np.array([9.0, 10.0, 11.0, 13.0, 15.0])
    closes = np.array([10.0, 11.0, 12.0, 14.0, 16.0])
    # true ranges 2, 2, 2, 6: the mean of the first three is 2, then 2 + (6 − 2)/3
    assert indicators.average_true_range(highs, lows, closes, 3) == pytest.approx(2.0 + 4.0 / 3.0)
    assert indicators.average_true_range(highs[:3], lows[:3], closes[:3], 3) == 0.0


def test_the_volume_ratio_is_one_in_usual_and_in_unknown_times():
    assert indicators.volume_ratio(12.0, 6, 200.0, 100) == pytest.approx(1.0)
    assert indicators.volume_ratio(24.0, 6, 200.0, 100) == pytest.approx(2.0)
    assert indicators.volume_ratio(0.0, 0, 0.0, 0) == 1.0
    assert indicators.volume_ratio(0.0, 6, 0.0, 100) == 1.0


def test_a_trend_of_one_sigma_over_the_lag_scores_tanh_of_one():
    fast, slow = 100.0 * math.exp(0.03), 100.0
    assert indicators.trend_strength(fast, slow, 0.03, 1.0) == pytest.approx(math.tanh(1.0))
    assert indicators.trend_strength(slow, fast, 0.03, 1.0) == pytest.approx(-math.tanh(1.0))
    assert indicators.trend_strength(100.0, 100.0, 0.03, 1.0) == 0.0
    assert indicators.trend_strength(fast, slow, 0.0, 1.0) == 0.0


def test_a_swing_tops_its_neighbours_and_of_equal_tops_the_last_counts():
    assert is_swing_high([1.0, 2.0, 3.0, 2.0, 1.0], 2, 2)
    assert not is_swing_high([1.0, 4.0, 3.0, 2.0, 1.0], 2, 2)
    assert not is_swing_high([1.0, 2.0, 3.0, 3.0, 1.0], 2, 2)
    assert is_swing_high([1.0, 3.0, 3.0, 2.0, 1.0], 2, 2)
    assert is_swing_low([3.0, 2.0, 1.0, 2.0, 3.0], 2, 2)
    assert not is_swing_low([3.0, 0.5, 1.0, 2.0, 3.0], 2, 2)
    assert not is_swing_low([3.0, 2.0, 1.0, 1.0, 3.0], 2, 2)


def test_a_bin_holds_its_own_price():
    for price in (0.02, 1.0, 95_000.0):
        place = price_bin(price, 0.003)
        assert price_bin(bin_price(place, 0.003), 0.003) == place
        assert bin_price(place, 0.003) == pytest.approx(price, rel=0.003)


def test_volume_peaks_stand_out_from_the_mean_and_from_their_neighbours():
    assert volume_peaks([1.0, 5.0, 1.0, 1.0, 4.0, 4.0, 1.0], 1.5) == [1, 4]
    assert volume_peaks([9.0, 1.0, 1.0, 9.0], 1.5) == [0, 3]
    assert volume_peaks([1.0, 1.0, 1.0], 1.5) == []
    assert volume_peaks([], 1.5) == []


def test_prices_within_the_tolerance_of_the_lowest_are_one_level():
    assert cluster([100.0, 100.2, 100.9, 105.0, 105.1], 0.01, 2) == [pytest.approx(301.1 / 3.0), pytest.approx(105.05)]
    assert cluster([100.0, 103.0], 0.01, 2) == []
    assert cluster([100.0, 103.0], 0.01, 1) == [100.0, 103.0]
    assert cluster([], 0.01, 1) == []
