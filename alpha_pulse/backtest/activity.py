"""What the hedge did: its bill by purpose, how many of its orders filled, how fast it turned over, how long it stood at a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.attribution import Attribution
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import YEAR_DAYS, Figure, Paths
from alpha_pulse.backtest.record import LATCHED, RESTRICTED, RunRecord, Sent
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Fill, Purpose

_CLOSE: Final = 1 - 1e-9  # of a limit counts as at it: the target is a float
_NO_RECORD: Final = "this engine does not record it"


@dataclass(frozen=True, slots=True)
class Bill:
    """What the fills of one purpose came to. Notional, fees and slippage in quote units (> 0 paid), quantity in base units."""

    fills: int
    quantity: float
    notional: float
    fees: float
    slippage: float


@dataclass(frozen=True, slots=True)
class FillRate:
    """Orders of one purpose: sent, filled in whole or in part, and the shares that filled, by number and by quantity."""

    sent: int
    filled: int
    rate: Figure
    quantity_rate: Figure


@dataclass(frozen=True, slots=True)
class TimeAtLimits:
    """Shares of the run's time."""

    at_cap: Figure  # |T| as large as margin and max_position_size allow
    at_max_ratio: Figure  # −T/S at hedge.max_ratio
    floor_binding: Figure  # the floor above the ratio
    latched: Figure  # the stop, the drawdown or the portfolio holds a latch
    restricted: Figure  # the risk state is not NORMAL


@dataclass(frozen=True, slots=True)
class Activity:
    """Everything that this module measures of a run."""

    ledger: Mapping[str, Bill]  # by purpose, in the order of ``Purpose``; only those with fills
    funding_received: float  # quote units, the settlements that paid us
    funding_paid: float  # > 0, the settlements that we paid
    fill_rates: Mapping[str, FillRate]  # by purpose
    limits: TimeAtLimits
    turnover_per_year: Figure  # traded notional over the average net worth
    cost_per_hedged_coin_day: Figure  # quote units; everything but the price exposure; < 0: earned
    trading_cost_per_hedged_coin_day: Figure  # quote units; fees and slippage alone


def activity(record: RunRecord, bars: Bars, paths: Paths, attribution: Attribution) -> Activity:
    """Measure a run."""
    bills = {purpose.value: _bill([f for f in record.fills if f.purpose is purpose]) for purpose in Purpose}
    worth = bars.average(paths.hedged)
    traded = sum(bill.notional for bill in bills.values())
    per_year = Figure(None, "the run is shorter than a day")
    if bars.days >= 1:
        per_year = Figure(traded / worth * YEAR_DAYS / bars.days) if worth > 0 else Figure(None, "net worth is not positive on average")
    return Activity(
        ledger={name: bill for name, bill in bills.items() if bill.fills},
        funding_received=float(sum((p.amount for p in record.funding if p.amount > 0), ZERO)),
        funding_paid=float(-sum((p.amount for p in record.funding if p.amount < 0), ZERO)) + 0.0,
        fill_rates=fill_rates(record),
        limits=time_at_limits(record, bars),
        turnover_per_year=per_year,
        cost_per_hedged_coin_day=_per_coin_day(attribution.static - attribution.hedge_pnl, bars),
        trading_cost_per_hedged_coin_day=_per_coin_day(attribution.fees + attribution.slippage, bars),
    )


def fill_rates(record: RunRecord) -> Mapping[str, FillRate]:
    """By purpose, of the orders that were sent."""
    found = {}
    for purpose in Purpose:
        sent = record.sent.get(purpose.value, Sent())
        fills = [fill for fill in record.fills if fill.purpose is purpose]
        if not sent.orders:
            continue
        filled = len({fill.client_order_id for fill in fills})
        quantity = sum((fill.quantity for fill in fills), ZERO)
        found[purpose.value] = FillRate(
            sent.orders, filled, Figure(filled / sent.orders), Figure(float(quantity / sent.quantity)) if sent.quantity else Figure(None)
        )
    return found


def time_at_limits(record: RunRecord, bars: Bars) -> TimeAtLimits:
    """Shares of the time; what the run did not record has a reason instead."""
    size, inventory, unknown = np.abs(bars.target), float(record.inventory), Figure(None, _NO_RECORD)
    caps = np.array(record.cap, dtype=np.float64)
    posture = np.array(record.posture, dtype=np.int64)
    has_caps, has_posture = len(caps) == len(size), len(posture) == len(size)
    most = _most_ratio(record)
    return TimeAtLimits(
        at_cap=Figure(_share(np.isfinite(caps) & (size >= caps * _CLOSE), bars)) if has_caps else unknown,
        at_max_ratio=Figure(_share(size >= most * abs(inventory) * _CLOSE, bars)) if inventory else Figure(None, "there is no inventory"),
        floor_binding=Figure(_share(bars.floor > bars.ratio, bars)),
        latched=Figure(_share((posture & LATCHED) > 0, bars)) if has_posture else unknown,
        restricted=Figure(_share((posture & RESTRICTED) > 0, bars)) if has_posture else unknown,
    )


def _most_ratio(record: RunRecord) -> float:
    section = record.settings.get("hedge")
    most = section.get("max_ratio") if isinstance(section, Mapping) else None
    return 1.0 if most is None else float(most)


def _share(where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], bars: Bars) -> float:
    return bars.average(where.astype(np.float64))


def _bill(fills: list[Fill]) -> Bill:
    return Bill(
        fills=len(fills),
        quantity=float(sum((f.quantity for f in fills), ZERO)),
        notional=float(sum((f.quantity * f.price for f in fills), ZERO)),
        fees=float(sum((f.fee for f in fills), ZERO)),
        slippage=float(sum((f.side.sign * f.quantity * (f.price - f.reference_price) for f in fills), ZERO)),
    )


def _per_coin_day(cost: float, bars: Bars) -> Figure:
    coin_days = bars.average(np.abs(bars.position)) * bars.days
    return Figure(cost / coin_days) if coin_days > 0 else Figure(None, "nothing was hedged for any time")
