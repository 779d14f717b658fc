"""What the report's charts draw, as JSON values: thinned series, fills as markers, the grid as steps.

Long series are thinned to the lowest and highest value of each of a number of equal stretches, so that no extreme is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alpha_pulse.backtest.bars import BarFills, Bars, FloatArray, IntArray
from alpha_pulse.backtest.metrics import Paths, drawdown, drawdown_fraction
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.result import RunResult
from alpha_pulse.domain.orders import Liquidity, Purpose

MAX_POINTS = 3_000
MAX_MARKERS = 3_000
MAX_GRID_STEPS = 600


def chart_data(record: RunRecord, result: RunResult, bars: Bars, paths: Paths) -> dict[str, Any]:
    """Everything that the page's charts draw: JSON values; times in seconds after ``t0``."""
    tick = max(0, -int(record.instrument.tick_size.normalize().as_tuple().exponent))
    return {
        "t0": int(bars.ts_ms[0]) / 1000,
        "base": result.base,
        "decimals": tick,
        "fills": markers(record, int(bars.ts_ms[0])),
        "grid": _grid(record, bars),
        "panels": {
            "price": _panel(bars, result.quote, tick, 380, {"last": ("Perpetual", bars.last)}),
            "ratio": _ratio_panel(result, bars),
            "equity": _panel(
                bars,
                result.quote,
                2,
                280,
                {
                    "hedged": ("Grid hedge", paths.hedged),
                    "unhedged": ("Unhedged", paths.unhedged),
                    "static": ("Static hedge", paths.static),
                },
            ),
            "drawdown": _drawdown_panel(result, bars, paths),
            "costs": _costs_panel(record, result, bars),
        },
    }


