"""How many requests, and how much money, a UTC day may take. Pure; share one between pairs to give them one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alpha_pulse.errors import ConfigError

_DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class DailyBudget:
    """Counts every attempt at the worst that it can cost, and gives back what it did not cost.

    Raises:
        ConfigError: a limit is negative or not a number.
    """

    max_calls: int
    max_cost_usd: float
    calls: int = 0  # of the day
    cost_usd: float = 0.0
    _day: int = 0

    def __post_init__(self) -> None:
        """Check the limits."""
        for name in ("max_calls", "max_cost_usd"):
            if not getattr(self, name) >= 0:  # NaN too
                raise ConfigError("must be 0 or more", field=name, value=getattr(self, name), fix="give a number of 0 or more")

    def take(self, now_ms: int, worst_usd: float) -> str:
        """Count one attempt that costs at most ``worst_usd``; the reason in words if it may not be made, else empty."""
        self._turn(now_ms)
        if self.calls >= self.max_calls:
            return f"the day's {self.max_calls} requests are used up"
        if not self.cost_usd + worst_usd <= self.max_cost_usd:
            left = max(0.0, self.max_cost_usd - self.cost_usd)
            return f"a request may cost {worst_usd:.6g} USD, and {left:.6g} of the day's {self.max_cost_usd:g} USD are left"
        self.calls += 1
        self.cost_usd += worst_usd
        return ""

    def give_back(self, taken_ms: int, amount_usd: float) -> None:
        """What the attempt of ``taken_ms`` turned out not to cost; one of an earlier day is forgotten."""
        if taken_ms // _DAY_MS == self._day:
            self.cost_usd = max(0.0, self.cost_usd - amount_usd)

    def recall(self, at_ms: int, calls: int, cost_usd: float) -> None:
        """Count what an earlier run spent at ``at_ms``; the newest day counts."""
        if at_ms // _DAY_MS >= self._day:
            self._turn(at_ms)
            self.calls += calls
            self.cost_usd += cost_usd

    def _turn(self, now_ms: int) -> None:
        day = now_ms // _DAY_MS
        if day > self._day:
            self._day, self.calls, self.cost_usd = day, 0, 0.0
