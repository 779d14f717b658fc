"""What was tried, as it is kept: read back from a study's storage, so that a search that was taken up again knows all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.search.evaluate import Outcome
from alpha_pulse.backtest.search.objectives import Objective
from alpha_pulse.backtest.search.space import Value, shown

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Fate = Literal["done", "refused", "stopped"]
KEPT: Final = ("hedge_pnl", "attribution.timing", "funding", "fees", "trading.fills", "hedge_effectiveness.average_ratio")
"""Figures that are kept of every trial beside its objectives."""
ATTRIBUTE: Final = "alpha_pulse"
"""What the study keeps beside parameters and values: one attribute, for each costs a commit."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial. ``values``: the objectives in their order, empty unless it is done; ``daily``: its result by day, shape (days,)."""

    number: int
    params: Mapping[str, Value]
    fate: Fate
    values: tuple[float, ...] = ()
    reason: str = ""  # why it was refused or stopped
    engine: str = ""
    note: str = ""  # why the replay ran it
    same_as: int | None = None  # the earlier trial with the same values, whose result this is
    figures: Mapping[str, float] = field(default_factory=dict)
    daily: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Equal for trials that run on the same settings."""
        return key_of_params(self.params)


def key_of_params(params: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """What tells settings apart: every value as it is run."""
    return tuple(sorted((name, shown(value)) for name, value in params.items()))


def kept_of(outcome: Outcome, objectives: Sequence[Objective]) -> dict[str, Any]:
    """What is kept of an outcome, as JSON values."""
    figures = {path: outcome.figures.values[path] for path in KEPT if path in outcome.figures.values}
    daily = outcome.daily.account if objectives[0].account else outcome.daily.timing
    kept: dict[str, Any] = {"engine": outcome.engine, "figures": figures, "daily": [float(f"{value:.9g}") for value in daily]}
    return kept | ({"note": outcome.note} if outcome.note else {})


def trial_of(frozen: FrozenTrial) -> Trial:
    """A trial from the study, which must be finished."""
    kept = frozen.user_attrs.get(ATTRIBUTE, {})
    fate: Fate = kept.get("fate", "done")
    return Trial(
        number=frozen.number,
        params=dict(frozen.params),
        fate=fate,
        values=tuple(frozen.values) if fate == "done" and frozen.values else (),
        reason=kept.get("reason", ""),
        engine=kept.get("engine", ""),
        note=kept.get("note", ""),
        same_as=kept.get("same_as"),
        figures=kept.get("figures", {}),
        daily=np.array(kept.get("daily", ()), dtype=np.float64),
    )
