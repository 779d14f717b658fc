from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.covariance import (
    EwmaCovariance,
    correlated_exposure,
    correlation,
    ewma_covariance,
    marginal_contributions,
    portfolio_var,
    portfolio_volatility,
    shrunk,
    with_volatilities,
)

TWO = np.array([[0.0016, 0.0012], [0.0012, 0.0025]])  # σ 4 % and 5 %, correlation 0.6


def test_the_covariance_of_three_days_worked_out_by_hand():
    """Half-life a day: weights 1, 2, 4 of 7. Var = (1·1 + 2·4 + 4·9)/7 e-4, cov = (1·2 + 2·(−2) + 4·3)/7 e-4."""
    returns = [[0.01, 0.02], [-0.02, 0.01], [0.03, 0.01]]
    expected = np.array([[45.0, 10.0], [10.0, 10.0]]) / 7.0 * 1e-4
    assert ewma_covariance(returns, 1.0, 0.0) == pytest.approx(expected)


def test_shrinkage_moves_every_correlation_to_their_mean_and_no_variance():
    sigma = np.array([0.01, 0.02, 0.04])
    together = np.array([[1.0, 0.9, 0.6], [0.9, 1.0, 0.3], [0.6, 0.3, 1.0]])  # mean 0.6
    moved = shrunk(together * np.outer(sigma, sigma), 0.5) / np.outer(sigma, sigma)
    assert moved == pytest.approx(np.array([[1.0, 0.75, 0.6], [0.75, 1.0, 0.45], [0.6, 0.45, 1.0]]))
    assert shrunk(TWO, 1.0) == pytest.approx(TWO)  # one correlation is its own mean


def test_two_identical_series_are_one_position():
    one = np.random.default_rng(3).normal(0.0, 0.03, 60)
    for shrinkage in (0.0, 0.1, 1.0):
        covariance = ewma_covariance(np.column_stack([one, one]), shrinkage=shrinkage)
        assert correlation(covariance) == pytest.approx(np.ones((2, 2)))
        assert portfolio_volatility([1.0, 2.0], covariance) == pytest.approx(3.0 * math.sqrt(covariance[0, 0]))
        assert portfolio_volatility([5.0, -5.0], covariance) == 0.0
        assert marginal_contributions([5.0, -5.0], covariance).tolist() == [0.0, 0.0]
        assert correlated_exposure([1.0, 2.0], covariance) == pytest.approx([3.0, 3.0])
        assert correlated_exposure([5.0, -5.0], covariance) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_a_perfect_hedge_of_several_pairs_has_no_risk_left_over_by_rounding():
    days = np.random.default_rng(8).normal(0.0, 0.03, (30, 2))
    covariance = ewma_covariance(np.column_stack([days, days.sum(axis=1)]), shrinkage=0.0)
    for size in (1.0, 3.7, 123_456.789):
        values = [size, size, -size]
        assert portfolio_volatility(values, covariance) == 0.0
        assert marginal_contributions(values, covariance).tolist() == [0.0, 0.0, 0.0]


def test_a_constant_series_carries_no_risk_and_breaks_nothing():
    moving = np.array([[0.02, 0.0, -0.01], [-0.03, 0.0, 0.02], [0.01, 0.0, 0.01]])
    covariance = ewma_covariance(moving)
    assert covariance[1].tolist() == [0.0, 0.0, 0.0]
    assert correlated_exposure([0.0, 7.0, 0.0], covariance).tolist() == [0.0, 7.0, 0.0]
    assert portfolio_volatility([0.0, 7.0, 0.0], covariance) == 0.0
    nothing = ewma_covariance(np.zeros((5, 2)))
    assert nothing.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert portfolio_var([1.0, 1.0], nothing, 1.0, 2.33) == 0.0


def test_a_single_day_is_enough():
    assert ewma_covariance([[0.02, -0.01]], shrinkage=0.1) == pytest.approx(np.array([[4.0, -2.0], [-2.0, 1.0]]) * 1e-4)
    assert ewma_covariance([[0.02]]) == pytest.approx(np.array([[4e-4]]))


def test_the_state_fed_day_by_day_is_the_whole_at_once():
    returns = np.random.default_rng(5).normal(0.0, 0.03, (40, 3))
    state = EwmaCovariance.start(3, 7.0)
    for day, _ in enumerate(returns, 1):
        state = state.update(returns[day - 1].tolist())
        assert state.matrix(0.2) == pytest.approx(ewma_covariance(returns[:day], 7.0, 0.2), rel=1e-10, abs=1e-18)


def test_an_update_leaves_the_old_state_as_it_was():
    state = EwmaCovariance.start(2)
    state.update([0.01, 0.02])
    assert state == EwmaCovariance.start(2)
    assert hash(state.update([0.01, 0.02])) == hash(state.update([0.01, 0.02]))
    with pytest.raises(ConfigError, match="no returns"):
        state.matrix()


