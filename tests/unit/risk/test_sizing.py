"""The sizers as the bot uses them: from a market and an inventory to a ratio, with its reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for, sizer_for
from alpha_pulse.hedging.risk.observations import market_scores, market_signals
from alpha_pulse.hedging.risk.sizers.signal import Direction
from alpha_pulse.hedging.risk.sizers.spline import SIGNAL_CONFIGS, build_spline
from alpha_pulse.hedging.risk.sizing import BlendSizer, ConstantSizer, SignalSizer, Sizer, Sizing, SplineSizer
from alpha_pulse.testing.snapshots import make_account, make_indicators, make_snapshot


def sizer(hedge: Mapping[str, Any], **sizers: Any) -> Sizer:
    return sizer_for(BotConfig.from_mapping({"hedge": hedge, "sizers": sizers}))


def sized(snapshot: Snapshot, hedge: Mapping[str, Any], **sizers: Any) -> Sizing:
    return Sizing(*sizer(hedge, **sizers).size(snapshot))


def seeing(*, inventory: str = "1", market: Mapping[str, Any] | None = None, volatility_day: float = 0.01, **indicators: Any) -> Snapshot:
    return make_snapshot(inventory=inventory, market=market or {}, indicators=make_indicators(volatility_day, **indicators))


ONLY_MOMENTUM = {"signal_funding": 0, "signal_momentum": 1, "signal_volatility": 0}
SIGNAL = {"sizer": "signal", "ratio": 0.5}


# --- constant -----------------------------------------------------------------------------------------------------------
def test_the_constant_sizer_says_what_was_written_down_on_every_market():
    for snapshot in (seeing(), seeing(inventory="-3", momentum=-0.05, volatility_rank=1.0)):
        assert sized(snapshot, {"ratio": 0.37}).ratio == 0.37


# --- scores -------------------------------------------------------------------------------------------------------------
def test_scores_rise_with_the_reason_to_hedge_a_holding():
    """Momentum −2.5 % a day is half of a full fall: 0.75. 0.05 % in 8 h is half of the extreme 0.1 %: 0.75. Sentiment 0.2: 0.6."""
    snapshot = seeing(market={"funding_rate": 0.0005}, momentum=-0.025, volatility_rank=0.3)
    scores = market_scores(snapshot.market, 1.0, 0.2)
    assert scores == pytest.approx({"volatility": 0.3, "momentum": 0.75, "funding": 0.75, "sentiment": 0.6})


def test_for_coins_owed_all_but_volatility_is_turned_round():
    snapshot = seeing(market={"funding_rate": 0.0005}, momentum=-0.025, volatility_rank=0.3)
    scores = market_scores(snapshot.market, -1.0, 0.2)
    assert scores == pytest.approx({"volatility": 0.3, "momentum": 0.25, "funding": 0.25, "sentiment": 0.4})


def test_without_an_opinion_sentiment_is_neutral_on_both_sides():
    snapshot = seeing()
    assert market_scores(snapshot.market, 1.0, None)["sentiment"] == 0.5
    assert market_scores(snapshot.market, -1.0, None)["sentiment"] == 0.5


@pytest.mark.parametrize(("rate", "interval_h"), [(0.0004, 8.0), (0.0002, 4.0), (0.00005, 1.0)])
def test_the_funding_score_is_of_a_rate_per_eight_hours_whatever_the_interval(rate, interval_h):
    """0.04 % in 8 h: (0.0004 + 0.001)/0.002 = 0.7."""
    snapshot = seeing(market={"funding_rate": rate, "funding_interval_h": interval_h})
    assert market_scores(snapshot.market, 1.0, None)["funding"] == pytest.approx(0.7)


# --- spline -------------------------------------------------------------------------------------------------------------
def test_the_spline_sizer_weighs_the_curves_at_their_knots():
    """Volatility 0.8 → 0.80, momentum 0.5 → 0.20, funding 0.6 → 0.50 (a rate of 0.02 %): 0.4·0.8 + 0.4·0.2 + 0.2·0.5 = 0.5."""
    snapshot = seeing(market={"funding_rate": 0.0002}, volatility_rank=0.8)
    assert sized(snapshot, {"sizer": "spline"}).ratio == pytest.approx(0.5)


def test_between_the_knots_it_is_the_monotone_interpolant_of_scipy():
    from scipy.interpolate import PchipInterpolator  # noqa: PLC0415 - slow to import

    curves = {name: PchipInterpolator(*zip(*SIGNAL_CONFIGS[name].knots, strict=True)) for name in SIGNAL_CONFIGS}
    scores = {"volatility": 0.37, "momentum": 0.5 * (1 + 0.013 / 0.05), "funding": (0.00031 + 0.001) / 0.002, "sentiment": 0.85}
    weights = {"volatility": 3, "momentum": 1, "funding": 2, "sentiment": 4}
    expected = sum(weights[name] * float(curves[name](scores[name])) for name in weights) / 10
    snapshot = seeing(market={"funding_rate": 0.00031}, momentum=-0.013, volatility_rank=0.37)
    given = {f"spline_{name}": weight for name, weight in weights.items()}
    assert sized(snapshot, {"sizer": "spline"}, sentiment=0.7, **given).ratio == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["spline", "blend"])
def test_depth_sets_the_pace_and_not_the_protection(kind):
    """Equal depths on both sides say nothing about direction either."""
    books = [seeing(market={"bid_depth": depth, "ask_depth": depth}, volatility_rank=0.9) for depth in (0.0, 10.0, 1e9)]
    assert len({sized(book, {"sizer": kind}).ratio for book in books}) == 1


def test_what_has_no_weight_is_left_out():
    snapshot = seeing(volatility_rank=0.4)
    alone = sized(snapshot, {"sizer": "spline"}, spline_volatility=7, spline_momentum=0, spline_funding=0)
    assert alone.ratio == pytest.approx(0.30)
    assert set(alone.inputs) == {"volatility"}


def test_the_spline_sizer_tells_what_each_curve_adds():
    said = sized(seeing(volatility_rank=0.8), {"sizer": "spline"})
    assert sum(part["contribution"] for part in said.inputs.values()) == pytest.approx(said.ratio)
    assert said.inputs["volatility"] == pytest.approx({"score": 0.8, "weight": 0.4, "contribution": 0.32})
    assert "volatility 0.80 → 32.0%" in said.reason


def test_a_curve_of_the_users_own_replaces_the_built_in_one_and_no_other():
    straight = {"volatility": {"knots": [{"score": 0, "hedge": 0}, {"score": 1, "hedge": 1}]}}
    snapshot = seeing(volatility_rank=0.8)
    only = {"spline_momentum": 0, "spline_funding": 0}
    assert sized(snapshot, {"sizer": "spline"}, curves=straight, **only).ratio == pytest.approx(0.8)
    only = {"spline_volatility": 0, "spline_funding": 0}
    assert sized(snapshot, {"sizer": "spline"}, curves=straight, **only).ratio == pytest.approx(0.2)  # momentum's own knot at 0.5


def test_a_curve_of_an_unknown_name_is_refused():
    straight = {"volatilty": {"knots": [{"score": 0, "hedge": 0}, {"score": 1, "hedge": 1}]}}
    with pytest.raises(ConfigError, match="volatilty"):
        sizer({"sizer": "spline"}, curves=straight)


# --- signals ------------------------------------------------------------------------------------------------------------
def test_signals_are_positive_where_prices_are_expected_to_rise():
    """5 % a year in funding is half of the extreme, and bearish; 0.035 lies half-way from calm 0.02 to usual 0.05; 1.5 of 3 σ is half."""
    rate = 0.05 / (365 * 3)
    book = {"funding_rate": rate, "bid_depth": 3e6, "ask_depth": 1e6}
    market = seeing(market=book, volatility_day=0.035, momentum=0.02, zscore=1.5).market
    values = {name: value for name, (value, _) in market_signals(market, 1.0).items()}
    assert values == pytest.approx({"funding": -0.5, "momentum": 0.4, "volatility": 0.5, "stretch": -0.5, "imbalance": 0.5})
    assert {name: raw for name, (_, raw) in market_signals(market, 1.0).items()} == pytest.approx(
        {"funding": 0.05, "momentum": 0.02, "volatility": 0.035, "stretch": 1.5, "imbalance": 0.5}
    )


@pytest.mark.parametrize(("sigma", "calm"), [(0.02, 1.0), (0.035, 0.5), (0.05, 0.0), (0.075, -0.5), (0.10, -1.0), (0.3, -1.0)])
def test_volatility_speaks_against_holding_and_against_owing_alike(sigma, calm):
    """It is no forecast of prices: for coins owed its sign is turned, and that of nothing else."""
    market = seeing(market={"funding_rate": 0.0001}, volatility_day=sigma, momentum=0.02, zscore=1.5).market
    held, owed = market_signals(market, 3.0), market_signals(market, -0.2)
    assert held["volatility"] == pytest.approx((calm, sigma))
    assert owed["volatility"] == pytest.approx((-calm, sigma))
    assert {name: said for name, said in held.items() if name != "volatility"} == {
        name: said for name, said in owed.items() if name != "volatility"
    }


@pytest.mark.parametrize("depths", [(0.0, 0.0), (1e6, 0.0), (0.0, 1e6)])
def test_a_book_that_is_not_known_on_both_sides_gives_no_signal(depths):
    bids, asks = depths
    assert "imbalance" not in market_signals(seeing(market={"bid_depth": bids, "ask_depth": asks}).market, 1.0)


def test_reduce_moves_the_ratio_towards_the_most():
    """−2.5 % a day is −0.5; alone its confidence is 0.5, so 0.2 + 0.8·0.5 = 0.6; 1 BTC at 100,000 is the baseline: a factor of 1.5.

    m = 0.5·0.6·1.5 = 0.45; h + m·(h_max − h) = 0.5 + 0.45·(0.9 − 0.5) = 0.68.
    """
    said = sized(seeing(momentum=-0.025), SIGNAL | {"max_ratio": 0.9}, **ONLY_MOMENTUM)
    assert said.inputs["direction"] == Direction.REDUCE_LONG.value
    assert said.inputs["magnitude"] == pytest.approx(0.45)
    assert said.ratio == pytest.approx(0.68)


def test_increase_takes_its_magnitude_off_the_ratio():
    """+4 % a day is 0.8, above conviction. Confidence 0.8: 0.84. 0.25 BTC is a quarter of the baseline: 1.25. Halved as it adds.

    m = 0.8·0.84·1.25/2 = 0.42; h·(1 − m) = 0.5·0.58 = 0.29.
    """
    said = sized(seeing(inventory="0.25", momentum=0.04), SIGNAL, **ONLY_MOMENTUM)
    assert said.ratio == pytest.approx(0.29)


@pytest.mark.parametrize("momentum", [0.024, 0.004, 0.0, -0.004])
def test_hold_keeps_the_ratio(momentum):
    """0.48 agrees without conviction, ±0.08 is below the action threshold."""
    assert sized(seeing(momentum=momentum), SIGNAL, **ONLY_MOMENTUM).ratio == 0.5


def test_the_engine_is_fed_the_inventory_at_spot_in_quote_units_and_never_the_net():
    """4 BTC at a spot of 25,000: the baseline of 100,000, whatever the perpetual holds and trades at."""
    spot = make_snapshot(25_000.0).market.raw.spot
    ratios = set()
    for position in ("0", "-2", "-4", "-5"):
        snapshot = make_snapshot(
            40_000.0,
            inventory="4",
            account=make_account(position, entry="40000", wallet="900000"),
            market={"spot": spot},
            indicators=make_indicators(momentum=-0.025),
        )
        said = sized(snapshot, SIGNAL, **ONLY_MOMENTUM)
        ratios.add(said.ratio)
        assert "long of 100,000 USD" in said.reason
    assert len(ratios) == 1
    assert ratios.pop() == pytest.approx(0.725)


def test_while_spot_is_out_the_index_values_the_inventory():
    snapshot = make_snapshot(inventory="4", market={"spot": None, "index_price": 25_000.0}, indicators=make_indicators(momentum=-0.025))
    assert "long of 100,000 USD" in sized(snapshot, SIGNAL, **ONLY_MOMENTUM).reason


def test_coins_owed_are_reduced_by_rising_prices():
    said = sized(seeing(inventory="-1", momentum=0.025), SIGNAL | {"max_ratio": 0.9}, **ONLY_MOMENTUM)
    assert said.ratio == pytest.approx(0.68)
    assert "short of 100,000 USD" in said.reason
    assert said.inputs["direction"] == Direction.REDUCE_SHORT.value
    assert sized(seeing(inventory="-1", momentum=-0.025), SIGNAL, **ONLY_MOMENTUM).ratio == 0.5


def test_the_thresholds_and_scales_of_the_settings_reach_the_engine():
    snapshot = seeing(momentum=-0.025)
    assert sized(snapshot, SIGNAL, **ONLY_MOMENTUM, signal_action_threshold=0.6).ratio == 0.5
    assert sized(snapshot, SIGNAL, **ONLY_MOMENTUM, signal_size_scaling=0).ratio == pytest.approx(0.5 + 0.3 * 0.5)
    assert sized(snapshot, SIGNAL, **ONLY_MOMENTUM, signal_baseline_usd=400_000).ratio == pytest.approx(0.5 + 0.375 * 0.5)
    rising = seeing(momentum=0.02)
    assert sized(rising, SIGNAL, **ONLY_MOMENTUM, signal_conviction_threshold=0.3).ratio < 0.5


def test_several_signals_are_weighed_and_disagreement_costs_confidence():
    """Funding −1 (10 % a year) with 3 of 8, momentum +0.2 with 5 of 8: −0.375 + 0.125 = −0.25; variance 0.36, confidence 0.64.

    m = 0.25·(0.2 + 0.512)·1.5 = 0.267.
    """
    snapshot = seeing(market={"funding_rate": 0.1 / 1095}, momentum=0.01)
    said = sized(snapshot, SIGNAL, signal_volatility=0)
    assert said.inputs["combined_signal"] == pytest.approx(-0.25)
    assert said.ratio == pytest.approx(0.5 + 0.267 * 0.5)


def test_a_wild_market_raises_the_hedge_whatever_the_side():
    """Alone and full, with a surcharge of 1.5: a magnitude of 1, all of it."""
    only = {"signal_funding": 0, "signal_momentum": 0, "signal_volatility": 1}
    for inventory in ("1", "-1"):
        assert sized(seeing(inventory=inventory, volatility_day=0.10), SIGNAL, **only).ratio == pytest.approx(1.0)


# --- blend --------------------------------------------------------------------------------------------------------------
def test_a_blend_is_the_weighted_mean_of_its_sizers():
    """Half of the constant 0.5, a quarter of what the spline says and a quarter of the engine's 0.725."""
    snapshot = seeing(market={"funding_rate": 0.0}, volatility_rank=0.8, momentum=-0.025)
    parts = {
        "constant": 0.5,
        "spline": sized(snapshot, {"sizer": "spline"}).ratio,
        "signal": sized(snapshot, SIGNAL, **ONLY_MOMENTUM).ratio,
    }
    assert parts["signal"] == pytest.approx(0.725)
    said = sized(snapshot, {"sizer": "blend", "ratio": 0.5}, **ONLY_MOMENTUM)
    assert said.ratio == pytest.approx(0.25 + 0.25 * parts["spline"] + 0.25 * 0.725)
    assert {name: part["ratio"] for name, part in said.inputs.items()} == pytest.approx(parts)
    assert {name: part["weight"] for name, part in said.inputs.items()} == {"constant": 0.5, "spline": 0.25, "signal": 0.25}


