"""Bring your own sizer: a class that says how much to hedge, in a bot that is otherwise the usual one.

Run it from the root of the repository: ``python -m examples.custom_sizer``.

A sizer has one method, ``size(snapshot)``, and is named in the settings: ``hedge: {sizer: "examples.custom_sizer:TrendSizer"}``. Its word
is the first step of a pipeline: funding tilts the ratio, the bounds clip it, a change must be worth its cost, hysteresis lets it move in
whole units only, and whatever comes out is under the floors and caps of the risk manager, which is shown by a sizer that never hedges.
"""

from __future__ import annotations

import asyncio

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.common.types import HedgeTarget, Snapshot
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.risk.sizing import Sizing
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging

SYMBOL = "BTCUSDT"
DAYS = 2


class TrendSizer:
    """Hedges 40 % of the coins, and up to 60 % while the trend points down."""

    def size(self, snapshot: Snapshot) -> Sizing:
        """The wanted ratio, 0 … 1, why in a few words, and what it was computed from. ``(ratio, reason)`` alone would do.

        Pure: the same snapshot, the same answer, so that a decision can be replayed. A snapshot knows the market with its indicators,
        the inventory, the account, open orders, and what the bot remembers.
        """
        trend = snapshot.market.indicators.trend  # −1 down … +1 up
        return Sizing(0.4 + 0.2 * max(0.0, -trend), f"trend {trend:+.2f}", {"trend": trend})


class CarelessSizer:
    """Never hedges anything."""

    def size(self, snapshot: Snapshot) -> tuple[float, str]:  # noqa: ARG002 - it does not even look
        """Nothing."""
        return 0.0, "prices only go up"


async def run(sizer: type) -> None:
    """The bot with a sizer by its name, as a configuration file has it: the class is made without arguments."""
    config = {"hedge": {"sizer": f"examples.custom_sizer:{sizer.__name__}", "ratio": 0.0}, "inventory": {"quantity": "1"}}
    bot = await GridHedgeBot.create(broker=create_broker("paper"), symbol=SYMBOL, config=config)
    seen: list[HedgeTarget] = []
    deepest = ZERO
    for _ in range(DAYS * 24 * 60):
        await bot.step()  # one market update, and a tick if one is due
        if bot.state.target is not None and bot.state.target not in seen[-1:]:
            seen.append(bot.state.target)
        deepest = min(deepest, (await bot.broker.fetch_account(bot.symbol)).position.quantity)
    await bot.stop()
    ratios, floors = [target.ratio for target in seen], [target.floor for target in seen]
    print(f"{sizer.__name__}: {len(seen)} targets in {DAYS} days; ", end="")
    print(f"ratio {min(ratios):.1%} … {max(ratios):.1%}, floor {min(floors):.1%} … {max(floors):.1%}, deepest short {-deepest} BTC")
    most = max(seen, key=lambda target: max(target.ratio, target.floor))
    print("  where it hedged most:")
    for step in most.contributions:
        print(f"    {step.name:<15} {step.before:>6.1%} → {step.after:>6.1%}   {step.reason}")


async def main() -> None:
    """A sizer with an idea, and one without."""
    await run(TrendSizer)
    await run(CarelessSizer)


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    asyncio.run(main())
