"""How fast a gap is closed: what the book carries, what a trade is worth, and what never waits for either."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.orders import OrderRequest, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.types import BotState, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig, HedgeSettings
from alpha_pulse.hedging.grid.decide import Decision
from alpha_pulse.hedging.grid.gap import _paced, _pays
from alpha_pulse.testing.snapshots import make_account, make_decider, make_indicators, make_instrument, make_snapshot, settled

FIRST = 60_000


def bare(*, depth: float = 0.0, position: str = "0", state: BotState | None = None, now_ms: int = FIRST, **market: float) -> Snapshot:
    """1 BTC at 100,000; the curve wants a short of 0.5."""
    book = {"bid_depth": depth, "ask_depth": depth} | market
    return make_snapshot(account=make_account(position, wallet="200000"), market=book, state=state, now_ms=now_ms)


def closing(decision: Decision) -> OrderRequest | None:
    """The one order that closes the gap."""
    found = [a.request for a in decision.approved.place if a.request.purpose in {Purpose.REBALANCE, Purpose.FLOOR}]
    assert len(found) <= 1
    return found[0] if found else None


def escalated(snapshot: Snapshot) -> Snapshot:
    """The same moment, after patience has ended."""
    return replace(snapshot, state=replace(snapshot.state, gap_since_ms=FIRST - 31_000))


# --- pace ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("depth", "quantity"), [(200_000.0, "0.200"), (100_000.0, "0.100"), (500_000.0, "0.500"), (9e6, "0.500")])
def test_a_rebalance_order_takes_a_tenth_of_the_book_at_most(depth, quantity):
    order = closing(make_decider().decide(bare(depth=depth)))
    assert order is not None
    assert (order.side, order.quantity, order.purpose) == (Side.SELL, Decimal(quantity), Purpose.REBALANCE)


def test_the_share_is_a_setting():
    order = closing(make_decider({"execution": {"max_depth_share": 0.5}}).decide(bare(depth=60_000.0)))
    assert order is not None
    assert order.quantity == Decimal("0.300")


def test_an_unknown_book_sets_no_pace():
    order = closing(make_decider().decide(bare()))
    assert order is not None
    assert order.quantity == Decimal("0.500")


@pytest.mark.parametrize(("position", "side", "quantity"), [("0", Side.SELL, "0.200"), ("-1", Side.BUY, "0.100")])
def test_a_sale_is_paced_by_the_bids_and_a_purchase_by_the_asks(position, side, quantity):
    snapshot = bare(position=position, bid_depth=200_000.0, ask_depth=100_000.0)
    order = closing(make_decider({"hedge": {"band_over": 0.1}}).decide(snapshot))
    assert order is not None
    assert (order.side, order.quantity) == (side, Decimal(quantity))


def test_however_thin_the_book_one_order_that_the_venue_takes_goes():
    """At least 5 USDT and 0.001 BTC; with a minimum notional of 250: 0.003."""
    order = closing(make_decider().decide(bare(depth=1.0)))
    assert order is not None
    assert order.quantity == Decimal("0.001")
    dear = replace(bare(depth=1.0), instrument=make_instrument(min_notional=Decimal(250)))
    order = closing(make_decider().decide(dear))
    assert order is not None
    assert order.quantity == Decimal("0.003")


def test_depth_changes_the_order_and_not_what_is_wanted():
    decisions = [make_decider().decide(bare(depth=depth)) for depth in (0.0, 1e4, 1e9)]
    assert {decision.target_position for decision in decisions} == {-0.5}
    assert {decision.assessment.target.ratio for decision in decisions} == {0.5}


def test_a_missing_floor_goes_at_once_and_in_full_however_thin_and_dear_the_book():
    """σ = 6 % and bids of 1,000: 30 + 15 + 15 points, all of it; and the spread is 5 %."""
    book = {"bid": 97_500.0, "ask": 102_500.0, "bid_depth": 1_000.0, "ask_depth": 1_000.0}
    snapshot = make_snapshot(account=make_account(wallet="200000"), volatility_day=0.06, market=book)
    order = closing(make_decider({"risk": {"var_limit_pct": None}}).decide(snapshot))
    assert order is not None
    assert (order.purpose, order.time_in_force, order.quantity) == (Purpose.FLOOR, TimeInForce.IOC, Decimal("1.000"))


def test_slices_follow_each_other_until_the_gap_is_closed():
    decider, state, position, sold = make_decider(), None, Decimal(0), []
    for tick in range(40):
        snapshot = bare(depth=120_000.0, position=str(position), state=state, now_ms=FIRST + 31_000 * tick)
        decision = decider.decide(snapshot)
        order, state = closing(decision), decision.state
        if order is None:
            break
        sold.append(order.quantity)
        position -= order.quantity
    assert sold == [Decimal("0.120")] * 4 + [Decimal("0.020")]
    assert position == Decimal("-0.500")


def selling(decision: Decision) -> list[OrderRequest]:
    """What would be sold, nearest to the price first, without the stop."""
    found = [a.request for a in decision.approved.place if a.request.side is Side.SELL and a.request.purpose is not Purpose.STOP]
    return sorted(found, key=lambda request: request.price or Decimal(0))


def test_slice_and_ladder_together_sell_what_the_curve_asks_for_and_no_more():
    """0.5 at the price and 0.25 over ten nodes."""
    assert sum(order.quantity for order in selling(make_decider().decide(bare(depth=200_000.0)))) == Decimal("0.750")


def test_what_the_pace_holds_back_rests_with_the_ladder_and_takes_nothing_from_the_book():
    """Patient or not, 0.2 is what the gap's own order may trade; the rest waits at nodes for whoever comes."""
    for snapshot in (bare(depth=200_000.0), escalated(bare(depth=200_000.0))):
        orders = selling(make_decider().decide(snapshot))
        rest = [order for order in orders if order.purpose is Purpose.GRID]
        assert sum(order.quantity for order in rest) == Decimal("0.550")
        assert all(order.time_in_force is TimeInForce.POST_ONLY for order in rest)
        assert all(order.price is not None and order.price > Decimal("99999.9") for order in rest)  # above the bid
        assert [order.quantity for order in orders if order.purpose is Purpose.REBALANCE] == [Decimal("0.200")]