def test_weights_of_a_blend_count_in_proportion():
    snapshot = seeing(momentum=-0.025)
    given = {"blend_constant": 2, "blend_spline": 0, "blend_signal": 6}
    said = sized(snapshot, {"sizer": "blend", "ratio": 0.5}, **ONLY_MOMENTUM, **given)
    assert said.ratio == pytest.approx(0.25 * 0.5 + 0.75 * 0.725)
    assert set(said.inputs) == {"constant", "signal"}


# --- all of them --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["constant", "spline", "signal", "blend"])
def test_the_short_way_and_the_long_way_give_the_same_ratio(kind):
    snapshot = seeing(market={"funding_rate": 0.0003}, momentum=-0.031, volatility_rank=0.77, inventory="-2")
    made = sizer({"sizer": kind})
    assert isinstance(made, ConstantSizer | SplineSizer | SignalSizer | BlendSizer)
    assert made.ratio_on(snapshot.market, float(snapshot.inventory)) == Sizing(*made.size(snapshot)).ratio


@pytest.mark.parametrize("kind", ["constant", "spline", "signal", "blend"])
def test_the_first_contribution_is_the_sizers_with_its_reason_and_inputs(kind):
    snapshot = seeing(market={"funding_rate": 0.0003}, momentum=-0.031, volatility_rank=0.77)
    config = BotConfig.from_mapping({"hedge": {"sizer": kind}})
    target = risk_manager_for(config).assess(snapshot).target
    said = Sizing(*sizer_for(config).size(snapshot))
    first = target.contributions[0]
    assert (first.name, first.before, first.after, first.reason) == ("sizer", 0.0, said.ratio, said.reason)
    assert first.inputs == said.inputs


