"""The numeric kernel of the hedge curve: nodes, target position, ladder. Floats and integers only, compiled as it stands elsewhere.

The formulas are those of the design: x is where price stands on the grid (−1 … +1), y is x seen from the inventory's side, T the
perpetual position that the curve asks for, k a node's index. Decisions fall in whole ticks and lots; ``EPSILON`` absorbs what binary
floats leave of an exact decimal (a ten-millionth of a lot or tick).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

EPSILON = 1e-7


def node_price(anchor: float, spacing: float, node: int, geometric: bool) -> float:
    """Price of node k: A·exp(k·log1p(s)), or A·(1 + k·s) for an arithmetic grid. Quote units."""
    if geometric:
        return anchor * math.exp(node * math.log1p(spacing))
    return anchor * (1.0 + node * spacing)


def place_on_grid(price: float, anchor: float, spacing: float, levels: int, geometric: bool) -> float:
    """x(p), where price stands between node −n (−1) and node n (+1); not clipped."""
    if geometric:
        return math.log(price / anchor) / (levels * math.log1p(spacing))
    return (price - anchor) / (levels * spacing * anchor)


def hedge_share(y: float, ratio: float, amplitude: float, amplitude_adverse: float, lower: float, upper: float) -> float:
    """The share of the inventory to hedge at y: h + a_fav·max(y, 0) + a_adv·min(y, 0), within [lower, upper]."""
    share = ratio + (amplitude * y if y > 0.0 else amplitude_adverse * y)
    return lower if share < lower else min(share, upper)


def target_position(
    x: float,
    inventory: float,
    ratio: float,
    floor: float,
    min_ratio: float,
    max_ratio: float,
    amplitude: float,
    amplitude_adverse: float,
    max_abs_position: float,
    neutral_size: float,
) -> float:
    """T(x), the signed perpetual position that the curve asks for, base units. It never rises with x.

    ``neutral_size`` M is used with an inventory of zero only: T = −M·(1 − f)·clip(a_fav·x, −1, 1).
    """
    x = -1.0 if x < -1.0 else min(x, 1.0)
    if inventory == 0.0:
        target = -neutral_size * (1.0 - floor) * max(-1.0, min(1.0, amplitude * x))
    else:
        y = x if inventory > 0.0 else -x
        share = hedge_share(y, ratio, amplitude, amplitude_adverse, max(min_ratio, floor), max(max_ratio, floor))
        target = -inventory * share
    return -max_abs_position if target < -max_abs_position else min(target, max_abs_position)


def ticks_at_or_below(price: float, tick: float) -> int:
    """Whole ticks in a price, rounded down: how a bid is rounded."""
    return math.floor(price / tick + EPSILON)


def ticks_at_or_above(price: float, tick: float) -> int:
    """Whole ticks in a price, rounded up: how an ask is rounded."""
    return math.ceil(price / tick - EPSILON)


def lots_to_sell(position_lots: int, target: float, lot: float) -> int:
    """Whole lots from a position down to T, rounded down; 0 if the position is already there."""
    return max(0, position_lots - math.ceil(target / lot - EPSILON))


def lots_to_buy(position_lots: int, target: float, lot: float) -> int:
    """Whole lots from a position up to T, rounded down; 0 if the position is already there."""
    return max(0, math.floor(target / lot + EPSILON) - position_lots)


def spread_over_nodes(cumulative: Sequence[int], minimum: Sequence[int]) -> list[int]:
    """Turn cumulative lots, nearest node first, into lots per node; what is under a node's minimum is carried to the next one outward.

    ``cumulative`` never falls; the result sums to at most its last entry, and no prefix sums to more than its cumulative.
    """
    lots: list[int] = []
    placed = 0
    for total, least in zip(cumulative, minimum, strict=True):
        here = total - placed
        if here >= least:
            lots.append(here)
            placed = total
        else:
            lots.append(0)
    return lots
