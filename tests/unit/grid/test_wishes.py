"""What a person may ask for: resume, flatten, kill; as memory, and as decisions."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.orders import OrderRequest, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.types import BotState, HedgeTarget, Rejection, RiskMemory, RiskState, Snapshot
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.wishes import KILLED, flattened, killed, resumed
from alpha_pulse.hedging.risk.manager import FLATTENED
from alpha_pulse.testing.snapshots import make_account, make_decider, make_snapshot, resting, settled

REJECTED = (Rejection(Purpose.GRID, Side.SELL, 3, 2, 10**12, "no"),)
LATCHES = ("stop_latched", "drawdown_latched", "portfolio_latched", "flattened", "margin_cut")


def everything_on() -> BotState:
    state = make_decider().decide(make_snapshot()).state
    risk = replace(
        state.risk, halted="something broke", high_water_mark=5e5, stop_reference=1e5, soft_floor=0.4, floor_since_ms=7, debt=-3.0,
        portfolio_drawdown=0.3, hedge_by="perpetual", liquidation_seen=True, **dict.fromkeys(LATCHES, True),
    )  # fmt: skip
    return replace(state, risk=risk, rejected=REJECTED, gap_since_ms=5, generation=17, fills_booked=9, inventory_entry_price=Decimal(42))


def placed(decision: Decision, *purposes: Purpose) -> list[OrderRequest]:
    return [a.request for a in decision.approved.place if not purposes or a.request.purpose in purposes]


def hedged(decider: Decider, position: str = "-0.5", inventory: str = "1") -> Snapshot:
    """A hedge that is on, with its grid and its stop at the venue."""
    entry = make_account(position, wallet="200000")
    snapshot = make_snapshot(inventory=inventory, account=entry)
    after = settled(decider.decide(snapshot), snapshot)
    purposes = {order.request.purpose for order in after.open_orders}
    assert purposes == {Purpose.GRID, Purpose.STOP}
    return replace(after, market=make_snapshot(now_ms=120_000).market)


def asked(snapshot: Snapshot, state: BotState) -> Snapshot:
    return replace(snapshot, state=state)


def flat(snapshot: Snapshot, decision: Decision) -> Snapshot:
    """After the order that closes the position has filled."""
    after = settled(decision, snapshot)
    grid = tuple(order for order in after.open_orders if order.request.purpose is not Purpose.FLOOR)
    market = make_snapshot(now_ms=snapshot.market.now_ms + 60_000).market
    return replace(after, account=make_account(wallet="200000"), open_orders=grid, market=market)


# --- memory -------------------------------------------------------------------------------------------------------------
def test_resuming_releases_every_latch_and_halt_and_lets_drawdown_count_from_here():
    after = resumed(everything_on())
    assert not any(getattr(after.risk, name) for name in LATCHES)
    assert (after.risk.halted, after.risk.high_water_mark, after.risk.stop_reference) == ("", 0.0, 0.0)
    assert after.risk.portfolio_drawdown == 0.0
    assert after.curve is None
    assert after.rejected == ()


def test_resuming_forgets_nothing_else():
    before = everything_on()
    after = resumed(before)
    changed = {f.name for f in fields(BotState) if getattr(before, f.name) != getattr(after, f.name)}
    assert changed == {"risk", "curve", "rejected"}
    known = {f.name for f in fields(RiskMemory) if getattr(before.risk, f.name) != getattr(after.risk, f.name)}
    assert known == {*LATCHES, "halted", "high_water_mark", "stop_reference", "portfolio_drawdown"}


def test_flattening_is_remembered_and_asks_the_venue_anew():
    before = replace(everything_on(), risk=RiskMemory())
    after = flattened(before)
    assert after == replace(before, risk=RiskMemory(flattened=True), rejected=())


def test_killing_is_a_halt_with_its_reason():
    state = BotState(target=HedgeTarget(0.5, 0.0, 0.5, 1.0))
    assert killed(state) == replace(state, risk=RiskMemory(halted=KILLED))


@pytest.mark.parametrize("wish", [resumed, flattened, killed])
def test_a_wish_asked_twice_is_the_wish_asked_once(wish):
    assert wish(wish(everything_on())) == wish(everything_on())


def test_resuming_undoes_flattening_and_killing():
    state = replace(BotState(), curve=None)
    assert resumed(flattened(killed(state))) == resumed(state)


# --- flatten ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("inventory", "position", "side"), [("1", "-0.5", Side.BUY), ("-1", "0.5", Side.SELL)])
def test_flattening_closes_the_position_at_once_and_takes_everything_else_out(inventory, position, side):
    decider = make_decider()
    snapshot = hedged(decider, position, inventory)
    decision = decider.decide(asked(snapshot, flattened(snapshot.state)))
    assert [(r.side, r.quantity, r.time_in_force, r.purpose) for r in placed(decision)] == [
        (side, Decimal("0.500"), TimeInForce.IOC, Purpose.FLOOR)
    ]
    assert set(decision.approved.cancel) == set(snapshot.open_orders)
    assert decision.approved.refused == ()
    assert decision.assessment.state is RiskState.MARGIN_REDUCE
    assert decision.assessment.memory.reasons == (FLATTENED,)
    assert decision.assessment.stop_distance == 0.0


def test_a_part_that_was_filled_leaves_the_rest_to_be_closed():
    decider = make_decider()
    snapshot = hedged(decider)
    first = decider.decide(asked(snapshot, flattened(snapshot.state)))
    partly = replace(flat(snapshot, first), account=make_account("-0.123", wallet="200000"))
    second = decider.decide(partly)
    assert [(r.side, r.quantity) for r in placed(second)] == [(Side.BUY, Decimal("0.123"))]


def test_once_flat_it_is_halted_and_nothing_rests():
    decider = make_decider()
    snapshot = hedged(decider)
    closed = flat(snapshot, decider.decide(asked(snapshot, flattened(snapshot.state))))
    done = decider.decide(closed)
    assert done.assessment.state is RiskState.HALTED
    assert done.assessment.memory.reasons == (FLATTENED,)
    assert placed(done) == []
    still = decider.decide(replace(settled(done, closed), market=make_snapshot(90_000.0, now_ms=10**7).market))
    assert still.approved.is_empty
    assert still.assessment.memory.flattened


def test_neither_a_floor_nor_a_latch_brings_a_removed_hedge_back():
    """σ = 9 % and a fall through the stop: f = 1 is demanded and not obeyed."""
    decider = make_decider()
    snapshot = hedged(decider)
    closed = flat(snapshot, decider.decide(asked(snapshot, flattened(snapshot.state))))
    state = decider.decide(closed).state
    wild = make_snapshot(50_000.0, account=make_account(wallet="200000"), state=state, volatility_day=0.09, now_ms=10**7)
    decision = decider.decide(wild)
    assert decision.assessment.target.floor == 1.0
    assert decision.approved.is_empty


def test_what_is_too_small_to_be_traded_counts_as_flat():
    decider = make_decider()
    dust = make_snapshot(account=make_account("-0.0004", wallet="200000"), state=flattened(BotState()))
    decision = decider.decide(dust)
    assert decision.assessment.state is RiskState.HALTED
    assert placed(decision) == []


def test_a_market_neutral_grid_can_be_flattened():
    decider = make_decider({"risk": {"max_position_size": 1}, "hedge": {"amplitude": 1}})
    snapshot = make_snapshot(inventory="0", account=make_account("0.3", wallet="200000"), state=flattened(BotState()))
    assert [(r.side, r.quantity, r.time_in_force) for r in placed(decider.decide(snapshot))] == [
        (Side.SELL, Decimal("0.300"), TimeInForce.IOC)
    ]


def test_resuming_puts_the_hedge_back_with_its_grid_and_its_stop():
    decider = make_decider()
    snapshot = hedged(decider)
    closed = flat(snapshot, decider.decide(asked(snapshot, flattened(snapshot.state))))
    state = resumed(decider.decide(closed).state)
    moved = make_snapshot(98_500.0, account=make_account(wallet="200000"), state=state, now_ms=10**7)
    decision = decider.decide(moved)
    assert decision.assessment.state is RiskState.NORMAL
    assert decision.curve.anchor == pytest.approx(98_500.0)
    assert [(r.side, r.quantity) for r in placed(decision, Purpose.REBALANCE)] == [(Side.SELL, Decimal("0.500"))]
    assert len(placed(decision, Purpose.GRID)) == 10
    [stop] = placed(decision, Purpose.STOP)
    assert stop.trigger_price == Decimal("83725.0")
    assert decision.assessment.drawdown == 0.0


def broken(state: BotState) -> BotState:
    return replace(state, risk=replace(state.risk, halted="unexpected error"))


@pytest.mark.parametrize("halt", [killed, broken])
@pytest.mark.parametrize("halted_first", [True, False])
def test_flattening_a_halted_bot_closes_the_position_too(halt, halted_first):
    decider = make_decider()
    snapshot = hedged(decider)
    wished = flattened(halt(snapshot.state)) if halted_first else halt(flattened(snapshot.state))
    decision = decider.decide(asked(snapshot, wished))
    assert [(r.side, r.quantity, r.time_in_force) for r in placed(decision)] == [(Side.BUY, Decimal("0.500"), TimeInForce.IOC)]
    assert set(decision.approved.cancel) == set(snapshot.open_orders)
    assert decision.assessment.state is RiskState.MARGIN_REDUCE
    assert decision.assessment.memory.reasons == (FLATTENED,)


def test_a_halted_bot_that_was_flattened_is_flat_and_still_halted_until_it_is_resumed():
    decider = make_decider()
    snapshot = hedged(decider)
    closed = flat(snapshot, decider.decide(asked(snapshot, flattened(killed(snapshot.state)))))
    done = decider.decide(closed)
    assert (done.assessment.state, done.assessment.memory.halted) == (RiskState.HALTED, KILLED)
    assert placed(done) == []
    assert decider.decide(asked(closed, resumed(done.state))).assessment.state is RiskState.NORMAL


# --- kill ---------------------------------------------------------------------------------------------------------------
def test_killing_withdraws_the_grid_and_leaves_position_and_stop():
    decider = make_decider()
    snapshot = hedged(decider)
    decision = decider.decide(asked(snapshot, killed(snapshot.state)))
    assert decision.assessment.state is RiskState.HALTED
    assert {order.request.purpose for order in decision.approved.cancel} == {Purpose.GRID}
    assert placed(decision) == []


def test_killed_it_stays_halted_whatever_happens_and_the_stop_with_it():
    decider = make_decider()
    snapshot = hedged(decider)
    killed_once = decider.decide(asked(snapshot, killed(snapshot.state)))
    later = settled(killed_once, snapshot)
    for minute, price in enumerate((100_500.0, 95_000.0, 90_000.0, 104_000.0), start=5):
        decision = decider.decide(replace(later, market=make_snapshot(price, now_ms=60_000 * minute).market))
        assert decision.assessment.memory.halted == KILLED
        assert placed(decision, Purpose.GRID, Purpose.REBALANCE, Purpose.FLOOR) == []
        later = settled(decision, replace(later, market=make_snapshot(price, now_ms=60_000 * minute).market))
        assert [order.request.purpose for order in later.open_orders] == [Purpose.STOP]


def test_resuming_a_killed_bot_quotes_again():
    decider = make_decider()
    snapshot = hedged(decider)
    after = settled(decider.decide(asked(snapshot, killed(snapshot.state))), snapshot)
    decision = decider.decide(asked(after, resumed(after.state)))
    assert decision.assessment.state is RiskState.NORMAL
    assert len(placed(decision, Purpose.GRID)) == 10


def test_orders_whose_outcome_is_unknown_do_not_let_flattening_go_past_zero():
    """0.2 may have been bought already: 0.5 more would leave a long, so it waits until that is known."""
    decider = make_decider()
    snapshot = hedged(decider)
    grid = next(order.request for order in snapshot.open_orders if order.request.purpose is Purpose.GRID)
    buy = replace(grid, side=Side.BUY, quantity=Decimal("0.2"), client_order_id="unknown1")
    state = replace(flattened(snapshot.state), unknown=(buy,))
    decision = decider.decide(asked(replace(snapshot, open_orders=(resting(buy),)), state))
    assert sum((r.quantity for r in placed(decision)), Decimal(0)) <= Decimal("0.3")
