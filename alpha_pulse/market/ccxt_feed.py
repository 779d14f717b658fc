"""Live public data of any exchange that ccxt knows: websockets where it has them, polling where not, and a watchdog over both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.interfaces import Clock, FeedProblem
from alpha_pulse.market.ccxt_mapping import (
    hand_markets,
    instrument_of,
    learn_name,
    make_exchange,
    read_errors,
    spot_exchange_id,
    translate_read,
    why_ended,
)
from alpha_pulse.market.guard import Haste, RequestGuard, hasty
from alpha_pulse.market.live import LivePair, warm_up
from alpha_pulse.market.streams import ByPair
from alpha_pulse.market.taps import tap

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
WARM_UP_HOURS: Final = 125 * 24  # the longest window of the indicators is 100 daily returns
_CANDLES_AT_ONCE: Final = 1000
_BOOK_ROWS: Final = 500
_TOP_ROWS: Final = 5
_MOST_BACKOFF: Final = 16.0
_MOST_DOUBLINGS: Final = 20  # of the pause after failures, beyond every ``_MOST_BACKOFF``
_SOURCES: Final = {
    "_watch_quotes": "quotes",
    "_poll_quotes": "quotes",
    "_watch_trades": "trades",
    "_poll_last": "last price",
    "_watch_mark": "mark price",
    "_read_funding": "funding",
    "_read_spot": "spot price",
    "_read_depth": "depth",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often each source is read [s]. The defaults stay far under every large exchange's limits."""

    update: float = 1.0  # least time between two updates
    quotes: float = 2.0  # without websockets
    funding: float = 3.0  # mark, index and funding; ten times as long where mark prices are streamed
    spot: float = 3.0
    depth: float = 30.0
    silent: float = 15.0  # what the websockets leave out for this long is polled, and they are rebuilt if they are dead
    stale: float = 30.0  # quotes, mark or spot older than this count as missing


