"""The floors of the pipeline: what each part of risk asks at least to be hedged, and how it says so. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from alpha_pulse.hedging.common.advice import bounded_floor
from alpha_pulse.hedging.common.types import Contribution, Snapshot
from alpha_pulse.hedging.risk.assessor import Assessor, Demand
from alpha_pulse.hedging.risk.pipeline_config import PortfolioSettings
from alpha_pulse.hedging.risk.portfolio import portfolio_floor


@dataclass(frozen=True, slots=True)
class Floors:
    """What each floor asks for on one snapshot, as fractions of the inventory (of M, with S = 0)."""

    var: float = 0.0
    inventory: Demand | None = None  # None: the assessor is off, or there is nothing to assess
    portfolio: float = 0.0
    advised: float = 0.0  # all of them, raised by the advice as far as it may; 0 without advice

    @property
    def asked(self) -> float:
        """The largest, before any advice."""
        return max(self.var, self.inventory.floor if self.inventory is not None else 0.0, self.portfolio)

    @property
    def raw(self) -> float:
        """The largest."""
        return max(self.asked, self.advised)


@dataclass(frozen=True, slots=True)
class FloorRules:
    """What is asked beside the value at risk of the pair itself."""

    assessor: Assessor | None = None
    portfolio: PortfolioSettings = field(default_factory=PortfolioSettings)
    advice_max_tilt: float = 0.0  # how far advice may raise the floor

    def floors(self, snapshot: Snapshot, var: float, z: float, horizon_days: float, unit: float) -> Floors:
        """Every floor on this snapshot; ``var`` is the pair's own VaR floor, ``z`` the multiplier behind it. What advice adds is rounded
        down to a whole ``unit``, since the floor itself is rounded up: it never adds more than it may.
        """
        demand, together = None, 0.0
        inventory, view, advice = float(snapshot.inventory), snapshot.portfolio, snapshot.advice
        if self.assessor is not None and inventory != 0.0:
            demand = self.assessor.demand(snapshot.market, inventory, float(snapshot.state.inventory_entry_price))
        if view is not None and self.portfolio.var_limit_pct is not None:
            together = portfolio_floor(view, z, horizon_days, float(self.portfolio.var_limit_pct))
        floors = Floors(var, demand, together)
        if advice is None:
            return floors
        advised = bounded_floor(floors.asked, advice, self.advice_max_tilt)
        return Floors(var, demand, together, math.floor(advised / unit + 1e-9) * unit)


def floor_contributions(floors: Floors, snapshot: Snapshot, held: float, unit: float, latches: tuple[str, ...]) -> Iterator[Contribution]:
    """One contribution for each floor, in the order in which they are applied: none takes away what another asked for."""
    reached = 0.0
    for name, floor, reason, inputs in _demands(floors, snapshot):
        before, reached = reached, max(reached, floor)
        yield Contribution(name, before, reached, reason, inputs)
    rises = held < reached + unit
    slow = f"rounded up to units of {unit:.1%}" if rises else "floors rise at once and fall slowly"
    yield Contribution("slow fall", reached, held, slow if held else "no floor")
    yield Contribution("latches", held, 1.0 if latches else held, "none" if not latches else " and ".join(latches))


def _demands(floors: Floors, snapshot: Snapshot) -> Iterator[tuple[str, float, str, dict[str, Any]]]:
    demand, view, advice = floors.inventory, snapshot.portfolio, snapshot.advice
    if demand is not None:
        yield "inventory risk", demand.floor, demand.reason, demand.inputs
    asks = f"value at risk wants at least {floors.var:.2%}" if floors.var else "value at risk within its limit"
    yield "VaR floor", floors.var, asks, {"raw": floors.var, "volatility_day": snapshot.market.volatility_day}
    if view is not None:
        asks = f"wants at least {floors.portfolio:.2%}" if floors.portfolio else "within its limit"
        yield "portfolio VaR", floors.portfolio, f"value at risk of all {len(view.pairs)} pairs together {asks}", {}
    if advice is not None:
        said = f"{advice.source} advises a floor of {advice.floor:.1%}, bounded" if advice.floor else f"{advice.source} advises no floor"
        yield "advice", floors.advised, said, {"advised": advice.floor, "asked_ms": advice.asked_ms}
