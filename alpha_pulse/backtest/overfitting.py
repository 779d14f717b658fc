"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

The probabilistic and the deflated Sharpe ratio, from ``alpha_pulse.backtest.sharpe``, can be imported from here too.

Bailey, D. H., Borwein, J. M., López de Prado, M. and Zhu, Q. J. (2017), "The probability of backtest overfitting", Journal of Computational
Finance 20(4), 39-69. The periods are cut into S blocks. Each choice of half of them is a training set, the other half its test set. The
best trial of the training set has a rank in the test set; how often that rank is in the lower half is the probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.sharpe import (
    DeflatedSharpe,
    SharpeEstimate,
    check_trials,
    deflate,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    per_period,
    probabilistic_sharpe,
)
from alpha_pulse.errors import ConfigError

__all__ = [
    "DeflatedSharpe",
    "Overfitting",
    "SharpeEstimate",
    "deflate",
    "deflated_sharpe",
    "effective_trials",
    "expected_maximum_sharpe",
    "minimum_track_record",
    "per_period",
    "probabilistic_sharpe",
    "probability_of_overfitting",
]

LIMIT: Final = 0.05
"""A probability of overfitting above this refuses the selection, as the paper proposes in analogy to a test at 5 %."""
_MOST_BLOCKS: Final = 20  # 184,756 splits
_PERIODS_PER_BLOCK: Final = 2
_BATCH: Final = 2_000_000  # splits times trials that are held at once

Measure = Literal["sharpe", "mean"]


@dataclass(frozen=True, slots=True)
class Overfitting:
    """How the best trial of a training set did in its test set, over all splits."""

    probability: float
    """Share of splits in which the best of training was in the lower half of the test (logit ≤ 0). Without any skill: about a half."""
    logits: FloatArray
    """ln(w/(1 − w)) of the relative rank w in the test, shape (splits,)."""
    degradation: float
    """Slope of test on training performance of the chosen ones; 1 is none, below 0 the better in training the worse in the test."""
    probability_of_loss: float
    """Share of splits in which the chosen one lost in the test."""
    trials: int
    blocks: int

    @property
    def survives(self) -> bool:
        """Whether the probability is at most 5 %, and the chosen one does not lose more often than that either."""
        return self.probability <= LIMIT and self.probability_of_loss <= LIMIT

    @property
    def verdict(self) -> str:
        """In plain words."""
        what = (
            f"Of {len(self.logits):,} ways to halve the data, the best of {self.trials:,} trials in one half was in the lower half of the "
            f"other in {self.probability:.1%}, and lost there in {self.probability_of_loss:.1%}."
        )
        if self.survives:
            return f"{what} The selection survives: what was best stayed good."
        if self.probability <= LIMIT:
            return f"{what} It does not survive: the best stays the best, but does not earn."
        worth = "is worth no more than drawing lots" if self.probability >= 0.4 else "is not reliable"  # noqa: PLR2004 - near a half
        return f"{what} It does not survive: choosing the best of this backtest {worth}."


def probability_of_overfitting(trials: npt.ArrayLike, blocks: int = 16, measure: Measure = "sharpe") -> Overfitting:
    """CSCV on the returns of everything that was tried.

    Args:
        trials: returns per period, shape (periods, trials); all trials over the same periods. The first periods that do not fill a block
            are left out.
        blocks: S, even, 4 … 20; 16 gives 12,870 splits.
        measure: what "best" means: the Sharpe ratio, or the mean return.

    Raises:
        ConfigError: fewer than 2 trials or than 2 periods a block, a return that is not finite, a trial without any spread, or a number of
            blocks that cannot be halved.
    """
    if blocks % 2 or not 4 <= blocks <= _MOST_BLOCKS:  # noqa: PLR2004 - two blocks make two splits
        raise ConfigError(f"It must be even, from 4 to {_MOST_BLOCKS}", field="blocks", value=blocks, fix="take 16")
    if measure not in {"sharpe", "mean"}:
        raise ConfigError("There is no such measure", field="measure", value=measure, fix='write "sharpe" or "mean"')
    matrix = check_trials(trials, blocks * _PERIODS_PER_BLOCK)
    if matrix.shape[1] < 2:  # noqa: PLR2004 - a choice needs two
        raise ConfigError("One trial is no choice", field="trials", fix="give every trial that was looked at, a column each")
    length = len(matrix) // blocks
    cut = matrix[len(matrix) - length * blocks :].reshape(blocks, length, -1)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    size = max(1, _BATCH // matrix.shape[1])
    parts = [_splits(cut, halves[start : start + size], measure) for start in range(0, len(halves), size)]
    train, test, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    relative = rank / (matrix.shape[1] + 1.0)
    logits = np.log(relative / (1.0 - relative))
    spread = float(train.var())
    slope = float(np.mean((train - train.mean()) * (test - test.mean()))) / spread if spread > 0.0 else math.nan
    return Overfitting(
        probability=float(np.mean(logits <= 0.0)),
        logits=logits,
        degradation=slope,
        probability_of_loss=float(np.mean(test < 0.0)),
        trials=matrix.shape[1],
        blocks=blocks,
    )


def _splits(cut: FloatArray, halves: FloatArray, measure: Measure) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each split: performance of the best of training there and in the test, and its rank in the test, from 1 (the worst) to N."""
    count = cut.shape[1] * (cut.shape[0] // 2)
    centre = cut.mean(axis=(0, 1))  # squares of values far from 0 would cancel
    sums, squares = (cut - centre).sum(axis=1), ((cut - centre) ** 2).sum(axis=1)
    performance = []
    for half in (halves, 1.0 - halves):
        mean = half @ sums / count
        if measure == "sharpe":
            variance = np.maximum(half @ squares / count - mean**2, np.finfo(np.float64).tiny) * count / (count - 1)
            performance.append((mean + centre) / np.sqrt(variance))
        else:
            performance.append(mean + centre)
    train, test = performance
    rows, best = np.arange(len(train)), train.argmax(axis=1)
    own = test[rows, best]
    below, equal = (test < own[:, None]).sum(axis=1), (test == own[:, None]).sum(axis=1)
    return train[rows, best], own, below + (equal + 1.0) / 2.0
