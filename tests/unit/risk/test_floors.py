"""The floors: what each asks for, how advice may raise them, and how they are told."""

from __future__ import annotations

import itertools

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import Advice, AdviceSource, bounded_floor
from alpha_pulse.hedging.common.portfolio import PairExposure, PortfolioView
from alpha_pulse.hedging.common.types import BotState, HedgeTarget, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.context import hedge_view
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.risk.assessor import Assessor
from alpha_pulse.hedging.risk.floors import FloorRules, Floors, floor_contributions
from alpha_pulse.hedging.risk.inventory import Action
from alpha_pulse.hedging.risk.pipeline_config import PortfolioSettings
from alpha_pulse.testing.snapshots import SYMBOL, make_snapshot

FLOOR_STEPS = ("inventory risk", "VaR floor", "portfolio VaR", "advice", "slow fall", "latches")


def advice(floor: float, source: AdviceSource = AdviceSource.LLM) -> Advice:
    return Advice(
        floor=floor, commentary="", source=source, asked_ms=0, expires_ms=10**15, prompt="", answer="", refused=(), reason="", cost_usd=0.0
    )


def together(sigma: float = 0.04) -> PortfolioView:
    """Two pairs of 100,000 that move as one."""
    pairs = [PairExposure(name, 100_000.0, 0.0, sigma, size=100_000.0, nav=200_000.0) for name in (SYMBOL, "ETH/USDT:USDT")]
    return PortfolioView(tuple(pairs), ((1.0, 1.0), (1.0, 1.0)))


def target(snapshot: Snapshot, **config: object) -> HedgeTarget:
    return risk_manager_for(BotConfig.from_mapping(config)).assess(snapshot).target


def steps_of(target: HedgeTarget) -> list[tuple[str, float, float]]:
    return [(c.name, c.before, c.after) for c in target.contributions if c.name in FLOOR_STEPS]


# --- what is asked ------------------------------------------------------------------------------------------------------
def test_without_an_assessor_a_portfolio_or_advice_only_the_pairs_own_value_at_risk_asks():
    floors = FloorRules().floors(make_snapshot(volatility_day=0.07), 0.3, 2.3, 1.0, 0.025)
    assert floors == Floors(0.3)
    assert floors.raw == floors.asked == 0.3


def test_the_largest_of_all_floors_is_the_one_that_counts():
    """σ = 6 %: severity 30, regime 15: 45 points, half. VaR of both pairs 2.326·6 % = 13.96 %: 1 − 6/13.96 = 0.57."""
    rules = FloorRules(Assessor())
    floors = rules.floors(make_snapshot(volatility_day=0.06, portfolio=together(0.06)), 0.1, 2.3263478740408408, 1.0, 0.025)
    assert floors.inventory is not None
    assert floors.inventory.floor == 0.5
    assert floors.portfolio == pytest.approx(1 - 0.06 / (2.3263478740408408 * 0.06))
    assert floors.asked == floors.portfolio
    assert floors.raw == floors.portfolio


def test_a_flat_inventory_is_not_assessed():
    floors = FloorRules(Assessor()).floors(make_snapshot(inventory="0", volatility_day=0.2), 0.2, 2.3, 1.0, 0.025)
    assert floors.inventory is None
    assert floors.raw == 0.2


def test_the_portfolios_limit_can_be_switched_off():
    rules = FloorRules(portfolio=PortfolioSettings(var_limit_pct=None))
    assert rules.floors(make_snapshot(portfolio=together()), 0.0, 2.3, 1.0, 0.025).portfolio == 0.0


@pytest.mark.parametrize(
    ("asked", "advised", "tilt", "raised"),
    [(0.2, 0.9, 0.1, 0.3), (0.2, 0.25, 0.1, 0.25), (0.2, 0.1, 0.1, 0.2), (0.2, 0.0, 0.5, 0.2), (0.97, 1.0, 0.5, 1.0), (0.0, 1.0, 0.0, 0.0)],
)
def test_advice_raises_what_others_ask_by_its_tilt_at_most_and_never_lowers_it(asked, advised, tilt, raised):
    floors = FloorRules(advice_max_tilt=tilt).floors(make_snapshot(advice=advice(advised)), asked, 2.3, 1.0, 0.01)
    assert floors.raw == pytest.approx(raised)
    assert floors.asked == asked
    assert bounded_floor(asked, advice(advised), tilt) == pytest.approx(raised)


