"""The runs under each fill rule side by side, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alpha_pulse.backtest.fill_rules import FILL_RULES, reading, rule_figures
from alpha_pulse.backtest.grids import rules_grid
from alpha_pulse.backtest.result import summarise
from alpha_pulse.testing.records import wandering_record


@pytest.fixture(scope="module")
def result():
    return summarise(wandering_record(days=3, seed=6))


def rules(result, touch, through, queue):
    found = rule_figures(result)
    return {name: replace(found, hedge_pnl=pnl) for name, pnl in zip(FILL_RULES, (touch, through, queue), strict=True)}


def test_the_figures_of_a_rule_are_those_of_its_result(result):
    found = rule_figures(result)
    assert found.fills == result.trading.buys + result.trading.sells
    assert found.hedge_pnl == result.attribution.hedge_pnl
    assert found.maker_markout_bps == result.markouts[1].maker


def test_a_strategy_that_lives_on_touch_fills_is_called_so(result):
    text = reading(rules(result, 100.0, -5.0, -30.0), "USDT")
    assert text == (
        "Filling on the touch instead of queue would show +130.00 USDT of hedge PnL: it earns only if every touch fills. "
        "Do not believe the touch figure."
    )


def test_a_difference_that_turns_nothing_round_is_said_plainly(result):
    assert "−20.00 USDT" in reading(rules(result, 100.0, 120.0, 130.0), "USDT")
    assert "which a live queue may not give" in reading(rules(result, 100.0, 90.0, 80.0), "USDT")


def test_rules_differ_where_only_one_is_better_than_the_touch(result):
    text = reading(rules(result, -30.0, -30.0, -10.0), "USDT")
    assert text == "Filling on the touch instead of queue would show −20.00 USDT of hedge PnL: touch fills are no advantage here."


def test_rules_that_agree_and_a_rule_alone_need_no_warning(result):
    assert reading(rules(result, 1.0, 1.0, 1.0), "USDT").startswith("Every rule gives the same")
    assert reading({"through": rule_figures(result)}, "USDT") == ""
    assert reading({}, "USDT") == ""


def test_the_table_marks_the_rule_of_the_run_and_shows_every_one(result):
    grid = rules_grid(replace(result, fill_rules=rules(result, 3.0, 2.0, 1.0)))
    assert grid.heads == ("", "touch", "through (this run)", "queue")
    assert grid.rows[0] == ("Hedge PnL, USDT", "+3.00", "+2.00", "+1.00")
    assert rules_grid(result).rows == ()
