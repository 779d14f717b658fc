"""The gap between the position and the curve: when it is closed, how fast, and with which single order. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from alpha_pulse.domain.orders import OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.types import Assessment, CurveParameters, DesiredOrder, RiskState, Snapshot
from alpha_pulse.hedging.execution.config import ExecutionSettings
from alpha_pulse.hedging.grid.calculator import target_at
from alpha_pulse.hedging.grid.config import HedgeSettings
from alpha_pulse.hedging.grid.curve import place_on_grid, ticks_at_or_above, ticks_at_or_below
from alpha_pulse.hedging.risk.costs import trade_cost, worth_trading

_STEPS = 1.5  # a band is never narrower than this many node steps
CLOSED = 0.5  # an open gap is closed when less than this share of a node step is left


@dataclass(frozen=True, slots=True)
class Gap:
    """What the gap asks for on this tick."""

    target: float  # T at the current price, base units, signed
    since_ms: int  # when it opened; 0 = no gap
    order: DesiredOrder | None

    @property
    def remainder(self) -> Decimal:
        """What the order may still add to the position, signed."""
        return Decimal(0) if self.order is None else self.order.quantity * self.order.side.sign


def find_gap(hedge: HedgeSettings, execution: ExecutionSettings, snapshot: Snapshot, assessment: Assessment, curve: CurveParameters) -> Gap:
    """Floors and margin cuts go at once; a gap outside the band goes patiently, then as a taker."""
    market, state = snapshot.market, snapshot.state
    target = target_at(curve, place_on_grid(market.mid, curve.anchor, curve.spacing, curve.levels, curve.geometric))
    position = float(snapshot.account.position.quantity)
    urgent, why = _urgent(snapshot, assessment, curve, position)
    if urgent != 0.0:
        order = _order(snapshot, execution, _within(urgent, snapshot, assessment), Purpose.FLOOR, patient=False, why=why)
        return Gap(target, state.gap_since_ms, order)
    away = target - position  # to add, signed
    step = node_step(curve)
    hedging_more = _hedges_more(curve, away)
    limit = band(hedge, curve, away)
    is_open = (
        abs(away) > limit
        or (state.gap_since_ms > 0 and abs(away) > max(CLOSED * step, snapshot.instrument.lot))
        or (position == 0.0 and band_hides_hedge(hedge, curve) and _unopened(hedge, curve, snapshot))
    )
    if not is_open:
        return Gap(target, 0, None)
    since = state.gap_since_ms or market.now_ms
    patient = market.now_ms - since < hedge.escalate_after_s * 1000.0
    why = f"{'under' if hedging_more else 'over'}-hedged by {abs(away):.8g}, outside the band of {limit:.8g}"
    paced = _paced(_within(away, snapshot, assessment), snapshot, execution)
    patient = patient or not _pays(paced, snapshot, hedge)  # what is too dear to take goes on resting
    order = _order(snapshot, execution, paced, Purpose.REBALANCE, patient=patient, why=why)
    return Gap(target, since if order is not None else 0, order)


def band(hedge: HedgeSettings, curve: CurveParameters, away: float) -> float:
    """How far the position may be from T, base units: narrower when under-hedged, never under 1.5 node steps."""
    scale = abs(curve.inventory) or curve.neutral_size
    return max((hedge.band_under if _hedges_more(curve, away) else hedge.band_over) * scale, _STEPS * node_step(curve))


def _hedges_more(curve: CurveParameters, away: float) -> bool:
    """Whether trading ``away`` would add hedge; without an inventory both directions count as adding."""
    return away * curve.inventory < 0.0 or curve.inventory == 0.0


def band_hides_hedge(hedge: HedgeSettings, curve: CurveParameters) -> bool:
    """Whether the band is as wide as the hedge at the anchor: with few nodes 1.5 steps can be, and it would never be opened."""
    wanted = target_at(curve, 0.0)
    return wanted != 0.0 and abs(wanted) <= band(hedge, curve, wanted)


def _unopened(hedge: HedgeSettings, curve: CurveParameters, snapshot: Snapshot) -> bool:
    """Whether even the less hedged of the two nodes around the price asks for more than the user's own band."""
    place = place_on_grid(snapshot.market.mid, curve.anchor, curve.spacing, curve.levels, curve.geometric) * curve.levels
    return hedge_due(hedge, curve, place)


def hedge_due(hedge: HedgeSettings, curve: CurveParameters, place: float) -> bool:
    """The same at a place that is counted in nodes."""
    below, above = target_at(curve, math.floor(place) / curve.levels), target_at(curve, math.ceil(place) / curve.levels)
    return min(abs(below), abs(above)) > hedge.band_under * (abs(curve.inventory) or curve.neutral_size)


