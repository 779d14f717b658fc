"""Hedge curves from a YAML file, and how each slip in it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import ConfigErrors
from alpha_pulse.hedging.risk.sizers.spline import SIGNAL_CONFIGS, SignalConfig
from alpha_pulse.settings.curves import load_signal_configs

ROOT = Path(__file__).resolve().parents[3]
GOOD = "fear:\n  description: how afraid\n  knots:\n    - {score: 0.0, hedge: 0.05}\n    - {score: 1.0, hedge: 1.0}\n"


def refusal(text: str, tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_signal_configs(path)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_the_file_that_is_shipped_has_the_curves_that_are_known_without_one():
    found = load_signal_configs(ROOT / "config" / "curve_knots.yaml")
    assert dict(found) == dict(SIGNAL_CONFIGS)
    assert list(found) == list(SIGNAL_CONFIGS)


def test_a_path_may_be_text_and_the_description_may_be_left_out(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("  description: how afraid\n", ""), encoding="utf-8")
    assert load_signal_configs(str(path)) == {"fear": SignalConfig("fear", ((0.0, 0.05), (1.0, 1.0)), "")}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("hedge: 1.0", "hedge: 0.01", "mine.yaml:3: fear, knot 2 = (1.0, 0.01): its hedge is below 0.05"),
        ("hedge: 1.0", "hedge: 100", "mine.yaml:3: fear, knot 2 = (1.0, 100.0): its hedge is not within [0, 1]"),
        ("hedge: 1.0", "hedge: .nan", "mine.yaml:3: fear, knot 2"),
        ("score: 1.0", "score: 0.0", "mine.yaml:3: fear, knot 2 = (0.0, 1.0): its score is given twice"),
        ("score: 1.0", "score: high", "mine.yaml:3: fear, knot 2 = 'high': its score must be a number"),
        ("score: 1.0", "scores: 1.0", "mine.yaml:3: fear, knot 2"),
        ("    - {score: 1.0, hedge: 1.0}\n", "", "mine.yaml:3: fear, knots"),
        ("knots:", "points:", "mine.yaml:1: fear: there is no key 'points'"),
        ("  description: how afraid\n  knots:\n", "", "mine.yaml:1: fear"),
    ],
)
def test_a_slip_is_named_by_file_line_curve_and_knot(old, new, named, tmp_path):
    assert refusal(GOOD.replace(old, new), tmp_path).startswith(named)


def test_every_curve_that_is_wrong_is_told_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    bad = "greed:\n  knots:\n    - {score: 0, hedge: 0}\npanic: 3\n"
    path.write_text(GOOD + bad, encoding="utf-8")
    with pytest.raises(ConfigErrors) as caught:
        load_signal_configs(path)
    assert [problem.field for problem in caught.value.problems] == [f"{path}:7: greed, knots", f"{path}:9: panic"]


def test_a_file_that_is_missing_empty_or_no_mapping_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_signal_configs(tmp_path / "none.yaml")
    assert refusal("", tmp_path).startswith("mine.yaml: is empty")
    assert refusal("{}", tmp_path).startswith("mine.yaml: has no curves")
    assert refusal("- fear\n", tmp_path).startswith("mine.yaml:1: must be a mapping")
    assert refusal(GOOD + GOOD, tmp_path).startswith("mine.yaml:6: fear is given twice")
