"""Parquet files of a month each, written whole or not at all.

::

    root/BTCUSDT/perp/1m/2024-01.parquet        candles: spot, perp, mark
    root/BTCUSDT/funding/2024-01.parquet        funding, trades, quotes, spot-trades, spot-quotes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import Floats
from alpha_pulse.market.store.month_files import read_about, read_rows, write_rows
from alpha_pulse.market.store.series import TIMEFRAMES, Kind, Market, Rows, Series, month_end, month_of, month_start

DEFAULT_ROOT: Final = Path("var/data")


class Written(NamedTuple):
    """What came of a write. Rows; nothing is replaced without being counted."""

    added: int = 0
    replaced: int = 0  # rows of a time that the store had already
    changed: int = 0  # those of them whose values differ from what the store had
    duplicates: int = 0  # rows that were given twice for one time: the later one was taken
    files: int = 0  # files that were written

    def plus(self, other: Written) -> Written:
        """Both together."""
        return Written(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        said = [f"{self.added:,} rows new"]
        if self.replaced:
            said.append(f"{self.replaced:,} written again ({self.changed:,} with other values)")
        if self.duplicates:
            said.append(f"{self.duplicates:,} given twice, the later one kept")
        return ", ".join(said)


class Stored(NamedTuple):
    """A series of the store, as its files' footers describe it. Times of the first and last row [ms]."""

    series: Series
    first_ms: int
    last_ms: int
    rows: int
    files: int
    size: int  # bytes
    exchange: str  # ccxt id; "" where nobody said

    @property
    def missing(self) -> int | None:
        """Bars between the first and the last that are not there; None for what has no timeframe."""
        step = self.series.step_ms
        return None if step is None else (self.last_ms - self.first_ms) // step + 1 - self.rows


