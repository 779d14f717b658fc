"""One symbol of the venue: prices, book, candles, funding terms and filters, futures and spot side by side."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.fake_exchange.config import SymbolConfig

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
LEVELS: Final = 20  # of the book, a side
_LEVEL_STEP: Final = Decimal("0.0005")  # of the price, between two levels: twenty of them are 1 %
_SHOWN_DEPTH: Final = Decimal(1_000_000)  # notional a side in the book where the configuration gives none
_KEPT_MINUTES: Final = 10_000

Number = Decimal | int | float | str
Candle = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Open time [ms], open, high, low, close, volume [base units]."""
Settlement = tuple[int, Decimal, Decimal]
"""When [ms], rate, mark price."""


def decimal(value: Number) -> Decimal:
    """A number as the Decimal that a person would write."""
    return value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else str(value))


class SymbolMarket:
    """The public state of a symbol. ``last``, ``mark`` and ``index`` are per unit of the perpetual's base, ``spot`` per coin."""

    def __init__(self, config: SymbolConfig, now_ms: int) -> None:
        self.pair = hedge_pair(config.name)
        self.name = config.name
        self.spot_name = f"{self.pair.base}{self.pair.quote}"
        self.listed = config.instrument()
        """The filters as the venue states them. Matching itself runs on ``step``s that only ever get finer."""
        self.spread_ticks = config.spread_ticks
        self.depth = config.depth
        self.funding_rate = config.funding_rate
        self.funding_interval_h: int = config.funding_interval_h
        self.next_funding_ms = self._next_funding(now_ms)
        self.last = self.mark = self.index = self.on_tick(config.start_price())
        self.spot = self.index / self.pair.multiplier
        self.volume = Decimal(0)
        self.status = "TRADING"
        self.spot_status = "TRADING"
        self.update_id = 1
        self.trade_id = 1_000
        self.first_price = self.last
        self.settled: list[Settlement] = []
        self._opened_ms = now_ms
        self.minutes: dict[int, Candle] = {}
        self._before: tuple[Decimal, Decimal, Decimal | None] = (self.last, self.mark, self.spot)
        self._bid: Decimal | None = None
        self._ask: Decimal | None = None

    # --- prices -----------------------------------------------------------------------------------------------------
    def on_tick(self, price: Decimal) -> Decimal:
        """The nearest price on a tick."""
        tick = self.listed.tick_size
        return max(tick, (price / tick).to_integral_value(ROUND_HALF_EVEN) * tick)

    @property
    def bid(self) -> Decimal:
        """Best bid of the perpetual."""
        return self._bid if self._bid is not None else max(self.listed.tick_size, self.last - self.spread_ticks * self.listed.tick_size)

    @property
    def ask(self) -> Decimal:
        """Best ask of the perpetual."""
        return self._ask if self._ask is not None else self.last + self.spread_ticks * self.listed.tick_size

    @property
    def spot_tick(self) -> Decimal:
        """Price step of the spot market."""
        return self.listed.tick_size / self.pair.multiplier

    @property
    def spot_lot(self) -> Decimal:
        """Quantity step of the spot market, coins."""
        return self.listed.lot_size / 100 if self.pair.multiplier == 1 else Decimal(1)

    @property
    def spot_bid(self) -> Decimal:
        """Best bid of the spot market, per coin."""
        return max(self.spot_tick, self.spot - self.spread_ticks * self.spot_tick)

    @property
    def spot_ask(self) -> Decimal:
        """Best ask of the spot market, per coin."""
        return self.spot + self.spread_ticks * self.spot_tick

    def touch(self, bid: Number | None, ask: Number | None) -> None:
        """Hold the best bid and ask at these prices; None puts them back to the last price's two sides."""
        self._bid = None if bid is None else decimal(bid)
        self._ask = None if ask is None else decimal(ask)

    def move(self, last: Decimal, mark: Decimal, index: Decimal, spot: Decimal | None, volume: Decimal, now_ms: int) -> None:
        """Take new prices over. ``spot`` None: the spot market is out."""
        self._before = (self.last, self.mark, self.spot)
        self.last, self.mark, self.index = last, mark, index
        if spot is not None:
            self.spot = spot
        self.volume += volume
        self.update_id += 1
        self._note_candle(last, volume, now_ms)

    def flat(self, now_ms: int, settled: Decimal | None = None) -> MarketUpdate:
        """The market as it stands, as one update: what a taker meets."""
        return self._update(now_ms, Bar(*(float(self.last),) * 4), Bar(*(float(self.mark),) * 4), settled)

    def travelled(self, now_ms: int) -> MarketUpdate:
        """The way from the prices before the last ``move`` to the present ones, in a straight line."""
        last, mark, _ = self._before
        return self._update(now_ms, _line(last, self.last), _line(mark, self.mark), None)

    def _update(self, now_ms: int, perp: Bar, mark: Bar, settled: Decimal | None) -> MarketUpdate:
        spot = float(self.spot * self.pair.multiplier)
        return MarketUpdate(
            open_ms=now_ms,
            close_ms=now_ms,
            perp=perp,
            mark=mark,
            spot=Bar(spot, spot, spot, spot),
            index_price=float(self.index),
            bid=float(self.bid),
            ask=float(self.ask),
            funding_rate=float(self.funding_rate),
            funding_interval_h=float(self.funding_interval_h),
            next_funding_ms=self.next_funding_ms,
            settled_rate=None if settled is None else float(settled),
            bid_depth=self.depth,
            ask_depth=self.depth,
        )

    def book(self, levels: int = LEVELS) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """(bids, asks) as (price, quantity), the best first."""
        rules = self.listed
        gap = max(rules.tick_size, self.on_tick(self.last * _LEVEL_STEP))
        notional = (decimal(self.depth) or _SHOWN_DEPTH) / LEVELS
        lots = max(1, int(notional / self.last / rules.lot_size))
        quantity = rules.lot_size * lots
        bids = [(self.bid - n * gap, quantity) for n in range(levels) if self.bid - n * gap > 0]
        return bids, [(self.ask + n * gap, quantity) for n in range(levels)]

    # --- funding ----------------------------------------------------------------------------------------------------
    def set_interval(self, hours: int, now_ms: int) -> None:
        """Settle every ``hours`` from now on."""
        self.funding_interval_h = hours
        self.next_funding_ms = self._next_funding(now_ms)

    def _next_funding(self, now_ms: int) -> int:
        step = self.funding_interval_h * HOUR_MS
        return (now_ms // step + 1) * step

    def roll_funding(self, now_ms: int) -> None:
        """Look at the settlement after this one."""
        self.next_funding_ms = self._next_funding(max(now_ms, self.next_funding_ms))

    def settlements(self, since_ms: int, most: int) -> list[Settlement]:
        """Settled rates, oldest first. Before the venue opened they are made up, as the candles are: the first ``most`` from
        ``since_ms`` on, or without one the last.
        """
        step = self.funding_interval_h * HOUR_MS
        last = self._opened_ms // step
        first = max(1, -(-since_ms // step) if since_ms else last - most + 1)
        made_up = ((number * step, self._made_up(number * step)) for number in range(first, min(last, first + most - 1) + 1))
        return [(at, round(price / self.first_price - 1, 4) / 10, price) for at, price in made_up] + self.settled

    # --- filters ----------------------------------------------------------------------------------------------------
    def change_filters(
        self, tick_size: Number | None, lot_size: Number | None, min_notional: Number | None, min_quantity: Number | None
    ) -> None:
        """State other filters from now on."""
        old = self.listed
        lot = old.lot_size if lot_size is None else decimal(lot_size)
        smallest = lot if old.min_quantity == old.lot_size else max(lot, old.min_quantity)
        least = smallest if min_quantity is None else decimal(min_quantity)
        self.listed = replace(
            old,
            tick_size=old.tick_size if tick_size is None else decimal(tick_size),
            lot_size=lot,
            min_notional=old.min_notional if min_notional is None else decimal(min_notional),
            min_quantity=least,
        )

    # --- candles ----------------------------------------------------------------------------------------------------
    def _note_candle(self, price: Decimal, volume: Decimal, now_ms: int) -> None:
        opened = now_ms - now_ms % MINUTE_MS
        _, first, high, low, _, before = self.minutes.get(opened, (opened, price, price, price, price, Decimal(0)))
        self.minutes[opened] = (opened, first, max(high, price), min(low, price), price, before + volume)
        if len(self.minutes) > _KEPT_MINUTES:
            del self.minutes[next(iter(self.minutes))]

    def candles(self, interval_ms: int, start_ms: int | None, end_ms: int, limit: int) -> list[Candle]:
        """Candles of any length, oldest first. Before the venue opened they are made up around its first price, always the same."""
        last = end_ms - end_ms % interval_ms
        first = last - (limit - 1) * interval_ms
        if start_ms is not None:
            first = -(-start_ms // interval_ms) * interval_ms
        return [self._candle(at, interval_ms) for at in range(first, min(last, first + (limit - 1) * interval_ms) + 1, interval_ms)]

    def _candle(self, at: int, interval_ms: int) -> Candle:
        ends = min(at + interval_ms, max(self.minutes, default=at) + MINUTE_MS)
        real = [self.minutes[m] for m in range(at, ends, MINUTE_MS) if m in self.minutes] if self.minutes else []
        if real:
            volume = sum((c[5] for c in real), Decimal(0))
            return at, real[0][1], max(c[2] for c in real), min(c[3] for c in real), real[-1][4], volume
        known = [m for m in self.minutes if m < at]
        if known:  # nothing traded in it
            close = self.minutes[known[-1]][4]
            return at, close, close, close, close, Decimal(0)
        opened, closed = self._made_up(at), self._made_up(at + interval_ms)
        high, low = max(opened, closed) * Decimal("1.0004"), min(opened, closed) * Decimal("0.9996")
        return at, opened, self.on_tick(high), self.on_tick(low), closed, self.listed.lot_size * 1000

    def _made_up(self, at: int) -> Decimal:
        minute = at / MINUTE_MS
        wave = 0.01 * math.sin(minute / 997.0) + 0.004 * math.sin(minute / 61.0) + 0.001 * math.sin(minute / 7.0)
        return self.on_tick(self.first_price * decimal(round(1.0 + wave, 6)))


def _line(start: Decimal, end: Decimal) -> Bar:
    a, b = float(start), float(end)
    return Bar(a, max(a, b), min(a, b), b)
