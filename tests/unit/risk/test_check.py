"""The last gate: what passes it and what does not."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.orders import OrderRequest, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.approved import ApprovedOrder
from alpha_pulse.hedging.common.types import Assessment, BotState, HedgeTarget, Plan, RiskMemory, RiskState
from alpha_pulse.hedging.risk.check import NOTHING, check_plan
from alpha_pulse.testing.snapshots import SYMBOL, make_account, make_snapshot, resting


def request(
    side: Side, quantity: str, price: str | None = None, purpose: Purpose = Purpose.GRID, name: str = "", **changes: object
) -> OrderRequest:
    default = "100100" if side is Side.SELL else "99900"
    order = OrderRequest(
        name or f"{purpose}{side}{quantity}{price}",
        SYMBOL,
        side,
        OrderType.LIMIT,
        Decimal(quantity),
        Decimal(price or default),
        purpose,
        time_in_force=TimeInForce.POST_ONLY,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def stop(quantity: str, side: Side = Side.SELL, **changes: object) -> OrderRequest:
    known = {"type": OrderType.STOP_MARKET, "price": None, "trigger_price": Decimal(85_000)} | changes
    return request(side, quantity, purpose=Purpose.STOP, **known)


def assessed(state: RiskState = RiskState.NORMAL, cap: float = 1.0, floor: float = 0.0, reduce_to: float = math.inf) -> Assessment:
    return Assessment(
        target=HedgeTarget(0.5, floor, 0.0, 1.0),
        memory=RiskMemory(state=state, halted="a person looks" if state is RiskState.HALTED else ""),
        max_abs_position=cap,
        reduce_to=reduce_to,
        stop_distance=0.15,
        value_at_risk=0.0,
        nav=0.0,
        drawdown=0.0,
        liquidation_distance=math.inf,
    )


def reasons(*orders: OrderRequest, assessment: Assessment | None = None, keep: tuple = (), **snapshot: object) -> list[str]:
    result = check_plan(Plan(keep, (), orders), make_snapshot(**snapshot), assessment or assessed())  # type: ignore[arg-type]
    assert len(result.place) + len(result.refused) == len(orders)
    return [refusal.reason for refusal in result.refused]


def test_an_empty_plan_is_nothing():
    assert check_plan(Plan((), (), ()), make_snapshot(), assessed()) is NOTHING


def test_nobody_else_can_make_an_approved_order():
    with pytest.raises(TypeError, match=r"RiskManager\.check"):
        ApprovedOrder(request(Side.SELL, "0.1"), object())  # type: ignore[arg-type]


def test_orders_within_the_cap_pass_in_the_plans_order():
    orders = (request(Side.SELL, "0.4"), request(Side.SELL, "0.6", "100200"), stop("0.5"))
    result = check_plan(Plan((), (), orders), make_snapshot(), assessed())
    assert [approved.request for approved in result.place] == list(orders)


def test_the_cap_holds_even_if_everything_fills():
    kept = resting(request(Side.SELL, "0.5", name="kept"))
    assert reasons(request(Side.SELL, "0.5"), request(Side.SELL, "0.001", "100200"), keep=(kept,)) == [
        "the short could reach 1.001, over the cap of 1"
    ]
    assert reasons(request(Side.BUY, "1.2"), inventory="-1") == ["the long could reach 1.2, over the cap of 1"]


def test_an_unknown_order_counts_as_live():
    unknown = BotState(unknown=(request(Side.SELL, "0.8", name="lost"),))
    assert len(reasons(request(Side.SELL, "0.3"), state=unknown)) == 1


def test_the_resting_stop_is_an_alternative_to_the_grid():
    kept = resting(stop("1"))
    assert reasons(request(Side.SELL, "1"), keep=(kept,)) == []


def test_a_stop_carries_what_is_missing_and_what_may_unwind_but_no_more():
    held = make_account("-0.5")
    assert reasons(stop("0.5"), account=held) == []
    assert reasons(stop("0.6"), account=held) == ["the stop would carry 0.6, more than the 0.5 that completes the hedge"]
    assert reasons(stop("0.6"), request(Side.BUY, "0.1"), account=held) == []
    assert reasons(stop("0.5", trigger_price=None), account=held) == ["a stop needs a trigger price"]
    assert reasons(stop("9", reduce_only=True), account=held) == []


def test_a_halted_bot_keeps_its_stop_and_places_nothing_else():
    found = reasons(stop("1"), request(Side.SELL, "0.1"), assessment=assessed(RiskState.HALTED))
    assert found == ["halted: a person looks"]


def test_delta_reduce_passes_only_what_shrinks_the_net_delta():
    posture = assessed(RiskState.DELTA_REDUCE)
    held = make_account("-0.5")
    assert reasons(request(Side.SELL, "0.5"), assessment=posture, account=held) == []
    assert reasons(request(Side.BUY, "0.1"), assessment=posture, account=held) == ["delta_reduce: only orders that shrink |S + F| pass"]
    assert len(reasons(request(Side.SELL, "0.6"), assessment=posture, account=held)) == 1
    assert len(reasons(request(Side.SELL, "0.1"), assessment=posture, account=make_account("-1"))) == 1


def test_margin_reduce_passes_only_what_shrinks_the_perpetual():
    posture = assessed(RiskState.MARGIN_REDUCE, reduce_to=0.3, floor=0.5)
    held = make_account("-0.5")
    assert reasons(request(Side.BUY, "0.2", purpose=Purpose.FLOOR), assessment=posture, account=held) == []
    assert reasons(request(Side.SELL, "0.1"), assessment=posture, account=held) == ["margin_reduce: only orders that shrink |F| pass"]


@pytest.mark.parametrize(("inventory", "position", "side"), [("1", "-0.5", Side.BUY), ("-1", "0.5", Side.SELL)])
def test_unwinding_stops_at_the_floor(inventory, position, side):
    held = make_account(position)
    assert reasons(request(side, "0.1"), assessment=assessed(floor=0.4), account=held, inventory=inventory) == []
    found = reasons(request(side, "0.101"), assessment=assessed(floor=0.4), account=held, inventory=inventory)
    assert found == ["the hedge could fall to 0.399, under the floor of 40.0%"]


@pytest.mark.parametrize("units", range(1, 41))
def test_a_floor_that_floats_made_a_hair_too_high_refuses_nothing(units):
    """0.7250000000000001 is what 29 units of 0.025 come to."""
    floor = units * 0.025
    lots = units * 25
    held = make_account(str(-(Decimal(lots) + 10) / 1000))
    assert reasons(request(Side.BUY, "0.010"), assessment=assessed(floor=floor), account=held) == []


def test_the_cap_beats_the_floor():
    held = make_account("-0.8")
    assert reasons(request(Side.BUY, "0.5"), assessment=assessed(floor=0.7, cap=0.3), account=held) == []


def test_what_would_put_the_perpetual_on_the_inventorys_side_is_no_hedge():
    assert "that is no hedge" in reasons(request(Side.BUY, "0.1"))[0]
    assert "that is no hedge" in reasons(request(Side.SELL, "0.1"), inventory="-1")[0]
    astray = make_account("0.3")
    assert reasons(request(Side.SELL, "0.2"), account=astray) == []
    assert "that is no hedge" in reasons(request(Side.BUY, "0.1"), account=astray)[0]


def test_a_node_so_far_out_that_the_wallet_does_not_carry_it_is_not_asked_for():
    poor = make_account("-0.5", wallet="20000")
    assert reasons(request(Side.SELL, "0.05"), account=poor) == []
    assert "does not carry" in reasons(request(Side.SELL, "0.05", "150000"), account=poor)[0]


def test_adding_hedge_is_no_matter_of_the_floor():
    assert reasons(request(Side.SELL, "0.5"), assessment=assessed(floor=0.9)) == []


def test_a_grid_order_must_not_cross_the_touch():
    assert reasons(request(Side.SELL, "0.1", "99999.9")) == ["a grid sell at 99999.9 would cross the bid of 99999.9"]
    held = make_account("-0.5")
    assert reasons(request(Side.BUY, "0.1", "100000.1"), account=held) == ["a grid buy at 100000.1 would cross the ask of 100000.1"]


def test_nonsense_is_refused():
    assert reasons(request(Side.SELL, "0")) == ["quantity and price must be positive"]
    assert reasons(request(Side.SELL, "0.1", "-5")) == ["quantity and price must be positive"]


def test_without_a_cap_there_is_none():
    rich = make_account(wallet="100000000")
    assert reasons(request(Side.SELL, "50"), assessment=assessed(cap=math.inf), account=rich) == []
