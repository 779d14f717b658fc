"""Columns of numbers out of CSV, Parquet and Feather files, found by their many names. What the numbers mean is checked elsewhere."""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError, DataError

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "timestamp": (
        "timestamp", "open_time", "date", "time", "datetime", "ts", "funding_time", "fundingtime", "calc_time", "exch_ms", "exchange_time",
        "event_time", "transact_time", "transaction_time", "unix", "unix_timestamp", "timestamp_ms", "opentime", "start", "local_ns",
    ),
    "open": ("open", "o", "open_price", "openprice"),
    "high": ("high", "h", "max", "high_price", "highprice"),
    "low": ("low", "l", "min", "low_price", "lowprice"),
    "close": ("close", "c", "close_price", "closeprice"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
    "rate": ("rate", "funding_rate", "fundingrate", "last_funding_rate"),
    "price": ("price", "p", "px", "trade_price"),
    "quantity": ("quantity", "qty", "q", "amount", "size", "sz"),
    "buyer_is_maker": ("buyer_is_maker", "is_buyer_maker", "isbuyermaker", "m", "side", "taker_side"),
    "bid": ("bid", "best_bid", "bid_price", "best_bid_price", "bidprice", "b"),
    "bid_quantity": ("bid_quantity", "bid_qty", "best_bid_qty", "bid_size", "bid_amount", "bidqty"),
    "ask": ("ask", "best_ask", "ask_price", "best_ask_price", "askprice", "a"),
    "ask_quantity": ("ask_quantity", "ask_qty", "best_ask_qty", "ask_size", "ask_amount", "askqty"),
}  # fmt: skip
"""By our name of a column, the names under which files have it: lower case, ``_`` for blanks and hyphens, the likeliest first."""

PARQUET: Final = frozenset({".parquet", ".pq"})
FEATHER: Final = frozenset({".feather", ".ftr", ".arrow"})
_FLAGS: Final = {
    "true": 1.0,
    "false": 0.0,
    "t": 1.0,
    "f": 0.0,
    "sell": 1.0,
    "buy": 0.0,
    "s": 1.0,
    "b": 0.0,
}  # a seller took: the buyer made
_BLOCK: Final = 4096  # rows read before they move into the table


def plain(name: str) -> str:
    """A column's name as ``NAMES`` spells names: ``" Open Time"`` → ``open_time``."""
    return name.strip().strip("\ufeff").lower().replace(" ", "_").replace("-", "_")


