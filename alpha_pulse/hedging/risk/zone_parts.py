"""The parts of a quiet zone that look through the sizer and the inventory assessor. See ``zone``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.hedging.risk.assessor import Assessor, Demand
from alpha_pulse.hedging.risk.inventory import hedge_floor, inventory_scores, loss_from_entry, risk_score
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.hedging.risk.sizing import MarketSizer
from alpha_pulse.hedging.risk.target import TargetPolicy, funding_tilt

_REACH: Final = 0.05  # of price and volatility: how far around the snapshot the assessor's answer is looked up
_THIN: Final = 0.1  # of the depth
_HAIR: Final = 1e-9  # relative distance kept from an edge


@dataclass(frozen=True, slots=True)
class RatioZone:
    """Markets on which a sizer that reads the market leaves the ratio where it is: its own steps, made again."""

    policy: TargetPolicy
    sizer: MarketSizer
    inventory: float
    held: float
    raised_ms: int

    def holds(self, market: MarketState) -> bool:
        """Whether the ratio stays."""
        policy, raw = self.policy, market.raw
        wanted = self.sizer.ratio_on(market, self.inventory)
        if policy.funding_tilt:
            wanted += funding_tilt(policy, annualize_funding(raw.funding_rate, raw.funding_interval_h), self.inventory)
        return policy.stepped(policy.bounded(wanted), self.held, self.raised_ms, raw.close_ms) == self.held


@dataclass(frozen=True, slots=True)
class FloorZone:
    """Markets on which the assessor asks for the same as before. Its score rises with volatility, with price over depth and with age."""

    assessor: Assessor
    inventory: float
    entry: float
    demand: Demand
    price_low: float  # between these bounds the answer is known without asking; empty where it is not
    price_high: float
    volatility_low: float
    volatility_high: float
    depth_low: float

    def holds(self, market: MarketState, price: float, volatility_day: float) -> bool:
        """Whether the assessor's answer stays; ``price`` is the inventory's, read from the market already."""
        if self.price_low < price < self.price_high and self.volatility_low < volatility_day < self.volatility_high:
            depth = market.raw.bid_depth if self.inventory > 0.0 else market.raw.ask_depth
            if depth == 0.0 or 0.0 < self.depth_low <= depth:
                return True
        again = self.assessor.demand(market, self.inventory, self.entry)
        return again.floor == self.demand.floor and again.action is self.demand.action


def floor_zone(assessor: Assessor, market: MarketState, inventory: float, entry: float) -> FloorZone:
    """The zone around a market. The bounds are used where the most and the least that the assessor could say within them agree."""
    demand = assessor.demand(market, inventory, entry)
    price, sigma = market.reference, market.indicators.volatility_day
    depth = market.raw.bid_depth if inventory > 0.0 else market.raw.ask_depth
    low, high, calm, wild = price * (1 - _REACH), price * (1 + _REACH), sigma * (1 - _REACH), sigma * (1 + _REACH)
    if entry > 0.0:  # the price beyond which the loss from entry counts is an edge of its own
        edge = entry * (1.0 - math.copysign(assessor.config.hedge_trigger_loss_pct, inventory))
        low, high = (max(low, edge * (1.0 + _HAIR)), high) if price > edge else (low, min(high, edge * (1.0 - _HAIR)))
    thin = depth * _THIN
    losses = [loss_from_entry(inventory, at, entry) if entry > 0.0 else 0.0 for at in (low, high)]
    config = assessor.config
    most = hedge_floor(risk_score(inventory_scores(inventory, high, wild, thin or math.inf, 0.0, config)), max(losses), config)
    least = hedge_floor(risk_score(inventory_scores(inventory, low, calm, math.inf, 0.0, config)), min(losses), config)
    if assessor.acquired_ms is not None or most != least:
        low = high = price
    return FloorZone(assessor, inventory, entry, demand, low, high, calm, wild, thin)
