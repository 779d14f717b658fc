"""Calculators of a user's own, with and without a ladder for numba."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.orders import Side
from alpha_pulse.hedging.common.types import GridLevel, MarketState, PositionState, Snapshot

RUNGS = 4
STEP = 0.004


def evenly_apart(market: Any, curve: Any, position: Any, levels: Any) -> int:
    """A tenth of the inventory every 0.4 % from the mark: sells down to full hedge, buys back up to none."""
    size = abs(position.inventory) / 10.0
    count = 0
    for k in range(1, RUNGS + 1):
        if -(position.lowest - k * size) <= position.inventory:
            levels[count].sign, levels[count].node = -1.0, k
            levels[count].price, levels[count].quantity = market.mark_close * (1.0 + STEP * k), size
            count += 1
        if position.highest + k * size <= 0.0:
            levels[count].sign, levels[count].node = 1.0, -k
            levels[count].price, levels[count].quantity = market.mark_close * (1.0 - STEP * k), size
            count += 1
    return count


class EvenlyApart:
    """The same in Python."""

    compiled_ladder = staticmethod(evenly_apart)

    def calculate_grid_levels(self, market: MarketState, position: PositionState) -> Sequence[GridLevel]:
        inventory = float(position.inventory)
        size, mark = abs(inventory) / 10.0, market.raw.mark.close
        levels = []
        for k in range(1, RUNGS + 1):
            if -(float(position.lowest) - k * size) <= inventory:
                levels.append(GridLevel(Side.SELL, Decimal(mark * (1.0 + STEP * k)), Decimal(size), k))
            if float(position.highest) + k * size <= 0.0:
                levels.append(GridLevel(Side.BUY, Decimal(mark * (1.0 - STEP * k)), Decimal(size), -k))
        return levels


def reads_a_file(market: Any, curve: Any, position: Any, levels: Any) -> int:
    with open("levels.txt") as file:  # noqa: PTH123 - it is here to be refused
        return len(file.read())


class NotForNumba(EvenlyApart):
    compiled_ladder = staticmethod(reads_a_file)


class NoFunction(EvenlyApart):
    compiled_ladder = "evenly"  # type: ignore[assignment]


def writes_too_much(market: Any, curve: Any, position: Any, levels: Any) -> int:
    for k in range(len(levels) + 1):
        levels[k].price = 1.0
    return 0


class TooMuch(EvenlyApart):
    compiled_ladder = staticmethod(writes_too_much)


class WithoutLadder:
    def calculate_grid_levels(self, market: MarketState, position: PositionState) -> Sequence[GridLevel]:
        return ()


class OwnSizer:
    def size(self, snapshot: Snapshot) -> tuple[float, str]:
        return 0.5, "half"
