from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.tail import (
    MIN_RESIDUALS,
    TailEstimate,
    TailRisk,
    VarMethod,
    conditional_value_at_risk,
    cornish_fisher_quantile,
    is_cornish_fisher_monotone,
    standardised_return,
    tail_estimate,
    tail_quantile,
    tail_risk,
    tail_shortfall,
    value_at_risk,
)

PARAMETRIC, CORNISH_FISHER, HISTORICAL = VarMethod.PARAMETRIC, VarMethod.CORNISH_FISHER, VarMethod.FILTERED_HISTORICAL
SKEWED = (-stats.johnsonsu(-0.5, 2.2, -0.5, 2.0).ppf((np.arange(400) + 0.5) / 400)).tolist()  # its long tail is on the left


def integrated(z, skewness, kurtosis):
    """Mean of the Cornish-Fisher quantile beyond z, by quadrature over the normal."""

    def weighted(u):
        return cornish_fisher_quantile(u, skewness, kurtosis) * stats.norm.pdf(u)

    return integrate.quad(weighted, z, 40.0, epsabs=1e-13, epsrel=1e-12)[0] / stats.norm.sf(z)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.999])
def test_parametric_multipliers_are_the_normal_quantile_and_its_tail_mean(confidence):
    z = stats.norm.ppf(confidence)
    tail_mean = integrate.quad(lambda u: u * stats.norm.pdf(u), z, 40.0)[0] / stats.norm.sf(z)
    assert tail_quantile(PARAMETRIC, confidence) == pytest.approx(z, rel=1e-12)
    assert tail_shortfall(PARAMETRIC, confidence) == pytest.approx(tail_mean, rel=1e-8)


def test_parametric_never_reads_the_residuals():
    assert tail_estimate(PARAMETRIC, 0.99, [math.nan]) == tail_estimate(PARAMETRIC, 0.99)


def test_cornish_fisher_at_a_point_worked_out_by_hand():
    """At z = 2: 2 + 3·0.6/6 + (8 − 6)·1.2/24 − (16 − 10)·0.36/36 = 2 + 0.3 + 0.1 − 0.06."""
    assert cornish_fisher_quantile(2.0, 0.6, 1.2) == pytest.approx(2.34)
    assert cornish_fisher_quantile(2.3, 0.0, 0.0) == 2.3


