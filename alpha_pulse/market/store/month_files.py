"""One month's Parquet file: its schema with units, read back and written whole."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from alpha_pulse.errors import DataError
from alpha_pulse.market.files import Stamps
from alpha_pulse.market.store.series import COLUMNS, MAY_LACK, TIMESTAMP, Rows, Series
from alpha_pulse.market.tables import arrow

SCHEMA_VERSION: Final = 1
_KEY: Final = b"alpha_pulse"
_FLAG: Final = "buyer_is_maker"  # the one column that is no number


class About(NamedTuple):
    """What a file's footer says."""

    rows: int
    first_ms: int
    last_ms: int
    exchange: str


def schema_of(series: Series, exchange: str = "") -> Any:
    """The Arrow schema of a series: names, types, and each column's unit in the field's metadata."""
    pa, _ = arrow()
    units = COLUMNS[series.market.kind]
    fields = [pa.field("timestamp", pa.int64(), nullable=False, metadata={"unit": TIMESTAMP[series.market.kind]})]
    for name in series.market.columns:
        kind = pa.bool_() if name == _FLAG else pa.float64()
        fields.append(pa.field(name, kind, nullable=name in MAY_LACK, metadata={"unit": units[name]}))
    about = {"schema": SCHEMA_VERSION, "pair": series.pair, "market": series.market.value, "timeframe": series.timeframe}
    return pa.schema(fields, metadata={_KEY: json.dumps(about | {"exchange": exchange})})


def write_rows(path: Path, series: Series, rows: Rows, exchange: str) -> None:
    """Write a file whole: a reader sees the old one or the new one, and a crash leaves the old one.

    Raises:
        ConfigError: pyarrow is missing.
        OSError: the disk refuses.
    """
    pa, parquet = arrow(path)
    schema = schema_of(series, exchange)
    arrays = [pa.array(rows.time_ms)]
    for name, values in zip(series.market.columns, rows.columns, strict=True):
        unknown = np.isnan(values) if name in MAY_LACK else None
        arrays.append(pa.array(values == 1.0 if name == _FLAG else values, mask=unknown))
    table = pa.Table.from_arrays(arrays, schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}.tmp")  # beside it: a rename is atomic on one disk only
    with ExitStack() as undo:
        undo.callback(unfinished.unlink, missing_ok=True)
        with unfinished.open("wb") as file:
            parquet.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        undo.pop_all()


def read_rows(path: Path, series: Series) -> Rows:
    """A file's rows.

    Raises:
        ConfigError: pyarrow is missing.
        DataError: it is corrupt, or has other columns.
    """
    pa, parquet = arrow(path)
    names = ["timestamp", *series.market.columns]
    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, f"is no Parquet file that can be read: {error}") from error
    if table.column_names != names:
        raise _corrupt(path, f"has the columns {', '.join(table.column_names)[:120]}, not {', '.join(names)}")
    time_ms: Stamps = table.column(0).to_numpy().astype(np.int64)
    columns = np.empty((len(names) - 1, len(time_ms)))
    for i in range(len(columns)):
        columns[i] = table.column(i + 1).cast(pa.float64()).to_numpy()  # null becomes NaN
    return Rows(time_ms, columns)


def read_about(path: Path) -> About:
    """What a file holds, from its footer alone. Raises as ``read_rows``."""
    pa, parquet = arrow(path)
    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, f"is no Parquet file that can be read: {error}") from error
    groups = [file.metadata.row_group(i).column(0).statistics for i in range(file.metadata.num_row_groups)]
    known = [group for group in groups if group is not None and group.has_min_max]
    if file.metadata.num_rows and (len(known) < len(groups) or not isinstance(known[0].min, int)):
        raise _corrupt(path, "its footer does not say which time it covers")
    about = json.loads((file.schema_arrow.metadata or {}).get(_KEY, b"{}"))
    return About(
        int(file.metadata.num_rows),
        min((group.min for group in known), default=0),
        max((group.max for group in known), default=0),
        str(about.get("exchange", "")),
    )


def _corrupt(path: Path, problem: str) -> DataError:
    return DataError(f"{problem}.", path=str(path), fix="delete this file and download or import the month again")
