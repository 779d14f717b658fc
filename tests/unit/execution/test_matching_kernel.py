"""The numbers of the matching engine, against values worked out by hand."""

import math

import pytest

from alpha_pulse.execution.matching import kernel
from alpha_pulse.execution.matching.margin import affordable, liquidation_bounds, liquidation_price, maintenance

TIERS = ((50_000.0, 0.004, 0.0), (1e18, 0.005, 50.0))


@pytest.mark.parametrize(("high", "low", "expected"), [(110, 99, True), (101, 90, False), (110, 90, True)])
def test_the_extreme_nearer_to_the_open_comes_first_and_on_a_tie_the_low(high, low, expected):
    assert kernel.low_first(100, high, low) is expected


@pytest.mark.parametrize(
    ("start", "end", "level", "direction", "place"),
    [
        (100, 110, 105, 1, 0.5),
        (100, 110, 110, 1, 1.0),
        (100, 110, 111, 1, kernel.NEVER),
        (100, 110, 99, 1, 0.0),
        (110, 100, 105, -1, 0.5),
        (110, 100, 112, -1, 0.0),
        (110, 100, 99, -1, kernel.NEVER),
        (100, 100, 100, 1, 0.0),
        (100, 100, 101, 1, kernel.NEVER),
        (100, 110, math.inf, 1, kernel.NEVER),
        (100, 110, -math.inf, -1, kernel.NEVER),
    ],
)
def test_a_straight_move_reaches_a_level_where_the_ratio_of_distances_says(start, end, level, direction, place):
    assert kernel.crossing(start, end, level, direction) == place


def test_the_touch_rule_fills_at_the_price_and_the_through_rule_one_tick_beyond():
    touch, through = kernel.reach_price(1, 1000, 0.1, 0), kernel.reach_price(1, 1000, 0.1, 1)
    assert touch >= 100.0 > touch - 0.01
    assert through >= 99.9 > through - 0.01
    sell = kernel.reach_price(-1, 1000, 0.1, 1)
    assert sell <= 100.1 < sell + 0.01


def test_impact_is_linear_in_the_share_of_the_depth_within_one_percent():
    assert kernel.impact(1.0, 100.0, 1000.0, 5.0) == pytest.approx(0.001)
    assert kernel.impact(2.0, 100.0, 1000.0, 5.0) == pytest.approx(0.002)


def test_impact_without_depth_is_the_constant_slippage():
    assert kernel.impact(1.0, 100.0, 0.0, 5.0) == pytest.approx(0.0005)


def test_impact_on_an_empty_book_is_capped_so_that_a_sale_keeps_a_positive_price():
    assert kernel.taker_price(-1, 100.0, 0.0, 1e9, 1.0, 0.0) == 50.0


def test_a_taker_pays_half_the_spread_and_the_impact():
    assert kernel.taker_price(1, 100.0, 0.05, 1.0, 1000.0, 0.0) == pytest.approx(100.15)
    assert kernel.taker_price(-1, 100.0, 0.05, 1.0, 1000.0, 0.0) == pytest.approx(99.85)


def test_what_can_be_taken_at_a_limit_is_what_moves_the_price_to_it():
    assert kernel.takeable(1, 100.0, 0.05, 100.15, 1000.0, 0.0) == pytest.approx(1.0)
    assert kernel.takeable(-1, 100.0, 0.05, 99.85, 1000.0, 0.0) == pytest.approx(1.0)
    assert kernel.takeable(1, 100.0, 0.05, 100.04, 1000.0, 0.0) == 0.0
    assert kernel.takeable(1, 100.0, 0.05, 151.0, 1000.0, 0.0) == math.inf


def test_without_depth_a_limit_takes_all_or_nothing():
    assert kernel.takeable(1, 100.0, 0.0, 100.1, 0.0, 5.0) == math.inf
    assert kernel.takeable(1, 100.0, 0.0, 100.01, 0.0, 5.0) == 0.0


def test_prices_are_rounded_against_the_taker():
    assert kernel.ticks_against(1, 100.01, 0.1) == 1001
    assert kernel.ticks_against(-1, 100.09, 0.1) == 1000
    assert kernel.ticks_against(1, 100.1, 0.1) == 1001
    assert kernel.ticks_against(-1, 0.01, 0.1) == 1


def test_the_queue_gives_whole_lots_of_a_share_of_the_volume():
    assert kernel.queue_lots(10.0, 0.1, 0.3) == 3
    assert kernel.queue_lots(0.0, 0.1, 0.001) == 0


def test_a_limit_crosses_when_it_reaches_the_other_side():
    assert kernel.crosses(1, 100.1, 100.1, 0.1)
    assert not kernel.crosses(1, 100.0, 100.1, 0.1)
    assert kernel.crosses(-1, 100.0, 100.0, 0.1)
    assert not kernel.crosses(-1, 100.1, 100.0, 0.1)


def test_maintenance_margin_is_continuous_where_tiers_meet():
    assert maintenance(50_000.0, TIERS) == pytest.approx(200.0)
    assert maintenance(50_000.01, TIERS) == pytest.approx(200.0, abs=1e-3)
    assert maintenance(2e18, TIERS) == pytest.approx(1e16)


def test_the_liquidation_price_of_a_short_is_the_formula_of_the_venue():
    # W = 10,000, F = −1 at E = 100,000, second tier: (10,000 + 100,000 + 50) / 1.005
    price = liquidation_price(10_000 + 100_000, -1.0, TIERS)
    assert price == pytest.approx(110_050 / 1.005)
    equity = 10_000 - (price - 100_000)
    assert equity == pytest.approx(maintenance(price, TIERS))


def test_the_liquidation_price_of_a_small_short_uses_the_small_tier():
    price = liquidation_price(1_000 + 10_000, -0.1, TIERS)
    assert price == pytest.approx(11_000 / (0.1 * 1.004))


def test_beyond_the_last_tier_its_rate_goes_on():
    tiers = ((50_000.0, 0.004, 0.0), (100_000.0, 0.005, 50.0))
    assert liquidation_price(400_000.0, -3.0, tiers) == pytest.approx((400_000 + 50) / (3 * 1.005))


def test_the_liquidation_price_of_a_long_lies_below():
    price = liquidation_price(10_000 - 100_000, 1.0, TIERS)
    assert price == pytest.approx(-(-90_000 + 50) / 0.995)
    assert 10_000 + price - 100_000 == pytest.approx(maintenance(price, TIERS))


def test_liquidation_bounds_are_open_on_the_safe_side():
    assert liquidation_bounds(0.0, 0.0, TIERS) == (-math.inf, math.inf)
    assert liquidation_bounds(110_000.0, -1.0, TIERS)[0] == -math.inf
    assert liquidation_bounds(-90_000.0, 1.0, TIERS)[1] == math.inf
    assert liquidation_bounds(10.0, 1.0, TIERS) == (-math.inf, math.inf)  # a long that the wallet pays for in full


def test_a_short_with_nothing_behind_it_is_lost_at_any_price():
    assert liquidation_bounds(-1_000.0, -1.0, TIERS) == (-math.inf, 0.0)


def test_a_position_may_always_shrink_and_grow_only_within_leverage():
    assert affordable(1.0, 2.0, 100.0, -5.0, 3.0, 0.0)
    assert affordable(-3.0, 0.0, 100.0, 100.0, 3.0, 0.0)
    assert not affordable(-3.1, 0.0, 100.0, 100.0, 3.0, 0.0)
    assert not affordable(-3.0, 0.0, 100.0, 100.0, 3.0, 1.0)
