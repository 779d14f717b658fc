"""Python in the documentation runs, and its YAML is read by the bot."""

import asyncio
from decimal import Decimal

import pytest
import yaml

from alpha_pulse.backtest.compiled.build import interpreted_with
from alpha_pulse.backtest.compiled.market import read_market
from alpha_pulse.backtest.compiled.support import ladder_of
from alpha_pulse.backtest.compiled.twin import run_twin
from alpha_pulse.backtest.replay import replay
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.parts import sizer_for
from alpha_pulse.hedging.risk.inventory import Action
from alpha_pulse.hedging.risk.sizers.signal import Direction
from alpha_pulse.settings import Settings, each_pair
from alpha_pulse.testing.snapshots import make_indicators, make_snapshot
from tests.unit.docs.pages import blocks

SNIPPETS = blocks("python")


def run(snippets, namespace=None):
    """Run snippets one after the other in one namespace, as a reader would."""
    namespace = {"__name__": "snippet"} if namespace is None else namespace
    for snippet in snippets:
        exec(compile(snippet.text, f"{snippet.page}, block {snippet.number}", "exec"), namespace)  # noqa: S102 - our own documentation
    return namespace


@pytest.mark.parametrize("page", sorted({snippet.page for snippet in SNIPPETS}))
def test_every_snippet_runs(page, capsys):
    run([snippet for snippet in SNIPPETS if snippet.page == page])


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: f"{block.page}-{block.number}")
def test_every_configuration_that_is_shown_can_be_run(block):
    for pair in each_pair(Settings.read(yaml.safe_load(block.text))):
        assert sizer_for(pair.bot_config)


def test_the_sizer_of_the_how_to_hedges_more_in_a_falling_market():
    sizer = run([s for s in SNIPPETS if s.page == "docs/how-to/write-a-sizer.md"])["TrendSizer"]()
    falling, rising = (make_snapshot(indicators=make_indicators(trend=trend)) for trend in (-0.5, 0.5))
    assert sizer.size(falling) == (pytest.approx(0.5), "trend -0.50", {"trend": -0.5})
    assert sizer.size(rising) == (pytest.approx(0.4), "trend +0.50", {"trend": 0.5})
    assert sizer.ratio_on(falling.market, 1.0) == sizer.size(falling).ratio


def test_the_libraries_give_what_stands_beside_their_snippets():
    shown = run([s for s in SNIPPETS if s.page == "docs/reference/python-api.md"][1:])
    assert (shown["hedge"], shown["confidence"]) == (0.75, 1.0)
    assert shown["together"]["weighted_hedge"] == pytest.approx(0.725)  # (3·0.8 + 1·0.5)/4, both scores are knots
    assert shown["decision"].direction is Direction.REDUCE_LONG
    assert (shown["rank"], shown["annual"]) == (0.75, pytest.approx(0.1095))
    assert shown["found"].action is Action.HEDGE_PARTIAL
    assert shown["found"].risk_score == pytest.approx(48.82)
    assert shown["risk"].var_99 == pytest.approx(6979, abs=0.5)  # 2.32635·0.03·100,000
    assert shown["fat"].z == 3.0  # the worst fifth of the days
    assert shown["impact"] == pytest.approx(0.00067, abs=5e-6)  # 0.03·√(10/20,000)
    assert shown["worth_it"] is True


async def test_the_calculator_of_the_how_to_does_not_quarrel_with_the_curve():
    namespace = run([s for s in SNIPPETS if s.page == "docs/how-to/write-a-calculator.md"][:1])
    calculator = namespace["BeforeRoundNumbers"]()
    bot = await GridHedgeBot.create(broker=create_broker("paper", environ={}), grid_calculator=calculator)
    for _ in range(300):
        await bot.step()
    orders = await bot.broker.open_orders(bot.symbol)
    grid = [order.request.price for order in orders if order.request.purpose == "grid"]
    fills = await bot.broker.fills(bot.symbol)
    await bot.stop()
    assert grid
    assert {price % 100 for price in grid} <= {Decimal("99.9"), Decimal("0.1")}
    assert len(fills) < 10


def test_the_ladder_of_the_how_to_trades_in_the_twin_as_its_class_does_in_the_bot(monkeypatch, tmp_path):
    (shown,) = [s for s in SNIPPETS if "class OneSell" in s.text]
    (tmp_path / "one_sell_shown.py").write_text(shown.text)
    monkeypatch.syspath_prepend(tmp_path)
    market_of_a_day = {"feed": {"source": "simulated", "seed": 3, "days": 1}, "hedge": {"band_under": 1, "band_over": 1}}
    settings = Settings.read({**market_of_a_day, "grid": {"calculator": "one_sell_shown:OneSell"}})
    kernels = interpreted_with(ladder_of(settings))
    bot, market = asyncio.run(replay(settings)), asyncio.run(read_market(settings))
    twin = run_twin(settings, market, kernels=kernels)
    assert len(bot.fills) > 1
    assert [(int(f.ts_ms), float(f.price), float(f.quantity)) for f in twin.fills] == [
        (f.ts_ms, float(f.price), float(f.quantity)) for f in bot.fills
    ]
