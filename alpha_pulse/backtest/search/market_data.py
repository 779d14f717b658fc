"""A whole market in one table of numbers, read once, and a feed over any stretch of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.market.streams import ByPair, Stream
from alpha_pulse.settings import Settings

_CHUNK: Final = 4096  # bars that are turned into objects, or into rows, at a time
_COLUMNS: Final = 26
_NO_BAR: Final = (math.nan,) * 5


@dataclass(frozen=True, slots=True)
class MarketData:
    """One pair's market. ``table``: a row for each update, its fields in their order, shape (bars, 26); NaN is None.

    Rows before ``first`` only warm indicators up. Arrays rather than objects: a year of minutes is 110 MB, and processes can share it.
    """

    symbol: str
    instrument: Instrument | None  # None: the built-in trading rules
    table: FloatArray
    first: int
    source: str
    simulated: bool

    @property
    def bars(self) -> int:
        """Bars that can be run, those before ``first`` not counted."""
        return len(self.table) - self.first

    @property
    def close_ms(self) -> IntArray:
        """When each bar that can be run closed, ms UTC, shape (bars,)."""
        return self.table[self.first :, 1].astype(np.int64)

    @property
    def digest(self) -> str:
        """A fingerprint of the prices: equal data, equal text."""
        return hashlib.sha256(np.ascontiguousarray(self.table[self.first :]).tobytes()).hexdigest()[:16]

    def updates(self, start: int, stop: int) -> Iterator[list[MarketUpdate]]:
        """Rows ``start`` … ``stop`` − 1 of the table as updates, a chunk at a time."""
        for begin in range(start, stop, _CHUNK):
            yield [_update(row) for row in self.table[begin : min(begin + _CHUNK, stop)].tolist()]


async def read_data(settings: Settings) -> MarketData:
    """Read the market that the settings name, with what lies before its first bar, to its end.

    Raises:
        ConfigError: it is live, endless or empty, cannot be read, or holds a bar that nobody acts upon.
    """
    feed_settings = settings.feed
    if feed_settings.source == "ccxt" or (feed_settings.source == "simulated" and feed_settings.days is None):
        raise ConfigError("a live or endless market cannot be searched on.", field="feed", fix="give recorded files, or feed.days")
    pair = hedge_pair(settings.symbol)
    feed = create_feed(feed_settings, settings.exchange)
    known = await feed.instrument(pair)
    await feed.open(pair, known or builtin_instrument(pair))
    table = _Table()
    try:
        for update in feed.history(pair.perpetual):
            table.add(update)
        first = table.rows
        while (found := await feed.next(pair.perpetual)) is not None:
            if isinstance(found, FeedProblem):
                raise ConfigError(f"the market holds a bar that cannot be used: {found.reason}.", field="feed", fix="mend the data")
            table.add(found)
    finally:
        await feed.close()
    if table.rows == first:
        raise ConfigError("the market has no usable bar.", field="feed", fix="look at the data files")
    made_up = feed_settings.source == "simulated"
    name = feed_settings.perp.name if feed_settings.perp else str(feed_settings.store)
    source = f"simulated market, seed {feed_settings.seed}" if made_up else f"recorded: {name}"
    return MarketData(settings.symbol, known, table.whole(), first, source, made_up)


class _Table:
    """Updates as rows, a chunk at a time."""

    def __init__(self) -> None:
        self._chunks: list[FloatArray] = []
        self._rows: list[tuple[float, ...]] = []
        self.rows = 0

    def add(self, update: MarketUpdate) -> None:
        self._rows.append(_row(update))
        self.rows += 1
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._chunks.append(np.array(self._rows, dtype=np.float64))
            self._rows.clear()

    def whole(self) -> FloatArray:
        self._flush()
        return np.concatenate(self._chunks) if self._chunks else np.empty((0, _COLUMNS))


def _row(u: MarketUpdate) -> tuple[float, ...]:
    spot = _NO_BAR if u.spot is None else u.spot
    settled = math.nan if u.settled_rate is None else u.settled_rate
    return (
        u.open_ms, u.close_ms, *u.perp, *u.mark, *spot, u.index_price, u.bid, u.ask, u.funding_rate, u.funding_interval_h,
        u.next_funding_ms, settled, u.bid_depth, u.ask_depth,
    )  # fmt: skip


def _update(row: list[float]) -> MarketUpdate:
    open_ms, close_ms, *rest = row
    index, bid, ask, rate, interval, next_ms, settled, bid_depth, ask_depth = rest[15:]
    return MarketUpdate(
        int(open_ms),
        int(close_ms),
        Bar(*rest[:5]),
        Bar(*rest[5:10]),
        None if math.isnan(rest[10]) else Bar(*rest[10:15]),
        index,
        bid,
        ask,
        rate,
        interval,
        int(next_ms),
        None if math.isnan(settled) else settled,
        bid_depth,
        ask_depth,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the data that can be run: bars ``start`` … ``stop`` − 1, counted from the first that can."""

    start: int
    stop: int

    @property
    def bars(self) -> int:
        """How many."""
        return self.stop - self.start

    def head(self, share: float) -> Part:
        """Its first ``share``, one bar at least."""
        return Part(self.start, self.start + max(1, int(self.bars * share)))


class PartFeed:
    """A ``MarketFeed`` over one part; everything before it is history, which warms indicators up as it would have in life."""

    def __init__(self, data: MarketData, part: Part) -> None:
        self._data = data
        self._start, self._stop = data.first + part.start, data.first + part.stop
        self._streams: ByPair[Stream] = ByPair()
        self._begin = self._start

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:  # noqa: ARG002 - the port's signature
        """Get ready to deliver.

        Raises:
            ConfigError: the data are another pair's.
        """
        if pair != hedge_pair(self._data.symbol):
            raise ConfigError(f"the data are of {self._data.symbol}.", field="symbol", value=pair.name, fix="read the data of this pair")
        resumed = int(np.searchsorted(self._data.table[:, 1], resume_after_ms, side="right"))
        self._begin = min(self._stop, max(self._start, resumed))
        self._streams.put(pair.perpetual, Stream(self._data.updates(self._begin, self._stop)))

    async def next(self, symbol: str) -> MarketUpdate | None:
        """The next bar; None after the last."""
        return self._streams.get(symbol).take()

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last bar delivered."""
        return self._streams.get(symbol).latest

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """Every bar before the first that ``next`` delivers."""
        self._streams.get(symbol)
        for chunk in self._data.updates(0, self._begin):
            yield from chunk

    async def instrument(self, pair: HedgePair) -> Instrument | None:  # noqa: ARG002 - the port's signature
        """The trading rules, where the feed that was read knew them."""
        return self._data.instrument

    def expected(self, symbol: str) -> int | None:
        """The bars from where it was opened to the part's end."""
        self._streams.get(symbol)
        return self._stop - self._begin

    async def close(self) -> None:
        """Forget the pair."""
        self._streams.clear()
