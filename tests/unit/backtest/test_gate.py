from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.gate import daily_timing, newey_west_error, static_gate
from alpha_pulse.backtest.metrics import Paths
from alpha_pulse.errors import ConfigError


def differences(count=365, mean=0.0, seed=1):
    shocks = np.random.default_rng(seed).standard_t(5, count + 1)
    return 0.001 * (shocks[1:] + 0.2 * shocks[:-1]) + mean


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_timing_that_costs_significantly_sets_the_amplitude_to_nothing(method):
    found = static_gate(differences(mean=-0.0004), method=method)
    assert found.negative
    assert found.amplitude == 0.0
    assert found.p_value < 0.05
    assert found.high < 0.0
    assert "significantly negative" in found.verdict
    assert "Set the amplitude to 0" in found.verdict


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_timing_that_costs_no_more_than_chance_may_leaves_the_amplitude_alone(method):
    sample = differences(seed=3)
    found = static_gate(sample - sample.mean() - 1e-5, method=method)
    assert not found.negative
    assert found.amplitude is None
    assert found.low < 0.0 < found.high
    assert "not more than chance may do" in found.verdict


def test_timing_that_earned_is_not_called_proven():
    found = static_gate(differences(mean=0.0004))
    assert found.amplitude is None
    assert found.p_value > 0.9
    assert found.verdict.endswith("It did not cost. That the swings earn is not shown by this.")


def test_the_periods_that_chose_the_settings_are_left_out():
    sample = np.concatenate([differences(200, mean=0.01), differences(100, mean=-0.001, seed=2)])
    found = static_gate(sample, first_out_of_sample=200)
    assert found.periods == 100
    assert found.total == pytest.approx(sample[200:].sum())
    assert found.negative
    assert not static_gate(sample).negative


def test_few_periods_say_nothing_however_bad_they_are():
    found = static_gate(np.full(29, -1.0) + 0.1 * differences(29))
    assert not found.tested
    assert found.amplitude is None
    assert "29 periods out of sample are too few" in found.verdict
    assert static_gate(differences(40), first_out_of_sample=40).periods == 0


def test_a_grid_that_is_a_static_hedge_has_no_timing():
    found = static_gate(np.zeros(100))
    assert not found.tested
    assert "never differed" in found.verdict


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_a_loss_that_is_the_same_every_day_needs_no_statistics(method):
    assert static_gate(np.full(100, -1.0), method=method).negative
    assert not static_gate(np.full(100, 1.0), method=method).negative


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_without_cost_the_gate_closes_about_once_in_twenty(method):
    closed = sum(static_gate(differences(365, seed=seed), method=method, resamples=200).negative for seed in range(200))
    assert 2 <= closed <= 22  # beyond these a binomial of 5 % in 200 comes less than once in a hundred


def test_the_two_methods_agree_on_a_long_sample():
    sample = differences(2000, mean=-3e-5)
    one, other = (static_gate(sample, method=method) for method in ("bootstrap", "hac"))
    assert one.p_value == pytest.approx(other.p_value, abs=0.03)
    assert (one.low, one.high) == (pytest.approx(other.low, rel=0.15), pytest.approx(other.high, rel=0.15))


def test_equal_seeds_give_equal_answers():
    assert static_gate(differences(), seed=4) == static_gate(differences(), seed=4)


def test_the_newey_west_error_by_hand():
    """n = 4, mean 2, away = (−1, 1, −1, 1): R₀ = 1, R₁ = −3/4, R₂ = 1/2. One lag: 1 + 2·½·(−¾) = ¼; two: 1 + 2·(⅔·(−¾) + ⅓·½) = ⅓."""
    values = np.array([1.0, 3.0, 1.0, 3.0])
    assert newey_west_error(values, 0) == pytest.approx(math.sqrt(1 / 4))
    assert newey_west_error(values, 1) == pytest.approx(math.sqrt(1 / 16))
    assert newey_west_error(values, 2) == pytest.approx(math.sqrt(1 / 12))


@pytest.mark.parametrize(("count", "lags"), [(50, 3), (100, 4), (365, 5), (1000, 6)])
def test_the_newey_west_error_is_the_bartlett_sum_over_all_pairs(count, lags):
    """The same from its other definition, Σᵢⱼ w(abs(i − j))·aᵢ·aⱼ / n² with Bartlett's weights; lags of Newey and West (1994)."""
    values = differences(count)
    away = values - values.mean()
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    weights = np.clip(1.0 - distance / (lags + 1), 0.0, None)
    assert newey_west_error(values) == pytest.approx(math.sqrt(away @ weights @ away) / count)


def test_dependence_widens_the_error():
    steps = np.random.default_rng(1).standard_normal(1000)
    slow = np.convolve(steps, np.ones(3), mode="valid")
    assert newey_west_error(slow) > 1.3 * slow.std() / math.sqrt(len(slow))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"significance": 5.0}, "significance = 5.0"),
        ({"method": "hope"}, "no such method"),
        ({"resamples": 10}, "resamples = 10"),
        ({"first_out_of_sample": 400}, "first_out_of_sample = 400"),
        ({"first_out_of_sample": -1}, "first_out_of_sample = -1"),
    ],
)
def test_a_setting_out_of_range_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        static_gate(differences(), **settings)


def bars_of(spot, step_ms=6 * 3_600_000):
    columns = {field.name: np.zeros(len(spot)) for field in fields(Bars)}
    return Bars(**columns | {"ts_ms": step_ms * np.arange(1, len(spot) + 1), "spot": np.asarray(spot)})


def test_the_days_of_a_run_are_differences_from_the_static_hedge_as_fractions_of_the_inventory():
    bars = bars_of(100.0 + np.arange(9.0))  # four bars a day: whole days from bar 0 to 4 and 4 to 8
    hedged, static = 1000.0 + np.arange(9.0) ** 2, 1000.0 + np.arange(9.0)
    paths = Paths(start=1000.0, hedged=hedged, unhedged=hedged, static=static)
    assert daily_timing(paths, bars, inventory=-2.0).tolist() == pytest.approx([(16 - 4) / 200, (64 - 8 - 12) / 208])
    with pytest.raises(ConfigError, match="Without inventory"):
        daily_timing(paths, bars, inventory=0.0)


def test_a_difference_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match=r"differences\[1\]: One is not finite"):
        static_gate([0.0, math.nan])
    with pytest.raises(ConfigError, match="0 periods are too few"):
        static_gate([])