def read_header(path: Path) -> list[str]:
    """The names of a file's columns, as it spells them.

    Raises:
        ConfigError: the file is not there, cannot be opened, or needs an extra that is not installed.
        DataError: it is no table.
    """
    _refuse_missing(path)
    if is_binary(path):
        with _reading(path):
            return list(_Columns(path).names)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _no_text(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_table(
    path: Path,
    wanted: Sequence[str],
    *,
    optional: Sequence[str] = (),
    named: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> Floats:
    """The wanted columns as rows of one array, raw: time stamps still in the file's unit, ISO 8601 as milliseconds.

    Args:
        path: a CSV, Parquet or Feather file, or a folder of Parquet files that follow each other by name.
        wanted: our names of the columns.
        optional: those of them that may be missing; they are all zeros then.
        named: the file's own names of some columns, where they are not to be guessed.
        lenient: what is no number becomes NaN instead of an error.

    Raises:
        ConfigError: the file is not there, cannot be opened, or needs an extra that is not installed.
        DataError: a column is missing, or a value is none.
    """
    _refuse_missing(path)
    ask = _Ask(tuple(wanted), tuple(optional), dict(named or {}), lenient)
    try:
        if path.is_dir():
            parts = [ask.read_binary(file) for file in sorted(path.glob("[!.]*.parquet"))]
            if not parts:
                fix = "give the path of a file, or of a folder that holds Parquet files"
                raise ConfigError("is no such file: a folder without Parquet files.", field="feed", value=str(path), fix=fix)
            return np.concatenate(parts, axis=1)
        return ask.read_binary(path) if is_binary(path) else ask.read_csv(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def is_binary(path: Path) -> bool:
    """Whether a file is Parquet or Feather by its name; anything else is read as CSV."""
    return path.suffix.lower() in PARQUET | FEATHER


def arrow(path: Path | None = None) -> tuple[Any, Any]:
    """``pyarrow`` and ``pyarrow.parquet``, imported when first needed.

    Raises:
        ConfigError: they are not installed.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            "Parquet and Feather files need pyarrow.",
            field="feed" if path else "pyarrow",
            value=None if path is None else str(path),
            fix='pip install "alpha-pulse[backtest]", or give a CSV file',
        ) from error


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise ConfigError("there is no such file.", field="feed", value=str(path), fix="give the path of a CSV or Parquet file")


def _unreadable(path: Path, error: OSError) -> ConfigError:
    fix = "give the path of a file that you may read"
    return ConfigError(f"cannot be read: {error.strerror or error}.", field="feed", value=str(path), fix=fix)


def _no_text(path: Path) -> DataError:
    return DataError("is not text.", path=str(path), fix="give a CSV file in UTF-8, or a Parquet file named .parquet")


def _see(path: Path) -> str:
    return f"`alpha-pulse data check {path}` lists every such row"


def _moment(text: str) -> float:
    """A time stamp as a number, still in its own unit; ISO 8601 (UTC where it names no zone) as milliseconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1000.0


def _flag(text: str) -> float:
    """A yes or no, or the side that took: 1 where the buyer made."""
    known = _FLAGS.get(text.strip().lower())
    return float(text) if known is None else known


_PARSERS: Final[Mapping[str, Callable[[str], float]]] = {"timestamp": _moment, "buyer_is_maker": _flag}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Arrow's errors as ours."""
    broken = arrow(path)[0].ArrowException
    try:
        yield
    except broken as error:
        kind = "Feather" if path.suffix.lower() in FEATHER else "Parquet"
        raise DataError(f"is no {kind} file that can be read: {error}.", path=str(path), fix="write or download it again") from error


class _Columns:
    """A Parquet or Feather file, one column at a time, so that few copies live at once."""

    def __init__(self, path: Path) -> None:
        _, parquet = arrow(path)
        self._whole: Any = None
        self._file: Any = None
        if path.suffix.lower() in FEATHER:
            self._whole = importlib.import_module("pyarrow.feather").read_table(path)
            self.names, self.rows = list(self._whole.column_names), int(self._whole.num_rows)
        else:
            self._file = parquet.ParquetFile(path)
            self.names, self.rows = list(self._file.schema_arrow.names), int(self._file.metadata.num_rows)

    def column(self, place: int) -> Any:
        if self._whole is not None:
            return self._whole.column(place)
        return self._file.read(columns=[self.names[place]]).column(0)


class _Ask:
    """Which columns of a file are wanted, and how strictly they are read."""

    def __init__(self, wanted: tuple[str, ...], optional: tuple[str, ...], named: dict[str, str], lenient: bool) -> None:
        self.wanted, self.optional, self.named, self.lenient = wanted, optional, named, lenient

    def places(self, path: Path, header: Iterable[str]) -> list[int]:
        """Where each wanted column is; −1 for an optional one that is missing."""
        raw = [name.strip() for name in header]
        names = [plain(name) for name in raw]
        places = []
        for column in self.wanted:
            given = self.named.get(column)
            if given is not None:
                place = raw.index(given) if given in raw else names.index(plain(given)) if plain(given) in names else -1
            else:
                place = next((names.index(alias) for alias in NAMES[column] if alias in names), -1)
            if place < 0 and (given is not None or column not in self.optional):
                raise self._missing(path, given or column, names)
            places.append(place)
        return places

    def _missing(self, path: Path, column: str, names: list[str]) -> DataError:
        found = ", ".join(names)[:80] or "nothing"
        needed = ", ".join(name for name in self.wanted if name not in self.optional)
        return DataError(f"has no column {column!r}; found: {found}.", path=str(path), fix=f"its first line must be a header with {needed}")

    # --- CSV -----------------------------------------------------------------------------------------------------------
    def read_csv(self, path: Path) -> Floats:
        table = None if self.lenient else self._plain_numbers(path)
        return self._any_csv(path) if table is None else table

    def _plain_numbers(self, path: Path) -> Floats | None:
        """A file of plain numbers, read by numpy in a sixth of the time; None where anything else is in it, or nothing at all."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                places = self.places(path, next(reader, []))
                header_lines, first = reader.line_num, next(_filled(reader), None)
            present = [i for i, place in enumerate(places) if place >= 0]
            if first is None:
                return None
            used = [places[i] for i in present]
            rows = np.loadtxt(
                path, delimiter=",", comments=None, quotechar='"', encoding="utf-8-sig", skiprows=header_lines, usecols=used, ndmin=2
            )
        except (ValueError, csv.Error):
            return None  # the other way says what is wrong, and where
        table = np.zeros((len(self.wanted), len(rows)))
        table[present] = rows.T
        return table

    def _any_csv(self, path: Path) -> Floats:
        table = np.zeros((len(self.wanted), _count_lines(path)))  # allocated once: a year of minutes is worth not copying
        row = 0
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                places = self.places(path, next(reader, []))
                present = [i for i, place in enumerate(places) if place >= 0]
                parse = self._parser([(places[i], _PARSERS.get(self.wanted[i], float)) for i in present])
                block: list[list[float]] = []
                for cell in _filled(reader):
                    row += 1
                    block.append(parse(cell))
                    if len(block) == _BLOCK:
                        table[present, row - _BLOCK : row] = np.array(block).T
                        block = []
                if block:
                    table[present, row - len(block) : row] = np.array(block).T
        except UnicodeDecodeError as error:
            raise _no_text(path) from error
        except IndexError as error:
            raise DataError("has too few columns.", path=str(path), row=row, fix=_see(path)) from error
        except (ValueError, csv.Error) as error:
            raise DataError(f"cannot be read: {error}.", path=str(path), row=row, fix=_see(path)) from error
        return table[:, :row]

    def _parser(self, cells: list[tuple[int, Callable[[str], float]]]) -> Callable[[list[str]], list[float]]:
        if not self.lenient:
            return lambda cell: [parse(cell[place]) for place, parse in cells]

        def number(cell: list[str], place: int, parse: Callable[[str], float]) -> float:
            try:
                return parse(cell[place])
            except (ValueError, IndexError):
                return math.nan

        return lambda cell: [number(cell, place, parse) for place, parse in cells]

    # --- Parquet and Feather -------------------------------------------------------------------------------------------
    def read_binary(self, path: Path) -> Floats:
        with _reading(path):
            file = _Columns(path)
            places = self.places(path, file.names)
            table = np.zeros((len(self.wanted), file.rows))
            for i, place in enumerate(places):
                if place >= 0:
                    table[i] = self._values(path, self.wanted[i], file.column(place))
        return table

    def _values(self, path: Path, name: str, column: Any) -> Floats:
        kinds = arrow(path)[0]
        if column.null_count and not self.lenient:
            row = column.is_null().to_pylist().index(True) + 1
            raise DataError("a value is missing.", path=str(path), row=row, fix=_see(path))
        if kinds.types.is_timestamp(column.type):
            column = column.cast(kinds.timestamp("ms"), safe=False).cast(kinds.int64())
        elif name == "buyer_is_maker" and (kinds.types.is_string(column.type) or kinds.types.is_large_string(column.type)):
            return np.array([math.nan if text is None else _FLAGS.get(text.strip().lower(), math.nan) for text in column.to_pylist()])
        elif kinds.types.is_date(column.type) or kinds.types.is_string(column.type) or kinds.types.is_large_string(column.type):
            what = "time stamps are neither numbers nor timestamps" if name == "timestamp" else f"{name} is no number"
            fix = "store milliseconds since the epoch" if name == "timestamp" else "store numbers"
            raise DataError(f"its {what}.", path=str(path), fix=fix)
        values: Floats = column.to_numpy().astype(np.float64)
        return values


def _filled(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    """Without blank lines, which are no rows."""
    return (cell for cell in reader if cell)


def _count_lines(path: Path) -> int:
    """At least as many as there are rows."""
    with path.open("rb") as file:
        return 1 + sum(part.count(b"\n") + part.count(b"\r") for part in iter(lambda: file.read(1 << 20), b""))
