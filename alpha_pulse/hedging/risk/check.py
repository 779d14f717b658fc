"""The last gate: every order of a plan is approved or refused, with the reason. Nothing here changes an order."""

from __future__ import annotations

import math
from decimal import Decimal

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderRequest, Purpose, Side
from alpha_pulse.hedging.common.approved import RISK_PASS, ApprovedOrder, ApprovedPlan, Refusal
from alpha_pulse.hedging.common.types import Assessment, Plan, RiskState, Snapshot
from alpha_pulse.hedging.risk.stop import stop_size, stop_trigger
from alpha_pulse.hedging.risk.wallets import Wallets

NOTHING = ApprovedPlan((), ())


class _Book:
    """Running totals of what would be live: the limits hold even if all of it fills."""

    def __init__(self, plan: Plan, snapshot: Snapshot) -> None:
        self.position = snapshot.account.position.quantity
        self.inventory = snapshot.inventory
        self.selling = ZERO
        self.buying = ZERO
        for order in plan.keep:
            if order.request.purpose is not Purpose.STOP:
                self.add(order.request.side, order.remaining)
        for request in snapshot.state.unknown:  # unknown counts as live and as filled
            if request.purpose is not Purpose.STOP:
                self.add(request.side, request.quantity)

    def add(self, side: Side, quantity: Decimal) -> None:
        if side is Side.SELL:
            self.selling += quantity
        else:
            self.buying += quantity

    @property
    def lowest(self) -> Decimal:
        return self.position - self.selling

    @property
    def highest(self) -> Decimal:
        return self.position + self.buying


def check_plan(plan: Plan, snapshot: Snapshot, assessment: Assessment, leverage: float = math.inf) -> ApprovedPlan:
    """Approve or refuse each order, in the plan's order, counting what was approved before it.

    Refused is what would pass the position cap if every live order filled, what the risk state forbids, what would unwind the hedge
    under the floor, what would cross the touch though it must rest, and a grid order that would take the stop's margin; ``leverage``
    is what the stop may use [notional / equity]. The stop counts as an alternative to the grid.
    """
    if plan.is_empty:
        return NOTHING
    book = _Book(plan, snapshot)
    reasons: dict[str, str] = {}
    for request in sorted(plan.place, key=lambda r: r.purpose is Purpose.STOP):  # the stop's room depends on what else may rest
        reason = _reason_against(request, book, snapshot, assessment)
        reason = reason or _against_stops_margin(request, book, snapshot, assessment, leverage)
        reasons[request.client_order_id] = reason
        if not reason and request.purpose is not Purpose.STOP:
            book.add(request.side, request.quantity)
    return ApprovedPlan(
        plan.cancel,
        tuple(ApprovedOrder(request, RISK_PASS) for request in plan.place if not reasons[request.client_order_id]),
        tuple(Refusal(request, reasons[request.client_order_id]) for request in plan.place if reasons[request.client_order_id]),
    )


def _reason_against(request: OrderRequest, book: _Book, snapshot: Snapshot, assessment: Assessment) -> str:
    if request.quantity <= 0 or (request.price is not None and request.price <= 0):
        return "quantity and price must be positive"
    if request.purpose is Purpose.STOP:
        return _against_stop(request, book)
    return (
        _against_posture(request, book, assessment)
        or _against_caps(request, book, assessment, snapshot)
        or _against_floor(request, book, assessment, snapshot)
        or _against_touch(request, snapshot)
    )


def _against_stop(request: OrderRequest, book: _Book) -> str:
    if request.trigger_price is None or request.trigger_price <= 0:
        return "a stop needs a trigger price"
    if request.reduce_only:
        return ""
    room = abs(book.inventory + book.position) + (book.buying if book.inventory > 0 else book.selling)
    return "" if request.quantity <= room else f"the stop would carry {request.quantity}, more than the {room} that completes the hedge"


def _against_posture(request: OrderRequest, book: _Book, assessment: Assessment) -> str:
    state = assessment.state
    if state is RiskState.NORMAL:
        return ""
    if state is RiskState.HALTED:
        return f"halted: {assessment.memory.halted}"
    exposure = book.position if state is RiskState.MARGIN_REDUCE else book.inventory + book.position
    already = book.selling if request.side is Side.SELL else book.buying
    shrinks = (exposure > 0) == (request.side is Side.SELL) and exposure != 0 and already + request.quantity <= abs(exposure)
    return "" if shrinks else f"{state.value}: only orders that shrink {'|F|' if state is RiskState.MARGIN_REDUCE else '|S + F|'} pass"


