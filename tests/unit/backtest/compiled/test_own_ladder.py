"""A user's own grid in the twin: its compiled ladder trades as its calculator does in the bot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alpha_pulse.backtest.compiled.build import interpreted_with
from alpha_pulse.backtest.compiled.market import read_market
from alpha_pulse.backtest.compiled.sweep import sweep
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.settings import Settings
from tests.unit.backtest.compiled import own_grids
from tests.unit.backtest.compiled.both import assert_same, run_bot, twin_on

HERE = "tests.unit.backtest.compiled.own_grids"
WIDE_BANDS = {"ratio": "0.5", "band_under": 1, "band_over": 1}  # the ladder sizes the hedge, so that no gap quarrels with it


def settings_with(calculator: str, **sections: Any) -> Settings:
    feed = {"source": "simulated", "seed": 3, "days": 3}
    grid = {"calculator": f"{HERE}:{calculator}"}
    return Settings.read({"feed": feed, "hedge": WIDE_BANDS, "grid": grid, "inventory_risk": {"enabled": False}, **sections})


async def simulated(settings: Settings) -> list[MarketUpdate]:
    pair = hedge_pair(settings.symbol)
    feed = create_feed(settings.feed, settings.exchange)
    await feed.open(pair, builtin_instrument(pair))
    updates = []
    while (update := await feed.next(pair.perpetual)) is not None:
        assert isinstance(update, MarketUpdate)
        updates.append(update)
    return updates


CASES: dict[str, tuple[dict[str, Any], int]] = {
    "plain": ({}, 20),
    "more levels than may be live": ({"execution": {"max_active_orders": 3}}, 20),
    "stop and latch": ({"risk": {"stop_loss_pct": "0.02", "max_drawdown": "0.01"}}, 2),
}
"""Settings, and how many fills there are at least."""


async def test_a_compiled_ladder_trades_as_its_calculator_does_in_the_bot():
    for name, (sections, least) in CASES.items():  # in one test, for each process compiles the ladder anew
        settings = settings_with("EvenlyApart", **sections)
        updates = await simulated(settings)
        bot = await run_bot(settings, updates)
        twin = await asyncio.to_thread(twin_on, settings, updates)
        assert bot is not None
        assert len(bot.fills) >= least, name
        assert_same(bot, twin)


async def test_python_runs_the_same_ladder_uncompiled():
    settings = settings_with("EvenlyApart")
    updates = (await simulated(settings))[:600]
    bot = await run_bot(settings, updates)
    twin = await asyncio.to_thread(twin_on, settings, updates, interpreted_with(own_grids.evenly_apart))
    assert bot is not None
    assert bot.fills
    assert_same(bot, twin)


async def test_a_sweep_runs_own_and_default_grids_side_by_side():
    own = settings_with("EvenlyApart")
    default = Settings.read({"feed": own.feed.model_dump(exclude_unset=True)})
    market = await read_market(default)
    rows = sorted(sweep([own, default, own], market, workers=2), key=lambda row: row.number)
    assert [row.error for row in rows] == ["", "", ""]
    assert rows[0].hedge_pnl == rows[2].hedge_pnl != rows[1].hedge_pnl


@pytest.mark.parametrize(
    ("calculator", "words"),
    [
        ("WithoutLadder", "give your class a compiled_ladder"),
        ("NotForNumba", "numba cannot compile reads_a_file"),
        ("NoFunction", "no plain function"),
    ],
)
async def test_a_calculator_that_numba_cannot_have_is_refused_by_name(calculator, words):
    settings = settings_with(calculator)
    updates = (await simulated(settings_with("EvenlyApart")))[:10]
    with pytest.raises(ConfigError, match=r"grid\.calculator") as refused:
        await asyncio.to_thread(twin_on, settings, updates)
    assert words in str(refused.value)


@pytest.mark.soak
async def test_a_ladder_that_writes_past_its_room_is_stopped():
    settings = settings_with("TooMuch")
    updates = (await simulated(settings))[:10]
    with pytest.raises(IndexError):
        await asyncio.to_thread(twin_on, settings, updates)
