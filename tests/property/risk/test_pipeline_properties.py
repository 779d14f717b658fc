"""What must hold of every target: floors, caps, bounds, an unbroken chain of contributions; and of the zones in which one stands."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import Advice, AdviceSource
from alpha_pulse.hedging.common.portfolio import PairExposure, PortfolioView
from alpha_pulse.hedging.common.types import Assessment, BotState, HedgeTarget, RiskMemory, Snapshot
from alpha_pulse.hedging.grid.calculator import target_at
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for, sizer_for
from alpha_pulse.hedging.risk.assessor import Assessor
from alpha_pulse.hedging.risk.floors import Floors
from alpha_pulse.hedging.risk.inventory import RiskConfig
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.hedging.risk.portfolio import portfolio_floor, portfolio_value_at_risk
from alpha_pulse.hedging.risk.sizers.signal import Direction
from alpha_pulse.hedging.risk.sizing import ConstantSizer, SignalSizer, Sizing
from alpha_pulse.hedging.risk.target import TargetPolicy, hedge_target
from alpha_pulse.hedging.risk.zone_parts import RatioZone, floor_zone
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.testing.snapshots import SYMBOL, make_account, make_decider, make_indicators, make_snapshot

SIZERS = ("constant", "spline", "signal", "blend")
METHODS = ("parametric", "cornish_fisher", "filtered_historical")
RATIO_STEPS = ("sizer", "funding tilt", "bounds", "cost test", "hysteresis")
HOUR = 3_600_000
EPS = 1e-9

sometimes = settings(max_examples=25, deadline=None)


@st.composite
def configs(draw: st.DrawFn, sizer: str | None = None) -> dict[str, dict[str, Any]]:
    """Pipelines that a user may write down."""
    low, ratio, high = sorted(draw(st.lists(st.integers(0, 40), min_size=3, max_size=3)))
    return {
        "hedge": {
            "sizer": sizer or draw(st.sampled_from(SIZERS)),
            "ratio": ratio / 40,
            "min_ratio": draw(st.sampled_from([None, low / 40])),
            "max_ratio": high / 40,
            "amplitude": draw(st.sampled_from([0.0, 0.25, 1.0])),
            "amplitude_adverse": draw(st.sampled_from([0.0, 0.5])),
            "funding_tilt": draw(st.sampled_from([0.0, 0.05, 0.4])),
            "max_cost_share": draw(st.sampled_from([0.01, 0.25, 10])),
            "lower_after_hours": draw(st.sampled_from([0, 6, 7, 24])),
        },
        "grid": {"num_levels": draw(st.integers(1, 20))},
        "risk": {
            "var_limit_pct": draw(st.sampled_from([None, "0.02", "0.06"])),
            "var_method": draw(st.sampled_from(METHODS)),
            "stop_loss_pct": None,
            "max_effective_leverage": draw(st.sampled_from(["0.3", "1", "2"])),
            "max_position_size": draw(st.sampled_from([None, "0.4", "3"])),
        },
        "inventory_risk": {"enabled": draw(st.booleans())},
        "llm": {"max_tilt": draw(st.sampled_from([0.0, 0.1, 0.5]))},
    }


def advice(floor: float) -> Advice:
    return Advice(
        floor=floor, commentary="", source=AdviceSource.LLM, asked_ms=0, expires_ms=10**15, prompt="", answer="", refused=(), reason="",
        cost_usd=0.0,
    )  # fmt: skip


@st.composite
def views(draw: st.DrawFn, pairs: int = 2) -> PortfolioView:
    """Pairs with any correlation that pairs can have."""
    rho = draw(st.floats(-1.0 / (pairs - 1) if pairs > 1 else 0.0, 1.0))
    value = st.floats(-1e6, 1e6)
    names = (SYMBOL, *(f"C{i}/USDT:USDT" for i in range(1, pairs)))
    values = [draw(value) for _ in names]
    exposures = [
        PairExposure(name, at, 0.0, draw(st.floats(0.0, 0.2)), size=abs(at), nav=1e5) for name, at in zip(names, values, strict=True)
    ]
    correlation = tuple(tuple(1.0 if i == j else rho for j in range(pairs)) for i in range(pairs))
    return PortfolioView(tuple(exposures), correlation, drawdown=draw(st.sampled_from([0.0, 0.1, 0.2, 0.7])))


residuals = st.sampled_from(
    [(), tuple(math.sin(1.7 * i) * 1.4 for i in range(99)), tuple(math.tan(1.3 * math.sin(2.1 * i)) for i in range(180))]
)


@st.composite
def markets(draw: st.DrawFn, now_ms: int = 60_000, price: float | None = None, sigma: float | None = None) -> dict[str, Any]:
    """What ``make_snapshot`` takes for a market of any mood."""
    at = draw(st.floats(50_000, 150_000)) if price is None else price
    spread = draw(st.sampled_from([0.2, 50.0, 2_000.0]))
    depth = st.one_of(st.just(0.0), st.floats(1.0, 1e8))
    return {
        "price": at,
        "now_ms": now_ms,
        "market": {
            "bid": at - spread / 2,
            "ask": at + spread / 2,
            "funding_rate": draw(st.floats(-0.003, 0.003)),
            "funding_interval_h": draw(st.sampled_from([1.0, 4.0, 8.0])),
            "bid_depth": draw(depth),
            "ask_depth": draw(depth),
        },
        "indicators": make_indicators(
            draw(st.floats(0.001, 0.15)) if sigma is None else sigma,
            momentum=draw(st.floats(-0.08, 0.08)),
            zscore=draw(st.floats(-5, 5)),
            volatility_rank=draw(st.floats(0, 1)),
            funding_annual=draw(st.floats(-0.3, 0.3)),
            volume_day=draw(st.sampled_from([0.0, 10.0, 1e5])),
            residuals=draw(residuals),
        ),
    }


@st.composite
def moments(draw: st.DrawFn, **market: Any) -> dict[str, Any]:
    """A market, an inventory, an account, perhaps advice and other pairs."""
    inventory = draw(st.sampled_from(["1", "-1", "0.37", "-12"]))
    held = Decimal(draw(st.integers(-1_200, 1_200))) / 1000
    return draw(markets(**market)) | {
        "inventory": inventory,
        "account": make_account(str(held), wallet=str(draw(st.sampled_from([30_000, 200_000, 5_000_000])))),
        "advice": draw(st.one_of(st.none(), st.floats(0, 1).map(advice))),
        "portfolio": draw(st.one_of(st.none(), views())),
    }


def managed(config: Mapping[str, Any]) -> HedgeRiskManager:
    return risk_manager_for(BotConfig.from_mapping(config))


def remembering(assessment: Assessment, state: BotState | None = None) -> BotState:
    keys = tuple(alert.key for alert in assessment.alerts)
    return replace(state or BotState(), target=assessment.target, risk=assessment.memory, alerts=keys)


def twice(config: Mapping[str, Any], first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[HedgeRiskManager, Snapshot, Assessment]:
    """A decision with a past: the second moment after the first."""
    manager = managed(config)
    before = manager.assess(make_snapshot(**first))
    snapshot = make_snapshot(**(dict(second) | {"inventory": first["inventory"]}), state=remembering(before))
    return manager, snapshot, manager.assess(snapshot)


# --- bounds and precedence ----------------------------------------------------------------------------------------------
@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR))
def test_ratio_and_floor_stay_within_their_bounds(config, first, second):
    manager, _, assessment = twice(config, first, second)
    target, policy = assessment.target, manager.policy
    assert policy.lowest <= target.ratio <= policy.max_ratio
    assert 0.0 <= target.floor <= 1.0
    assert target.max_ratio == policy.max_ratio
    assert target.min_ratio == (target.ratio if policy.min_ratio is None else policy.min_ratio)


@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR), st.floats(-1.5, 1.5))
def test_nothing_undercuts_a_floor_but_the_cap_and_nothing_passes_the_cap(config, first, second, x):
    decider = make_decider(config)
    state = decider.decide(make_snapshot(**first)).state
    decision = decider.decide(make_snapshot(**(second | {"inventory": first["inventory"]}), state=state))
    target, curve = decision.assessment.target, decision.curve
    inventory = float(first["inventory"])
    wanted = target_at(curve, x)
    hedge = -wanted * math.copysign(1.0, inventory)
    assert abs(wanted) <= curve.max_abs_position
    assert hedge >= min(curve.max_abs_position, abs(inventory) * max(target.min_ratio, target.floor)) * (1 - EPS)
    assert hedge <= abs(inventory) * max(target.max_ratio, target.floor) * (1 + EPS)


@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR))
def test_the_floor_covers_everything_that_asks(config, first, second):
    manager, snapshot, assessment = twice(config, first, second)
    z = manager.quantile(snapshot)
    floors = manager.rules.floors(snapshot, 0.0, z, manager.settings.var_horizon_days, manager.policy.unit)
    asked = [floors.portfolio, 0.0 if floors.inventory is None else floors.inventory.floor]
    limit = manager.settings.var_limit_pct
    if limit is not None:
        asked.append(1.0 - float(limit) / max(float(limit), z * snapshot.market.volatility_day))
    assert assessment.target.floor >= max(asked) - EPS


@sometimes
@given(configs(), moments(), st.sampled_from(["stop_latched", "drawdown_latched", "portfolio_latched"]))
def test_a_latch_is_a_floor_of_one_on_every_market(config, moment, latch):
    memory = RiskMemory(stop_reference=1e9, **{latch: True})
    assume(latch != "stop_latched" or not moment["inventory"].startswith("-"))  # its reference is far above: not back yet
    target = managed(config).assess(make_snapshot(**moment, state=BotState(risk=memory))).target
    assert target.floor == target.contributions[-1].after == 1.0


@sometimes
@given(configs(), moments(), st.floats(0, 1))
def test_advice_raises_the_floor_by_its_tilt_at_most_and_never_lowers_it(config, moment, floor):
    manager = managed(config)
    silent = manager.assess(make_snapshot(**(moment | {"advice": None}))).target
    advised = manager.assess(make_snapshot(**(moment | {"advice": advice(floor)}))).target
    assert silent.floor <= advised.floor <= silent.floor + manager.rules.advice_max_tilt + EPS
    assert advised.ratio == silent.ratio
    if floor <= silent.floor - manager.policy.unit:
        assert advised.floor == silent.floor


@sometimes
@given(configs(), moments(), st.floats(0.1, 0.9))
def test_what_a_hedge_costs_never_lowers_a_floor(config, moment, half_spread):
    manager = managed(config)
    price, market = moment["price"], moment["market"]
    dear = market | {"bid": price * (1 - half_spread), "ask": price * (1 + half_spread), "funding_rate": -0.003}
    assert manager.assess(make_snapshot(**(moment | {"market": dear}))).target.floor == manager.assess(make_snapshot(**moment)).target.floor


@sometimes
@given(configs(), moments(), st.lists(st.tuples(moments(), st.floats(0, 9)), min_size=1, max_size=4))
def test_a_ratio_rises_when_it_may_and_falls_no_sooner_than_its_wait_after_its_last_rise(config, first, later):
    manager, wait = managed(config), config["hedge"]["lower_after_hours"] * HOUR
    state = remembering(manager.assess(make_snapshot(**first)))
    now_ms, rose_ms = 60_000, None
    for moment, hours in later:
        now_ms += int(hours * HOUR) + 1
        market = {name: moment[name] for name in ("price", "market", "indicators", "advice", "portfolio")}
        assessment = manager.assess(make_snapshot(**market, inventory=first["inventory"], now_ms=now_ms, state=state))
        assert state.target is not None
        if assessment.target.ratio < state.target.ratio:
            assert rose_ms is None or now_ms - rose_ms >= wait
        elif assessment.target.ratio > state.target.ratio:
            rose_ms = now_ms
        assert assessment.target.raised_ms == (rose_ms or 0)
        state = remembering(assessment, state)


# --- the chain of contributions -----------------------------------------------------------------------------------------
def assert_chained(target: HedgeTarget) -> None:
    ratio, floor = target.contributions[:5], target.contributions[5:]
    assert [c.name for c in ratio] == list(RATIO_STEPS)
    assert [c.name for c in floor[-2:]] == ["slow fall", "latches"]
    for steps in (ratio, floor):
        assert steps[0].before == 0.0
        assert all(one.after == two.before for one, two in itertools.pairwise(steps))
    rising = [c.after for c in floor[:-2]]
    assert rising == sorted(rising)
    assert ratio[-1].after == target.ratio
    assert floor[-1].after == target.floor
    assert all(c.reason for c in target.contributions)


@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR))
def test_every_step_begins_where_the_one_before_it_ended(config, first, second):
    _, snapshot, assessment = twice(config, first, second)
    assert snapshot.state.target is not None
    assert_chained(snapshot.state.target)
    assert_chained(assessment.target)


@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR))
def test_the_target_is_the_same_object_exactly_while_nothing_moved(config, first, second):
    _, snapshot, assessment = twice(config, first, second)
    before, after = snapshot.state.target, assessment.target
    assert before is not None
    assert (before is after) is ((before.ratio, before.floor) == (after.ratio, after.floor))


@sometimes
@given(configs(), moments(), moments(now_ms=7 * HOUR))
def test_the_same_snapshot_gives_the_same_assessment_to_a_fresh_manager_too(config, first, second):
    manager, snapshot, assessment = twice(config, first, second)
    assert manager.assess(snapshot) == assessment
    assert managed(config).assess(snapshot) == assessment


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizer", SIZERS)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_a_stored_snapshot_gives_the_target_again_bit_for_bit(sizer, method, data):
    config = data.draw(configs(sizer))
    config["risk"]["var_method"] = method
    _, snapshot, assessment = twice(config, data.draw(moments()), data.draw(moments(now_ms=7 * HOUR)))
    stored = json.loads(canonical_json(encode(snapshot)))
    again = decode(Snapshot, stored)
    assert again == snapshot
    replayed = managed(config).assess(again)
    assert replayed.target == assessment.target
    assert replayed == assessment
    assert canonical_json(encode(replayed.target)) == canonical_json(encode(assessment.target))


# --- sizers -------------------------------------------------------------------------------------------------------------
@sometimes
@given(configs("signal"), moments())
def test_what_the_engine_advises_becomes_a_ratio_by_these_formulas(config, moment):
    snapshot = make_snapshot(**moment)
    sizer = sizer_for(BotConfig.from_mapping(config))
    assert isinstance(sizer, SignalSizer)
    said = sizer.size(snapshot)
    h, most, m = config["hedge"]["ratio"], config["hedge"]["max_ratio"], said.inputs["magnitude"]
    side = "LONG" if snapshot.inventory > 0 else "SHORT"
    expected = {
        Direction.HOLD.value: h,
        Direction[f"REDUCE_{side}"].value: h + m * (most - h),
        Direction[f"INCREASE_{side}"].value: h * (1 - m),
    }
    assert said.ratio == pytest.approx(expected[said.inputs["direction"]], abs=1e-12)


@sometimes
@given(st.sampled_from(SIZERS), moments(), st.integers(-2_000, 2_000))
def test_no_sizer_looks_at_the_perpetual(kind, moment, lots):
    sizer = sizer_for(BotConfig.from_mapping({"hedge": {"sizer": kind}}))
    snapshot = make_snapshot(**moment)
    moved = replace(snapshot, account=make_account(str(Decimal(lots) / 1000), wallet="77"))
    assert Sizing(*sizer.size(moved)) == Sizing(*sizer.size(snapshot))


@sometimes
@given(st.sampled_from(SIZERS), moments())
def test_every_sizer_stays_between_nothing_and_all(kind, moment):
    said = Sizing(*sizer_for(BotConfig.from_mapping({"hedge": {"sizer": kind}})).size(make_snapshot(**moment)))
    assert -EPS <= said.ratio <= 1.0 + EPS
    assert said.reason


def mirrored(moment: Mapping[str, Any]) -> dict[str, Any]:
    """The same market seen from the other side: what rose falls, who paid is paid, bids are asks."""
    market, indicators = moment["market"], moment["indicators"]
    turned = market | {
        "funding_rate": -market["funding_rate"], "bid_depth": market["ask_depth"], "ask_depth": market["bid_depth"],
    }  # fmt: skip
    flipped = indicators._replace(momentum=-indicators.momentum, zscore=-indicators.zscore, funding_annual=-indicators.funding_annual)
    inventory = moment["inventory"]
    opposite = inventory[1:] if inventory.startswith("-") else f"-{inventory}"
    return dict(moment) | {"market": turned, "indicators": flipped, "inventory": opposite}


@sometimes
@given(st.sampled_from(SIZERS), moments(), st.integers(-100, 100).map(lambda percent: percent / 100))
def test_coins_owed_in_a_mirror_are_coins_held(kind, moment, view):
    """All but what has no direction: a wild market is bearish to the engine on both sides."""

    def ratio(of: Mapping[str, Any], sentiment: float) -> float:
        sizers = {
            "spline_sentiment": 0.3, "sentiment": sentiment, "signal_volatility": 0, "signal_imbalance": 0.5, "signal_stretch": 0.5,
        }  # fmt: skip
        config = BotConfig.from_mapping({"hedge": {"sizer": kind}, "sizers": sizers})
        return risk_manager_for(config).assess(make_snapshot(**of)).target.ratio

    plain = moment | {"advice": None, "portfolio": None}
    assert ratio(mirrored(plain), -view) == pytest.approx(ratio(plain, view), abs=1e-9)


@sometimes
@given(moments(), st.floats(0, 1), st.floats(0, 1))
def test_a_rougher_market_never_lowers_the_splines_ratio(moment, calm, rough):
    sizer = sizer_for(BotConfig.from_mapping({"hedge": {"sizer": "spline"}}))
    low, high = sorted((calm, rough))
    ratios = [
        Sizing(*sizer.size(make_snapshot(**(moment | {"indicators": moment["indicators"]._replace(volatility_rank=rank)})))).ratio
        for rank in (low, high)
    ]
    assert ratios[0] <= ratios[1] + EPS


# --- the assessor -------------------------------------------------------------------------------------------------------
@sometimes
@given(moments(), st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.sampled_from([0.0, 90_000.0, 130_000.0]))
def test_more_volatility_never_asks_for_less(moment, calm, wild, entry):
    snapshot = make_snapshot(**moment)
    low, high = (
        Assessor().demand(make_snapshot(**(moment | {"indicators": make_indicators(sigma)})).market, float(snapshot.inventory), entry).floor
        for sigma in sorted((calm, wild))
    )
    assert low <= high


@sometimes
@given(moments(), st.floats(1, 1e9))
def test_an_unknown_book_never_asks_for_more_than_a_known_one(moment, depth):
    snapshot = make_snapshot(**moment)
    unknown = make_snapshot(**(moment | {"market": moment["market"] | {"bid_depth": 0.0, "ask_depth": 0.0}})).market
    known = make_snapshot(**(moment | {"market": moment["market"] | {"bid_depth": depth, "ask_depth": depth}})).market
    inventory = float(snapshot.inventory)
    assert Assessor().demand(unknown, inventory, 0.0).score <= Assessor().demand(known, inventory, 0.0).score
    assert Assessor().demand(unknown, inventory, 0.0).parts[3] == 0.0


# --- several pairs ------------------------------------------------------------------------------------------------------
@sometimes
@given(st.integers(1, 4).flatmap(views), st.floats(0.1, 5), st.floats(0.1, 30), st.floats(0.001, 0.5))
def test_the_floor_of_a_portfolio_brings_it_to_its_limit_and_is_never_above_that_of_one_correlation(view, z, horizon, limit):
    value = sum(abs(pair.inventory_value) for pair in view.pairs)
    assume(value > 1.0)
    floor = portfolio_floor(view, z, horizon, limit)
    rest = replace(view, pairs=tuple(replace(pair, inventory_value=pair.inventory_value * (1 - floor)) for pair in view.pairs))
    assert 0.0 <= floor <= 1.0
    assert portfolio_value_at_risk(rest, z, horizon) <= limit * value * (1 + 1e-6)
    summed = z * math.sqrt(horizon) * sum(abs(pair.inventory_value) * pair.volatility_day for pair in view.pairs)
    assert floor <= max(0.0, 1 - limit * value / summed if summed else 0.0) + EPS


# --- zones --------------------------------------------------------------------------------------------------------------
@st.composite
def neighbours(draw: st.DrawFn, of: Mapping[str, Any]) -> dict[str, Any]:
    """Another market, often near the first."""
    if draw(st.booleans()):
        return draw(markets(now_ms=draw(st.sampled_from([120_000, 50 * HOUR]))))
    price, sigma = of["price"] * (1 + draw(st.floats(-0.03, 0.03))), of["indicators"].volatility_day * (1 + draw(st.floats(-0.03, 0.03)))
    near = draw(markets(now_ms=120_000, price=price, sigma=sigma))
    if draw(st.booleans()):
        scale = draw(st.floats(0.3, 2.0))
        depths = {side: of["market"][side] * scale for side in ("bid_depth", "ask_depth")}
        near["market"] = of["market"] | depths | {"bid": price - 0.1, "ask": price + 0.1}
    return near


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(["spline", "signal", "blend"]), st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.4]))
def test_inside_a_ratio_zone_the_ratio_is_what_it_was(data, kind, held, tilt):
    moment = data.draw(moments())
    sizer = sizer_for(BotConfig.from_mapping({"hedge": {"sizer": kind}}))
    policy = TargetPolicy(
        sizer=sizer,
        min_ratio=data.draw(st.sampled_from([None, 0.2])),
        max_ratio=0.8,
        amplitude=0.25,
        unit=data.draw(st.sampled_from([0.01, 0.025, 0.25])),
        funding_tilt=tilt,
        funding_tilt_full=0.3,
        floor_half_life_ms=1.0,
        max_cost_share=0.25,
        lower_after_ms=data.draw(st.sampled_from([0.0, 90_000.0])),
    )
    held, raised_ms = policy.bounded(held), data.draw(st.sampled_from([0, 30_001, 60_000]))
    zone = RatioZone(policy, sizer, float(moment["inventory"]), held, raised_ms)  # type: ignore[arg-type]  # built-in sizers have ratio_on
    previous = HedgeTarget(held, 0.0, held, 0.8, raised_ms=raised_ms)
    snapshot = make_snapshot(**(moment | data.draw(neighbours(moment))), state=BotState(target=previous))
    if zone.holds(snapshot.market):
        assert hedge_target(policy, snapshot, Floors(), 0.0, ()) is previous


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([None, 0, 30_000_000]), st.sampled_from([0.0, 90_000.0, 100_000.0, 110_000.0]))
def test_inside_a_floor_zone_the_assessor_asks_for_what_it_asked(data, acquired, entry):
    moment = data.draw(moments())
    other = data.draw(neighbours(moment))
    scores = sorted(data.draw(st.lists(st.floats(5, 90), min_size=4, max_size=4, unique=True)))
    names = ("reduce_score", "hedge_partial_score", "hedge_full_score", "liquidate_score")
    assessor = Assessor(RiskConfig(**dict(zip(names, scores, strict=True))), acquired)
    snapshot, inventory = make_snapshot(**moment), float(moment["inventory"])
    zone = floor_zone(assessor, snapshot.market, inventory, entry)
    market = make_snapshot(**(moment | other)).market
    if zone.holds(market, market.reference, market.volatility_day):
        again = assessor.demand(market, inventory, entry)
        assert (again.floor, again.action) == (zone.demand.floor, zone.demand.action)


def test_a_book_that_becomes_known_and_is_thin_leaves_the_zone():
    """σ = 3 %: 18 + 6 points, HOLD; a book of 1,000 adds 15: 39, REDUCE."""
    zone = floor_zone(Assessor(), make_snapshot(volatility_day=0.03).market, 1.0, 0.0)
    thin = make_snapshot(volatility_day=0.03, market={"bid_depth": 1_000.0}).market
    assert Assessor().demand(thin, 1.0, 0.0).floor == 0.25
    assert not zone.holds(thin, thin.reference, thin.volatility_day)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_inside_a_risk_zone_target_memory_and_alerts_are_what_they_were(data):
    config, moment = data.draw(configs()), data.draw(moments())
    moment = moment | {"advice": None, "portfolio": None}
    manager, state = managed(config), BotState(inventory_entry_price=Decimal(data.draw(st.sampled_from([0, 90_000, 100_000]))))
    snapshot = make_snapshot(**moment, state=state)
    for _ in range(8):
        snapshot = replace(snapshot, state=state)
        assessment = manager.assess(snapshot)
        state, before = remembering(assessment, state), state
        if state == before:
            break
    zone = manager.zone(snapshot, assessment)
    assume(zone is not None)
    assert zone is not None
    other = data.draw(neighbours(moment))
    later = make_snapshot(**(moment | other), state=snapshot.state)
    if zone.holds(later.market):
        again = manager.assess(later)
        assert again.target is snapshot.state.target
        assert again.memory == snapshot.state.risk
        assert remembering(again, state).alerts == state.alerts


@pytest.mark.parametrize("method", METHODS)
@sometimes
@given(confidence=st.floats(0.5, 1, exclude_min=True, exclude_max=True), known=residuals)
def test_every_confidence_that_may_be_set_can_be_used_by_every_method(method, confidence, known):
    manager = managed({"risk": {"var_confidence": confidence, "var_method": method}})
    assert manager.assess(make_snapshot(indicators=make_indicators(residuals=known))).value_at_risk >= 0.0


@pytest.mark.parametrize("method", METHODS)
def test_a_confidence_of_a_half_says_nothing_of_a_tail_and_is_refused(method):
    with pytest.raises(ConfigError, match="var_confidence"):
        managed({"risk": {"var_confidence": 0.5, "var_method": method}})


def test_a_constant_sizer_is_left_to_closed_bounds_of_funding():
    """Its zone holds up to the rate that moves the ratio by a unit of 0.025: half of the tilt of 0.05, 15 % a year."""
    manager = managed({"hedge": {"funding_tilt": 0.05, "funding_tilt_full": 0.3}, "inventory_risk": {"enabled": False}})
    assert isinstance(manager.policy.sizer, ConstantSizer)
    state = BotState()
    snapshot = make_snapshot(account=make_account("-0.5", wallet="400000"))
    for _ in range(3):
        snapshot = replace(snapshot, state=state)
        assessment = manager.assess(snapshot)
        state = remembering(assessment, state)
    zone = manager.zone(snapshot, assessment)
    assert zone is not None

    def at(annual: float) -> bool:
        return zone.holds(make_snapshot(market={"funding_rate": annual / 1095}, now_ms=120_000).market)

    assert at(0.149)
    assert at(-0.149)
    assert not at(0.151)
    assert not at(-0.151)
