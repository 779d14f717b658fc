"""Whatever a market does and whatever is set, the compiled twin and the bot do the same."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alpha_pulse.backtest.compiled.build import INTERPRETED
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings
from alpha_pulse.testing.markets import update
from tests.unit.backtest.compiled.both import assert_same, run_bot, twin_on, twin_trades
from tests.unit.backtest.compiled.hostile import CHOICES, PLAIN, SIZERS, on_tick

EXAMPLES = settings(max_examples=25, deadline=None)
FRACTIONS = st.floats(-0.01, 0.01)
JUMPS = st.sampled_from([0.0] * 12 + [-0.5, -0.2, -0.06, 0.06, 0.2, 1.0])


@st.composite
def markets(draw: Any) -> list[MarketUpdate]:
    """Up to 60 bars: any move, any gap, any volume, now and then funding, a mark price beside the last and a book of any width."""
    price, minute, made = draw(st.sampled_from([600.0, 60_000.0])), 0, []
    for _ in range(draw(st.integers(5, 60))):
        minute += draw(st.sampled_from([1, 1, 1, 1, 240]))
        opened = on_tick(price * (1.0 + draw(JUMPS)))
        price = max(1.0, on_tick(opened * (1.0 + draw(FRACTIONS))))
        high, low = on_tick(max(opened, price) * (1.0 + abs(draw(FRACTIONS)))), on_tick(min(opened, price) * (1.0 - abs(draw(FRACTIONS))))
        bar = Bar(opened, max(high, opened, price), min(low, opened, price), price, draw(st.sampled_from([0.0, 0.5, 40.0, 1e4])))
        off = 1.0 + draw(st.sampled_from([0.0, 0.0, 0.004, -0.004]))
        spread = draw(st.sampled_from([0.1, 0.1, 0.5, 5.0]))
        depth = draw(st.sampled_from([0.0, 0.0, 2e3, 1e6]))
        mark = Bar(*(value * off for value in bar[:4]))
        settled = draw(st.sampled_from([None, None, None, 0.0007, -0.02]))
        bid = max(0.1, on_tick(price - spread))
        book = {"bid": bid, "ask": on_tick(bid + spread), "bid_depth": depth, "ask_depth": depth}
        made.append(update(minute, bar, mark=mark, settled_rate=settled, funding_rate=settled or 0.0001, **book))
    return made


@st.composite
def configurations(draw: Any) -> Settings:
    """Any combination of the values in ``CHOICES`` that is one."""
    chosen = {section: {name: draw(st.sampled_from(values)) for name, values in fields.items()} for section, fields in CHOICES.items()}
    chosen["hedge"]["sizer"] = draw(st.sampled_from(SIZERS))
    try:
        return Settings.read({**PLAIN, **chosen})
    except ConfigError:
        assume(False)
        raise


@EXAMPLES
@given(configurations(), markets())
def test_a_bot_that_lets_decisions_stand_trades_as_one_that_makes_each_anew(config, updates):
    full, quick = (asyncio.run(run_bot(config, updates, zone=zone)) for zone in (False, True))
    assume(full is not None)
    assert quick == full


@EXAMPLES
@given(configurations(), markets())
def test_bot_and_twin_trade_alike(config, updates):
    bot = asyncio.run(run_bot(config, updates))
    assume(bot is not None)
    twin = twin_on(config, updates)
    assert_same(bot, twin)
    assert twin_trades(twin_on(config, updates, skips=False)) == twin_trades(twin)


@settings(max_examples=8, deadline=None)
@given(configurations(), markets())
def test_python_runs_the_kernels_as_the_machine_does(config, updates):
    try:
        twin = twin_on(config, updates)
    except ConfigError:
        assume(False)
    other = twin_on(config, updates, INTERPRETED)
    assert twin_trades(other) == twin_trades(twin)
    assert float(other.state.cash) == float(twin.state.cash)
    assert list(other.path) == list(twin.path)
