"""Bring your own grid: a calculator that quotes at round numbers, in a bot that is otherwise the usual one.

Run it from the root of the repository: ``python -m examples.custom_calculator``.

A calculator only says where orders should rest. Whatever it asks for still passes the risk manager, which is shown by asking for too much.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.common.interfaces import GridCalculator
from alpha_pulse.hedging.common.types import GridLevel, MarketState, PositionState
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging

SYMBOL = "BTCUSDT"
MINUTES = 24 * 60
CONFIG = {"max_position_size": "0.8", "num_levels": 5}  # one coin is held (the default); the short may reach 0.8


@dataclass(frozen=True)
class CustomGridCalculator(GridCalculator):
    """Rungs at round numbers, where other people's orders gather; the further above the anchor, the larger the short.

    It needs no memory of fills: at every rung it asks for what takes the position there, so that whatever was missed is made up for.
    """

    step: Decimal = Decimal(500)  # quote units between rungs
    size: Decimal = Decimal("0.015")  # base units that each rung above the anchor adds

    def calculate_grid_levels(self, market: MarketState, position: PositionState) -> list[GridLevel]:
        """What should rest now; what is not returned is cancelled. Pure: the same market and position, the same levels.

        ``market`` also knows mark, index, funding, volatility, volume, depth, supports and resistances.
        """
        levels: list[GridLevel] = []
        anchor = round(position.anchor / float(self.step))
        above, below = int(market.ask // self.step) + 1, -int(-market.bid // self.step) - 1  # the nearest rungs off the touch
        short = -position.lowest  # the short once everything that is under way has been sold
        for rung in range(above, above + position.curve.levels):
            more = self.short_at(rung - anchor, position) - short
            if more > 0:
                levels.append(GridLevel(Side.SELL, rung * self.step, more, node=rung - anchor))
                short += more
        short = -position.highest  # and once everything that is under way has been bought
        for rung in range(below, below - position.curve.levels, -1):
            less = short - self.short_at(rung - anchor, position)
            if less > 0:
                levels.append(GridLevel(Side.BUY, rung * self.step, less, node=rung - anchor))
                short -= less
        return levels

    def short_at(self, node: int, position: PositionState) -> Decimal:
        """The short wanted so many rungs above the anchor, base units: the policy's share of the coins, plus ``size`` a rung."""
        return position.inventory * Decimal(str(position.target.ratio)) + max(0, node) * self.size


async def by_name() -> None:
    """As a configuration file has it, ``grid: {calculator: package.module:Class}``: the class is made without arguments."""
    config = {**CONFIG, "grid": {"calculator": "examples.custom_calculator:CustomGridCalculator"}}
    bot = await GridHedgeBot.create(broker=create_broker("paper"), symbol=SYMBOL, config=config)
    for _ in range(MINUTES):
        await bot.step()  # one market update, and a tick if one is due
    fills, orders = await bot.broker.fills(bot.symbol), await bot.broker.open_orders(bot.symbol)
    grid = sorted((order.request for order in orders if order.request.purpose is Purpose.GRID), key=lambda order: order.price or 0)
    print(f"By name: {len(fills)} fills in a day; resting now: {', '.join(f'{o.side} {o.quantity} at {o.price}' for o in grid)}")
    await bot.stop()


async def greedy() -> None:
    """As an object, with the parts given by hand, asking for far more than the position cap allows."""
    broker = create_broker("paper")
    calculator = CustomGridCalculator(size=Decimal("0.25"))
    provider = broker.market_data(stale_after_s=180.0, anchor_ema_hours=24.0)
    bot = GridHedgeBot(broker=broker, data_provider=provider, symbol=SYMBOL, grid_calculator=calculator, config=CONFIG)
    await bot.start()  # ``create`` does both
    deepest = Decimal(0)
    for minute in range(MINUTES):
        decision = await bot.execute(await bot.data_provider.get_current_price(SYMBOL))
        deepest = min(deepest, (await broker.fetch_account(bot.symbol)).position.quantity)
        if minute == 0:
            print(f"Greedy: {len(decision.approved.place)} orders approved, {len(decision.approved.refused)} refused:")
            for refusal in decision.approved.refused:
                order = refusal.request
                print(f"  {order.purpose} {order.side} {order.quantity} at {order.price}: {refusal.reason}")
    print(f"Greedy: the deepest short of the day was {abs(deepest)}, the cap is {CONFIG['max_position_size']}")
    await bot.stop()


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    asyncio.run(by_name())
    asyncio.run(greedy())
