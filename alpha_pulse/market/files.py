"""Reads recorded candles and funding rates from files or the store, and believes nothing: every row is checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import DataError
from alpha_pulse.market import tables
from alpha_pulse.market.tables import read_table

Floats = tables.Floats
Stamps = tables.Stamps

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
_OHLC: Final = ("open", "high", "low", "close")
_FIRST_MS: Final = 1_230_768_000_000  # 2009-01-01: before the first coin there was no market
_LAST_MS: Final = 4_102_444_800_000  # 2100-01-01
_UNITS: Final = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (math.inf, 1e-6))  # stamps below this are s, ms, µs, ns
CANDLE: Final = ("timestamp", *_OHLC, "volume")


class Gap(NamedTuple):
    """Rows that a file should have and does not: ``missing`` of them, from ``first_ms`` to ``last_ms`` (open times)."""

    path: str
    first_ms: int
    last_ms: int
    missing: int


class Candles(NamedTuple):
    """One file's candles. ``columns`` has five rows: open, high, low, close, volume; prices > 0, all finite and consistent."""

    path: str
    step_ms: int
    open_ms: Stamps
    columns: Floats
    gaps: tuple[Gap, ...]


class Funding(NamedTuple):
    """Settled funding rates; ``settled_ms`` on whole minutes, strictly increasing."""

    path: str
    settled_ms: Stamps
    rates: Floats


class Recording(Protocol):
    """Something recorded that is no single file: a range of the candle store. Its ``str`` names it in errors."""

    def candles(self, *, volume: bool) -> Candles:
        """Checked candles. Raises ``ConfigError`` and ``DataError`` as ``read_candles``."""
        ...

    def funding(self) -> Funding:
        """Checked funding rates. Raises ``ConfigError`` and ``DataError`` as ``read_funding``."""
        ...


Source = Path | Recording
"""A CSV, Parquet or Feather file, a folder of Parquet files that follow each other by name, or a range of the store."""


def read_candles(source: Source, *, volume: bool = True) -> Candles:
    """The candles of a source, checked. ``volume=False``: the column may be missing (mark prices have none).

    Raises:
        ConfigError: the file is not there, or needs an extra that is not installed.
        DataError: anything in it cannot be trusted; says the row and why.
    """
    if not isinstance(source, Path):
        return source.candles(volume=volume)
    return checked_candles(source, _read(source, CANDLE, () if volume else ("volume",)))


def checked_candles(source: Source, table: Floats, *, step_ms: int | None = None) -> Candles:
    """Candles from a raw table of the columns ``CANDLE``. The step is the usual distance between rows where it is not known [ms].

    Raises:
        DataError: a row cannot be trusted; says which and why.
    """
    stamps = checked_stamps(source, table[0])
    step = _check_grid(source, stamps, step_ms)
    _check_prices(source, table[1:])
    return Candles(str(source), step, stamps, table[1:], _gaps(source, stamps, step))


def read_funding(source: Source) -> Funding:
    """The settled funding rates of a source, checked; stamps that jitter by seconds are rounded to the minute.

    Raises:
        ConfigError: the file is not there, or needs an extra that is not installed.
        DataError: anything in it cannot be trusted; says the row and why.
    """
    if not isinstance(source, Path):
        return source.funding()
    return checked_funding(source, _read(source, ("timestamp", "rate"), ()))


def checked_funding(source: Source, table: Floats) -> Funding:
    """Funding rates from a raw table of time stamps and rates. Raises ``DataError`` as ``read_funding``."""
    stamps = whole_minutes(checked_stamps(source, table[0]))
    _refuse_first(source, np.diff(stamps) <= 0, "its settlement time is not after the row's before", offset=2)
    _refuse_first(source, ~(np.abs(table[1]) < 1.0), "its rate is no fraction of notional between -1 and 1")
    return Funding(str(source), stamps, table[1])


