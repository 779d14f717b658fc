"""Questions become answers: by the libraries, with the source of everything."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpha_pulse.hedging.risk.inventory import InventoryPosition, MarketConditions, RiskConfig, assess_inventory_risk
from alpha_pulse.hedging.risk.normalizers import normalize_funding_rate, normalize_orderbook_imbalance
from alpha_pulse.hedging.risk.sizers.signal import HedgeEngine
from alpha_pulse.hedging.risk.sizers.spline import build_spline, compute_hedge, compute_multi_signal_hedge
from alpha_pulse.service.curves import CurveBook
from alpha_pulse.service.deciding import Desk
from alpha_pulse.service.problems import Problem
from alpha_pulse.service.questions import AssessQuestion, HedgeQuestion, MultiQuestion, SignalsQuestion
from alpha_pulse.service.sources import FeedDepths
from alpha_pulse.testing import PAIR, SYMBOL, FakeClock, FakeFeed, instrument, updates_from_prices
from alpha_pulse.testing.service import FixedScores
from tests.unit.docs.pages import ROOT

CURVES = CurveBook(ROOT / "config" / "curve_knots.yaml").current
POSITION = {"asset": "BTC", "size": 2.5, "entry_price": 95_000.0, "age_minutes": 240.0}
MARKET = {
    "current_price": 91_500.0,
    "volatility_1d": 0.045,
    "spot_spread_bps": 2.0,
    "perp_funding_rate": 0.08,
    "bid_depth_usd": 2_500_000.0,
    "ask_depth_usd": 2_400_000.0,
}


class Feed:
    def __init__(self, depth):
        self.depth = depth

    def depth_usd(self, asset):
        return self.depth


def desk(scores=None, feed=None, highest=1.0):
    return Desk(frozenset({"BTC", "ETH"}), scores or FixedScores({"BTC": 0.7}), feed, 1_000_000.0, highest)


def hedge(the_desk=None, **question):
    return (the_desk or desk()).hedge(HedgeQuestion(asset="BTC", amount_usd=250_000.0, **question), CURVES)


def test_a_hedge_is_what_the_sizer_says():
    found = hedge(override_score=0.4, depth_usd=5e6)
    ratio, weight = compute_hedge(0.4, 5e6, build_spline())
    assert found.response == {
        "hedge_pct": ratio,
        "notional_usd": ratio * 250_000.0,
        "confidence": weight,
        "depth_source": "request",
    }
    assert found.contributions["score"] == {"value": 0.4, "source": "request", "ts_ms": 0}
    assert found.contributions["depth"] == {"usd": 5e6, "source": "request"}


def test_without_an_override_the_score_is_the_latest():
    assert hedge().contributions["score"] == {"value": 0.7, "source": "redis", "ts_ms": 1}
    assert "override_score" not in hedge().request


def test_an_override_of_zero_is_one():
    assert hedge(override_score=0.0).contributions["score"]["value"] == 0.0


def test_without_a_score_the_answer_is_503_with_the_reason():
    with pytest.raises(Problem) as caught:
        hedge(desk(FixedScores()))
    assert caught.value.status == 503
    assert "no score for BTC" in caught.value.detail
    assert caught.value.headers["retry-after"]


def test_the_depth_is_the_requests_then_redis_then_the_feeds_then_the_default():
    redis = FixedScores({"BTC": 0.7}, {"BTC": 3e6})
    found = [
        hedge(desk(redis, Feed(2e6)), depth_usd=0.0),
        hedge(desk(redis, Feed(2e6))),
        hedge(desk(feed=Feed(2e6))),
        hedge(desk(feed=Feed(None))),
        hedge(),
    ]
    assert [each.response["depth_source"] for each in found] == ["request", "redis", "feed", "default", "default"]
    assert [each.contributions["depth"]["usd"] for each in found] == [0.0, 3e6, 2e6, 1e6, 1e6]


async def test_a_market_feed_gives_the_thinner_side_while_it_is_fresh():
    clock = FakeClock()
    [bar] = updates_from_prices([100.0], bid_depth=3e6, ask_depth=2e6)
    feed = FakeFeed([bar, bar._replace(bid_depth=0.0)])
    depths = FeedDepths(feed, {"BTC": SYMBOL}, clock)
    assert depths.depth_usd("BTC") is None
    await feed.open(PAIR, instrument())
    await feed.next(SYMBOL)
    clock.advance_to(bar.close_ms)
    assert depths.depth_usd("BTC") == 2e6
    assert depths.depth_usd("ETH") is None
    clock.advance_to(bar.close_ms + 60_001)
    assert depths.depth_usd("BTC") is None
    await feed.next(SYMBOL)
    assert depths.depth_usd("BTC") is None


@given(st.floats(0, 1), st.floats(0, 1e15), st.floats(1e-9, 1e12), st.floats(0, 1))
def test_no_hedge_is_above_the_most_nor_its_notional_above_the_amount(score, depth, amount, highest):
    question = HedgeQuestion(asset="BTC", amount_usd=amount, override_score=score, depth_usd=depth)
    found = desk(highest=highest).hedge(question, CURVES).response
    assert 0.0 <= found["hedge_pct"] <= highest
    assert 0.0 <= found["notional_usd"] <= amount
    assert 0.0 <= found["confidence"] <= 1.0


def test_an_asset_that_is_not_configured_is_refused_by_name():
    with pytest.raises(Problem) as caught:
        desk().hedge(HedgeQuestion(asset="DOGE", amount_usd=1.0, override_score=0.5), CURVES)
    assert caught.value.status == 422
    assert caught.value.errors[0].field == "asset"
    assert "BTC" in caught.value.errors[0].fix


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount_usd", 0), ("amount_usd", -1), ("amount_usd", 1.0000001e12), ("amount_usd", float("nan")), ("amount_usd", float("inf")),
        ("amount_usd", "5"), ("amount_usd", True), ("amount_usd", None), ("override_score", 1.01), ("override_score", -0.01),
        ("depth_usd", -1), ("depth_usd", float("inf")), ("asset", "btc"), ("asset", ""), ("asset", "BTC\n"), ("asset", 5), ("extra", 1),
    ],
)  # fmt: skip
def test_a_question_out_of_range_is_no_question(field, value):
    with pytest.raises(ValidationError) as caught:
        HedgeQuestion.model_validate({"asset": "BTC", "amount_usd": 1.0} | {field: value})
    assert caught.value.errors()[0]["loc"] == (field,)


def test_several_signals_are_what_the_sizer_says_and_the_most_holds():
    question = MultiQuestion(
        asset="ETH", amount_usd=1000.0, signals={"sentiment": 0.9, "funding": 0.8}, weights={"sentiment": 2.0, "funding": 1.0}
    )
    found = desk(highest=0.5).multi(question, CURVES).response
    expected = compute_multi_signal_hedge(question.signals, question.weights or {}, 1e6, CURVES.configs)
    assert {key: found[key] for key in expected} == expected
    assert expected["weighted_hedge"] > 0.5
    assert (found["hedge_pct"], found["notional_usd"]) == (0.5, 500.0)


def test_signals_without_weights_count_the_same():
    question = MultiQuestion(asset="ETH", amount_usd=1000.0, signals={"sentiment": 0.9, "funding": 0.8})
    assert [each["weight"] for each in desk().multi(question, CURVES).response["signals"].values()] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("signals", "weights", "field"),
    [
        ({"sentiment": 0.5, "astrology": 0.5}, None, "signals.astrology"),
        ({"sentiment": 0.5}, {"funding": 1.0}, "signals.sentiment"),
        ({"sentiment": 0.5}, {"sentiment": 1.0, "funding": 1.0}, "weights.funding"),
        ({"sentiment": 0.5}, {"sentiment": 0.0}, "weights"),
    ],
)
def test_signals_that_do_not_fit_are_named(signals, weights, field):
    with pytest.raises(Problem) as caught:
        desk().multi(MultiQuestion(asset="ETH", amount_usd=1.0, signals=signals, weights=weights), CURVES)
    assert caught.value.status == 422
    assert caught.value.errors[0].field == field


def ask_signals(*signals, **others):
    return desk().signals(SignalsQuestion.model_validate({"position_delta_usd": 150_000.0, "signals": list(signals), **others}), CURVES)


def test_the_signal_engine_decides():
    found = ask_signals({"name": "momentum", "value": -0.6, "weight": 0.5}, {"name": "mood", "value": 0.2, "weight": 0.1}).response
    engine = HedgeEngine()
    engine.add_signal("momentum", -0.6, 0.5)
    engine.add_signal("mood", 0.2, 0.1)
    expected = engine.compute(150_000.0)
    assert found["direction"] == expected.direction.value
    assert (found["magnitude"], found["combined_signal"], found["reasoning"]) == (
        expected.magnitude,
        expected.combined_signal,
        expected.reasoning,
    )
    assert found["signal_breakdown"]["mood"] == asdict(expected.signal_breakdown["mood"])


def test_readings_are_normalised_by_name():
    found = ask_signals(
        {"name": "funding", "normalizer": "funding_rate", "readings": [0.04], "weight": 1},
        {"name": "book", "normalizer": "orderbook_imbalance", "readings": [2e6, 1e6], "weight": 1},
    ).response["signal_breakdown"]
    assert found["funding"]["value"] == normalize_funding_rate(0.04)
    assert found["funding"]["raw_value"] == 0.04
    assert found["book"]["value"] == normalize_orderbook_imbalance(2e6, 1e6)


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        ({"normalizer": "orderbook_imbalance", "readings": [1.0]}, "signals.0.readings"),
        ({"normalizer": "volatility_regime", "readings": [-1.0]}, "signals.0.readings.vol"),
        ({"normalizer": "zscore", "readings": [1.0, 1.0, -1.0]}, "signals.0.readings.std"),
    ],
)
def test_readings_that_do_not_suit_are_named(signal, field):
    with pytest.raises(Problem) as caught:
        ask_signals({"name": "x", "weight": 1.0, **signal})
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize("signal", [{}, {"value": 0.1, "readings": [1.0]}, {"normalizer": "funding_rate"}, {"value": 1.5}])
def test_a_signal_is_a_value_or_readings(signal):
    with pytest.raises(ValidationError):
        ask_signals({"name": "x", "weight": 1.0, **signal})


def test_a_signal_is_given_once():
    with pytest.raises(Problem, match="given twice"):
        ask_signals({"name": "x", "value": 0.1, "weight": 1.0}, {"name": "x", "value": 0.2, "weight": 1.0})


def test_no_signals_mean_hold():
    assert ask_signals().response["direction"] == "HOLD"


def ask_assessor(config=None, **position):
    return desk().assess(AssessQuestion.model_validate({"position": POSITION | position, "market": MARKET, "config": config}), CURVES)


def test_the_assessor_answers_with_its_own_names():
    found = ask_assessor().response
    expected = asdict(assess_inventory_risk(InventoryPosition(**POSITION), MarketConditions(**MARKET)))
    assert found == expected
    assert type(found["action"]) is str
    assert type(found["suggested_hedge"]["instrument"]) is str


def test_any_number_of_the_configuration_may_be_given():
    assert ask_assessor({"max_hedge_cost_bps": 0.5}).response["action"] == "HOLD"
    assert ask_assessor({"urgent_minutes": 1, "elevated_minutes": 2}).response["re_evaluate_minutes"] == 2
    assert set(AssessQuestion.model_json_schema()["$defs"]["RiskConfigGiven"]["properties"]) == set(asdict(RiskConfig()))


@pytest.mark.parametrize(
    ("config", "position", "field"),
    [
        ({"reduce_score": 99.0}, {}, "config.reduce_score"),
        (None, {"entry_price": 0.0}, "position.entry_price"),
    ],
)
def test_what_the_assessor_refuses_is_named_in_the_body(config, position, field):
    with pytest.raises(Problem) as caught:
        ask_assessor(config, **position)
    assert (caught.value.status, caught.value.errors[0].field) == (422, field)
