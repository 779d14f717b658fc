"""An axis of a chart that is drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_TICKS: Final = 7
_MARGIN: Final = 0.05  # of the range, beyond the outermost points
_NARROWEST: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values on a range of pixels."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> Axis:
        """An axis on which all values lie, from pixel ``begin`` to ``end``."""
        low, high = min(values), max(values)
        room = max((high - low) * _MARGIN, abs(high) * 1e-3, _NARROWEST)
        return cls(low - room, high + room, begin, end)

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round values, about seven."""
        raw = (self.high - self.low) / _MOST_TICKS
        scale = 10.0 ** math.floor(math.log10(raw))
        step = next(unit for unit in _STEPS if unit * scale >= raw - _NARROWEST) * scale
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]