def test_portfolio_risk_by_hand():
    """(100² · 16 + 2 · 100 · (−50) · 12 + 50² · 25) e-4 = 10.25; a week at z = 2: 2·√7·√10.25."""
    assert portfolio_volatility([100.0, -50.0], TWO) == pytest.approx(math.sqrt(10.25))
    assert portfolio_var([100.0, -50.0], TWO, 7.0, 2.0) == pytest.approx(2.0 * math.sqrt(7.0 * 10.25))


def test_contributions_are_the_slopes_of_the_risk_and_sum_to_it():
    values = np.array([100.0, -30.0])
    found = marginal_contributions(values, TWO)
    for i in range(2):
        step = np.eye(2)[i] * 1e-3
        slope = (portfolio_volatility(values + step, TWO) - portfolio_volatility(values - step, TWO)) / 2e-3
        assert found[i] == pytest.approx(values[i] * slope, rel=1e-6)
    assert found.sum() == pytest.approx(portfolio_volatility(values, TWO))
    assert found[1] < 0.0  # the short hedges: 100·12 > 30·25


def test_the_correlated_exposure_by_hand():
    """β of the second to the first: 12/16 = 0.75, so 100 − 50·0.75 = 62.5; of the first to the second 12/25 = 0.48: −50 + 48 = −2."""
    assert correlated_exposure([100.0, -50.0], TWO) == pytest.approx([62.5, -2.0])


def test_trading_the_correlated_exposure_away_leaves_the_least_risk():
    values = np.array([100.0, -50.0])
    for pair, exposure in enumerate(correlated_exposure(values, TWO)):
        trades = np.linspace(-2.0, 2.0, 401) * abs(exposure)
        risks = [portfolio_volatility(values + np.eye(2)[pair] * trade, TWO) for trade in trades]
        assert trades[int(np.argmin(risks))] == pytest.approx(-exposure, abs=abs(exposure) * 0.01)


def test_fresh_volatilities_keep_the_correlations():
    fresh = with_volatilities(TWO, [0.08, 0.05])
    assert fresh == pytest.approx(np.array([[0.0064, 0.0024], [0.0024, 0.0025]]))
    assert portfolio_volatility([100.0, 0.0], fresh) == pytest.approx(8.0)
    assert with_volatilities(np.zeros((2, 2)), [0.1, 0.2]) == pytest.approx(np.diag([0.01, 0.04]))


def test_older_days_count_less():
    calm_then_wild = np.array([[0.01]] * 20 + [[0.05]] * 5)
    variances = [ewma_covariance(calm_then_wild, half_life)[0, 0] for half_life in (1.0, 5.0, 50.0)]
    assert all(earlier > later for earlier, later in pairwise(variances))


def test_huge_and_tiny_values_neither_overflow_nor_vanish():
    assert portfolio_volatility([1e250, 0.0], TWO) == pytest.approx(0.04 * 1e250)
    assert portfolio_volatility([1e-250, 0.0], TWO) == pytest.approx(0.04 * 1e-250)
    assert marginal_contributions([1e250, 0.0], TWO) == pytest.approx([0.04 * 1e250, 0.0])


@pytest.mark.parametrize(
    "returns", [[], [[]], [0.01, 0.02], [[0.01, math.nan]], [[math.inf]], [[0.01, 0.02], [0.01]], [[None]], [[42_000.0]], [["a"]]], ids=str
)
def test_returns_that_are_missing_or_none_are_refused(returns):
    with pytest.raises(ConfigError, match="returns"):
        ewma_covariance(returns)


@pytest.mark.parametrize(
    ("half_life", "shrinkage", "field"),
    [(0.0, 0.1, "half_life"), (math.nan, 0.1, "half_life"), (5.0, 1.1, "shrink"), (5.0, math.nan, "shrink")],
)
def test_settings_out_of_range_are_refused(half_life, shrinkage, field):
    with pytest.raises(ConfigError, match=field):
        ewma_covariance([[0.01]], half_life, shrinkage)


def test_other_sizes_are_refused():
    with pytest.raises(ConfigError, match="values"):
        portfolio_volatility([1.0], TWO)
    with pytest.raises(ConfigError, match="values"):
        correlated_exposure([1.0, math.nan], TWO)
    with pytest.raises(ConfigError, match="covariance"):
        portfolio_volatility([1.0, 2.0], [[1.0, 2.0]])
    with pytest.raises(ConfigError, match="covariance"):
        marginal_contributions([1.0], [[-1.0]])
    with pytest.raises(ConfigError, match="returns"):
        EwmaCovariance.start(2).update([0.1])
    with pytest.raises(ConfigError, match="pairs"):
        EwmaCovariance.start(0)
    with pytest.raises(ConfigError, match="horizon_days"):
        portfolio_var([1.0, 1.0], TWO, math.nan, 2.0)
    with pytest.raises(ConfigError, match="sigma_day"):
        with_volatilities(TWO, [0.1, -0.1])
