"""Where the market went after our fills: the price that a resting order pays for being picked off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import BarFills, Bars, FloatArray
from alpha_pulse.backtest.metrics import Figure
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.orders import Liquidity

HORIZONS: Final = (1, 5, 60)
"""Bars after the close of the bar in which it filled."""
_BPS: Final = 1e4


@dataclass(frozen=True, slots=True)
class Markout:
    """Mean of sign(q)·(L_{b+k} − p)/p over the fills, weighted by notional, basis points; > 0: the market went our way.

    L is the perpetual's last price, b the bar of the fill at price p, k = ``bars``.
    """

    bars: int
    fills: int  # those with k whole bars behind them, no gap between
    every: Figure
    maker: Figure
    taker: Figure


def markouts(record: RunRecord, bars: Bars, horizons: tuple[int, ...] = HORIZONS) -> tuple[Markout, ...]:
    """One line for each horizon.

    Raises:
        Fatal: the fills do not explain the position (see ``BarFills``).
    """
    fills = BarFills.of(record, bars)
    makers = np.array([fill.liquidity is Liquidity.MAKER for fill in record.fills], dtype=np.bool_)
    return tuple(_markout(fills, makers, bars, horizon) for horizon in horizons)


def _markout(fills: BarFills, makers: npt.NDArray[np.bool_], bars: Bars, horizon: int) -> Markout:
    there = fills.row + horizon
    known = there < len(bars.ts_ms)
    row, there = fills.row[known], there[known]
    usual = float(np.median(np.diff(bars.ts_ms))) if len(bars.ts_ms) > 1 else 0.0
    whole = bars.ts_ms[there] - bars.ts_ms[row] <= horizon * usual
    price, quantity = fills.price[known][whole], fills.quantity[known][whole]
    moved = np.sign(quantity) * (bars.last[there[whole]] - price) / price * _BPS
    weight, maker = np.abs(quantity) * price, makers[known][whole]
    return Markout(
        bars=horizon,
        fills=len(price),
        every=_mean(moved, weight, "fill"),
        maker=_mean(moved[maker], weight[maker], "maker fill"),
        taker=_mean(moved[~maker], weight[~maker], "taker fill"),
    )


def _mean(values: FloatArray, weights: FloatArray, what: str) -> Figure:
    total = float(weights.sum())
    return Figure(float((values * weights).sum()) / total) if total > 0 else Figure(None, f"no {what} has so many bars after it")
