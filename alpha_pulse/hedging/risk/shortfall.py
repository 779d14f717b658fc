"""Moments and the expected shortfall of any continuous distribution of scipy, by quadrature. Pure; nothing is sampled."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from alpha_pulse.errors import ConfigError

TAIL: Final = 0.05
_ACCURACY: Final = 1e-6  # of an integral, in tail probability and in tail scales; what convergence usually leaves is 1e-12
_JUMPY: Final = 1e-3  # a density further than this from its distribution function contradicts it
_EDGES: Final = (0.0, 1.0, 4.0, 16.0, 64.0)  # where the tail is cut into pieces, in tail scales below the quantile
_NEEDED: Final = ("mean", "var", "pdf", "cdf", "support")


class Distribution(Protocol):
    """A frozen continuous distribution with scalar parameters, as ``scipy.stats.t(3, loc=0.001, scale=0.02)`` returns it."""

    def mean(self) -> float:
        """Expected return, NaN or inf if it has none."""
        ...

    def var(self) -> float:
        """Variance, NaN or inf if it has none."""
        ...

    def pdf(self, x: float, /) -> float:
        """Density at a return."""
        ...

    def cdf(self, x: float, /) -> float:
        """Probability of a return at or below."""
        ...

    def support(self) -> tuple[float, float]:
        """The least and the greatest return."""
        ...


def moments(dist: Distribution) -> tuple[float, float]:
    """Mean and variance, both finite, the variance above 0.

    Raises:
        ConfigError: it is no continuous distribution with scalar parameters, or a moment does not exist.
    """
    missing = [name for name in _NEEDED if not callable(getattr(dist, name, None))]
    if missing:
        raise _unusable(
            dist, f"It is not a continuous frozen distribution: it has no {missing[0]}()", "freeze one: scipy.stats.t(3, scale=0.02)"
        )
    try:
        with np.errstate(all="ignore"):
            mean, variance = dist.mean(), dist.var()
    except TypeError as error:
        raise _unusable(dist, "It lacks its parameters", "freeze it with them: scipy.stats.t(3, scale=0.02)") from error
    if np.ndim(mean) or np.ndim(variance):
        raise _unusable(dist, "It holds several distributions", "give scalar parameters, one distribution at a time")
    if not (math.isfinite(mean) and math.isfinite(variance)):
        problem = f"Its mean ({mean:g}) or variance ({variance:g}) is infinite or undefined, and with it volatility and Kelly"
        raise _unusable(dist, problem, "use valid parameters and thinner tails, for example Student-t with df > 2")
    if variance <= 0.0:
        raise _unusable(dist, f"Its variance ({variance:g}) is not above 0", "give a positive scale")
    return float(mean), float(variance)


def is_normal(dist: Distribution) -> bool:
    """Whether it is scipy's own normal, frozen or standard."""
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    return isinstance(getattr(dist, "dist", dist), type(norm))


def tail_quantile(dist: Distribution, mean: float, volatility: float) -> float:
    """The 5 % quantile, fraction. Cantelli's inequality puts it between μ − 4.36σ and μ + 0.23σ, where the root is bracketed:
    scipy's own search does not converge for a normal inverse Gaussian that is nearly normal.

    Raises:
        ConfigError: mean, variance and distribution function contradict each other.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

    def over(x: float) -> float:
        return float(dist.cdf(x)) - TAIL

    low, high = mean - 5.0 * volatility, mean + 0.3 * volatility
    with np.errstate(all="ignore"):
        if not over(low) <= 0.0 <= over(high):
            problem = f"Its mean {mean:g}, its volatility {volatility:g} and its distribution function contradict each other"
            raise _unusable(dist, problem, "check its parameters, or use another distribution")
        return float(brentq(over, low, high, xtol=1e-14 * volatility))


def loss_probability(dist: Distribution) -> float:
    """The probability of a return below 0."""
    with np.errstate(all="ignore"):
        return max(0.0, min(1.0, float(dist.cdf(0.0))))


def expected_shortfall(dist: Distribution, quantile: float, volatility: float) -> float:
    """The mean loss below the 5 % quantile q: −q + E[(q − R)⁺]/0.05, R being the return; fraction, positive for a loss.

    Worked in tail scales 0.05/f(q) below q: the integrand is then of order 1 whatever the distribution's scale. E[(q − R)⁺] is
    ∫(q − x)·f(x)dx where that converges and ∫f(x)dx comes out as 5 %; a density that jumps (a histogram's) can hide from a
    quadrature, and then it is ∫F(x)dx, by parts.

    Raises:
        ConfigError: density and distribution function contradict each other, or neither integral converges.
    """
    with np.errstate(all="ignore"):
        at_quantile = float(dist.pdf(quantile))
        scale = max(0.01 * volatility, min(volatility, TAIL / at_quantile if at_quantile > 0.0 else math.inf))
        depth = (quantile - float(dist.support()[0])) / scale

        def density(y: float) -> float:
            return scale * float(dist.pdf(quantile - scale * y))

        probability, error = _integral(density, depth)
        if not abs(probability - TAIL) <= _JUMPY:
            problem = f"Its density gives {probability:g} below {quantile:g}, its distribution function 0.05"
            raise _unusable(dist, problem, "check its parameters, or use another distribution")
        smooth = max(error, abs(probability - TAIL)) <= _ACCURACY
        excess, error = _integral(lambda y: y * density(y), depth) if smooth else (math.nan, math.inf)
        if error > _ACCURACY:
            excess, error = _integral(lambda y: float(dist.cdf(quantile - scale * y)), depth)
    if not error <= _ACCURACY:
        raise _unusable(dist, f"Its tail converges only to ±{error * scale / TAIL:g}", "use a smoother distribution, or thinner tails")
    return -quantile + scale / TAIL * excess


def _integral(function: Callable[[float], float], depth: float) -> tuple[float, float]:
    """∫ over 0 … depth and its error bound, by QUADPACK on pieces that grow with the tail: on one infinite piece it loses the near end."""
    from scipy.integrate import quad  # noqa: PLC0415 - slow to import

    total = error = 0.0
    for lower, upper in pairwise([*(edge for edge in _EDGES if edge < depth), depth]):
        # With full_output the verdict comes back as a bound, which the caller judges, and not as a warning.
        value, bound, *_ = quad(function, lower, upper, epsabs=1e-10, epsrel=1e-10, limit=100, full_output=True)
        total, error = total + float(value), error + float(bound)
    return total, error


def _unusable(dist: Distribution, problem: str, fix: str) -> ConfigError:
    """The error, with the distribution as its user wrote it."""
    family = getattr(dist, "dist", None)
    parameters = [f"{value:g}" if isinstance(value, float) else str(value) for value in getattr(dist, "args", ())]
    parameters += [f"{name}={value}" for name, value in getattr(dist, "kwds", {}).items()]
    shown = f"{family.name}({', '.join(parameters)})" if family is not None else dist
    return ConfigError(problem, field="dist", value=shown, fix=fix)
