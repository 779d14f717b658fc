"""Recorded candles as a feed: checked when opened, delivered bar by bar, gaps reported and never filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from loguru import logger

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import HOUR_MS, MINUTE_MS, Candles, Floats, Funding, Gap, Stamps, iso, read_candles, read_funding
from alpha_pulse.market.streams import ByPair, Stream, make_bar, make_update
from alpha_pulse.market.ticks import TickGrid

_CHUNK: Final = 4096  # bars turned into objects at a time
_LISTED: Final = 20  # gaps named in the log; the rest are counted
_INTERVALS_H: Final = (1, 2, 4, 8)
_SAME_MARKET: Final = 2.0  # spot and perpetual differ by less than this factor, or the files belong to different markets


class _Rows(NamedTuple):
    """A pair's aligned columns, one entry per bar of the perpetual."""

    open_ms: Stamps
    step_ms: int
    perp: Floats  # five rows: open, high, low, close, volume
    mark: Floats | None
    spot: Floats  # NaN where spot was out
    index_price: Floats
    rate: Floats  # last settled, as known at each close
    interval_h: Floats
    settled: Floats  # NaN where nothing settles
    grid: TickGrid
    first: int  # the first bar that ``next`` delivers
    stop: int


class RecordedFeed:
    """A ``MarketFeed`` over files of candles (CSV, or Parquet with the ``backtest`` extra) for one pair.

    The perpetual's bars set the pace; a bar missing there means that the next update comes later. A bar missing in the spot file
    is a spot outage: ``spot`` is None and ``index_price`` is the mark price, or without a mark file the last spot price
    moved by what the perpetual has moved since. Without a mark file mark equals the perpetual's own bar, and so it does where
    the mark file has no row. A recording has no book: bid is the close rounded down to a tick, ask one tick above, depth 0 (unknown).

    A settlement belongs to the bar with open_ms ≤ T < close_ms; ``funding_rate`` is the last rate settled before the close
    (0 before the first). Rates that settled while the perpetual's bars are missing are summed into the next bar, for the position
    was held through them.

    Args:
        spot: candles of the coin itself [file].
        perp: candles of the perpetual [file].
        funding: settled funding rates [file]; None = no funding is paid.
        mark: mark-price candles [file].
        start_ms: bars that open before this only warm indicators up [ms].
        end_ms: bars that open at or after this are left out [ms].

    Attributes:
        gaps: what is missing, after ``open``: every run of missing rows of every file.
    """

    def __init__(
        self,
        spot: Path | str,
        perp: Path | str,
        funding: Path | str | None = None,
        mark: Path | str | None = None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> None:
        self._spot, self._perp = Path(spot), Path(perp)
        self._funding = None if funding is None else Path(funding)
        self._mark = None if mark is None else Path(mark)
        self._start_ms, self._end_ms = start_ms, end_ms
        self._rows: _Rows | None = None
        self._pair: HedgePair | None = None
        self._streams: ByPair[Stream] = ByPair()
        self.gaps: tuple[Gap, ...] = ()

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Read and check the files, and get ready to deliver.

        Raises:
            ConfigError: a file is missing, or the files are already in use for another pair.
            DataError: a file cannot be trusted, or the files do not belong together.
        """
        if self._pair is not None and self._pair != pair:
            problem = f"these files hold {self._pair.name}."
            raise ConfigError(problem, field="symbol", value=pair.name, fix="make one recorded feed for each pair")
        rows = self._load(pair, instrument)
        first = int(np.searchsorted(rows.open_ms, max(self._start_ms or 0, resume_after_ms - rows.step_ms + 1)))
        self._rows = rows._replace(first=min(first, rows.stop))
        self._pair = pair
        self._streams.put(pair.perpetual, Stream(_chunks(self._rows, self._rows.first, rows.stop)))

    async def next(self, symbol: str) -> MarketUpdate | None:
        """The next bar; None after the last."""
        return self._streams.get(symbol).take()

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last bar delivered."""
        return self._streams.get(symbol).latest

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """Every recorded bar before the first that ``next`` delivers."""
        self._streams.get(symbol)
        if self._rows is not None:
            for chunk in _chunks(self._rows, 0, self._rows.first):
                yield from chunk

    def instrument(self, pair: HedgePair) -> Instrument | None:  # noqa: ARG002 - the port's signature
        """None: candles say nothing of trading rules."""
        return None

    async def close(self) -> None:
        """Forget the data."""
        self._streams.clear()
        self._rows = self._pair = None

    def _load(self, pair: HedgePair, instrument: Instrument) -> _Rows:
        perp, spot = read_candles(self._perp), read_candles(self._spot)
        mark = None if self._mark is None else read_candles(self._mark, volume=False)
        funding = None if self._funding is None else read_funding(self._funding)
        for other in (spot, mark):
            if other is not None:
                _check_step(perp, other)
        if perp.columns[2].min() < instrument.tick:
            row = int(np.argmin(perp.columns[2])) + 1
            raise DataError(f"its price is under one tick of {pair.perpetual} ({instrument.tick_size}).", path=perp.path, row=row)
        aligned_spot = _align(perp, spot)
        aligned_spot[:4] *= pair.multiplier
        aligned_spot[4] /= pair.multiplier
        _check_same_market(perp, spot, aligned_spot)
        aligned_mark = None if mark is None else _or_else(_align(perp, mark), perp.columns)
        stop = len(perp.open_ms) if self._end_ms is None else int(np.searchsorted(perp.open_ms, self._end_ms))
        rate, interval_h, settled = _funding_columns(perp, funding, instrument.funding_interval_hours)
        self._report(perp, spot, mark, funding)
        index = _index(perp.columns[3], aligned_spot[3], None if aligned_mark is None else aligned_mark[3])
        grid = TickGrid(instrument.tick_size)
        return _Rows(perp.open_ms, perp.step_ms, perp.columns, aligned_mark, aligned_spot, index, rate, interval_h, settled, grid, 0, stop)

    def _report(self, perp: Candles, spot: Candles, mark: Candles | None, funding: Funding | None) -> None:
        """List what is missing, and say it once."""
        say = self._rows is None and self._pair is None and not self.gaps
        self.gaps = perp.gaps + spot.gaps + _uncovered(perp, spot)
        if mark is not None:
            self.gaps += mark.gaps + _uncovered(perp, mark)
        if not say:
            return
        for gap in self.gaps[:_LISTED]:
            logger.warning("{}: {} rows missing, {} .. {}", gap.path, gap.missing, iso(gap.first_ms), iso(gap.last_ms))
        if len(self.gaps) > _LISTED:
            logger.warning("and {} more gaps, {} gaps in all", len(self.gaps) - _LISTED, len(self.gaps))
        if mark is None:
            logger.info("No mark prices were given: the perpetual's own prices stand in for them")
        if funding is None:
            logger.info("No funding rates were given: no funding is paid or received")


def _check_step(perp: Candles, other: Candles) -> None:
    if other.step_ms != perp.step_ms:
        theirs, ours = other.step_ms // MINUTE_MS, perp.step_ms // MINUTE_MS
        raise DataError(f"its candles are {theirs} min, the perpetual's {ours} min.", path=other.path, fix=f"give candles of {ours} min")


def _align(perp: Candles, other: Candles) -> Floats:
    """The other file's columns at the perpetual's times; NaN where it has no row."""
    at = np.searchsorted(other.open_ms, perp.open_ms)
    at[at == len(other.open_ms)] = 0
    aligned: Floats = other.columns[:, at]
    aligned[:, other.open_ms[at] != perp.open_ms] = np.nan
    return aligned


def _or_else(columns: Floats, fallback: Floats) -> Floats:
    return np.where(np.isnan(columns[0]), fallback, columns)


def _check_same_market(perp: Candles, spot: Candles, aligned: Floats) -> None:
    ratio = aligned[3] / perp.columns[3]
    if np.isnan(ratio).all():
        raise DataError("it shares no time with the perpetual's candles.", path=spot.path, fix="give recordings of the same period")
    usual = float(np.nanmedian(ratio))
    if not 1.0 / _SAME_MARKET < usual < _SAME_MARKET:
        raise DataError(
            f"its prices are {usual:.3g} times the perpetual's.", path=spot.path, fix="give spot and perpetual of the same coin"
        )


def _uncovered(perp: Candles, other: Candles) -> tuple[Gap, ...]:
    """The perpetual's bars before the other file starts and after it ends."""
    before = perp.open_ms[perp.open_ms < other.open_ms[0]]
    after = perp.open_ms[perp.open_ms > other.open_ms[-1]]
    return tuple(Gap(other.path, int(part[0]), int(part[-1]), len(part)) for part in (before, after) if len(part))


def _index(perp: Floats, spot: Floats, mark: Floats | None) -> Floats:
    """Index price: spot where it trades; else mark; else the last spot moved by the perpetual's move since then."""
    if mark is not None:
        return np.where(np.isnan(spot), mark, spot)
    seen = np.where(np.isnan(spot), -1, np.arange(len(spot)))
    last = np.maximum.accumulate(seen)
    moved = np.where(last < 0, perp, spot[last] * (perp / perp[last]))
    return np.where(np.isnan(spot), moved, spot)


def _funding_columns(perp: Candles, funding: Funding | None, default_h: int) -> tuple[Floats, Floats, Floats]:
    """Last settled rate, interval [h] and settlement (NaN = none) of each bar."""
    count = len(perp.open_ms)
    settled = np.full(count, np.nan)
    if funding is None:
        return np.zeros(count), np.full(count, float(default_h)), settled
    intervals = _intervals(funding.settled_ms, default_h)
    known = np.searchsorted(funding.settled_ms, perp.open_ms + perp.step_ms) - 1  # the last settlement before the close
    rate = np.where(known < 0, 0.0, funding.rates[known])
    interval = np.where(known < 0, intervals[0], intervals[known])
    bars = np.searchsorted(perp.open_ms + perp.step_ms, funding.settled_ms, side="right")
    for bar, time, value in zip(bars.tolist(), funding.settled_ms.tolist(), funding.rates.tolist(), strict=True):
        if bar < count and time >= perp.open_ms[0]:
            settled[bar] = value if np.isnan(settled[bar]) else settled[bar] + value
    return rate, interval, settled


def _intervals(settled_ms: Stamps, default_h: int) -> Floats:
    """Hours between settlements, as known at each: the distance from the one before. A missing row leaves the last interval standing."""
    hours = np.rint(np.diff(settled_ms) / HOUR_MS).astype(int).tolist()
    current = hours[0] if hours[0] in _INTERVALS_H else default_h
    intervals = [current]
    for distance in hours:
        current = distance if distance in _INTERVALS_H else current
        intervals.append(current)
    return np.array(intervals, np.float64)


def _chunks(rows: _Rows, first: int, stop: int) -> Iterator[list[MarketUpdate]]:
    for at in range(first, stop, _CHUNK):
        yield _updates(rows, slice(at, min(at + _CHUNK, stop)))


def _updates(rows: _Rows, part: slice) -> list[MarketUpdate]:
    opens = rows.open_ms[part]
    closes = opens + rows.step_ms
    perp = _bars(rows.perp[:, part])
    spot_out = np.isnan(rows.spot[0, part])
    spot: list[Bar | None] = list(_bars(rows.spot[:, part]))
    for i in np.flatnonzero(spot_out).tolist():
        spot[i] = None
    settled: list[float | None] = [None] * len(opens)
    for i in np.flatnonzero(~np.isnan(rows.settled[part])).tolist():
        settled[i] = float(rows.settled[part][i])
    interval_ms = (rows.interval_h[part] * HOUR_MS).astype(np.int64)
    bid = rows.grid.down(rows.perp[3, part])
    columns = (
        opens.tolist(), closes.tolist(), perp, perp if rows.mark is None else _bars(rows.mark[:, part]), spot,
        rows.index_price[part].tolist(), bid.tolist(), rows.grid.above(bid).tolist(), rows.rate[part].tolist(),
        rows.interval_h[part].tolist(), (-(-closes // interval_ms) * interval_ms).tolist(), settled, repeat(0.0), repeat(0.0),
    )  # fmt: skip
    return list(map(make_update, zip(*columns, strict=False)))


def _bars(columns: Floats) -> list[Bar]:
    return list(map(make_bar, zip(*columns.tolist(), strict=True)))
