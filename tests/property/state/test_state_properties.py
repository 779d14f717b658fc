"""What must hold of any memory and any sequence of bookings."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.events import EventKind, canonical_json
from alpha_pulse.domain.orders import Fill, FundingPayment, OrderRequest, Side
from alpha_pulse.hedging.common.types import BotState, Contribution
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.hedging.state.ledger import Head, chain
from alpha_pulse.hedging.state.projections import Projection, fold
from alpha_pulse.testing.bookings import fill_event, make_fill, make_order, order_event

decimals = st.decimals(allow_nan=False, allow_infinity=False)
floats = st.floats(allow_nan=False)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
st.register_type_strategy(Decimal, decimals)
contributions = st.builds(Contribution, before=floats, after=floats, inputs=st.dictionaries(st.text(), json_values, max_size=3))
st.register_type_strategy(Contribution, contributions)
st.register_type_strategy(float, floats)


@settings(max_examples=60, deadline=None)
@given(st.from_type(BotState) | st.from_type(OrderRequest) | st.from_type(Fill) | st.from_type(FundingPayment))
def test_any_value_survives_the_way_through_json(value):
    back = decode(type(value), json.loads(canonical_json(encode(value))))
    assert back == value
    assert canonical_json(encode(back)) == canonical_json(encode(value))  # every digit and number type too


quantities = st.decimals(min_value="0.001", max_value=10, places=3)
prices = st.decimals(min_value=1, max_value=1000, places=1)
trades = st.lists(st.tuples(st.sampled_from(Side), quantities, prices), max_size=25)


@settings(max_examples=100, deadline=None)
@given(trades, prices)
def test_realised_and_unrealised_profit_add_up_to_the_cash_that_changed_hands(made, last):
    projection = Projection()
    cash = held = Decimal(0)
    for number, (side, quantity, price) in enumerate(made, start=1):
        fold(projection, number, fill_event(make_fill("g", str(number), side=side, quantity=quantity, price=price)))
        cash -= side.sign * quantity * price
        held += side.sign * quantity
    row = projection.position
    if row is None:
        return
    assert Decimal(row["quantity"]) == held
    unrealised = held * (last - Decimal(row["entry_price"]))
    assert abs(Decimal(row["realized_pnl"]) + unrealised - (cash + held * last)) < Decimal("1e-15")
    assert (held == 0) == (Decimal(row["entry_price"]) == 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), json_values, max_size=3)), max_size=6), st.integers(0, 6))
def test_a_chain_is_the_same_however_it_was_cut_into_saves(payloads, cut):
    events = [order_event(EventKind.ORDER_INTENDED, make_order(tick), number, **payload) for number, (tick, payload) in enumerate(payloads)]
    whole = chain(Head(), events)
    first = chain(Head(), events[:cut])
    head = Head(first[-1].sequence, first[-1].hash) if first else Head()
    assert first + chain(head, events[cut:]) == whole
