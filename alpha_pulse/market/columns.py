"""Market updates as columns of numbers: what replayed feeds are made of, and what a reader of whole markets takes from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.market.sanity import problem_with

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]

# Rows become named tuples inside the interpreter's own loop, which costs half of calling the class for each.
_make_bar: Final[Callable[..., Bar]] = partial(tuple.__new__, Bar)
_make_update: Final[Callable[..., MarketUpdate]] = partial(tuple.__new__, MarketUpdate)
_NO_BAR: Final = (math.nan,) * 5
_CHUNK: Final = 65_536
"""Updates held as objects while they are read: what reading costs in memory beside the columns."""


class UpdateColumns(NamedTuple):
    """The fields and units of ``MarketUpdate``, one entry for each of n updates; bars of shape (5, n): open, high, low, close, volume."""

    open_ms: Stamps
    close_ms: Stamps
    perp: Floats
    mark: Floats  # the very array ``perp`` where the source has no mark price
    spot: Floats  # open is NaN while spot is out
    index_price: Floats
    bid: Floats
    ask: Floats
    funding_rate: Floats
    funding_interval_h: Floats
    next_funding_ms: Stamps
    settled_rate: Floats  # NaN where nothing settles
    bid_depth: Floats
    ask_depth: Floats

    def part(self, start: int, stop: int | None) -> UpdateColumns:
        """Updates ``start`` … ``stop`` − 1; None: to the end."""
        cut: list[Any] = [column[..., start:stop] for column in self]
        if self.mark is self.perp:
            cut[3] = cut[2]
        return UpdateColumns(*cut)


class ColumnFeed(MarketFeed, Protocol):
    """A finite ``MarketFeed`` that can hand over its market as columns too.

    What ``columns`` and ``past_columns`` hold is what ``next`` and ``history`` deliver, to the last bit. They stand apart from ``next``:
    they begin where the pair was opened, whatever has been delivered since.
    """

    def columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """Every update that ``next`` delivers after ``open``, in chunks."""
        ...

    def past_columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """Every update of ``history``, in chunks."""
        ...


def has_columns(feed: MarketFeed) -> TypeGuard[ColumnFeed]:
    """Whether the feed's columns are its own: a class that changes what ``next`` or ``history`` delivers must bring columns to match."""
    for kind in type(feed).__mro__:
        known = vars(kind)
        if "columns" in known and "past_columns" in known:
            return True
        if "next" in known or "history" in known:
            return False
    return False


def as_updates(columns: UpdateColumns) -> list[MarketUpdate]:
    """The same as objects."""
    perp = _bars(columns.perp)
    spot: list[Bar | None] = list(_bars(columns.spot))
    for i in np.flatnonzero(np.isnan(columns.spot[0])).tolist():
        spot[i] = None
    settled: list[float | None] = [None] * len(perp)
    settles = np.flatnonzero(~np.isnan(columns.settled_rate))
    for i, rate in zip(settles.tolist(), columns.settled_rate[settles].tolist(), strict=True):
        settled[i] = rate
    fields = (
        columns.open_ms.tolist(), columns.close_ms.tolist(), perp, perp if columns.mark is columns.perp else _bars(columns.mark), spot,
        columns.index_price.tolist(), columns.bid.tolist(), columns.ask.tolist(), columns.funding_rate.tolist(),
        columns.funding_interval_h.tolist(), columns.next_funding_ms.tolist(), settled, columns.bid_depth.tolist(),
        columns.ask_depth.tolist(),
    )  # fmt: skip
    return list(map(_make_update, zip(*fields, strict=True)))


def _bars(columns: Floats) -> list[Bar]:
    return list(map(_make_bar, zip(*columns.tolist(), strict=True)))


def as_columns(updates: Sequence[MarketUpdate]) -> UpdateColumns:
    """The same as columns. A spot bar that opens at NaN, or a settled rate of NaN, would be taken for none: check before."""
    open_ms, close_ms, perp, mark, spot, index, bid, ask, rate, interval_h, next_ms, settled, bid_depth, ask_depth = zip(
        *updates, strict=True
    )
    return UpdateColumns(
        open_ms=_stamps(open_ms),
        close_ms=_stamps(close_ms),
        perp=_table(perp),
        mark=_table(mark),
        spot=_table([_NO_BAR if bar is None else bar for bar in spot]),
        index_price=_floats(index),
        bid=_floats(bid),
        ask=_floats(ask),
        funding_rate=_floats(rate),
        funding_interval_h=_floats(interval_h),
        next_funding_ms=_stamps(next_ms),
        settled_rate=_floats([math.nan if value is None else value for value in settled]),
        bid_depth=_floats(bid_depth),
        ask_depth=_floats(ask_depth),
    )


def _table(bars: Sequence[Sequence[float]]) -> Floats:
    return np.ascontiguousarray(np.array(bars, np.float64).T)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, np.float64)


def _stamps(values: Sequence[int]) -> Stamps:
    return np.array(values, np.int64)


class Gathered(NamedTuple):
    """All that a feed delivers."""

    past: list[UpdateColumns]  # what warms indicators up
    updates: list[UpdateColumns]
    problem: FeedProblem | None  # what ended them before their time


async def gather(feed: MarketFeed, perpetual: str) -> Gathered:
    """Everything of an open pair, up to an update that cannot be used."""
    if has_columns(feed):
        return Gathered(list(feed.past_columns(perpetual)), list(feed.columns(perpetual)), None)
    past = list(_batches(update for update in feed.history(perpetual) if not problem_with(update)))
    updates: list[UpdateColumns] = []
    held: list[MarketUpdate] = []
    problem = None
    while problem is None and (found := await feed.next(perpetual)) is not None:
        if isinstance(found, FeedProblem):
            problem = found
        elif reason := problem_with(found):
            problem = FeedProblem(found.close_ms, reason)
        else:
            held.append(found)
        if len(held) == _CHUNK:
            updates.append(as_columns(held))
            held.clear()
    return Gathered(past, [*updates, *_batches(held)], problem)


def _batches(updates: Iterable[MarketUpdate]) -> Iterator[UpdateColumns]:
    left = iter(updates)
    while held := list(islice(left, _CHUNK)):
        yield as_columns(held)
