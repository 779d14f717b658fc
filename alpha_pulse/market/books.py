"""Order books of an exchange, followed in the background for their depth alone: public data, no keys, no bot."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import AlphaPulseError, Transient
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.market.ccxt_mapping import hand_markets, instrument_of, learn_name, make_exchange, read_errors, translate_read
from alpha_pulse.market.depth import depth_near_mid
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.market.taps import tap

_ROWS: Final = 500  # a side, where the book is asked for
_MS: Final = 1000.0
_MOST_DOUBLINGS: Final = 20  # of the wait after failures, beyond every ``longest``


@dataclass(frozen=True, slots=True)
class BookPace:
    """How often a book is looked at [s]. The defaults cost little of any exchange's limits and of this process."""

    update: float = 1.0  # least time between two looks, however often it changes
    poll: float = 15.0  # without websockets
    silent: float = 15.0  # a stream without news for this long is rebuilt, and the book asked for
    longest: float = 60.0  # between two tries while something fails


@dataclass(frozen=True, slots=True)
class Depth:
    """Notional within 1 % of mid, quote units, and when it was seen, milliseconds UTC."""

    bids: float
    asks: float
    ts_ms: int


class CcxtBooks:
    """Follows the books of several perpetuals of one exchange that ccxt knows: streamed where it streams them, polled where not.

    Nothing that the exchange does or leaves out raises: a book that cannot be read grows old, and ``problems`` says why.

    Args:
        exchange_id: ccxt id of the perpetuals' exchange.
        pairs: whose perpetuals.
        clock: time and waiting; a real one.
        rest_url: every REST call goes to this host instead.
        ws_url: every websocket goes to this host instead.
        pace: how often each book is looked at.

    Raises:
        ConfigError: ccxt knows no such exchange.
    """

    def __init__(
        self,
        exchange_id: str,
        pairs: Iterable[HedgePair],
        *,
        clock: Clock,
        rest_url: str | None = None,
        ws_url: str | None = None,
        pace: BookPace | None = None,
    ) -> None:
        self._id, self._rest_url, self._ws_url = exchange_id, rest_url, ws_url
        self._pairs = tuple(pairs)
        self._clock = clock
        self._pace = pace or BookPace()
        self._guard = RequestGuard()
        self._open: list[Any] = []  # every ccxt object whose connections are not released yet
        self._rest = self._made()  # for what is asked for
        self._stream: Any = None  # for what is streamed: rebuilt without disturbing a request
        self._heard_ms = 0  # when any book changed last
        self._connecting = asyncio.Lock()
        self._depths: dict[str, Depth] = {}
        self.problems = {pair.name: "its book was not read yet" for pair in self._pairs}
        """Why a book cannot be read now, by the pair's short name; a pair that is not in it was read the last time."""

    def depth(self, pair: HedgePair) -> Depth | None:
        """What was seen last, however old; None before the first time."""
        return self._depths.get(pair.name)

    async def run(self) -> None:
        """Follow every book until cancelled, then release every connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for pair in self._pairs:
                    tasks.create_task(self._follow(pair), name=f"book of {pair.name}")
        finally:
            await asyncio.gather(*(exchange.close() for exchange in self._open))

    async def _follow(self, pair: HedgePair) -> None:
        """Look again and again; wait longer each time while it fails."""
        failures = 0
        while True:
            problem, wait = await self._try(pair)
            if not problem:
                failures = 0
                self.problems.pop(pair.name, None)
            else:
                if not failures:
                    logger.warning("The book of {} at {} cannot be read: {}", pair.name, self._id, problem)
                failures = min(failures + 1, _MOST_DOUBLINGS)
                self.problems[pair.name] = problem
                wait = min(self._pace.update * 2.0**failures, self._pace.longest)
            await self._clock.sleep(wait)

    async def _try(self, pair: HedgePair) -> tuple[str, float]:
        """Why a look failed, "" if it did not, and how long the next one may wait [s]."""
        try:
            return "", await self._look(pair)
        except AlphaPulseError as error:
            return str(error), 0.0
        except read_errors() as error:
            return str(translate_read(error)), 0.0

    async def _look(self, pair: HedgePair) -> float:
        """One look at one book; returns how long the next one may wait [s]."""
        listed, contract_size = await self._find(pair)
        streamed = self._rest.has.get("watchOrderBook")
        if streamed and pair.name in self._depths:
            book = await self._watch(pair, listed)
        else:  # also where it is streamed: the first time without waiting for a change
            book = await self._rest.fetch_order_book(pair.perpetual, _ROWS)
        bids, asks = depth_near_mid(book, contract_size)
        if not 0.0 <= bids + asks < math.inf:
            raise Transient(f"{self._id} gave a book with numbers that are none")
        self._depths[pair.name] = Depth(bids, asks, self._clock.now_ms())
        return self._pace.update if streamed else self._pace.poll

    async def _find(self, pair: HedgePair) -> tuple[str, float]:
        """The name by which the exchange answers, and the size of a contract. Raises ``ConfigError`` for what cannot be hedged with."""
        async with self._connecting:
            if not self._rest.markets:
                await self._rest.load_markets()
            if not self._rest.markets:
                raise Transient(f"{self._id} answered, but not with a list of its markets")
        listed = learn_name(self._rest, pair)
        rules = instrument_of(pair, self._rest.markets[pair.perpetual], self._rest.precisionMode, 1.0)  # no tick is taken from it
        return listed, float(rules.contract_size)

    async def _watch(self, pair: HedgePair, listed: str) -> Any:
        """The book after its next change, or as it is where it is silent; a stream on which every book is silent is replaced."""
        if self._stream is None:
            self._stream = self._new_stream()
        stream = self._stream
        try:
            async with asyncio.timeout(self._pace.silent):
                book = await stream.watch_order_book(listed)
        except TimeoutError:
            if self._stream is stream and self._clock.now_ms() - self._heard_ms >= self._pace.silent * _MS:
                logger.debug("The books of {} are silent: their stream is rebuilt", self._id)
                self._stream = self._new_stream()
                await stream.close()
                self._open.remove(stream)
        except read_errors():
            if self._stream is stream:
                raise  # else another book's look has replaced the stream under this one
        else:
            self._heard_ms = self._clock.now_ms()
            return book
        return await self._rest.fetch_order_book(pair.perpetual, _ROWS)

    def _new_stream(self) -> Any:
        stream = tap(self._made())
        hand_markets(self._rest, stream)
        return stream

    def _made(self) -> Any:
        made = self._guard.install(make_exchange(self._id, rest_url=self._rest_url, ws_url=self._ws_url))
        self._open.append(made)
        return made
