"""The numbers of the matching engine: where on a bar something happens, and what a taker pays.

Plain functions of ints (ticks, lots) and floats, without objects or state, so that a compiler can take them as they are and the
compiled backtest calls the very same code. ``sign`` is +1 for buying and −1 for selling throughout.

A bar is assumed to travel open → nearer extreme → other extreme → close, in straight lines. That path is the only thing that is
made up: everything that happens inside a bar is ordered by where on it it lies.
"""

from __future__ import annotations

import math

NEVER = 2.0  # a place on a segment that is not on it: places run from 0 (start) to 1 (end)
TICK_TOLERANCE = 1e-6  # of a tick: floats of prices on the tick grid compare as if they were exact
DEPTH_BAND = 0.01  # feeds report depth within this fraction of the mid price
MOST_IMPACT = 0.5  # a taker's impact is capped here, so that a sale into an empty book keeps a positive price
BASIS_POINT = 1e-4


def low_first(opened: float, high: float, low: float) -> bool:
    """Whether the bar visits its low before its high: the extreme nearer to the open comes first, on a tie the low."""
    return opened - low <= high - opened


def crossing(start: float, end: float, level: float, direction: int) -> float:
    """Where a straight move from ``start`` to ``end`` gets to ``level``: 0 … 1, or ``NEVER``.

    ``direction`` +1 means "at or above the level", −1 "at or below it". A move that starts there is there at once.
    """
    if direction * (start - level) >= 0.0:
        return 0.0
    if direction * (end - level) < 0.0:
        return NEVER
    return min(1.0, (level - start) / (end - start))


def reach_price(sign: int, ticks: int, tick: float, beyond: int) -> float:
    """Last price, quote units, at which a resting limit order of ``ticks`` fills.

    ``beyond`` is how many ticks the market must trade past the order: 0 for the rule `touch`, 1 for `through` and `queue`. A buy
    fills at or below the result, a sell at or above it. Triggers of stops are the same thing: a sell stop is reached like a buy.
    """
    return (ticks - sign * beyond + sign * TICK_TOLERANCE) * tick


def crosses(sign: int, price: float, touch: float, tick: float) -> bool:
    """Whether a limit order at ``price`` would trade at once against the opposite ``touch`` (the ask for a buy)."""
    return sign * (price - touch) >= -TICK_TOLERANCE * tick


def impact(quantity: float, price: float, depth: float, slippage_bps: float) -> float:
    """A taker's slippage beyond the touch, as a fraction of price.

    Linear in size: taking everything within 1 % (``depth``, quote units) moves the price by 1 %. Without depth (0), a constant.
    """
    if depth > 0.0:
        return min(MOST_IMPACT, DEPTH_BAND * quantity * price / depth)
    return min(MOST_IMPACT, slippage_bps * BASIS_POINT)


def taker_price(sign: int, price: float, half_spread: float, quantity: float, depth: float, slippage_bps: float) -> float:
    """What taking ``quantity`` base units costs a unit when the market stands at ``price``: half the spread and the impact on top."""
    return price + sign * (half_spread + price * impact(quantity, price, depth, slippage_bps))


def takeable(sign: int, price: float, half_spread: float, limit: float, depth: float, slippage_bps: float) -> float:
    """How many base units can be taken at ``limit`` or better; infinity when depth is unknown and the constant slippage fits."""
    room = sign * (limit - price) - half_spread
    if room < 0.0:
        return 0.0
    if depth > 0.0:
        return math.inf if room >= MOST_IMPACT * price else room * depth / (DEPTH_BAND * price * price)
    return math.inf if room >= price * impact(0.0, price, depth, slippage_bps) else 0.0


def ticks_against(sign: int, price: float, tick: float) -> int:
    """``price`` in ticks, rounded against whoever trades: up for a buy, down for a sell; never under one tick."""
    ticks = price / tick
    whole = math.ceil(ticks - TICK_TOLERANCE) if sign > 0 else math.floor(ticks + TICK_TOLERANCE)
    return max(1, int(whole))


def queue_lots(volume: float, share: float, lot: float) -> int:
    """Most lots that all our resting orders together may fill on a bar of ``volume`` base units, with the rule `queue`."""
    return int(volume * share / lot + 1e-9)
