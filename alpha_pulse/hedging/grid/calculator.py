"""The default calculator: the hedge curve as a ladder of limit orders.

It needs no memory of past fills: position, curve and price give the ladder, so a missed fill or moved coins repair themselves.
What it remembers is only the last answer, which it gives again (the same object) while its inputs stand.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import Side
from alpha_pulse.hedging.common.types import CurveParameters, GridLevel, MarketState, PositionState
from alpha_pulse.hedging.grid.curve import (
    lots_to_buy,
    lots_to_sell,
    node_price,
    spread_over_nodes,
    target_position,
    ticks_at_or_above,
    ticks_at_or_below,
)


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The nodes of one curve in whole ticks, lowest first, with the target at each. Index i is node i − n."""

    curve: CurveParameters
    sell_ticks: tuple[int, ...]  # rounded up
    buy_ticks: tuple[int, ...]  # rounded down
    targets: tuple[float, ...]  # T(x_k), base units
    min_lots: tuple[int, ...]

    @classmethod
    def of(cls, curve: CurveParameters, instrument: Instrument) -> NodeTable:
        """Compute the table: once per step of the curve, never per tick."""
        n = curve.levels
        moved = dict(curve.snapped)
        prices = [moved.get(k) or node_price(curve.anchor, curve.spacing, k, curve.geometric) for k in range(-n, n + 1)]
        return cls(
            curve=curve,
            sell_ticks=tuple(ticks_at_or_above(p, instrument.tick) for p in prices),
            buy_ticks=tuple(ticks_at_or_below(p, instrument.tick) for p in prices),
            targets=tuple(target_at(curve, k / n) for k in range(-n, n + 1)),
            min_lots=tuple(instrument.min_lots(p) for p in prices),
        )


def target_at(curve: CurveParameters, x: float) -> float:
    """T(x) of a curve, base units, signed."""
    return target_position(
        x,
        curve.inventory,
        curve.ratio,
        curve.floor,
        curve.min_ratio,
        curve.max_ratio,
        curve.amplitude,
        curve.amplitude_adverse,
        curve.max_abs_position,
        curve.neutral_size,
    )


class DefaultGridCalculator:
    """Sells at nodes above the bid and buys at nodes below the ask, sized so that at each node the position is what the curve asks for."""

    def __init__(self) -> None:
        self._table: NodeTable | None = None
        self._key: tuple[int, int, int, int, float] | None = None
        self._levels: tuple[GridLevel, ...] = ()

    def calculate_grid_levels(self, market: MarketState, position: PositionState) -> tuple[GridLevel, ...]:
        """The ladder, nearest to the price first on each side. The same tuple object returns while nothing moved."""
        curve, instrument = position.curve, position.instrument
        table = self._table
        if table is None or table.curve is not curve:
            table = self._table = NodeTable.of(curve, instrument)
            self._key = None
        raw = market.raw
        first_sell = bisect_right(table.sell_ticks, ticks_at_or_below(raw.bid, instrument.tick))
        first_buy = bisect_left(table.buy_ticks, ticks_at_or_above(raw.ask, instrument.tick)) - 1
        lowest, highest = instrument.lots_down(position.lowest), instrument.lots_down(position.highest)
        key = (first_sell, first_buy, lowest, highest, position.stop_trigger)
        if key != self._key:
            self._key = key
            self._levels = build_ladder(table, instrument, (lowest, highest), first_sell, first_buy, position.stop_trigger)
        return self._levels

    def cell(self, instrument: Instrument) -> tuple[float, float, float, float]:
        """(lowest bid, highest bid, lowest ask, highest ask) between which the last ladder stands, quote units; inf: without end."""
        table, key, tick = self._table, self._key, instrument.tick
        if table is None or key is None:
            return math.inf, -math.inf, math.inf, -math.inf
        first_sell, first_buy = key[0], key[1]
        last = len(table.targets) - 1
        return (
            table.sell_ticks[first_sell - 1] * tick if first_sell > 0 else 0.0,
            (table.sell_ticks[first_sell] - 0.5) * tick if first_sell <= last else math.inf,
            (table.buy_ticks[first_buy] + 0.5) * tick if first_buy >= 0 else 0.0,
            table.buy_ticks[first_buy + 1] * tick if first_buy < last else math.inf,
        )


def build_ladder(
    table: NodeTable, instrument: Instrument, held: tuple[int, int], first_sell: int, first_buy: int, stop_trigger: float
) -> tuple[GridLevel, ...]:
    """Sells from node index ``first_sell`` upwards, buys from ``first_buy`` downwards.

    ``held`` is the position in lots, lowest and highest: they differ while an order that closes a gap may still fill, and then
    sells assume that it has sold and buys that it has bought, so that no ladder goes past its curve.

    Unwinding nodes at or beyond the stop's trigger are left out: there the stop acts.
    """
    lot, n = instrument.lot, table.curve.levels
    above = list(range(first_sell, len(table.targets)))
    below = list(range(first_buy, -1, -1))
    sells = spread_over_nodes([lots_to_sell(held[0], table.targets[i], lot) for i in above], [table.min_lots[i] for i in above])
    buys = spread_over_nodes([lots_to_buy(held[1], table.targets[i], lot) for i in below], [table.min_lots[i] for i in below])
    levels = [
        GridLevel(Side.SELL, instrument.price(table.sell_ticks[i]), instrument.quantity(lots), i - n)
        for i, lots in zip(above, sells, strict=True)
        if lots and not _beyond_stop(table.curve, Side.SELL, table.sell_ticks[i] * instrument.tick, stop_trigger)
    ]
    levels += [
        GridLevel(Side.BUY, instrument.price(table.buy_ticks[i]), instrument.quantity(lots), i - n)
        for i, lots in zip(below, buys, strict=True)
        if lots and not _beyond_stop(table.curve, Side.BUY, table.buy_ticks[i] * instrument.tick, stop_trigger)
    ]
    return tuple(levels)


def _beyond_stop(curve: CurveParameters, side: Side, price: float, stop_trigger: float) -> bool:
    """Whether an order unwinds the hedge at or beyond the trigger of the stop that would complete it.

    Without an inventory the stop has a side only while a position is open; no node rests as far out as it on either side.
    """
    if stop_trigger <= 0.0:
        return False
    if curve.inventory == 0.0:
        distance = abs(stop_trigger / curve.anchor - 1.0)
        return price <= curve.anchor * (1.0 - distance) if side is Side.BUY else price >= curve.anchor * (1.0 + distance)
    if curve.inventory > 0.0:
        return side is Side.BUY and price <= stop_trigger
    return side is Side.SELL and price >= stop_trigger
