"""What a feed delivers: raw floats, as the venue sent them, checked for sanity and nothing else.

These two are named tuples, not dataclasses: one is built for every bar of a replay, and a tuple costs a fifth.
"""

from __future__ import annotations

from typing import NamedTuple


class Bar(NamedTuple):
    """Open, high, low, close in quote units per base unit; volume in base units. A live quote is a bar of four equal prices."""

    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0


class MarketUpdate(NamedTuple):
    """One step of a market: a closed bar of a recorded or simulated feed, or the latest quotes of a live one.

    Times are milliseconds UTC. ``open_ms`` is when the step began, ``close_ms`` when it was known (the bot decides then).
    Prices are per unit of the perpetual's base (spot prices are already multiplied for 1000-multiplied coins).
    """

    open_ms: int
    close_ms: int
    perp: Bar  # last traded prices of the perpetual
    mark: Bar  # mark price; equals ``perp`` where the source has none (the feed says so once)
    spot: Bar | None  # None while the spot market is out
    index_price: float  # index price: spot where it trades, else the best substitute the feed has
    bid: float  # perpetual, best bid at close_ms
    ask: float
    funding_rate: float  # fraction of notional per interval, expected at the next settlement (no look-ahead)
    funding_interval_h: float
    next_funding_ms: int
    settled_rate: float | None  # a funding rate that settles at open_ms, else None
    bid_depth: float  # notional within 1 % below mid, quote units; 0 = unknown
    ask_depth: float
