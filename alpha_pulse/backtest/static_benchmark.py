"""One run against its static benchmark: what the gate says of the days of a single backtest, and how far that can be trusted.

A backtest does not know where its settings came from. On days that had no part in choosing them the test is out of sample; on the days on
which they were chosen it flatters them. The words say which of the two conclusions is left standing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.gate import LEAST_PERIODS, SIGNIFICANCE, Gate, daily_timing, static_gate
from alpha_pulse.backtest.metrics import Figure, Paths
from alpha_pulse.backtest.record import RunRecord

_NO_INVENTORY = "without inventory there is no static hedge to compare with"
_NEVER_MOVED = "the grid never differed from a static hedge: there is no timing to judge"
_LEAVE_IT = "timing is not significantly negative: leave it as it is"
_STILL = "there is no amplitude to take away"


@dataclass(frozen=True, slots=True)
class StaticBenchmark:
    """The gate of a run. ``gate`` is None without inventory; its means are fractions of the coins' value a day."""

    gate: Gate | None
    moves: bool
    """Whether the settings have an amplitude: otherwise only floors, steps of the ratio and the stop move the hedge."""

    @property
    def negative(self) -> bool:
        """Whether moving the hedge cost significantly more than leaving it alone."""
        return self.gate is not None and self.gate.negative

    @property
    def reason(self) -> str:
        """Why there is nothing to test; empty where there is."""
        if self.gate is None:
            return _NO_INVENTORY
        if self.gate.periods < LEAST_PERIODS:
            return f"{self.gate.periods} whole days are too few to judge the timing: {LEAST_PERIODS} are needed"
        return "" if self.gate.tested else _NEVER_MOVED

    @property
    def advice(self) -> str:
        """What follows where timing is significantly negative, in a sentence; otherwise empty."""
        if not self.negative:
            return ""
        if not self.moves:
            return (
                f"Floors, steps of the ratio and the stop cost significantly more than a static hedge of the same average size; {_STILL}."
            )
        return "Moving the hedge cost significantly more than a static hedge of the same average size: set hedge.amplitude to 0."

    @property
    def words(self) -> str:
        """What the test says and what it cannot say, for a person."""
        if self.gate is None or self.reason:
            return f"{self.reason[0].upper()}{self.reason[1:]}."
        if self.negative:
            return f"{self.advice} If these settings were chosen on these very days, other days would most likely look worse."
        found = (
            "Timing was negative, but not more than chance may do: no reason to change the amplitude, and none to trust it."
            if self.gate.mean < 0.0
            else "Timing did not cost. That the swings earn is not shown by this."
        )
        return (
            f"{found} These days are out of sample only if no setting was chosen on them; if one was, the test flatters it, and only "
            "other days can tell: alpha-pulse optimize keeps some back."
        )

    def to_json(self) -> Mapping[str, Any]:
        """The part of ``result.json``: fractions of the coins' value a day."""

        def figure(name: str) -> Figure:
            return Figure(None, self.reason) if self.gate is None or self.reason else Figure(getattr(self.gate, name))

        recommended = Figure(0.0) if self.negative and self.moves else Figure(None, self.reason or (_STILL if self.negative else _LEAVE_IT))
        return {
            "days": 0 if self.gate is None else self.gate.periods,
            "timing_per_day": figure("mean"),
            "interval_90": {"low": figure("low"), "high": figure("high")},
            "p_value": figure("p_value"),
            "verdict": "not tested" if self.gate is None or self.reason else f"{'' if self.negative else 'not '}significantly negative",
            "recommended_amplitude": recommended,
            "words": self.words,
        }


def static_benchmark(record: RunRecord, bars: Bars, paths: Paths) -> StaticBenchmark:
    """Test the run's timing, day by day, with a block bootstrap of a fixed seed: equal runs give equal answers."""
    hedge = record.settings.get("hedge")
    given = hedge if isinstance(hedge, Mapping) else {}
    moves = any(float(given.get(name) or 0.0) != 0.0 for name in ("amplitude", "amplitude_adverse"))
    inventory = float(record.inventory)
    if inventory == 0.0:
        return StaticBenchmark(None, moves)
    days = daily_timing(paths, bars, inventory)
    none = Gate(math.nan, 0.0, math.nan, math.nan, math.nan, 0, "bootstrap", SIGNIFICANCE)
    return StaticBenchmark(static_gate(days) if len(days) else none, moves)
