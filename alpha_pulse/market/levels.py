"""Supports and resistances: swing highs and lows, and peaks of volume at price, clustered within a tolerance.

Pure arithmetic on indexable sequences of floats (lists live, arrays in a compiled caller). Prices in quote units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def is_swing_high(highs: Sequence[float], at: int, wing: int) -> bool:
    """Whether ``highs[at]`` tops the ``wing`` bars on each side; of equal tops the last counts. Bill Williams' fractal has wing 2."""
    top = highs[at]
    for i in range(at - wing, at):
        if highs[i] > top:
            return False
    return all(highs[i] < top for i in range(at + 1, at + wing + 1))


def is_swing_low(lows: Sequence[float], at: int, wing: int) -> bool:
    """Whether ``lows[at]`` undercuts the ``wing`` bars on each side; of equal bottoms the last counts."""
    bottom = lows[at]
    for i in range(at - wing, at):
        if lows[i] < bottom:
            return False
    return all(lows[i] > bottom for i in range(at + 1, at + wing + 1))


def price_bin(price: float, width: float) -> int:
    """Index of the logarithmic bin that a price falls into; ``width`` is a bin's height as a fraction of price."""
    return math.floor(math.log(price) / math.log1p(width))


def bin_price(index: int, width: float) -> float:
    """The price in the (geometric) middle of a bin."""
    return math.exp((index + 0.5) * math.log1p(width))


def volume_peaks(volumes: Sequence[float], threshold: float) -> list[int]:
    """Positions where volume at price has a local peak of at least ``threshold`` times its mean over the bins given.

    The peaks of a volume profile (Steidlmayer's Market Profile, 1984, by volume instead of time): prices where much was
    exchanged tend to be defended. A plateau counts once, at its first bin.
    """
    count = len(volumes)
    if count == 0:
        return []
    least = threshold * math.fsum(volumes) / count
    found = []
    before = 0.0
    for i in range(count):
        here = volumes[i]
        if here >= least and here > before and (i + 1 == count or here >= volumes[i + 1]):
            found.append(i)
        before = here
    return found


def cluster(prices: Sequence[float], tolerance: float, least: int) -> list[float]:
    """Means of groups of prices, ascending: a group starts at its lowest price and takes what lies within ``tolerance`` above it.

    ``prices`` must be ascending; ``tolerance`` is a fraction of price; groups with fewer than ``least`` members are dropped.
    """
    levels = []
    start = 0
    count = len(prices)
    limit = prices[0] * (1.0 + tolerance) if count else 0.0
    for i in range(1, count + 1):
        if i == count or prices[i] > limit:
            if i - start >= least:
                levels.append(math.fsum(prices[start:i]) / (i - start))
            if i < count:
                start = i
                limit = prices[i] * (1.0 + tolerance)
    return levels
