"""What must always hold of the curve and of the ladder that quantises it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import Side
from alpha_pulse.hedging.common.types import CurveParameters, GridLevel
from alpha_pulse.hedging.grid.calculator import NodeTable, build_ladder, target_at
from tests.property.grid.strategies import curves, instruments

unit = st.floats(-1.5, 1.5)


def ladder(curve: CurveParameters, instrument: Instrument, held: int, share: float, stop: float = 0.0) -> tuple[GridLevel, ...]:
    """The ladder with the price at a share of the way up the nodes."""
    nodes = 2 * curve.levels + 1
    first_sell = min(nodes, max(0, round(share * nodes)))
    return build_ladder(NodeTable.of(curve, instrument), instrument, (held, held), first_sell, first_sell - 1, stop)


@given(curves(), unit, unit)
def test_the_target_never_rises_with_price(curve, a, b):
    low, high = sorted((a, b))
    assert target_at(curve, low) >= target_at(curve, high)


@given(curves(neutral=True), unit, unit)
def test_the_neutral_target_never_rises_with_price_either(curve, a, b):
    low, high = sorted((a, b))
    assert target_at(curve, low) >= target_at(curve, high)


@given(curves(), unit)
def test_no_amplitude_and_no_bound_undercuts_the_floor(curve, x):
    hedged = -target_at(curve, x) * (1 if curve.inventory > 0 else -1)
    wanted = min(curve.floor * abs(curve.inventory), curve.max_abs_position)
    assert hedged >= wanted - 1e-12


@given(curves(), unit)
def test_the_target_never_passes_the_cap(curve, x):
    assert abs(target_at(curve, x)) <= curve.max_abs_position


@given(curves(), unit)
def test_a_short_inventory_is_the_mirror_of_a_long_one(curve, x):
    mirrored = replace(curve, inventory=-curve.inventory)
    assert target_at(mirrored, -x) == -target_at(curve, x)


@given(curves(), instruments(), st.integers(-3000, 3000), st.floats(0, 1))
def test_the_ladder_stays_within_the_curve_even_if_all_of_it_fills(curve, instrument, held, share):
    levels = ladder(curve, instrument, held, share)
    sold = sum(level.quantity for level in levels if level.side is Side.SELL)
    bought = sum(level.quantity for level in levels if level.side is Side.BUY)
    position = instrument.quantity(held)
    lowest, highest = Decimal(repr(target_at(curve, 1.0))), Decimal(repr(target_at(curve, -1.0)))
    slack = instrument.lot_size / 1000
    if sold:
        assert position - sold >= lowest - slack
    if bought:
        assert position + bought <= highest + slack


@given(curves(), instruments(), st.integers(-3000, 3000), st.floats(0, 1))
def test_one_ladder_repairs_any_position_up_to_what_the_venue_takes(curve, instrument, held, share):
    """Filling every sell brings the position to the last node's target, but for less than a lot or the venue's minimum."""
    levels = ladder(curve, instrument, held, share)
    sells = [level for level in levels if level.side is Side.SELL]
    nodes = 2 * curve.levels + 1
    assume(min(nodes, max(0, round(share * nodes))) < nodes)
    left = instrument.quantity(held) - sum(level.quantity for level in sells) - Decimal(repr(target_at(curve, 1.0)))
    table = NodeTable.of(curve, instrument)
    assert left < instrument.quantity(max(table.min_lots)) + instrument.lot_size


@given(curves(), instruments(), st.integers(-3000, 3000), st.floats(0, 1))
def test_every_prefix_of_the_ladder_stops_short_of_its_nodes_target(curve, instrument, held, share):
    position = instrument.quantity(held)
    slack = instrument.lot_size / 1000
    for level in ladder(curve, instrument, held, share):
        position += level.quantity * level.side.sign if level.side is Side.SELL else 0
        if level.side is Side.SELL:
            assert position >= Decimal(repr(target_at(curve, level.node / curve.levels))) - slack


@given(curves(), instruments(), st.integers(-3000, 3000), st.floats(0, 1))
def test_sells_rise_and_buys_fall_and_never_both_at_one_node(curve, instrument, held, share):
    levels = ladder(curve, instrument, held, share)
    sells = [level for level in levels if level.side is Side.SELL]
    buys = [level for level in levels if level.side is Side.BUY]
    assert [s.node for s in sells] == sorted(s.node for s in sells)
    assert [b.node for b in buys] == sorted((b.node for b in buys), reverse=True)
    assert not {s.node for s in sells} & {b.node for b in buys}


@settings(max_examples=50)
@given(curves(), instruments(), st.floats(0, 1), st.integers(0, 40))
def test_a_ladder_that_is_on_its_target_is_mirrored_by_the_opposite_inventory(curve, instrument, share, node):
    """Same sizes, sides swapped, nodes negated: prices differ only in which way a tick is rounded."""
    nodes = 2 * curve.levels + 1
    index = min(node, nodes - 1)
    table = NodeTable.of(curve, instrument)
    held = round(table.targets[index] / instrument.lot)
    flipped = replace(curve, inventory=-curve.inventory)
    other = NodeTable.of(flipped, instrument)
    at = min(nodes, max(0, round(share * nodes)))
    ours = build_ladder(replace(table, min_lots=(1,) * nodes), instrument, (held, held), at, at - 1, 0.0)
    theirs = build_ladder(replace(other, min_lots=(1,) * nodes), instrument, (-held, -held), nodes - at, nodes - at - 1, 0.0)
    assert {(x.side, x.node, x.quantity) for x in ours} == {(y.side.opposite, -y.node, y.quantity) for y in theirs}


@given(curves(), instruments(), st.integers(-3000, 3000), st.integers(-2000, 2000), st.floats(0, 1))
def test_while_a_gap_is_being_closed_no_order_of_the_ladder_goes_past_the_curve_whether_it_closes_or_not(
    curve, instrument, held, pending, share
):
    nodes = 2 * curve.levels + 1
    at = min(nodes, max(0, round(share * nodes)))
    both = (held + min(pending, 0), held + max(pending, 0))
    levels = build_ladder(NodeTable.of(curve, instrument), instrument, both, at, at - 1, 0.0)
    lowest, highest = Decimal(repr(target_at(curve, 1.0))), Decimal(repr(target_at(curve, -1.0)))
    slack = instrument.lot_size / 1000
    sold = sum(level.quantity for level in levels if level.side is Side.SELL)
    bought = sum(level.quantity for level in levels if level.side is Side.BUY)
    for closed in (held, held + pending):
        if sold:
            assert instrument.quantity(closed) - sold >= lowest - slack
        if bought:
            assert instrument.quantity(closed) + bought <= highest + slack


@given(curves(), instruments(), st.integers(-3000, 3000), st.floats(0, 1), st.floats(0.5, 1.5))
def test_no_unwinding_node_rests_at_or_beyond_the_stop(curve, instrument, held, share, place):
    trigger = curve.anchor * place
    for level in ladder(curve, instrument, held, share, trigger):
        if curve.inventory > 0 and level.side is Side.BUY:
            assert level.price > Decimal(repr(trigger))
        if curve.inventory < 0 and level.side is Side.SELL:
            assert level.price < Decimal(repr(trigger))
