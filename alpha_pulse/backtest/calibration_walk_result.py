"""What a walk of calibrations came to, and what that is worth in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.calibration_result import PartFigures, shares_of, table_of, utc_day
from alpha_pulse.backtest.overfitting import Overfitting
from alpha_pulse.backtest.sharpe import CONFIDENCE, DeflatedSharpe
from alpha_pulse.backtest.signals.figures import Metric
from alpha_pulse.backtest.walk_forward import Split


@dataclass(frozen=True, slots=True)
class WeightFold:
    """One training, what it chose, and how that did in the test after it. Both start flat."""

    split: Split
    weights: Mapping[str, float]
    train: PartFigures
    test: PartFigures


@dataclass(frozen=True, slots=True)
class WeightWalk:
    """All tests as one record, beside equal weights and holding on the same bars."""

    folds: tuple[WeightFold, ...]
    metric: Metric
    test: PartFigures
    """One book through all tests, each stretch with the weights that the training before it chose."""
    equal: PartFigures
    hold: PartFigures
    deflated: DeflatedSharpe | None
    """Of the record against the best of all weights that were tried; per period of a bar, or of several in a long record."""
    overfitting: Overfitting | None
    """Of all weights that were tried, on the tests' bars."""
    reasons: tuple[str, ...]
    """Why a test is None."""
    n_trials: int
    seed: int

    @property
    def returns(self) -> FloatArray:
        """Of the record, per bar, shape (test bars − 1,)."""
        return self.test.returns

    @property
    def sharpe(self) -> float:
        """Of the record, annualised (365 days); NaN where nothing was traded."""
        return self.test.scores["sharpe"]

    @property
    def efficiency(self) -> float:
        """Mean test score over mean training score (Pardo's walk-forward efficiency); NaN where training found nothing."""
        trained, tested = (
            float(np.mean([part.scores[self.metric] for part in parts]))
            for parts in ([fold.train for fold in self.folds], [fold.test for fold in self.folds])
        )
        return tested / trained if trained > 0.0 and math.isfinite(tested) else math.nan

    @property
    def better_than_equal(self) -> bool:
        """Whether the record is better than equal weights on the same bars."""
        return self.test.scores[self.metric] > self.equal.scores[self.metric]

    @property
    def survives(self) -> bool:
        """Whether both tests could be made and neither objects, and the walk did better than equal weights."""
        tests = (self.deflated, self.overfitting)
        return self.better_than_equal and all(test is not None and test.survives for test in tests)

    @property
    def verdict(self) -> str:
        """In plain words."""
        if not math.isfinite(self.test.skill):
            return "Out of sample nothing was traded: it says nothing."
        earned = sum(fold.test.total_return > 0.0 for fold in self.folds)
        kept = f", and kept {self.efficiency:.0%} of what training promised" if math.isfinite(self.efficiency) else ""
        skill = f"The true Sharpe ratio is above 0 with a probability of {self.test.skill:.1%}, taken alone"
        objections = self._objections()
        end = "The calibration survives." if not objections else f"{' '.join(objections)} The calibration does not survive."
        return f"It earned in {earned} of {len(self.folds)} tests{kept}. {skill}. {end}"

    def _objections(self) -> list[str]:
        found = []
        if self.deflated is None or self.overfitting is None:
            found.append("A test could not be made.")
        if self.deflated is not None and not self.deflated.survives:
            found.append(f"After all that was tried that is worth {self.deflated.probability:.1%}, and {CONFIDENCE:.0%} is asked for.")
        if self.overfitting is not None and not self.overfitting.survives:
            found.append(f"Choosing among these weights failed in {self.overfitting.probability:.1%} of all ways to halve the tests.")
        if not self.better_than_equal:
            found.append("Equal weights did as well or better.")
        return found

    def summary(self) -> str:
        """Weights, training and test of each fold, then the record beside equal weights and holding, then the tests."""
        head = f"{len(self.folds)} calibrations by {self.metric}, each the best of {self.n_trials} trials (seed {self.seed}):"
        names = list(self.folds[0].weights)
        weights = [f"{'test from':<12}" + "".join(f"{name:>20}" for name in names)]
        weights += [utc_day(fold.test.first_ms).ljust(12) + _per_cents(shares_of(fold.weights)) for fold in self.folds]
        rows = [
            (f"{number}, {name}", part)
            for number, fold in enumerate(self.folds, 1)
            for name, part in (("training", fold.train), ("test", fold.test))
        ]
        rows += [("all tests", self.test), ("equal weights", self.equal), ("holding", self.hold)]
        tests = [test.verdict for test in (self.deflated, self.overfitting) if test is not None]
        return "\n".join([head, *weights, *table_of(rows), *tests, *self.reasons, self.verdict])


def _per_cents(shares: Mapping[str, float]) -> str:
    return "".join(f"{share:>20.1%}" for share in shares.values())
