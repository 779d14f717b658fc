"""What goes into the signal engine and what comes out of it: signals, directions, decisions. Frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from alpha_pulse.errors import ConfigError


class Direction(StrEnum):
    """What to do with the position. LONG and SHORT name the position's side, not the order's."""

    REDUCE_LONG = "REDUCE_LONG"
    REDUCE_SHORT = "REDUCE_SHORT"
    HOLD = "HOLD"
    INCREASE_LONG = "INCREASE_LONG"
    INCREASE_SHORT = "INCREASE_SHORT"


def check_finite(field: str, value: float, fix: str) -> None:
    """Refuse NaN and infinity."""
    if not math.isfinite(value):
        raise ConfigError("It must be a finite number", field=field, value=value, fix=fix)


@dataclass(frozen=True, slots=True)
class Signal:
    """One opinion. ``value`` is clamped to [−1, +1] (+1 bullish); ``weight`` is kept as given, 0 or more, in any unit.

    ``raw_value`` is the reading behind the value; without one it is the value as given, before the clamp.

    Raises:
        ConfigError: the name is empty, a number is not finite, or the weight is negative.
    """

    name: str
    value: float
    weight: float
    raw_value: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("A signal needs a name", field="name", value=self.name, fix='name it, for example "funding"')
        raw = self.value if self.raw_value is None else self.raw_value
        for field, number in (("value", self.value), ("weight", self.weight), ("raw_value", raw)):
            check_finite(f"{self.name}.{field}", number, "remove the signal while there is no reading")
        if self.weight < 0.0:
            fix = "give a weight of 0 or more; to turn a signal round, negate its value"
            raise ConfigError("A weight cannot be negative", field=f"{self.name}.weight", value=self.weight, fix=fix)
        object.__setattr__(self, "value", max(-1.0, min(1.0, float(self.value))))
        object.__setattr__(self, "weight", float(self.weight))
        object.__setattr__(self, "raw_value", float(raw))


@dataclass(frozen=True, slots=True)
class SignalContribution:
    """One signal's part of a decision; the contributions add up to the combined signal."""

    value: float
    """In [−1, +1]."""
    weight: float
    """As given."""
    contribution: float
    """value·weight/Σ weight; 0 when all weights are 0."""
    raw_value: float | None
    description: str


@dataclass(frozen=True, slots=True)
class HedgeDecision:
    """What the engine says about one position, and why."""

    direction: Direction
    magnitude: float
    """How much of the possible change to make, 0 … 1; 0 on HOLD."""
    confidence: float
    """How far the signals agree, 0 … 1; 0 without signals."""
    combined_signal: float
    """The weighted mean of the signals, [−1, +1], +1 bullish."""
    signal_breakdown: Mapping[str, SignalContribution]
    """Per signal, in the order of adding."""
    reasoning: str
    """For a person."""