class CcxtFeed:
    """A ``MarketFeed`` over ccxt: quotes from ``watch_bids_asks`` and trades from ``watch_trades`` where the exchange streams them, all
    else polled. Each update is a bar of four equal prices (the last trade), at most one per ``pace.update``.

    A pair whose quotes fall silent is polled. The websockets, which all pairs share, are rebuilt if no pair heard of quotes in that time,
    or if that pair's have moved unheard: a quiet pair disturbs no other. When neither answers, ``next`` returns a ``FeedProblem``. Spot
    that stays away is an outage: the update has no spot.

    A live feed cannot resume: ``history`` gives the exchange's hourly candles of the last months instead.

    Args:
        exchange_id: ccxt id of the perpetual's exchange.
        clock: time and waiting; a real one.
        spot_id: ccxt id of the spot market's exchange; None = the one that belongs to ``exchange_id``.
        rest_url: every REST call goes to this host instead.
        ws_url: every websocket goes to this host instead.
        pace: how often each source is read.
        guard: the request budget that this feed shares with whatever else talks to the exchange.
        warm_up_hours: of hourly candles that ``history`` gives.
    """

    def __init__(
        self,
        exchange_id: str,
        *,
        clock: Clock,
        spot_id: str | None = None,
        rest_url: str | None = None,
        ws_url: str | None = None,
        pace: Pace | None = None,
        warm_up_hours: int = WARM_UP_HOURS,
        guard: RequestGuard | None = None,
    ) -> None:
        self._guard = guard or RequestGuard()
        self._warm_up_ms = warm_up_hours * HOUR_MS
        self._id, self._spot_id = exchange_id, spot_id or spot_exchange_id(exchange_id)
        self._rest_url, self._ws_url = rest_url, ws_url
        self._clock = clock
        self._pace = pace or Pace()
        self._rest: Any = None  # the perpetual's exchange, for polling
        self._stream: Any = None  # the same for websockets: rebuilt without disturbing a poll
        self._spot: Any = None
        self._retired: list[Any] = []  # streams that are being closed
        self._heard = 0  # quotes streamed so far, of any pair
        self._live: ByPair[LivePair] = ByPair()
        self._rules: dict[str, Instrument] = {}  # by perpetual
        self._listed: dict[str, str] = {}  # by perpetual: the name by which the exchange answers
        self._history: ByPair[list[MarketUpdate]] = ByPair()
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    async def connect(self, pair: HedgePair) -> Instrument:
        """Load the exchange's markets and return the pair's trading rules. Idempotent; ``open`` does it too.

        Raises:
            ConfigError: the exchange or the pair does not exist there, or its contract is not one that can be hedged with.
            Transient: the exchange did not answer.
            Fatal: the exchange refuses to talk to us.
        """
        if self._rest is None:
            spot_only = {"fetchMarkets": {"types": ["spot"]}} if self._spot_id == "binance" else None
            self._rest = self._guarded(self._id)
            self._spot = self._guarded(self._spot_id, spot_only)
        for exchange in (self._rest, self._spot):
            if not await self._ask(exchange.load_markets(not exchange.markets)):
                raise Transient(f"{exchange.id} answered, but not with a list of its markets")
        self._listed[pair.perpetual] = learn_name(self._rest, pair)
        if pair.spot not in self._spot.markets:
            raise ConfigError(
                f"{self._spot.id} does not list {pair.spot}.", field="symbol", value=pair.name, fix="choose a pair that it lists"
            )
        book = await self._ask(self._rest.fetch_order_book(pair.perpetual, _TOP_ROWS))
        if not book["bids"]:
            raise Transient(f"{self._id} has no bids for {pair.perpetual}, or did not answer with a book")
        rules = instrument_of(pair, self._rest.markets[pair.perpetual], self._rest.precisionMode, float(book["bids"][0][0]))
        self._rules[pair.perpetual] = rules
        return rules

    async def instrument(self, pair: HedgePair) -> Instrument | None:
        """The exchange's trading rules, asked for once. Raises as ``connect``."""
        return self._rules.get(pair.perpetual) or await self.connect(pair)

    async def open(self, pair: HedgePair, instrument: Instrument | None = None, *, resume_after_ms: int = 0) -> None:
        """Read what an update needs, then keep reading in the background. The exchange's own trading rules win over ``instrument``.

        Raises:
            ConfigError, Transient, Fatal: as ``connect``.
        """
        del instrument, resume_after_ms  # the exchange knows its rules; a live market goes on where it is
        await self._stop(pair.perpetual)
        live = LivePair(pair, await self.connect(pair))
        if self._stream is None:
            self._renew_stream()
        await self._ask(self._read_interval(live))
        await self._ask(self._read_funding(live))
        self._history.put(pair.perpetual, await self._ask(self._fetch_history(live)))
        for read in (self._read_funding, self._poll_last, self._poll_quotes):  # after the long fetch, so that nothing begins stale
            await self._ask(read(live))
        self._live.put(pair.perpetual, live)
        self._tasks[pair.perpetual] = [
            asyncio.create_task(self._keep_reading(live, read, every), name=f"{pair.name} {read.__name__}")
            for read, every in self._sources()
        ]

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update: at once if something is new, at the latest when the quotes have grown stale.

        Raises:
            ConfigError: the pair is not open.
            Fatal: the exchange refuses to go on; a person has to look.
        """
        live = self._live.get(symbol)
        wait = self._pace.update - (self._clock.now_ms() - live.answered_ms) / 1000.0
        if wait > 0.0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait, self._pace.update)):
                    await live.hurry.wait()
        live.hurry.clear()
        try:
            async with asyncio.timeout(self._pace.stale):
                await live.changed.wait()
        except TimeoutError:
            pass  # the update says since when nothing came
        if live.doubted:
            live.doubted = False
            doubtful = (self._poll_last, self._poll_quotes, self._read_funding, self._read_spot)
            with hasty(Haste.PROTECT):  # the tick waits for the answers, and with it the stop
                await asyncio.gather(*(self._ask_again(live, read) for read in doubtful))
        self._raise_failure(live)
        return live.update(self._clock.now_ms(), self._pace.stale * 1000.0)

    def nudge(self, symbol: str, *, doubted: bool = False) -> None:
        """Deliver the next update of this pair now: something happened that should be acted upon. With ``doubted`` every price is asked
        for first.
        """
        if symbol not in self._live:
            return
        live = self._live.get(symbol)
        live.doubted |= doubted
        live.hurry.set()
        live.changed.set()

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last good update delivered."""
        return self._live.get(symbol).latest

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """Months of closed hourly candles, then the running hour's minutes."""
        return self._history.get(symbol)

    def expected(self, symbol: str) -> int | None:  # noqa: ARG002 - the port's signature
        """None: a live market has no end."""
        return None

    async def leave(self, symbol: str) -> None:
        """Stop reading one pair; the others go on."""
        await self._stop(symbol)

    async def close(self) -> None:
        """Stop reading and release every connection."""
        for perpetual in list(self._tasks):
            await self._stop(perpetual)
        self._live.clear()
        self._history.clear()
        exchanges = [exchange for exchange in (self._stream, self._rest, self._spot, *self._retired) if exchange is not None]
        self._stream = self._rest = self._spot = None
        self._retired.clear()
        await asyncio.gather(*(exchange.close() for exchange in exchanges))  # each takes ccxt a quarter of a second

    def _raise_failure(self, live: LivePair) -> None:
        """A source that gave up, or fell over what nobody foresaw, must not leave its last number standing."""
        if live.failure is not None:
            raise live.failure
        for task in self._tasks.get(live.pair.perpetual, ()):
            if task.done():
                raise Fatal(f"{task.get_name()} stopped: {why_ended(task)}") from (None if task.cancelled() else task.exception())

    # --- reading -----------------------------------------------------------------------------------------------------
    def _sources(self) -> list[tuple[Callable[[LivePair], Awaitable[None]], float]]:
        """What to read, and how long to pause after each read [s]; a websocket paces itself."""
        has = self._stream.has
        quotes = (self._watch_quotes, 0.0) if has.get("watchBidsAsks") else (self._poll_quotes, self._pace.quotes)
        trades = (self._watch_trades, 0.0) if has.get("watchTrades") else (self._poll_last, self._pace.quotes)
        marks = [(self._watch_mark, 0.0)] if has.get("watchMarkPrice") else []
        return [
            quotes,
            trades,
            *marks,
            (self._read_funding, self._pace.funding * (10.0 if marks else 1.0)),
            (self._read_spot, self._pace.spot),
            (self._read_depth, self._pace.depth),
        ]

    async def _keep_reading(self, live: LivePair, read: Callable[[LivePair], Awaitable[None]], every: float) -> None:
        """Read for ever; back off while it fails, and give up only on what a person has to mend."""
        failures = 0
        while True:
            try:
                await read(live)
                failures = 0
            except read_errors() as error:
                reaction = translate_read(error)
                if isinstance(reaction, Fatal):
                    live.failure = reaction
                    live.changed.set()
                    return
                if not failures:
                    logger.warning("{}, {}: {}", live.pair.name, _SOURCES[read.__name__], reaction)
                failures = min(failures + 1, _MOST_DOUBLINGS)
            await self._clock.sleep(every if not failures else min(max(every, 0.5) * 2.0**failures, _MOST_BACKOFF))

    async def _ask_again(self, live: LivePair, read: Callable[[LivePair], Awaitable[None]]) -> None:
        """Read once; what fails is left to its own source."""
        with contextlib.suppress(*read_errors()):
            await read(live)

    async def _watch_quotes(self, live: LivePair) -> None:
        symbol, stream, heard = self._listed[live.pair.perpetual], self._stream, self._heard
        tickers = await self._listen(stream.watch_bids_asks, [symbol])
        if tickers is not None:
            self._heard += 1
            live.take_quote(tickers[symbol], self._clock.now_ms())
            return
        bid, ask = live.bid, live.ask
        await self._poll_quotes(live)
        missed = abs(live.bid - bid) + abs(live.ask - ask) > 0.0  # never, where a side of the book is empty
        if self._stream is stream and (missed or self._heard == heard):
            logger.warning("{}: no quotes for {:.0f} s, the stream is rebuilt", live.pair.name, self._pace.silent)
            await self._rebuild_stream()

    async def _watch_trades(self, live: LivePair) -> None:
        trades = await self._listen(self._stream.watch_trades, self._listed[live.pair.perpetual])
        if trades is not None:
            live.take_trades(trades)
        else:
            await self._poll_last(live)  # nothing traded, or the stream is dead: the quotes' watchdog sees to it

    async def _watch_mark(self, live: LivePair) -> None:
        ticker = await self._listen(self._stream.watch_mark_price, self._listed[live.pair.perpetual])
        if ticker is not None:
            live.take_mark(ticker, self._clock.now_ms())
        else:
            await self._read_funding(live)

    async def _listen(self, watch: Callable[[Any], Awaitable[Any]], wanted: Any) -> Any:
        """What a subscription brings next; None where it was silent, or where another's watchdog has replaced its stream meanwhile."""
        stream = self._stream
        try:
            async with asyncio.timeout(self._pace.silent):
                return await watch(wanted)
        except TimeoutError:
            return None
        except read_errors():
            if self._stream is stream:
                raise
            return None

    async def _poll_quotes(self, live: LivePair) -> None:
        book = await self._rest.fetch_order_book(live.pair.perpetual, _TOP_ROWS)
        bids, asks = book["bids"], book["asks"]
        live.take_quote({"bid": bids[0][0] if bids else None, "ask": asks[0][0] if asks else None}, self._clock.now_ms())

    async def _poll_last(self, live: LivePair) -> None:
        live.take_ticker(await self._rest.fetch_ticker(live.pair.perpetual))

    async def _read_funding(self, live: LivePair) -> None:
        live.take_funding(await self._rest.fetch_funding_rate(live.pair.perpetual), self._clock.now_ms())

    async def _read_interval(self, live: LivePair) -> None:
        if self._rest.has.get("fetchFundingIntervals"):
            listed = self._listed[live.pair.perpetual]
            found = await self._rest.fetch_funding_intervals([listed])
            live.take_interval(found.get(listed) or {})

    async def _read_spot(self, live: LivePair) -> None:
        live.take_spot(await self._spot.fetch_ticker(live.pair.spot), self._clock.now_ms())

    async def _read_depth(self, live: LivePair) -> None:
        live.take_book(await self._rest.fetch_order_book(live.pair.perpetual, _BOOK_ROWS))

    async def _fetch_history(self, live: LivePair) -> list[MarketUpdate]:
        if not self._rest.has.get("fetchOHLCV"):
            return []
        now = self._clock.now_ms()
        symbol, hour = live.pair.perpetual, now - now % HOUR_MS
        hours = await self._fetch_hours(symbol, hour - self._warm_up_ms, hour)
        minutes = await self._rest.fetch_ohlcv(symbol, "1m", since=hour, limit=60)
        recent = [row for row in minutes if row[0] >= hour]
        funding = live.interval_h, live.rate
        return warm_up(hours, HOUR_MS, hour, *funding) + warm_up(recent, MINUTE_MS, now, *funding)

    async def _fetch_hours(self, symbol: str, since_ms: int, until_ms: int) -> list[list[float]]:
        """Hourly candles from ``since_ms`` on, page by page, however many the exchange gives at once; before a listing there are none."""
        found: list[list[float]] = []
        while since_ms < until_ms:
            page = await self._rest.fetch_ohlcv(symbol, "1h", since=since_ms, limit=_CANDLES_AT_ONCE)
            new = [row for row in page if row[0] >= since_ms]
            if not new:
                break
            found += new
            since_ms = int(new[-1][0]) + HOUR_MS
        return found

    # --- connections -------------------------------------------------------------------------------------------------
    async def _ask(self, reply: Awaitable[Any]) -> Any:
        """Await a reply of ccxt, its errors translated."""
        try:
            return await reply
        except read_errors() as error:
            raise translate_read(error) from error

    def _guarded(self, exchange_id: str, options: Mapping[str, Any] | None = None) -> Any:
        return self._guard.install(make_exchange(exchange_id, rest_url=self._rest_url, ws_url=self._ws_url, options=options))

    def _renew_stream(self) -> None:
        self._stream = tap(self._guarded(self._id))
        hand_markets(self._rest, self._stream)

    async def _rebuild_stream(self) -> None:
        dead = self._stream
        self._retired.append(dead)
        self._renew_stream()
        await dead.close()
        self._retired.remove(dead)

    async def _stop(self, perpetual: str) -> None:
        tasks = self._tasks.pop(perpetual, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
