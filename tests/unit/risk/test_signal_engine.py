"""The signal engine: directions, magnitudes and reasons, against figures worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk import normalizers
from alpha_pulse.hedging.risk.sizers import signal as engine_module
from alpha_pulse.hedging.risk.sizers.signal import Direction, HedgeEngine, Signal

LONG, SHORT, FLAT = 100_000.0, -100_000.0, 0.0


def engine(*values: float, **settings: float) -> HedgeEngine:
    made = HedgeEngine(**settings)
    for index, value in enumerate(values):
        made.add_signal(f"s{index}", value, 1.0)
    return made


def test_the_combined_signal_is_the_weighted_mean():
    made = HedgeEngine()
    made.add_signal("funding", -0.8, 0.5)
    made.add_signal("book", 0.4, 0.3)
    decision = made.compute(LONG)
    assert decision.combined_signal == pytest.approx(-0.35)  # (−0.40 + 0.12)/0.8
    assert decision.signal_breakdown["funding"].contribution == pytest.approx(-0.5)  # −0.40/0.8
    assert decision.signal_breakdown["book"].contribution == pytest.approx(0.15)  # 0.12/0.8


def test_the_magnitude_of_two_signals_at_the_baseline_size():
    made = HedgeEngine()
    made.add_signal("funding", -0.8, 0.5)
    made.add_signal("book", 0.4, 0.3)
    decision = made.compute(LONG)
    # the values lie 0.6 from their mean of −0.2: variance 0.36, confidence 0.64
    assert decision.confidence == pytest.approx(0.64)
    # 0.35·(0.2 + 0.8·0.64)·(1 + 0.5·1) = 0.35·0.712·1.5
    assert decision.magnitude == pytest.approx(0.3738)
    assert decision.direction is Direction.REDUCE_LONG


def test_the_confidence_of_one_signal_is_its_size():
    decision = engine(-0.6).compute(LONG)
    assert decision.confidence == pytest.approx(0.6)
    assert decision.magnitude == pytest.approx(0.612)  # 0.6·(0.2 + 0.48)·1.5


def test_opposite_extremes_leave_no_confidence():
    decision = engine(1.0, -1.0).compute(LONG)
    assert decision.confidence == 0.0  # variance 1
    assert decision.direction is Direction.HOLD
    assert "cancel" in decision.reasoning


def test_equal_signals_are_wholly_confident():
    assert engine(-0.3, -0.3, -0.3).compute(LONG).confidence == pytest.approx(1.0)


@pytest.mark.parametrize(("position", "factor"), [(1_000.0, 1.05), (25_000.0, 1.25), (100_000.0, 1.5), (400_000.0, 2.0)])
def test_larger_positions_are_reduced_harder_by_the_root_of_their_size(position, factor):
    # 0.2·(0.2 + 0.8·0.2) = 0.072
    assert engine(-0.2).compute(position).magnitude == pytest.approx(0.072 * factor)


def test_size_scaling_and_its_baseline_can_be_set():
    assert engine(-0.2, size_scaling_k=0.0).compute(4e8).magnitude == pytest.approx(0.072)
    assert engine(-0.2, size_scaling_k=1.0, baseline_position_usd=1e6).compute(4e6).magnitude == pytest.approx(0.072 * 3.0)


def test_the_magnitude_never_passes_one():
    assert engine(-1.0).compute(1e12).magnitude == 1.0


@pytest.mark.parametrize(
    ("position", "value", "direction"),
    [
        (LONG, -0.3, Direction.REDUCE_LONG),
        (SHORT, 0.3, Direction.REDUCE_SHORT),
        (LONG, 0.3, Direction.HOLD),
        (SHORT, -0.3, Direction.HOLD),
        (LONG, 0.7, Direction.INCREASE_LONG),
        (SHORT, -0.7, Direction.INCREASE_SHORT),
        (FLAT, 0.3, Direction.INCREASE_LONG),
        (FLAT, -0.3, Direction.INCREASE_SHORT),
        (LONG, 0.05, Direction.HOLD),
        (LONG, -0.05, Direction.HOLD),
        (FLAT, 0.05, Direction.HOLD),
        (FLAT, 0.0, Direction.HOLD),
    ],
)
def test_the_direction_follows_from_the_position_and_the_signal(position, value, direction):
    decision = engine(value).compute(position)
    assert decision.direction is direction
    assert (decision.magnitude == 0.0) is (direction is Direction.HOLD)


def test_adding_to_a_position_is_halved_after_the_limit_of_one():
    assert engine(0.7).compute(LONG).magnitude == pytest.approx(0.399)  # ½·0.7·(0.2 + 0.56)·1.5
    assert engine(1.0).compute(1e12).magnitude == 0.5


def test_opening_from_flat_is_not_halved_and_has_no_size_to_scale_with():
    assert engine(0.7).compute(FLAT).magnitude == pytest.approx(0.532)  # 0.7·(0.2 + 0.56)


def test_exactly_at_the_action_threshold_it_acts():
    assert engine(-0.1).compute(LONG).direction is Direction.REDUCE_LONG
    assert engine(-0.0999999).compute(LONG).direction is Direction.HOLD


def test_exactly_at_the_conviction_threshold_it_still_holds():
    assert engine(0.5).compute(LONG).direction is Direction.HOLD
    assert engine(0.5000001).compute(LONG).direction is Direction.INCREASE_LONG


@pytest.mark.parametrize("weights", [(0.7, 0.1), (0.1, 0.2, 0.3), (1 / 3, 1 / 7, 1e-3, 17.0)])
def test_rounding_in_the_weighted_mean_does_not_decide_at_a_threshold(weights):
    at_action, at_conviction = HedgeEngine(), HedgeEngine()
    for index, weight in enumerate(weights):
        at_action.add_signal(f"s{index}", -0.1, weight)
        at_conviction.add_signal(f"s{index}", 0.5, weight)
    assert at_action.compute(LONG).direction is Direction.REDUCE_LONG
    assert at_conviction.compute(LONG).direction is Direction.HOLD


def test_thresholds_can_be_set():
    assert engine(-0.3, action_threshold=0.4).compute(LONG).direction is Direction.HOLD
    assert engine(0.3, high_conviction_threshold=0.2).compute(LONG).direction is Direction.INCREASE_LONG


def test_without_an_action_threshold_an_indifferent_signal_still_holds():
    assert engine(0.0, action_threshold=0.0).compute(LONG).direction is Direction.HOLD


def test_signals_of_zero_weight_do_not_count_but_are_shown():
    made = engine(-0.6)
    made.add_signal("muted", 1.0, 0.0)
    decision = made.compute(LONG)
    assert decision.combined_signal == pytest.approx(-0.6)
    assert decision.confidence == pytest.approx(0.6)  # as for one signal
    assert decision.signal_breakdown["muted"].contribution == 0.0


def test_without_signals_it_holds_and_says_so():
    decision = HedgeEngine().compute(LONG)
    assert (decision.direction, decision.magnitude, decision.confidence, decision.combined_signal) == (Direction.HOLD, 0.0, 0.0, 0.0)
    assert decision.signal_breakdown == {}
    assert "no signals" in decision.reasoning


def test_with_all_weights_zero_it_holds_and_says_so():
    made = HedgeEngine()
    made.add_signal("muted", -1.0, 0.0)
    decision = made.compute(LONG)
    assert decision.direction is Direction.HOLD
    assert "weights are zero" in decision.reasoning


def test_the_reason_names_the_numbers_behind_it():
    made = HedgeEngine()
    made.add_signal("funding", -0.8, 0.5)
    made.add_signal("book", 0.4, 0.3)
    reasoning = made.compute(250_000.0).reasoning
    for part in ("2 signals", "-0.350", "bearish", "0.64", "funding -0.500", "long of 250,000 USD", "against it"):
        assert part in reasoning


def test_holding_with_the_signal_names_the_conviction_that_it_misses():
    assert "not above the conviction threshold of 0.5" in engine(0.3).compute(LONG).reasoning


def test_the_breakdown_shows_what_went_in():
    made = HedgeEngine()
    made.add_signal("funding", -0.8, 2.0, raw_value=0.08, description="8 % a year")
    part = made.compute(LONG).signal_breakdown["funding"]
    assert (part.value, part.weight, part.contribution, part.raw_value, part.description) == (-0.8, 2.0, -0.8, 0.08, "8 % a year")


def test_a_decision_has_exactly_these_fields_and_can_be_exported():
    exported = dataclasses.asdict(engine(-0.6).compute(LONG))
    assert list(exported) == ["direction", "magnitude", "confidence", "combined_signal", "signal_breakdown", "reasoning"]
    assert exported["direction"] == "REDUCE_LONG"
    assert exported["signal_breakdown"]["s0"]["value"] == -0.6


def test_a_value_is_clamped_its_weight_and_raw_reading_are_kept():
    made = HedgeEngine()
    made.add_signal("loud", 3.5, 12.0)
    assert made.signals["loud"] == Signal("loud", 1.0, 12.0, 3.5, "")
    assert Signal("down", -9.0, 1.0, 42.0).value == -1.0
    assert Signal("down", -9.0, 1.0, 42.0).raw_value == 42.0


def test_a_signal_of_the_same_name_replaces_the_earlier_one():
    made = engine(-0.6)
    made.add_signal("s0", 0.2, 1.0)
    assert len(made.signals) == 1
    assert made.compute(LONG).combined_signal == pytest.approx(0.2)


def test_a_removed_signal_no_longer_counts():
    made = engine(-0.6, 0.2)
    made.remove_signal("s0")
    assert list(made.signals) == ["s1"]
    assert made.compute(LONG).combined_signal == pytest.approx(0.2)


def test_removing_an_unknown_signal_names_the_known_ones():
    with pytest.raises(ConfigError, match="s0, s1"):
        engine(0.1, 0.2).remove_signal("fundign")
    with pytest.raises(ConfigError, match="none"):
        HedgeEngine().remove_signal("funding")


def test_clearing_leaves_no_signals():
    made = engine(0.1, 0.2)
    made.clear_signals()
    assert made.signals == {}


def test_the_signals_can_be_looked_at_but_not_changed():
    made = engine(0.1)
    with pytest.raises(TypeError):
        made.signals["s0"] = Signal("s0", 1.0, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_and_leaves_the_engine_as_it_was(bad):
    made = engine(0.1)
    for arguments in ((bad, 1.0), (0.1, bad), (0.1, 1.0, bad)):
        with pytest.raises(ConfigError, match="s0"):
            made.add_signal("s0", *arguments)
    with pytest.raises(ConfigError, match="position_delta"):
        made.compute(bad)
    assert made.signals["s0"].value == 0.1


def test_a_negative_weight_is_refused():
    with pytest.raises(ConfigError, match="weight"):
        HedgeEngine().add_signal("funding", 0.5, -0.1)


def test_a_signal_without_a_name_is_refused():
    with pytest.raises(ConfigError, match="name"):
        HedgeEngine().add_signal("", 0.5, 1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("baseline_position_usd", 0.0),
        ("baseline_position_usd", -1.0),
        ("baseline_position_usd", math.nan),
        ("size_scaling_k", -0.1),
        ("size_scaling_k", math.inf),
        ("action_threshold", 1.1),
        ("action_threshold", math.nan),
        ("high_conviction_threshold", -0.1),
    ],
)
def test_an_engine_refuses_settings_outside_their_range_by_name(field, value):
    with pytest.raises(ConfigError) as refused:
        HedgeEngine(**{field: value})
    assert refused.value.field == field


def test_weights_and_positions_at_the_ends_of_the_floats_neither_overflow_nor_vanish():
    made = HedgeEngine(baseline_position_usd=1e-300)
    made.add_signal("a", -0.4, 1.7e308)
    made.add_signal("b", -0.2, 1.7e308)
    decision = made.compute(1.7e308)
    assert decision.combined_signal == pytest.approx(-0.3)
    assert decision.magnitude == 1.0
    tiny = HedgeEngine(size_scaling_k=0.0)
    tiny.add_signal("a", 0.7, 5e-324)
    assert tiny.compute(5e-324).magnitude == pytest.approx(0.266)  # ½·0.7·0.76


@pytest.mark.parametrize(
    "name",
    [
        "annualize_funding",
        "normalize_funding_rate",
        "normalize_orderbook_imbalance",
        "normalize_volatility_regime",
        "normalize_zscore",
        "normalize_price_momentum",
    ],
)
def test_the_normalizers_stand_beside_the_engine(name):
    assert getattr(engine_module, name) is getattr(normalizers, name)
