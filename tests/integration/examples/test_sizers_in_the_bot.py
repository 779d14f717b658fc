"""The examples that run the bot with each sizer: what they print follows from what they print."""

from __future__ import annotations

import re

import pytest

from alpha_pulse.testing.snapshots import make_indicators, make_snapshot
from examples.custom_sizer import TrendSizer
from tests.integration.examples.running import ROOT, example, figure, said
from tests.unit.docs.pages import blocks

STEP = re.compile(r"^ {2,4}(\S[^%→\n]*?) +(-?[\d.]+)% → +(-?[\d.]+)%   (\S.*)$", re.MULTILINE)
ROUNDED = 0.06  # percentage points: figures are printed to a tenth of one


def steps(text):
    return [(name, float(before), float(after), reason) for name, before, after, reason in STEP.findall(text)]


def explained(text):
    """The table of reasons: every step starts where the one before ended, and the last of each half is the target."""
    ratio, floor = (float(part) for part in re.search(r"Why a ratio of ([\d.]+)% and a floor of ([\d.]+)%", text).groups())
    table = steps(text)
    names = [name for name, *_ in table]
    halves = table[: names.index("hysteresis") + 1], table[names.index("hysteresis") + 1 :]
    assert names[0] == "sizer"
    assert {"funding tilt", "bounds", "VaR floor", "latches"} < set(names)
    for half, end in zip(halves, (ratio, floor), strict=True):
        assert half[0][1] == 0
        assert [after for _, _, after, _ in half[:-1]] == [before for _, before, _, _ in half[1:]]
        assert half[-1][2] == end
    last = re.findall(r"^  \S+ \S+ +\S+ +([\d.]+)% +([\d.]+)% +[\d.]+%$", text, re.MULTILINE)
    assert (str(ratio), str(floor)) in last
    return table


def by_hand(text):
    """The sizer's figure computed again, and as the bot said it, percent."""
    return [float(part) for part in re.search(r"(?:together|to) ([\d.]+)%, and the bot said ([\d.]+)%", text).groups()]


def test_the_spline_sizer_in_the_bot_is_the_sum_of_its_curves(tmp_path):
    text = said("examples.spline_in_the_bot", tmp_path)
    table = explained(text)
    computed, bot = by_hand(text)
    assert computed == bot
    assert table[0][2] == pytest.approx(bot, abs=ROUNDED)
    rows = re.findall(r"^  (\w+) +score ([\d.]+)  on its curve +([\d.]+)%  weight ([\d.]+)  adds +([\d.]+)%$", text, re.MULTILINE)
    assert [(name, float(weight)) for name, _, _, weight, _ in rows] == [
        ("volatility", 0.4),
        ("momentum", 0.3),
        ("funding", 0.2),
        ("sentiment", 0.1),
    ]
    assert sum(float(curve) * float(weight) for _, _, curve, weight, _ in rows) == pytest.approx(bot, abs=ROUNDED)
    assert rows[-1][1:3] == ("0.700", "75.0")  # a view of 0.4 in −1 … 1 is a score of 0.7, and a knot of its curve


def test_the_signal_engine_in_the_bot_moves_the_ratio_by_its_magnitude(tmp_path):
    text = said("examples.signal_in_the_bot", tmp_path)
    table = explained(text)
    computed, bot = by_hand(text)
    assert computed == bot
    assert table[0][2] == pytest.approx(bot, abs=ROUNDED)
    magnitude = figure(r"REDUCE_LONG, magnitude ([\d.]+)", text)
    assert bot == pytest.approx(100 * (0.5 + magnitude * 0.5), abs=ROUNDED)
    rows = re.findall(r"^  \w+ +signal (\S+)  weight (\S+)  contribution (\S+)$", text, re.MULTILINE)
    combined = sum(float(value) * float(weight) for value, weight, _ in rows)  # the weights sum to 1
    assert combined == pytest.approx(figure(r"combined (\S+),", text), abs=0.002)
    values = [float(value) for value, _, _ in rows]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    assert figure(r"confidence ([\d.]+): REDUCE", text) == pytest.approx(1 - variance, abs=0.006)


def test_a_blend_in_the_bot_is_the_mean_of_its_parts_and_moves_less_than_what_moves_in_it(tmp_path):
    text = said("examples.blend_in_the_bot", tmp_path)
    table = explained(text)
    computed, bot = by_hand(text)
    assert computed == bot
    assert table[0][2] == pytest.approx(bot, abs=ROUNDED)
    parts = re.findall(r"^  (\w+) +weight ([\d.]+) × ratio +([\d.]+)%", text, re.MULTILINE)
    assert [(name, float(weight)) for name, weight, _ in parts] == [("constant", 0.5), ("spline", 0.25), ("signal", 0.25)]
    assert sum(float(weight) * float(ratio) for _, weight, ratio in parts) == pytest.approx(bot, abs=ROUNDED)
    spread = dict(re.findall(r"^  (\S.*?) +[\d.]+ … +[\d.]+   σ +([\d.]+)$", text, re.MULTILINE))
    assert float(spread["constant"]) == 0
    assert 0 < float(spread["the blend"]) < float(spread["spline"])


def test_any_file_of_settings_can_be_run_and_explained_and_a_bad_one_is_refused_in_words(tmp_path):
    text = said("examples.in_the_bot", tmp_path, str(ROOT / "config/examples/symmetric_grid.yaml"), "--days", "0.5")
    assert explained(text)[0][1:] == (0, 50, "constant ratio from the settings")
    done = example("examples.in_the_bot", tmp_path, "nowhere.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere.yaml: no such file" in done.stderr


def test_a_sizer_of_ones_own_decides_and_the_floor_holds_against_a_careless_one(tmp_path):
    trend, _, careless = said("examples.custom_sizer", tmp_path).partition("CarelessSizer: ")
    ratio, reason = steps(trend)[0][2:]
    assert ratio == pytest.approx(40 + 20 * max(0, -figure(r"trend ([+-][\d.]+)", reason)), abs=0.3)  # the trend has two digits
    assert figure(r"deepest short ([\d.]+) BTC", trend) >= 0.4
    assert steps(careless)[0][1:] == (0, 0, "prices only go up")
    highest = figure(r"floor [\d.]+% … ([\d.]+)%", careless)
    assert highest >= 5
    assert figure(r"deepest short ([\d.]+) BTC", careless) >= highest / 100 - 0.05  # less than the floor by a band at most


@pytest.mark.parametrize("trend", [-1.0, -0.5, -0.01, 0.0, 0.7])
def test_the_sizer_of_the_example_is_the_one_of_the_how_to(trend):
    (documented,) = [block for block in blocks("python") if block.page == "docs/how-to/write-a-sizer.md" and "TrendSizer" in block.text]
    namespace = {}
    exec(compile(documented.text, documented.page, "exec"), namespace)  # noqa: S102 - our own documentation
    snapshot = make_snapshot(indicators=make_indicators(trend=trend))
    said_by_ours = TrendSizer().size(snapshot)
    assert tuple(said_by_ours)[:2] == tuple(namespace["TrendSizer"]().size(snapshot))[:2]
    assert said_by_ours.inputs == {"trend": trend}
