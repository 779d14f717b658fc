"""A made-up market that repeats itself: the same seed and pair give the same bars, today and after a restart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from alpha_pulse.domain.catalog import builtin_start_price
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.columns import UpdateColumns
from alpha_pulse.market.simulation import (
    BARS,
    COINS,
    FUNDING_HOURS,
    MINUTE_MS,
    REGIMES,
    SETTLEMENTS,
    Coin,
    Day,
    Regime,
    first_state,
    simulate_day,
)
from alpha_pulse.market.streams import ByPair, ReplayedFeed
from alpha_pulse.market.ticks import TickGrid

START_MS: Final = 1_735_689_600_000  # 2025-01-01 00:00 UTC
_DAY_MS: Final = BARS * MINUTE_MS
_FUNDING_MS: Final = FUNDING_HOURS * 3_600_000
_ANY_COIN: Final = Coin(volatility=1.5, turnover_per_minute=1e6, depth=5e5)


class SimulatedFeed(ReplayedFeed):
    """A ``MarketFeed`` of one-minute bars from the model in ``simulation``, endless or ``days`` long, in constant memory.

    Each pair has a stream of its own, drawn day by day from (seed, perpetual, day), whatever else is open. Resuming
    computes the market again from its start, which takes under a second per simulated year.

    Args:
        seed: the same seed, the same market.
        days: length of the market [days]; None = endless.
        start_price: first price of the perpetual [quote units]; None = a usual price of the coin.
        start_ms: open of the first bar, 00:00 UTC of a day [ms].
        regimes: the states of the market; ``simulation.REGIMES`` by default.

    Raises:
        ConfigError: a length or start price that no market can have, or a start within a day.
    """

    def __init__(
        self,
        seed: int,
        *,
        days: float | None = None,
        start_price: float | None = None,
        start_ms: int = START_MS,
        regimes: tuple[Regime, ...] = REGIMES,
    ) -> None:
        super().__init__()
        if seed < 0:
            raise ConfigError("must not be negative.", field="feed.seed", value=seed, fix="give 0 or more")
        if days is not None and not MINUTE_MS / _DAY_MS <= days < math.inf:
            raise ConfigError(
                "is no length of a market.", field="feed.days", value=days, fix="give at least one minute, or null for endless"
            )
        if start_price is not None and not 0.0 < start_price < math.inf:
            raise ConfigError("is no price.", field="feed.start_price", value=start_price, fix="give a positive price, or null")
        if start_ms < 0 or start_ms % _DAY_MS:
            raise ConfigError("is not the start of a day.", field="start_ms", value=start_ms, fix="give midnight UTC in milliseconds")
        self._seed = seed
        self._bars = None if days is None else round(days * BARS)
        self._start_price = start_price
        self._start_ms = start_ms
        self._regimes = regimes
        self._opened: ByPair[tuple[HedgePair, Instrument, int]] = ByPair()

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Start (or resume) the pair's market.

        Raises:
            ConfigError: the coin has no usual price and no ``start_price`` was given, or the price is under a tick.
        """
        done = max(0, (resume_after_ms - self._start_ms) // MINUTE_MS)
        self._deliver(pair.perpetual, self._chunks(pair, instrument, done, None))
        self._opened.put(pair.perpetual, (pair, instrument, done))

    def columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        pair, instrument, done = self._opened.get(symbol)
        return self._chunks(pair, instrument, done, None)

    def past_columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        pair, instrument, done = self._opened.get(symbol)
        return self._chunks(pair, instrument, 0, done)

    async def instrument(self, pair: HedgePair) -> Instrument | None:  # noqa: ARG002 - the port's signature
        """None: a made-up market takes the trading rules that it is given."""
        return None

    def expected(self, symbol: str) -> int | None:
        """The bars from where it was opened to the last day; None for an endless market."""
        _, _, done = self._opened.get(symbol)
        return None if self._bars is None else max(0, self._bars - done)

    async def close(self) -> None:
        """Forget every pair."""
        self._streams.clear()
        self._opened.clear()

    def _chunks(self, pair: HedgePair, instrument: Instrument, first: int, stop: int | None) -> Iterator[UpdateColumns]:
        """Bars number ``first`` to ``stop`` (None: to the end), a day or less at a time. Checks its arguments at once."""
        price = builtin_start_price(pair) if self._start_price is None else self._start_price
        if price < instrument.tick:
            raise ConfigError("is under one tick.", field="feed.start_price", value=price, fix=f"give more than {instrument.tick_size}")
        ends = [bars for bars in (self._bars, stop) if bars is not None]
        return self._days(pair, TickGrid(instrument.tick_size), price, first, min(ends, default=None))

    def _days(self, pair: HedgePair, grid: TickGrid, price: float, first: int, stop: int | None) -> Iterator[UpdateColumns]:
        coin = COINS.get(pair.perpetual.partition("/")[0], _ANY_COIN)
        name = int.from_bytes(hashlib.sha256(pair.perpetual.encode()).digest()[:8])
        state = first_state(price, grid, self._regimes)
        number = 0
        while stop is None or number * BARS < stop:
            random = np.random.Generator(np.random.PCG64((self._seed, name, number)))
            day, state = simulate_day(state, random, coin, grid, self._regimes)
            start = number * BARS
            if start + BARS > first:
                columns = _columns(day, self._start_ms + number * _DAY_MS)
                yield columns.part(max(0, first - start), None if stop is None else stop - start)
            number += 1


def _columns(day: Day, start_ms: int) -> UpdateColumns:
    """A day of the model as market updates."""
    opens = np.arange(start_ms, start_ms + _DAY_MS, MINUTE_MS, dtype=np.int64)
    closes = opens + MINUTE_MS
    settled = np.full(BARS, math.nan)
    settled[list(SETTLEMENTS)] = day.settled
    return UpdateColumns(
        open_ms=opens,
        close_ms=closes,
        perp=np.array(day.perp),
        mark=np.array(day.mark),
        spot=np.array(day.spot),
        index_price=day.spot[3],
        bid=day.bid,
        ask=day.ask,
        funding_rate=day.rate,
        funding_interval_h=np.full(BARS, float(FUNDING_HOURS)),
        # A bar that closes exactly at a settlement looks at that settlement: it happens as the next bar opens.
        next_funding_ms=-(-closes // _FUNDING_MS) * _FUNDING_MS,
        settled_rate=settled,
        bid_depth=day.bid_depth,
        ask_depth=day.ask_depth,
    )
