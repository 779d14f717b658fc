"""The plan: the smallest change from the orders that are open to the orders that should be. Pure.

An order that is where it should be keeps its queue place; quantities are compared by what remains. A second plan on what the first
one left sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import Order, OrderRequest, OrderType, Purpose, Side
from alpha_pulse.hedging.common.order_ids import MOST_NODES, OrderName, order_id
from alpha_pulse.hedging.common.types import DesiredOrder, GridLevel, Plan

_BY_HAND_PRICE, _BY_HAND_QUANTITY = Decimal("0.005"), Decimal("0.2")  # fractions


def make_plan(
    desired: Sequence[DesiredOrder],
    ours: Sequence[Order],
    instrument: Instrument,
    *,
    tag: str,
    generation: int,
    tolerance_ticks: int,
    by_hand: bool = False,
) -> Plan:
    """Match desired to open orders; what has no match is placed, what nobody wants is cancelled.

    ``ours`` holds this bot's orders only. Places come in the order of ``desired``; ids continue from ``generation``. ``by_hand``: a
    person carries them out, so an order that closes a gap stays as it is while it is about right.
    """
    tolerance = instrument.tick_size * tolerance_ticks
    left = list(ours)
    keep: list[Order] = []
    missing: list[DesiredOrder] = []
    for want in desired:
        match = next((order for order in left if _serves(order, want, tolerance) or (by_hand and _about_right(order, want))), None)
        if match is None:
            missing.append(want)
        else:
            left.remove(match)
            keep.append(match)
    place = tuple(_request(want, instrument.symbol, tag, generation + i + 1) for i, want in enumerate(missing))
    return Plan(tuple(keep), tuple(left), place)


def _serves(order: Order, want: DesiredOrder, tolerance: Decimal) -> bool:
    """Whether an open order does what is wanted, near enough to keep its place."""
    request = order.request
    if request.purpose is not want.purpose or request.side is not want.side or request.time_in_force is not want.time_in_force:
        return False
    if order.remaining != want.quantity:
        return False
    if request.node != want.node:
        return False
    return _near(request.price, want.price, tolerance) and _near(request.trigger_price, want.trigger_price, tolerance)


def _about_right(order: Order, want: DesiredOrder) -> bool:
    """Whether a person may go on working on a recommendation that closes a gap: same side, price and quantity nearly the same."""
    request = order.request
    if request.purpose is not want.purpose or want.purpose not in {Purpose.REBALANCE, Purpose.FLOOR} or request.side is not want.side:
        return False
    if request.price is None or want.price is None or request.time_in_force is not want.time_in_force:
        return False
    near = abs(request.price - want.price) <= _BY_HAND_PRICE * want.price
    return near and abs(order.remaining - want.quantity) <= _BY_HAND_QUANTITY * want.quantity


def _near(have: Decimal | None, want: Decimal | None, tolerance: Decimal) -> bool:
    if have is None or want is None:
        return have is want
    return abs(have - want) <= tolerance


def _request(want: DesiredOrder, symbol: str, tag: str, generation: int) -> OrderRequest:
    return OrderRequest(
        client_order_id=order_id(tag, OrderName(want.purpose, want.side, want.node, generation)),
        symbol=symbol,
        side=want.side,
        type=want.type,
        quantity=want.quantity,
        price=want.price,
        purpose=want.purpose,
        node=want.node,
        time_in_force=want.time_in_force,
        trigger_price=want.trigger_price,
        reduce_only=want.reduce_only,
        reason=want.reason,
    )


def as_orders(levels: Sequence[GridLevel], instrument: Instrument, most: int, price: float) -> tuple[list[DesiredOrder], list[str]]:
    """A calculator's levels as post-only orders, nearest to the price first, at most ``most`` of them.

    They are rounded against ourselves: sells up, buys down, quantities down. What is under the venue's minimum is dropped, never
    enlarged; the second list says what and why.
    """
    orders: list[DesiredOrder] = []
    dropped: list[str] = []
    for level in sorted(levels, key=lambda level: abs(float(level.price) - price)):
        if not (level.price.is_finite() and level.quantity.is_finite() and level.price > 0):
            dropped.append(f"{level.side.value} {level.quantity} at {level.price}: not a price and a quantity")
            continue
        if abs(level.node) > MOST_NODES:
            dropped.append(f"{level.side.value} {level.quantity} at {level.price}: node {level.node} is beyond ±{MOST_NODES}")
            continue
        ticks = instrument.ticks_up(level.price) if level.side is Side.SELL else instrument.ticks_down(level.price)
        lots = instrument.lots_down(level.quantity)
        if ticks <= 0 or lots < instrument.min_lots(ticks * instrument.tick):
            dropped.append(f"{level.side.value} {level.quantity} at {level.price}: under the venue's minimum")
        elif len(orders) < most:
            orders.append(
                DesiredOrder(
                    side=level.side,
                    type=OrderType.LIMIT,
                    quantity=instrument.quantity(lots),
                    price=instrument.price(ticks),
                    purpose=Purpose.GRID,
                    node=level.node,
                    reason=f"node {level.node} of the hedge curve",
                )
            )
    return orders, dropped
