"""Figures of merit of a run. Numpy only, one pass over the columns; a figure that a run cannot carry is None with the reason beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpha_pulse.backtest.attribution import Attribution
from alpha_pulse.backtest.bars import Bars, FloatArray, IntArray
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.orders import Liquidity, Purpose

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONTH_DAYS = 30
YEAR_DAYS = 365
MIN_RETURNS = 5
"""A variance of fewer returns than this says nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, or None and the reason why there is none."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paths:
    """Net worth after each bar, quote units, shape (bars,). The wallet's cash counts in all three, and all three leave ``start``:
    the starting wallet and the inventory at the first bar's spot price, before the hedge cost anything.

    ``hedged``: cash + unrealised + S·P. ``unhedged``: the starting wallet + S·P. ``static``: unhedged plus a perpetual position of constant
    size F̄ (the run's own average, so known only afterwards), opened at the first bar's last price as a taker, with the same funding rates.
    """

    start: float
    hedged: FloatArray
    unhedged: FloatArray
    static: FloatArray


@dataclass(frozen=True, slots=True)
class Equity:
    """One path in figures, quote units; ``max_drawdown`` is a fraction of the peak net worth, a positive number."""

    first: float
    last: float
    max_drawdown_quote: float
    max_drawdown: Figure

    @property
    def pnl(self) -> float:
        """Change of net worth."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Effectiveness:
    """1 − Var(hedged) / Var(unhedged) of ΔNAV/(|S|·P) over non-overlapping windows (Ederington 1979).

    ``ceiling`` = 1 − (1 − h)², what a constant ratio h reaches if perpetual and spot move as one, h = ``average_ratio``;
    ``static``: the same measure of a static hedge of that ratio.
    """

    hour: Figure
    day: Figure
    static_hour: Figure
    static_day: Figure
    ceiling: Figure
    average_ratio: Figure


@dataclass(frozen=True, slots=True)
class Delta:
    """Residual delta S + F (time-averages) and the distance of F from its target T at the closes; base units."""

    end: float
    average: float
    average_absolute: float
    tracking_rms: Figure


@dataclass(frozen=True, slots=True)
class Trading:
    """What the hedge did and paid. Money in quote units, quantities in base units."""

    buys: int
    sells: int
    maker_fills: int
    taker_fills: int
    stop_fills: int
    maker_share: Figure  # of the traded notional
    turnover: float  # quote units
    turnover_base: float
    funding_annualised: Figure  # fraction per year of the average absolute perpetual notional; > 0 received
    cost_per_coin_month: Figure  # quote units per coin of inventory and 30 days; < 0: the hedge earned
    cost_per_month: Figure  # the same as a fraction of the average spot price


def equity_paths(record: RunRecord, bars: Bars, taker_fee: float) -> Paths:
    """The three paths. ``taker_fee`` is the fraction that the static hedge pays on opening."""
    inventory = float(record.inventory)
    wallet = float(record.initial_wallet)
    coins = inventory * bars.spot
    unhedged = wallet + coins
    average = bars.average(bars.position)
    funding = np.zeros(len(bars.ts_ms))
    if record.funding:
        rows = np.minimum(bars.row_of([p.ts_ms for p in record.funding]), len(funding) - 1)
        per_unit = np.array([-float(p.mark_price) * float(p.rate) for p in record.funding])
        funding = np.cumsum(np.bincount(rows, weights=per_unit, minlength=len(funding)))
    opened = float(bars.last[0])
    static = unhedged + average * (bars.mark - opened + funding) - taker_fee * abs(average) * opened
    return Paths(start=wallet + float(coins[0]), hedged=bars.wallet + bars.unrealized + coins, unhedged=unhedged, static=static)


def drawdown(path: FloatArray, start: float) -> FloatArray:
    """Distance below the highest net worth so far (``start`` included), quote units, shape (bars,), never negative."""
    return np.maximum(np.maximum.accumulate(path), start) - path


def drawdown_fraction(path: FloatArray, start: float) -> FloatArray | None:
    """The same as a fraction of that peak; None where net worth is not positive all along (a fraction of nothing means nothing)."""
    if min(float(path.min()), start) <= 0:
        return None
    return 1 - path / np.maximum(np.maximum.accumulate(path), start)


def equity(path: FloatArray, start: float) -> Equity:
    """A path in figures."""
    fraction = drawdown_fraction(path, start)
    return Equity(
        first=start,
        last=float(path[-1]),
        max_drawdown_quote=float(drawdown(path, start).max()),
        max_drawdown=Figure(None, "net worth is not positive all along") if fraction is None else Figure(float(fraction.max())),
    )


def window_rows(bars: Bars, horizon_ms: int) -> tuple[IntArray, IntArray]:
    """First and last rows of the non-overlapping windows of ``horizon_ms`` counted from the first close.

    A window with an end that falls into a gap of the data (no bar within one usual bar before it) is left out.
    """
    if len(bars.ts_ms) < 2:  # noqa: PLR2004 - a window has two ends
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    edges = np.arange(bars.ts_ms[0], bars.ts_ms[-1] + 1, horizon_ms)
    rows = (np.searchsorted(bars.ts_ms, edges, side="right") - 1).astype(np.int64)
    usual = float(np.median(np.diff(bars.ts_ms)))
    present = (edges - bars.ts_ms[rows] < usual) & (usual <= horizon_ms)
    whole = present[:-1] & present[1:]
    return rows[:-1][whole], rows[1:][whole]


def scaled_changes(path: FloatArray, bars: Bars, inventory: float, horizon_ms: int) -> FloatArray:
    """ΔNAV/(|S|·P) of one path over the windows of ``window_rows``, P being spot when the window began; shape (windows,)."""
    start, end = window_rows(bars, horizon_ms)
    result: FloatArray = (path[end] - path[start]) / (abs(inventory) * bars.spot[start])
    return result


def effectiveness_of(path: FloatArray, bars: Bars, inventory: float, horizon_ms: int) -> Figure:
    """1 − Var(hedged) / Var(unhedged) of one path over one horizon."""
    if inventory == 0:
        return Figure(None, "there is no inventory to protect")
    unhedged = scaled_changes(inventory * bars.spot, bars, inventory, horizon_ms)
    if len(unhedged) < MIN_RETURNS:
        name = "day" if horizon_ms == DAY_MS else "hour"
        return Figure(None, f"too few whole windows of one {name}: {len(unhedged)}, where {MIN_RETURNS} are needed")
    variance = float(np.var(unhedged))
    if variance <= 0:
        return Figure(None, "the spot price did not move")
    return Figure(1 - float(np.var(scaled_changes(path, bars, inventory, horizon_ms))) / variance)


def average_ratio(bars: Bars, inventory: float) -> Figure:
    """Time-average of −F/S."""
    if inventory == 0:
        return Figure(None, "there is no inventory to protect")
    return Figure(-bars.average(bars.position) / inventory + 0.0)


def effectiveness(bars: Bars, paths: Paths, inventory: float) -> Effectiveness:
    """Every effectiveness figure of a run."""
    h = average_ratio(bars, inventory)
    return Effectiveness(
        hour=effectiveness_of(paths.hedged, bars, inventory, HOUR_MS),
        day=effectiveness_of(paths.hedged, bars, inventory, DAY_MS),
        static_hour=effectiveness_of(paths.static, bars, inventory, HOUR_MS),
        static_day=effectiveness_of(paths.static, bars, inventory, DAY_MS),
        ceiling=Figure(None, h.reason) if h.value is None else Figure(1 - (1 - h.value) ** 2),
        average_ratio=h,
    )


def delta(bars: Bars, inventory: float) -> Delta:
    """Residual delta and tracking error."""
    residual = inventory + bars.position
    squares = bars.average((bars.position - bars.target) ** 2)
    return Delta(
        end=float(residual[-1]),
        average=bars.average(residual),
        average_absolute=bars.average(np.abs(residual)),
        tracking_rms=Figure(None, "the run never had a target") if math.isnan(squares) else Figure(math.sqrt(squares)),
    )


def trading(record: RunRecord, bars: Bars, attribution: Attribution) -> Trading:
    """Activity, funding yield and cost."""
    notional = [float(f.price * f.quantity) for f in record.fills]
    turnover = math.fsum(notional)
    made = math.fsum(n for n, f in zip(notional, record.fills, strict=True) if f.liquidity is Liquidity.MAKER)
    makers = sum(f.liquidity is Liquidity.MAKER for f in record.fills)
    sells = sum(f.side.sign < 0 for f in record.fills)
    coin_month = _cost_per_coin_month(attribution, bars, float(record.inventory))
    share = None if coin_month.value is None else coin_month.value / bars.average(bars.spot)
    return Trading(
        buys=len(record.fills) - sells,
        sells=sells,
        maker_fills=makers,
        taker_fills=len(record.fills) - makers,
        stop_fills=sum(f.purpose is Purpose.STOP for f in record.fills),
        maker_share=Figure(made / turnover) if turnover > 0 else Figure(None, "nothing was traded"),
        turnover=turnover,
        turnover_base=math.fsum(float(f.quantity) for f in record.fills),
        funding_annualised=_funding_annualised(attribution, bars),
        cost_per_coin_month=coin_month,
        cost_per_month=Figure(share, coin_month.reason),
    )


def _funding_annualised(attribution: Attribution, bars: Bars) -> Figure:
    if bars.days < 1:
        return Figure(None, "the run is shorter than a day")
    notional = bars.average(np.abs(bars.position) * bars.mark)
    if notional <= 0:
        return Figure(None, "the perpetual position was flat")
    return Figure(attribution.funding / notional * YEAR_DAYS / bars.days)


def _cost_per_coin_month(attribution: Attribution, bars: Bars, inventory: float) -> Figure:
    """Everything but the price exposure that was wanted: static − hedge PnL = fees + slippage − funding − basis − timing."""
    if inventory == 0:
        return Figure(None, "there is no inventory to protect")
    if bars.days < 1:
        return Figure(None, "the run is shorter than a day")
    return Figure((attribution.static - attribution.hedge_pnl) / abs(inventory) * MONTH_DAYS / bars.days)
