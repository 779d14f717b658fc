"""Float prices on the tick grid: as exact as a float can be, so that ``Decimal(repr(price))`` is the tick's own price."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SLACK: Final = 1e-6  # ticks; a price this close to a tick is that tick


class TickGrid:
    """Rounds arrays of prices to ticks. A tick of 0.0005 is 5 units of 10⁻⁴: n ticks are 5·n / 10⁴, one correctly rounded division."""

    def __init__(self, tick_size: Decimal) -> None:
        _, digits, exponent = tick_size.normalize().as_tuple()
        places = exponent if isinstance(exponent, int) else 0  # an instrument's tick is finite
        mantissa = int("".join(map(str, digits)))
        self._units = float(mantissa * 10 ** max(places, 0))
        self._scale = 10.0 ** max(-places, 0)
        self._per_price = self._scale / self._units
        self.smallest = self._units / self._scale  # one tick, quote units

    def nearest(self, prices: Floats) -> Floats:
        """The nearest tick, at least one tick."""
        return self._price(np.maximum(np.rint(prices * self._per_price), 1.0))

    def down(self, prices: Floats) -> Floats:
        """The tick at or below; 0 for a price under one tick."""
        return self._price(np.floor(prices * self._per_price + _SLACK))

    def up(self, prices: Floats) -> Floats:
        """The tick at or above."""
        return self._price(np.ceil(prices * self._per_price - _SLACK))

    def above(self, prices: Floats) -> Floats:
        """The first tick above prices that are on ticks themselves."""
        return self._price(np.rint(prices * self._per_price) + 1.0)

    def _price(self, ticks: Floats) -> Floats:
        return ticks * self._units / self._scale
