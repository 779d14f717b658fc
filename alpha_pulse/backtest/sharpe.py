"""Whether a Sharpe ratio is more than luck, and more than the best of many lucky ones.

Sharpe ratios in this module are *per period*, mean/deviation of the returns as given, not annualised: ``per_period`` converts. Kurtosis is
3 for a normal distribution. Sources:

- Bailey, D. H. and López de Prado, M. (2012), "The Sharpe ratio efficient frontier", Journal of Risk 15(2), 3-44: the probabilistic Sharpe
  ratio and the minimum track record length.
- Bailey, D. H. and López de Prado, M. (2014), "The deflated Sharpe ratio: correcting for selection bias, backtest overfitting and
  non-normality", Journal of Portfolio Management 40(5), 94-107.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.errors import ConfigError

CONFIDENCE: Final = 0.95
"""The probability from which a result counts as more than luck."""
_EULER: Final = 0.577215664901532860606512
_NORMAL: Final = NormalDist()
_NO_SPREAD: Final = 1e-14  # what rounding makes of equal returns
_LEAST: Final = 4  # a kurtosis needs four returns
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class SharpeEstimate:
    """What the tests need of a series of returns. ``sharpe`` is per period, ``kurtosis`` 3 for a normal distribution."""

    sharpe: float
    periods: int
    skew: float = 0.0
    kurtosis: float = 3.0

    def __post_init__(self) -> None:
        for field in ("sharpe", "skew", "kurtosis"):
            if not math.isfinite(getattr(self, field)):
                raise ConfigError("It must be finite", field=field, value=getattr(self, field), fix="leave out returns that are no numbers")
        if self.periods < _PAIR:
            raise ConfigError("A deviation needs two returns", field="periods", value=self.periods, fix="give a longer track record")
        if self.kurtosis < 1.0 + self.skew**2 - 1e-9:
            raise ConfigError(
                f"No distribution has this kurtosis at a skew of {self.skew:g}",
                field="kurtosis",
                value=self.kurtosis,
                fix="give the kurtosis itself (3 for a normal distribution), not the excess",
            )

    @property
    def deviation(self) -> float:
        """√(1 − skew·SR + (kurtosis − 1)/4·SR²): standard error of the Sharpe ratio times √(periods − 1) (Mertens 2002)."""
        return math.sqrt(max(0.0, 1.0 - self.skew * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2))

    @classmethod
    def of(cls, returns: npt.ArrayLike) -> SharpeEstimate:
        """Estimate from returns per period, shape (periods,); skew and kurtosis are the sample's own, without correction for its size.

        Raises:
            ConfigError: fewer than 4 returns, one that is not finite, or returns that are all alike.
        """
        sample = check_returns(returns, "returns", _LEAST)
        if np.ptp(sample) <= _NO_SPREAD:
            raise ConfigError(
                "They are all alike: there is no Sharpe ratio", field="returns", fix="give the returns of something that moved"
            )
        away = (sample - sample.mean()) / sample.std()
        skew, kurtosis = float(np.mean(away**3)), float(np.mean(away**4))
        return cls(float(sample.mean() / sample.std(ddof=1)), len(sample), skew, kurtosis)


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A Sharpe ratio against the best that luck would have brought among ``trials``; ratios per period."""

    probability: float
    """That the true Sharpe ratio is above ``benchmark``: the deflated Sharpe ratio."""
    benchmark: float
    """Expected highest Sharpe ratio of so many trials without skill."""
    estimate: SharpeEstimate
    trials: float

    @property
    def survives(self) -> bool:
        """Whether the probability reaches 95 %."""
        return self.probability >= CONFIDENCE

    @property
    def verdict(self) -> str:
        """In plain words."""
        found = f"Sharpe {self.estimate.sharpe:.4f} a period over {self.estimate.periods:,} periods, best of {self.trials:,.4g}"
        bar = f"luck alone would have brought {self.benchmark:.4f}; the true one is above that with a probability of {self.probability:.1%}"
        end = "It survives." if self.survives else f"It does not survive: {CONFIDENCE:.0%} is asked for."
        return f"{found}: {bar}. {end}"


def per_period(annual_sharpe: float, periods_per_year: float) -> float:
    """An annualised Sharpe ratio per period: divided by √periods."""
    return annual_sharpe / math.sqrt(periods_per_year)


