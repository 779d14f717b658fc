"""What a run leaves behind for measuring: one row per bar in flat arrays, and the booked fills and funding."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import ZERO, HedgePair, Instrument
from alpha_pulse.domain.orders import Fill, FundingPayment
from alpha_pulse.hedging.common.types import BotState

LATCHED = 1
"""Bit of ``RunRecord.posture``: the stop, the drawdown or the portfolio holds a latch."""
RESTRICTED = 2
"""Bit of ``RunRecord.posture``: the risk state is not NORMAL."""


@dataclass(frozen=True, slots=True)
class TargetMove:
    """One change of the hedge target, and why. Ratios and floors are fractions; ``None`` before the first target."""

    ts_ms: int
    price: float  # the perpetual's last price, quote units
    position: float  # F at that moment, base units, signed
    ratio_before: float | None
    ratio: float
    floor_before: float | None
    floor: float
    why: str  # the steps that moved, in words


@dataclass(slots=True)
class Sent:
    """Orders of one purpose that were sent to the venue."""

    orders: int = 0
    quantity: Decimal = ZERO  # base units


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True, repr=False)  # asyncio puts a finished task's result into its repr: a year of bars as text
class RunRecord:
    """Columns of equal length, one entry per bar, taken after the bar's tick. Prices in quote units, quantities in base units.

    Arrays, not frames: eight bytes a value keep a year of one-minute bars under 100 MB.
    """

    pair: HedgePair
    instrument: Instrument
    inventory: Decimal  # S at the start
    initial_wallet: Decimal  # quote units in the perpetual wallet at the start
    settings: Mapping[str, Any]  # every effective setting, JSON values
    simulated: bool  # the market was made up
    source: str  # what the market was, for the report's headline
    ts_ms: array[int] = field(default_factory=lambda: array("q"))  # bar close
    spot: array[float] = field(default_factory=_floats)  # inventory's price (index while spot is out)
    mark: array[float] = field(default_factory=_floats)
    last: array[float] = field(default_factory=_floats)  # perpetual's close
    position: array[float] = field(default_factory=_floats)  # F, signed, after the bar's fills
    target: array[float] = field(default_factory=_floats)  # T at the bar's close, signed
    ratio: array[float] = field(default_factory=_floats)  # h
    floor: array[float] = field(default_factory=_floats)  # f
    wallet: array[float] = field(default_factory=_floats)  # cash
    unrealized: array[float] = field(default_factory=_floats)  # of the perpetual, at mark
    anchor: array[float] = field(default_factory=_floats)
    spacing: array[float] = field(default_factory=_floats)
    cap: array[float] = field(default_factory=_floats)  # most |F| that margin and max_position_size allow, base units; empty: not recorded
    posture: array[int] = field(default_factory=lambda: array("q"))  # bits, see LATCHED and RESTRICTED; empty: not recorded
    fills: list[Fill] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
    state: BotState | None = None  # what the bot remembered at the end
    moves: list[TargetMove] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)  # by purpose; empty: nothing was sent, or orders were not counted
    notes: list[tuple[int, str]] = field(default_factory=list)  # (ts_ms, what happened): anchor moves, latches, alerts, gaps
