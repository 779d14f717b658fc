"""A run as files: ``result.json``, ``fills.csv``, ``funding.csv``, ``equity.csv``, ``decisions.csv`` and ``report.html``;
``monte_carlo.csv`` where markets were resampled.

The same record gives the same bytes. Each file is written under a temporary name and renamed, so that nobody ever reads half of one.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from alpha_pulse.backtest.bars import Bars, FloatArray, IntArray
from alpha_pulse.backtest.metrics import HOUR_MS, Paths, drawdown_fraction
from alpha_pulse.backtest.monte_carlo_view import monte_carlo_rows
from alpha_pulse.backtest.record import RunRecord, TargetMove
from alpha_pulse.backtest.report import render_report
from alpha_pulse.backtest.result import RunResult, iso_utc, paths_of
from alpha_pulse.domain.orders import Fill, FundingPayment

FILL_COLUMNS = (
    "time",
    "side",
    "price",
    "quantity",
    "fee",
    "liquidity",
    "client_order_id",
    "purpose",
    "node",
    "reference_price",
)
FUNDING_COLUMNS = ("time", "rate", "mark_price", "position", "amount", "interval_h")
EQUITY_COLUMNS = (
    "time",
    "spot",
    "mark",
    "position",
    "target",
    "ratio",
    "floor",
    "hedged",
    "unhedged",
    "static",
    "drawdown_hedged",
    "drawdown_unhedged",
    "drawdown_static",
)
DECISION_COLUMNS = ("time", "price", "position", "ratio_before", "ratio", "floor_before", "floor", "why")
MONTE_CARLO = "monte_carlo.csv"
MAX_EQUITY_ROWS = 50_000


def write_run(record: RunRecord, result: RunResult, out_dir: Path) -> dict[str, Path]:
    """Write every file of a run into ``out_dir`` (made if absent) and return their paths by name.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    out_dir.mkdir(parents=True, exist_ok=True)
    texts = {
        "result.json": result.to_json(),
        "fills.csv": fills_csv(record.fills),
        "funding.csv": funding_csv(record.funding),
        "equity.csv": equity_csv(bars, paths),
        "decisions.csv": decisions_csv(record.moves),
        "report.html": render_report(record, result, bars, paths),
    }
    (out_dir / MONTE_CARLO).unlink(missing_ok=True)  # of an earlier run in this folder
    if result.monte_carlo is not None:
        texts[MONTE_CARLO] = csv_text(*monte_carlo_rows(result.monte_carlo))
    return {name: write_text(out_dir / name, text) for name, text in texts.items()}


def fills_csv(fills: Iterable[Fill]) -> str:
    """Every fill, exactly as booked: time (ISO 8601 UTC), prices in quote units, quantity in base units, fee in quote units (> 0 paid)."""
    return csv_text(
        FILL_COLUMNS,
        (
            (
                iso_utc(f.ts_ms),
                f.side.value,
                _exact(f.price),
                _exact(f.quantity),
                _exact(f.fee),
                f.liquidity.value,
                f.client_order_id,
                f.purpose.value,
                str(f.node),
                _exact(f.reference_price),
            )
            for f in fills
        ),
    )


def funding_csv(payments: Iterable[FundingPayment]) -> str:
    """Every settlement, exactly as booked: rate as a fraction per interval, amount in quote units (> 0 received)."""
    return csv_text(
        FUNDING_COLUMNS,
        (
            (iso_utc(p.ts_ms), _exact(p.rate), _exact(p.mark_price), _exact(p.position), _exact(p.amount), f"{p.interval_h:g}")
            for p in payments
        ),
    )


def decisions_csv(moves: Iterable[TargetMove]) -> str:
    """Every change of the hedge target and the steps that led to it: price in quote units, position in base units, the rest fractions."""
    return csv_text(
        DECISION_COLUMNS,
        ((iso_utc(m.ts_ms), *map(_number, (m.price, m.position, m.ratio_before, m.ratio, m.floor_before, m.floor)), m.why) for m in moves),
    )


def equity_csv(bars: Bars, paths: Paths) -> str:
    """One row per bar; a run of more than 50,000 bars gives the last bar of each hour instead, and always the last bar.

    Prices and net worth in quote units, position and target in base units, the rest as fractions; what is unknown is empty. Drawdowns are
    of every bar's path, so an hourly row still measures from the true peak.
    """
    rows = equity_rows(bars.ts_ms)
    columns: list[Sequence[str]] = [_times(bars.ts_ms[rows])]
    columns += [_floats(c[rows]) for c in (bars.spot, bars.mark, bars.position, bars.target, bars.ratio, bars.floor)]
    curves = (paths.hedged, paths.unhedged, paths.static)
    columns += [_floats(c[rows]) for c in curves]
    for curve in curves:
        fraction = drawdown_fraction(curve, paths.start)
        columns.append([""] * len(rows) if fraction is None else _floats(fraction[rows]))
    lines = map(",".join, zip(*columns, strict=True))
    return ",".join(EQUITY_COLUMNS) + "\n" + "\n".join(lines) + "\n"


def equity_rows(ts_ms: IntArray) -> IntArray:
    """Which bars ``equity.csv`` shows."""
    if len(ts_ms) <= MAX_EQUITY_ROWS:
        return np.arange(len(ts_ms))
    # A bar that closes on the hour still belongs to the hour that it ends.
    hour = (ts_ms - 1) // HOUR_MS
    return np.append(np.flatnonzero(np.diff(hour)), len(ts_ms) - 1)


def _exact(value: Decimal) -> str:
    return f"{value:f}"


def _number(value: float | None) -> str:
    return "" if value is None else repr(round(value, 8) + 0.0)


def _times(ts_ms: IntArray) -> list[str]:
    return [f"{moment}Z" for moment in np.datetime_as_string(ts_ms.astype("datetime64[ms]")).tolist()]


def _floats(values: FloatArray) -> list[str]:
    rounded: list[float] = (np.round(values, 8) + 0.0).tolist()
    texts = [repr(value) for value in rounded]
    return texts if bool(np.isfinite(values).all()) else [text if text not in {"nan", "inf", "-inf"} else "" for text in texts]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as CSV, lines ended by a single line feed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def write_text(path: Path, text: str) -> Path:
    """Write a file so that nobody ever reads half of it. Raises ``OSError``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
