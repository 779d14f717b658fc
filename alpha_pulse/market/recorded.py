"""Recorded candles as a feed: checked when opened, delivered bar by bar, gaps reported and never filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.columns import UpdateColumns
from alpha_pulse.market.files import HOUR_MS, MINUTE_MS, Candles, Floats, Funding, Gap, Source, Stamps, iso, read_candles, read_funding
from alpha_pulse.market.streams import ReplayedFeed
from alpha_pulse.market.ticks import TickGrid

DAY_MS: Final = 24 * HOUR_MS
_CHUNK: Final = 4096  # bars turned into objects at a time
_LISTED: Final = 20  # gaps named in the log; the rest are counted
_INTERVALS_H: Final = (1, 2, 4, 8)
_LEAST_SPOT: Final = 0.1  # of the perpetual's bars: with less, hardly a price of the coins themselves would be known
_SAME_MARKET: Final = 2.0  # spot and perpetual differ by less than this factor, or the files belong to different markets


class _Rates(NamedTuple):
    """Funding as known at each settlement; the first entry, at time 0, is what was known before any."""

    known_ms: Stamps
    rate: Floats
    interval_h: Floats


class _Rows(NamedTuple):
    """A pair's aligned columns, one entry per bar of the perpetual."""

    open_ms: Stamps
    step_ms: int
    perp: Floats  # five rows: open, high, low, close, volume
    mark: Floats | None
    spot: Floats  # NaN where spot was out
    index_price: Floats
    rates: _Rates
    settled: Floats  # NaN where nothing settles
    grid: TickGrid
    first: int  # the first bar that ``next`` delivers
    stop: int