@given(
    st.floats(-50, 50, allow_subnormal=False).filter(bool),
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.floats(0.001, 1),
    st.floats(1, 200_000),
)
@settings(max_examples=200, deadline=None)
def test_a_slice_keeps_its_side_stays_within_the_gap_and_within_the_book(signed, bids, asks, share, price):
    snapshot = make_snapshot(price, market={"bid_depth": bids, "ask_depth": asks, "bid": price, "ask": price})
    execution = BotConfig.from_mapping({"execution": {"max_depth_share": share}}).execution
    paced = _paced(signed, snapshot, execution)
    depth = bids if signed < 0 else asks
    least = snapshot.instrument.min_lots(price) * snapshot.instrument.lot
    assert math.copysign(1.0, paced) == math.copysign(1.0, signed)
    assert abs(paced) <= abs(signed)
    if depth > 0.0:
        assert abs(paced) <= max(share * depth / price, least) * (1 + 1e-12)
    else:
        assert paced == signed
    assert abs(paced) >= min(abs(signed), least)


# --- what it is worth ---------------------------------------------------------------------------------------------------
def test_patience_ends_in_a_taker():
    order = closing(make_decider().decide(escalated(bare())))
    assert order is not None
    assert (order.time_in_force, order.quantity) == (TimeInForce.IOC, Decimal("0.500"))


