"""The examples of the risk library: what they print is what the formulas say, computed here once more."""

from __future__ import annotations

import asyncio
import math
import re

import numpy as np
import pytest

from alpha_pulse.testing.llm_server import LlmServer, answer
from examples import portfolio_risk
from tests.integration.examples.running import example, figure, said

PLAIN = {"LLM_API_KEY": "sk-of-this-test"}


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    return said("examples.inventory_risk", tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory):
    return said("examples.portfolio_risk", tmp_path_factory.mktemp("portfolio"))


def test_the_worked_example_of_inventory_risk_holds(inventory):
    first = inventory.partition("The same coins")[0]
    assert "SELL 5 BTC perpetual (hedge 50 % of 10 BTC" in first
    assert "risk score 48.82: loss severity 30.00, age 2.50, volatility 15.00, size against liquidity 1.32" in first
    assert "look again in 60 min" in first
    assert re.search(r"perp_short, 5\.0 coins; spread 66\.00 USD, .* -48\.22 USD .*, total 66\.00 USD \(3\.0 bps\)", first)
    moves = dict(re.findall(r"^  ([-+]\d %) +(\S+ +\S+)$", first, re.MULTILINE))
    assert {move: money.split() for move, money in moves.items()} == {
        "-5 %": ["-22,000", "-11,000"],
        "-2 %": ["-8,800", "-4,400"],
        "+2 %": ["+8,800", "+4,400"],
        "+5 %": ["+22,000", "+11,000"],
    }


def test_the_sweep_of_volatilities_follows_the_scorecard(inventory):
    rows = re.findall(r"^ +([\d.]+)% +([\d.]+) +([\d.]+) +([\d.]+)   (\w+) +(\d+)% +(\d+)$", inventory, re.MULTILINE)
    assert len(rows) == 9
    for percent, severity, regime, score, action, hedge, minutes in rows:
        volatility = float(percent) / 100
        points = 25 if volatility >= 0.08 else 15 if volatility >= 0.05 else 200 * volatility
        expected = 30 * min(1, volatility / 0.05), points, 30 * min(1, volatility / 0.05) + 2.5 + points + 15 * 440_000 / 5_000_000
        assert (float(severity), float(regime), float(score)) == pytest.approx(expected, abs=0.006)
        wanted = ("HEDGE_PARTIAL", "50") if expected[2] >= 45 else ("REDUCE", "25") if expected[2] >= 35 else ("HOLD", "0")
        assert (action, hedge) == wanted
        assert minutes == ("60" if expected[2] >= 40 else "240")


def test_each_case_of_inventory_risk_shows_what_it_is_about(inventory):
    rows = re.findall(
        r"^  (\S.*?) {2,}(\d\S+)   (\w+) +(\d+)%   (\S+) +(\S+)$",
        inventory.partition("What else matters:")[2],
        re.MULTILINE,
    )
    decided = {name: (action, instrument) for name, _, action, _, instrument, _ in rows}
    assert list(decided.values()) == [
        ("HEDGE_PARTIAL", "perp_short"),
        ("HEDGE_PARTIAL", "spot_sell"),  # funding of 1 % is under 2 %
        ("HEDGE_PARTIAL", "perp_long"),
        ("REDUCE", "perp_short"),  # score 19.82, and a loss of 2.2 % is beyond 2 %
        ("HOLD", "–"),
        ("HOLD", "–"),  # 60 bps are over 50
        ("HEDGE_FULL", "perp_short"),  # 30 + 2.5 + 25 + 7.5 = 65
        ("LIQUIDATE", "perp_short"),  # 30 + 20 + 25 + 15 = 90
    ]
    assert [score for _, score, *_ in rows][-2:] == ["65.00", "90.00"]


def test_the_basic_analyzer_closes_a_gap_and_holds_back_what_the_wallet_cannot_carry(tmp_path):
    under, after, over, topped_up, shrunk, steps = said("examples.basic_analyzer", tmp_path).strip().split("\n\n")
    assert "URGENT: sell 5 BTC (250,000 USDT): hedged 20.0%, 50.0% of the inventory under the target of 70.0%" in under
    assert figure(r"liquidation ([\d.]+)% away", under) == round(100 * ((500_000 + 2 * 48_000) / (2 * 1.005) / 50_000 - 1), 1)
    assert "The hedge is at its target." in re.sub(r"\s+", " ", after)
    assert figure(r"effective leverage ([\d.]+),", after) == round(7 * 50_000 / 496_000, 2)
    assert "Nothing is proposed" in over
    assert f"it takes {10 * 50_000 - 232_000:,.2f} USDT more" in re.sub(r"\s+", " ", over)
    assert "MEDIUM: sell 1 BTC" in topped_up
    assert "URGENT: buy 1 BTC" in shrunk  # leverage is 1.94 of at most 1
    assert "sell 2 BTC (100,000 USDT)" in steps
    assert "left to the target after it: -3 BTC" in steps


