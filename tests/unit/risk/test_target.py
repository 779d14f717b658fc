"""The pipeline that leads to a ratio and a floor."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.hedging.common.types import BotState, HedgeTarget, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.risk.floors import Floors
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.hedging.risk.sizing import ConstantSizer
from alpha_pulse.hedging.risk.target import TargetPolicy, hedge_target, soft_floor, step_ratio, step_unit
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.testing.snapshots import make_account, make_snapshot

HOUR = 3_600_000
DAY = 24 * HOUR


def policy(**changes: object) -> TargetPolicy:
    known = {
        "sizer": ConstantSizer(0.5),
        "min_ratio": None,
        "max_ratio": 1.0,
        "amplitude": 0.25,
        "unit": 0.025,
        "funding_tilt": 0.05,
        "funding_tilt_full": 0.30,
        "floor_half_life_ms": float(DAY),
    }
    return TargetPolicy(**(known | changes))  # type: ignore[arg-type]


def with_funding(rate: float, interval_h: float = 8.0, inventory: str = "1", **changes: object):
    return make_snapshot(inventory=inventory, market={"funding_rate": rate, "funding_interval_h": interval_h}, **changes)


def test_a_rate_is_annualised_by_its_interval():
    assert annualize_funding(0.0001, 8.0) == pytest.approx(0.1095)
    assert annualize_funding(0.0001, 4.0) == pytest.approx(0.2190)
    assert annualize_funding(0.0001, 1.0) == pytest.approx(0.8760)


def test_the_unit_is_a_node_step_but_at_least_one_percent():
    assert step_unit(0.25, 0.0, 10) == 0.025
    assert step_unit(0.25, 0.5, 10) == 0.05
    assert step_unit(0.25, 0.0, 100) == 0.01
    assert step_unit(0.0, 0.0, 10) == 0.01


def test_without_funding_the_ratio_is_the_one_that_was_asked_for():
    assert hedge_target(policy(sizer=ConstantSizer(0.337)), make_snapshot(), Floors(0.0), 0.0, ()).ratio == 0.337


def test_funding_that_pays_a_short_hedges_more_up_to_the_bound():
    target = hedge_target(policy(), with_funding(0.01), Floors(0.0), 0.0, ())
    assert target.ratio == pytest.approx(0.55)
    assert hedge_target(policy(), with_funding(-0.01), Floors(0.0), 0.0, ()).ratio == pytest.approx(0.45)


def test_for_a_short_inventory_funding_leans_the_other_way():
    assert hedge_target(policy(), with_funding(0.01, inventory="-1"), Floors(0.0), 0.0, ()).ratio == pytest.approx(0.45)


def test_a_tilt_smaller_than_a_unit_moves_nothing():
    assert hedge_target(policy(), with_funding(0.0001), Floors(0.0), 0.0, ()).ratio == 0.5


def test_the_target_is_the_same_object_until_it_moves():
    first = hedge_target(policy(), make_snapshot(), Floors(0.0), 0.0, ())
    again = make_snapshot(state=BotState(target=first))
    assert hedge_target(policy(), again, Floors(0.0), 0.0, ()) is first
    assert hedge_target(policy(), again, Floors(0.08), 0.1, ()) is not first


def test_a_latch_is_a_floor_of_one():
    target = hedge_target(policy(), make_snapshot(), Floors(0.2), 0.2, ("stop fired",))
    assert target.floor == 1.0
    assert target.contributions[-1].reason == "stop fired"


def test_bounds_hold_whatever_the_sizer_says():
    assert hedge_target(policy(sizer=ConstantSizer(0.9), max_ratio=0.6), make_snapshot(), Floors(0.0), 0.0, ()).ratio == 0.6
    assert hedge_target(policy(sizer=ConstantSizer(0.1), min_ratio=0.3), make_snapshot(), Floors(0.0), 0.0, ()).ratio == 0.3


def test_without_a_lower_bound_the_ratio_itself_is_the_bound():
    assert hedge_target(policy(), make_snapshot(), Floors(0.0), 0.0, ()).min_ratio == 0.5
    assert hedge_target(policy(min_ratio=0.0), make_snapshot(), Floors(0.0), 0.0, ()).min_ratio == 0.0


def test_the_contributions_tell_the_whole_way_in_order():
    target = hedge_target(policy(), with_funding(0.01), Floors(0.08), 0.1, ())
    assert [c.name for c in target.contributions] == [
        "sizer", "funding tilt", "bounds", "cost test", "hysteresis", "VaR floor", "slow fall", "latches",
    ]  # fmt: skip
    steps = target.contributions[:5]
    assert all(a.after == b.before for a, b in itertools.pairwise(steps))
    assert "a year" in steps[1].reason


@pytest.mark.parametrize(
    ("wanted", "held", "after"),
    [(0.5, 0.5, 0.5), (0.524, 0.5, 0.5), (0.525, 0.5, 0.525), (0.56, 0.5, 0.55), (0.476, 0.5, 0.5), (0.44, 0.5, 0.45)],
)
def test_the_ratio_moves_by_whole_units_and_not_before_one_is_full(wanted, held, after):
    assert step_ratio(wanted, held, 0.025) == pytest.approx(after)


def test_a_floor_rises_at_once_rounded_up():
    assert soft_floor(0.101, 0.0, 0, 7, 0.025, DAY) == (pytest.approx(0.125), 0)
    assert soft_floor(0.1, 0.0, 0, 7, 0.025, DAY) == (pytest.approx(0.1), 0)
    assert soft_floor(0.999, 0.0, 0, 7, 0.025, DAY) == (1.0, 0)


def test_a_floor_halves_in_its_half_life():
    """From 0.4 to 0.2 in steps of 0.05: 24 h however it is cut, and as many minutes more as there are steps, one a look."""
    floor, since, minute = 0.4, 0, 0
    while floor > 0.2 + 1e-9:
        minute += 1
        floor, since = soft_floor(0.0, floor, since, minute * 60_000, 0.05, DAY)
    assert floor == pytest.approx(0.2)
    assert 24 * 60 <= minute - 1 <= 24 * 60 + 4


def test_a_floor_never_falls_under_what_is_wanted_now():
    assert soft_floor(0.12, 0.2, 1, 10**12, 0.1, DAY) == (pytest.approx(0.2), 0)
    assert soft_floor(0.12, 0.3, 1, 10**12, 0.1, DAY) == (pytest.approx(0.2), 10**12)


def test_the_last_unit_of_a_floor_goes_after_one_half_life():
    assert soft_floor(0.0, 0.05, 5, DAY + 4, 0.05, DAY) == (0.05, 5)
    assert soft_floor(0.0, 0.05, 5, DAY + 5, 0.05, DAY) == (0.0, DAY + 5)


# --- what a change of the ratio costs -----------------------------------------------------------------------------------
def held_at(ratio: float, **snapshot: object) -> Snapshot:
    """The moment after a target of this ratio."""
    before = hedge_target(policy(sizer=ConstantSizer(ratio)), make_snapshot(), Floors(0.0), 0.0, ())
    return make_snapshot(state=BotState(target=before), **snapshot)  # type: ignore[arg-type]


def wanting(ratio: float, snapshot: Snapshot, **changes: object) -> HedgeTarget:
    return hedge_target(policy(sizer=ConstantSizer(ratio), max_cost_share=0.25, **changes), snapshot, Floors(0.0), 0.0, ())


@pytest.mark.parametrize(("spread", "after"), [(1_200.0, 0.6), (1_260.0, 0.5)])
def test_a_change_that_costs_more_than_a_quarter_of_what_it_removes_is_not_made(spread, after):
    """σ = 1 %: 2.665 % is removed, a quarter is 0.666 %. The fee is 0.05 %, half of the spread 0.60 % or 0.63 %."""
    snapshot = held_at(0.5, market={"bid": 100_000 - spread / 2, "ask": 100_000 + spread / 2})
    assert wanting(0.6, snapshot).ratio == pytest.approx(after)


@pytest.mark.parametrize(("inventory", "wanted", "moves"), [("1", 0.6, False), ("1", 0.4, True), ("-1", 0.6, True), ("-1", 0.4, False)])
def test_the_cost_is_of_the_side_that_the_change_trades(inventory, wanted, moves):
    """The bids are thin: selling a unit of 0.025 into 1,250 slips 1 %. More hedge sells against a holding and buys against coins owed."""
    snapshot = held_at(0.5, inventory=inventory, market={"bid_depth": 1_250.0, "ask_depth": 1e9})
    assert (wanting(wanted, snapshot).ratio != 0.5) is moves


def test_a_change_that_was_tested_tells_what_it_cost_and_what_it_removes():
    """A unit, 2,500, into bids of 1,000,000: half of 0.25 % of 1 %."""
    snapshot = held_at(0.5, market={"bid": 99_900.0, "ask": 100_100.0, "bid_depth": 1e6})
    told = {c.name: c for c in wanting(0.6, snapshot).contributions}["cost test"]
    assert (told.before, told.after) == (0.6, 0.6)
    assert told.inputs == pytest.approx({"fee": 0.0005, "spread": 0.001, "impact": 0.0000125, "protection": 0.026652}, rel=1e-4)
    assert "go" in told.reason


def test_a_change_that_was_refused_is_told_when_something_else_moves():
    snapshot = held_at(0.5, market={"bid": 95_000.0, "ask": 105_000.0})
    dear = policy(sizer=ConstantSizer(0.6), max_cost_share=0.25)
    assert hedge_target(dear, snapshot, Floors(0.0), 0.0, ()) is snapshot.state.target
    steps = hedge_target(dear, snapshot, Floors(0.1), 0.1, ()).contributions[:5]
    assert [(c.name, c.before, c.after) for c in steps[2:]] == [
        ("bounds", 0.6, 0.6), ("cost test", 0.6, 0.5), ("hysteresis", 0.5, 0.5),
    ]  # fmt: skip
    assert "not worth it" in steps[3].reason


def test_neither_the_first_target_nor_one_without_coins_is_tested():
    dear = {"bid": 90_000.0, "ask": 110_000.0}
    assert wanting(0.6, make_snapshot(market=dear)).ratio == 0.6
    assert wanting(0.6, held_at(0.5, market=dear, inventory="0")).ratio == pytest.approx(0.6)


def test_a_floor_is_not_a_matter_of_cost():
    snapshot = held_at(0.5, market={"bid": 50_000.0, "ask": 150_000.0})
    target = hedge_target(policy(max_cost_share=1e-9), snapshot, Floors(0.9), 0.9, ())
    assert (target.ratio, target.floor) == (0.5, 0.9)


def test_a_book_that_carries_a_small_change_carries_the_first_step_of_a_large_one():
    """Bids of 20,000: a unit of 0.025 slips 0.06 %, half of all slips 1.25 %. A steady rise would have been followed all the way."""
    snapshot = held_at(0.5, market={"bid_depth": 20_000.0, "ask_depth": 20_000.0})
    assert wanting(0.53, snapshot).ratio == pytest.approx(0.525)
    assert wanting(1.0, snapshot).ratio >= 0.525


@pytest.mark.parametrize(("depth", "moves"), [(2_100.0, True), (1_950.0, False)])
@pytest.mark.parametrize("wanted", [0.53, 0.7, 1.0])
def test_a_jump_is_judged_by_its_first_unit_whatever_its_length(depth, moves, wanted):
    """0.666 % less 0.05 % of fee leaves 0.616 % of impact: half of 1 %·2,500/depth, a depth of 2,029."""
    assert (wanting(wanted, held_at(0.5, market={"bid_depth": depth, "ask_depth": depth})).ratio != 0.5) is moves


def test_a_change_of_less_than_a_unit_is_judged_by_itself():
    """Brought back to its bound by 0.01: 1,000 into asks of 1,000 slip 0.5 %, where a unit would slip 1.25 %."""
    previous = HedgeTarget(0.51, 0.0, 0.51, 0.5)
    snapshot = make_snapshot(state=BotState(target=previous), market={"bid_depth": 1_000.0, "ask_depth": 1_000.0})
    assert wanting(0.5, snapshot, max_ratio=0.5).ratio == 0.5


# --- slow floors, longer ------------------------------------------------------------------------------------------------
def test_a_floor_that_is_asked_for_again_on_its_way_down_rises_at_once():
    assert soft_floor(0.31, 0.25, 5, 6, 0.05, DAY) == (pytest.approx(0.35), 0)


def test_a_floor_of_all_is_all_whatever_the_unit():
    assert soft_floor(1.0, 0.0, 0, 5, 0.03, DAY) == (1.0, 0)
    assert soft_floor(0.98, 0.0, 0, 5, 0.03, DAY) == (pytest.approx(0.99), 0)
    assert soft_floor(0.0, 1.0, 5, 10 * DAY, 0.03, DAY) == (pytest.approx(0.99), 10 * DAY)


def test_the_fall_begins_when_nobody_asks_any_more_and_not_before():
    """Asked for at every look for ten days; the first look without only starts the clock, however long the half-life has passed."""
    floor, since = 0.4, 0
    for day in range(11):
        floor, since = soft_floor(0.38, floor, since, day * DAY, 0.05, DAY)
        assert (floor, since) == (0.4, 0)
    assert soft_floor(0.0, floor, since, 30 * DAY, 0.05, DAY) == (0.4, 30 * DAY)


@pytest.mark.parametrize(("held", "unit"), [(0.4, 0.05), (1.0, 0.25), (0.05, 0.05), (0.1, 0.01)])
def test_a_step_down_takes_the_time_that_its_half_life_says_to_the_millisecond(held, unit):
    wait = math.ceil(DAY * math.log2(held / (held - unit))) if held > unit else DAY
    assert soft_floor(0.0, held, 1000, 1000 + wait - 2, unit, DAY) == (held, 1000)
    assert soft_floor(0.0, held, 1000, 1000 + wait + 1, unit, DAY) == (pytest.approx(held - unit, abs=1e-9), 1001 + wait)


def test_asking_again_starts_the_wait_anew():
    """A floor that is asked for every 20 hours never falls, though one half-life of 24 has long passed."""
    floor, since = 0.05, 0
    for hour in range(0, 2000, 5):
        floor, since = soft_floor(0.05 if hour % 20 == 0 else 0.0, floor, since, hour * HOUR, 0.05, DAY)
    assert floor == 0.05


@pytest.mark.parametrize(("levels", "amplitude", "wait", "next_floor"), [(10, 0.25, math.log2(0.375 / 0.35), 0.35), (1, 1.0, 1.0, 0.0)])
def test_a_floor_that_was_asked_for_until_now_does_not_fall_now(levels, amplitude, wait, next_floor):
    """σ = 4 % for ten days, then 1 %: a minute later the floor is what it was. With one wide node all of it would go at once."""
    config = {"grid": {"num_levels": levels}, "hedge": {"amplitude": amplitude}}
    manager, state = risk_manager_for(BotConfig.from_mapping(config)), BotState()
    for day in range(11):
        assessment = manager.assess(make_snapshot(volatility_day=0.04, state=state, now_ms=day * DAY + 1))
        state = BotState(target=assessment.target, risk=assessment.memory)
    calm = manager.assess(make_snapshot(volatility_day=0.01, state=state, now_ms=10 * DAY + 60_001))
    assert calm.target.floor == assessment.target.floor
    state = BotState(target=calm.target, risk=calm.memory)
    for minutes, floor in ((-1, assessment.target.floor), (1, next_floor)):
        later = make_snapshot(volatility_day=0.01, state=state, now_ms=10 * DAY + 60_001 + int(wait * DAY) + minutes * 60_000)
        assert manager.assess(later).target.floor == pytest.approx(floor)


# --- a ratio that flickers ----------------------------------------------------------------------------------------------
def moved(held: float, wanted: float, *, raised_ms: int, now_ms: int, **changes: object) -> HedgeTarget:
    """What becomes of a held ratio with a wait of an hour before it may fall."""
    previous = HedgeTarget(held, 0.0, held, 1.0, raised_ms=raised_ms)
    snapshot = make_snapshot(state=BotState(target=previous), now_ms=now_ms)
    waiting = policy(**({"sizer": ConstantSizer(wanted), "lower_after_ms": float(HOUR)} | changes))
    return hedge_target(waiting, snapshot, Floors(0.0), 0.0, ())


def test_a_ratio_rises_at_once_and_falls_no_sooner_than_its_wait_after_it_rose():
    assert moved(0.5, 0.6, raised_ms=DAY, now_ms=DAY + 1).ratio == pytest.approx(0.6)
    assert moved(0.5, 0.4, raised_ms=DAY, now_ms=DAY + HOUR - 1).ratio == 0.5
    assert moved(0.5, 0.4, raised_ms=DAY, now_ms=DAY + HOUR).ratio == pytest.approx(0.4)


def test_the_wait_counts_from_the_last_rise_and_from_nothing_else():
    assert moved(0.5, 0.6, raised_ms=DAY, now_ms=DAY + 7).raised_ms == DAY + 7
    assert moved(0.5, 0.4, raised_ms=DAY, now_ms=2 * DAY).raised_ms == DAY
    previous = HedgeTarget(0.5, 0.0, 0.5, 1.0, raised_ms=DAY)
    snapshot = make_snapshot(state=BotState(target=previous), now_ms=2 * DAY)
    assert hedge_target(policy(), snapshot, Floors(0.3), 0.3, ()).raised_ms == DAY


def test_without_a_wait_a_ratio_falls_as_it_rises():
    assert moved(0.5, 0.4, raised_ms=DAY, now_ms=DAY + 1, lower_after_ms=0.0).ratio == pytest.approx(0.4)
    assert moved(0.5, 0.4, raised_ms=DAY, now_ms=DAY, lower_after_ms=0.0).ratio == pytest.approx(0.4)


def test_a_ratio_that_never_rose_may_fall_at_any_time():
    first = hedge_target(policy(sizer=ConstantSizer(0.5), lower_after_ms=float(HOUR)), make_snapshot(now_ms=DAY), Floors(), 0.0, ())
    assert first.raised_ms == 0
    snapshot = make_snapshot(state=BotState(target=first), now_ms=DAY + 1)
    assert hedge_target(policy(sizer=ConstantSizer(0.4), lower_after_ms=float(HOUR)), snapshot, Floors(), 0.0, ()).ratio < 0.5


def test_a_rise_during_the_wait_starts_it_anew():
    waiting = policy(sizer=ConstantSizer(0.6), lower_after_ms=float(HOUR))
    target = HedgeTarget(0.5, 0.0, 0.5, 1.0, raised_ms=DAY)
    for wanted, minutes, held in ((0.6, 59, 0.6), (0.4, 60, 0.6), (0.4, 118, 0.6), (0.4, 119, 0.4)):
        waiting = policy(sizer=ConstantSizer(wanted), lower_after_ms=float(HOUR))
        snapshot = make_snapshot(state=BotState(target=target), now_ms=DAY + minutes * 60_000)
        target = hedge_target(waiting, snapshot, Floors(), 0.0, ())
        assert target.ratio == pytest.approx(held)


def test_floors_and_latches_that_come_and_go_neither_start_nor_end_the_wait():
    target = HedgeTarget(0.5, 0.0, 0.5, 1.0, raised_ms=DAY)
    steps = ((10, 0.3, ()), (20, 0.9, ()), (30, 0.9, ("stop fired",)), (40, 0.0, ()), (59, 0.2, ()))
    for minutes, floor, latches in steps:
        waiting = policy(sizer=ConstantSizer(0.4), lower_after_ms=float(HOUR))
        snapshot = make_snapshot(state=BotState(target=target), now_ms=DAY + minutes * 60_000)
        target = hedge_target(waiting, snapshot, Floors(floor), floor, latches)
        assert (target.ratio, target.raised_ms) == (0.5, DAY)
        assert target.floor == (1.0 if latches else floor)
    done = make_snapshot(state=BotState(target=target), now_ms=DAY + HOUR)
    assert hedge_target(waiting, done, Floors(0.2), 0.2, ()).ratio == pytest.approx(0.4)


def test_a_ratio_that_waits_is_the_same_target_and_tells_of_no_cost():
    previous = HedgeTarget(0.5, 0.0, 0.5, 1.0, raised_ms=DAY)
    waiting = policy(sizer=ConstantSizer(0.4), lower_after_ms=float(HOUR), max_cost_share=0.25)
    snapshot = make_snapshot(state=BotState(target=previous), now_ms=DAY + 1)
    assert hedge_target(waiting, snapshot, Floors(), 0.0, ()) is previous
    told = hedge_target(waiting, snapshot, Floors(0.1), 0.1, ()).contributions
    assert [(c.before, c.after) for c in told[3:5]] == [(0.4, 0.4), (0.4, 0.5)]
    assert "nothing to trade" in told[3].reason


def test_a_rise_that_is_too_dear_is_no_rise():
    dear = {"bid": 90_000.0, "ask": 110_000.0}
    previous = HedgeTarget(0.5, 0.0, 0.5, 1.0, raised_ms=DAY)
    snapshot = make_snapshot(state=BotState(target=previous), now_ms=DAY + HOUR, market=dear)
    refused = hedge_target(policy(sizer=ConstantSizer(0.6), max_cost_share=0.25), snapshot, Floors(0.1), 0.1, ())
    assert (refused.ratio, refused.raised_ms) == (0.5, DAY)


@pytest.mark.parametrize(("given", "wait"), [({}, 6 * HOUR), ({"lower_after_hours": 1.5}, 5_400_000), ({"lower_after_hours": 0}, 1)])
def test_the_wait_of_the_settings_is_in_hours_and_six_by_default(given, wait):
    """The half-hour's funding of 30 % a year and more lifts the ratio by 0.05; gone again, it stays until the wait is over."""
    manager = risk_manager_for(BotConfig.from_mapping({"hedge": given | {"max_cost_share": 10}}))
    state = BotState()
    for now_ms, rate, ratio in ((DAY, 0.0, 0.5), (2 * DAY, 0.001, 0.55), (2 * DAY + wait - 1, 0.0, 0.55), (2 * DAY + wait, 0.0, 0.5)):
        if now_ms == 2 * DAY and rate == 0.0:
            continue  # a wait of nothing has no moment before its end
        assessment = manager.assess(with_funding(rate, state=state, now_ms=now_ms))
        assert assessment.target.ratio == pytest.approx(ratio)
        state = BotState(target=assessment.target, risk=assessment.memory)
    assert assessment.target.raised_ms == 2 * DAY


