"""The region of markets in which an assessment stands: risk looked at on every update for a fraction of its price.

An update inside the zone would be assessed exactly as the one that the zone was made for: same target, same memory, same alerts.
The bounds come from the rules of ``manager`` and lie a hair inside them; whatever is near an edge is assessed in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpha_pulse.hedging.common.types import Assessment, HedgeTarget, MarketState, RiskState, Snapshot
from alpha_pulse.hedging.risk.margin import ALERT_SIGMAS, CAP_STEP, WIDEST, liquidation_price, margin_distance
from alpha_pulse.hedging.risk.normalizers import HOURS_PER_YEAR
from alpha_pulse.hedging.risk.sizing import ConstantSizer
from alpha_pulse.hedging.risk.stop import stop_distance, stop_trigger
from alpha_pulse.hedging.risk.tail import VarMethod
from alpha_pulse.hedging.risk.target import TargetPolicy
from alpha_pulse.hedging.risk.var import VAR_ALERT, VAR_CLEARED
from alpha_pulse.hedging.risk.zone_parts import FloorZone, RatioZone, floor_zone

if TYPE_CHECKING:
    from alpha_pulse.hedging.risk.manager import HedgeRiskManager

_HAIR = 1e-9  # relative distance that the zone keeps from every edge
_TIER_MARGIN = 0.02  # what another margin tier may change in the distance to liquidation within one node of price


@dataclass(frozen=True, slots=True)
class RiskZone:
    """Bounds of a region in which nothing about risk changes. Quote and base units."""

    inventory: float
    position: float
    wallet: float
    entry: float
    debt: float
    nav_low: float
    nav_high: float
    mark_low: float  # stop, latch and liquidation bounds, whichever is nearest
    mark_high: float
    room_low: float  # equity in base units at mark: between these the cap of the curve stays
    room_high: float
    liquidation: float  # price; 0 = none
    clear_low: float  # marks between which liquidation is far enough whatever the volatility
    clear_high: float
    alert_distance: float  # no alert, no cap, no cut is due while liquidation is farther than ``margin_distance`` of these
    var_per_sigma: float  # VaR over its limit, per unit of σ_day (and per unit of price with an absolute limit)
    var_absolute: bool
    alert_low: float  # of VaR over its limit: between these its alert neither comes nor goes
    alert_high: float
    var_low: float  # of VaR over its limit: between these the floor is asked for, or is not, as before
    var_high: float
    decay_ms: float  # when a floor that nobody asks for falls
    funding_low: float  # annual funding as the inventory feels it, between which the ratio stays
    funding_high: float
    residuals: tuple[float, ...] | None  # what the quantile of the VaR was read from; None = from none
    ratio: RatioZone | None  # None: the sizer says the same on every market
    floor: FloorZone | None

    def holds(self, market: MarketState) -> bool:
        """Whether this market is inside."""
        raw = market.raw
        mark, spot, sigma = raw.mark.close, raw.spot, market.indicators.volatility_day
        reference = spot.close if spot is not None else raw.index_price
        equity = self.wallet + self.position * (mark - self.entry)
        if not (
            self.mark_low < mark < self.mark_high
            and self.nav_low < equity + self.inventory * reference - self.debt <= self.nav_high
            and self.room_low * mark < equity < self.room_high * mark
            and self.funding_low < raw.funding_rate * HOURS_PER_YEAR / raw.funding_interval_h < self.funding_high
        ):
            return False
        strain = self.var_per_sigma * sigma * (reference if self.var_absolute else 1.0)
        if not self.alert_low < strain < self.alert_high or not self.var_low < strain < self.var_high or raw.close_ms >= self.decay_ms:
            return False
        if (
            (self.residuals is not None and self.residuals is not market.indicators.residuals)
            or (self.floor is not None and not self.floor.holds(market, reference, sigma))
            or (self.ratio is not None and not self.ratio.holds(market))
        ):
            return False
        if self.clear_low < mark < self.clear_high:
            return True
        return abs(self.liquidation / mark - 1.0) > margin_distance(self.alert_distance, ALERT_SIGMAS, sigma) + _TIER_MARGIN


def risk_zone(manager: HedgeRiskManager, snapshot: Snapshot, assessment: Assessment) -> RiskZone | None:
    """The zone around a snapshot whose assessment changed nothing, or None where something is close to changing."""
    room = _room(manager, snapshot, assessment) if _can_stand(manager, snapshot, assessment) else None
    if room is None:
        return None
    memory, account, inventory = assessment.memory, snapshot.account, float(snapshot.inventory)
    settings, mark = manager.settings, snapshot.market.raw.mark.close
    position, wallet, entry = float(account.position.quantity), float(account.wallet), float(account.position.entry_price)
    # the latch goes by the distance even where no stop rests any more, under a drawdown latch for instance
    low, high = stop_bounds(
        memory.stop_latched, memory.stop_reference, stop_distance(settings, snapshot.state.volatility_held), inventory > 0.0
    )
    var_per_sigma, absolute = manager.var_strain(inventory, manager.quantile(snapshot))
    ratio, (funding_low, funding_high) = _ratio_bounds(manager.policy, assessment.target, inventory)
    floor, assessor = None, manager.rules.assessor
    if assessor is not None:
        floor = floor_zone(assessor, snapshot.market, inventory, float(snapshot.state.inventory_entry_price))
    var_low, var_high, decay_ms = _floor_bounds(manager, assessment, floor.demand.floor if floor is not None else 0.0)
    alert_low, alert_high = _alert_bounds(manager, snapshot, inventory, position)
    rough = mark * (1.5 if position < 0.0 else 0.5)  # the tier of a position far out is the strictest on the way
    liquidation = liquidation_price(wallet, position, entry, snapshot.instrument, rough) if position else 0.0
    clear_low, clear_high = _clear_marks(liquidation, position, WIDEST * settings.alert_distance + _TIER_MARGIN)
    nav_low = -math.inf
    if settings.max_drawdown is not None and not memory.drawdown_latched:
        nav_low = memory.high_water_mark * (1.0 - float(settings.max_drawdown)) * (1.0 + _HAIR)
    return RiskZone(
        inventory=inventory,
        position=position,
        wallet=wallet,
        entry=entry,
        debt=memory.debt,
        nav_low=nav_low,
        nav_high=memory.high_water_mark,
        mark_low=low,
        mark_high=high,
        room_low=room[0] * (1.0 + _HAIR),
        room_high=room[1] * (1.0 - _HAIR),
        liquidation=liquidation,
        clear_low=clear_low,
        clear_high=clear_high,
        alert_distance=settings.alert_distance,
        var_per_sigma=var_per_sigma,
        var_absolute=absolute,
        alert_low=alert_low,
        alert_high=alert_high,
        var_low=var_low,
        var_high=var_high,
        decay_ms=decay_ms,
        funding_low=funding_low,
        funding_high=funding_high,
        residuals=None if manager.settings.var_method is VarMethod.PARAMETRIC else snapshot.market.indicators.residuals,
        ratio=ratio,
        floor=floor,
    )


def _can_stand(manager: HedgeRiskManager, snapshot: Snapshot, assessment: Assessment) -> bool:
    """Whether everything that decides here can be bounded, and nothing is going on that must be looked at on every update."""
    if snapshot.portfolio is not None or snapshot.advice is not None or not hasattr(manager.policy.sizer, "ratio_on"):
        return False
    assessor = manager.rules.assessor
    if assessor is not None and assessor.allow_spot_sell:
        return False
    quiet = assessment.memory.state in {RiskState.NORMAL, RiskState.DELTA_REDUCE} and math.isinf(assessment.reduce_to)
    return quiet and float(snapshot.inventory) != 0.0


def _ratio_bounds(policy: TargetPolicy, target: HedgeTarget, inventory: float) -> tuple[RatioZone | None, tuple[float, float]]:
    """Where the sizer's answer stands, and between which annual funding rates; a zone of ratios has its own funding."""
    sizer = policy.sizer
    if isinstance(sizer, ConstantSizer):
        return None, funding_bounds(policy, target, sizer.ratio, inventory)
    return RatioZone(policy, sizer, inventory, target.ratio, target.raised_ms), (-math.inf, math.inf)  # type: ignore[arg-type]  # it has ratio_on


