"""The tables of a backtest beyond the demo's: on the console and in the report."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from alpha_pulse.backtest.backtest_console import notes_grid, render
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.charts import chart_data
from alpha_pulse.backtest.fill_rules import rule_figures
from alpha_pulse.backtest.grids import Grid, backtest_grids, decisions_grid, ledger_grid, protection_grid
from alpha_pulse.backtest.record import Sent, TargetMove
from alpha_pulse.backtest.report import render_report
from alpha_pulse.backtest.report_grids import grid_html
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.run import BacktestResult
from alpha_pulse.testing.records import START_MS, RecordBuilder, wandering_record

EVIL = "</td><script>alert(1)</script>"


def move(number, ratio=0.5, before=0.5, floor=0.2, was=0.2, why="VaR floor 10.0% → 20.0%: value at risk"):
    return TargetMove(START_MS + number * 60_000, 100.0, -0.5, before, ratio, was, floor, why)


@pytest.fixture(scope="module")
def record():
    found = wandering_record(days=35, seed=2)
    found.sent["grid"] = Sent(4000, Decimal(100))
    found.moves.extend([move(1, before=None, was=None), move(90, floor=0.4)])
    return found


@pytest.fixture(scope="module")
def result(record):
    found = summarise(record)
    return replace(found, fill_rules={rule: rule_figures(found) for rule in ("touch", "through", "queue")})


def test_every_table_is_in_the_report_and_on_the_console(record, result):
    bars = Bars.of(record)
    page = render_report(record, result, bars, paths_of(record, bars))
    console = Console(file=io.StringIO(), width=160, color_system=None)
    render(BacktestResult(result, {"report.html": Path("report.html")}), console)
    shown = console.file.getvalue()
    for grid in backtest_grids(result):
        assert grid.title in page
        assert grid.title in shown
        for row in grid.rows:
            for cell in row:
                assert cell.strip() in shown
    assert [grid.title.partition(",")[0] for grid in backtest_grids(result)] == [
        "Under each fill rule",
        "Protection",
        "The account",
        "Cost ledger",
        "Markouts",
        "Fill rates",
        "Time at limits",
    ]
    assert len(page.encode()) < 400_000


def test_the_assumptions_come_first_on_the_console(result):
    console = Console(file=io.StringIO(), width=160, color_system=None)
    render(BacktestResult(result, {"report.html": Path("report.html")}), console)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "Assumptions"
    for topic in ("fill rule", "bar path", "latency", "fees", "slippage", "funding", "margin", "not modelled"):
        assert any(line.startswith(topic) for line in lines[: len(result.assumptions) + 1])


def test_what_happened_on_the_way_is_on_the_console_and_everyday_moves_of_the_grid_are_not(result):
    gap = "spot.csv: 2 rows missing, 2025-06-01 00:05 .. 2025-06-01 00:06"
    everyday = [(START_MS, "Grid anchored at 100.00"), (START_MS, "Node spacing 1.000%")]
    noted = replace(result, notes=(*everyday, (START_MS, gap), *((START_MS, f"alert {i}") for i in range(20))))
    grid = notes_grid(noted)
    assert grid.rows[0] == ("2025-06-01 00:00", gap)
    assert len(grid.rows) == 12
    assert grid.note == "And 9 more, in the report and result.json."
    console = Console(file=io.StringIO(), width=160, color_system=None)
    render(BacktestResult(noted, {"report.html": Path("report.html")}), console)
    assert gap in console.file.getvalue()
    assert notes_grid(replace(result, notes=tuple(everyday))).rows == ()


def test_the_decision_table_says_what_moved_and_why(result):
    grid = decisions_grid(result)
    assert grid.rows[0][:5] == ("2025-06-01 00:01", "100.00", "50.0 %", "50.0 %", "20.0 %")
    assert grid.rows[1][4] == "20.0 % → 40.0 %"
    assert grid.rows[1][5].startswith("VaR floor")
    assert grid.note == ""


def test_of_many_decisions_the_largest_are_shown_in_the_order_of_time(result):
    moves = tuple(move(n, floor=0.2 + n / 1000) for n in range(100))
    grid = decisions_grid(replace(result, moves=(move(-1, before=None, was=None), *moves)), most=3)
    assert [row[0][-5:] for row in grid.rows] == ["23:59", "01:38", "01:39"]
    assert grid.note == "The 3 largest of 101 changes; decisions.csv has all."


def test_markup_in_a_reason_is_inert():
    assert "<script" not in grid_html(Grid(EVIL, ("a", EVIL), ((EVIL, EVIL),), EVIL))


def test_signed_columns_have_a_colour_and_words_are_set_to_the_left():
    html = grid_html(Grid("t", ("a", "b", "c"), (("x", "+1.00", "why"), ("y", "−1.00", "so")), "", frozenset({1}), frozenset({2})))
    assert '<td class="plus">+1.00</td><td class="words">why</td>' in html
    assert '<td class="minus">−1.00</td>' in html


def test_the_ledger_ends_with_what_was_booked(result):
    grid = ledger_grid(result)
    assert grid.rows[-1][0] == "all together"
    assert [row[0] for row in grid.rows][-3:-1] == ["funding received", "funding paid"]


def test_the_chart_of_costs_ends_at_the_booked_sums(record, result):
    bars = Bars.of(record)
    panel = chart_data(record, result, bars, paths_of(record, bars))["panels"]["costs"]
    ends = {series["key"]: series["values"][-1] for series in panel["series"]}
    assert ends["funding"] == pytest.approx(result.funding, abs=0.01)
    assert ends["fees"] == pytest.approx(-result.fees, abs=0.01)
    assert ends["net"] == pytest.approx(result.funding - result.fees - result.attribution.slippage, abs=0.01)


def test_a_run_without_coins_or_fills_has_fewer_tables():
    built = RecordBuilder(inventory="0")
    built.bar(100.0)
    result = summarise(built.record)
    assert protection_grid(result).rows == ()
    assert [grid.title for grid in backtest_grids(result)] == ["The account", "Time at limits"]
    bars = Bars.of(built.record)
    assert "Decisions on the target" not in render_report(built.record, result, bars, paths_of(built.record, bars))
