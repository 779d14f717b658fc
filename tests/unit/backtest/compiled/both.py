"""The bot and its twin on one market, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from alpha_pulse.backtest.compiled.build import Kernels
from alpha_pulse.backtest.compiled.market import market_of
from alpha_pulse.backtest.compiled.twin import TwinResult, run_twin
from alpha_pulse.backtest.compiled.values import PURPOSES
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.runtime.ids import SeededIds
from alpha_pulse.settings import Settings
from alpha_pulse.testing import FakeFeed

Trade = tuple[int, int, float, float, str]
"""(time, side, price, quantity, purpose)."""


@dataclass
class BotRun:
    fills: Sequence[Fill]
    funding: Sequence[FundingPayment]
    cash: Decimal


async def run_bot(settings: Settings, updates: Sequence[MarketUpdate], *, zone: bool = False) -> BotRun | None:
    """The bot itself on the paper venue, every decision in full unless ``zone``; None where it refuses to start on this market."""
    broker = PaperBroker(settings.paper, FakeFeed(updates), SimulatedClock(), SeededIds(1))
    store = MemoryStore(records_every_tick=False)
    bot = GridHedgeBot(broker=broker, symbol=settings.symbol, config=settings.bot_config, store=store)
    bot.uses_zone = bot.uses_zone and zone
    await bot.start()
    try:
        while await bot.step():
            pass
    except ConfigError:
        return None
    account = await broker.fetch_account(bot.symbol)
    return BotRun(await broker.fills(bot.symbol), await broker.funding(bot.symbol), account.wallet)


def twin_on(settings: Settings, updates: Sequence[MarketUpdate], kernels: Kernels | None = None, *, skips: bool = True) -> TwinResult:
    market = asyncio.run(market_of(FakeFeed(updates), settings.symbol, anchor_ema_hours=settings.grid.anchor_ema_hours))
    return run_twin(settings, market, kernels=kernels, skips=skips)


def trades(fills: Sequence[Fill]) -> list[Trade]:
    return [(f.ts_ms, f.side.sign, float(f.price), float(f.quantity), f.purpose.value) for f in fills]


def twin_trades(result: TwinResult) -> list[Trade]:
    return [(int(f.ts_ms), int(f.sign), float(f.price), float(f.quantity), PURPOSES[int(f.purpose)]) for f in result.fills]


def assert_same(bot: BotRun, twin: TwinResult) -> None:
    """The same fills, to the last digit, the same settlements, and cash within a billionth."""
    assert twin_trades(twin) == trades(bot.fills)
    assert [(int(p.ts_ms), float(p.quantity)) for p in twin.funding] == [(p.ts_ms, float(p.position)) for p in bot.funding]
    cash = float(bot.cash)
    assert abs(float(twin.state.cash) - cash) <= 1e-9 * max(1.0, abs(cash))
