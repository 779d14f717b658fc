from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from alpha_pulse.backtest import tables
from alpha_pulse.backtest.backtest_console import print_grids
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.gate import Gate, daily_timing, static_gate
from alpha_pulse.backtest.grids import benchmark_grid
from alpha_pulse.backtest.report import render_report
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.static_benchmark import StaticBenchmark, static_benchmark
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import RecordBuilder

HOUR = 3_600_000
MOVING = {"hedge": {"amplitude": 0.25, "amplitude_adverse": 0.0}}
STILL = {"hedge": {"amplitude": 0.0, "amplitude_adverse": 0.0}}


def grid(days, *, wrong_way=True, settings=None, inventory="1"):
    """Price goes up on one day and down on the next; the hedge is on for the days that rise (or fall)."""
    random = np.random.default_rng(1)
    built = RecordBuilder(bar_ms=12 * HOUR, settings=MOVING if settings is None else settings, inventory=inventory)
    price = 100_000.0
    for day in range(days):
        rises = day % 2 == 0
        if day:
            built.fill(Side.SELL if rises == wrong_way else Side.BUY, "0.2", f"{price:.1f}")
        for _ in range(2):
            price = round(price * math.exp((0.01 if rises else -0.01) + 0.002 * random.standard_normal()), 1)
            built.bar(price)
    return built.record


def judged(record):
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    return replace(summarise(record, bars, paths), benchmark=static_benchmark(record, bars, paths))


def shown(result):
    console = Console(file=io.StringIO(), width=160, color_system=None)
    print_grids([benchmark_grid(result)], console)
    return " ".join(console.file.getvalue().split())


def test_timing_that_costs_significantly_recommends_no_amplitude_wherever_a_user_looks():
    record = grid(80)
    result = judged(record)
    advice = "Moving the hedge cost significantly more than a static hedge of the same average size: set hedge.amplitude to 0."
    bars = Bars.of(record)
    page = render_report(record, result, bars, paths_of(record, bars))
    body = json.loads(result.to_json())["static_benchmark"]
    assert body["verdict"] == "significantly negative"
    assert body["recommended_amplitude"] == 0.0
    assert body["days"] == 79
    assert body["p_value"] < 0.05
    assert body["interval_90"]["low"] < body["timing_per_day"] < body["interval_90"]["high"] < 0.0
    assert advice in tables.verdict(result)
    assert advice in shown(result)
    assert page.count(advice) == 2
    assert f"{100 * body['timing_per_day']:.4f}".replace("-", "−") in shown(result)
    assert "under 0.001" in shown(result)


def test_the_days_are_those_that_the_gate_of_a_search_would_test():
    record = grid(50)
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    assert static_benchmark(record, bars, paths).gate == static_gate(daily_timing(paths, bars, 1.0))


def test_equal_runs_give_equal_answers():
    one, other = (static_benchmark(record, Bars.of(record), paths_of(record, Bars.of(record))) for record in (grid(40), grid(40)))
    assert one == other


def test_a_backtest_does_not_claim_to_be_out_of_sample():
    lucky = judged(grid(80, wrong_way=False))
    assert not lucky.benchmark.negative
    assert "That the swings earn is not shown by this" in shown(lucky)
    assert "out of sample only if no setting was chosen on them" in shown(lucky)
    assert "amplitude" not in tables.verdict(lucky)
    body = json.loads(lucky.to_json())
    assert body["static_benchmark"]["verdict"] == "not significantly negative"
    assert body["static_benchmark"]["recommended_amplitude"] is None
    assert "not significantly negative" in body["unavailable"]["static_benchmark.recommended_amplitude"]
    assert "other days would most likely look worse" in shown(judged(grid(80)))


def test_too_few_days_say_so_and_nothing_else():
    result = judged(grid(20))
    body = json.loads(result.to_json())
    assert "19 whole days are too few to judge the timing: 30 are needed." in shown(result)
    assert body["static_benchmark"]["verdict"] == "not tested"
    assert body["static_benchmark"]["p_value"] is None
    assert "too few" in body["unavailable"]["static_benchmark.interval_90.low"]
    assert "out of sample" not in shown(result)
    hours = RecordBuilder(settings=MOVING)
    hours.bar(100_000.0)
    assert "0 whole days are too few" in shown(judged(hours.record))


def test_a_hedge_that_stood_still_has_no_timing_and_one_without_amplitude_has_none_to_lose():
    built = RecordBuilder(bar_ms=12 * HOUR, settings=STILL)
    for step in range(100):
        built.bar(100_000.0 + step)
    assert "The grid never differed from a static hedge: there is no timing to judge." in shown(judged(built.record))
    still = judged(grid(80, settings=STILL))
    assert still.benchmark.negative
    assert "there is no amplitude to take away" in shown(still)
    assert json.loads(still.to_json())["static_benchmark"]["recommended_amplitude"] is None


def test_a_neutral_grid_has_no_static_hedge_beside_it():
    result = judged(grid(40, inventory="0"))
    assert "Without inventory there is no static hedge to compare with." in shown(result)
    assert json.loads(result.to_json())["static_benchmark"]["days"] == 0


@pytest.mark.parametrize(("mean", "says"), [(-1e-5, "not more than chance may do"), (1e-5, "Timing did not cost")])
def test_what_is_not_significant_is_worded_by_its_sign(mean, says):
    gate = Gate(mean, 100 * mean, mean - 1e-3, mean + 1e-3, 0.4, 100, "bootstrap", 0.05)
    assert says in StaticBenchmark(gate, moves=True).words


def test_a_run_that_was_not_tested_shows_no_row():
    built = RecordBuilder()
    built.bar(100.0)
    result = summarise(built.record)
    assert benchmark_grid(result).rows == ()
    assert json.loads(result.to_json())["static_benchmark"] == {}
