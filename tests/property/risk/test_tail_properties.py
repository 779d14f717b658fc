from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alpha_pulse.hedging.risk.covariance import (
    EwmaCovariance,
    correlated_exposure,
    ewma_covariance,
    marginal_contributions,
    portfolio_volatility,
    with_volatilities,
)
from alpha_pulse.hedging.risk.tail import VarMethod, cornish_fisher_quantile, is_cornish_fisher_monotone, tail_estimate, tail_risk

residuals = arrays.arrays(np.float64, st.integers(0, 160), elements=st.floats(-1e6, 1e6)).map(lambda array: array.tolist())
methods = st.sampled_from(list(VarMethod))
sides = st.sampled_from([1, -1])
confidences = st.floats(0.51, 0.9999)
returns = arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 5)), elements=st.floats(-2.0, 2.0))
amounts = st.floats(-1e9, 1e9)


@given(methods, confidences, residuals, sides)
@settings(deadline=None)
def test_a_tail_is_never_negative_and_its_mean_never_below_its_edge(method, confidence, sample, side):
    found = tail_estimate(method, confidence, sample, side)
    assert 0.0 <= found.z <= found.shortfall < np.inf
    assert (found.method_used == method) or found.reason


@given(methods, st.tuples(confidences, confidences), residuals, sides)
@settings(deadline=None)
def test_more_confidence_is_never_less_risk(method, pair, sample, side):
    lower, higher = (tail_estimate(method, confidence, sample, side) for confidence in sorted(pair))
    assert higher.z >= lower.z * (1 - 1e-9)
    assert higher.shortfall >= lower.shortfall * (1 - 1e-9)


@given(methods, confidences, residuals)
@settings(deadline=None)
def test_a_short_sees_the_mirror_image_of_what_a_long_sees(method, confidence, sample):
    long, short = tail_estimate(method, confidence, sample, 1), tail_estimate(method, confidence, [-r for r in sample], -1)
    assert long == short


@given(methods, confidences, residuals, sides, st.randoms())
@settings(deadline=None)
def test_the_order_of_the_days_does_not_count(method, confidence, sample, side, random):
    shuffled = list(sample)
    random.shuffle(shuffled)
    assert tail_estimate(method, confidence, shuffled, side) == tail_estimate(method, confidence, sample, side)


@given(st.floats(-3.0, 3.0), st.floats(-2.0, 12.0), st.tuples(st.floats(-30.0, 30.0), st.floats(-30.0, 30.0)))
def test_in_its_domain_the_cornish_fisher_quantile_never_falls(skewness, kurtosis, pair):
    lower, higher = sorted(pair)
    if is_cornish_fisher_monotone(skewness, kurtosis):
        left, right = (cornish_fisher_quantile(z, skewness, kurtosis) for z in (lower, higher))
        assert right >= left - 1e-9 * max(1.0, abs(left))


@given(amounts, st.floats(0.0, 2.0), st.floats(0.0, 30.0), methods, residuals)
@settings(deadline=None)
def test_risk_figures_stand_in_their_order_and_grow_with_the_size(value, sigma, horizon, method, sample):
    found = tail_risk(value, sigma, horizon, method, sample)
    slack = 1.0 + 1e-9
    assert 0.0 <= found.var_95 <= found.var_99 * slack
    assert found.var_99 <= found.cvar_99 * slack
    assert found.var_95 <= found.cvar_95 * slack
    assert found.cvar_95 <= found.cvar_99 * slack
    assert tail_risk(2.0 * value, sigma, horizon, method, sample) == pytest.approx(tuple(2.0 * figure for figure in found))


@given(returns, st.floats(0.1, 100.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_covariance_is_symmetric_and_never_gives_a_negative_variance(days, half_life, shrinkage):
    covariance = ewma_covariance(days, half_life, shrinkage)
    assert (covariance == covariance.T).all()
    assert np.linalg.eigvalsh(covariance).min() >= -1e-12 * max(np.trace(covariance), 1e-300)
    assert np.diag(covariance) == pytest.approx(np.diag(ewma_covariance(days, half_life, 0.0)))


@given(returns, st.floats(0.1, 100.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_covariance_fed_day_by_day_is_the_whole(days, half_life, shrinkage):
    state = EwmaCovariance.start(days.shape[1], half_life)
    for day in days:
        state = state.update(day.tolist())
    whole = ewma_covariance(days, half_life, 0.0)
    assert np.array(state.rows) == pytest.approx(whole, rel=1e-7, abs=1e-12)
    assert np.isfinite(state.matrix(shrinkage)).all()


@given(returns, st.data())
@settings(deadline=None)
def test_contributions_sum_to_the_whole_and_no_portfolio_is_riskier_than_its_parts(days, data):
    covariance = ewma_covariance(days)
    count = len(covariance)
    values = np.array(data.draw(st.lists(amounts, min_size=count, max_size=count)))
    risk = portfolio_volatility(values, covariance)
    parts = float(np.abs(values) @ np.sqrt(np.diag(covariance)))
    assert 0.0 <= risk <= parts * (1 + 1e-9)
    assert marginal_contributions(values, covariance).sum() == pytest.approx(risk, rel=1e-6, abs=1e-6 * parts)
    assert np.isfinite(correlated_exposure(values, covariance)).all()


@given(returns, amounts)
@settings(deadline=None)
def test_a_pair_alone_has_its_own_exposure_and_a_copy_of_it_shares_the_sum(days, value):
    one = days[:, :1]
    assert correlated_exposure([value], ewma_covariance(one)) == pytest.approx([value])
    both = ewma_covariance(np.hstack([one, one]))
    if both[0, 0] > 1e-20:
        assert correlated_exposure([value, 2.0 * value], both) == pytest.approx([3.0 * value] * 2, rel=1e-9, abs=1e-9)


@given(returns, st.data())
@settings(deadline=None)
def test_fresh_volatilities_are_the_volatilities(days, data):
    count = days.shape[1]
    sigma = data.draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count))
    fresh = with_volatilities(ewma_covariance(days), sigma)
    assert np.sqrt(np.diag(fresh)) == pytest.approx(sigma)