class CandleStore:
    """Everything recorded under one folder. Reading never writes, and makes no folder.

    Two processes may write different series at once; of two that write the same month, the later one wins.
    """

    def __init__(self, root: Path | str = DEFAULT_ROOT) -> None:
        self.root = Path(root)

    def folder(self, series: Series) -> Path:
        """Where a series lies. ``RecordedFeed`` and ``read_candles`` take this folder like a file."""
        return self.root / series.pair / series.market.value / series.timeframe

    def file(self, series: Series, month: str) -> Path:
        """A month's file."""
        return self.folder(series) / f"{month}.parquet"

    def months(self, series: Series) -> list[str]:
        """The months that have a file, oldest first."""
        return sorted(path.stem for path in self.folder(series).glob("*.parquet") if _is_month(path.stem))

    def files(self, series: Series, since_ms: int | None = None, until_ms: int | None = None) -> list[Path]:
        """The files that can hold rows with ``since_ms`` ≤ time < ``until_ms``, oldest first."""
        wanted = [
            month
            for month in self.months(series)
            if (since_ms is None or month_end(month) > since_ms) and (until_ms is None or month_start(month) < until_ms)
        ]
        return [self.file(series, month) for month in wanted]

    def month(self, series: Series, month: str) -> Rows:
        """The rows of one month's file, unchecked. Raises ``ConfigError`` and ``DataError`` as ``read``."""
        return read_rows(self.file(series, month), series)

    def read(self, series: Series, since_ms: int | None = None, until_ms: int | None = None) -> Rows:
        """The rows with ``since_ms`` ≤ time < ``until_ms`` as they were stored, unchecked. Other months' files are not opened.

        Raises:
            ConfigError: pyarrow is missing.
            DataError: a file is corrupt.
        """
        parts = [read_rows(path, series) for path in self.files(series, since_ms, until_ms)]
        if not parts:
            return Rows(np.zeros(0, np.int64), np.zeros((len(series.market.columns), 0)))
        if since_ms is not None:
            parts[0] = _cut(parts[0], parts[0].time_ms >= since_ms)
        if until_ms is not None:
            parts[-1] = _cut(parts[-1], parts[-1].time_ms < until_ms)
        return Rows(np.concatenate([part.time_ms for part in parts]), np.concatenate([part.columns for part in parts], axis=1))

    def write(self, series: Series, rows: Rows, *, exchange: str = "") -> Written:
        """Merge rows into the store: where it has rows of the same time, the new ones take their place and are counted.

        Args:
            series: what the rows are.
            rows: in any order.
            exchange: the ccxt id of where they come from; "" = not known.

        Raises:
            ConfigError: the store holds this series from another exchange, or pyarrow is missing.
            DataError: a file to merge with is corrupt.
        """
        order = np.argsort(rows.time_ms, kind="stable")
        time_ms, columns = rows.time_ms[order], rows.columns[:, order]
        twice = 0
        if series.once and len(time_ms):
            last = np.append(np.diff(time_ms) != 0, True)
            twice = int((~last).sum())
            time_ms, columns = time_ms[last], columns[:, last]
        written = Written(duplicates=twice)
        start = 0
        while start < len(time_ms):
            month = month_of(int(time_ms[start]))
            stop = int(np.searchsorted(time_ms, month_end(month)))
            part = Rows(time_ms[start:stop], columns[:, start:stop])
            written = written.plus(self._merge(series, month, part, exchange))
            start = stop
        return written

    def stored(self, series: Series) -> Stored | None:
        """What there is of a series; None for nothing. Reads footers only. Raises ``ConfigError`` and ``DataError`` as ``read``."""
        files = self.files(series)
        abouts = [about for about in map(read_about, files) if about.rows]
        if not abouts:
            return None
        exchange = next((about.exchange for about in reversed(abouts) if about.exchange), "")
        size = sum(path.stat().st_size for path in files)
        return Stored(series, abouts[0].first_ms, abouts[-1].last_ms, sum(about.rows for about in abouts), len(files), size, exchange)

    def contents(self, pair: str | None = None, *, on_corrupt: Callable[[DataError], None] | None = None) -> Iterator[Stored]:
        """Every series of the store, or of one pair, by name.

        A series with a corrupt file is left out where ``on_corrupt`` is told of it. Raises ``ConfigError`` and ``DataError`` as ``read``.
        """
        pairs = sorted(self.root.iterdir()) if self.root.is_dir() else []
        for folder in pairs:
            if folder.is_dir() and pair in {None, folder.name}:
                for market in Market:
                    names = TIMEFRAMES if market.kind is Kind.CANDLES else ("",)
                    for name in names:
                        try:
                            found = self.stored(Series(folder.name, market, name))
                        except DataError as error:
                            if on_corrupt is None:
                                raise
                            on_corrupt(error)
                            continue
                        if found is not None:
                            yield found

    def _merge(self, series: Series, month: str, new: Rows, exchange: str) -> Written:
        path = self.file(series, month)
        if not path.exists():
            write_rows(path, series, new, exchange)
            return Written(added=len(new.time_ms), files=1)
        known = read_about(path).exchange
        if known and exchange and known != exchange:
            raise ConfigError(
                f"the store holds {series} from {known}: prices of two exchanges do not mix.",
                field="--exchange",
                value=exchange,
                fix="give another --root",
            )
        old = read_rows(path, series)
        kept = ~np.isin(old.time_ms, new.time_ms)
        replaced = int((~kept).sum())
        at = np.isin(new.time_ms, old.time_ms)
        changed = _differing(old.columns[:, ~kept], new.columns[:, at])
        added = len(new.time_ms) - int(at.sum())
        if not added and not changed:
            return Written(replaced=replaced)
        time_ms = np.concatenate((old.time_ms[kept], new.time_ms))
        order = np.argsort(time_ms, kind="stable")
        columns = np.concatenate((old.columns[:, kept], new.columns), axis=1)
        write_rows(path, series, Rows(time_ms[order], columns[:, order]), exchange or known)
        return Written(added=added, replaced=replaced, changed=changed, files=1)


def _cut(rows: Rows, kept: Any) -> Rows:
    return Rows(rows.time_ms[kept], rows.columns[:, kept])


def _differing(old: Floats, new: Floats) -> int:
    """How many of the rows that are replaced had other values; all, where there were more or fewer of them."""
    if old.shape != new.shape:
        return int(old.shape[1])
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    return int(np.count_nonzero(~same.all(axis=0)))


def _is_month(name: str) -> bool:
    try:
        return month_start(name) >= 0
    except ValueError:
        return False