def test_a_language_model_can_only_raise_the_floor_and_only_a_little(tmp_path):
    text = said("examples.llm_analyzer", tmp_path)
    assert re.findall(r"floor goes from 30% to (\d+)%", text) == ["35", "30", "40", "30", "30", "30"]
    _, modest, less, greedy, prose, other, down = text.split("\n\n")[:7]
    assert "source llm, 1 request" in modest
    assert "refused: " not in modest
    assert "which advice cannot lower" in less
    assert all(f"refused: {what}" in greedy for what in ('orders: [{"sell": 50}]', "leverage: 125", "floor: 1 counts as at most 0.1 above"))
    assert "is no valid JSON" in prose
    assert "about another symbol" in other
    assert "HTTP 503; source basic, 2 request(s)" in down  # one retry
    assert all("» Long 10 BTC" in basic for basic in (prose, other, down))
    assert "the answer of 45 min ago, a floor of 40%" in text


async def test_a_model_of_ones_own_is_asked_with_its_key_and_the_whole_exchange_is_shown(tmp_path):
    async with LlmServer(answer(0.36), api_key="sk-of-this-test") as server:
        arguments = ("examples.llm_analyzer", tmp_path, "--url", server.url, "--model", "mine", "--format", "json_object")
        done = await asyncio.to_thread(example, *arguments, **PLAIN)
    assert done.returncode == 0
    assert "floor goes from 30% to 36%" in done.stdout
    assert '  |  "hedge_floor_in_force": 0.3' in done.stdout
    assert "sk-of-this-test" not in done.stdout + done.stderr
    request = server.requests[0]
    assert (request.path, request.body["model"], request.body["response_format"]) == (
        "/v1/chat/completions",
        "mine",
        {"type": "json_object"},
    )


async def test_a_model_that_is_not_there_ends_in_the_plain_analysis(tmp_path):
    async with LlmServer() as server:
        url = server.url  # nobody listens there from here on
    text = said("examples.llm_analyzer", tmp_path, "--url", url, "--model", "mine")
    assert "no advice: no connection to the endpoint; source basic" in text
    assert "floor goes from 30% to 30%" in text
    assert "» Long 10 BTC, perpetual -4 BTC" in text


def test_an_endpoint_without_a_model_is_refused_in_words(tmp_path):
    done = example("examples.llm_analyzer", tmp_path, "--url", "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert "llm.model: must name a model" in done.stderr


def test_a_portfolio_risks_less_than_its_parts_and_a_hedge_across_coins_less_still(portfolio):
    returns = portfolio_risk.simulated_returns()
    weights = 0.5 ** (np.arange(len(returns))[::-1] / 11.2)
    moments = (returns.T * weights) @ returns / weights.sum()  # two coins have one correlation: shrinking to the mean changes nothing
    (a, c), (_, b) = moments
    rows = re.findall(r"^ +(300,000) +(-?[\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)   \w", portfolio, re.MULTILINE)
    assert len(rows) == 3
    z = 2.3263478740408408
    for row in rows:
        btc, eth, *printed = (float(cell.replace(",", "")) for cell in row)
        alone = z * abs(btc) * math.sqrt(a), z * abs(eth) * math.sqrt(b)
        both = z * math.sqrt(btc * btc * a + 2 * btc * eth * c + eth * eth * b)
        assert printed == pytest.approx([*alone, sum(alone), both], abs=0.51)
        assert printed[3] <= printed[2] + 1
    exposures = [float(cell.replace(",", "")) for cell in re.findall(r"^  (?:BTC|ETH) .* ([\d,]+)$", portfolio, re.MULTILINE)]
    assert exposures == pytest.approx([300_000 + 200_000 * c / a, 200_000 + 300_000 * c / b], abs=0.51)
    left = float(re.search(r"USDT: ([\d,]+) USDT a day are left", portfolio)[1].replace(",", ""))
    assert left == pytest.approx(200_000 * math.sqrt(b - c * c / a), abs=0.51)  # the best hedge leaves σ·√(1 − ρ²)


def test_the_tail_of_fat_returns_is_under_estimated_by_the_normal_and_not_by_the_past_itself(portfolio):

    def student(p):  # of 4 degrees of freedom: Shaw (2006), closed form; scaled to a variance of 1
        root = math.sqrt(4 * p * (1 - p))
        t = 2 * math.sqrt(math.cos(math.acos(root) / 3) / root - 1)
        density = 0.375 * (1 + t * t / 4) ** -2.5
        return t / math.sqrt(2), density / (1 - p) * (4 + t * t) / 3 / math.sqrt(2)

    truth = [*student(0.95), *student(0.99)]
    assert [float(cell) for cell in re.search(r"the truth +(.*)", portfolio)[1].split()] == pytest.approx(truth, abs=0.006)
    rows = {
        name: [float(cell) for cell in re.findall(r"([\d.]+) ±", rest)]
        for name, rest in re.findall(r"^  (\w+)  +(.* ± .*)$", portfolio, re.MULTILINE)
    }
    assert list(rows) == ["parametric", "cornish_fisher", "filtered_historical"]
    assert rows["parametric"] == [1.64, 2.06, 2.33, 2.67]
    assert rows["filtered_historical"] == pytest.approx(truth, abs=0.1)
    assert rows["parametric"][2] < truth[2] - 0.3
    assert rows["parametric"][3] < truth[3] - 0.9
    assert "With 60 days only: parametric" in portfolio
