"""The risk manager on single snapshots: floors, latches, margin, postures, alerts."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import BotState, RiskMemory, RiskState
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.risk.manager import FLATTENED
from alpha_pulse.hedging.risk.margin import margin_distance
from alpha_pulse.testing.snapshots import make_account, make_snapshot


def manager(**risk: object):
    return risk_manager_for(BotConfig.from_mapping({"risk": risk}))


def remembering(**memory: object) -> BotState:
    known = {"high_water_mark": 200_000.0, "inventory": Decimal(1), "deposits": Decimal(100_000), "stop_reference": 100_000.0}
    return BotState(risk=RiskMemory(**(known | memory)), volatility_held=0.01)  # type: ignore[arg-type]


def test_a_quiet_market_needs_no_floor_and_leaves_the_posture_normal():
    assessment = manager().assess(make_snapshot())
    assert assessment.target.floor == 0.0
    assert assessment.state is RiskState.NORMAL
    assert assessment.nav == pytest.approx(200_000.0)
    assert assessment.memory.high_water_mark == pytest.approx(200_000.0)
    assert assessment.alerts == ()


def test_value_at_risk_over_its_limit_raises_the_floor_rounded_up_and_alerts():
    """σ = 4 %: VaR = 2.326·4 % = 9.305 % of the inventory; 1 − 6/9.305 = 0.355, rounded up to 0.375."""
    assessment = manager().assess(make_snapshot(volatility_day=0.04))
    assert assessment.target.floor == pytest.approx(0.375)
    assert [alert.key for alert in assessment.alerts] == ["var"]
    assert assessment.alerts[0].text == "VaR (9305.39) exceeds limit (6000.00)"


def test_an_absolute_limit_beats_the_percentage():
    assessment = manager(var_limit=8000).assess(make_snapshot(volatility_day=0.04))
    assert assessment.target.floor == pytest.approx(0.15)


def test_without_any_limit_there_is_no_var_floor():
    config = BotConfig.from_mapping({"risk": {"var_limit_pct": None}, "inventory_risk": {"enabled": False}})
    assert risk_manager_for(config).assess(make_snapshot(volatility_day=0.10)).target.floor == 0.0


def test_a_drawdown_latches_a_full_hedge_and_only_resuming_releases_it():
    risk = manager(max_drawdown=0.1)
    fallen = make_snapshot(75_000.0, state=remembering())
    latched = risk.assess(fallen)
    assert latched.memory.drawdown_latched
    assert latched.target.floor == 1.0
    assert latched.state is RiskState.DELTA_REDUCE
    assert latched.stop_distance == 0.0
    back = make_snapshot(120_000.0, state=replace(fallen.state, risk=latched.memory, target=latched.target))
    assert risk.assess(back).memory.drawdown_latched


def test_drawdown_can_be_switched_off():
    assert not manager(max_drawdown=None).assess(make_snapshot(20_000.0, state=remembering(stop_reference=0.0))).memory.drawdown_latched


def test_moving_coins_or_cash_is_neither_profit_nor_loss():
    risk = manager()
    more = make_snapshot(inventory="1.5", account=make_account(wallet="130000", deposits=Decimal(130_000)), state=remembering())
    assessment = risk.assess(more)
    assert assessment.nav == pytest.approx(280_000.0)
    assert assessment.memory.high_water_mark == pytest.approx(280_000.0)
    assert assessment.drawdown == pytest.approx(0.0)


@pytest.mark.parametrize("coins", ["10", "0.1"])
def test_drawdown_counts_on_what_is_there_now(coins):
    """After coins came or went, a fall of 8 % of the coins is 8 % of the coins' share, whatever the NAV was before."""
    risk = manager()
    moved = risk.assess(make_snapshot(inventory=coins, state=remembering()))
    fallen = risk.assess(make_snapshot(92_000.0, inventory=coins, state=BotState(risk=moved.memory)))
    worth = 100_000 + float(coins) * 100_000
    assert fallen.drawdown == pytest.approx(float(coins) * 8_000 / worth)


def test_more_coins_owed_are_more_debt():
    first = manager().assess(make_snapshot(inventory="-1"))
    more = manager().assess(make_snapshot(110_000.0, inventory="-2", state=BotState(risk=first.memory)))
    assert more.nav == pytest.approx(90_000.0)


def test_a_short_inventory_counts_only_its_change_of_value():
    first = manager().assess(make_snapshot(inventory="-1"))
    assert first.nav == pytest.approx(100_000.0)
    later = make_snapshot(110_000.0, inventory="-1", state=BotState(risk=first.memory))
    assert manager().assess(later).nav == pytest.approx(90_000.0)