class TwoThirds:
    """A sizer that knows nothing of reasons in detail."""

    def size(self, snapshot: Snapshot) -> tuple[float, str]:
        return 2 / 3, f"two thirds of {snapshot.inventory}"


def test_a_sizer_of_the_users_own_may_answer_with_a_plain_pair():
    snapshot = seeing()
    assert Sizing(*TwoThirds().size(snapshot)) == Sizing(2 / 3, "two thirds of 1", {})
    assert isinstance(TwoThirds(), Sizer)


@pytest.mark.parametrize("kind", ["spline", "signal", "blend"])
def test_weights_that_are_all_zero_are_refused(kind):
    names = [name for name in BotConfig().sizers.model_dump() if name.startswith(f"{kind}_")]
    keep = ("baseline_usd", "size_scaling", "action_threshold", "conviction_threshold")
    with pytest.raises(ConfigError, match=kind):
        BotConfig.from_mapping({"sizers": {name: 0 for name in names if not name.endswith(keep)}})


def test_a_flat_inventory_can_be_sized():
    for kind in ("constant", "spline", "signal", "blend"):
        said = sized(seeing(inventory="0", momentum=-0.04), {"sizer": kind})
        assert 0.0 <= said.ratio <= 1.0


def test_the_spline_of_the_library_is_the_spline_of_the_bot():
    made = sizer({"sizer": "spline"})
    assert isinstance(made, SplineSizer)
    for name, curve in made.curves.items():
        assert all(math.isclose(curve(x / 50), build_spline(SIGNAL_CONFIGS[name].knots)(x / 50)) for x in range(51))
    assert math.fsum(made.weights.values()) == pytest.approx(1.0)
