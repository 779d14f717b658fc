"""What a return distribution says about the downside, and the signal that this is: probability of loss, VaR, CVaR, Kelly. Pure.

All figures are fractions of the exposure over the distribution's own horizon, for a long exposure. VaR and CVaR are losses: positive
when the tail loses, negative when even the tail gains. Closed form for the normal, adaptive quadrature for any other continuous
distribution of scipy (Student-t, normal inverse Gaussian, skew-t); nothing is sampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.shortfall import TAIL, Distribution, expected_shortfall, is_normal, loss_probability, moments, tail_quantile
from alpha_pulse.hedging.risk.sizers.signal import HedgeEngine, Signal

SignalMethod = Literal["probability", "risk_adjusted", "sharpe", "kelly"]

_Z_TAIL: Final = 1.6448536269514722  # −Φ⁻¹(0.05)
_SHORTFALL: Final = math.exp(-0.5 * _Z_TAIL * _Z_TAIL) / math.sqrt(2.0 * math.pi) / TAIL  # φ(z)/0.05


@dataclass(frozen=True, slots=True)
class DownsideMetrics:
    """The downside of a long exposure over one horizon; fractions of the exposure."""

    p_loss: float
    """Probability that the return is below 0."""
    expected_return: float
    volatility: float
    """Standard deviation."""
    var_5: float
    """The loss that is exceeded with a probability of 5 %; negative if that is a gain."""
    cvar_5: float
    """The mean loss of the worst 5 %, expected shortfall; never below ``var_5``."""
    kelly: float
    """mean/variance, the growth-optimal exposure as a multiple of wealth; ±inf for a certain return other than 0."""
    half_kelly: float


def quick_downside_metrics(er: float, vol: float) -> DownsideMetrics:
    """The downside of normal returns, in closed form: CVaR = −E + σ·φ(z)/0.05, Kelly = E/σ².

    McNeil, Frey, Embrechts, "Quantitative Risk Management", 2015, ex. 2.11; Thorp, "The Kelly criterion", 2006, §7. With ``vol`` = 0
    the return is certain: p_loss is 0, 1, or for a return of 0 its limit 0.5, and Kelly is ±inf, or 0.

    Args:
        er: expected return, fraction.
        vol: standard deviation over the same horizon, fraction, 0 or more.

    Raises:
        ConfigError: an argument is not finite, or ``vol`` is negative.
    """
    if not math.isfinite(er):
        raise ConfigError("It must be a finite number", field="er", value=er, fix="give the expected return as a fraction")
    if not 0.0 <= vol < math.inf:
        raise ConfigError("It must be a finite number, 0 or more", field="vol", value=vol, fix="give the standard deviation as a fraction")
    er, vol = float(er), float(vol)
    z = _ratio(er, vol)
    kelly = _ratio(z, vol)
    return DownsideMetrics(
        p_loss=0.5 * math.erfc(z / math.sqrt(2.0)),
        expected_return=er,
        volatility=vol,
        var_5=-er + vol * _Z_TAIL,
        cvar_5=-er + vol * _SHORTFALL,
        kelly=kelly,
        half_kelly=0.5 * kelly,
    )


def compute_downside_metrics(dist: Distribution) -> DownsideMetrics:
    """The downside of any continuous frozen distribution of scipy, by quadrature of its density; the normal in closed form.

    CVaR is −q + E[(q − R)⁺]/0.05 with q the 5 % quantile (Rockafellar and Uryasev, "Optimization of conditional value-at-risk", 2000),
    which an error in q changes only in second order. The tail's probability is integrated too, and must come out as 5 %;
    where a jumpy density (a histogram's) defeats that, the distribution function is integrated instead.

    Args:
        dist: scalar parameters; its mean and variance must exist.

    Raises:
        ConfigError: it is discrete or has array parameters, its mean or variance is infinite or undefined (Cauchy; Student-t with
            df ≤ 2), or its density and its distribution function contradict each other.
    """
    mean, variance = moments(dist)
    volatility = math.sqrt(variance)
    if is_normal(dist):
        return quick_downside_metrics(mean, volatility)
    quantile = tail_quantile(dist, mean, volatility)
    cvar = expected_shortfall(dist, quantile, volatility)
    kelly = _ratio(_ratio(mean, volatility), volatility)
    return DownsideMetrics(loss_probability(dist), mean, volatility, -quantile, cvar, kelly, 0.5 * kelly)


def quick_signal(er: float, vol: float, method: SignalMethod = "probability") -> float:
    """A signal in [−1, +1] from the first two moments, returns taken as normal. See :func:`downside_signal`.

    Raises:
        ConfigError: as :func:`quick_downside_metrics`, or the method is unknown.
    """
    return downside_signal(quick_downside_metrics(er, vol), method)


def downside_signal(metrics: DownsideMetrics, method: SignalMethod = "probability") -> float:
    """A signal in [−1, +1], +1 bullish, from a distribution's downside.

    ========================  =========================================================================================
    ``"probability"``         1 − 2·p_loss
    ``"risk_adjusted"``       clip((E + CVaR)/(2·CVaR) − 0.5) = clip(E/(2·CVaR)); +1 when not even the tail loses and E > 0.
                              CVaR ≥ −E, so that it never falls below −0.5
    ``"sharpe"``              clip(E/σ/2)
    ``"kelly"``               clip(E/σ²)
    ========================  =========================================================================================

    Raises:
        ConfigError: the method is unknown.
    """
    raw = _raw_value(metrics, method)
    if method == "probability":
        return _clip(1.0 - 2.0 * raw)
    return _clip(raw if method == "kelly" else 0.5 * raw)


@dataclass(frozen=True, slots=True)
class DistributionalSignal:
    """A return distribution's view of the market, ready for a :class:`~alpha_pulse.hedging.risk.sizers.signal.HedgeEngine`."""

    name: str
    value: float
    """In [−1, +1], +1 bullish."""
    weight: float
    method: SignalMethod
    metrics: DownsideMetrics

    @classmethod
    def from_distribution(cls, dist: Distribution, name: str, weight: float = 1.0, method: SignalMethod = "probability") -> Self:
        """From any continuous frozen distribution of scipy.

        Raises:
            ConfigError: as :func:`compute_downside_metrics`, :func:`downside_signal` and :class:`Signal`.
        """
        return cls._of(compute_downside_metrics(dist), name, weight, method)

    @classmethod
    def from_moments(cls, er: float, vol: float, name: str, weight: float = 1.0, method: SignalMethod = "probability") -> Self:
        """From an expected return and a volatility, returns taken as normal.

        Raises:
            ConfigError: as :func:`quick_downside_metrics`, :func:`downside_signal` and :class:`Signal`.
        """
        return cls._of(quick_downside_metrics(er, vol), name, weight, method)

    @classmethod
    def _of(cls, metrics: DownsideMetrics, name: str, weight: float, method: SignalMethod) -> Self:
        made = cls(name, downside_signal(metrics, method), weight, method, metrics)
        made.as_signal()  # refuses a bad name or weight here rather than when it is added
        return made

    def as_signal(self) -> Signal:
        """The engine's view of it. ``raw_value`` is p_loss, E/CVaR, Sharpe or Kelly, by method."""
        raw = _raw_value(self.metrics, self.method)
        text = f"{self.method}: P(loss) {self.metrics.p_loss:.1%}, CVaR 5 % {self.metrics.cvar_5:.2%}, Kelly {self.metrics.kelly:.2f}"
        return Signal(self.name, self.value, self.weight, raw if math.isfinite(raw) else None, text)

    def add_to(self, engine: HedgeEngine) -> None:
        """Add it to an engine, or replace the signal of its name there."""
        signal = self.as_signal()
        engine.add_signal(signal.name, signal.value, signal.weight, signal.raw_value, signal.description)


def _raw_value(metrics: DownsideMetrics, method: SignalMethod) -> float:
    """The figure behind a method's signal, before it is scaled and clipped."""
    if method == "probability":
        return metrics.p_loss
    if method == "risk_adjusted":
        return _ratio(metrics.expected_return, max(0.0, metrics.cvar_5))
    if method == "sharpe":
        return _ratio(metrics.expected_return, metrics.volatility)
    if method == "kelly":
        return metrics.kelly
    raise ConfigError("There is no such method", field="method", value=method, fix=f"use one of: {', '.join(get_args(SignalMethod))}")


def _clip(value: float) -> float:
    """Into [−1, +1]."""
    return max(-1.0, min(1.0, value))


def _ratio(value: float, scale: float) -> float:
    """value/scale, and its limit at scale 0: ±inf by the value's sign, 0 for a value of 0."""
    if value == 0.0:
        return 0.0
    return value / scale if scale > 0.0 else math.copysign(math.inf, value)
