"""Whole decisions on single snapshots: ladder, gap, stop, precedence, memory."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.approved import Refusal
from alpha_pulse.hedging.common.types import BotState, GridLevel, Rejection, RiskMemory
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.testing.snapshots import TAG, make_account, make_decider, make_instrument, make_snapshot, settled

SYMMETRIC = {
    "hedge": {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.5, "amplitude_adverse": 0.5},
    "grid": {"grid_spacing_pct": "0.005", "num_levels": 10, "anchor": "fixed", "volatility_multiple": 0},
    "risk": {"stop_loss_pct": None, "max_drawdown": None},
}


def orders(decision: Decision, purpose: Purpose | None = None) -> list[tuple[str, str, str]]:
    """(side, quantity, price or trigger) of what is placed."""
    return [
        (a.request.side.value, str(a.request.quantity), str(a.request.price or a.request.trigger_price))
        for a in decision.approved.place
        if purpose is None or a.request.purpose is purpose
    ]


def hedged(position: str = "-0.5", **snapshot: object):
    return make_snapshot(account=make_account(position), **snapshot)


def test_a_hedged_holder_gets_sells_above_and_nothing_below():
    decision = make_decider().decide(hedged())
    grid = orders(decision, Purpose.GRID)
    assert len(grid) == 10
    assert grid[0] == ("sell", "0.025", "101000.0")
    assert {side for side, _, _ in grid} == {"sell"}


def test_a_symmetric_grid_has_both_sides():
    grid = orders(make_decider(SYMMETRIC).decide(hedged()), Purpose.GRID)
    assert next(g for g in grid if g[0] == "sell") == ("sell", "0.050", "100500.0")
    assert next(g for g in grid if g[0] == "buy") == ("buy", "0.050", "99502.4")
    assert len(grid) == 20


def test_a_filled_sell_makes_a_buy_one_node_down():
    decider = make_decider(SYMMETRIC)
    snapshot = hedged()
    first = decider.decide(snapshot)
    later = replace(settled(first, snapshot), account=make_account("-0.55"))
    later = replace(later, market=make_snapshot(100_600.0, now_ms=120_000).market, open_orders=later.open_orders)
    kept = tuple(o for o in later.open_orders if not (o.request.side is Side.SELL and o.request.node == 1))
    second = decider.decide(replace(later, open_orders=kept))
    assert ("buy", "0.050", "100000.0") in orders(second)


def test_a_second_look_sends_nothing():
    decider = make_decider()
    snapshot = hedged()
    first = decider.decide(snapshot)
    again = decider.decide(settled(first, snapshot))
    assert again.approved.is_empty
    assert again.changes == ()
    assert again.state is first.state


def test_another_decider_with_the_same_snapshot_decides_the_same():
    snapshot = hedged()
    assert make_decider().decide(snapshot).approved.place[0].request == make_decider().decide(snapshot).approved.place[0].request


def test_an_unhedged_start_sells_patiently_at_the_touch_and_the_ladder_assumes_it():
    decision = make_decider().decide(make_snapshot())
    assert orders(decision, Purpose.REBALANCE) == [("sell", "0.500", "100000.1")]
    request = decision.approved.place[0].request
    assert request.time_in_force is TimeInForce.POST_ONLY
    assert "under-hedged by 0.5" in request.reason
    assert orders(decision, Purpose.GRID)[0] == ("sell", "0.025", "101000.0")
    assert decision.state.gap_since_ms == 60_000


def test_while_a_hedge_is_being_opened_nothing_buys():
    """A rebalance that has not filled yet is no position that could be unwound."""
    decision = make_decider(SYMMETRIC).decide(make_snapshot())
    assert orders(decision, Purpose.REBALANCE) == [("sell", "0.500", "100000.1")]
    assert {side for side, _, _ in orders(decision)} == {"sell"}


@pytest.mark.parametrize(("levels", "amplitude", "ratio"), [(1, 0.5, 0.5), (1, 0.35, 0.5), (2, 0.75, 0.25), (3, 1.0, 0.5)])
def test_with_few_nodes_a_hedge_is_opened_too(levels, amplitude, ratio):
    config = {"grid": {"num_levels": levels}, "hedge": {"amplitude": amplitude, "ratio": ratio}}
    assert orders(make_decider(config).decide(make_snapshot()), Purpose.REBALANCE)


def test_patience_ends_and_the_rest_is_taken_within_a_bound():
    decider = make_decider()
    snapshot = make_snapshot()
    first = decider.decide(snapshot)
    later = replace(settled(first, snapshot), market=make_snapshot(now_ms=90_000).market)
    second = decider.decide(later)
    (request,) = [a.request for a in second.approved.place if a.request.purpose is Purpose.REBALANCE]
    assert request.time_in_force is TimeInForce.IOC
    assert request.price == Decimal("99500.0")  # 0.5 % under the bid, rounded up
    assert [o.request.purpose for o in second.approved.cancel] == [Purpose.REBALANCE]


def test_within_the_band_nothing_is_closed():
    assert orders(make_decider().decide(hedged("-0.46")), Purpose.REBALANCE) == []
    assert orders(make_decider().decide(hedged("-0.59")), Purpose.REBALANCE) == []


def test_too_much_hedge_is_bought_back_outside_its_wider_band():
    assert orders(make_decider().decide(hedged("-0.65")), Purpose.REBALANCE) == [("buy", "0.150", "99999.9")]


def test_an_open_gap_is_closed_to_the_end_even_inside_the_band():
    state = BotState(gap_since_ms=60_000)
    assert orders(make_decider().decide(hedged("-0.46", state=state)), Purpose.REBALANCE) == [("sell", "0.040", "100000.1")]
    assert make_decider().decide(hedged("-0.49", state=state)).state.gap_since_ms == 0


def test_a_gap_under_a_floor_goes_at_once():
    decision = make_decider().decide(hedged("-0.2", volatility_day=0.04))
    (request,) = [a.request for a in decision.approved.place if a.request.purpose is Purpose.FLOOR]
    assert request.time_in_force is TimeInForce.IOC
    assert request.quantity == Decimal("0.175")
    assert "under its floor of 37.5%" in request.reason


def test_a_rising_floor_cancels_what_would_unwind_before_anything_else():
    decider = make_decider(SYMMETRIC)
    snapshot = hedged()
    first = decider.decide(snapshot)
    wild = make_snapshot(volatility_day=0.06, now_ms=120_000)
    second = decider.decide(replace(settled(first, snapshot), market=wild.market))
    sides = [o.request.side for o in second.approved.cancel]
    assert sides == sorted(sides, key=lambda side: side is not Side.BUY)
    buys = [o for o in second.approved.cancel if o.request.side is Side.BUY]
    assert len(buys) == 10
    assert orders(second, Purpose.FLOOR)


def test_the_stop_rests_on_the_losing_side_and_completes_the_hedge():
    decision = make_decider().decide(hedged())
    (request,) = [a.request for a in decision.approved.place if a.request.purpose is Purpose.STOP]
    assert request.type is OrderType.STOP_MARKET
    assert (request.side, request.quantity, request.trigger_price) == (Side.SELL, Decimal("0.500"), Decimal("85000.0"))
    assert not request.reduce_only


def test_the_stop_covers_unwinding_orders_unless_the_venue_would_cancel_them():
    config = {**SYMMETRIC, "risk": {"stop_loss_pct": "0.15", "max_drawdown": None}}
    assert orders(make_decider(config).decide(hedged()), Purpose.STOP) == [("sell", "1.000", "85000.0")]
    spared = make_decider(config).decide(hedged(dead_man_switch=True))
    assert orders(spared, Purpose.STOP) == [("sell", "0.500", "85000.0")]


def test_a_short_inventory_is_hedged_in_mirror_image():
    decision = make_decider().decide(make_snapshot(inventory="-1", account=make_account("0.5")))
    assert orders(decision, Purpose.GRID)[0] == ("buy", "0.025", "99009.9")
    assert orders(decision, Purpose.STOP)[0][0] == "buy"
    assert orders(decision, Purpose.STOP)[0][2] == "115000.0"


def test_without_an_inventory_the_grid_is_neutral_and_the_stop_reduces_only():
    config = {"inventory": {"quantity": 0}, "risk": {"max_position_size": "2", "max_effective_leverage": 2}, "hedge": {"amplitude": 1.0}}
    flat = make_decider(config).decide(make_snapshot(inventory="0"))
    grid = orders(flat, Purpose.GRID)
    assert ("sell", "0.200", "101000.0") in grid
    assert ("buy", "0.200", "99009.9") in grid
    assert orders(flat, Purpose.STOP) == []
    short = make_decider(config).decide(make_snapshot(inventory="0", account=make_account("-0.2")))
    (request,) = [a.request for a in short.approved.place if a.request.purpose is Purpose.STOP]
    assert (request.side, request.quantity, request.reduce_only) == (Side.BUY, Decimal("0.200"), True)
    assert request.trigger_price == Decimal("115000.0")


def test_a_fired_stop_hedges_fully_and_takes_the_grid_away():
    decider = make_decider(SYMMETRIC | {"risk": {"stop_loss_pct": "0.15", "max_drawdown": None}})
    snapshot = hedged()
    first = decider.decide(snapshot)
    fallen = make_snapshot(84_000.0, now_ms=120_000)
    after = replace(settled(first, snapshot), market=fallen.market, account=make_account("-1"), stop_filled=True)
    after = replace(after, open_orders=tuple(o for o in after.open_orders if o.request.purpose is Purpose.GRID))
    second = decider.decide(after)
    assert second.state.risk.stop_latched
    assert len(second.approved.cancel) == len(after.open_orders)
    assert second.approved.place == ()
    assert EventKind.STOP_LATCHED in [kind for kind, _ in second.changes]
    whipsaw = replace(settled(second, after), market=make_snapshot(90_000.0, now_ms=180_000).market, stop_filled=False)
    third = decider.decide(whipsaw)
    assert third.approved.is_empty
    back = replace(settled(third, whipsaw), market=make_snapshot(100_000.0, now_ms=240_000).market)
    fourth = decider.decide(back)
    assert not fourth.state.risk.stop_latched
    assert orders(fourth, Purpose.REBALANCE) == [("buy", "0.500", "99999.9")]
    assert orders(fourth, Purpose.STOP)[0][0] == "sell"


def test_the_stops_reference_is_the_highest_anchor():
    decider = make_decider()
    snapshot = hedged()
    state = decider.decide(snapshot).state
    up = decider.decide(hedged(state=state, price=112_000.0, now_ms=120_000))
    assert up.state.risk.stop_reference == pytest.approx(112_000.0)
    down = decider.decide(hedged(state=up.state, price=100_000.0, now_ms=180_000))
    assert down.curve.anchor == pytest.approx(100_000.0)
    assert down.state.risk.stop_reference == pytest.approx(112_000.0)


NEUTRAL = {
    "inventory": {"quantity": 0},
    "risk": {"max_position_size": "1", "stop_volatility_multiple": 0, "max_drawdown": None, "var_limit_pct": None},
    "hedge": {"amplitude": 1.0},
    "grid": {"anchor": "fixed", "num_levels": 20},
}


def test_a_neutral_grid_stops_latches_flat_and_goes_on_when_price_is_back_at_the_anchor():
    decider = make_decider(NEUTRAL)
    state = decider.decide(make_snapshot(inventory="0")).state
    fallen = make_snapshot(84_900.0, inventory="0", state=state, stop_filled=True, now_ms=120_000)
    fired = decider.decide(fallen)
    assert fired.state.risk.stop_latched
    assert fired.approved.place == ()
    between = decider.decide(make_snapshot(95_000.0, inventory="0", state=fired.state, now_ms=180_000))
    assert between.approved.place == ()
    back = decider.decide(make_snapshot(100_000.0, inventory="0", state=between.state, now_ms=240_000))
    assert not back.state.risk.stop_latched
    assert orders(back, Purpose.GRID)


def test_a_latched_neutral_position_is_closed_at_once_and_keeps_its_stop_until_then():
    state = BotState(risk=RiskMemory(drawdown_latched=True, inventory=Decimal(0), deposits=Decimal(100_000), stop_reference=100_000.0))
    decision = make_decider(NEUTRAL).decide(make_snapshot(97_000.0, inventory="0", account=make_account("0.5"), state=state))
    assert [o[:2] for o in orders(decision, Purpose.FLOOR)] == [("sell", "0.500")]
    assert [o[:2] for o in orders(decision, Purpose.STOP)] == [("sell", "0.500")]


def test_a_neutral_grid_places_nothing_beyond_its_stops():
    prices = [float(p) for _, _, p in orders(make_decider(NEUTRAL).decide(make_snapshot(inventory="0")), Purpose.GRID)]
    assert min(prices) > 85_000
    assert max(prices) < 115_000


def test_no_stop_is_sent_that_would_fire_at_once():
    config = {"inventory": {"quantity": 0}, "risk": NEUTRAL["risk"] | {"stop_loss_pct": "0.05"}, "hedge": {"amplitude": 1.0}}
    state = make_decider(config).decide(make_snapshot(inventory="0")).state
    held = make_account("0.5")
    decision = make_decider(config).decide(make_snapshot(94_000.0, inventory="0", account=held, state=state))
    assert orders(decision, Purpose.STOP) == []
    assert orders(decision, Purpose.FLOOR)


def test_coins_that_are_all_gone_leave_no_naked_perpetual():
    decider = make_decider()
    snapshot = hedged()
    first = decider.decide(snapshot)
    gone = decider.decide(replace(settled(first, snapshot), inventory=Decimal(0)))
    assert [o[:2] for o in orders(gone, Purpose.REBALANCE)] == [("buy", "0.500")]


def test_the_stop_covers_a_resting_rebalance_that_takes_hedge_off():
    decision = make_decider().decide(hedged("-0.75"))
    assert [o[:2] for o in orders(decision, Purpose.REBALANCE)] == [("buy", "0.250")]
    assert [o[:2] for o in orders(decision, Purpose.STOP)] == [("sell", "0.500")]


def test_a_stop_is_not_taken_out_before_its_successor_has_passed():
    class Strict(HedgeRiskManager):
        """Refuses every stop."""

        def check(self, plan, snapshot, assessment):
            approved = super().check(plan, snapshot, assessment)
            stops = tuple(a for a in approved.place if a.request.purpose is Purpose.STOP)
            refused = tuple(Refusal(a.request, "no stops today") for a in stops)
            return replace(approved, place=tuple(a for a in approved.place if a not in stops), refused=approved.refused + refused)

    decider = make_decider()
    snapshot = hedged()
    resting = settled(decider.decide(snapshot), snapshot)
    decider.risk = Strict(decider.risk.settings, decider.risk.policy)
    later = decider.decide(replace(resting, account=make_account("-0.6")))
    assert not any(o.request.purpose is Purpose.STOP for o in later.approved.cancel)


def test_what_the_venue_keeps_refusing_is_asked_for_less_and_less():
    decider = make_decider()
    refused = Rejection(Purpose.GRID, Side.SELL, 3, 3, 600_000, "no")
    state = BotState(rejected=(refused,))
    waiting = decider.decide(hedged(state=state))
    assert 3 not in [a.request.node for a in waiting.approved.place]
    assert any("rejected a grid sell 3 times" in p["text"] for k, p in waiting.changes if k is EventKind.ALERT)
    again = decider.decide(hedged(state=state, now_ms=600_000))
    assert 3 in [a.request.node for a in again.approved.place]


def test_a_refused_stop_is_asked_for_again_when_its_wait_is_over_and_the_old_one_stays_meanwhile():
    decider = make_decider()
    snapshot = hedged()
    resting = settled(decider.decide(snapshot), snapshot)
    refused = (Rejection(Purpose.STOP, Side.SELL, 0, 2, 600_000, "no"),)
    more = replace(resting, account=make_account("-0.46"), state=replace(resting.state, rejected=refused))
    waiting = decider.decide(more)
    assert not any(o.request.purpose is Purpose.STOP for o in waiting.approved.cancel)
    assert orders(waiting, Purpose.STOP) == []
    later = replace(settled(waiting, more), market=make_snapshot(now_ms=600_000).market)
    again = decider.decide(later)
    assert [o[:2] for o in orders(again, Purpose.STOP)] == [("sell", "0.540")]
    assert [o.request.purpose for o in again.approved.cancel if o.request.purpose is Purpose.STOP] == [Purpose.STOP]


def test_halted_cancels_the_grid_and_keeps_the_stop():
    decider = make_decider()
    snapshot = hedged()
    first = decider.decide(snapshot)
    halted = replace(first.state, risk=replace(first.state.risk, halted="a person looks"))
    second = decider.decide(replace(settled(first, snapshot), state=halted))
    assert {o.request.purpose for o in second.approved.cancel} == {Purpose.GRID}
    assert second.approved.place == ()


def test_a_margin_cut_beats_the_floor():
    config = {"risk": {"max_effective_leverage": 10, "max_position_size": 5}}
    state = BotState(risk=RiskMemory(soft_floor=1.0))
    decision = make_decider(config).decide(make_snapshot(account=make_account("-1", wallet="14000"), state=state, volatility_day=0.01))
    assert [o[0] for o in orders(decision, Purpose.FLOOR)] == ["buy"]
    assert "liquidation" in decision.approved.place[0].request.reason


def test_only_the_nearest_orders_up_to_the_limit_are_live():
    grid = orders(make_decider({**SYMMETRIC, "execution": {"max_active_orders": 4}}).decide(hedged()), Purpose.GRID)
    assert [g[2] for g in grid] == ["99502.4", "100500.0", "99007.4", "101002.5"]


def test_strangers_orders_are_left_alone():
    other = make_decider()
    other.tag = "ap" + "z" * 5
    snapshot = hedged()
    theirs = settled(other.decide(snapshot), snapshot).open_orders
    decision = make_decider().decide(replace(snapshot, open_orders=theirs))
    assert decision.approved.cancel == ()


class Fixed:
    """A calculator that always says the same."""

    def __init__(self, *levels: GridLevel) -> None:
        self.levels = levels

    def calculate_grid_levels(self, market, position):
        return list(self.levels)


def custom(*levels: GridLevel) -> Decider:
    settings = BotConfig.from_mapping({})
    return Decider(settings, Fixed(*levels), risk_manager_for(settings), TAG)


def test_a_custom_level_is_rounded_against_ourselves():
    decision = custom(GridLevel(Side.SELL, Decimal("100100.04"), Decimal("0.0209"), 1)).decide(hedged())
    assert orders(decision, Purpose.GRID) == [("sell", "0.020", "100100.1")]


def test_a_custom_level_under_the_minimum_is_dropped_and_said():
    levels = (
        GridLevel(Side.SELL, Decimal(100_100), Decimal("0.0001")),
        GridLevel(Side.SELL, Decimal("NaN"), Decimal(1)),
        GridLevel(Side.SELL, Decimal(-1), Decimal(1)),
    )
    decision = custom(*levels).decide(hedged())
    assert orders(decision, Purpose.GRID) == []
    (alert,) = [payload for kind, payload in decision.changes if kind is EventKind.ALERT]
    assert alert["text"].startswith("3 grid levels cannot be traded")


def test_a_custom_level_past_the_cap_is_refused_once_and_said():
    decider = custom(GridLevel(Side.SELL, Decimal(100_100), Decimal(2)))
    snapshot = hedged()
    first = decider.decide(snapshot)
    assert [r.reason for r in first.approved.refused] == ["the short could reach 2.500, over the cap of 1"]
    assert [p["key"] for k, p in first.changes if k is EventKind.ALERT] == ["refused orders"]
    second = decider.decide(settled(first, snapshot))
    assert second.changes == ()


def test_every_change_is_told_once():
    decision = make_decider().decide(hedged())
    assert [kind for kind, _ in decision.changes] == [EventKind.TARGET_CHANGED, EventKind.ANCHOR_MOVED, EventKind.SPACING_CHANGED]


def test_moved_coins_are_a_flow():
    decider = make_decider()
    snapshot = hedged()
    first = decider.decide(snapshot)
    moved = decider.decide(replace(settled(first, snapshot), inventory=Decimal("1.4")))
    assert EventKind.FLOW in [kind for kind, _ in moved.changes]
    assert moved.assessment.drawdown == pytest.approx(0.0, abs=1e-9)


def test_a_stop_that_margin_cannot_carry_raises_an_alert_with_the_top_up():
    decision = make_decider().decide(make_snapshot(account=make_account("-0.5", wallet="55000")))
    texts = [p["text"] for k, p in decision.changes if k is EventKind.ALERT]
    assert any("lacks" in text and "Top up the perpetual wallet by" in text for text in texts)


def test_a_market_that_cannot_be_trusted_loses_only_what_would_unwind():
    decider = make_decider(SYMMETRIC | {"risk": {"stop_loss_pct": "0.15", "max_drawdown": None}})
    snapshot = hedged()
    resting = settled(decider.decide(snapshot), snapshot)
    plan = decider.withdraw_unwinding(resting.inventory, resting.open_orders)
    assert len(plan.cancel) == 10
    assert {o.request.side for o in plan.cancel} == {Side.BUY}
    assert plan.place == ()
    assert decider.withdraw_unwinding(snapshot.inventory, ()).is_empty


def test_what_is_too_small_for_the_venue_waits():
    coarse = make_instrument(min_notional=Decimal(100_000))
    decision = make_decider().decide(make_snapshot(instrument=coarse))
    assert decision.approved.place == ()
    assert decision.state.gap_since_ms == 0
