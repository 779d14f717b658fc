"""The region of markets in which a decision stands: between two nodes, inside every band and every risk bound.

A replay spends nearly all its bars there. An update inside the zone would be decided exactly as the one before, so the bot need not
build that decision again; ``tests/integration/bot/test_zone.py`` runs whole markets both ways and finds the same events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpha_pulse.hedging.common.types import CurveParameters, MarketState, Snapshot
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator, target_at
from alpha_pulse.hedging.grid.config import BotConfig, HedgeSettings
from alpha_pulse.hedging.grid.curve import node_price, place_on_grid
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.gap import CLOSED, band, band_hides_hedge, under_floor
from alpha_pulse.hedging.grid.steps import volume_band
from alpha_pulse.hedging.risk.check import NOTHING
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.hedging.risk.zone import RiskZone

_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class QuietZone:
    """Bounds within which nothing is to be done. Prices in quote units."""

    risk: RiskZone
    bid_low: float
    bid_high: float
    ask_low: float
    ask_high: float
    volatility_low: float
    volatility_high: float
    volume_low: float
    volume_high: float

    def holds(self, market: MarketState) -> bool:
        """Whether the last decision stands on this market."""
        raw, indicators = market.raw, market.indicators
        return (
            self.bid_low <= raw.bid <= self.bid_high
            and self.ask_low <= raw.ask <= self.ask_high
            and self.volatility_low < indicators.volatility_day < self.volatility_high
            and self.volume_low < indicators.volume_ratio < self.volume_high
            and self.risk.holds(market)
        )


def quiet_zone(decider: Decider, snapshot: Snapshot, decision: Decision) -> QuietZone | None:
    """The zone around a decision that changed nothing, or None where it cannot be told (parts of the user's own, an open gap)."""
    calculator, manager, config = decider.calculator, decider.risk, decider.config
    if (
        decision.approved is not NOTHING
        or decision.state is not snapshot.state
        or decision.state.gap_since_ms
        or decision.state.rejected
        or decider.crowded
        or config.grid.anchor == "ema"
        or not isinstance(calculator, DefaultGridCalculator)
        or not isinstance(manager, HedgeRiskManager)
    ):
        return None
    risk = manager.zone(snapshot, decision.assessment)
    if risk is None or floor_is_missed(decision.curve, snapshot):
        return None
    bid_low, bid_high, ask_low, ask_high = calculator.cell(snapshot.instrument)
    lowest, highest = _edges(config, decision.curve)
    bid_low, ask_high = max(bid_low, lowest), min(ask_high, highest)
    if not all(_inside_band(config, decision.curve, snapshot, price) for price in (bid_low, ask_high)):
        return None
    volume_low, volume_high = volume_band(decision.state.volume_factor, config.grid)
    held, step = decision.state.volatility_held, config.grid.step * (1.0 - _HAIR)
    return QuietZone(
        risk=risk,
        bid_low=bid_low,
        bid_high=bid_high,
        ask_low=ask_low,
        ask_high=ask_high,
        volatility_low=held * (1.0 - step),
        volatility_high=held * (1.0 + step),
        volume_low=volume_low,
        volume_high=volume_high,
    )


def floor_is_missed(curve: CurveParameters, snapshot: Snapshot) -> bool:
    """A gap under a floor waits, because it is worth less than the least order: another price may allow it."""
    if curve.floor <= 0.0 or curve.inventory == 0.0:
        return False
    return under_floor(curve, float(snapshot.account.position.quantity)) > snapshot.instrument.lot * CLOSED


def _edges(config: BotConfig, curve: CurveParameters) -> tuple[float, float]:
    """Between which prices the anchor stays."""
    return anchor_edges(curve, config.grid.anchor == "fixed")


def anchor_edges(curve: CurveParameters, is_fixed: bool) -> tuple[float, float]:
    """The same for a curve whose anchor is fixed, or is not."""
    if is_fixed:
        return curve.anchor * 1e-3, curve.anchor * 1e3
    edge = curve.levels + 1
    low = node_price(curve.anchor, curve.spacing, -edge, curve.geometric)
    return max(low, curve.anchor * 1e-3) * (1.0 + _HAIR), node_price(curve.anchor, curve.spacing, edge, curve.geometric) * (1.0 - _HAIR)


def _inside_band(config: BotConfig, curve: CurveParameters, snapshot: Snapshot, price: float) -> bool:
    """Whether the gap is closed at a price. T is monotone, so two ends speak for all between them."""
    return inside_band(config.hedge, curve, float(snapshot.account.position.quantity), price)


def inside_band(hedge: HedgeSettings, curve: CurveParameters, held: float, price: float) -> bool:
    """The same for a position in base units."""
    if not math.isfinite(price):
        return False
    target = target_at(curve, place_on_grid(price, curve.anchor, curve.spacing, curve.levels, curve.geometric))
    if held == 0.0 and band_hides_hedge(hedge, curve):
        return False
    away = target - held
    return abs(away) <= band(hedge, curve, away) * (1.0 - _HAIR)