def test_advice_counts_on_top_of_the_largest_floor_and_not_of_the_pairs_own():
    rules = FloorRules(Assessor(), advice_max_tilt=0.1)
    floors = rules.floors(make_snapshot(volatility_day=0.06, advice=advice(1.0)), 0.2, 2.3, 1.0, 0.025)
    assert floors.raw == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("asked", "unit", "raised"),
    [(0.2, 0.1, 0.3), (0.2, 0.04, 0.28), (0.2, 0.07, 0.28), (0.2, 0.25, 0.25), (0.2, 0.5, 0.2), (0.37, 0.25, 0.37), (0.45, 0.25, 0.5)],
)
def test_what_advice_adds_is_rounded_down_to_a_unit_and_never_under_what_others_ask(asked, unit, raised):
    """A tilt of 0.1: up to 0.3, 0.47 or 0.55, as many whole units as fit."""
    floors = FloorRules(advice_max_tilt=0.1).floors(make_snapshot(advice=advice(1.0)), asked, 2.3, 1.0, unit)
    assert floors.raw == pytest.approx(raised)
    assert floors.asked == asked


def test_basic_advice_asks_for_nothing():
    floors = FloorRules(advice_max_tilt=0.5).floors(make_snapshot(advice=advice(0.0, AdviceSource.BASIC)), 0.2, 2.3, 1.0, 0.025)
    assert floors.raw == 0.2
    with pytest.raises(ConfigError, match="no floor"):
        advice(0.1, AdviceSource.BASIC)


# --- how it is told -----------------------------------------------------------------------------------------------------
def test_floors_are_told_in_the_order_in_which_they_apply_and_none_takes_away():
    """Own VaR at 4 %: 1 − 6/9.305 = 0.3552; the portfolio of equals asks the same; advice may add 0.1: 0.4552, 18 units of 0.025."""
    told = steps_of(target(make_snapshot(volatility_day=0.04, portfolio=together(), advice=advice(1.0))))
    var = 1 - 0.06 / (2.3263478740408408 * 0.04)
    assert [name for name, _, _ in told] == list(FLOOR_STEPS)
    assert [after for _, _, after in told] == pytest.approx([0.0, var, var, 0.45, 0.45, 0.45])
    assert told[0][1] == 0.0
    assert all(first[2] == second[1] for first, second in itertools.pairwise(told))


def test_a_floor_that_asks_for_less_is_told_as_changing_nothing():
    """The assessor's half stands, though VaR, told after it, asks for 0.03 only."""
    floors = Floors(0.03, Assessor().demand(make_snapshot(volatility_day=0.06).market, 1.0, 0.0))
    told = list(floor_contributions(floors, make_snapshot(), 0.5, 0.025, ()))
    assert [(c.name, c.before, c.after) for c in told] == [
        ("inventory risk", 0.0, 0.5), ("VaR floor", 0.5, 0.5), ("slow fall", 0.5, 0.5), ("latches", 0.5, 0.5),
    ]  # fmt: skip
    assert told[1].inputs["raw"] == 0.03


def test_a_held_floor_is_told_as_falling_slowly_and_a_new_one_as_rounded_up():
    held = list(floor_contributions(Floors(0.1), make_snapshot(), 0.4, 0.025, ()))
    assert held[-2].reason == "floors rise at once and fall slowly"
    fresh = list(floor_contributions(Floors(0.11), make_snapshot(), 0.125, 0.025, ()))
    assert "rounded up" in fresh[-2].reason
    nothing = list(floor_contributions(Floors(), make_snapshot(), 0.0, 0.025, ()))
    assert nothing[-2].reason == "no floor"


def test_latches_come_last_and_are_named():
    told = list(floor_contributions(Floors(0.1), make_snapshot(), 0.1, 0.025, ("stop fired", "drawdown limit reached")))
    assert (told[-1].name, told[-1].before, told[-1].after) == ("latches", 0.1, 1.0)
    assert told[-1].reason == "stop fired and drawdown limit reached"