def _against_caps(request: OrderRequest, book: _Book, assessment: Assessment, snapshot: Snapshot) -> str:
    cap = assessment.max_abs_position
    side = request.side
    after = (book.lowest if side is Side.SELL else book.highest) + side.sign * request.quantity
    if after * book.inventory > 0 and abs(after) > (abs(book.position) if book.position * book.inventory > 0 else ZERO):
        return f"the perpetual could reach {after}, on the same side as the inventory: that is no hedge"
    if (side is Side.SELL) == (after < 0) and _unaffordable(after, request, snapshot):
        return f"the wallet does not carry a position of {after} at {request.price}"
    if math.isinf(cap):
        return ""
    limit = Decimal(repr(cap)) + _slack(snapshot)
    if side is Side.SELL and after < -limit:
        return f"the short could reach {abs(after)}, over the cap of {cap:.8g}"
    if side is Side.BUY and after > limit:
        return f"the long could reach {after}, over the cap of {cap:.8g}"
    return ""


def _unaffordable(after: Decimal, request: OrderRequest, snapshot: Snapshot) -> bool:
    """Whether the venue's own margin would not carry the position at the order's price, which it checks when the order is placed."""
    account, view = snapshot.account, Wallets.of(snapshot)
    price = max(view.mark, float(request.price or 0))
    grows = abs(after) > abs(account.position.quantity)
    return grows and float(abs(after)) * price > float(account.leverage_limit) * view.equity


def _against_stops_margin(request: OrderRequest, book: _Book, snapshot: Snapshot, assessment: Assessment, leverage: float) -> str:
    """The stop's margin is reserved: no grid order on its side may make it smaller, for the venue counts that order when it fires."""
    long = book.inventory > 0
    trigger = stop_trigger(assessment.memory.stop_reference, assessment.stop_distance, long)
    if request.purpose is not Purpose.GRID or trigger <= 0.0 or not book.inventory or (request.side is Side.SELL) != long:
        return ""
    view, limit = Wallets.of(snapshot), float(snapshot.account.leverage_limit)
    known = (view.inventory, view.position, 0.0, trigger, view.wallet, view.entry, min(leverage, limit), assessment.most)
    beside = float((book.selling if long else book.buying) + request.quantity)
    without = stop_size(*known, limit=limit).quantity
    kept = stop_size(*known, resting=beside, limit=limit).quantity
    least = snapshot.instrument.lot * 1e-3
    return "" if kept >= without - least else f"with it the stop at {trigger:,.2f} would lack the margin of {without - kept:.8g}"


def _slack(snapshot: Snapshot) -> Decimal:
    """What floats leave of an exact decimal: a thousandth of a lot."""
    return snapshot.instrument.lot_size / 1000


def _against_floor(request: OrderRequest, book: _Book, assessment: Assessment, snapshot: Snapshot) -> str:
    """Unwinding may not undercut the floor, except to shrink the position for margin: caps beat floors."""
    floor = assessment.target.floor
    if floor <= 0.0 or book.inventory == 0 or not math.isinf(assessment.reduce_to):
        return ""
    least = min(Decimal(repr(floor)) * abs(book.inventory), Decimal(repr(assessment.max_abs_position))) - _slack(snapshot)
    if book.inventory > 0 and request.side is Side.BUY:
        left = -(book.highest + request.quantity)
    elif book.inventory < 0 and request.side is Side.SELL:
        left = book.lowest - request.quantity
    else:
        return ""
    return "" if left >= least else f"the hedge could fall to {left}, under the floor of {floor:.1%}"


def _against_touch(request: OrderRequest, snapshot: Snapshot) -> str:
    if request.purpose is not Purpose.GRID or request.price is None:
        return ""
    raw, price = snapshot.market.raw, float(request.price)
    if request.side is Side.SELL and price <= raw.bid:
        return f"a grid sell at {request.price} would cross the bid of {raw.bid}"
    if request.side is Side.BUY and price >= raw.ask:
        return f"a grid buy at {request.price} would cross the ask of {raw.ask}"
    return ""