def test_a_spot_outage_values_the_inventory_at_the_index():
    snapshot = make_snapshot(market={"spot": None, "index_price": 101_000.0})
    assert manager().assess(snapshot).nav == pytest.approx(201_000.0)


@pytest.mark.parametrize(("inventory", "mark", "back"), [("1", 84_900.0, 100_000.0), ("-1", 115_100.0, 100_000.0)])
def test_a_mark_beyond_the_stop_latches_until_price_is_back_at_the_reference(inventory, mark, back):
    risk = manager(max_drawdown=None)
    state = replace(remembering(), risk=replace(remembering().risk, inventory=Decimal(inventory)))
    fired = risk.assess(make_snapshot(mark, inventory=inventory, state=state))
    assert fired.memory.stop_latched
    assert fired.target.floor == 1.0
    halfway = make_snapshot((mark + back) / 2, inventory=inventory, state=replace(state, risk=fired.memory))
    assert risk.assess(halfway).memory.stop_latched
    released = risk.assess(make_snapshot(back, inventory=inventory, state=replace(state, risk=fired.memory)))
    assert not released.memory.stop_latched
    assert released.memory.stop_reference == 0.0


def test_a_filled_stop_latches_even_if_price_is_back_already():
    assert manager().assess(make_snapshot(100_000.0, state=remembering(), stop_filled=True)).memory.stop_latched


@pytest.mark.parametrize(("mark", "back", "below"), [(84_000.0, 100_000.0, True), (116_000.0, 100_000.0, False)])
def test_without_an_inventory_a_fired_stop_latches_on_the_side_where_the_range_broke(mark, back, below):
    state = replace(remembering(), risk=replace(remembering().risk, inventory=Decimal(0)))
    risk = manager(max_position_size=1, max_drawdown=None)
    fired = risk.assess(make_snapshot(mark, inventory="0", state=state, stop_filled=True))
    assert fired.memory.stop_latched
    assert fired.memory.latched_below is below
    assert fired.target.floor == 1.0
    assert not risk.assess(make_snapshot(back, inventory="0", state=BotState(risk=fired.memory))).memory.stop_latched
    flat = risk.assess(make_snapshot(mark, inventory="0", state=state))
    assert not flat.memory.stop_latched


def test_resuming_clears_a_liquidation_that_was_seen():
    first = manager().assess(make_snapshot(account=make_account(liquidated=True)))
    resumed = replace(first.memory, halted="")
    later = manager().assess(make_snapshot(account=make_account(liquidated=True), state=BotState(risk=resumed)))
    assert later.state is RiskState.NORMAL


def short(leverage: float) -> object:
    """A short of 1 BTC at this effective leverage."""
    return make_account("-1", wallet=str(round(100_000 / leverage)), leverage_limit=Decimal(20))


def test_the_margin_cap_is_leverage_times_equity_over_price():
    assessment = manager(max_position_size=5).assess(make_snapshot(inventory="3", account=make_account(wallet="150000")))
    assert assessment.max_abs_position == pytest.approx(1.5)
    assert assessment.memory.cap == pytest.approx(1.5)


def test_a_position_past_the_cap_by_price_alone_is_not_cut():
    assessment = manager().assess(make_snapshot(inventory="2", account=short(1.25)))
    assert assessment.max_abs_position == pytest.approx(1.0)
    assert assessment.reduce_to == math.inf
    assert assessment.state is RiskState.NORMAL


def test_near_liquidation_first_alerts_then_stops_growth_then_cuts():
    """Distances of a short at leverage L: (1/L − 0.005)/1.005."""
    risk = manager(max_position_size=5, max_effective_leverage=10)
    alerted = risk.assess(make_snapshot(inventory="3", account=short(3.0)))
    assert [a.key for a in alerted.alerts] == ["liquidation"]
    assert "Top up the perpetual wallet by" in alerted.alerts[0].text
    assert alerted.max_abs_position > 1.0
    held = risk.assess(make_snapshot(inventory="3", account=short(4.5)))
    assert held.max_abs_position == pytest.approx(1.0)
    assert held.reduce_to == math.inf
    cut = risk.assess(make_snapshot(inventory="3", account=short(7.0)))
    assert cut.state is RiskState.MARGIN_REDUCE
    assert cut.reduce_to == pytest.approx(14_286 / (100_000 * (1.25 * 1.005 - 1)), rel=1e-3)
    assert cut.target.floor == 0.0


