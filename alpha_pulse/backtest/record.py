"""What a run leaves behind for measuring: one row per bar in flat arrays, and the booked fills and funding."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.orders import Fill, FundingPayment
from alpha_pulse.hedging.common.types import BotState


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
    fills: list[Fill] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
    state: BotState | None = None  # what the bot remembered at the end
    notes: list[tuple[int, str]] = field(default_factory=list)  # (ts_ms, what happened): anchor moves, latches, alerts, gaps
