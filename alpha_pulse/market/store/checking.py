"""What is wrong with recorded data, each finding with its time range and count. Nothing is repaired here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import HOUR_MS, MINUTE_MS, Floats, Stamps, plausible, runnable, to_ms, units_of, usual_step
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.guessing import guess
from alpha_pulse.market.store.series import MAY_LACK, Kind, Market, Series, month_end, month_start
from alpha_pulse.market.tables import read_table

JUMP: Final = 0.10
"""A move within a bar, or from one to the next, beyond this is listed [fraction of price]."""

_SETTLES_EVERY_MS: Final = 8 * HOUR_MS  # at the least: no venue of a linear perpetual settles less often
Flags = NDArray[np.bool_]


class Problem(StrEnum):
    """What can be wrong with a row, or between two."""

    GAP = "gap"
    ZERO_VOLUME = "no volume"
    JUMP = "jump"
    UNSORTED = "not in order"
    DUPLICATE = "time twice"
    OFF_GRID = "off the grid"
    NOT_FINITE = "no number"
    NOT_POSITIVE = "not above zero"
    HIGH_BELOW_LOW = "high below low"
    OUTSIDE = "open or close outside high and low"
    NEGATIVE_VOLUME = "negative volume"
    IMPOSSIBLE_RATE = "impossible rate"
    CROSSED = "bid above ask"
    ELSEWHERE = "not of this month"
    UNIT = "time in another unit"

    @property
    def refused(self) -> bool:
        """Whether a run on such data is refused; the others are only told."""
        return self not in {Problem.GAP, Problem.ZERO_VOLUME, Problem.JUMP}

    @property
    def mendable(self) -> bool:
        """Whether storing a file mends it by itself: the store sorts, and keeps the later of two rows of one time."""
        return self in {Problem.UNSORTED, Problem.DUPLICATE}


@dataclass(frozen=True, slots=True)
class Finding:
    """``count`` rows in a run, from ``first_ms`` to ``last_ms``; of a gap the rows that are not there."""

    problem: Problem
    first_ms: int
    last_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class Examined:
    """One series or file, looked through. Times of the earliest and latest row [ms]; ``jump`` is the bound that held.

    ``unfit`` says why the bot runs on no bars of this length; "" = it does.
    """

    name: str
    rows: int
    first_ms: int
    last_ms: int
    jump: float
    findings: tuple[Finding, ...]
    unfit: str = ""

    @property
    def refused(self) -> bool:
        """Whether a run on it would be refused."""
        return bool(self.unfit) or any(finding.problem.refused for finding in self.findings)

    def count(self, problem: Problem) -> int:
        """How many rows have a problem."""
        return sum(finding.count for finding in self.findings if finding.problem is problem)


def check_stored(store: CandleStore, series: Series, *, jump: float = JUMP) -> Examined:
    """Look through a series of the store.

    Raises:
        ConfigError: there is none, or pyarrow is missing.
        DataError: a file is corrupt.
    """
    rows = store.read(series)
    if not len(rows.time_ms):
        raise ConfigError(f"the store in {store.root} holds no {series}.", field="data", fix="see `alpha-pulse data list`")
    found = examine(str(series), series.market, series.step_ms, rows.time_ms.astype(np.float64), rows.columns, jump=jump)
    return replace(found, findings=found.findings + tuple(_misplaced(store, series)))


def check_file(path: Path, market: Market | None = None, *, named: Mapping[str, str] | None = None, jump: float = JUMP) -> Examined:
    """Look through a CSV, Parquet or Feather file, its columns guessed but for those ``named``. What is no number counts as a finding.

    Raises:
        ConfigError: the file is not there, or pyarrow is missing.
        DataError: it is no table, its columns are unknown, or it has fewer than two rows.
    """
    guessed = guess(path, market=market, named=named)
    market = guessed.market or (Market.PERP if "volume" in guessed.columns else Market.MARK)
    wanted = ("timestamp", *market.columns)
    optional = [name for name in wanted if name not in guessed.columns]
    table = read_table(path, wanted, optional=optional, named=guessed.columns, lenient=True)
    if table.shape[1] < 2:  # noqa: PLR2004 - one row has no step
        raise DataError("has fewer than two rows.", path=str(path), fix="give a longer recording")
    for name in MAY_LACK.intersection(optional):
        table[wanted.index(name)] = np.nan
    known = table[0][np.isfinite(table[0])]
    if not len(known):
        raise DataError("has no time stamp that can be read.", path=str(path), fix="name the column with --column timestamp=NAME")
    usual = to_ms(float(np.median(known)))
    other, times = _in_other_units(table[0], usual)
    table = table[:, ~other]
    stamps = np.rint(table[0] * usual)
    steps = np.diff(np.unique(stamps[np.isfinite(stamps)])).astype(np.int64)
    step = usual_step(steps) if len(steps) and market.kind is Kind.CANDLES else None
    found = examine(str(path), market, step, stamps, table[1:], jump=jump)
    return replace(found, rows=len(other), findings=(*_runs(Problem.UNIT, other, times), *found.findings))


def _in_other_units(raw: Floats, usual: float) -> tuple[Flags, Stamps]:
    """Rows whose time is in another unit than the usual one, as it happens where an export changes, and every time by its own unit."""
    finite = np.isfinite(raw)
    units = units_of(np.where(finite, raw, 0.0))
    times = np.where(finite, raw, 0.0) * units
    return finite & (units != usual) & plausible(times), np.rint(times).astype(np.int64)


def examine(name: str, market: Market, step_ms: int | None, stamps: Floats, columns: Floats, *, jump: float = JUMP) -> Examined:
    """Look through rows in the order in which they were recorded.

    Args:
        name: of what is looked through.
        market: what the rows are.
        step_ms: length of a bar; None for what has none.
        stamps: times [ms], NaN where there is none.
        columns: as ``market.columns``.
        jump: the bound of a move [fraction of price].
    """
    timed = np.isfinite(stamps)
    times = stamps[timed].astype(np.int64)
    findings = [Finding(Problem.NOT_FINITE, *_ends(times), int((~timed).sum()))] if not timed.all() else []
    values = columns[:, timed]
    for problem, bad in _bad_rows(market, values):
        findings += _runs(problem, bad, times)
    findings += _order(times, once=market.kind in {Kind.CANDLES, Kind.FUNDING})
    order = np.argsort(times, kind="stable")
    sorted_times, values = times[order], values[:, order]
    if step_ms is not None:
        findings += _runs(Problem.OFF_GRID, _off_grid(sorted_times, step_ms), sorted_times)
        findings += _gaps(np.unique(sorted_times), step_ms)
    elif market.kind is Kind.FUNDING:
        findings += _missing_settlements(np.unique(sorted_times))
    with np.errstate(all="ignore"):  # prices may be anything
        findings += _runs(Problem.JUMP, _jumps(market, values, jump), sorted_times)
    findings.sort(key=lambda finding: (finding.problem, finding.first_ms))
    unfit = "" if step_ms is None or runnable(step_ms) else f"the bot cannot run on bars of {step_ms / MINUTE_MS:g} minutes"
    return Examined(name, len(stamps), *_ends(times), jump, tuple(findings), unfit)


def _ends(times: Stamps) -> tuple[int, int]:
    return (int(times.min()), int(times.max())) if len(times) else (0, 0)


def _bad_rows(market: Market, values: Floats) -> Iterator[tuple[Problem, Flags]]:
    """Every check of a single row. NaN fails none but the first."""
    of = dict(zip(market.columns, values, strict=True))
    unread = [~np.isfinite(of[name]) for name in of if name not in MAY_LACK]
    yield Problem.NOT_FINITE, np.logical_or.reduce(unread)
    match market.kind:
        case Kind.CANDLES:
            opened, high, low, close = values[:4]
            yield Problem.NOT_POSITIVE, np.asarray((values[:4] <= 0.0).any(axis=0))
            yield Problem.HIGH_BELOW_LOW, high < low
            outside = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close))
            yield Problem.OUTSIDE, outside & (high >= low)
            if "volume" in of:
                yield Problem.NEGATIVE_VOLUME, of["volume"] < 0.0
                yield Problem.ZERO_VOLUME, of["volume"] == 0.0
        case Kind.FUNDING:
            yield Problem.IMPOSSIBLE_RATE, np.abs(of["rate"]) >= 1.0
        case Kind.TRADES:
            yield Problem.NOT_POSITIVE, np.asarray((values[:2] <= 0.0).any(axis=0))
        case Kind.QUOTES:
            yield Problem.NOT_POSITIVE, (of["bid"] <= 0.0) | (of["ask"] <= 0.0)
            yield Problem.CROSSED, of["bid"] > of["ask"]


def _order(times: Stamps, *, once: bool) -> list[Finding]:
    latest = np.maximum.accumulate(times) if len(times) else times
    found = _runs(Problem.UNSORTED, times < latest, times)
    if once:
        known, often = np.unique(times, return_counts=True)
        extra = often - 1
        found += _runs(Problem.DUPLICATE, extra > 0, known, count=lambda part: int(extra[part].sum()))
    return found


def _off_grid(times: Stamps, step: int) -> Flags:
    """Times that are no whole number of steps from most of the others."""
    beyond, often = np.unique(times % step, return_counts=True)
    return np.asarray(times % step != beyond[np.argmax(often)]) if len(times) else np.zeros(0, bool)


def _gaps(times: Stamps, step: int) -> list[Finding]:
    distances = np.diff(times)
    return [
        Finding(Problem.GAP, int(times[i]) + step, int(times[i + 1]) - step, int(distances[i]) // step - 1)
        for i in np.flatnonzero(distances >= 2 * step).tolist()
    ]


def _missing_settlements(times: Stamps) -> list[Finding]:
    """Half as long again as the distances on both sides, or longer than any venue waits: an interval that a venue changes is no gap, and
    neither is one whose ends are some milliseconds off.
    """
    distances = np.diff(times)
    found = []
    for i, distance in enumerate(distances.tolist()):
        beside = [int(distances[j]) for j in (i - 1, i + 1) if 0 <= j < len(distances)]
        if distance >= 1.5 * _SETTLES_EVERY_MS or (len(beside) > 1 and distance >= 1.5 * max(beside)):
            missing = max(1, round(distance / min([_SETTLES_EVERY_MS, *beside])) - 1)
            between = distance // (missing + 1)
            found.append(Finding(Problem.GAP, int(times[i]) + between, int(times[i + 1]) - between, missing))
    return found


def _jumps(market: Market, values: Floats, bound: float) -> Flags:
    """Rows that move by more than the bound, against the row before or within themselves. Unusable prices make no jump."""
    match market.kind:
        case Kind.CANDLES:
            first, last = values[0], values[3]
            within = _moved(values[2], values[1], bound)
        case Kind.TRADES:
            first = last = values[0]
            within = np.zeros(len(first), bool)
        case Kind.QUOTES:
            first = last = (values[0] + values[2]) / 2.0
            within = np.zeros(len(first), bool)
        case _:
            return np.zeros(values.shape[1], bool)
    between = _moved(last[:-1], first[1:], bound)
    return np.asarray(within | np.append(np.zeros(min(1, len(first)), bool), between))


def _moved(before: Floats, after: Floats, bound: float) -> Flags:
    usable = (before > 0.0) & (after > 0.0) & np.isfinite(before) & np.isfinite(after)
    ratio = np.divide(after, before, out=np.ones_like(after), where=usable)
    return np.asarray((ratio > 1.0 + bound) | (ratio < 1.0 / (1.0 + bound)))


def _runs(problem: Problem, bad: Flags, times: Stamps, count: Callable[[slice], int] | None = None) -> list[Finding]:
    """One finding for each unbroken run of bad rows."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
    found = []
    for start, stop in edges.reshape(-1, 2).tolist():
        part = slice(start, stop)
        found.append(Finding(problem, *_ends(times[part]), stop - start if count is None else count(part)))
    return found


def _misplaced(store: CandleStore, series: Series) -> Iterator[Finding]:
    """Rows that lie in another month's file than their own: nothing that the store itself writes."""
    for month in store.months(series):
        times = store.month(series, month).time_ms
        yield from _runs(Problem.ELSEWHERE, (times < month_start(month)) | (times >= month_end(month)), times)