def _clear_marks(liquidation: float, position: float, widest: float) -> tuple[float, float]:
    """Between which marks liquidation is farther than the widest distance of all."""
    if liquidation == 0.0:
        return 0.0, math.inf
    if position < 0.0:
        return 0.0, liquidation / (1.0 + widest)
    return (liquidation / (1.0 - widest) if widest < 1.0 else math.inf), math.inf


def _room(manager: HedgeRiskManager, snapshot: Snapshot, assessment: Assessment) -> tuple[float, float] | None:
    """Between which equities, in base units at mark, the curve's cap stays; None where more than leverage decides it."""
    account, nearest = snapshot.account, manager.settings.no_increase_distance
    # the widest distance and a stricter tier than today's: what margin could ask for anywhere in the zone
    gain = float(account.position.quantity) * (snapshot.market.raw.mark.close - float(account.position.entry_price))
    equity = max(0.0, float(account.wallet) + gain)
    rate = float(snapshot.instrument.tier(2.0 * equity / nearest).maintenance_rate)
    margin = (1.0 + WIDEST * nearest) * (1.0 + rate) - 1.0  # equity per unit of position that keeps liquidation comfortably far
    cap, wanted = assessment.memory.cap, manager.most_wanted(float(snapshot.inventory), assessment.target)
    held = abs(float(snapshot.account.position.quantity))
    room = cap_room(cap, wanted, manager.leverage(snapshot.account), held, abs(float(snapshot.inventory)), margin, assessment.most)
    return None if math.isnan(room[0]) else room


