"""The stop as an order: what should rest at the venue's stop book now. Pure."""

from __future__ import annotations

import math

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.types import Alert, CurveParameters, DesiredOrder, Snapshot
from alpha_pulse.hedging.grid.curve import ticks_at_or_above, ticks_at_or_below
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.stop import StopSize, stop_size


def next_reference(reference: float, curve: CurveParameters, latched: bool) -> float:
    """The stop's reference: the highest anchor since the last latch (lowest for S < 0, the anchor itself for S = 0)."""
    if latched:
        return reference
    if reference == 0.0 or curve.inventory == 0.0:
        return curve.anchor
    return max(reference, curve.anchor) if curve.inventory > 0.0 else min(reference, curve.anchor)


def stop_side(curve: CurveParameters, snapshot: Snapshot) -> Side:
    """The side of the stop's order."""
    return Side.SELL if losing_below(curve, snapshot) else Side.BUY


def losing_below(curve: CurveParameters, snapshot: Snapshot) -> bool:
    """Whether what the stop protects loses when price falls."""
    return curve.inventory > 0.0 or (curve.inventory == 0.0 and snapshot.account.position.quantity > 0)


def desired_stop(
    snapshot: Snapshot,
    curve: CurveParameters,
    unwinding: float,
    trigger: float,
    settings: RiskSettings,
    most: float = math.inf,
    resting: float = 0.0,
) -> tuple[DesiredOrder | None, Alert | None]:
    """The stop that should rest, and an alert if caps keep it from completing the hedge.

    It carries |S + F| plus ``unwinding``, what live orders could take off the hedge before the trigger, base units, unless the venue
    would cancel those; never more than ``most``, and no more than the venue's margin carries beside the ``resting`` orders of its own
    side, base units. With S = 0 it closes the open side, reduce-only. None where mark is beyond the
    trigger already: the venue would refuse it, and the latch acts.
    """
    mark = snapshot.market.raw.mark.close
    if trigger <= 0.0 or (mark <= trigger if losing_below(curve, snapshot) else mark >= trigger):
        return None, None
    instrument, account = snapshot.instrument, snapshot.account
    side = stop_side(curve, snapshot)
    if curve.inventory == 0.0:
        held = abs(instrument.lots_down(account.position.quantity))
        why = "closes the position if the range breaks"
        return (_order(snapshot, side, held, trigger, why, reduce_only=True) if held else None), None
    size = stop_size(
        inventory=curve.inventory,
        position=float(account.position.quantity),
        unwinding=0.0 if snapshot.dead_man_switch else unwinding,
        trigger=trigger,
        wallet=float(account.wallet),
        entry=float(account.position.entry_price),
        leverage=min(float(settings.max_effective_leverage), float(account.leverage_limit)),
        max_position=min(most, abs(curve.inventory) if settings.max_position_size is None else float(settings.max_position_size)),
        resting=resting,
        limit=float(account.leverage_limit),
    )
    alert = _shortfall(size, trigger, instrument) if size.shortfall > instrument.lot else None
    lots = int(size.quantity / instrument.lot + 1e-7)
    if lots < instrument.min_lots(trigger):
        return None, alert
    return _order(snapshot, side, lots, trigger, "completes the hedge if the inventory loses too much"), alert


def _shortfall(size: StopSize, trigger: float, instrument: Instrument) -> Alert:
    return Alert(
        "stop short",
        f"The stop at {trigger:,.2f} lacks {size.shortfall:.8g} {instrument.base} to complete the hedge. Top up the perpetual "
        f"wallet by {size.top_up:,.2f} {instrument.quote}, or raise risk.max_position_size "
        "(portfolio.max_total_notional with several pairs)",
    )


def _order(snapshot: Snapshot, side: Side, lots: int, trigger: float, reason: str, *, reduce_only: bool = False) -> DesiredOrder:
    """A stop that triggers no later than asked: a sell's trigger is rounded up, a buy's down."""
    instrument = snapshot.instrument
    ticks = ticks_at_or_above(trigger, instrument.tick) if side is Side.SELL else ticks_at_or_below(trigger, instrument.tick)
    return DesiredOrder(
        side=side,
        type=OrderType.STOP_MARKET,
        quantity=instrument.quantity(lots),
        price=None,
        purpose=Purpose.STOP,
        time_in_force=TimeInForce.GTC,
        trigger_price=instrument.price(ticks),
        reduce_only=reduce_only,
        reason=reason,
    )
