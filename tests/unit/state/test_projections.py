"""What events add up to."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.state.projections import Projection, fold, touched
from alpha_pulse.testing.bookings import (
    closing_event,
    fill_event,
    funding_event,
    make_fill,
    make_order,
    make_payment,
    order_event,
    ticket_event,
)


def folded(*events: Event) -> Projection:
    projection = Projection()
    for sequence, event in enumerate(events, start=1):
        fold(projection, sequence, event)
    return projection


def trade(side: Side, quantity: str, price: str, **changes) -> Event:
    return fill_event(make_fill(side=side, quantity=Decimal(quantity), price=Decimal(price), **changes))


def position(*events: Event) -> dict[str, Decimal]:
    row = folded(*events).position
    assert row is not None
    return {name: Decimal(row[name]) for name in ("quantity", "entry_price", "realized_pnl", "fees", "funding")}


def test_what_adds_to_a_position_moves_its_average_entry():
    booked = position(trade(Side.SELL, "1", "100"), trade(Side.SELL, "3", "120"))
    assert booked == {"quantity": -4, "entry_price": 115, "realized_pnl": 0, "fees": Decimal("0.004"), "funding": 0}


def test_what_reduces_a_position_realises_against_its_average_entry():
    booked = position(trade(Side.SELL, "2", "100"), trade(Side.BUY, "0.5", "90"))
    assert (booked["quantity"], booked["entry_price"], booked["realized_pnl"]) == (Decimal("-1.5"), 100, 5)
    booked = position(trade(Side.BUY, "2", "100"), trade(Side.SELL, "2", "90"))
    assert (booked["quantity"], booked["entry_price"], booked["realized_pnl"]) == (0, 0, -20)


def test_a_fill_through_zero_realises_the_old_position_and_opens_a_new_one():
    booked = position(trade(Side.SELL, "1", "100"), trade(Side.BUY, "3", "80"))
    assert (booked["quantity"], booked["entry_price"], booked["realized_pnl"]) == (2, 80, 20)


def test_fees_in_another_coin_are_kept_apart():
    row = folded(trade(Side.SELL, "1", "100", fee_currency="BNB"), trade(Side.SELL, "1", "100", fee_currency="BNB")).position
    assert row is not None
    assert row["fees"] == "0"
    assert json.loads(row["other_fees"]) == {"BNB": "0.004"}


def test_a_symbol_without_a_settlement_currency_takes_every_fee_for_its_own():
    assert position(trade(Side.SELL, "1", "100", symbol="BTCUSDT"))["fees"] == Decimal("0.002")


def test_funding_adds_up_without_a_position():
    projection = folded(funding_event(make_payment("0.5")), funding_event(make_payment("-0.2")))
    assert projection.position is not None
    assert projection.position["funding"] == "0.3"
    assert [row["amount"] for row in projection.funding] == ["0.5", "-0.2"]


def test_an_order_goes_from_intended_to_open_to_filled():
    order = make_order()
    steps = [
        order_event(EventKind.ORDER_INTENDED, order, 1),
        order_event(EventKind.ORDER_ACCEPTED, order, 2),
        fill_event(make_fill(quantity=Decimal("0.04"), ts_ms=3)),
        fill_event(make_fill(quantity=Decimal("0.06"), trade="t2", ts_ms=4)),
    ]
    seen = []
    projection = Projection()
    for sequence, event in enumerate(steps, start=1):
        fold(projection, sequence, event)
        row = projection.orders["g1"]
        seen.append((row["status"], row["filled"], row["sequence"], row["updated_ms"]))
    assert seen == [("intended", "0", 1, 1), ("open", "0", 2, 2), ("open", "0.04", 3, 3), ("filled", "0.10", 4, 4)]
    assert projection.orders["g1"]["created_ms"] == 1
    assert projection.orders["g1"]["reason"] == "node 1"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EventKind.ORDER_REJECTED, "rejected"),
        (EventKind.ORDER_UNKNOWN, "unknown"),
        (EventKind.ORDER_ADOPTED, "open"),
    ],
)
def test_what_became_of_an_order_is_its_status_with_the_reason(kind, status):
    row = folded(order_event(EventKind.ORDER_INTENDED, make_order()), order_event(kind, make_order(), reason="because")).orders["g1"]
    assert (row["status"], row["reason"]) == (status, "because")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(EventKind.CANCEL_INTENDED, "cancelling"), (EventKind.ORDER_CANCELLED, "cancelled"), (EventKind.ORDER_CLOSED, "closed")],
)
def test_an_end_names_the_order_by_its_id(kind, status):
    intended = order_event(EventKind.ORDER_INTENDED, make_order())
    assert folded(intended, closing_event(kind, "g1")).orders["g1"]["status"] == status
    assert folded(closing_event(kind, "never seen")).orders == {}


def test_late_news_does_not_reopen_a_filled_order():
    events = [order_event(EventKind.ORDER_INTENDED, make_order()), fill_event(make_fill())]
    late = [order_event(EventKind.ORDER_ACCEPTED, make_order()), closing_event(EventKind.ORDER_CANCELLED, "g1")]
    assert folded(*events, *late).orders["g1"]["status"] == "filled"


def test_a_stop_keeps_its_trigger_and_has_no_price():
    stop = make_order("s1", price=None, trigger_price=Decimal("85.0"))
    row = folded(order_event(EventKind.ORDER_INTENDED, stop)).orders["s1"]
    assert (row["price"], row["trigger_price"]) == (None, "85.0")


def test_a_fill_of_an_order_that_was_never_ours_is_still_booked():
    projection = folded(fill_event(make_fill("stranger")))
    assert projection.orders == {}
    assert [row["client_order_id"] for row in projection.fills] == ["stranger"]


def test_a_ticket_is_updated_by_what_changed():
    projection = folded(
        ticket_event(EventKind.TICKET, 5, id="k1", status="open", side="sell", bps=3.5),
        ticket_event(EventKind.TICKET_UPDATED, 9, id="k1", status="done"),
    )
    row = projection.tickets["k1"]
    assert (row["status"], row["created_ms"], row["updated_ms"]) == ("done", 5, 9)
    assert json.loads(row["ticket"]) == {"id": "k1", "status": "done", "side": "sell", "bps": 3.5}


def test_other_events_change_nothing_and_touch_nothing():
    event = Event(EventKind.TARGET_CHANGED, 1, "t", {"ratio": 0.5})
    assert folded(event) == Projection()
    assert touched([event]).orders == frozenset()


def test_the_rows_that_events_build_on_are_named_beforehand():
    wanted = touched(
        [
            order_event(EventKind.ORDER_INTENDED, make_order("a")),
            closing_event(EventKind.ORDER_CANCELLED, "b"),
            fill_event(make_fill("c")),
            ticket_event(EventKind.TICKET, id="k", status="open"),
        ]
    )
    assert wanted.orders == {"a", "b", "c"}
    assert wanted.tickets == {"k"}
    assert wanted.position
    assert touched([funding_event(make_payment())]).position


def test_a_payload_that_breaks_its_promise_is_refused():
    with pytest.raises(ConfigError, match=r"Fill\.price"):
        folded(Event(EventKind.FILL, 1, "t", {"fill": {"trade_id": "t", "client_order_id": "c", "symbol": "x", "side": "buy"}}))