def thin(columns: list[FloatArray], max_points: int = MAX_POINTS) -> IntArray:
    """Rows that keep the shape: of each stretch of bars the rows where any column is lowest or highest, and the first and last row.

    NaN never wins a place. At most about ``max_points`` rows, in order.
    """
    n = len(columns[0])
    if n <= max_points:
        return np.arange(n)
    stretches = max(1, max_points // (2 * len(columns)))
    width = -(-n // stretches)
    rows = [np.array([0, n - 1])]
    for column in columns:
        padded = np.full(width * stretches, np.nan)
        padded[:n] = column
        blocks = padded.reshape(stretches, width)
        start = np.arange(stretches) * width
        for fill, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            rows.append(start + pick(np.where(np.isfinite(blocks), blocks, fill), axis=1))
    kept = np.unique(np.concatenate(rows))
    return kept[kept < n].astype(np.int64)


def _panel(bars: Bars, unit: str, decimals: int, height: int, columns: dict[str, tuple[str, FloatArray]], **more: Any) -> dict[str, Any]:
    rows = thin([values for _, values in columns.values()])
    rounding = decimals + 3 if more.get("percent") else decimals
    return {
        "t": _numbers((bars.ts_ms[rows] - bars.ts_ms[0]) / 1000, 3),
        "unit": unit,
        "decimals": decimals,
        "height": height,
        "series": [{"key": key, "label": label, "values": _numbers(values[rows], rounding)} for key, (label, values) in columns.items()],
        **more,
    }


def _ratio_panel(result: RunResult, bars: Bars) -> dict[str, Any]:
    if result.inventory == 0:
        columns = {"position": ("Position", bars.position), "target": ("Target", bars.target)}
        return _panel(bars, result.base, 4, 240, columns, stepped=True)
    columns = {
        "position": ("Hedge ratio", -bars.position / result.inventory),
        "target": ("Target", -bars.target / result.inventory),
        "floor": ("Floor", bars.floor),
    }
    return _panel(bars, "%", 1, 240, columns, stepped=True, percent=True, floor=0, roof=0.1)


def _drawdown_panel(result: RunResult, bars: Bars, paths: Paths) -> dict[str, Any]:
    labels = {"hedged": "Grid hedge", "unhedged": "Unhedged", "static": "Static hedge"}
    curves = {"hedged": paths.hedged, "unhedged": paths.unhedged, "static": paths.static}
    fractions = {key: drawdown_fraction(curve, paths.start) for key, curve in curves.items()}
    shares = {key: (labels[key], -fraction) for key, fraction in fractions.items() if fraction is not None}
    if len(shares) == len(curves):
        return _panel(bars, "%", 2, 220, shares, percent=True, floor=-0.001, roof=0)
    return _panel(bars, result.quote, 2, 220, {key: (labels[key], -drawdown(curve, paths.start)) for key, curve in curves.items()})


def _costs_panel(record: RunRecord, result: RunResult, bars: Bars) -> dict[str, Any]:
    """What was booked so far: funding received, fees and slippage paid, and the three together."""
    fills = BarFills.of(record, bars)
    settled = np.minimum(bars.row_of([p.ts_ms for p in record.funding]), len(bars.ts_ms) - 1)
    funding = _so_far(settled, np.array([float(p.amount) for p in record.funding]), bars)
    fees = -_so_far(fills.row, np.array([float(f.fee) for f in record.fills]), bars)
    slippage = -_so_far(fills.row, fills.quantity * (fills.price - fills.reference), bars)
    columns = {
        "net": ("Together", funding + fees + slippage),
        "funding": ("Funding", funding),
        "fees": ("Fees", fees),
        "slippage": ("Slippage", slippage),
    }
    return _panel(bars, result.quote, 2, 220, columns, stepped=True)


def _so_far(rows: IntArray, amounts: FloatArray, bars: Bars) -> FloatArray:
    """Running sum of amounts that were booked on the given rows, shape (bars,)."""
    return np.cumsum(np.bincount(rows, weights=amounts, minlength=len(bars.ts_ms))).astype(np.float64)


def markers(record: RunRecord, first_ms: int, most: int = MAX_MARKERS) -> list[list[Any]]:
    """Fills as [seconds, price, sign, kind, quantity]; of too many maker fills an even sample, of takers and stops all that fit."""
    kinds = [2 if f.purpose is Purpose.STOP else 0 if f.liquidity is Liquidity.MAKER else 1 for f in record.fills]
    rows = list(range(len(kinds)))
    if len(rows) > most:
        rare = [i for i in rows if kinds[i]][:most]
        makers = [i for i in rows if not kinds[i]]
        room = min(most - len(rare), len(makers))
        rows = sorted(rare + [makers[i * len(makers) // room] for i in range(room)])
    return [
        [(f.ts_ms - first_ms) / 1000, float(f.price), f.side.sign, kinds[i], f"{f.quantity.normalize():f}"]
        for i, f in ((i, record.fills[i]) for i in rows)
    ]


def _grid(record: RunRecord, bars: Bars) -> dict[str, Any]:
    changed = np.flatnonzero((np.diff(bars.anchor) != 0) | (np.diff(bars.spacing) != 0)) + 1
    rows = np.concatenate([[0], changed])
    if len(rows) > MAX_GRID_STEPS:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_GRID_STEPS).astype(np.int64)]
    section = record.settings.get("grid")
    grid = section if isinstance(section, dict) else {}
    return {
        "levels": int(grid.get("num_levels", 0)),
        "geometric": grid.get("spacing", "geometric") == "geometric",
        "end": bars.duration_ms / 1000,
        "steps": [
            [int(bars.ts_ms[row] - bars.ts_ms[0]) / 1000, *_numbers(np.array([bars.anchor[row], bars.spacing[row]]), 8)]
            for row in rows.tolist()
        ],
    }


def _numbers(values: FloatArray, decimals: int) -> list[float | int | None]:
    """JSON numbers in as few characters as hold the digits; what is not finite is null."""
    rounded: list[float] = (np.round(values, decimals) + 0.0).tolist()
    return [None if not abs(v) < float("inf") else int(v) if v == int(v) else v for v in rounded]
