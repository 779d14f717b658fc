"""The examples as a reader runs them: real processes, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.examples.running import example, figure

DEMO = "examples.demo_grid_hedge_integration"


@pytest.mark.parametrize("mode", [{}, {"TRADING_MODE": "paper"}, {"TRADING_MODE": "PAPER"}])
def test_in_paper_mode_the_coin_is_hedged_and_the_outcome_told(tmp_path: Path, mode: dict[str, str]):
    done = example(DEMO, tmp_path, **mode)
    assert done.returncode == 0
    assert "Initialized GridHedgeBot for BTCUSDT with 5 levels" in done.stderr
    assert done.stdout.count(" risk normal\n") == 6
    short = figure(r"short -(\S+), hedge ratio", done.stdout)
    assert 0.4 <= short <= 0.85
    assert figure(r"hedge ratio (\S+)%", done.stdout) == pytest.approx(100 * short)
    assert figure(r"Fees paid (\S+),", done.stdout) > 0
    coins, hedge, together = (figure(rf"{word} ([+-]\d+\.\d+)", done.stdout) for word in ("coins", "hedge", "together"))
    assert together == pytest.approx(coins + hedge, abs=0.011)
    assert "tickets" not in done.stdout
    assert ", 0 left behind" in done.stderr


def test_in_recommendation_mode_a_person_trades_and_is_told_why_what_it_costs_and_until_when(tmp_path: Path):
    done = example(DEMO, tmp_path, TRADING_MODE="recommendation")
    assert done.returncode == 0
    assert "you sell " in done.stdout
    assert 0.4 <= figure(r"short -(\S+), hedge ratio", done.stdout) <= 0.85
    tickets = done.stdout.partition("Open tickets:\n")[2]
    assert re.search(r"^  ap\w{16}  buy \S+ at \S+; why: \S.*;\n {6}expected cost 2\.0 bps; expires in \d+ min$", tickets, re.MULTILINE)
    assert re.search(r"^  ap\w{16}  sell \S+ at market once mark reaches \d\S+; why: \S", tickets, re.MULTILINE)
    assert 'broker.apply(Command(1, "done", "ID PRICE QUANTITY"))' in tickets
    assert "Ticket ap" in done.stderr


def test_two_runs_of_the_demo_end_the_same_to_the_last_digit(tmp_path: Path):
    assert example(DEMO, tmp_path).stdout == example(DEMO, tmp_path).stdout


def test_real_mode_refuses_without_keys_and_names_the_variables(tmp_path: Path):
    done = example(DEMO, tmp_path, TRADING_MODE="real")
    assert (done.returncode, done.stdout) == (2, "")
    assert "EXCHANGE_API_KEY, EXCHANGE_API_SECRET" in done.stderr


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path):
    done = example(DEMO, tmp_path, TRADING_MODE="papre")
    assert (done.returncode, done.stdout) == (2, "")
    assert "paper, recommendation, real" in done.stderr


def test_a_calculator_of_ones_own_places_the_grid_and_the_caps_hold_against_it(tmp_path: Path):
    done = example("examples.custom_calculator", tmp_path)
    assert done.returncode == 0
    by_name, _, greedy = done.stdout.partition("\n")
    assert figure(r"By name: (\d+) fills", by_name) > 1
    prices = [float(price) for price in re.findall(r"(?:buy|sell) \S+ at ([\d.]+)", by_name)]
    assert len(prices) > 5
    assert all(price % 500 == 0 for price in prices)
    assert figure(r"approved, (\d+) refused", greedy) > 0
    assert "over the cap of 0.8" in greedy
    assert figure(r"deepest short of the day was (\S+),", greedy) <= 0.8
