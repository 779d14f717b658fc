from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from alpha_pulse.backtest.signals import (
    mean_reversion_signal,
    momentum_signal,
    signal_path,
    trend_following_signal,
    volatility_regime_signal,
)
from alpha_pulse.backtest.signals.functions import known_path
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.files import read_candles

FOUR = (momentum_signal, volatility_regime_signal, mean_reversion_signal, trend_following_signal)


def swinging(swing, bars=41):
    """Prices whose simple returns are +swing, −swing, +swing …: their deviation is the swing itself."""
    return 100.0 * np.cumprod([1.0, *(1.0 + swing * (-1) ** k for k in range(bars - 1))])


def walk(bars, seed=1, sigma=0.03):
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, sigma, bars)))


def test_momentum_is_the_return_of_twenty_bars_over_twenty_per_cent():
    prices = [100.0] * 20 + [110.0, 140.0, 75.0]
    assert momentum_signal(prices, 20) == pytest.approx(0.5)
    assert momentum_signal(prices, 21) == 1.0
    assert momentum_signal(prices, 22) == -1.0
    assert momentum_signal([100.0, 101.0, 104.0], 2, lookback=2) == pytest.approx(0.2)


@pytest.mark.parametrize(("swing", "expected"), [(0.01, 1.0), (0.02, 1.0), (0.035, 0.0), (0.0425, -0.5), (0.05, -1.0), (0.08, -1.0)])
def test_the_volatility_regime_runs_from_calm_at_two_per_cent_to_rough_at_five(swing, expected):
    assert volatility_regime_signal(swinging(swing), 40) == pytest.approx(expected, abs=1e-9)


def test_mean_reversion_is_full_two_deviations_away():
    prices = [100.0] * 19 + [110.0]
    mean = 100.5
    deviation = math.sqrt(sum((price - mean) ** 2 for price in prices) / 20)
    assert -(110 - mean) / (2 * deviation) < -1.0
    assert mean_reversion_signal(prices, 19) == -1.0
    ramp = [float(price) for price in range(100, 120)]
    assert mean_reversion_signal(ramp, 19) == pytest.approx(-9.5 / (2 * math.sqrt(399 / 12)))
    assert mean_reversion_signal([0.1] * 40, 30) == 0.0, "prices that are all alike have no deviation, whatever rounding says"


def test_the_trend_is_the_mean_of_ten_over_that_of_thirty():
    prices = [100.0] * 20 + [103.0] * 10
    assert trend_following_signal(prices, 29) == pytest.approx((103 - 101) / 101 / 0.05)
    assert trend_following_signal(prices[::-1], 29) == pytest.approx((100 - 101) / 101 / 0.05)
    assert trend_following_signal([1.0, 2.0, 4.0], 2, lookback=2) == 1.0


@pytest.mark.parametrize(("signal", "first"), list(zip(FOUR, (20, 20, 19, 29), strict=True)))
def test_a_signal_is_zero_until_its_window_is_full(signal, first):
    prices = walk(60, sigma=0.01)
    assert [signal(prices, i) for i in range(first)] == [0.0] * first
    assert signal(prices, first) != 0.0
    assert not signal_path(signal, prices[:first]).any()


@pytest.mark.parametrize("signal", FOUR)
@pytest.mark.parametrize("lookback", [2, 7, 20])
def test_all_bars_at_once_are_bar_by_bar_to_the_last_bit(signal, lookback):
    prices = walk(300)
    assert signal_path(signal, prices, lookback).tolist() == [signal(prices, i, lookback) for i in range(300)]


@pytest.mark.parametrize("signal", FOUR)
def test_where_a_long_path_is_cut_into_blocks_nothing_is_seen(signal):
    prices = walk(17_000, sigma=0.002)
    path = signal_path(signal, prices)
    around = [*range(8180, 8260), *range(16_370, 16_430), 16_999]
    assert [path[i] for i in around] == [signal(prices, i) for i in around]


@pytest.mark.parametrize("signal", FOUR)
def test_a_signal_is_the_same_on_recorded_candles_both_ways(signal, market_data):
    closes = read_candles(market_data / "binance_spot_BTCUSDT_1h_2023-01_2024-06.parquet").columns[3]
    path = signal_path(signal, closes)
    assert np.abs(path).max() <= 1.0
    assert [path[i] for i in range(0, len(closes), 97)] == [signal(closes, i) for i in range(0, len(closes), 97)]


def test_a_known_signal_with_another_lookback_is_computed_at_once_and_an_unknown_one_is_not():
    prices = walk(100)
    slow = known_path(partial(momentum_signal, lookback=50), prices)
    assert slow is not None
    assert slow.tolist() == signal_path(momentum_signal, prices, 50).tolist()
    assert known_path(lambda prices, i: 0.0, prices) is None
    assert known_path(partial(lambda prices, i, lookback: 0.0, lookback=3), prices) is None
    assert known_path(partial(momentum_signal, prices), prices) is None


def test_what_no_signal_can_be_computed_of_is_refused():
    with pytest.raises(ConfigError, match=r"i = 3: There are 3 bars"):
        momentum_signal([1.0, 2.0, 3.0], 3)
    with pytest.raises(ConfigError, match="i = -1"):
        momentum_signal([1.0, 2.0, 3.0], -1)
    with pytest.raises(ConfigError, match="lookback = 1: It is too short"):
        mean_reversion_signal([1.0, 2.0, 3.0], 2, lookback=1)
    with pytest.raises(ConfigError, match="no vectorised form"):
        signal_path(lambda prices, i: 0.0, [1.0, 2.0])
