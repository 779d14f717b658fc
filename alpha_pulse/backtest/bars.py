"""A run's columns as numpy arrays, and its fills placed on the bars they happened in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.errors import ConfigError, Fatal

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POSITION_TOLERANCE = 1e-9
"""The bars hold floats of exact positions: a difference above this share of what was traded is a missing or doubled fill."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The columns of a ``RunRecord`` (same names and units), shape (bars,), copied so that the record may go on growing."""

    ts_ms: IntArray
    spot: FloatArray
    mark: FloatArray
    last: FloatArray
    position: FloatArray
    target: FloatArray
    ratio: FloatArray
    floor: FloatArray
    wallet: FloatArray
    unrealized: FloatArray
    anchor: FloatArray
    spacing: FloatArray

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        """Read a record.

        Raises:
            ConfigError: the run holds no bar.
            Fatal: columns of unequal length, times that do not rise, or a price that is not a positive number.
        """
        columns = {f.name: np.array(getattr(record, f.name), dtype=np.float64) for f in fields(cls) if f.name != "ts_ms"}
        bars = cls(np.array(record.ts_ms, dtype=np.int64), **columns)
        n = len(bars.ts_ms)
        if n == 0:
            raise ConfigError("the run holds no bar, so there is nothing to measure", fix="give it more market data or more days")
        if any(len(column) != n for column in columns.values()):
            raise Fatal(f"the run's columns differ in length: { {name: len(column) for name, column in columns.items()} }")
        if np.any(np.diff(bars.ts_ms) <= 0):
            raise Fatal("the run's bar times do not rise")
        for name in ("spot", "mark", "last"):
            if not np.all(np.isfinite(columns[name]) & (columns[name] > 0)):
                raise Fatal(f"the run's {name} prices hold a value that is not a positive number")
        for name in ("position", "wallet", "unrealized"):
            if not np.all(np.isfinite(columns[name])):
                raise Fatal(f"the run's {name} column holds a value that is not finite")
        return bars

    @property
    def duration_ms(self) -> int:
        """From the first bar's close to the last's."""
        return int(self.ts_ms[-1] - self.ts_ms[0])

    @property
    def days(self) -> float:
        """The same in days of 24 hours."""
        return self.duration_ms / 86_400_000

    def average(self, values: FloatArray) -> float:
        """Time-average of a column: the value at a bar's close holds until the next close; values that are not finite are left out.

        The last row holds for no time, so it counts only in a run of one bar. NaN if no value is finite.
        """
        weights = np.diff(self.ts_ms).astype(np.float64) if len(values) > 1 else np.ones(1)
        held = values[: len(weights)]
        finite = np.isfinite(held)
        total = float(weights[finite].sum())
        return float((held[finite] * weights[finite]).sum() / total) if total > 0 else float("nan")

    def row_of(self, ts_ms: Any) -> IntArray:
        """Rows of moments (ms, scalar or array): a moment belongs to the bar with open < ts ≤ close, the first bar takes all before it."""
        return np.searchsorted(self.ts_ms, np.asarray(ts_ms, dtype=np.int64), side="left").astype(np.int64)


@dataclass(frozen=True, slots=True)
class BarFills:
    """The fills of a run as arrays of shape (fills,), each on its bar, and the position that they alone explain, shape (bars,)."""

    row: IntArray
    quantity: FloatArray  # signed, base units
    price: FloatArray
    reference: FloatArray  # where the market stood before our own impact
    position: FloatArray  # F after each bar, from a flat start

    @classmethod
    def of(cls, record: RunRecord, bars: Bars) -> Self:
        """Place the fills on the bars.

        Raises:
            Fatal: a fill after the last bar, a fee that was not paid in the quote currency, or a position in the bars that the fills
                do not explain.
        """
        fills = record.fills
        row = bars.row_of([f.ts_ms for f in fills])
        if len(row) and int(row.max()) >= len(bars.ts_ms):
            raise Fatal(f"a fill at {max(f.ts_ms for f in fills)} ms lies after the last bar at {int(bars.ts_ms[-1])} ms")
        for fill in fills:
            if fill.fee_currency != record.pair.quote and fill.fee != ZERO:
                raise Fatal(
                    f"fill {fill.trade_id} paid its fee in {fill.fee_currency}: only fees in {record.pair.quote} can be accounted for"
                )
        quantity = np.array([f.side.sign * float(f.quantity) for f in fills], dtype=np.float64)
        position: FloatArray = np.cumsum(np.bincount(row, weights=quantity, minlength=len(bars.ts_ms))).astype(np.float64)
        _check_position(bars, position, float(np.abs(quantity).sum()))
        return cls(
            row=row,
            quantity=quantity,
            price=np.array([float(f.price) for f in fills], dtype=np.float64),
            reference=np.array([float(f.reference_price) for f in fills], dtype=np.float64),
            position=position,
        )


def _check_position(bars: Bars, explained: FloatArray, traded: float) -> None:
    off = np.abs(bars.position - explained) > POSITION_TOLERANCE * max(1.0, traded)
    if np.any(off):
        row = int(np.argmax(off))
        raise Fatal(
            f"at {int(bars.ts_ms[row])} ms the bars hold a position of {bars.position[row]:.10g} but the fills "
            f"add up to {explained[row]:.10g}"
        )