def test_a_cut_goes_on_until_the_distance_is_comfortable_again():
    risk = manager(max_position_size=5, max_effective_leverage=10)
    state = remembering(margin_cut=True)
    still = risk.assess(make_snapshot(inventory="1", account=short(5.0), state=state))
    assert still.memory.margin_cut
    done = risk.assess(make_snapshot(inventory="1", account=short(3.5), state=state))
    assert not done.memory.margin_cut


def test_in_a_wild_market_the_distances_grow_with_volatility():
    risk = manager(max_position_size=5, max_effective_leverage=10, var_limit_pct=None)
    wild = risk.assess(make_snapshot(inventory="3", account=short(4.5), volatility_day=0.06))
    assert wild.state is RiskState.MARGIN_REDUCE  # 4 σ = 24 % is more than the 22 % left


def test_one_wild_bar_widens_a_distance_to_twice_itself_and_no_further():
    assert margin_distance(0.15, 4.0, 0.02) == 0.15
    assert margin_distance(0.15, 4.0, 0.05) == pytest.approx(0.20)
    assert margin_distance(0.15, 4.0, 0.60) == pytest.approx(0.30)


def test_a_liquidation_by_the_venue_halts():
    assessment = manager().assess(make_snapshot(account=make_account(liquidated=True)))
    assert assessment.state is RiskState.HALTED
    assert "liquidated" in assessment.memory.halted
    later = make_snapshot(state=replace(remembering(), risk=assessment.memory))
    assert manager().assess(later).state is RiskState.HALTED


@pytest.mark.parametrize("halted", ["killed by the user", "unexpected error"])
@pytest.mark.parametrize(("position", "state"), [("-0.5", RiskState.MARGIN_REDUCE), ("0", RiskState.HALTED), ("0.0004", RiskState.HALTED)])
def test_the_wish_to_flatten_beats_a_halt(halted, position, state):
    """A bot that broke must still be able to close its position; when flat it is halted, and says why."""
    snapshot = make_snapshot(account=make_account(position), state=remembering(flattened=True, halted=halted))
    assessment = manager().assess(snapshot)
    assert (assessment.state, assessment.memory.reasons) == (state, (FLATTENED,))
    assert assessment.memory.halted == halted
    assert assessment.reduce_to == 0.0


def test_a_liquidation_while_flattening_is_remembered_as_a_halt():
    snapshot = make_snapshot(account=make_account(liquidated=True), state=remembering(flattened=True))
    assessment = manager().assess(snapshot)
    assert assessment.state is RiskState.HALTED
    assert "liquidated" in assessment.memory.halted


@pytest.mark.parametrize("confidence", [0.5, 0.3, 0, 1, 1.2])
def test_a_confidence_that_is_no_tail_is_refused(confidence):
    with pytest.raises(ConfigError, match="var_confidence"):
        manager(var_confidence=confidence)


def test_the_caps_of_the_curve_move_in_steps():
    """A drifting equity moves the cap of the ladder by whole steps of 0.01·|S|, down at once and up only after two."""
    risk = manager(max_position_size=5)

    def cap(wallet: str, memory: RiskMemory | None = None) -> float:
        state = BotState() if memory is None else BotState(risk=memory)
        return risk.assess(make_snapshot(inventory="3", account=make_account(wallet=wallet), state=state)).memory.cap

    first = risk.assess(make_snapshot(inventory="3", account=make_account(wallet="151000"))).memory
    assert first.cap == pytest.approx(1.5)
    assert cap("155900", first) == first.cap
    assert cap("149000", first) == pytest.approx(1.47)
    assert cap("156100", first) == pytest.approx(1.56)


def test_a_held_cap_never_asks_for_less_than_the_position_that_is_on():
    """What price or a fill carried past the cap stays until liquidation comes near: the ladder must not unwind it."""
    risk = manager(max_position_size=5)
    held = remembering(cap=1.48)
    account = make_account("-1.5", wallet="148000")
    assert risk.assess(make_snapshot(inventory="3", account=account, state=held)).memory.cap == pytest.approx(1.5)


def test_a_cap_that_the_curve_cannot_reach_moves_nothing():
    """The most that this curve asks for is 0.75: equity that drifts above that is no matter of the ladder."""
    risk = manager()
    first = risk.assess(make_snapshot()).memory
    later = risk.assess(make_snapshot(101_000.0, account=make_account("-0.5"), state=BotState(risk=first))).memory
    assert later.cap == first.cap == 1.0


def test_the_memory_is_the_same_object_while_nothing_moves():
    risk = manager()
    first = risk.assess(make_snapshot())
    again = risk.assess(make_snapshot(state=BotState(risk=first.memory, target=first.target)))
    assert again.memory is first.memory
    assert again.target is first.target
