"""Whether a market update can be used: finite, positive, not crossed, high and low consistent. Nothing is repaired."""

from __future__ import annotations

import math
from typing import Final

from alpha_pulse.domain.market import Bar, MarketUpdate

Prices = tuple[float, float, float, float, float]
"""Open, high, low, close and volume."""

_INF: Final = math.inf
_MAX_RATE: Final = 1.0  # a funding rate is a fraction of notional per interval: 100 % is no rate


def problem_with(update: MarketUpdate) -> str:
    """Why nothing may be decided on this update; empty if it is sound. It runs for every bar."""
    _, _, perp, mark, spot, index, bid, ask, rate, _, _, settled, _, _ = update
    if is_sound(perp, mark, spot or perp, index, bid, ask, rate, 0.0 if settled is None else settled):
        return ""
    return _describe(update)


def is_sound(perp: Prices, mark: Prices, spot: Prices, index: float, bid: float, ask: float, rate: float, settled: float) -> bool:
    """Whether these numbers are a market's. One chain of comparisons, of which NaN fails every one; a compiler can take it as it stands."""
    opened, high, low, close, volume = perp
    mark_open, mark_high, mark_low, mark_close, _ = mark
    spot_open, spot_high, spot_low, spot_close, spot_volume = spot
    return (
        0.0 < low <= opened <= high < _INF
        and low <= close <= high
        and 0.0 <= volume < _INF
        and 0.0 < mark_low <= mark_open <= mark_high < _INF
        and mark_low <= mark_close <= mark_high
        and 0.0 < spot_low <= spot_open <= spot_high < _INF
        and spot_low <= spot_close <= spot_high
        and 0.0 <= spot_volume < _INF
        and 0.0 < bid <= ask < _INF
        and 0.0 < index < _INF
        and -_MAX_RATE < rate < _MAX_RATE
        and -_MAX_RATE < settled < _MAX_RATE
    )


def late(close_ms: int, last_ms: int) -> str:
    """What to say of an update that does not close after the last one [ms]."""
    return f"the feed is frozen: the update of {close_ms} came again or late, after {last_ms}"


def _is_sound_bar(bar: Bar) -> bool:
    """Whether a bar's prices are finite, positive and consistent, and its volume finite and not negative."""
    opened, high, low, close, volume = bar
    return 0.0 < low <= opened <= high < _INF and low <= close <= high and 0.0 <= volume < _INF


def _describe(update: MarketUpdate) -> str:
    for name, bar in (("perpetual", update.perp), ("mark", update.mark), ("spot", update.spot)):
        if bar is not None and not _is_sound_bar(bar):
            return _describe_bar(name, bar)
    for name, price in (("index price", update.index_price), ("bid", update.bid), ("ask", update.ask)):
        if not 0.0 < price < _INF:
            return f"the {name} is {price}"
    if update.bid > update.ask:
        return f"the book is crossed: bid {update.bid} above ask {update.ask}"
    if not -_MAX_RATE < update.funding_rate < _MAX_RATE:
        return f"the funding rate is {update.funding_rate}"
    return f"the settled funding rate is {update.settled_rate}"


def _describe_bar(name: str, bar: Bar) -> str:
    for field, price in zip(bar._fields[:4], bar[:4], strict=True):
        if not 0.0 < price < _INF:
            return f"the {name}'s {field} is {price}"
    if not 0.0 <= bar.volume < _INF:
        return f"the {name}'s volume is {bar.volume}"
    return f"the {name}'s bar is inconsistent: open {bar.open}, high {bar.high}, low {bar.low}, close {bar.close}"