@pytest.mark.parametrize(("side", "sign"), [(1, -1.0), (-1, 1.0)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_cornish_fisher_takes_its_shape_from_the_losses_of_its_side(side, sign, confidence):
    losses = sign * np.array(SKEWED)
    skewness, kurtosis = stats.skew(losses), stats.kurtosis(losses)
    z = stats.norm.ppf(confidence)
    found = tail_estimate(CORNISH_FISHER, confidence, SKEWED, side)
    assert found.method_used == CORNISH_FISHER
    assert found.reason == ""
    assert found.z == pytest.approx(cornish_fisher_quantile(z, skewness, kurtosis), rel=1e-9)
    assert found.shortfall == pytest.approx(integrated(z, skewness, kurtosis), rel=1e-8)


def test_a_sample_skewed_to_the_left_is_worse_for_a_long_than_for_a_short():
    for method in (CORNISH_FISHER, HISTORICAL):
        assert tail_quantile(method, 0.99, SKEWED, 1) > tail_quantile(PARAMETRIC, 0.99) > tail_quantile(method, 0.99, SKEWED, -1)


def test_the_domain_is_where_the_slope_is_nowhere_negative():
    grid = np.linspace(-50.0, 50.0, 20_001)
    for skewness in np.linspace(-2.0, 2.0, 21):
        for kurtosis in np.linspace(-1.0, 10.0, 45):
            square = skewness**2
            slope = 1 + grid * skewness / 3 + (3 * grid**2 - 3) * kurtosis / 24 - (6 * grid**2 - 5) * square / 36
            assert is_cornish_fisher_monotone(skewness, kurtosis) == (slope.min() >= -1e-12), (skewness, kurtosis)


def test_the_domain_without_skewness_ends_at_a_kurtosis_of_eight():
    assert is_cornish_fisher_monotone(0.0, 0.0)
    assert is_cornish_fisher_monotone(0.0, 8.0)
    assert not is_cornish_fisher_monotone(0.0, 8.001)
    assert not is_cornish_fisher_monotone(0.0, -0.001)
    assert not is_cornish_fisher_monotone(math.nan, math.nan)


def test_outside_its_domain_the_larger_of_parametric_and_empirical_stands_in():
    wild = [0.1, -0.1] * 100 + [-20.0, -20.0, -20.0]  # three days of 203 lost 20 σ
    found = tail_estimate(CORNISH_FISHER, 0.99, wild)
    assert (found.z, found.method_used) == (20.0, HISTORICAL)
    assert "outside" in found.reason
    thin = np.linspace(-1.0, 1.0, 201).tolist()  # uniform: excess kurtosis −1.2, the empirical quantile is 0.98
    found = tail_estimate(CORNISH_FISHER, 0.99, thin)
    assert (found.z, found.shortfall) == (tail_quantile(PARAMETRIC, 0.99), tail_shortfall(PARAMETRIC, 0.99))
    assert found.method_used == PARAMETRIC
    assert "kurtosis -1.20" in found.reason


def test_the_empirical_quantile_of_a_hundred_days_is_the_second_worst_at_99_percent():
    """Losses 1 … 100: the 99th is 99 and the mean of the worst 1 % is 100; the 95th is 95, the worst five average 98."""
    residuals = [-float(i) for i in range(1, 101)]
    assert tail_estimate(HISTORICAL, 0.99, residuals) == TailEstimate(99.0, pytest.approx(100.0), HISTORICAL)
    assert tail_estimate(HISTORICAL, 0.95, residuals) == TailEstimate(95.0, pytest.approx(98.0), HISTORICAL)


def test_a_rounding_error_in_the_confidence_does_not_move_the_quantile_by_a_day():
    residuals = [-float(i) for i in range(1, 101)]
    assert tail_quantile(HISTORICAL, math.nextafter(0.99, 1.0), residuals) == 99.0


def test_a_tail_that_is_no_whole_number_of_days_counts_a_part_of_one():
    """150 days at 99 %: 1.5 days. The 149th loss stands for half a day, the 150th for one: (0.5·149 + 150)/1.5."""
    found = tail_estimate(HISTORICAL, 0.99, [-float(i) for i in range(1, 151)])
    assert found.z == 149.0
    assert found.shortfall == pytest.approx((0.5 * 149.0 + 150.0) / 1.5)


def test_a_confidence_beyond_the_sample_is_its_worst_day():
    found = tail_estimate(HISTORICAL, 0.9999, [-float(i) for i in range(1, 101)])
    assert (found.z, found.shortfall) == (100.0, 100.0)


def test_a_short_is_judged_by_its_own_tail():
    residuals = [float(i) for i in range(1, 101)]
    assert tail_quantile(HISTORICAL, 0.99, residuals, -1) == 99.0


@pytest.mark.parametrize("method", [CORNISH_FISHER, HISTORICAL])
def test_too_few_returns_fall_back_to_the_normal_and_say_so(method):
    found = tail_estimate(method, 0.99, SKEWED[: MIN_RESIDUALS - 1])
    assert found[:3] == tail_estimate(PARAMETRIC, 0.99)[:3]
    assert "99 standardised returns" in found.reason
    assert tail_estimate(method, 0.99, SKEWED[::4]).reason == ""  # exactly 100, spread over the sample


@pytest.mark.parametrize("method", [CORNISH_FISHER, HISTORICAL])
@pytest.mark.parametrize("residuals", [[0.0] * 200, [1.0] * 200])
def test_a_sample_without_a_loss_falls_back_to_the_normal(method, residuals):
    found = tail_estimate(method, 0.99, residuals)
    assert found[:3] == tail_estimate(PARAMETRIC, 0.99)[:3]
    assert "not one" in found.reason


def test_a_sample_in_which_nothing_varies_has_no_shape():
    found = tail_estimate(CORNISH_FISHER, 0.99, [-3.0] * 200)
    assert (found.z, found.shortfall, found.method_used) == (3.0, 3.0, HISTORICAL)


def test_huge_residuals_do_not_overflow():
    found = tail_estimate(CORNISH_FISHER, 0.99, [-1e300, 1e300, 0.5] * 50)
    assert found.z == 1e300


def test_risk_is_scaled_by_volatility_horizon_and_size():
    """2.5·0.04·√4·|−1000| = 200 and 3·0.04·2·1000 = 240."""
    estimate = TailEstimate(2.5, 3.0, PARAMETRIC)
    assert value_at_risk(-1000.0, 0.04, 4.0, estimate) == pytest.approx(200.0)
    assert conditional_value_at_risk(-1000.0, 0.04, 4.0, estimate) == pytest.approx(240.0)


def test_the_four_figures_of_a_normal_portfolio():
    """1.6449, 2.3263, 2.0627 and 2.6652: quantiles and tail means of the normal."""
    found = tail_risk(100_000.0, 0.04)
    assert found == TailRisk(
        pytest.approx(6579.41, abs=0.01),
        pytest.approx(9305.39, abs=0.01),
        pytest.approx(8250.85, abs=0.01),
        pytest.approx(10660.86, abs=0.01),
    )


def test_the_sign_of_the_exposure_picks_the_tail():
    long, short = (tail_risk(value, 0.04, 1.0, HISTORICAL, SKEWED) for value in (1000.0, -1000.0))
    assert long.var_99 == pytest.approx(1000.0 * 0.04 * tail_quantile(HISTORICAL, 0.99, SKEWED, 1))
    assert short.var_99 == pytest.approx(1000.0 * 0.04 * tail_quantile(HISTORICAL, 0.99, SKEWED, -1))
    assert tail_risk(0.0, 0.04) == TailRisk(0.0, 0.0, 0.0, 0.0)


def test_a_day_of_minus_six_percent_at_a_volatility_of_three_is_two_sigmas():
    assert standardised_return(100.0, 94.0, 0.03) == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("arguments", "field"), [((0.0, 1.0, 0.1), "price_before"), ((1.0, math.nan, 0.1), "price_after"), ((1.0, 1.0, 0.0), "sigma")]
)
def test_a_return_without_prices_or_volatility_is_refused(arguments, field):
    with pytest.raises(ConfigError, match=field):
        standardised_return(*arguments)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("monte_carlo", 0.99), "method"),
        ((PARAMETRIC, 0.5), "confidence"),
        ((PARAMETRIC, 1.0), "confidence"),
        ((PARAMETRIC, 99.0), "confidence"),
        ((PARAMETRIC, math.nan), "confidence"),
        ((HISTORICAL, 0.99, [], 0), "side"),
        ((HISTORICAL, 0.99, [*SKEWED, math.nan]), "residuals"),
        ((CORNISH_FISHER, 0.99, [*SKEWED, math.inf]), "residuals"),
        ((CORNISH_FISHER, 0.99, [SKEWED, SKEWED]), "residuals"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(arguments, field):
    with pytest.raises(ConfigError, match=field):
        tail_estimate(*arguments)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((math.nan, 0.1, 1.0), "value"),
        ((1.0, -0.1, 1.0), "sigma_day"),
        ((1.0, 0.1, -1.0), "horizon_days"),
        ((1.0, math.inf, 1.0), "sigma_day"),
    ],
)
def test_risk_of_something_unknown_is_refused(arguments, field):
    with pytest.raises(ConfigError, match=field):
        value_at_risk(*arguments, TailEstimate(2.0, 3.0, PARAMETRIC))
