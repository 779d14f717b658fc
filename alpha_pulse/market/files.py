"""Reads recorded candles and funding rates from CSV or Parquet, and believes nothing: every row is checked before it is used."""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError, DataError

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "timestamp": ("timestamp", "open_time", "date", "time", "datetime", "ts", "funding_time", "fundingtime", "calc_time"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "rate": ("rate", "funding_rate", "fundingrate", "last_funding_rate"),
}
_OHLC: Final = ("open", "high", "low", "close")
_FIRST_MS: Final = 1_230_768_000_000  # 2009-01-01: before the first coin there was no market
_LAST_MS: Final = 4_102_444_800_000  # 2100-01-01
_UNITS: Final = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (math.inf, 1e-6))  # stamps below this are s, ms, µs, ns
_BLOCK: Final = 4096  # rows read before they move into the table
_PARQUET: Final = frozenset({".parquet", ".pq"})


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


def read_candles(path: Path, *, volume: bool = True) -> Candles:
    """The candles in a file, checked. ``volume=False``: the column may be missing (mark prices have none).

    Raises:
        ConfigError: the file is not there, or needs an extra that is not installed.
        DataError: anything in it cannot be trusted; says the row and why.
    """
    table = _read(path, ("timestamp", *_OHLC, "volume"), optional=() if volume else ("volume",))
    stamps = _stamps(path, table[0])
    step = _check_grid(path, stamps)
    _check_prices(path, table[1:])
    return Candles(str(path), step, stamps, table[1:], _gaps(path, stamps, step))


