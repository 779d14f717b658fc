"""The quiet zone saves time and nothing else: whole markets with it and without it leave the same events and the same fills."""

from __future__ import annotations

from typing import Any

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.market.simulated import SimulatedFeed
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.runtime.ids import SeededIds
from alpha_pulse.settings import Settings
from alpha_pulse.testing import FakeFeed
from tests.unit.backtest.compiled.hostile import Market, some_settings

SYMMETRIC = {"hedge": {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.5, "amplitude_adverse": 0.5}}

DAYS = 4

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "symmetric and fixed": SYMMETRIC
    | {
        "grid": {"grid_spacing_pct": "0.005", "anchor": "fixed", "volatility_multiple": 0},
        "risk": {"stop_loss_pct": None, "max_drawdown": None},
    },
    "a near stop and a near drawdown limit": {"risk": {"stop_loss_pct": "0.03", "stop_volatility_multiple": 0, "max_drawdown": "0.04"}},
    "narrow nodes that recentre often": SYMMETRIC
    | {"grid": {"grid_spacing_pct": "0.001", "num_levels": 3, "volatility_multiple": 0}, "risk": {"stop_loss_pct": "0.2"}},
    "a floor that moves": {"risk": {"var_limit_pct": "0.045", "floor_half_life_hours": 3}},
    "an absolute limit": {"risk": {"var_limit": 4500, "floor_half_life_hours": 3}},
    "funding that tilts": {"hedge": {"funding_tilt": 0.3, "funding_tilt_full": 0.1}},
    "a cap that binds": {"risk": {"max_effective_leverage": "0.6"}},
    "a short inventory": {"inventory": {"quantity": -1}, "hedge": {"amplitude_adverse": 0.2, "min_ratio": 0.1}},
    "a neutral grid": {"inventory": {"quantity": 0}, "risk": {"max_position_size": 1}, "hedge": {"amplitude": 1}},
    "an average anchor": {"grid": {"anchor": "ema"}},
    "the spline sizer": {"hedge": {"sizer": "spline"}},
    "the signal engine": {"hedge": {"sizer": "signal"}, "sizers": {"signal_action_threshold": 0.02}},
    "a blend for a short inventory": {"hedge": {"sizer": "blend"}, "inventory": {"quantity": -1}},
    "an assessor on the edge": {"inventory_risk": {"reduce_score": 18, "partial_score": 20, "full_score": 22, "liquidate_score": 24}},
    "coins that age": {
        "inventory": {"acquired_at": "2024-12-30T00:00:00Z"},
        "inventory_risk": {"max_hold_minutes": 10_000},
        "risk": {"floor_half_life_hours": 2},
    },
    "no assessor": {"inventory_risk": {"enabled": False}},
    "a tail read from the past": {"risk": {"var_method": "filtered_historical"}},
    "arithmetic nodes and few orders": {"grid": {"spacing": "arithmetic", "num_levels": 20}, "execution": {"max_active_orders": 3}},
}


async def run(config: dict[str, Any], seed: int, *, zone: bool) -> tuple[list[Any], list[Any], int]:
    """Events without ticks (a skipped decision writes none either way), fills, and decisions made in full."""
    store = MemoryStore()
    paper = PaperSettings(quote_balance=100_000) if config.get("inventory", {}).get("quantity") == 0 else PaperSettings()
    broker = PaperBroker(paper, SimulatedFeed(seed=seed, days=DAYS), SimulatedClock(), SeededIds(seed))
    bot = GridHedgeBot(broker=broker, symbol="BTCUSDT", config=config, store=store)
    bot.uses_zone = zone
    await bot.start()
    decisions, last = 0, None
    while await bot.step():
        if bot.last is not None and bot.last[1] is not last:
            decisions, last = decisions + 1, bot.last[1]
    events = [(s.event, s.hash) for s in await store.events(limit=10**6)]
    fills = list(await broker.fills(bot.symbol))
    return events, fills, decisions


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [3, 19])
async def test_with_and_without_the_zone_the_same_things_happen(name, seed):
    events, fills, decisions = await run(CASES[name], seed, zone=True)
    expected_events, expected_fills, all_decisions = await run(CASES[name], seed, zone=False)
    assert fills == expected_fills
    assert events == expected_events
    assert all_decisions == DAYS * 1440
    assert decisions <= all_decisions
    assert len(fills) > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_many_markets_with_and_without_the_zone(name, seed):
    assert (await run(CASES[name], seed, zone=True))[:2] == (await run(CASES[name], seed, zone=False))[:2]


# --- markets and settings that a seed draws, crashes, gaps and thin books among them ----------------------------------------------------
async def hostile_run(settings: Settings, seed: int, *, zone: bool) -> tuple[list[Any], list[Any]] | None:
    """Events and fills; None where the bot refuses these settings at its first prices."""
    store = MemoryStore()
    broker = PaperBroker(settings.paper, FakeFeed(Market(seed // 3).bars(1000)), SimulatedClock(), SeededIds(1))
    bot = GridHedgeBot(broker=broker, symbol=settings.symbol, config=settings.bot_config, store=store)
    bot.uses_zone = zone
    await bot.start()
    try:
        while await bot.step():
            pass
    except ConfigError:
        return None
    return [(s.event, s.hash) for s in await store.events(limit=10**6)], list(await broker.fills(bot.symbol))


@pytest.mark.parametrize("seed", [1076, 1108, 1129])  # under a drawdown latch no stop rests, and the latch of the stop comes all the same
async def test_a_hostile_market_brings_the_same_with_and_without_the_zone(seed):
    settings = some_settings(seed)
    assert settings is not None
    found = await hostile_run(settings, seed, zone=True)
    assert found is not None
    assert found == await hostile_run(settings, seed, zone=False)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1400))
async def test_many_hostile_markets_with_and_without_the_zone(seed):
    settings = some_settings(seed)
    if settings is not None:
        assert await hostile_run(settings, seed, zone=True) == await hostile_run(settings, seed, zone=False)
