"""Tables of a run for other programs: every bar, fill and settlement, and every figure, as CSV, Parquet or JSON.

CSV and JSON hold money exactly as booked; Parquet holds doubles and UTC timestamps, as data frames want them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import Paths
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.result import RunResult, iso_utc
from alpha_pulse.backtest.writers import FILL_COLUMNS, FUNDING_COLUMNS, csv_text, write_text
from alpha_pulse.errors import ConfigError

ExportFormat = Literal["csv", "parquet", "json"]
EXPORT_FORMATS: Final[tuple[ExportFormat, ...]] = ("csv", "parquet", "json")
EXPORTED: Final = frozenset(f"{table}.{form}" for table in ("bars", "fills", "funding", "metrics") for form in EXPORT_FORMATS)
"""Every file that an export may leave."""

_PROSE: Final = ("notes", "settings", "assumptions", "unavailable")  # of result.json: no figures

Column = Sequence[Any]


def check_format(name: str) -> ExportFormat:
    """The format of this name, if it can be written.

    Raises:
        ConfigError: there is no such format, or it needs an extra that is not installed.
    """
    for known in EXPORT_FORMATS:
        if name == known:
            if known == "parquet":
                _pyarrow()
            return known
    raise ConfigError("is no format for tables.", field="--export", value=name, fix=f"use {', '.join(EXPORT_FORMATS)}")


def export_run(record: RunRecord, result: RunResult, bars: Bars, paths: Paths, out: Path, form: ExportFormat) -> dict[str, Path]:
    """Write ``bars``, ``fills``, ``funding`` and ``metrics`` in one format and return the paths by file name.

    Raises:
        ConfigError: the format needs an extra that is not installed.
        OSError: a file cannot be written.
    """
    tables = {"bars": _bars(bars, paths), "fills": _fills(record), "funding": _funding(record), "metrics": _metrics(result)}
    if form == "csv":  # fills.csv and funding.csv are among the files of every run
        tables = {name: table for name, table in tables.items() if name in {"bars", "metrics"}}
    return {f"{name}.{form}": _write(out / f"{name}.{form}", table, form) for name, table in tables.items()}


def _write(path: Path, table: Mapping[str, Column], form: ExportFormat) -> Path:
    if form == "parquet":
        return _write_parquet(path, table)
    if "time" in table:
        table = {**table, "time": [iso_utc(ts_ms) for ts_ms in table["time"]]}
    if form == "json":
        values = {name: [_plain(value) for value in column] for name, column in table.items()}
        return write_text(path, json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
    texts = {name: [_cell(value) for value in column] for name, column in table.items()}
    return write_text(path, csv_text(tuple(texts), zip(*texts.values(), strict=True)))


def _bars(bars: Bars, paths: Paths) -> dict[str, Column]:
    columns: dict[str, Column] = {"time": [int(ts) for ts in bars.ts_ms]}
    columns |= {part.name: getattr(bars, part.name).tolist() for part in fields(bars) if part.name != "ts_ms"}
    return columns | {name: getattr(paths, name).tolist() for name in ("hedged", "unhedged", "static")}


def _fills(record: RunRecord) -> dict[str, Column]:
    named = {"time": "ts_ms"}
    return {name: [getattr(fill, named.get(name, name)) for fill in record.fills] for name in FILL_COLUMNS}


def _funding(record: RunRecord) -> dict[str, Column]:
    named = {"time": "ts_ms"}
    return {name: [getattr(payment, named.get(name, name)) for payment in record.funding] for name in FUNDING_COLUMNS}


def _metrics(result: RunResult) -> dict[str, Column]:
    """Every figure of ``result.json`` by its path; what a run cannot carry is empty."""
    body = {key: value for key, value in json.loads(result.to_json()).items() if key not in _PROSE}
    found = dict(figures(body))
    return {"figure": list(found), "value": list(found.values())}


def figures(value: Any, path: str = "") -> Iterator[tuple[str, float | None]]:
    """Every number (or null) in the body of a ``result.json``, by its path: keys, and indices of lists, joined by dots."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from figures(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from figures(inner, f"{path}.{number}")
    elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield path, None if value is None else float(value)


def _plain(value: Any) -> Any:
    """A JSON value; money as an exact string, what is not finite as null."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _cell(value: Any) -> str:
    plain = _plain(value)
    return "" if plain is None else str(plain)


def _write_parquet(path: Path, table: Mapping[str, Column]) -> Path:
    arrow = _pyarrow()
    from pyarrow import parquet  # noqa: PLC0415 - slow to import, and an extra

    columns = {}
    for name, values in table.items():
        if name == "time":
            columns[name] = arrow.array(list(values), type=arrow.timestamp("ms", tz="UTC"))
        else:
            columns[name] = arrow.array([float(value) if isinstance(value, Decimal) else value for value in values])
    parquet.write_table(arrow.table(columns), path)
    return path


def _pyarrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - slow to import, and an extra
    except ImportError as error:
        fix = 'pip install "alpha-pulse[backtest]", or use csv or json'
        raise ConfigError("Parquet files need pyarrow.", field="--export", value="parquet", fix=fix) from error
    return pa
