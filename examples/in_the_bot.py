"""Run the bot on a configuration for some days of a simulated market, and ask it why its hedge is what it is.

Run it from the root of the repository, with any file of settings::

    python -m examples.in_the_bot config/examples/blend.yaml       # 5 days
    python -m examples.in_the_bot config/signals.yaml --days 30

``bot.state.target`` is how much to hedge: ``ratio`` is what the sizer wants, ``floor`` what risk demands at least, both fractions of the
inventory. Its ``contributions`` are the steps that led there, in order: every step has a name, the figure before and after it, a reason in
words, and the inputs it read. The examples spline_in_the_bot, signal_in_the_bot and blend_in_the_bot compute a step again from its inputs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.common.types import Contribution, HedgeTarget, MarketState
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.settings import Settings, load_settings

CONFIG = Path(__file__).resolve().parents[1] / "config"
SEED = 7
DAYS = 5.0
SHOWN = 8
WIDTH = 100  # of a reason, characters


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed how much to hedge, and what was seen then."""

    market: MarketState
    target: HedgeTarget
    hedged: float  # of the inventory, before the decision was carried out


async def run(file: Path, days: float = DAYS) -> tuple[Settings, list[Change]]:
    """Every change of the target in so many days, on paper. The market is made up: the same file, the same changes.

    Raises:
        ConfigError: the file cannot be read, or holds what cannot be run.
    """
    market = {"mode": "paper", "feed.source": "simulated", "feed.seed": SEED, "feed.days": days}
    settings = load_settings(file, market, environ={}).settings
    broker = create_broker(settings=settings, environ={})
    bot = await GridHedgeBot.create(broker=broker, symbol=settings.symbol, config=settings.bot_config)
    changes: list[Change] = []
    try:
        hedged = 0.0
        while await bot.step():  # one minute of market, and a tick if one is due
            target = bot.state.target
            if target is None or bot.market is None:
                continue
            if not changes or target is not changes[-1].target:  # while nothing moves, the same object stays
                changes.append(Change(bot.market, target, hedged))
            account = await broker.fetch_account(bot.symbol)
            hedged = float(-account.position.quantity / (settings.inventory.quantity or 1))
    finally:
        await bot.stop()
    return settings, changes


def print_changes(settings: Settings, changes: Sequence[Change], shown: int = SHOWN) -> None:
    """The last changes, a line each. What is hedged follows the curve: above ratio and floor as price rises through the grid."""
    pair = hedge_pair(settings.symbol)
    held, sizer = f"{settings.inventory.quantity} {pair.base}", settings.hedge.sizer
    print(f"{held} on a simulated market, {settings.feed.days:g} days, hedge.sizer {sizer}: the target changed {len(changes)} times, last:")
    print(f"  UTC               {f'price [{pair.quote}]':>13}   ratio   floor   hedged before")
    for change in changes[-shown:]:
        price = change.market.reference
        print(f"  {when(change)}  {price:>13,.2f}  {change.target.ratio:>6.1%}  {change.target.floor:>6.1%}  {change.hedged:>14.1%}")


def print_reasons(change: Change) -> None:
    """The contributions as a table: first the steps of the ratio, then those of the floor."""
    target = change.target
    print(f"\nWhy a ratio of {target.ratio:.1%} and a floor of {target.floor:.1%}, decided {when(change)} UTC:")
    print("  step              before    after   reason")
    previous = 0.0
    for step in target.contributions:
        if step.before != previous:  # the floor starts from nothing again
            print()
        previous = step.after
        first, *more = textwrap.wrap(step.reason, WIDTH) or [""]
        print(f"  {step.name:<15}  {step.before:>6.1%} → {step.after:>6.1%}   {first}")
        for line in more:
            print(" " * 37 + line)


def sizer_of(change: Change) -> Contribution:
    """The first step: what the sizer said."""
    return change.target.contributions[0]


def when(change: Change) -> str:
    """The market's time of a change, UTC to the minute."""
    return f"{datetime.fromtimestamp(change.market.now_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description="Run a configuration on a simulated market, and say why its hedge is what it is.")
    parser.add_argument("file", type=Path, help="YAML settings, e.g. config/examples/blend.yaml")
    parser.add_argument("--days", type=float, default=DAYS, help="length of the market [days]")
    given = parser.parse_args()
    settings, changes = asyncio.run(run(given.file, given.days))
    print_changes(settings, changes)
    print_reasons(changes[-1])


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    try:
        main()
    except ConfigError as error:  # field, value, fix
        print(error, file=sys.stderr)
        sys.exit(2)
