"""Python in the documentation runs."""

from decimal import Decimal

import pytest

from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
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


def test_the_sizer_of_the_how_to_hedges_more_in_a_falling_market():
    sizer = run([s for s in SNIPPETS if s.page == "docs/how-to/write-a-calculator.md"][-1:])["TrendSizer"]()
    falling, rising = (make_snapshot(indicators=make_indicators(trend=trend)) for trend in (-0.5, 0.5))
    assert sizer.size(falling) == (pytest.approx(0.5), "trend -0.50")
    assert sizer.size(rising) == (pytest.approx(0.4), "trend +0.50")


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
