"""Prices and their times, checked before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.errors import ConfigError

YEAR_MS: Final = 365 * 86_400_000
"""A year of a market that never closes: 365 days."""
_UNITS: Final = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (float("inf"), 1e-6))  # stamps below this are s, ms, µs, ns; to ms
_LEAST: Final = 2

Numbers = Sequence[float] | npt.NDArray[Any]
Moments = Sequence[float] | Sequence[datetime] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices > 0, quote units, and their times [ms since the epoch, UTC], strictly rising; both read-only, shape (bars,)."""

    prices: FloatArray
    ts_ms: IntArray

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def periods_per_year(self) -> float:
        """Bars per year of 365 days, from the first time to the last: (bars − 1)/years. Gaps count as the time that they took."""
        return (len(self) - 1) * YEAR_MS / float(self.ts_ms[-1] - self.ts_ms[0])

    def part(self, first: int, last: int) -> PriceSeries:
        """The bars first … last − 1."""
        return PriceSeries(self.prices[first:last], self.ts_ms[first:last])

    @classmethod
    def of(cls, prices: Numbers, timestamps: Moments, least: int = _LEAST) -> PriceSeries:
        """Check and convert; pandas objects are taken too.

        Args:
            prices: one per bar, in the order of time.
            timestamps: datetimes (a naive one is UTC), ``datetime64``, or numbers since the epoch: seconds, ms, µs or ns by their size.
            least: bars that are needed.

        Raises:
            ConfigError: too few bars, lengths that differ, a price that is not a positive number, or times that do not rise.
        """
        values = _prices(prices)
        stamps = _milliseconds(timestamps)
        if len(values) != len(stamps):
            raise ConfigError(f"{len(values)} prices, but {len(stamps)} timestamps", field="timestamps", fix="give one time for each price")
        if len(values) < least:
            raise ConfigError(f"{len(values)} bars are too few", field="prices", fix=f"give at least {least}")
        falls = np.flatnonzero(np.diff(stamps) <= 0)
        if len(falls):
            raise ConfigError(
                f"Bar {falls[0] + 1} is not later than bar {falls[0]}", field="timestamps", fix="sort the bars by time and drop duplicates"
            )
        return cls(values, stamps)


def _prices(prices: Numbers) -> FloatArray:
    try:
        values = np.array(prices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"They are not numbers: {error}", field="prices", fix="give a list or an array of prices") from error
    if values.ndim != 1:
        raise ConfigError(f"They have {values.ndim} dimensions", field="prices", fix="give one price for each bar")
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if len(wrong):
        where = f"prices[{wrong[0]}]"
        raise ConfigError("It is not a positive number", field=where, value=float(values[wrong[0]]), fix="drop the bar or mend the file")
    values.flags.writeable = False
    return values


def _milliseconds(timestamps: Moments) -> IntArray:
    raw = np.asarray(timestamps)
    if raw.dtype.kind == "O" and raw.ndim == 1 and all(isinstance(moment, datetime) for moment in raw):
        stamps = np.array([_of_datetime(moment) for moment in raw], dtype=np.int64)
    elif raw.dtype.kind == "M":
        stamps = raw.astype("datetime64[ms]").astype(np.int64)
        if bool(np.isnat(raw).any()):
            raise ConfigError("A time is missing (NaT)", field="timestamps", fix="drop the bar or mend the file")
    elif raw.dtype.kind in "iuf":
        if not bool(np.isfinite(raw).all()):
            raise ConfigError("A time is not finite", field="timestamps", fix="drop the bar or mend the file")
        largest = float(np.abs(raw).max(initial=0.0))
        scale = next(factor for limit, factor in _UNITS if largest < limit)
        stamps = raw.astype(np.int64) if scale == 1.0 else np.rint(raw * scale).astype(np.int64)
    else:
        raise ConfigError("They are no times", field="timestamps", fix="give datetimes, datetime64 or numbers since the epoch")
    if stamps.ndim != 1:
        raise ConfigError(f"They have {stamps.ndim} dimensions", field="timestamps", fix="give one time for each bar")
    stamps.flags.writeable = False
    return stamps


def _of_datetime(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000.0)
