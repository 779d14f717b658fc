"""What moves in steps: regime, spacing, anchor, snapped nodes, and the curve that they make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alpha_pulse.hedging.common.types import BotState, CurveParameters
from alpha_pulse.hedging.grid.config import GridSettings
from alpha_pulse.hedging.grid.steps import Regime, anchor_for, fee_floor, held_regime, node_spacing, snapped_nodes
from alpha_pulse.testing.snapshots import make_decider, make_indicators, make_instrument, make_snapshot

CALM = Regime(0.01, 1.0)


def spacing(regime: Regime = CALM, anchor: float = 100_000.0, **grid: object) -> float:
    return node_spacing(GridSettings(**grid), make_instrument(), regime, anchor)  # type: ignore[arg-type]


def test_in_a_calm_market_the_configured_spacing_holds():
    assert spacing() == pytest.approx(0.01)


def test_volatility_widens_the_grid_and_the_volume_regime_scales_its_share():
    assert spacing(Regime(0.04, 1.0)) == pytest.approx(0.024)
    assert spacing(Regime(0.04, 1.2)) == pytest.approx(0.0288)
    assert spacing(Regime(0.04, 1.0), volatility_multiple=0) == pytest.approx(0.01)


def test_a_least_distance_in_quote_units_counts_from_the_anchor():
    assert spacing(min_price_distance=2500) == pytest.approx(0.025)
    assert spacing(min_price_distance=2500, anchor=50_000.0) == pytest.approx(0.05)


def test_a_round_trip_pays_for_its_fees():
    floor = fee_floor(make_instrument(), 100_000.0)
    assert spacing(grid_spacing_pct="0.0001", volatility_multiple=0) == floor
    bought, sold, maker = 100_000.0, 100_000.0 * (1 + floor), 0.0002
    assert sold - bought > maker * (sold + bought)


def test_spacing_stays_sane_in_a_mad_market():
    assert spacing(Regime(5.0, 1.0)) == pytest.approx(0.45)
    assert spacing(Regime(5.0, 1.0), spacing="arithmetic") == pytest.approx(0.09)


def test_volatility_is_held_until_it_moved_by_a_fifth():
    held = BotState(volatility_held=0.02)
    assert held_regime(held, make_indicators(0.0239), GridSettings()).volatility == 0.02
    assert held_regime(held, make_indicators(0.0241), GridSettings()).volatility == 0.0241
    assert held_regime(BotState(), make_indicators(0.03), GridSettings()).volatility == 0.03


@pytest.mark.parametrize(
    ("held", "ratio", "after"), [(1.0, 1.9, 1.0), (1.0, 2.1, 1.2), (1.2, 1.5, 1.2), (1.2, 1.3, 1.0), (1.0, 0.4, 0.8), (0.8, 0.6, 0.8)]
)
def test_the_volume_regime_has_a_dead_band(held, ratio, after):
    regime = held_regime(BotState(volatility_held=0.01, volume_factor=held), make_indicators(volume_ratio=ratio), GridSettings())
    assert regime.volume_factor == pytest.approx(after)


def test_the_volume_regime_can_be_switched_off():
    regime = held_regime(BotState(volatility_held=0.01), make_indicators(volume_ratio=9.0), GridSettings(volume_adjust=0))
    assert regime.volume_factor == 1.0


def curve_of(**grid: object) -> CurveParameters:
    return make_decider({"grid": grid}).decide(make_snapshot()).curve


def test_the_anchor_recentres_when_price_passes_node_n_plus_one():
    curve, settings = curve_of(), GridSettings()
    edge = 100_000.0 * 1.01**11
    assert anchor_for(settings, make_snapshot(edge * 0.9999).market, curve, released=False) == curve.anchor
    assert anchor_for(settings, make_snapshot(edge * 1.0001).market, curve, released=False) == pytest.approx(edge * 1.0001)
    low = 100_000.0 / 1.01**11
    assert anchor_for(settings, make_snapshot(low * 1.0001).market, curve, released=False) == curve.anchor
    assert anchor_for(settings, make_snapshot(low * 0.9999).market, curve, released=False) == pytest.approx(low * 0.9999)


def test_a_fixed_anchor_never_moves():
    settings = GridSettings(anchor="fixed")
    assert anchor_for(settings, make_snapshot(200_000.0).market, curve_of(), released=True) == pytest.approx(100_000.0)


def test_an_average_anchor_follows_in_steps_of_a_node():
    settings, curve = GridSettings(anchor="ema"), curve_of()
    near = make_snapshot(indicators=make_indicators(anchor_ema=100_900.0)).market
    far = make_snapshot(indicators=make_indicators(anchor_ema=101_100.0)).market
    assert anchor_for(settings, near, curve, released=False) == curve.anchor
    assert anchor_for(settings, far, curve, released=False) == 101_100.0


def test_after_a_latch_the_grid_anchors_where_price_is():
    assert anchor_for(GridSettings(), make_snapshot(99_000.0).market, curve_of(), released=True) == pytest.approx(99_000.0)


def test_nodes_snap_to_a_level_within_a_fraction_of_the_spacing():
    moved = dict(snapped_nodes(GridSettings(num_levels=2), 100_000.0, 0.01, (101_200.0, 98_000.0)))
    assert moved == {1: 101_200.0, -2: 98_000.0}
    assert snapped_nodes(GridSettings(num_levels=2), 100_000.0, 0.01, (101_300.0,)) == ()
    assert snapped_nodes(GridSettings(snap=0), 100_000.0, 0.01, (101_000.0,)) == ()
    assert snapped_nodes(GridSettings(), 100_000.0, 0.01, (100_000.0,)) == ()


def test_snapped_nodes_keep_their_order():
    levels = tuple(float(price) for price in range(90_000, 110_000, 90))
    moved = dict(snapped_nodes(GridSettings(snap=0.4), 100_000.0, 0.01, levels))
    prices = [moved[k] for k in sorted(moved)]
    assert prices == sorted(prices)


def test_the_curve_is_the_same_object_until_something_moves():
    decider = make_decider()
    first = decider.decide(make_snapshot())
    moment = make_snapshot(100_050.0, state=first.state, now_ms=120_000)
    again = decider.decide(moment)
    assert again.curve is first.curve
    more = decider.decide(replace(moment, inventory=moment.inventory * 2))
    assert more.curve is not first.curve
    assert more.curve.anchor == first.curve.anchor
    assert more.curve.spacing == first.curve.spacing


def test_the_anchor_is_a_price_that_can_be_traded():
    assert make_decider().decide(make_snapshot(100_000.0, market={"bid": 99_999.9, "ask": 100_000.2})).curve.anchor == pytest.approx(
        100_000.0
    )
