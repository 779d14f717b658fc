"""What can be varied, and what is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.backtest.search.candidate import candidate, given_values, params_at, value_at
from alpha_pulse.backtest.search.space import Choice, Range, parse_space
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings


def one(text: str) -> Range | Choice:
    (found,) = parse_space([text])
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hedge.amplitude=0..0.5", Range("hedge.amplitude", 0.0, 0.5)),
        ("grid.step=0..1/0.25", Range("grid.step", 0.0, 1.0, 0.25)),
        ("grid.grid_spacing_pct=0.002..0.05:log", Range("grid.grid_spacing_pct", 0.002, 0.05, log=True)),
        ("grid.num_levels=3..12", Range("grid.num_levels", 3.0, 12.0, whole=True)),
        ("num_levels=3,5,8", Choice("grid.num_levels", (3, 5, 8))),
        ("hedge.min_ratio=null,0.1", Choice("hedge.min_ratio", (None, 0.1))),
        ("grid.anchor=fixed,ema", Choice("grid.anchor", ("fixed", "ema"))),
        ("inventory_risk.enabled=true,false", Choice("inventory_risk.enabled", (True, False))),
    ],
)
def test_a_field_is_varied_by_a_range_or_by_values(text, found):
    assert one(text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hedge.amplitud=0..1", "write hedge.amplitude"),
        ("feed.seed=1,2", "the market is read once"),
        ("mode=paper,real", "cannot be varied"),
        ("hedge=1,2", "is a section"),
        ("hedge.amplitude=1..0", "lower bound first"),
        ("hedge.amplitude=0..nan", "finite"),
        ("hedge.amplitude=0..1:log", "above 0"),
        ("hedge.amplitude=0..1/2", "is no step"),
        ("hedge.amplitude=0..x", "is no number"),
        ("grid.anchor=1..2", "takes no numbers"),
        ("grid.num_levels=1..2.5", "whole"),
        ("hedge.amplitude=0.1", "two different values"),
        ("hedge.amplitude=0.1,0.1", "two different values"),
        ("hedge.amplitude", "is no value"),
        ("hedge.sizer=constant,foo", "hedge.sizer = 'foo': is no name that is known here"),
        ("grid.anchor=fixed,no", "grid.anchor = 'no': is none of recentre, fixed, ema"),
        ("hedge.ratio=0.3,50", "looks like a percentage"),
    ],
)
def test_what_cannot_be_varied_is_refused_with_its_place(text, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_space([text])
    assert "--vary" in str(caught.value)


def test_a_value_that_only_other_settings_refuse_can_be_tried():
    assert one("hedge.max_ratio=0.3,1") == Choice("hedge.max_ratio", (0.3, 1))


def test_nothing_varied_is_refused():
    with pytest.raises(ConfigError, match="nothing is varied"):
        parse_space([])


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_space(["hedge.amplitud=0..1", "feed.seed=1,2"])
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_of_fields_says_the_same_and_flags_beat_it(tmp_path: Path):
    file = tmp_path / "space.yaml"
    file.write_text(
        "hedge:\n  amplitude: 0..0.5\n  ratio: {low: 0.2, high: 0.8, step: 0.1}\n"
        "grid.num_levels: [3, 5]\ngrid.grid_spacing_pct: {low: 0.002, high: 0.05, log: true}\ngrid.anchor: {values: [fixed, ema]}\n"
    )
    assert parse_space(["grid.num_levels=7,9"], file) == parse_space(
        [
            "hedge.amplitude=0..0.5",
            "hedge.ratio=0.2..0.8/0.1",
            "grid.num_levels=7,9",
            "grid.grid_spacing_pct=0.002..0.05:log",
            "grid.anchor=fixed,ema",
        ]
    )


@pytest.mark.parametrize("written", ["{low: 1}", "{low: 0, high: 1, to: 2}", "{low: 0.1, high: 1, log: maybe}", "[[1], 2]"])
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, written):
    file = tmp_path / "space.yaml"
    file.write_text(f"grid:\n  step: {written}\n")
    with pytest.raises(ConfigError, match=r"space\.yaml:2: grid\.step"):
        parse_space([], file)


@given(st.floats(0.001, 10), st.floats(0.001, 10), st.booleans())
def test_a_range_is_read_as_it_is_written(low, width, log):
    low, high = float(f"{low:g}"), float(f"{low + width:g}")
    if low < high:
        made = Range("grid.volatility_multiple", low, high, log=log)
        assert one(f"{made.key}={made.text()}") == made


def test_a_trial_is_validated_by_the_settings_themselves():
    base = given_values(Settings.read({"hedge": {"ratio": "0.4"}, "grid_spacing_pct": "0.02"}))
    made = candidate(base, {"hedge.amplitude": 0.123456789, "grid.num_levels": 4, "hedge.min_ratio": None})
    assert (made.hedge.ratio, made.hedge.amplitude, made.grid.num_levels) == (0.4, 0.123457, 4)
    assert value_at(made, "grid.grid_spacing_pct") == Settings.read({"grid_spacing_pct": "0.02"}).grid.grid_spacing_pct
    with pytest.raises(ConfigError, match="outside min_ratio"):
        candidate(base, {"hedge.max_ratio": 0.3})


def test_the_configuration_itself_is_a_point_of_the_space_where_it_lies_in_it():
    settings = Settings.read({"hedge": {"amplitude": 0.25}})
    inside = parse_space(["hedge.amplitude=0..0.5/0.05", "hedge.min_ratio=null,0.1", "grid.num_levels=5..10", "grid_spacing_pct=0.01,0.02"])
    assert params_at(settings, inside) == {
        "hedge.amplitude": 0.25, "hedge.min_ratio": None, "grid.num_levels": 10, "grid.grid_spacing_pct": 0.01,
    }  # fmt: skip
    for outside in ("hedge.amplitude=0.3..0.5", "hedge.amplitude=0..0.5/0.2", "grid.num_levels=3,5", "hedge.min_ratio=0..1"):
        assert params_at(settings, parse_space([outside])) is None