def read_funding(path: Path) -> Funding:
    """The settled funding rates in a file, checked; stamps that jitter by seconds are rounded to the minute.

    Raises:
        ConfigError: the file is not there, or needs an extra that is not installed.
        DataError: anything in it cannot be trusted; says the row and why.
    """
    table = _read(path, ("timestamp", "rate"), optional=())
    stamps = (_stamps(path, table[0]) + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
    _refuse_first(path, np.diff(stamps) <= 0, "its settlement time is not after the row's before", offset=2)
    _refuse_first(path, ~(np.abs(table[1]) < 1.0), "its rate is no fraction of notional between -1 and 1")
    return Funding(str(path), stamps, table[1])


def iso(ms: int) -> str:
    """A time for people: ``2025-01-01 00:00``, UTC."""
    return datetime.fromtimestamp(ms / 1000.0, UTC).strftime("%Y-%m-%d %H:%M")


# --- reading -------------------------------------------------------------------------------------------------------------
def _read(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Floats:
    """The wanted columns as rows of one array; an optional one that is missing is all zeros."""
    if not path.is_file():
        raise ConfigError("there is no such file.", field="feed", value=str(path), fix="give the path of a CSV or Parquet file")
    try:
        table = _read_parquet(path, wanted, optional) if path.suffix.lower() in _PARQUET else _read_csv(path, wanted, optional)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}.", field="feed", value=str(path)) from error
    if table.shape[1] < 2:  # noqa: PLR2004 - one row has no step
        raise DataError("has fewer than two rows.", path=str(path), fix="give a longer recording")
    return table


def _columns(path: Path, header: Iterable[str], wanted: Sequence[str], optional: Sequence[str]) -> list[int]:
    """Where each wanted column is; −1 for an optional one that is missing."""
    names = [name.strip().strip("\ufeff").lower().replace(" ", "_").replace("-", "_") for name in header]
    places = []
    for column in wanted:
        place = next((names.index(alias) for alias in _NAMES[column] if alias in names), -1)
        if place < 0 and column not in optional:
            found = ", ".join(names)[:80] or "nothing"
            raise DataError(
                f"has no column {column!r}; found: {found}.",
                path=str(path),
                fix=f"its first line must be a header with {', '.join(name for name in wanted if name not in optional)}",
            )
        places.append(place)
    return places


def _read_csv(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Floats:
    table = np.zeros((len(wanted), _count_lines(path)))  # allocated once: a year of minutes is worth not copying
    row = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            places = _columns(path, next(reader, []), wanted, optional)
            when, rest = places[0], [place for place in places[1:] if place >= 0]
            present = [i for i, place in enumerate(places) if place >= 0]
            block: list[list[float]] = []
            for cell in reader:
                if not cell:
                    continue  # a blank line is no row
                row += 1
                block.append([_moment(cell[when]), *[float(cell[place]) for place in rest]])
                if len(block) == _BLOCK:
                    table[present, row - _BLOCK : row] = np.array(block).T
                    block = []
            if block:
                table[present, row - len(block) : row] = np.array(block).T
    except UnicodeDecodeError as error:
        raise DataError("is not text.", path=str(path), fix="give a CSV file in UTF-8, or a Parquet file named .parquet") from error
    except IndexError as error:
        raise DataError("has too few columns.", path=str(path), row=row) from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}.", path=str(path), row=row) from error
    return table[:, :row]


def _count_lines(path: Path) -> int:
    """At least as many as there are rows."""
    with path.open("rb") as file:
        return 1 + sum(part.count(b"\n") + part.count(b"\r") for part in iter(lambda: file.read(1 << 20), b""))


def _moment(text: str) -> float:
    """A time stamp as a number, still in its own unit; ISO 8601 (UTC where it names no zone) as milliseconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1000.0


def _read_parquet(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Floats:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            "Parquet files need pyarrow.", field="feed", value=str(path), fix='pip install "alpha-pulse[backtest]", or give a CSV file'
        ) from error
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        places = _columns(path, names, wanted, optional)
        table = np.zeros((len(wanted), file.metadata.num_rows))
        for i, place in enumerate(places):
            if place >= 0:
                table[i] = _parquet_column(arrow, path, file.read(columns=[names[place]]).column(0))
    except arrow.ArrowException as error:
        raise DataError(f"is no Parquet file that can be read: {error}.", path=str(path)) from error
    return table


def _parquet_column(arrow: Any, path: Path, column: Any) -> Floats:
    if column.null_count:
        row = column.is_null().to_pylist().index(True) + 1
        raise DataError("a value is missing.", path=str(path), row=row)
    if arrow.types.is_timestamp(column.type):
        column = column.cast(arrow.timestamp("ms"), safe=False).cast(arrow.int64())
    elif arrow.types.is_date(column.type) or arrow.types.is_string(column.type):
        raise DataError("its time stamps are neither numbers nor timestamps.", path=str(path), fix="store milliseconds since the epoch")
    values: Floats = column.to_numpy().astype(np.float64)
    return values


# --- checking ------------------------------------------------------------------------------------------------------------
def _refuse_first(path: Path, bad: NDArray[np.bool_], problem: str, *, offset: int = 1) -> None:
    """Raise for the first bad row, if there is one."""
    if bad.any():
        raise DataError(f"{problem}.", path=str(path), row=int(np.argmax(bad)) + offset)


def _stamps(path: Path, raw: Floats) -> Stamps:
    """Milliseconds from stamps in seconds, milliseconds, microseconds or nanoseconds (told apart by the first)."""
    _refuse_first(path, ~np.isfinite(raw), "its time stamp is missing or not finite")
    factor = next(factor for limit, factor in _UNITS if abs(raw[0]) < limit)
    stamps = np.rint(raw * factor)
    _refuse_first(path, (stamps < _FIRST_MS) | (stamps > _LAST_MS), "its time stamp lies outside 2009 to 2100, or its unit changes")
    result: Stamps = stamps.astype(np.int64)
    return result


def _check_grid(path: Path, stamps: Stamps) -> int:
    """The file's step: its usual distance between rows. Every row must be a whole number of steps after the first."""
    distances = np.diff(stamps)
    _refuse_first(path, distances <= 0, "its time stamp is not after the row's before", offset=2)
    usual, often = np.unique(distances, return_counts=True)
    step = int(usual[np.argmax(often)])  # of equally frequent ones the smallest
    if step == 0 or step % MINUTE_MS or HOUR_MS % step:
        _refuse_step(path, step)
    _refuse_first(path, stamps % step != stamps[0] % step, f"its time stamp is off the file's grid of {step // MINUTE_MS} minutes")
    if stamps[0] % MINUTE_MS:
        raise DataError("its time stamp is not on a whole minute.", path=str(path), row=1)
    return step


def _refuse_step(path: Path, step: int) -> NoReturn:
    raise DataError(
        f"its rows are {step / MINUTE_MS:g} minutes apart.",
        path=str(path),
        fix="give candles of 1, 5, 15, 30 or 60 minutes",
    )


def _check_prices(path: Path, columns: Floats) -> None:
    opened, high, low, close, volume = columns
    for name, values in zip((*_OHLC, "volume"), columns, strict=True):
        _refuse_first(path, ~np.isfinite(values), f"its {name} is missing or not finite")
    for name, values in zip(_OHLC, columns[:4], strict=True):
        _refuse_first(path, values <= 0.0, f"its {name} is not above zero")
    _refuse_first(path, high < np.maximum(opened, close), "its high is below its open or close")
    _refuse_first(path, low > np.minimum(opened, close), "its low is above its open or close")
    _refuse_first(path, volume < 0.0, "its volume is negative")


def _gaps(path: Path, stamps: Stamps, step: int) -> tuple[Gap, ...]:
    distances = np.diff(stamps)
    return tuple(
        Gap(str(path), int(stamps[i]) + step, int(stamps[i + 1]) - step, int(distances[i]) // step - 1)
        for i in np.flatnonzero(distances > step).tolist()
    )
