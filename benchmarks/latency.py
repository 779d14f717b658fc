"""How long the bot takes to decide: ``python -m benchmarks.latency``. Prints one line of JSON: per case count, median and p99 in µs.

The real bot steps through a simulated market. A feed around the feed notes when a bar is there; the risk manager notes when it has
approved a plan, and where the bot finds that nothing is to be sent, the end of its step counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from typing import Any

from loguru import logger

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.common.types import Assessment, Plan, Snapshot
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.market.simulated import SimulatedFeed
from alpha_pulse.market.wrapped import WrappedFeed
from benchmarks.replay import stay_on_one_core

CASES = ("any update", "quiet update", "update that crosses a node", "update with a fill")
_WARM_UP = 1440  # bars before anything is counted


class TimedFeed(WrappedFeed):
    """Notes when it handed out an update."""

    delivered_ns = 0

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update; the clock starts."""
        update = await super().next(symbol)
        self.delivered_ns = time.perf_counter_ns()
        return update


class TimedRiskManager(HedgeRiskManager):
    """The bot's own risk manager, which notes when it had approved a plan."""

    approved_ns = 0

    def check(self, plan: Plan, snapshot: Snapshot, assessment: Assessment) -> ApprovedPlan:
        """Approve; the clock stops."""
        approved = super().check(plan, snapshot, assessment)
        self.approved_ns = time.perf_counter_ns()
        return approved


def node_of(bot: GridHedgeBot) -> int:
    """Between which nodes of the curve the middle of the market lies, by the number of the lower one."""
    if bot.last is None:
        return 0
    curve, market = bot.last[1].curve, bot.data_provider.current(bot.symbol)
    return 0 if market is None else math.floor(math.log(market.mid / curve.anchor) / math.log1p(curve.spacing))


async def measure(days: float, seed: int) -> dict[str, list[int]]:
    """Nanoseconds of every update after the warm-up, by case."""
    feed = TimedFeed(SimulatedFeed(seed, days=days))
    config = BotConfig.from_mapping({"num_levels": 5})
    usual = risk_manager_for(config)
    risk = TimedRiskManager(usual.settings, usual.policy)
    broker = create_broker("paper", feed=feed)
    bot = await GridHedgeBot.create(broker=broker, symbol="BTCUSDT", config=config, risk_manager=risk)
    taken: dict[str, list[int]] = {case: [] for case in CASES}
    seen = fills = node = 0
    while True:
        risk.approved_ns = 0
        if not await bot.step():
            break
        elapsed = (risk.approved_ns or time.perf_counter_ns()) - feed.delivered_ns
        before, fills, was, node = fills, len(await broker.fills(bot.symbol)), node, node_of(bot)
        seen += 1
        if seen > _WARM_UP:
            case = CASES[3] if fills > before else CASES[2] if node != was else CASES[1]
            taken[case].append(elapsed)
            taken[CASES[0]].append(elapsed)
    await bot.stop()
    return taken


def summary(nanoseconds: list[int]) -> dict[str, Any]:
    """Count, median and 99th percentile (nearest rank) in µs; no figures of an empty list."""
    if not nanoseconds:
        return {"count": 0}
    ordered = sorted(nanoseconds)
    ranks = {"median": 0.5, "p99": 0.99}
    return {"count": len(ordered)} | {name: ordered[math.ceil(rank * len(ordered)) - 1] / 1000.0 for name, rank in ranks.items()}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30.0, help="of each simulated market, the first of them to warm up")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7], help="a simulated market for each")
    arguments = parser.parse_args()
    logger.remove()
    stay_on_one_core()
    runs = [asyncio.run(measure(arguments.days, seed)) for seed in arguments.seeds]
    print(json.dumps({case: summary([value for run in runs for value in run[case]]) for case in CASES}))


if __name__ == "__main__":
    main()