def probabilistic_sharpe(estimate: SharpeEstimate, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark`` (per period): Φ( (SR − SR*)·√(n − 1)/deviation ) (2012)."""
    away = (estimate.sharpe - benchmark) * math.sqrt(estimate.periods - 1)
    if estimate.deviation == 0.0:
        return 0.5 if away == 0.0 else float(away > 0.0)
    return _NORMAL.cdf(away / estimate.deviation)


def minimum_track_record(estimate: SharpeEstimate, benchmark: float = 0.0, confidence: float = CONFIDENCE) -> float:
    """Periods that it takes to tell ``estimate`` from ``benchmark``: 1 + (deviation·z/(SR − SR*))² (2012). ``periods`` is not read.

    Infinite where the estimate is not above the benchmark.

    Raises:
        ConfigError: a confidence outside (0.5, 1).
    """
    if not 0.5 < confidence < 1.0:  # noqa: PLR2004 - below a half, no record at all would be enough
        raise ConfigError("It must lie between 0.5 and 1", field="confidence", value=confidence, fix="95 % is 0.95")
    if estimate.sharpe <= benchmark:
        return math.inf
    ratio = estimate.deviation * _NORMAL.inv_cdf(confidence) / (estimate.sharpe - benchmark)
    return 1.0 + ratio * ratio  # a product overflows to infinity, where a power raises


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Highest Sharpe ratio to expect of ``trials`` independent ones without skill.

    √V·( (1 − γ)·z(1 − 1/N) + γ·z(1 − 1/(N·e)) ), γ the Euler-Mascheroni constant, V the ``variance`` of the trials' ratios (2014).
    For one trial nothing was chosen: 0.

    Raises:
        ConfigError: fewer than one trial, or a variance that is negative or not finite.
    """
    if not (math.isfinite(trials) and trials >= 1.0):
        raise ConfigError("There must be one trial at least", field="trials", value=trials, fix="count every backtest that was looked at")
    if not (math.isfinite(variance) and variance >= 0.0):
        raise ConfigError("It must be finite and not negative", field="variance", value=variance, fix="give the trials' own variance")
    if trials == 1.0:
        return 0.0
    plain, rare = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max(0.0, math.sqrt(variance) * ((1.0 - _EULER) * plain + _EULER * rare))


def deflated_sharpe(estimate: SharpeEstimate, trials: float, variance: float) -> DeflatedSharpe:
    """Test the Sharpe ratio of the chosen trial against the best of ``trials`` without skill.

    Args:
        estimate: of the chosen one, per period.
        trials: how many were tried, every one that was looked at. Trials that resemble each other count less: ``effective_trials``.
        variance: of the Sharpe ratios of all trials, per period.

    Raises:
        ConfigError: as ``expected_maximum_sharpe``.
    """
    benchmark = expected_maximum_sharpe(trials, variance)
    return DeflatedSharpe(probabilistic_sharpe(estimate, benchmark), benchmark, estimate, trials)


def deflate(trials: npt.ArrayLike, *, independent: bool = False) -> DeflatedSharpe:
    """The deflated Sharpe ratio of the best column among all.

    Args:
        trials: returns per period of everything that was tried, shape (periods, trials).
        independent: count each trial as one, the strictest; otherwise as ``effective_trials`` does.

    Raises:
        ConfigError: fewer than 4 periods, a return that is not finite, or a trial whose returns are all alike.
    """
    matrix = check_trials(trials, _LEAST)
    ratios = matrix.mean(axis=0) / matrix.std(axis=0, ddof=1)
    count = float(matrix.shape[1]) if independent else effective_trials(matrix)
    variance = float(ratios.var(ddof=1)) if matrix.shape[1] > 1 else 0.0
    return deflated_sharpe(SharpeEstimate.of(matrix[:, int(ratios.argmax())]), count, variance)


def effective_trials(trials: npt.ArrayLike) -> float:
    """Independent trials that N correlated ones amount to: ρ + (1 − ρ)·N, ρ their mean correlation and at least 0 (2014, appendix).

    Raises:
        ConfigError: as ``deflate``.
    """
    matrix = check_trials(trials, _LEAST)
    count = matrix.shape[1]
    standard = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    total = float(np.mean(standard.sum(axis=1) ** 2))  # the sum of all entries of the correlation matrix
    mean = min(1.0, max(0.0, (total - count) / (count * (count - 1)))) if count > 1 else 1.0
    return mean + (1.0 - mean) * float(count)


def check_returns(returns: npt.ArrayLike, field: str, least: int) -> FloatArray:
    """Returns as an array, shape (periods,).

    Raises:
        ConfigError: not one row of numbers, too few, or one that is not finite.
    """
    sample = np.asarray(returns, dtype=np.float64)
    if sample.ndim != 1:
        raise ConfigError(f"They have {sample.ndim} dimensions", field=field, fix="give one number for each period")
    if len(sample) < least:
        raise ConfigError(f"{len(sample)} periods are too few", field=field, fix=f"give at least {least}")
    if not bool(np.isfinite(sample).all()):
        raise ConfigError(
            "One is not finite", field=f"{field}[{int(np.flatnonzero(~np.isfinite(sample))[0])}]", fix="leave it out or mend it"
        )
    return sample


def check_trials(trials: npt.ArrayLike, least: int) -> FloatArray:
    """Returns of trials as an array, shape (periods, trials).

    Raises:
        ConfigError: another shape, too few periods, a return that is not finite, or a trial whose returns are all alike.
    """
    matrix = np.asarray(trials, dtype=np.float64)
    if matrix.ndim != _PAIR or matrix.shape[1] == 0:
        raise ConfigError(f"They have the shape {matrix.shape}", field="trials", fix="give a row for each period, a column for each trial")
    if len(matrix) < least:
        raise ConfigError(f"{len(matrix)} periods are too few", field="trials", fix=f"give at least {least}")
    if not bool(np.isfinite(matrix).all()):
        row, column = (int(index[0]) for index in np.nonzero(~np.isfinite(matrix)))
        raise ConfigError("It is not finite", field=f"trials[{row}, {column}]", fix="leave the trial out or mend it")
    flat = np.flatnonzero(np.ptp(matrix, axis=0) <= _NO_SPREAD)
    if len(flat):
        raise ConfigError("Its returns are all alike", field=f"trials[:, {int(flat[0])}]", fix="leave out trials that never traded")
    return matrix
