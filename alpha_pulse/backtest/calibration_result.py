"""What a calibration found, training beside test, and what that is worth in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.sharpe import CONFIDENCE, SharpeEstimate, probabilistic_sharpe
from alpha_pulse.backtest.signals.figures import Metric
from alpha_pulse.errors import ConfigError

_RATIOS: tuple[Metric, ...] = ("sharpe", "sortino", "calmar")


@dataclass(frozen=True, slots=True)
class PartFigures:
    """One set of weights on one part of the data. Fractions; money in quote units; ratios annualised (365 days) or NaN."""

    first_ms: int
    last_ms: int
    bars: int
    scores: Mapping[Metric, float]
    """By metric."""
    total_return: float
    max_drawdown: float
    num_trades: int
    total_costs: float
    returns: FloatArray
    """Simple returns of equity to each bar from the second on, shape (bars − 1,)."""

    @property
    def skill(self) -> float:
        """Probability that the true Sharpe ratio is above 0 (the probabilistic Sharpe ratio); NaN where there is no Sharpe ratio."""
        try:
            return probabilistic_sharpe(SharpeEstimate.of(self.returns))
        except ConfigError:  # it never traded: its returns are all 0
            return math.nan


@dataclass(frozen=True, slots=True)
class Calibration:
    """The chosen weights, and how they, equal ones and holding did where they were chosen and where they were not."""

    weights: Mapping[str, float]
    """As they were tried, each within its bounds; they count in proportion to their sum."""
    metric: Metric
    train: PartFigures
    test: PartFigures
    equal_train: PartFigures
    equal_test: PartFigures
    hold_train: PartFigures
    """A signal of 1 throughout: bought once and held."""
    hold_test: PartFigures
    trials: tuple[tuple[Mapping[str, float], float], ...]
    """Weights and training score of every trial, in order; the first is equal weights."""
    seed: int

    @property
    def shares(self) -> Mapping[str, float]:
        """The weights as fractions of their sum; all 0 where they are."""
        return shares_of(self.weights)

    @property
    def train_score(self) -> float:
        """The metric that was searched for, on the training part."""
        return self.train.scores[self.metric]

    @property
    def test_score(self) -> float:
        """The same on the test part."""
        return self.test.scores[self.metric]

    @property
    def survives(self) -> bool:
        """Whether in the test the true Sharpe ratio is above 0 (at 95 %), and the chosen weights did better than equal ones."""
        return self.test.skill >= CONFIDENCE and self.test_score > self.equal_test.scores[self.metric]

    @property
    def verdict(self) -> str:
        """In plain words."""
        if not math.isfinite(self.test.skill):
            return "On the test part nothing was traded: it says nothing."
        skill = f"On the test part the true Sharpe ratio is above 0 with a probability of {self.test.skill:.1%}"
        better = self.test_score > self.equal_test.scores[self.metric]
        held = "" if self.test_score > self.hold_test.scores[self.metric] else " Holding did as well or better there."
        if self.survives:
            return f"{skill}, and the weights did better there than equal ones: the calibration survives.{held}"
        proof = f"; {CONFIDENCE:.0%} is asked for" if self.test.skill < CONFIDENCE else ""
        beaten = "" if better else " Equal weights did as well or better there: the search found nothing that lasted."
        return f"{skill}{proof}.{beaten}{held} The calibration does not survive."

    def summary(self) -> str:
        """The weights, and training against test, for a person."""
        lines = [f"Weights by {self.metric}, best of {len(self.trials)} trials (seed {self.seed}):"]
        lines += [f"  {name:<22}{weight:.4f}  ({self.shares[name]:.1%})" for name, weight in self.weights.items()]
        rows = {
            "training": self.train,
            "test": self.test,
            "equal, training": self.equal_train,
            "equal, test": self.equal_test,
            "holding, training": self.hold_train,
            "holding, test": self.hold_test,
        }
        return "\n".join([*lines, *table_of(list(rows.items())), self.verdict])


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One set of weights on both parts."""

    label: str
    weights: Mapping[str, float]
    train: PartFigures
    test: PartFigures


@dataclass(frozen=True, slots=True)
class WeightComparison:
    """Several sets of weights side by side, in the order given."""

    rows: tuple[WeightRow, ...]

    def best(self, metric: Metric = "sharpe") -> WeightRow:
        """The set that did best in training; what did best in the test was not known when it had to be chosen."""
        return max(self.rows, key=lambda row: row.train.scores[metric] if math.isfinite(row.train.scores[metric]) else -math.inf)

    def summary(self) -> str:
        """A table for a person, training above test for each set."""
        table = [(f"{row.label}, {name}", part) for row in self.rows for name, part in (("training", row.train), ("test", row.test))]
        return "\n".join(table_of(table))


def shares_of(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as fractions of their sum; all 0 where they are."""
    total = math.fsum(weights.values())
    return {name: weight / total if total > 0.0 else 0.0 for name, weight in weights.items()}


def table_of(rows: Sequence[tuple[str, PartFigures]]) -> list[str]:
    """Lines of a table, the first of them its heads."""
    width = max(16, *(len(label) for label, _ in rows)) + 2
    head = f"{'':<{width}}{'Sharpe':>8}{'Sortino':>9}{'Calmar':>8}{'return':>10}{'drawdown':>10}{'trades':>8}{'costs':>12}  period"
    return [head, *(f"{label:<{width}}{_cells(part)}" for label, part in rows)]


def _cells(part: PartFigures) -> str:
    sharpe, sortino, calmar = (_ratio(part.scores[metric]) for metric in _RATIOS)
    period = f"{utc_day(part.first_ms)} to {utc_day(part.last_ms)}"
    money = f"{part.total_return:>+10.2%}{-part.max_drawdown:>10.2%}{part.num_trades:>8,}{part.total_costs:>12,.2f}"
    return f"{sharpe:>8}{sortino:>9}{calmar:>8}{money}  {period}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "n/a"


def utc_day(ts_ms: int) -> str:
    """The day of a moment [ms since the epoch]."""
    return datetime.fromtimestamp(ts_ms / 1000.0, UTC).strftime("%Y-%m-%d")
