"""The inventory assessor inside the bot: from a market and what is held to a floor. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from alpha_pulse.hedging.common.types import MarketState, Snapshot
from alpha_pulse.hedging.risk.inventory import Action, RiskConfig, hedge_floor, inventory_scores, loss_from_entry, risk_score

_MINUTE_MS: Final = 60_000.0
_BAND: Final = 0.5  # of the threshold: smoothed funding must fall this far back before spot replaces the perpetual


class Demand(NamedTuple):
    """What the assessor asks for."""

    floor: float
    action: Action
    score: float  # 0 … 90 points
    parts: tuple[float, float, float, float]  # loss severity, age, volatility, liquidity
    loss: float  # from entry, fraction of the entry price; above 0 is a loss

    @property
    def reason(self) -> str:
        """For a person."""
        loss, age, volatility, liquidity = self.parts
        why = f"risk score {self.score:.1f} (loss {loss:.1f}, age {age:.1f}, volatility {volatility:.1f}, liquidity {liquidity:.1f})"
        return f"{why}: {self.action.value}" + (f"; {self.loss:.1%} lost since entry" if self.loss > 0.0 else "")

    @property
    def inputs(self) -> dict[str, Any]:
        """For the record."""
        names = ("loss_severity", "position_age", "volatility_regime", "size_vs_liquidity")
        return {"score": self.score, "action": self.action.value, "loss_from_entry": self.loss, **dict(zip(names, self.parts, strict=True))}


@dataclass(frozen=True, slots=True)
class Assessor:
    """The assessor with the user's numbers. A cost never lowers its floor, and age counts only where it is known."""

    config: RiskConfig = field(default_factory=RiskConfig)
    acquired_ms: int | None = None  # when the coins were bought; None: a holder's coins do not turn over
    allow_spot_sell: bool = False

    def demand(self, market: MarketState, inventory: float, entry: float) -> Demand:
        """The floor for an inventory (base units, ≠ 0) that was entered at ``entry`` (quote units; 0 = not known yet)."""
        raw, price = market.raw, market.reference
        depth = raw.bid_depth if inventory > 0.0 else raw.ask_depth
        age = 0.0 if self.acquired_ms is None else max(0.0, (raw.close_ms - self.acquired_ms) / _MINUTE_MS)
        parts = inventory_scores(inventory, price, market.indicators.volatility_day, depth or math.inf, age, self.config)
        loss = loss_from_entry(inventory, price, entry) if entry > 0.0 else 0.0
        score = risk_score(parts)
        action, floor = hedge_floor(score, loss, self.config)
        return Demand(floor, action, score, parts, loss)

    def instrument(self, snapshot: Snapshot, held: str) -> str:
        """``perpetual`` or ``spot``: which way of hedging more is cheaper, by smoothed funding, with a dead band; empty where spot stays.

        The perpetual earns while annual funding is beyond the threshold on the side that pays it.
        """
        if not self.allow_spot_sell or snapshot.inventory <= 0:
            return ""
        limit = self.config.funding_threshold
        edge = limit if held != "perpetual" else limit - abs(limit) * _BAND
        return "perpetual" if snapshot.market.indicators.funding_annual > edge else "spot"