class RecordedFeed(ReplayedFeed):
    """A ``MarketFeed`` over files of candles (CSV, or Parquet with the ``backtest`` extra), or ranges of the store, for one pair.

    The perpetual's bars set the pace; a bar missing there means that the next update comes later. A bar missing in the spot file
    is a spot outage: ``spot`` is None and ``index_price`` is the mark price, or without a mark file the last spot price
    moved by what the perpetual has moved since. Without a mark file mark equals the perpetual's own bar, and so it does where
    the mark file has no row. A recording has no book: bid is the close rounded down to a tick, ask one tick above, depth 0 (unknown).

    A settlement belongs to the bar with open_ms ≤ T < close_ms; ``funding_rate`` is the last rate settled before the close
    (0 before the first). Rates that settled while the perpetual's bars are missing are summed into the next bar, for the position
    was held through them.

    Args:
        spot: candles of the coin itself [file or stored range].
        perp: candles of the perpetual [file or stored range].
        funding: settled funding rates [file or stored range]; None = no funding is paid.
        mark: mark-price candles [file or stored range].
        start_ms: bars that open before this only warm indicators up [ms].
        end_ms: bars that open at or after this are left out [ms].
        days: bars more than this after the first are left out [days].

    Attributes:
        gaps: what is missing, after ``open``: every run of missing rows of every file.
        remarks: after ``open``, in words: the gaps of the bars that are delivered, and what stands in for what was not given.
    """

    def __init__(
        self,
        spot: Source | str,
        perp: Source | str,
        funding: Source | str | None = None,
        mark: Source | str | None = None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        days: float | None = None,
    ) -> None:
        super().__init__()
        self._spot, self._perp = _source(spot), _source(perp)
        self._funding = None if funding is None else _source(funding)
        self._mark = None if mark is None else _source(mark)
        self._start_ms, self._end_ms, self._days = start_ms, end_ms, days
        self._rows: _Rows | None = None
        self._pair: HedgePair | None = None
        self.gaps: tuple[Gap, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self._said = False

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
        self._deliver(pair.perpetual, _chunks(self._rows, self._rows.first, rows.stop))

    def columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        self._streams.get(symbol)
        return () if self._rows is None else _chunks(self._rows, self._rows.first, self._rows.stop)

    def past_columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""
        self._streams.get(symbol)
        return () if self._rows is None else _chunks(self._rows, 0, self._rows.first)

    async def instrument(self, pair: HedgePair) -> Instrument | None:  # noqa: ARG002 - the port's signature
        """None: candles say nothing of trading rules."""
        return None

    def expected(self, symbol: str) -> int | None:
        """The bars from where it was opened to the end of the files."""
        self._streams.get(symbol)
        return None if self._rows is None else self._rows.stop - self._rows.first

    async def close(self) -> None:
        """Forget the data."""
        self._streams.clear()
        self._rows = self._pair = None

    def _load(self, pair: HedgePair, instrument: Instrument) -> _Rows:
        """Read, check and align the files one after the other, so that few copies live at a time."""
        perp = read_candles(self._perp)
        if perp.columns[2].min() < instrument.tick:
            row = int(np.argmin(perp.columns[2])) + 1
            raise DataError(f"its price is under one tick of {pair.perpetual} ({instrument.tick_size}).", path=perp.path, row=row)
        gaps = perp.gaps
        spot, missing = self._aligned(perp, self._spot)
        gaps += missing
        spot[:4] *= pair.multiplier
        spot[4] /= pair.multiplier
        _check_same_market(perp, str(self._spot), spot)
        run = self._window(perp)
        _check_overlap(str(self._spot), np.isnan(spot[3, run]))
        mark = None
        if self._mark is not None:
            mark, missing = self._aligned(perp, self._mark, volume=False)
            gaps += missing
            out = np.isnan(mark[0])
            if out.all() and isinstance(self._mark, Path):  # a file was meant; the store offers whatever it has
                raise _unrelated(str(self._mark))
            mark[:, out] = perp.columns[:, out]
        funding = None if self._funding is None else read_funding(self._funding)
        rates, settled = _funding(perp, funding, instrument.funding_interval_hours)
        self._report(perp, gaps, run)
        index = _index(perp.columns[3], spot[3], None if mark is None else mark[3])
        grid = TickGrid(instrument.tick_size)
        return _Rows(perp.open_ms, perp.step_ms, perp.columns, mark, spot, index, rates, settled, grid, 0, run.stop)

    def _window(self, perp: Candles) -> slice:
        """The bars that are delivered; those before only warm indicators up."""
        ends = [end for end in (self._end_ms, None if self._days is None else perp.open_ms[0] + self._days * DAY_MS) if end is not None]
        stop = int(np.searchsorted(perp.open_ms, min(ends))) if ends else len(perp.open_ms)
        return slice(int(np.searchsorted(perp.open_ms, self._start_ms or 0)), stop)

    @staticmethod
    def _aligned(perp: Candles, source: Source, *, volume: bool = True) -> tuple[Floats, tuple[Gap, ...]]:
        """Another file's columns at the perpetual's times (NaN where it has no row), and what it lacks."""
        other = read_candles(source, volume=volume)
        if other.step_ms != perp.step_ms:
            theirs, ours = other.step_ms // MINUTE_MS, perp.step_ms // MINUTE_MS
            raise DataError(
                f"its candles are {theirs} min, the perpetual's {ours} min.", path=other.path, fix=f"give candles of {ours} min"
            )
        gaps = other.gaps + _uncovered(perp, other)
        if np.array_equal(other.open_ms, perp.open_ms):
            return other.columns, gaps
        at = np.searchsorted(other.open_ms, perp.open_ms)
        at[at == len(other.open_ms)] = 0
        aligned: Floats = other.columns[:, at]
        aligned[:, other.open_ms[at] != perp.open_ms] = np.nan
        return aligned, gaps

    def _report(self, perp: Candles, gaps: tuple[Gap, ...], run: slice) -> None:
        """List what is missing; say it once."""
        first, last = (int(perp.open_ms[run][at]) if perp.open_ms[run].size else 0 for at in (0, -1))
        self.gaps = gaps
        other = self._absent() + self._shortened(perp)
        self.remarks = (*_listed([gap for gap in gaps if gap.last_ms >= first and gap.first_ms <= last]), *other)
        if self._said:
            return
        self._said = True
        for line in _listed(gaps):
            logger.warning(line)
        for line in other:
            logger.info(line)

    def _absent(self) -> list[str]:
        absent = []
        if self._mark is None:
            absent.append("No mark prices were given: the perpetual's own prices stand in for them")
        if self._funding is None:
            absent.append("No funding rates were given: no funding is paid or received")
        return absent

    def _shortened(self, perp: Candles) -> list[str]:
        """Where less is recorded than was asked for."""
        found = []
        if self._start_ms is not None and self._start_ms < perp.open_ms[0]:
            found.append(f"{perp.path} begins at {iso(int(perp.open_ms[0]))}, after the start that was asked for, {iso(self._start_ms)}")
        end = int(perp.open_ms[-1]) + perp.step_ms
        if self._end_ms is not None and self._end_ms > end:
            found.append(f"{perp.path} ends at {iso(end)}, before the end that was asked for, {iso(self._end_ms)}")
        return found


def _listed(gaps: Sequence[Gap]) -> list[str]:
    """Gaps in words; of many the first, and how many there are."""
    lines = [f"{gap.path}: {gap.missing:,} rows missing, {iso(gap.first_ms)} .. {iso(gap.last_ms)}" for gap in gaps[:_LISTED]]
    if len(gaps) > _LISTED:
        lines.append(f"and {len(gaps) - _LISTED:,} more gaps, {len(gaps):,} gaps in all, {sum(gap.missing for gap in gaps):,} rows")
    return lines


def _source(given: Source | str) -> Source:
    return Path(given) if isinstance(given, str) else given


def _check_same_market(perp: Candles, path: str, spot: Floats) -> None:
    ratio = spot[3] / perp.columns[3]
    if np.isnan(ratio).all():
        raise _unrelated(path)
    usual = float(np.nanmedian(ratio))
    if not 1.0 / _SAME_MARKET < usual < _SAME_MARKET:
        raise DataError(f"its prices are {usual:.3g} times the perpetual's.", path=path, fix="give spot and perpetual of the same coin")


def _unrelated(path: str) -> DataError:
    return DataError("it shares no time with the perpetual's candles.", path=path, fix="give recordings of the same period")


def _check_overlap(path: str, missing: NDArray[np.bool_]) -> None:
    """Refuse a run most of which would have no price of the coins themselves."""
    known = int((~missing).sum())
    if known < _LEAST_SPOT * len(missing):
        raise DataError(
            f"it has {known:,} of the perpetual's {len(missing):,} bars.",
            path=path,
            fix="give recordings of the same period; of a market that trades seldom, longer bars",
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


def _funding(perp: Candles, funding: Funding | None, default_h: int) -> tuple[_Rates, Floats]:
    """What is known of funding when, and what settles in which bar."""
    settled = np.full(len(perp.open_ms), np.nan)
    if funding is None:
        return _Rates(np.zeros(1, np.int64), np.zeros(1), np.full(1, float(default_h))), settled
    intervals = _intervals(funding.settled_ms, default_h)
    known = _Rates(
        np.concatenate(([0], funding.settled_ms)),
        np.concatenate(([0.0], funding.rates)),
        np.concatenate((intervals[:1], intervals)),
    )
    sums: dict[int, float] = {}
    bars = np.searchsorted(perp.open_ms + perp.step_ms, funding.settled_ms, side="right")
    for bar, time, value in zip(bars.tolist(), funding.settled_ms.tolist(), funding.rates.tolist(), strict=True):
        if bar < len(perp.open_ms) and time >= perp.open_ms[0]:
            sums[bar] = sums.get(bar, 0.0) + value
    settled[list(sums)] = list(sums.values())
    return known, settled


def _intervals(settled_ms: Stamps, default_h: int) -> Floats:
    """Hours between settlements, as known at each: the distance from the one before. A missing row leaves the last interval standing."""
    hours = np.rint(np.diff(settled_ms) / HOUR_MS).astype(int).tolist()
    current = hours[0] if hours[0] in _INTERVALS_H else default_h
    intervals = [current]
    for distance in hours:
        current = distance if distance in _INTERVALS_H else current
        intervals.append(current)
    return np.array(intervals, np.float64)


def _chunks(rows: _Rows, first: int, stop: int) -> Iterator[UpdateColumns]:
    for at in range(first, stop, _CHUNK):
        yield _columns(rows, slice(at, min(at + _CHUNK, stop)))


def _columns(rows: _Rows, part: slice) -> UpdateColumns:
    opens = rows.open_ms[part]
    closes = opens + rows.step_ms
    perp = rows.perp[:, part]
    known = np.searchsorted(rows.rates.known_ms, closes) - 1  # the last settlement before each close
    interval_h = rows.rates.interval_h[known]
    interval_ms = (interval_h * HOUR_MS).astype(np.int64)
    bid = rows.grid.down(rows.perp[3, part])
    unknown = np.zeros(len(opens))
    return UpdateColumns(
        open_ms=opens,
        close_ms=closes,
        perp=perp,
        mark=perp if rows.mark is None else rows.mark[:, part],
        spot=rows.spot[:, part],
        index_price=rows.index_price[part],
        bid=bid,
        ask=rows.grid.above(bid),
        funding_rate=rows.rates.rate[known],
        funding_interval_h=interval_h,
        next_funding_ms=-(-closes // interval_ms) * interval_ms,
        settled_rate=rows.settled[part],
        bid_depth=unknown,
        ask_depth=unknown,
    )
