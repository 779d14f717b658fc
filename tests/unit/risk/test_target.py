"""The pipeline that leads to a ratio and a floor."""

from __future__ import annotations

import itertools

import pytest

from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.risk.target import ConstantSizer, TargetPolicy, annual_funding, hedge_target, soft_floor, step_ratio, step_unit
from alpha_pulse.testing.snapshots import make_snapshot

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
    assert annual_funding(0.0001, 8.0) == pytest.approx(0.1095)
    assert annual_funding(0.0001, 4.0) == pytest.approx(0.2190)
    assert annual_funding(0.0001, 1.0) == pytest.approx(0.8760)


def test_the_unit_is_a_node_step_but_at_least_one_percent():
    assert step_unit(0.25, 0.0, 10) == 0.025
    assert step_unit(0.25, 0.5, 10) == 0.05
    assert step_unit(0.25, 0.0, 100) == 0.01
    assert step_unit(0.0, 0.0, 10) == 0.01


def test_without_funding_the_ratio_is_the_one_that_was_asked_for():
    assert hedge_target(policy(sizer=ConstantSizer(0.337)), make_snapshot(), 0.0, (), 0.0).ratio == 0.337


def test_funding_that_pays_a_short_hedges_more_up_to_the_bound():
    target = hedge_target(policy(), with_funding(0.01), 0.0, (), 0.0)
    assert target.ratio == pytest.approx(0.55)
    assert hedge_target(policy(), with_funding(-0.01), 0.0, (), 0.0).ratio == pytest.approx(0.45)


def test_for_a_short_inventory_funding_leans_the_other_way():
    assert hedge_target(policy(), with_funding(0.01, inventory="-1"), 0.0, (), 0.0).ratio == pytest.approx(0.45)


def test_a_tilt_smaller_than_a_unit_moves_nothing():
    assert hedge_target(policy(), with_funding(0.0001), 0.0, (), 0.0).ratio == 0.5


def test_the_target_is_the_same_object_until_it_moves():
    first = hedge_target(policy(), make_snapshot(), 0.0, (), 0.0)
    again = make_snapshot(state=BotState(target=first))
    assert hedge_target(policy(), again, 0.0, (), 0.0) is first
    assert hedge_target(policy(), again, 0.1, (), 0.08) is not first


def test_a_latch_is_a_floor_of_one():
    target = hedge_target(policy(), make_snapshot(), 0.2, ("stop fired",), 0.2)
    assert target.floor == 1.0
    assert target.contributions[-1].reason == "stop fired"


def test_bounds_hold_whatever_the_sizer_says():
    assert hedge_target(policy(sizer=ConstantSizer(0.9), max_ratio=0.6), make_snapshot(), 0.0, (), 0.0).ratio == 0.6
    assert hedge_target(policy(sizer=ConstantSizer(0.1), min_ratio=0.3), make_snapshot(), 0.0, (), 0.0).ratio == 0.3


def test_without_a_lower_bound_the_ratio_itself_is_the_bound():
    assert hedge_target(policy(), make_snapshot(), 0.0, (), 0.0).min_ratio == 0.5
    assert hedge_target(policy(min_ratio=0.0), make_snapshot(), 0.0, (), 0.0).min_ratio == 0.0


def test_the_contributions_tell_the_whole_way_in_order():
    target = hedge_target(policy(), with_funding(0.01), 0.1, (), 0.08)
    assert [c.name for c in target.contributions] == ["sizer", "funding tilt", "bounds", "hysteresis", "VaR floor", "latches"]
    steps = target.contributions[:4]
    assert all(a.after == b.before for a, b in itertools.pairwise(steps))
    assert "a year" in steps[1].reason


@pytest.mark.parametrize(
    ("wanted", "held", "after"),
    [(0.5, 0.5, 0.5), (0.524, 0.5, 0.5), (0.525, 0.5, 0.525), (0.56, 0.5, 0.55), (0.476, 0.5, 0.5), (0.44, 0.5, 0.45)],
)
def test_the_ratio_moves_by_whole_units_and_not_before_one_is_full(wanted, held, after):
    assert step_ratio(wanted, held, 0.025) == pytest.approx(after)


def test_a_floor_rises_at_once_rounded_up():
    assert soft_floor(0.101, 0.0, 0, 0, 0.025, DAY) == pytest.approx(0.125)
    assert soft_floor(0.1, 0.0, 0, 0, 0.025, DAY) == pytest.approx(0.1)
    assert soft_floor(0.999, 0.0, 0, 0, 0.025, DAY) == 1.0


def test_a_floor_halves_in_its_half_life():
    """From 0.4 to 0.2 in steps of 0.05: 24 h, however it is cut."""
    floor, since = 0.4, 0
    for hour in range(1, 24 * 60):
        now = hour * 60_000
        lower = soft_floor(0.0, floor, since, now, 0.05, DAY)
        if lower != floor:
            floor, since = lower, now
    assert floor == pytest.approx(0.2, abs=0.051)
    assert floor >= 0.2


def test_a_floor_never_falls_under_what_is_wanted_now():
    assert soft_floor(0.12, 0.2, 0, 10**12, 0.1, DAY) == pytest.approx(0.2)


def test_the_last_unit_of_a_floor_goes_after_one_half_life():
    assert soft_floor(0.0, 0.05, 0, DAY - 1, 0.05, DAY) == 0.05
    assert soft_floor(0.0, 0.05, 0, DAY, 0.05, DAY) == 0.0