def test_the_assessors_points_stand_in_the_record():
    demand = Assessor().demand(make_snapshot(volatility_day=0.06).market, 1.0, 0.0)
    told = next(floor_contributions(Floors(inventory=demand), make_snapshot(), 0.5, 0.025, ()))
    assert told.inputs == {
        "score": 45.0, "action": Action.HEDGE_PARTIAL, "loss_from_entry": 0.0, "loss_severity": 30.0, "position_age": 0.0,
        "volatility_regime": 15.0, "size_vs_liquidity": 0.0,
    }  # fmt: skip
    assert "risk score 45.0" in told.reason


# --- in the bot ---------------------------------------------------------------------------------------------------------
def test_the_floor_that_an_advisor_sees_is_the_one_without_its_own_advice():
    """Otherwise its word would add up from tick to tick."""
    manager = risk_manager_for(BotConfig())
    state = BotState()
    seen = []
    for minute in range(1, 6):
        snapshot = make_snapshot(volatility_day=0.04, advice=advice(1.0), state=state, now_ms=60_000 * minute)
        assessment = manager.assess(snapshot)
        state = BotState(target=assessment.target, risk=assessment.memory)
        seen.append((hedge_view(snapshot, assessment, 1.0).figures.floor, assessment.target.floor))
    assert {floor for _, floor in seen} == {seen[0][1]}
    assert seen[0][0] == pytest.approx(1 - 0.06 / (2.3263478740408408 * 0.04))
    assert {floor for floor, _ in seen} == {seen[0][0]}


def test_expired_advice_lets_the_floor_fall_slowly_and_not_at_once():
    manager = risk_manager_for(BotConfig())
    advised = manager.assess(make_snapshot(advice=advice(1.0)))
    assert advised.target.floor == pytest.approx(0.1)
    state = BotState(target=advised.target, risk=advised.memory)
    assert manager.assess(make_snapshot(state=state, now_ms=120_000)).target.floor == pytest.approx(0.1)


def test_advice_for_a_market_neutral_grid_shrinks_it():
    snapshot = make_snapshot(inventory="0", advice=advice(1.0))
    assert target(snapshot, risk={"max_position_size": 1}, hedge={"amplitude": 1}).floor == pytest.approx(0.1)


@pytest.mark.parametrize(("levels", "amplitude", "most"), [(10, 0.25, 0.1), (20, 1.0, 0.1), (25, 1.0, 0.08)])
def test_advice_raises_the_floor_by_the_units_that_fit_into_its_tilt(levels, amplitude, most):
    asked = target(make_snapshot(advice=advice(1.0)), hedge={"amplitude": amplitude}, grid={"num_levels": levels}).floor
    assert asked == pytest.approx(most)


@pytest.mark.parametrize(("levels", "amplitude", "silent"), [(10, 0.25, 0.375), (4, 1.0, 0.5), (1, 1.0, 1.0), (100, 0.25, 0.36)])
def test_advice_on_top_of_a_floor_that_was_rounded_up_adds_no_more_than_its_tilt(levels, amplitude, silent):
    """0.3552 is asked for without it."""
    config = {"hedge": {"amplitude": amplitude}, "grid": {"num_levels": levels}, "llm": {"max_tilt": 0.1}}
    assert target(make_snapshot(volatility_day=0.04), **config).floor == pytest.approx(silent)
    advised = target(make_snapshot(volatility_day=0.04, advice=advice(1.0)), **config).floor
    assert silent - 1e-9 <= advised <= silent + 0.1 + 1e-9


@pytest.mark.parametrize(("levels", "amplitude"), [(1, 1.0), (1, 0.25), (3, 1.0)])
def test_advice_never_raises_the_floor_by_more_than_its_tilt_however_coarse_the_unit(levels, amplitude):
    config = {"hedge": {"amplitude": amplitude}, "grid": {"num_levels": levels}, "llm": {"max_tilt": 0.1}}
    assert target(make_snapshot(advice=advice(0.05)), **config).floor == 0.0
