"""What an exchange has recorded, page by page, through ccxt: within its limits, and asked again when it fails for now."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.market.ccxt_mapping import learn_name, make_exchange, read_errors, spot_exchange_id, translate_read
from alpha_pulse.market.files import HOUR_MS
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.market.store.series import DAY_MS, TIMEFRAMES, Market, Series

MOST_AT_ONCE: Final = 1000  # rows asked for in one request
_USUAL_PAGE: Final = 100  # rows that every exchange gives at once
_LONGEST_SILENCE_S: Final = 600.0  # a longer ban is not waited for

Page = list[list[float]]
"""Rows of a time [ms] and the series' columns, all finite."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How a request that failed is repeated: ``attempts`` in all, waits [s]."""

    attempts: int = 8
    first_s: float = 1.0
    longest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a series comes from. ``page(since_ms)`` gives the first rows from a time on; ``skip(since_ms)`` the next time worth asking for
    where that page was empty. ``step_ms`` is the least distance between rows, ``listed_ms`` a time before which there is nothing.
    """

    exchange_id: str
    page: Callable[[int], Awaitable[Page]]
    skip: Callable[[int], Awaitable[int]]
    step_ms: int
    listed_ms: int = 0


class ExchangeReader:
    """The perpetual's exchange and the spot market's, with a request budget each.

    Args:
        exchange_id: ccxt id of the perpetual's exchange.
        pair: what is asked for.
        rest_url: every request goes to this host instead.
        backoff: how failed requests are repeated.
        on_retry: told, in words, of every request that failed and is made again.
    """

    def __init__(
        self,
        exchange_id: str,
        pair: HedgePair,
        *,
        rest_url: str | None = None,
        backoff: Backoff | None = None,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        self._id, self._pair, self._rest_url = exchange_id, pair, rest_url
        self._backoff = backoff or Backoff()
        self._on_retry = on_retry
        self._exchanges: dict[str, tuple[Any, RequestGuard]] = {}

    async def close(self) -> None:
        """Release every connection."""
        exchanges, self._exchanges = self._exchanges, {}
        await asyncio.gather(*(exchange.close() for exchange, _ in exchanges.values()))

    async def time_ms(self, clock: Clock) -> int:
        """The exchange's time, or ours where it tells none or is ahead of us [ms]."""
        exchange, guard = await self._exchange(self._id)
        if not exchange.has.get("fetchTime"):
            return clock.now_ms()
        theirs = await self._ask(guard, exchange.fetch_time)
        return clock.now_ms() if theirs is None else min(int(theirs), clock.now_ms())

    async def source(self, series: Series) -> Source | str:
        """Where a series comes from, or why it does not.

        Raises:
            ConfigError: the exchange does not list the pair, or has no candles of that length.
            Transient: it did not answer.
            Fatal: it refuses to talk to us.
        """
        spot = series.market is Market.SPOT
        exchange, guard = await self._exchange(spot_exchange_id(self._id) if spot else self._id)
        if spot and self._pair.spot not in exchange.markets:
            problem = f"{exchange.id} does not list {self._pair.spot}."
            raise ConfigError(
                problem, field="pair", value=self._pair.name, fix="leave spot out with --market perp --market mark --market funding"
            )
        if not spot:
            learn_name(exchange, self._pair)
        symbol = self._pair.spot if spot else self._pair.perpetual
        listed = int(exchange.markets[symbol].get("created") or 0)
        if series.market is Market.FUNDING:
            return self._funding(exchange, guard, symbol, listed)
        if not exchange.has.get("fetchMarkOHLCV" if series.market is Market.MARK else "fetchOHLCV"):
            return f"{exchange.id} has no candles of {series.market}"
        if series.timeframe not in exchange.timeframes:
            known = ", ".join(name for name in TIMEFRAMES if name in exchange.timeframes)
            raise ConfigError(f"{exchange.id} has no such candles.", field="--timeframe", value=series.timeframe, fix=f"one of {known}")
        return self._candles(exchange, guard, symbol, series, listed)

    # --- what is asked -------------------------------------------------------------------------------------------------
    def _candles(self, exchange: Any, guard: RequestGuard, symbol: str, series: Series, listed_ms: int) -> Source:
        mark = series.market is Market.MARK
        fetch = exchange.fetch_mark_ohlcv if mark else exchange.fetch_ohlcv
        most = exchange.feature_value(symbol, "fetchOHLCV", "mark") if mark else None
        most = most or exchange.feature_value(symbol, "fetchOHLCV", "limit") or _USUAL_PAGE
        limit, width, step = min(MOST_AT_ONCE, int(most)), len(series.market.columns), series.step_ms or 0

        async def rows(timeframe: str, since_ms: int) -> Page:
            async def read() -> Page:
                return [_row(row, width) for row in await fetch(symbol, timeframe, since=since_ms, limit=limit)]

            return await self._rows(guard, read)

        async def skip(since_ms: int) -> int:
            """Days that hold nothing need not be asked for bar by bar."""
            window = min(limit, _USUAL_PAGE)
            if "1d" not in exchange.timeframes:
                return since_ms + window * step
            days = [row[0] for row in await rows("1d", since_ms - since_ms % DAY_MS) if row[0] + DAY_MS > since_ms]
            return max(since_ms + window * step, int(days[0])) if days else since_ms + window * DAY_MS

        return Source(exchange.id, lambda since_ms: rows(series.timeframe, since_ms), skip, step, listed_ms)

    def _funding(self, exchange: Any, guard: RequestGuard, symbol: str, listed_ms: int) -> Source | str:
        if not exchange.has.get("fetchFundingRateHistory"):
            return f"{exchange.id} has no history of funding rates"
        limit = int(exchange.feature_value(symbol, "fetchFundingRateHistory", "limit") or _USUAL_PAGE)

        async def page(since_ms: int) -> Page:
            async def read() -> Page:
                found = await exchange.fetch_funding_rate_history(symbol, since=since_ms, limit=min(limit, MOST_AT_ONCE))
                return [_row([one["timestamp"], one["fundingRate"]], 1) for one in found]

            return await self._rows(guard, read)

        async def skip(since_ms: int) -> int:
            return since_ms + _USUAL_PAGE * HOUR_MS

        return Source(exchange.id, page, skip, HOUR_MS, listed_ms)

    # --- connections ---------------------------------------------------------------------------------------------------
    async def _exchange(self, exchange_id: str) -> tuple[Any, RequestGuard]:
        """An exchange with its markets known."""
        if exchange_id not in self._exchanges:
            spot_only = {"fetchMarkets": {"types": ["spot"]}} if exchange_id == "binance" else None
            guard = RequestGuard()  # leaves a share of the budget to whatever else runs at this address, a bot above all
            exchange = guard.install(make_exchange(exchange_id, rest_url=self._rest_url, options=spot_only))
            self._exchanges[exchange_id] = exchange, guard
        exchange, guard = self._exchanges[exchange_id]
        if not exchange.markets and not await self._ask(guard, exchange.load_markets):
            raise Transient(f"{exchange_id} answered, but not with a list of its markets")
        return exchange, guard

    async def _rows(self, guard: RequestGuard, read: Callable[[], Awaitable[Page]]) -> Page:
        """A page. That it is empty is believed the second time: of a mangled answer ccxt may make an empty one."""
        found: Page = await self._ask(guard, read)
        if not found:
            await asyncio.sleep(self._backoff.first_s)
            found = await self._ask(guard, read)
        return found

    async def _ask(self, guard: RequestGuard, read: Callable[[], Awaitable[Any]]) -> Any:
        """Read, again and again while it fails for now; a ban is sat out unless it is long."""
        import stamina  # noqa: PLC0415 - only downloads need it here

        failed = 0

        def again(error: Exception) -> bool | float:
            nonlocal failed
            failed += 1
            silence = guard.banned_for()
            passing = isinstance(error, Transient) and silence <= _LONGEST_SILENCE_S
            if passing and self._on_retry is not None and failed < self._backoff.attempts:
                waited = f" after the ban of {silence:.0f} s" if silence else ""
                self._on_retry(f"No answer, asking again{waited} (attempt {failed + 1} of {self._backoff.attempts})")
            return passing and (silence or True)

        retrying = stamina.retry_context(
            on=again,
            attempts=self._backoff.attempts,
            timeout=None,
            wait_initial=self._backoff.first_s,
            wait_max=self._backoff.longest_s,
            wait_jitter=self._backoff.first_s,
        )
        async for attempt in retrying:
            with attempt:
                try:
                    return await read()
                except read_errors() as error:
                    raise translate_read(error) from error
        raise Transient("nothing was asked")


def _row(given: list[Any], width: int) -> list[float]:
    """A time and ``width`` numbers. Raises ``TypeError`` and ``ValueError`` for what is no row: it is asked for again."""
    row = [float(value) for value in given[: width + 1]]
    if len(row) <= width or not all(map(math.isfinite, row)):
        raise ValueError(f"no row of {width} numbers and a time: {given}")
    return row
