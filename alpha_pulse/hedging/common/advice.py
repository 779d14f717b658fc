"""Advice on a hedge: what an analyzer may look at, what it may say, and the little that its word can do. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alpha_pulse.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RiskFigures:
    """What the risk manager knows beyond the holdings. Ratios are shares of the inventory."""

    ratio: float = 0.0  # hedge ratio wanted before floors, 0 … 1
    floor: float = 0.0  # floor in force without any advice, 0 … 1
    volatility_day: float = 0.0  # standard deviation of log returns over one day
    funding_annual: float = 0.0  # annual rate, positive pays a short
    drawdown: float = 0.0  # of NAV from its high, fraction
    liquidation_distance: float | None = None  # fraction of mark, inf = cannot be; None = by the view's maintenance rate


@dataclass(frozen=True, slots=True)
class HedgeView:
    """One pair's holdings in floats, as an analyzer reads them. Checked when they are analyzed, so that making one never fails."""

    symbol: str
    inventory: float  # S, base units, signed
    perpetual: float  # F, base units, signed: a short is negative
    price: float  # mark price, quote per base unit
    wallet: float  # cash in the perpetual wallet, quote units, without unrealised PnL
    entry_price: float = 0.0  # of the perpetual position; 0 when flat
    initial_margin_rate: float = 0.05  # initial margin over notional, at the venue's leverage setting
    maintenance_margin_rate: float = 0.005
    max_leverage: float = 1.0  # cap on |F|·price / equity
    base: str = "units"
    quote: str = "USD"
    figures: RiskFigures = RiskFigures()


class AdviceSource(StrEnum):
    """Who gave a piece of advice."""

    LLM = "llm"
    BASIC = "basic"  # nothing was advised: what is there is the plain analysis


@dataclass(frozen=True, slots=True)
class Advice:
    """One answer, accepted or not, with all that is needed to judge it later. Texts are bounded and hold no control characters.

    Raises:
        ConfigError: the floor is not a number from 0 to 1, or basic advice asks for a floor.
    """

    floor: float  # the share of the inventory that should be hedged at least, as asked for; ``bounded_floor`` limits it
    commentary: str
    source: AdviceSource
    asked_ms: int
    expires_ms: int  # from here on it does not count
    prompt: str
    answer: str
    refused: tuple[str, ...]  # what else the answer held, and what was asked beyond the bound
    reason: str  # why there is no advice; empty when there is
    cost_usd: float
    calls: int = 0  # requests made for it, failed ones included

    def __post_init__(self) -> None:
        """Refuse what could never be an answer."""
        if not 0.0 <= self.floor <= 1.0:  # NaN too
            raise ConfigError(
                "an advised floor must be from 0 to 1", field="advice.floor", value=self.floor, fix="give a share of the inventory"
            )
        if self.source is AdviceSource.BASIC and self.floor != 0.0:
            raise ConfigError("basic advice asks for no floor", field="advice.floor", value=self.floor, fix="give 0")

    def in_force(self, now_ms: int) -> bool:
        """Whether it counts at ``now_ms``."""
        return self.asked_ms <= now_ms < self.expires_ms


class Advisor(Protocol):
    """Gives an opinion on one pair's hedge, off the tick. It never raises and never keeps the caller waiting."""

    def consider(self, view: HedgeView, now_ms: int) -> None:
        """Ask for advice in the background if it is time to. Returns at once."""
        ...

    def latest(self, now_ms: int) -> Advice | None:
        """The newest advice that is in force; None when there is none."""
        ...

    def drain(self) -> list[Advice]:
        """Advice since the last call, accepted and refused, oldest first, to be recorded."""
        ...

    async def close(self) -> None:
        """Stop asking. Idempotent."""
        ...


def bounded_floor(base_floor: float, advice: Advice | None, max_tilt: float) -> float:
    """All that advice can do: raise the floor, by at most ``max_tilt``.

    base + min(max_tilt, max(0, advice − base)), never under base and never over 1. ``base_floor`` must not contain an
    earlier result of this function, or advice would add up from tick to tick.

    Args:
        base_floor: the floor without advice, 0 … 1.
        advice: what is in force (``Advisor.latest``), or None.
        max_tilt: the most that it may add, fraction of the inventory, 0 … 1.

    Raises:
        ConfigError: ``base_floor`` or ``max_tilt`` is not from 0 to 1.
    """
    for name, value in (("base_floor", base_floor), ("max_tilt", max_tilt)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError("must be from 0 to 1", field=name, value=value, fix="give a share of the inventory")
    if advice is None or not math.isfinite(advice.floor):
        return base_floor
    tilt = min(max_tilt, max(0.0, advice.floor - base_floor))
    return min(1.0, base_floor + tilt)