@pytest.mark.parametrize(("spread", "goes"), [(1_200.0, True), (1_260.0, False), (9_000.0, False)])
def test_a_taker_that_costs_more_than_a_quarter_of_what_it_removes_is_not_sent(spread, goes):
    """σ = 1 %: 2.665 % is removed, a quarter is 0.666 %. Fee 0.05 % and half of 1.2 %: 0.65 %; half of 1.26 %: 0.68 %."""
    snapshot = escalated(bare(bid=100_000.0 - spread / 2, ask=100_000.0 + spread / 2))
    decision = make_decider().decide(snapshot)
    order = closing(decision)
    assert order is not None
    assert (order.time_in_force is TimeInForce.IOC) is goes
    assert decision.state.gap_since_ms == FIRST - 31_000


def test_what_is_too_dear_to_take_goes_on_resting_at_the_touch_in_full():
    order = closing(make_decider().decide(escalated(bare(bid=95_000.0, ask=105_000.0))))
    assert order is not None
    assert (order.time_in_force, order.price, order.quantity, order.purpose) == (
        TimeInForce.POST_ONLY, Decimal("105000.0"), Decimal("0.500"), Purpose.REBALANCE,
    )  # fmt: skip


def test_the_share_of_the_cost_is_a_setting():
    snapshot = escalated(bare(bid=99_000.0, ask=101_000.0))  # 1 % and 0.05 %, of 2.665 %: 0.394
    orders = [closing(make_decider({"hedge": {"max_cost_share": share}}).decide(snapshot)) for share in (0.39, 0.4)]
    assert [order.time_in_force for order in orders if order] == [TimeInForce.POST_ONLY, TimeInForce.IOC]


def test_a_dear_market_still_takes_a_patient_order():
    order = closing(make_decider().decide(bare(bid=95_000.0, ask=105_000.0)))
    assert order is not None
    assert (order.time_in_force, order.price) == (TimeInForce.POST_ONLY, Decimal("105000.0"))


def test_impact_is_that_of_the_slice():
    """0.5 of the 5 BTC that trade in a day: 1 %·√0.1 = 0.32 %; with 0.32 % of half-spread and 0.05 % that is 0.69 %. 0.1 pays."""
    market = {"bid": 99_680.0, "ask": 100_320.0}
    thin = make_indicators(volume_day=5.0)
    whole = replace(escalated(bare(**market)), market=replace(bare(**market).market, indicators=thin))
    paced = bare(**market, bid_depth=100_000.0)
    slice_ = replace(escalated(paced), market=replace(paced.market, indicators=thin))
    orders = [closing(make_decider().decide(snapshot)) for snapshot in (whole, slice_)]
    assert [(order.time_in_force, order.quantity) for order in orders if order] == [
        (TimeInForce.POST_ONLY, Decimal("0.500")), (TimeInForce.IOC, Decimal("0.100")),
    ]  # fmt: skip


def test_nothing_is_worth_nothing():
    assert not _pays(0.0, bare(), HedgeSettings())


def test_when_the_market_is_cheap_again_patience_has_ended_already():
    decider = make_decider()
    dear = escalated(bare(bid=95_000.0, ask=105_000.0))
    waiting = settled(decider.decide(dear), dear)
    cheap = decider.decide(replace(waiting, market=bare(now_ms=FIRST + 1_000).market))
    order = closing(cheap)
    assert order is not None
    assert (order.time_in_force, order.quantity) == (TimeInForce.IOC, Decimal("0.500"))
    assert Purpose.REBALANCE in {gone.request.purpose for gone in cheap.approved.cancel}


def test_an_order_that_rests_for_nothing_keeps_its_queue_place_while_taking_does_not_pay():
    decider, dear = make_decider(), bare(bid=95_000.0, ask=105_000.0)
    first = decider.decide(dear)
    assert closing(first) is not None
    later = settled(first, dear)
    later = replace(later, market=bare(bid=95_000.0, ask=105_000.0, now_ms=FIRST + 31_000).market)
    again = decider.decide(later)
    assert again.approved.is_empty
    assert again.state.gap_since_ms == FIRST