def whole_minutes(stamps: Stamps) -> Stamps:
    """The nearest whole minutes [ms]: venues settle funding on them, and stamp it some milliseconds or seconds off."""
    rounded: Stamps = (stamps + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
    return rounded


def iso(ms: int) -> str:
    """A time for people: ``2025-01-01 00:00``, UTC."""
    return datetime.fromtimestamp(ms / 1000.0, UTC).strftime("%Y-%m-%d %H:%M")


def _read(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Floats:
    """The wanted columns as rows of one array; an optional one that is missing is all zeros."""
    return refuse_few(path, read_table(path, wanted, optional=optional))


def refuse_few(source: Source, table: Floats) -> Floats:
    """The table itself. Raises ``DataError`` where one row or none leaves no step to read."""
    if table.shape[1] < 2:  # noqa: PLR2004 - one row has no step
        raise DataError("has fewer than two rows.", path=str(source), fix="give a longer recording")
    return table


# --- checking ------------------------------------------------------------------------------------------------------------
def _refuse_first(source: Source, bad: NDArray[np.bool_], problem: str, *, offset: int = 1) -> None:
    """Raise for the first bad row, if there is one."""
    if bad.any():
        fix = f"`alpha-pulse data check {source}` lists all that is wrong with it"
        raise DataError(f"{problem}.", path=str(source), row=int(np.argmax(bad)) + offset, fix=fix)


def checked_stamps(source: Source, raw: Floats) -> Stamps:
    """Milliseconds from stamps in seconds, milliseconds, microseconds or nanoseconds (told apart by the first)."""
    _refuse_first(source, ~np.isfinite(raw), "its time stamp is missing or not finite")
    stamps = np.rint(raw * to_ms(raw[0]))
    _refuse_first(source, ~plausible(stamps), "its time stamp lies outside 2009 to 2100, or its unit changes")
    result: Stamps = stamps.astype(np.int64)
    return result


def to_ms(stamp: float) -> float:
    """What turns a stamp in s, ms, µs or ns into milliseconds: its size says which it is."""
    return next(factor for limit, factor in _UNITS if abs(stamp) < limit)


def units_of(stamps: Floats) -> Floats:
    """``to_ms`` of each of many finite stamps."""
    limits, factors = zip(*_UNITS, strict=True)
    found: Floats = np.array(factors)[np.searchsorted(limits, np.abs(stamps), side="right")]
    return found


def plausible(stamps_ms: Floats) -> NDArray[np.bool_]:
    """Whether there were coins to trade at these times, and still are."""
    return np.asarray((stamps_ms >= _FIRST_MS) & (stamps_ms <= _LAST_MS))


def _check_grid(source: Source, stamps: Stamps, step: int | None) -> int:
    """The step: the usual distance between rows where it is not known. Every row must be a whole number of steps after the first."""
    distances = np.diff(stamps)
    _refuse_first(source, distances <= 0, "its time stamp is not after the row's before", offset=2)
    step = usual_step(distances) if step is None else step
    if not runnable(step):
        _refuse_step(source, step)
    _refuse_first(source, stamps % step != stamps[0] % step, f"its time stamp is off the file's grid of {step // MINUTE_MS} minutes")
    if stamps[0] % MINUTE_MS:
        fix = "give the times at which bars open, on whole minutes"
        raise DataError("its time stamp is not on a whole minute.", path=str(source), row=1, fix=fix)
    return step


def usual_step(distances: Stamps) -> int:
    """The most frequent distance between rows; of equally frequent ones the smallest."""
    usual, often = np.unique(distances, return_counts=True)
    return int(usual[np.argmax(often)])


def runnable(step_ms: int) -> bool:
    """Whether the bot runs on bars of this length: whole minutes that divide the hour."""
    return step_ms > 0 and step_ms % MINUTE_MS == 0 and HOUR_MS % step_ms == 0


def _refuse_step(source: Source, step: int) -> NoReturn:
    raise DataError(
        f"its rows are {step / MINUTE_MS:g} minutes apart.",
        path=str(source),
        fix="give candles of 1, 3, 5, 15, 30 or 60 minutes",
    )


def _check_prices(source: Source, columns: Floats) -> None:
    opened, high, low, close, volume = columns
    for name, values in zip((*_OHLC, "volume"), columns, strict=True):
        _refuse_first(source, ~np.isfinite(values), f"its {name} is missing or not finite")
    for name, values in zip(_OHLC, columns[:4], strict=True):
        _refuse_first(source, values <= 0.0, f"its {name} is not above zero")
    _refuse_first(source, high < np.maximum(opened, close), "its high is below its open or close")
    _refuse_first(source, low > np.minimum(opened, close), "its low is above its open or close")
    _refuse_first(source, volume < 0.0, "its volume is negative")


def _gaps(source: Source, stamps: Stamps, step: int) -> tuple[Gap, ...]:
    distances = np.diff(stamps)
    return tuple(
        Gap(str(source), int(stamps[i]) + step, int(stamps[i + 1]) - step, int(distances[i]) // step - 1)
        for i in np.flatnonzero(distances > step).tolist()
    )
