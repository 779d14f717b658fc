"""The inventory assessor as a floor of the bot: what counts, what never does, and what it only proposes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.common.types import Assessment, BotState, RiskMemory, Snapshot
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import assessor_for, risk_manager_for
from alpha_pulse.hedging.risk.assessor import Assessor, Demand
from alpha_pulse.hedging.risk.inventory import Action, RiskConfig
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds, updates_from_prices
from alpha_pulse.testing.snapshots import make_indicators, make_instrument, make_snapshot

MINUTE = 60_000
NO_VAR = {"risk": {"var_limit_pct": None}}


def demand(snapshot: Snapshot, assessor: Assessor | None = None, entry: float = 0.0) -> Demand:
    return (assessor or Assessor()).demand(snapshot.market, float(snapshot.inventory), entry)


def assess(snapshot: Snapshot, config: Mapping[str, Any] | None = None) -> Assessment:
    return risk_manager_for(BotConfig.from_mapping(NO_VAR | dict(config or {}))).assess(snapshot)


# --- the score ----------------------------------------------------------------------------------------------------------
def test_the_assessors_own_example_gives_the_same_score_in_the_bot():
    """10 BTC at 44,000, 5 % a day, an hour old, books of 5 million: 30 + 2.5 + 15 + 15·440,000/5,000,000 = 48.82, half."""
    snapshot = make_snapshot(
        44_000.0, inventory="10", volatility_day=0.05, now_ms=100 * MINUTE, market={"bid_depth": 5e6, "ask_depth": 5e6}
    )
    said = demand(snapshot, Assessor(acquired_ms=40 * MINUTE), entry=45_000.0)
    assert said.parts == pytest.approx((30.0, 2.5, 15.0, 1.32))
    assert said.score == pytest.approx(48.82)
    assert (said.action, said.floor) == (Action.HEDGE_PARTIAL, 0.5)
    assert said.loss == pytest.approx(1000 / 45_000)


@pytest.mark.parametrize(("sigma", "score", "floor"), [(0.02, 16.0, 0.0), (0.049, 39.2, 0.25), (0.05, 45.0, 0.5), (0.08, 55.0, 0.5)])
def test_volatility_alone_sets_these_floors(sigma, score, floor):
    """Severity 30·σ/5 % up to 30, and 10·σ/5 %, 15 from 5 %, 25 from 8 %."""
    said = demand(make_snapshot(volatility_day=sigma))
    assert said.score == pytest.approx(score)
    assert said.floor == floor
    assert assess(make_snapshot(volatility_day=sigma)).target.floor == pytest.approx(floor)


def test_a_book_that_is_not_known_gives_no_points():
    assert demand(make_snapshot(market={"bid_depth": 0.0, "ask_depth": 1.0})).parts[3] == 0.0


@pytest.mark.parametrize(("inventory", "points"), [("1", 15 * 1e5 / 4e5), ("-1", 15 * 1e5 / 6e5)])
def test_the_side_that_a_sale_of_the_inventory_would_hit_counts(inventory, points):
    snapshot = make_snapshot(inventory=inventory, market={"bid_depth": 4e5, "ask_depth": 6e5})
    assert demand(snapshot).parts[3] == pytest.approx(points)


def test_price_is_the_inventorys_own_and_not_the_perpetuals():
    spot = make_snapshot(50_000.0).market.raw.spot
    snapshot = make_snapshot(100_000.0, market={"spot": spot, "bid_depth": 4e5})
    assert demand(snapshot).parts[3] == pytest.approx(15 * 5e4 / 4e5)
    assert demand(snapshot, entry=50_000.0).loss == 0.0


# --- age ----------------------------------------------------------------------------------------------------------------
def test_a_holders_coins_do_not_age():
    assert demand(make_snapshot(now_ms=10**12)).parts[1] == 0.0


def test_coins_with_a_date_age_and_those_bought_tomorrow_do_not_yet():
    assert demand(make_snapshot(now_ms=240 * MINUTE), Assessor(acquired_ms=0)).parts[1] == pytest.approx(10.0)
    assert demand(make_snapshot(now_ms=10**12), Assessor(acquired_ms=0)).parts[1] == 20.0
    assert demand(make_snapshot(now_ms=MINUTE), Assessor(acquired_ms=10**12)).parts[1] == 0.0


def test_the_date_of_the_settings_is_meant_in_utc_and_zones_are_heeded():
    def acquired(text: str) -> int | None:
        made = assessor_for(BotConfig.from_mapping({"inventory": {"acquired_at": text}}))
        return None if made is None else made.acquired_ms

    assert acquired("2025-01-01T00:00:00") == 1_735_689_600_000
    assert acquired("2025-01-01T01:00:00+01:00") == 1_735_689_600_000
    plain = assessor_for(BotConfig())
    assert plain is not None
    assert plain.acquired_ms is None


# --- loss ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("inventory", "price", "floor"), [("1", 97_999.0, 0.25), ("1", 98_000.0, 0.0), ("1", 110_000.0, 0.0), ("-1", 102_001.0, 0.25)]
)
def test_a_loss_from_entry_beyond_the_trigger_asks_for_a_first_step(inventory, price, floor):
    snapshot = make_snapshot(price, inventory=inventory, state=BotState(inventory_entry_price=Decimal(100_000)))
    assert assess(snapshot).target.floor == pytest.approx(floor)


def test_without_an_entry_there_is_no_loss():
    assert demand(make_snapshot(1.0)).loss == 0.0


# --- cost ---------------------------------------------------------------------------------------------------------------
def test_no_cost_ever_lowers_the_floor():
    """A spread of 20 %, a fee of 5 %, funding that costs the hedge 500 % a year."""
    cheap = make_snapshot(volatility_day=0.06)
    dear = make_snapshot(
        volatility_day=0.06,
        market={"bid": 90_000.0, "ask": 110_000.0, "funding_rate": -0.005},
        indicators=make_indicators(0.06, funding_annual=-5.0),
        instrument=make_instrument(taker_fee=Decimal("0.05")),
    )
    assert demand(dear) == demand(cheap)
    assert assess(dear).target.floor == assess(cheap).target.floor == 0.5


def test_the_assessor_can_be_switched_off():
    off = {"inventory_risk": {"enabled": False}}
    assert assess(make_snapshot(volatility_day=0.2), off).target.floor == 0.0
    assert assessor_for(BotConfig.from_mapping(off)) is None


def test_the_thresholds_of_the_settings_are_the_assessors():
    snapshot = make_snapshot(volatility_day=0.02)  # 16 points
    assert assess(snapshot, {"inventory_risk": {"reduce_score": 15.9}}).target.floor == pytest.approx(0.25)
    assert assess(snapshot, {"inventory_risk": {"reduce_score": 10, "partial_score": 15.9}}).target.floor == pytest.approx(0.5)
    severe = {"reduce_score": 33, "max_loss_pct": "0.02"}  # 30·(5/2)·(2/5) = 30, and 4
    assert assess(snapshot, {"inventory_risk": severe}).target.floor == pytest.approx(0.25)
    assert assess(snapshot, {"inventory_risk": {"reduce_score": 33}}).target.floor == 0.0
    lossy = make_snapshot(99_000.0, volatility_day=0.01, state=BotState(inventory_entry_price=Decimal(100_000)))
    assert assess(lossy, {"inventory_risk": {"hedge_trigger_loss_pct": "0.009"}}).target.floor == pytest.approx(0.25)


# --- what it proposes ---------------------------------------------------------------------------------------------------
SELLING = {"inventory": {"allow_spot_sell": True}}


def wild(funding: float, hedge_by: str = "", **more: Any) -> Snapshot:
    state = BotState(risk=RiskMemory(hedge_by=hedge_by))
    return make_snapshot(state=state, indicators=make_indicators(0.06, funding_annual=funding), **more)


def keys(assessment: Assessment) -> list[str]:
    return [alert.key for alert in assessment.alerts]


def test_coins_are_never_proposed_for_sale_unless_the_user_allows_it():
    assert "spot is cheaper" not in keys(assess(wild(-0.5)))
    assert assess(wild(-0.5)).memory.hedge_by == ""
    assert "spot is cheaper" in keys(assess(wild(-0.5), SELLING))


def test_a_proposal_says_how_much_and_why():
    text = next(alert.text for alert in assess(wild(-0.05), SELLING).alerts if alert.key == "spot is cheaper")
    assert "Selling 50% of the 1 BTC" in text
    assert "-5.0%" in text


def test_a_calm_inventory_is_left_alone():
    calm = make_snapshot(indicators=make_indicators(0.01, funding_annual=-0.5))
    assert keys(assess(calm, SELLING)) == []


def test_coins_owed_are_not_for_sale():
    assessment = assess(wild(-0.5, "spot", inventory="-1"), SELLING)
    assert assessment.memory.hedge_by == ""
    assert "spot is cheaper" not in keys(assessment)


@pytest.mark.parametrize(
    ("held", "funding", "picked"),
    [
        ("", 0.021, "perpetual"),
        ("", 0.02, "spot"),
        ("spot", 0.019, "spot"),
        ("spot", 0.021, "perpetual"),
        ("perpetual", 0.019, "perpetual"),
        ("perpetual", 0.011, "perpetual"),
        ("perpetual", 0.01, "spot"),
    ],
)
def test_the_instrument_changes_only_when_smoothed_funding_leaves_a_dead_band(held, funding, picked):
    assert assess(wild(funding, held), SELLING).memory.hedge_by == picked


def test_the_rate_of_the_moment_does_not_pick_the_instrument():
    snapshot = wild(0.05, "perpetual", market={"funding_rate": -0.003})
    assert assess(snapshot, SELLING).memory.hedge_by == "perpetual"


def test_funding_that_swings_inside_the_band_changes_nothing():
    held = "perpetual"
    for step in range(200):
        held = assess(wild(0.015 + 0.0045 * (-1) ** step, held), SELLING).memory.hedge_by
        assert held == "perpetual"


def test_a_hopeless_inventory_is_hedged_in_full_and_its_sale_is_a_persons_choice():
    """σ = 8 %: 55 points and full ones for a book of nothing and for age: 90."""
    snapshot = make_snapshot(volatility_day=0.08, now_ms=10**12, market={"bid_depth": 1.0})
    assessment = assess(snapshot, {"inventory": {"acquired_at": "1970-01-01T00:00:00Z"}})
    assert assessment.target.floor == 1.0
    assert "liquidate inventory" in keys(assessment)


@pytest.mark.parametrize("held", ["spot", "perpetual"])
@pytest.mark.parametrize("config", [{}, {"inventory_risk": {"enabled": False}} | SELLING])
def test_a_permission_that_was_taken_back_ends_the_proposals(held, config):
    assessment = assess(wild(-0.5, held), config)
    assert "spot is cheaper" not in keys(assessment)
    assert assessment.memory.hedge_by == ""


@pytest.mark.parametrize(
    ("held", "funding", "picked"),
    [
        ("", -0.0099, "perpetual"),
        ("", -0.01, "spot"),
        ("spot", -0.01, "spot"),
        ("spot", -0.0099, "perpetual"),
        ("perpetual", -0.0101, "perpetual"),
        ("perpetual", -0.0149, "perpetual"),
        ("perpetual", -0.0151, "spot"),
    ],
)
def test_below_zero_the_dead_band_lies_under_the_threshold_too(held, funding, picked):
    assessor = Assessor(RiskConfig(funding_threshold=-0.01), allow_spot_sell=True)
    assert assessor.instrument(wild(funding), held) == picked


def test_with_a_negative_threshold_the_dead_band_still_holds():
    assessor = Assessor(RiskConfig(funding_threshold=-0.01), allow_spot_sell=True)
    held, seen = "", []
    for _ in range(4):
        held = assessor.instrument(wild(-0.007), held)
        seen.append(held)
    assert len(set(seen)) == 1


# --- the entry ----------------------------------------------------------------------------------------------------------
async def run_once(store: MemoryStore, config: dict[str, Any]) -> GridHedgeBot:
    clock = FakeClock()
    broker = PaperBroker(PaperSettings(), FakeFeed(updates_from_prices([100_000.0] * 3), clock=clock), clock, FakeIds())
    bot = await GridHedgeBot.create(broker=broker, symbol="BTCUSDT", config=config, store=store)
    while await bot.step():
        pass
    await bot.stop()
    return bot


async def test_the_first_price_seen_stays_the_entry_over_a_restart():
    store = MemoryStore()
    first = await run_once(store, {})
    again = await run_once(store, {"hedge": {"ratio": 0.6}})
    assert again.state.inventory_entry_price == first.state.inventory_entry_price == Decimal("100000.0")


async def test_an_entry_that_the_user_writes_down_later_is_taken():
    store = MemoryStore()
    await run_once(store, {})
    again = await run_once(store, {"inventory": {"entry_price": 120_000}})
    assert again.state.inventory_entry_price == 120_000
    corrected = await run_once(store, {"inventory": {"entry_price": 110_000}})
    assert corrected.state.inventory_entry_price == 110_000


async def test_an_entry_that_is_no_longer_written_down_stays():
    store = MemoryStore()
    await run_once(store, {"inventory": {"entry_price": 120_000}})
    again = await run_once(store, {})
    assert again.state.inventory_entry_price == 120_000
