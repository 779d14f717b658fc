"""What must always hold of whole decisions: floors, caps, idempotence; and of whole runs: a fired stop never loops."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.common.types import RiskState
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.decide import Decision
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds, updates_from_prices
from alpha_pulse.testing.snapshots import make_account, make_decider, make_snapshot, settled


@st.composite
def configs(draw: st.DrawFn) -> dict[str, dict[str, object]]:
    """Hedges and grids that an ordinary user may write down."""
    low, ratio, high = sorted(draw(st.lists(st.integers(0, 40), min_size=3, max_size=3)))
    return {
        "hedge": {
            "ratio": ratio / 40,
            "min_ratio": draw(st.sampled_from([None, low / 40])),
            "max_ratio": high / 40,
            "amplitude": draw(st.integers(0, 20)) / 20,
            "amplitude_adverse": draw(st.integers(0, 20)) / 20,
        },
        "grid": {"num_levels": draw(st.integers(1, 20)), "grid_spacing_pct": draw(st.sampled_from(["0.002", "0.01", "0.03"]))},
        "risk": {
            "stop_loss_pct": draw(st.sampled_from([None, "0.9"])),
            "max_effective_leverage": draw(st.sampled_from(["0.5", "1", "2"])),
            "max_position_size": draw(st.sampled_from([None, "0.6", "3"])),
        },
    }


positions = st.integers(-1500, 1500).map(lambda lots: f"{lots / 1000:.3f}")
sides = st.sampled_from(["1", "-1"])
sigmas = st.sampled_from([0.005, 0.02, 0.05, 0.09])


def position_if(decision: Decision, position: Decimal, *, purposes: set[Purpose]) -> Decimal:
    """The position after all placed orders of these purposes filled."""
    filled = (a.request for a in decision.approved.place if a.request.purpose in purposes)
    return position + sum((r.quantity * r.side.sign for r in filled), Decimal(0))


@settings(max_examples=150, deadline=None)
@given(configs(), positions, sides, sigmas)
def test_a_hedge_under_its_floor_is_closed_at_once_and_nothing_in_the_plan_undercuts_it(config, position, inventory, sigma):
    snapshot = make_snapshot(inventory=inventory, account=make_account(position, wallet="400000"), volatility_day=sigma)
    decision = make_decider(config).decide(snapshot)
    sign = 1 if inventory == "1" else -1
    floor = min(decision.assessment.target.floor, decision.assessment.max_abs_position)
    held = Decimal(position)
    urgent = position_if(decision, held, purposes={Purpose.FLOOR})
    least = Decimal("0.022")  # the venue's minimum, a lot, and two steps of a binding margin cap
    if floor > 0 and decision.assessment.state is RiskState.NORMAL and math.isinf(decision.assessment.reduce_to):
        assert -urgent * sign >= Decimal(repr(floor)) - least
    unwound = held + sum(
        (a.request.quantity * a.request.side.sign for a in decision.approved.place if a.request.side.sign == sign), Decimal(0)
    )
    if floor > 0 and unwound != held:
        assert -unwound * sign >= Decimal(repr(floor)) - least


@settings(max_examples=150, deadline=None)
@given(configs(), positions, sides, sigmas)
def test_everything_live_together_stays_within_the_cap(config, position, inventory, sigma):
    snapshot = make_snapshot(inventory=inventory, account=make_account(position, wallet="60000"), volatility_day=sigma)
    decision = make_decider(config).decide(snapshot)
    cap = Decimal(repr(decision.assessment.max_abs_position)) + Decimal("0.001")
    held = Decimal(position)
    for side in Side:
        requests = (a.request for a in decision.approved.place if a.request.side is side and a.request.purpose is not Purpose.STOP)
        after = held + sum((r.quantity * side.sign for r in requests), Decimal(0))
        if after != held:
            assert abs(after) <= max(cap, abs(held))


@settings(max_examples=150, deadline=None)
@given(configs(), positions, sides, sigmas)
def test_a_second_decision_on_what_the_first_one_left_sends_nothing(config, position, inventory, sigma):
    decider = make_decider(config)
    snapshot = make_snapshot(inventory=inventory, account=make_account(position, wallet="200000"), volatility_day=sigma)
    first = decider.decide(snapshot)
    after = settled(first, snapshot)
    second = decider.decide(after)
    third = decider.decide(settled(second, after))
    assert third.approved.cancel == ()
    assert third.approved.place == ()
    assert second.approved.cancel == second.approved.place == () or first.state.risk.cap != second.state.risk.cap


@settings(max_examples=60, deadline=None)
@given(configs(), positions, sides, sigmas)
def test_another_decider_decides_the_same(config, position, inventory, sigma):
    snapshot = make_snapshot(inventory=inventory, account=make_account(position), volatility_day=sigma)
    warm = make_decider(config)
    warm.decide(replace(snapshot, account=make_account("-0.1")))
    assert warm.decide(snapshot) == make_decider(config).decide(snapshot)


async def ran(path: list[float], inventory: int) -> tuple[list[EventKind], list[str], GridHedgeBot]:
    """A whole run along prices: what was told, and the purposes of its fills."""
    clock = FakeClock()
    broker = PaperBroker(PaperSettings(), FakeFeed(updates_from_prices(path), clock=clock), clock, FakeIds())
    config = {
        "inventory": {"quantity": inventory},
        "grid": {"volatility_multiple": 0, "snap": 0},
        "risk": {"stop_loss_pct": "0.05", "stop_volatility_multiple": 0, "max_drawdown": None, "var_limit_pct": None},
    }
    bot = await GridHedgeBot.create(broker=broker, symbol="BTCUSDT", config=config)
    while await bot.step():
        pass
    kinds = [stored.event.kind for stored in await bot.store.events(limit=10**6)]
    return kinds, [fill.purpose.value for fill in await broker.fills(bot.symbol)], bot


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([-0.06, -0.03, -0.011, -0.004, 0.0, 0.004, 0.011, 0.03, 0.06]), min_size=5, max_size=80),
    st.sampled_from([1, -1]),
)
async def test_a_fired_stop_never_loops(moves, inventory):
    """However price whips: no more stop fills than latches, and each latch but the last was released before the next."""
    path = [100_000.0] * 3
    for move in moves:
        path.append(round(min(300_000.0, max(30_000.0, path[-1] * (1.0 + move))), 1))
    kinds, purposes, bot = await ran(path, inventory)
    latches, releases = kinds.count(EventKind.STOP_LATCHED), kinds.count(EventKind.STOP_RELEASED)
    assert purposes.count("stop") <= latches
    assert latches - 1 <= releases <= latches
    if bot.state.risk.stop_latched:
        hedged = -float((await bot.broker.fetch_account(bot.symbol)).position.quantity) * inventory
        assert hedged >= 0.5
