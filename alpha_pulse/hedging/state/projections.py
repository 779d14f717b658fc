"""Projections: what the events add up to. A pure fold, so that a rebuild from the first event gives the same rows.

Rows are plain mappings from column to value, ready for the tables of ``models``; money is text, as it is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.domain.events import Event, EventKind, canonical_json, to_jsonable
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Fill, FundingPayment, OrderRequest
from alpha_pulse.hedging.state.codec import decode

Row = dict[str, Any]

FILLED: Final = "filled"

# What an order's status becomes; the vocabulary of OrderStatus, and the steps on our side of the wire.
_ORDER_STATUS: Final = {
    EventKind.ORDER_INTENDED: "intended",
    EventKind.ORDER_ACCEPTED: "open",
    EventKind.ORDER_ADOPTED: "open",
    EventKind.ORDER_REJECTED: "rejected",
    EventKind.ORDER_UNKNOWN: "unknown",
    EventKind.CANCEL_INTENDED: "cancelling",
    EventKind.ORDER_CANCELLED: "cancelled",
    EventKind.ORDER_CLOSED: "closed",
}
_KEEPS_ROWS: Final = frozenset({*_ORDER_STATUS, EventKind.FILL, EventKind.FUNDING, EventKind.TICKET, EventKind.TICKET_UPDATED})


@dataclass(slots=True)
class Projection:
    """The rows that a run of events touches. Before ``fold``, give it the stored rows that ``touched`` names."""

    orders: dict[str, Row] = field(default_factory=dict)  # by client order id
    tickets: dict[str, Row] = field(default_factory=dict)  # by ticket id
    position: Row | None = None
    fills: list[Row] = field(default_factory=list)  # new rows only
    funding: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Touched:
    """Which stored rows a run of events builds on."""

    orders: frozenset[str]
    tickets: frozenset[str]
    position: bool


def touched(events: Iterable[Event]) -> Touched:
    """The rows that must be read before these events can be folded in."""
    orders: set[str] = set()
    tickets: set[str] = set()
    position = False
    for event in events:
        if event.kind not in _KEEPS_ROWS:
            continue
        payload = event.payload
        if event.kind is EventKind.FILL:
            orders.add(payload["fill"]["client_order_id"])
            position = True
        elif event.kind is EventKind.FUNDING:
            position = True
        elif event.kind in _ORDER_STATUS:
            orders.add(_order_id(event))
        else:
            tickets.add(payload["ticket"]["id"])
    return Touched(frozenset(orders), frozenset(tickets), position)


def fold(projection: Projection, sequence: int, event: Event) -> None:
    """Add one event to ``projection``, in place. An event that no projection is about changes nothing.

    Raises:
        ConfigError: a payload does not hold what its kind promises.
    """
    change = _CHANGES.get(event.kind)
    if change is not None:
        change(projection, sequence, event)


def _order_id(event: Event) -> str:
    payload = event.payload
    identity: str = payload["order"]["client_order_id"] if "order" in payload else payload["client_order_id"]
    return identity


def _order(projection: Projection, sequence: int, event: Event) -> None:
    identity = _order_id(event)
    row = projection.orders.get(identity)
    if row is None:
        if "order" not in event.payload:
            return  # the cancel of an order that was never ours
        row = projection.orders[identity] = _new_order(decode(OrderRequest, event.payload["order"]), event.ts_ms)
    if row["status"] != FILLED:  # a filled order stays filled, whatever news arrives late
        row["status"] = _ORDER_STATUS[event.kind]
    row["reason"] = event.payload.get("reason") or row["reason"]
    row["sequence"], row["updated_ms"] = sequence, event.ts_ms


def _new_order(order: OrderRequest, ts_ms: int) -> Row:
    return {
        "client_order_id": order.client_order_id,
        "status": "",
        "side": order.side.value,
        "type": order.type.value,
        "purpose": order.purpose.value,
        "node": order.node,
        "quantity": str(order.quantity),
        "price": None if order.price is None else str(order.price),
        "trigger_price": None if order.trigger_price is None else str(order.trigger_price),
        "filled": "0",
        "reason": order.reason,
        "created_ms": ts_ms,
    }


def _fill(projection: Projection, sequence: int, event: Event) -> None:
    fill = decode(Fill, event.payload["fill"])
    projection.fills.append(_columns(fill, sequence))
    order = projection.orders.get(fill.client_order_id)
    if order is not None:
        filled = Decimal(order["filled"]) + fill.quantity
        order["filled"] = str(filled)
        if filled >= Decimal(order["quantity"]):
            order["status"] = FILLED
        order["sequence"], order["updated_ms"] = sequence, event.ts_ms
    position = _position(projection, sequence, event)
    _book(position, fill)
    settle = fill.symbol.rpartition(":")[2] if ":" in fill.symbol else fill.fee_currency
    if fill.fee_currency == settle:
        position["fees"] = str(Decimal(position["fees"]) + fill.fee)
    else:
        others: dict[str, str] = json.loads(position["other_fees"])
        others[fill.fee_currency] = str(Decimal(others.get(fill.fee_currency, "0")) + fill.fee)
        position["other_fees"] = canonical_json(others)


def _columns(booking: Fill | FundingPayment, sequence: int) -> Row:
    row: Row = to_jsonable(booking)
    del row["symbol"]  # rows belong to the bot's pair already
    return row | {"sequence": sequence}


def _book(position: Row, fill: Fill) -> None:
    """Average-entry booking, as every linear perpetual venue does it: what adds moves the average, what reduces realises against it."""
    held, entry = Decimal(position["quantity"]), Decimal(position["entry_price"])
    change = fill.side.sign * fill.quantity
    after = held + change
    if held * change >= 0:
        entry = (abs(held) * entry + abs(change) * fill.price) / abs(after) if after else ZERO
    else:
        closed = min(abs(held), abs(change)).copy_sign(held)
        position["realized_pnl"] = str(Decimal(position["realized_pnl"]) + closed * (fill.price - entry))
        if after == 0:
            entry = ZERO
        elif held * after < 0:
            entry = fill.price  # it flipped: the rest is a new position
    position["quantity"], position["entry_price"] = str(after), str(entry)


def _funding(projection: Projection, sequence: int, event: Event) -> None:
    payment = decode(FundingPayment, event.payload["payment"])
    projection.funding.append(_columns(payment, sequence))
    position = _position(projection, sequence, event)
    position["funding"] = str(Decimal(position["funding"]) + payment.amount)


def _position(projection: Projection, sequence: int, event: Event) -> Row:
    if projection.position is None:
        zeros = dict.fromkeys(("quantity", "entry_price", "realized_pnl", "fees", "funding"), "0")
        projection.position = {**zeros, "other_fees": "{}"}
    projection.position.update(sequence=sequence, updated_ms=event.ts_ms)
    return projection.position


def _ticket(projection: Projection, sequence: int, event: Event) -> None:
    news = event.payload["ticket"]
    row = projection.tickets.get(news["id"])
    if row is None:
        row = projection.tickets[news["id"]] = {"id": news["id"], "ticket": "{}", "created_ms": event.ts_ms}
    ticket = json.loads(row["ticket"]) | dict(news)  # an update may name only what changed
    row.update(status=ticket["status"], ticket=canonical_json(ticket), sequence=sequence, updated_ms=event.ts_ms)


_CHANGES: Final[dict[EventKind, Callable[[Projection, int, Event], None]]] = {
    **dict.fromkeys(_ORDER_STATUS, _order),
    EventKind.FILL: _fill,
    EventKind.FUNDING: _funding,
    EventKind.TICKET: _ticket,
    EventKind.TICKET_UPDATED: _ticket,
}