@pytest.mark.parametrize("minutes", [1, 359, 360])
def test_a_replay_of_a_stored_snapshot_waits_as_the_bot_did(minutes):
    manager = risk_manager_for(BotConfig())
    previous = HedgeTarget(0.55, 0.0, 0.55, 1.0, raised_ms=DAY)
    snapshot = make_snapshot(
        account=make_account("-0.5"), volatility_day=0.04, state=BotState(target=previous), now_ms=DAY + minutes * 60_000
    )
    again = decode(Snapshot, json.loads(canonical_json(encode(snapshot))))
    assert again == snapshot
    replayed = risk_manager_for(BotConfig()).assess(again)
    assert replayed == manager.assess(snapshot)
    assert replayed.target.ratio == pytest.approx(0.5 if minutes == 360 else 0.55)
    assert (replayed.target.raised_ms, replayed.target.floor) == (DAY, pytest.approx(0.375))


def test_a_ratio_over_its_bound_comes_down_without_waiting():
    assert moved(0.9, 0.9, raised_ms=DAY, now_ms=DAY + 1, max_ratio=0.6).ratio <= 0.6


def test_the_wait_is_a_matter_of_the_ratio_and_not_of_the_floor():
    previous = HedgeTarget(0.5, 0.4, 0.5, 1.0, raised_ms=DAY)
    snapshot = make_snapshot(state=BotState(target=previous), now_ms=DAY + 1)
    assert hedge_target(policy(lower_after_ms=float(HOUR)), snapshot, Floors(0.1), 0.1, ()).floor == 0.1