def _within(signed: float, snapshot: Snapshot, assessment: Assessment) -> float:
    """What the posture leaves of a signed quantity: reducing ends at zero, halted trades nothing."""
    state, position = assessment.state, float(snapshot.account.position.quantity)
    if state is RiskState.NORMAL:
        return signed
    exposure = position if state is RiskState.MARGIN_REDUCE else float(snapshot.inventory) + position
    return 0.0 if state is RiskState.HALTED else shrinking(signed, exposure)


def shrinking(signed: float, exposure: float) -> float:
    """As much of a signed quantity as brings an exposure nearer to zero, and not beyond."""
    return 0.0 if signed * exposure >= 0.0 else math.copysign(min(abs(signed), abs(exposure)), signed)


def _paced(signed: float, snapshot: Snapshot, execution: ExecutionSettings) -> float:
    """As much of a discretionary order as the book carries: depth sets the pace, not the protection. At least one order that trades."""
    raw, instrument = snapshot.market.raw, snapshot.instrument
    depth = raw.bid_depth if signed < 0.0 else raw.ask_depth
    least = instrument.min_lots(raw.mark.close) * instrument.lot
    return at_pace(signed, depth, execution.max_depth_share, raw.mark.close, least)


def at_pace(signed: float, depth: float, share: float, mark: float, least: float) -> float:
    """A signed quantity, no larger than a share of the depth (quote units; 0 = unknown) or the least order (base units)."""
    if depth <= 0.0:
        return signed
    return math.copysign(min(abs(signed), max(share * depth / mark, least)), signed)


def _pays(signed: float, snapshot: Snapshot, hedge: HedgeSettings) -> bool:
    """Whether taking this from the market costs less than the risk that it removes is worth."""
    if signed == 0.0:
        return False
    cost = trade_cost(abs(signed), selling=signed < 0.0, market=snapshot.market, instrument=snapshot.instrument)
    return worth_trading(cost, snapshot.market.volatility_day, hedge.max_cost_share)


def node_step(curve: CurveParameters) -> float:
    """What one node moves the position by, base units."""
    scale = abs(curve.inventory) or curve.neutral_size
    return scale * max(curve.amplitude, curve.amplitude_adverse) / curve.levels


def _urgent(snapshot: Snapshot, assessment: Assessment, curve: CurveParameters, position: float) -> tuple[float, str]:
    """What must be traded at once, signed; 0 = nothing. A margin cut beats a floor."""
    if abs(position) > assessment.reduce_to:
        excess = abs(position) - assessment.reduce_to
        return (excess if position < 0.0 else -excess), "liquidation is too near: the position is cut"
    if curve.inventory == 0.0 and curve.floor >= 1.0 and position != 0.0:
        return -position, "latched: the position is closed"
    if curve.floor > 0.0 and curve.inventory != 0.0:
        missing = under_floor(curve, position)
        if missing > snapshot.instrument.lot * CLOSED:
            return -math.copysign(missing, curve.inventory), f"the hedge is {missing:.8g} under its floor of {curve.floor:.1%}"
    return 0.0, ""


def under_floor(curve: CurveParameters, position: float) -> float:
    """By how much a hedge is under its floor, base units; negative when it is over."""
    return min(curve.floor * abs(curve.inventory), curve.max_abs_position) + position * (1.0 if curve.inventory > 0.0 else -1.0)


def _order(
    snapshot: Snapshot, execution: ExecutionSettings, signed: float, purpose: Purpose, *, patient: bool, why: str
) -> DesiredOrder | None:
    """One order for a signed quantity: at the touch and post-only, or a taker bounded by ``max_slippage``."""
    instrument, raw = snapshot.instrument, snapshot.market.raw
    side = Side.BUY if signed > 0.0 else Side.SELL
    lots = int(abs(signed) / instrument.lot + 1e-7)
    if lots < instrument.min_lots(raw.mark.close):
        return None
    if patient:
        ticks = ticks_at_or_above(raw.ask, instrument.tick) if side is Side.SELL else ticks_at_or_below(raw.bid, instrument.tick)
    elif side is Side.SELL:
        ticks = ticks_at_or_above(raw.bid * (1.0 - execution.max_slippage), instrument.tick)
    else:
        ticks = ticks_at_or_below(raw.ask * (1.0 + execution.max_slippage), instrument.tick)
    return DesiredOrder(
        side=side,
        type=OrderType.LIMIT,
        quantity=instrument.quantity(lots),
        price=instrument.price(ticks),
        purpose=purpose,
        time_in_force=TimeInForce.POST_ONLY if patient else TimeInForce.IOC,
        reason=why,
    )
