import math

import numpy as np
import pytest

from alpha_pulse.market.candles import WINDOW_HOURS, HourlyCandles
from alpha_pulse.market.indicators import average_true_range, yang_zhang


def _walk(hours, seed=3):
    random = np.random.Generator(np.random.PCG64(seed))
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.005, hours)))
    opened = np.concatenate(((100.0,), close[:-1]))
    high = np.maximum(opened, close) * (1.0 + random.random(hours) * 0.002)
    low = np.minimum(opened, close) * (1.0 - random.random(hours) * 0.002)
    return np.array([opened, high, low, close, random.random(hours) + 0.5])


def _feed(rows):
    candles = HourlyCandles()
    reading = None
    for row in rows.T.tolist():
        reading = candles.add(*row, 0.03)
    return reading


def test_little_history_claims_nothing():
    reading = _feed(_walk(10))
    assert reading.volatility_day_range == 0.0
    assert reading.atr == 0.0
    assert reading.volume_ratio == 1.0


@pytest.mark.parametrize("hours", [30, WINDOW_HOURS, WINDOW_HOURS + 1, 3 * WINDOW_HOURS, 5 * WINDOW_HOURS])
def test_what_is_carried_forward_equals_what_the_whole_window_says(hours):
    rows = _walk(hours)
    reading = _feed(rows)
    window = rows[:, -(WINDOW_HOURS + 1) :]
    assert reading.volatility_day_range == pytest.approx(math.sqrt(24.0 * yang_zhang(*window[:4])), rel=1e-9)
    assert reading.atr == pytest.approx(average_true_range(*rows[1:4], 14), rel=1e-9)
    assert reading.volume_ratio == pytest.approx(rows[4, -6:].mean() / window[4].mean(), rel=1e-9)


def test_a_rising_market_trends_up_and_a_falling_one_down():
    up = np.linspace(100.0, 130.0, 60)
    rising = np.array([up - 0.1, up + 0.2, up - 0.2, up, np.ones(60)])
    assert _feed(rising).trend > 0.5
    assert _feed(rising[:, ::-1]).trend < -0.5


def test_prices_that_turned_the_market_twice_become_support_and_resistance():
    wave = 100.0 + 5.0 * np.sin(np.arange(120) * 2.0 * math.pi / 24.0)
    reading = _feed(np.array([wave, wave + 0.1, wave - 0.1, wave, np.ones(120)]))
    assert any(abs(level - 95.0) < 0.5 for level in reading.supports)
    assert any(abs(level - 105.0) < 0.5 for level in reading.resistances)


def test_levels_lie_on_their_side_of_the_price_nearest_first():
    rows = _walk(300, seed=9)
    reading = _feed(rows)
    close = rows[3, -1]
    assert list(reading.supports) == sorted(reading.supports, reverse=True)
    assert list(reading.resistances) == sorted(reading.resistances)
    assert all(level < close for level in reading.supports)
    assert all(level > close for level in reading.resistances)


def test_a_market_without_volume_still_has_levels_and_a_usual_volume():
    rows = _walk(100)
    rows[4] = 0.0
    assert _feed(rows).volume_ratio == 1.0


def test_levels_of_more_than_two_weeks_ago_are_forgotten():
    old = 100.0 + 5.0 * np.sin(np.arange(120) * 2.0 * math.pi / 24.0)
    flat = np.full(WINDOW_HOURS + 24, 100.0)
    prices = np.concatenate((old, flat))
    reading = _feed(np.array([prices, prices + 0.01, prices - 0.01, prices, np.ones(len(prices))]))
    assert not any(abs(level - 95.0) < 0.5 for level in reading.supports)
