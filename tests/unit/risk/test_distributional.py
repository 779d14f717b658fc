"""Downside metrics and their signals, against closed forms of the textbooks and brute force on fine grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.distributional import (
    DistributionalSignal,
    compute_downside_metrics,
    downside_signal,
    quick_downside_metrics,
    quick_signal,
)
from alpha_pulse.hedging.risk.sizers.signal import Direction, HedgeEngine

METHODS = ["probability", "risk_adjusted", "sharpe", "kelly"]


def brute_force(dist, low: float, high: float) -> tuple[float, float, float, float, float]:
    """Quantile, expected shortfall, P(loss), mean and variance by trapezoids on a fine grid: ES = −q + ∫F/0.05."""
    x = np.linspace(low, high, 200_001)
    density = dist.pdf(x)
    below = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))))
    quantile = float(np.interp(0.05, below, x))
    tail = np.linspace(low, quantile, 200_001)
    shortfall = -quantile + float(np.trapezoid(np.interp(tail, x, below), tail)) / 0.05
    mean = float(np.trapezoid(x * density, x))
    return quantile, shortfall, float(np.interp(0.0, x, below)), mean, float(np.trapezoid((x - mean) ** 2 * density, x))


def student_shortfall(df: float) -> float:
    """McNeil, Frey, Embrechts (2015), ex. 2.12: f(q)/α·(ν + q²)/(ν − 1)."""
    quantile = stats.t.ppf(0.05, df)
    return float(stats.t.pdf(quantile, df) / 0.05 * (df + quantile**2) / (df - 1.0))


def test_the_normal_has_the_figures_of_the_tables():
    metrics = quick_downside_metrics(0.0, 1.0)
    assert metrics.var_5 == pytest.approx(1.644853627, abs=1e-9)
    assert metrics.cvar_5 == pytest.approx(2.062712807, abs=1e-8)  # φ(1.644854)/0.05
    assert metrics.p_loss == 0.5


def test_the_downside_of_a_normal_with_a_drift():
    metrics = quick_downside_metrics(0.01, 0.02)
    assert metrics.p_loss == pytest.approx(0.3085375387)  # Φ(−0.5)
    assert metrics.var_5 == pytest.approx(-0.01 + 0.02 * 1.644853627)
    assert metrics.cvar_5 == pytest.approx(-0.01 + 0.02 * 2.062712807)
    assert (metrics.expected_return, metrics.volatility) == (0.01, 0.02)
    assert metrics.kelly == pytest.approx(25.0)  # 0.01/0.0004
    assert metrics.half_kelly == pytest.approx(12.5)


def test_the_scipy_normal_goes_through_the_closed_form():
    assert compute_downside_metrics(stats.norm(0.01, 0.02)) == quick_downside_metrics(0.01, 0.02)


def test_quadrature_agrees_with_the_closed_form_of_the_normal():
    by_quadrature = compute_downside_metrics(stats.powernorm(1.0, loc=0.01, scale=0.02))  # the normal by another name
    closed = quick_downside_metrics(0.01, 0.02)
    for field in ("p_loss", "expected_return", "volatility", "var_5", "cvar_5", "kelly", "half_kelly"):
        assert getattr(by_quadrature, field) == pytest.approx(getattr(closed, field), rel=1e-7)


@pytest.mark.parametrize("df", [2.05, 3.0, 4.5, 30.0])
def test_student_t_meets_its_closed_form(df):
    metrics = compute_downside_metrics(stats.t(df, loc=0.002, scale=0.03))
    assert metrics.cvar_5 == pytest.approx(-0.002 + 0.03 * student_shortfall(df), abs=1e-9)
    assert metrics.var_5 == pytest.approx(-0.002 - 0.03 * stats.t.ppf(0.05, df), abs=1e-12)
    assert metrics.p_loss == pytest.approx(stats.t.cdf(-0.002 / 0.03, df), abs=1e-12)
    assert metrics.volatility == pytest.approx(0.03 * math.sqrt(df / (df - 2.0)))
    assert metrics.kelly == pytest.approx(0.002 / (0.0009 * df / (df - 2.0)))


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
def test_the_unit_of_returns_does_not_matter(scale):
    metrics = compute_downside_metrics(stats.t(3.0, scale=scale))
    assert metrics.cvar_5 == pytest.approx(scale * student_shortfall(3.0), rel=1e-9)


@pytest.mark.parametrize(
    "dist",
    [
        stats.norminvgauss(2.0, -0.5, loc=0.001, scale=0.02),
        stats.norminvgauss(1.0, 0.6, loc=0.0, scale=0.02),
        stats.norminvgauss(60.0, -20.0, loc=0.0, scale=0.02),  # nearly normal: scipy's own quantile does not converge here
        stats.jf_skew_t(8.0, 9.0, loc=0.001, scale=0.02),
        stats.jf_skew_t(9.0, 6.0, loc=0.001, scale=0.02),
        stats.skewnorm(-4.0, loc=0.01, scale=0.03),
    ],
    ids=lambda dist: f"{dist.dist.name}{dist.args}",
)
def test_skewed_and_fat_tailed_distributions_meet_brute_force(dist):
    metrics = compute_downside_metrics(dist)
    mean, deviation = metrics.expected_return, metrics.volatility
    quantile, shortfall, p_loss, by_hand, variance = brute_force(dist, mean - 40.0 * deviation, mean + 40.0 * deviation)
    assert metrics.var_5 / deviation == pytest.approx(-quantile / deviation, abs=1e-6)
    assert metrics.cvar_5 / deviation == pytest.approx(shortfall / deviation, abs=1e-6)
    assert metrics.p_loss == pytest.approx(p_loss, abs=1e-6)
    assert mean / deviation == pytest.approx(by_hand / deviation, abs=1e-6)
    assert deviation**2 == pytest.approx(variance, rel=1e-5)


@pytest.mark.parametrize(
    ("dist", "shortfall"),
    [
        (stats.uniform(-1.0, 2.0), 0.95),  # the mean of −1 … −0.9
        (stats.laplace(0.0, 1.0), 1.0 - math.log(0.1)),  # the quantile ln 0.1, and an exponential of mean 1 beyond it
        (stats.expon(-1.0), 1.0 - (1.0 + 19.0 * math.log(0.95))),  # u + (1 − u)·ln(1 − u) over u at u = 0.05
        (stats.beta(0.5, 1.0), -(0.05**2) / 3.0),  # F = √x: its density is infinite at the worst return; q = 0.0025, the mean q/3
        (stats.genpareto(-0.5, -2.0), 2.0 - 2.0 * (1.0 - (1.0 - 0.95**1.5) / 0.075)),  # x = 2·(1 − √(1 − u))
    ],
    ids=lambda value: value.dist.name if hasattr(value, "dist") else "",
)
def test_tails_with_an_end_or_a_kink_meet_their_closed_forms(dist, shortfall):
    assert compute_downside_metrics(dist).cvar_5 == pytest.approx(shortfall, abs=1e-9)


def test_a_histogram_of_returns_works_though_its_density_jumps():
    dist = stats.rv_histogram((np.array([1, 0, 3, 40, 50, 6]), np.array([-0.3, -0.2, -0.15, -0.1, 0.0, 0.05, 0.1])), density=False)
    metrics = compute_downside_metrics(dist)
    # 1 % uniform on −0.3 … −0.2, 3 % on −0.15 … −0.1, and the next 1 % on −0.1 … −0.0975 of a bin of 40 %
    assert metrics.var_5 == pytest.approx(0.0975, abs=1e-6)
    assert metrics.cvar_5 == pytest.approx((0.01 * 0.25 + 0.03 * 0.125 + 0.01 * 0.09875) / 0.05, abs=1e-6)
    assert metrics.p_loss == pytest.approx(0.44, abs=1e-6)


def test_a_density_that_hides_between_the_nodes_of_a_quadrature_still_has_its_shortfall():
    comb = np.tile([1, 0], 1000)  # every other of 2000 bins of 0.001 is empty
    metrics = compute_downside_metrics(stats.rv_histogram((comb, np.linspace(-1.0, 1.0, 2001))))
    # 5 % is 50 full bins, with centres −0.9995, −0.9975 … −0.9015
    assert metrics.cvar_5 == pytest.approx(0.9505, abs=1e-9)
    assert 0.900 <= metrics.var_5 <= 0.901 + 1e-9  # an empty bin: any of its returns is a 5 % quantile


def test_a_tail_that_gains_has_a_negative_shortfall_and_is_fully_bullish():
    metrics = compute_downside_metrics(stats.uniform(0.1, 0.2))
    assert metrics.cvar_5 == pytest.approx(-0.105, abs=1e-9)
    assert metrics.p_loss == 0.0
    assert downside_signal(metrics, "risk_adjusted") == 1.0


@pytest.mark.parametrize(
    "dist",
    [stats.t(2.0), stats.t(1.5), stats.cauchy(), stats.levy_stable(1.7, 0.0), stats.jf_skew_t(0.8, 3.0), stats.genpareto(0.6)],
    ids=lambda dist: f"{dist.dist.name}{dist.args}",
)
def test_tails_without_a_variance_are_refused(dist):
    with pytest.raises(ConfigError, match="infinite or undefined"):
        compute_downside_metrics(dist)


@pytest.mark.parametrize("dist", [stats.norm(0.0, 0.0), stats.t(3.0, scale=-1.0), stats.t(math.nan)])
def test_invalid_parameters_are_refused(dist):
    with pytest.raises(ConfigError, match="dist = "):
        compute_downside_metrics(dist)


@pytest.mark.parametrize("dist", [None, 0.3, stats.poisson(3.0), [0.01, -0.02]])
def test_what_is_no_continuous_distribution_is_refused(dist):
    with pytest.raises(ConfigError, match="continuous frozen distribution"):
        compute_downside_metrics(dist)


def test_a_family_without_its_parameters_is_refused():
    with pytest.raises(ConfigError, match="freeze it"):
        compute_downside_metrics(stats.t)


def test_several_distributions_at_once_are_refused():
    with pytest.raises(ConfigError, match="one distribution at a time"):
        compute_downside_metrics(stats.t([3.0, 4.0]))


class Shifted:
    """A density and a distribution function that belong to different distributions."""

    def __init__(self, density: float, probability: float) -> None:
        self.density, self.probability = stats.laplace(density), stats.laplace(probability)

    def mean(self) -> float:
        return 0.0

    def var(self) -> float:
        return 2.0

    def pdf(self, x: float) -> float:
        return float(self.density.pdf(x))

    def cdf(self, x: float) -> float:
        return float(self.probability.cdf(x))

    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf


def test_a_distribution_that_contradicts_itself_is_refused():
    assert compute_downside_metrics(Shifted(0.0, 0.0)).cvar_5 == pytest.approx(1.0 - math.log(0.1), abs=1e-9)
    with pytest.raises(ConfigError, match="density"):
        compute_downside_metrics(Shifted(0.5, 0.0))
    with pytest.raises(ConfigError, match="contradict"):
        compute_downside_metrics(Shifted(0.0, 50.0))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("probability", 1.0 - 2.0 * 0.3085375387),
        ("risk_adjusted", 0.01 / (2.0 * (-0.01 + 0.02 * 2.062712807))),
        ("sharpe", 0.25),  # 0.5/2
        ("kelly", 1.0),  # 25, clipped
    ],
)
def test_each_method_of_a_quick_signal(method, expected):
    assert quick_signal(0.01, 0.02, method) == pytest.approx(expected)


def test_the_risk_adjusted_signal_is_the_formula_written_out():
    shortfall = 0.004 + 0.02 * 2.062712807
    assert quick_signal(-0.004, 0.02, "risk_adjusted") == pytest.approx((-0.004 + shortfall) / (2.0 * shortfall) - 0.5)


def test_probability_is_the_default_method():
    assert quick_signal(0.01, 0.02) == quick_signal(0.01, 0.02, "probability")


def test_kelly_is_not_clipped_while_it_is_small():
    assert quick_signal(-0.0002, 0.02, "kelly") == pytest.approx(-0.5)  # −0.0002/0.0004


@pytest.mark.parametrize("method", METHODS)
def test_without_an_expected_return_every_method_is_neutral(method):
    assert quick_signal(0.0, 0.02, method) == 0.0
    assert quick_signal(0.0, 0.0, method) == 0.0


@pytest.mark.parametrize("method", METHODS)
def test_a_certain_gain_is_fully_bullish(method):
    assert quick_signal(0.01, 0.0, method) == 1.0


@pytest.mark.parametrize(("method", "expected"), [("probability", -1.0), ("risk_adjusted", -0.5), ("sharpe", -1.0), ("kelly", -1.0)])
def test_a_certain_loss_is_as_bearish_as_the_method_gets(method, expected):
    assert quick_signal(-0.01, 0.0, method) == expected


def test_a_certain_return_has_no_finite_kelly():
    metrics = quick_downside_metrics(0.01, 0.0)
    assert (metrics.p_loss, metrics.var_5, metrics.cvar_5, metrics.kelly, metrics.half_kelly) == (0.0, -0.01, -0.01, math.inf, math.inf)


@pytest.mark.parametrize(("er", "vol"), [(math.nan, 0.1), (math.inf, 0.1), (0.1, math.nan), (0.1, math.inf), (0.1, -0.01)])
def test_moments_that_are_none_are_refused(er, vol):
    with pytest.raises(ConfigError):
        quick_downside_metrics(er, vol)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="probability, risk_adjusted, sharpe, kelly"):
        quick_signal(0.01, 0.02, "sortino")


def test_a_distributional_signal_feeds_the_engine():
    engine = HedgeEngine()
    made = DistributionalSignal.from_distribution(stats.t(3.0, loc=-0.01, scale=0.02), "forecast", 2.0, "sharpe")
    sharpe = -0.01 / (0.02 * math.sqrt(3.0))
    assert made.value == pytest.approx(sharpe / 2.0)
    assert made.metrics.cvar_5 == pytest.approx(0.01 + 0.02 * student_shortfall(3.0))
    made.add_to(engine)
    signal = engine.signals["forecast"]
    assert (signal.value, signal.weight, signal.raw_value) == (made.value, 2.0, pytest.approx(sharpe))
    assert "CVaR" in signal.description
    assert engine.compute(100_000.0).direction is Direction.REDUCE_LONG


@pytest.mark.parametrize("method", METHODS)
def test_a_signal_from_moments_is_the_quick_signal(method):
    made = DistributionalSignal.from_moments(0.001, 0.02, "forecast", method=method)
    assert (made.value, made.weight, made.method) == (quick_signal(0.001, 0.02, method), 1.0, method)


@pytest.mark.parametrize("method", METHODS)
def test_even_a_certain_return_can_be_added(method):
    engine = HedgeEngine()
    DistributionalSignal.from_moments(0.01, 0.0, "sure", 1.0, method).add_to(engine)
    assert engine.signals["sure"].value == 1.0


@pytest.mark.parametrize(("name", "weight"), [("", 1.0), ("forecast", -1.0), ("forecast", math.nan)])
def test_a_bad_name_or_weight_is_refused_when_the_signal_is_made(name, weight):
    with pytest.raises(ConfigError):
        DistributionalSignal.from_moments(0.01, 0.02, name, weight)
