"""What is known of one live pair, from several sources that arrive in their own time, and the market update that it makes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import Fatal
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.market.depth import depth_near_mid
from alpha_pulse.market.sanity import problem_with

HOUR_MS: Final = 3_600_000
_INTERVALS_H: Final = (1.0, 2.0, 4.0, 8.0)


def number(value: Any) -> float:
    """A float, or NaN for what is missing: NaN passes no sanity check."""
    return math.nan if value is None else float(value)


@dataclass(slots=True)
class LivePair:
    """One pair's latest numbers. Prices in quote units per base unit of the perpetual; times in milliseconds UTC, 0 = never."""

    pair: HedgePair
    instrument: Instrument
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # something new has come since the last update
    hurry: asyncio.Event = field(default_factory=asyncio.Event)  # the next update is wanted now
    doubted: bool = False  # a fill says that prices have moved on: ask before the next update
    failure: Fatal | None = None  # a source gave up: a person has to look
    latest: MarketUpdate | None = None
    delivered_ms: int = 0
    answered_ms: int = 0  # when an update or a problem was last given out
    bid: float = math.nan
    ask: float = math.nan
    quoted_ms: int = 0
    last: float = math.nan
    volume: float = 0.0  # base units since the last update
    mark: float = math.nan
    index: float = math.nan
    has_mark: bool = False  # the exchange gives mark prices; where it does, a missing one is a problem
    has_index: bool = False
    marked_ms: int = 0
    spot: float = math.nan
    spot_ms: int = 0
    rate: float = 0.0
    interval_h: float = 8.0
    next_funding_ms: int = 0
    settled: float | None = None
    bid_depth: float = 0.0
    ask_depth: float = 0.0

    def take_quote(self, quote: Mapping[str, Any], now_ms: int) -> None:
        """Best bid and ask from a ccxt ticker."""
        self.bid, self.ask = number(quote.get("bid")), number(quote.get("ask"))
        self.quoted_ms = now_ms
        self.changed.set()

    def take_trades(self, trades: Sequence[Mapping[str, Any]]) -> None:
        """Last price and volume from new ccxt trades (amounts in contracts)."""
        for trade in trades:
            self.last = number(trade.get("price"))
            self.volume += number(trade.get("amount")) * float(self.instrument.contract_size)
        self.changed.set()

    def take_ticker(self, ticker: Mapping[str, Any]) -> None:
        """Last price of the perpetual from a ccxt ticker."""
        self.last = number(ticker.get("last"))

    def take_spot(self, ticker: Mapping[str, Any], now_ms: int) -> None:
        """Last price of the coin from a ccxt ticker; one that is no price leaves spot as it was, to grow stale."""
        price = number(ticker.get("last")) * self.pair.multiplier
        if 0.0 < price < math.inf:
            self.spot, self.spot_ms = price, now_ms

    def take_funding(self, funding: Mapping[str, Any], now_ms: int) -> None:
        """Mark, index and funding from a ccxt funding rate. When the next settlement moves on, the last rate seen has settled.

        Raises:
            ValueError: it holds no rate, which is what ccxt makes of a reply that is something else.
        """
        rate = number(funding.get("fundingRate"))
        if math.isnan(rate):
            raise ValueError("no funding rate in the reply")
        mark = number(funding.get("markPrice"))
        if mark != self.mark:
            self.changed.set()  # the stop and liquidation act on mark, whether or not anything is quoted or traded
        self.mark = mark
        self.index = number(funding.get("indexPrice"))
        self.has_mark |= not math.isnan(self.mark)
        self.has_index |= not math.isnan(self.index)
        self.marked_ms = now_ms
        following = int(funding.get("fundingTimestamp") or 0)
        if 0 < self.next_funding_ms < following:
            if self.next_funding_ms <= now_ms:
                self.settled = self.rate if self.settled is None else self.settled + self.rate
            apart = (following - self.next_funding_ms) / HOUR_MS
            self.interval_h = apart if apart in _INTERVALS_H else self.interval_h
        if following:
            self.next_funding_ms = following
        self.take_interval(funding)
        self.rate = rate
        self.changed.set()

    def take_mark(self, ticker: Mapping[str, Any], now_ms: int) -> None:
        """Mark and index from a streamed ccxt ticker; one without a mark price says nothing."""
        mark = number(ticker.get("markPrice"))
        if not 0.0 < mark < math.inf:
            return
        index = number(ticker.get("indexPrice"))
        self.mark, self.marked_ms = mark, now_ms
        if 0.0 < index < math.inf:
            self.index = index
        self.changed.set()

    def take_interval(self, funding: Mapping[str, Any]) -> None:
        """The funding interval, where ccxt gives it as text: ``8h``."""
        text = str(funding.get("interval") or "")
        if text.endswith("h") and text[:-1].isdigit() and int(text[:-1]) > 0:
            self.interval_h = float(text[:-1])

    def take_book(self, book: Mapping[str, Any]) -> None:
        """Notional within 1 % of mid on each side, from a ccxt order book (amounts in contracts)."""
        bid_depth, ask_depth = depth_near_mid(book, float(self.instrument.contract_size))
        if 0.0 <= bid_depth + ask_depth < math.inf:
            self.bid_depth, self.ask_depth = bid_depth, ask_depth

    def update(self, now_ms: int, stale_ms: float) -> MarketUpdate | FeedProblem:
        """The market as it is now, or why nothing can be decided on it."""
        self.changed.clear()
        self.answered_ms = now_ms
        if now_ms - self.quoted_ms > stale_ms:
            return FeedProblem(now_ms, f"no quotes for {(now_ms - self.quoted_ms) / 1000.0:.0f} s")
        if now_ms - self.marked_ms > stale_ms:
            return FeedProblem(now_ms, f"no mark price for {(now_ms - self.marked_ms) / 1000.0:.0f} s")
        close_ms = max(now_ms, self.delivered_ms + 1)
        mid = 0.5 * (self.bid + self.ask)
        mark = self.mark if self.has_mark else mid
        spot_out = now_ms - self.spot_ms > stale_ms
        index = self.index if self.has_index else mark if spot_out else self.spot
        interval_ms = round(self.interval_h * HOUR_MS)
        update = MarketUpdate(
            self.delivered_ms or close_ms - 1, close_ms,
            Bar(self.last, self.last, self.last, self.last, self.volume), Bar(mark, mark, mark, mark),
            None if spot_out else Bar(self.spot, self.spot, self.spot, self.spot), index, self.bid, self.ask, self.rate, self.interval_h,
            self.next_funding_ms if self.next_funding_ms >= close_ms else -(-close_ms // interval_ms) * interval_ms,
            self.settled, self.bid_depth, self.ask_depth,
        )  # fmt: skip
        problem = problem_with(update)
        if problem:
            return FeedProblem(now_ms, problem)
        self.settled, self.volume, self.delivered_ms, self.latest = None, 0.0, close_ms, update
        return update


def warm_up(candles: Sequence[Sequence[float]], step_ms: int, now_ms: int, interval_h: float, rate: float = 0.0) -> list[MarketUpdate]:
    """Closed ccxt candles ([open time, open, high, low, close, volume]) as updates for the indicators; what is unsound is left out.

    Candles say nothing of funding: ``rate``, today's, stands for what it was.
    """
    updates = []
    for row in candles:
        open_ms, close_ms = int(row[0]), int(row[0]) + step_ms
        bar = Bar(*(number(value) for value in row[1:6]))
        update = MarketUpdate(
            open_ms, close_ms, bar, bar, None, bar.close, bar.close, bar.close, rate, interval_h, close_ms, None, 0.0, 0.0
        )
        if close_ms <= now_ms and not problem_with(update):
            updates.append(update)
    return updates
