"""What a search is told, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpha_pulse.backtest.search.engine import EngineChoice
from alpha_pulse.backtest.search.evaluate import Outcome
from alpha_pulse.backtest.search.folds import Division, Fold
from alpha_pulse.backtest.search.market_data import MarketData
from alpha_pulse.backtest.search.study import Plan
from alpha_pulse.backtest.search.trials import Trial
from alpha_pulse.backtest.search.verdict import Verdict
from alpha_pulse.settings import Settings


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Everything that a search is told. ``settings``: of one pair, on a market that ends."""

    settings: Settings
    plan: Plan
    out: Path
    division: Division = field(default_factory=Division)
    engine: EngineChoice = "auto"
    workers: int = 1
    ray: str | None = None
    storage: str | None = None
    study: str = "search"


@dataclass(frozen=True, slots=True)
class Choice:
    """A trial with its runs on the training and on the test."""

    trial: Trial
    train: Outcome
    test: Outcome


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One training's search. ``front``: the Pareto front with its tests, by the first objective; of one objective the best alone."""

    fold: Fold
    study: str
    trials: tuple[Trial, ...]
    front: tuple[tuple[Trial, Outcome], ...]
    chosen: Choice
    importances: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search came to. ``baseline``: the configuration as it was given, on the last fold's training and test."""

    options: SearchOptions
    data: MarketData
    folds: tuple[FoldResult, ...]
    baseline: tuple[Outcome, Outcome]
    verdict: Verdict
    interrupted: bool
    rerun: int

    @property
    def last(self) -> FoldResult:
        """The fold whose choice is written down: it saw the newest data."""
        return self.folds[-1]

    @property
    def fates(self) -> dict[str, int]:
        """How many trials of all folds ended how, those whose values had been run before apart."""
        trials = [one for fold in self.folds for one in fold.trials]
        counted = Counter("repeated" if one.same_as is not None else one.fate for one in trials)
        return dict(counted)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why trials were refused, the most frequent first: an example for each field that was to blame."""
        examples: dict[str, str] = {}
        counted: Counter[str] = Counter()
        for one in (one for fold in self.folds for one in fold.trials if one.fate == "refused"):
            field = one.reason.partition(":")[0].partition(" = ")[0]
            examples.setdefault(field, one.reason)
            counted[field] += 1
        return [(examples[field], count) for field, count in counted.most_common()]

    @property
    def notes(self) -> list[tuple[str, int]]:
        """Why the replay ran trials, the most frequent first."""
        return Counter(one.note for fold in self.folds for one in fold.trials if one.note).most_common()


def without_motion(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same values with a hedge that does not move."""
    return {**params, "hedge.amplitude": 0.0, "hedge.amplitude_adverse": 0.0}
