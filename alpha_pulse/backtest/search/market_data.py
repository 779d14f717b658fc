"""A whole market in one table of numbers, read once, and a feed over any stretch of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.backtest.source import source_of
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.market.columns import UpdateColumns, gather
from alpha_pulse.market.streams import ReplayedFeed
from alpha_pulse.settings import Settings

_CHUNK: Final = 4096  # bars that are turned into objects at a time
_COLUMNS: Final = 26


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

    def columns(self, start: int, stop: int) -> Iterator[UpdateColumns]:
        """Rows ``start`` … ``stop`` − 1 of the table, a chunk at a time."""
        for begin in range(start, stop, _CHUNK):
            fields = np.ascontiguousarray(self.table[begin : min(begin + _CHUNK, stop)].T)
            opens, closes, settlements = fields[[0, 1, 22]].astype(np.int64)
            index, bid, ask, rate, interval = fields[17:22]
            settled, bid_depth, ask_depth = fields[23:]
            bars = fields[2:7], fields[7:12], fields[12:17]
            yield UpdateColumns(opens, closes, *bars, index, bid, ask, rate, interval, settlements, settled, bid_depth, ask_depth)


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
    try:
        gathered = await gather(feed, pair.perpetual)
    finally:
        await feed.close()
    if gathered.problem is not None:
        raise ConfigError(f"the market holds a bar that cannot be used: {gathered.problem.reason}.", field="feed", fix="mend the data")
    past, live = _table(gathered.past), _table(gathered.updates)
    if not len(live):
        raise ConfigError("the market has no usable bar.", field="feed", fix="look at the data files")
    made_up = feed_settings.source == "simulated"
    return MarketData(settings.symbol, known, np.concatenate([past, live]), len(past), source_of(settings), made_up)


def _table(chunks: Sequence[UpdateColumns]) -> FloatArray:
    """Columns as rows: ``UpdateColumns`` holds its fields in the order of the table."""
    return np.concatenate([np.vstack(chunk).T for chunk in chunks]) if chunks else np.empty((0, _COLUMNS))


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


class PartFeed(ReplayedFeed):
    """A ``MarketFeed`` over one part; everything before it is history, which warms indicators up as it would have in life."""

    def __init__(self, data: MarketData, part: Part) -> None:
        super().__init__()
        self._data = data
        self._start, self._stop = data.first + part.start, data.first + part.stop
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
        self._deliver(pair.perpetual, self._data.columns(self._begin, self._stop))

    def columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        self._streams.get(symbol)
        return self._data.columns(self._begin, self._stop)

    def past_columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        self._streams.get(symbol)
        return self._data.columns(0, self._begin)

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