def cap_room(cap: float, wanted: float, leverage: float, held: float, scale: float, margin: float, limit: float) -> tuple[float, float]:
    """The same in numbers; NaN where more than leverage decides it. Base units, ``scale`` is |S|, ``limit`` the user's on the position."""
    per_unit = 1.0 / leverage
    if cap >= wanted:  # not binding: it stays so while equity carries all that the curve can ask for, or the position is that already
        return (-math.inf if held >= wanted else wanted * max(per_unit, margin)), math.inf
    unit = CAP_STEP * scale
    most = min((math.floor(cap / unit + 1e-9) + 2) * unit, wanted + unit)
    if per_unit < margin or held > cap or held >= most:
        return math.nan, math.nan
    reachable = limit >= most * (1.0 - _HAIR)
    return (-math.inf if held >= cap else cap * per_unit), most * per_unit if reachable else math.inf


def funding_bounds(policy: TargetPolicy, target: HedgeTarget, sized: float, inventory: float) -> tuple[float, float]:
    """Between which annual rates the tilt moves the ratio by less than a unit."""
    if policy.funding_tilt == 0.0:
        return -math.inf, math.inf
    unit = policy.unit * (1.0 - _HAIR)
    lower = policy.min_ratio if policy.min_ratio is not None else 0.0
    down, up = target.ratio - unit, target.ratio + unit
    least = (
        -math.inf if down < lower or sized - policy.funding_tilt > down else (down - sized) / policy.funding_tilt * policy.funding_tilt_full
    )
    most = (
        math.inf
        if up > policy.max_ratio or sized + policy.funding_tilt < up
        else (up - sized) / policy.funding_tilt * policy.funding_tilt_full
    )
    return (least, most) if inventory > 0.0 else (-most, -least)


def _alert_bounds(manager: HedgeRiskManager, snapshot: Snapshot, inventory: float, position: float) -> tuple[float, float]:
    """Between which strains the alert on the unhedged VaR stays as it is."""
    exposed = manager.exposed(inventory, position)
    if VAR_ALERT in snapshot.state.alerts:
        return (VAR_CLEARED / exposed * (1.0 + _HAIR), math.inf) if exposed else (math.inf, math.inf)
    return -math.inf, 1.0 / exposed * (1.0 - _HAIR) if exposed else math.inf


def stop_bounds(latched: bool, reference: float, distance: float, long: bool) -> tuple[float, float]:
    """Between which marks the stop neither fires nor is released."""
    if latched:
        edge = reference
        return (0.0, edge * (1.0 - _HAIR)) if long else (edge * (1.0 + _HAIR), math.inf)
    edge = stop_trigger(reference, distance, long)
    if edge <= 0.0:
        return 0.0, math.inf
    return (edge * (1.0 + _HAIR), math.inf) if long else (0.0, edge * (1.0 - _HAIR))


def _floor_bounds(manager: HedgeRiskManager, assessment: Assessment, asked: float) -> tuple[float, float, float]:
    """(low, high, when): VaR over its limit may move between low and high, and nothing happens before ``when``.

    The floor f is asked for while 1 − 1/strain lies within one unit under f, or while the assessor asks for more than the next unit down.
    A floor that falls does so while neither is the case.
    """
    memory, policy = assessment.memory, manager.policy
    return floor_bounds(memory.soft_floor, memory.floor_since_ms, policy.unit, policy.floor_half_life_ms, asked)


def floor_bounds(held: float, since: int, unit: float, half_life: float, asked: float) -> tuple[float, float, float]:
    """The same in numbers; ``half_life`` in milliseconds."""
    high = (1.0 / (1.0 - held) if held < 1.0 else math.inf) * (1.0 - _HAIR)
    lower = (math.ceil(held / unit - 1e-9) - 1) * unit
    if held == 0.0 or asked > lower * (1.0 + _HAIR):
        return -math.inf, high, math.inf
    edge = 1.0 / (1.0 - lower)
    if since == 0:
        return edge * (1.0 + _HAIR), high, math.inf
    wait = half_life * math.log2(held / lower) if lower > 0.0 else half_life
    return -math.inf, edge * (1.0 - _HAIR), since + math.floor(wait)
