"""A rehearsal whose market feed is as impatient as its account, so that watchdogs and stale guards act within a test's patience."""

import asyncio
import contextlib
from decimal import Decimal

from alpha_pulse.bootstrap import Together, build_bot
from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import Purpose
from alpha_pulse.execution.broker_factory import live_account
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal
from alpha_pulse.hedging.common.order_ids import read_order_id
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.ccxt_feed import CcxtFeed, Pace
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.process import SystemHost

IMPATIENT = Pace(update=0.05, quotes=0.3, funding=0.3, spot=0.5, depth=5.0, silent=1.5, stale=3.0)
PATIENCE_S = 30.0

BY_PRICE_ALONE = {
    "hedge": {"ratio": 0.5, "min_ratio": 0, "max_ratio": 1, "amplitude": 0.4, "amplitude_adverse": 0.4, "funding_tilt": 0},
    "grid": {"grid_spacing_pct": "0.01", "volatility_multiple": 0, "volume_adjust": 0, "snap": 0, "num_levels": 4, "anchor": "fixed"},
    "risk": {"var_limit_pct": None, "max_drawdown": None},
    "inventory_risk": {"enabled": False},
}
"""A grid on both sides of the hedge that follows from the price alone: fills come where a test wants them."""


class Staged(Rehearsal):
    """A rehearsal with an impatient feed."""

    pace = IMPATIENT

    async def start(self):
        """As ``Rehearsal.start``, with the feed's waits shortened too."""
        account = live_account(self.settings.exchange, self._environ)
        exchange = self.settings.exchange
        feed = CcxtFeed(
            exchange.id, clock=SystemClock(), rest_url=exchange.rest_url, ws_url=exchange.ws_url, pace=self.pace, guard=account.guard
        )
        store, journal = SqlStore(self.engine, host=SystemHost()), SqlJournal(self.engine, self.name)
        bot = build_bot(self.settings, store=store, journal=journal, feed=feed, environ=self._environ, together=Together(live=account))
        return await self.launch(bot)

    async def launch(self, bot):
        """Start a bot and its loop; a bot that does not start leaves nothing open."""
        try:
            await bot.start()
        except BaseException:
            await bot.broker.close()
            raise
        self.bot = bot
        self._run = asyncio.create_task(bot.run(), name="rehearsed bot")
        return bot

    @property
    def stream(self):
        """The bot's private stream."""
        return self.live.broker.live.stream

    @property
    def heard(self):
        """Events that private sockets were sent so far."""
        return sum(count for topic, count in self.fake.hub.delivered.items() if "user" in topic)

    async def settled(self, within_s=PATIENCE_S):
        """``quiet``, with the patience that a busy machine needs."""
        await self.quiet(within_s)

    async def trade_through(self, *prices):
        """Move from price to price, waiting each time until everything is booked; how many fills that brought."""
        before = len(self.fake.venue.fills())
        for price in prices:
            self.move(price)
            await self.settled()
        return len(self.fake.venue.fills()) - before

    async def hedge(self):
        """Wait until half of the coins are hedged at 95,000, and all is quiet."""
        for price in (95_000, 95_100) * 10:
            await self.trade_through(price)
            if self.position == Decimal("-0.5"):
                break
        await self.trade_through(95_000)
        assert self.position == Decimal("-0.5")

    async def trade(self, *prices, count=2):
        """Move through these prices again and again, waiting each time, until ``count`` more orders have filled and are booked."""
        goal = len(self.fake.venue.fills()) + count
        for price in prices * 10:
            await self.trade_through(price)
            if len(self.fake.venue.fills()) >= goal:
                return
        raise AssertionError(f"nothing fills at {prices}")

    async def skipped(self):
        """Why ticks were skipped, oldest first."""
        return [stored.event.payload["reason"] for stored in await self.events(EventKind.TICK_SKIPPED)]

    @contextlib.asynccontextmanager
    async def watched(self):
        """Look at the venue every few milliseconds: at no moment does a node have two orders, whatever the clocks say."""
        twice = []

        async def look():
            while True:
                names = [read_order_id(self.tag, order.client_id) for order in self.ours() if order.is_open]
                nodes = [(name.side, name.node) for name in names if name.purpose is Purpose.GRID]
                twice.extend(node for node in set(nodes) if nodes.count(node) > 1)
                await asyncio.sleep(0.002)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert twice == []

    async def broken_but_for_time(self):
        """``broken`` where the venue's clock went back: spans of time say nothing then, ``watched`` sees to it."""
        return [problem for problem in await self.broken() if "live at once" not in problem]

    def worst(self):
        """Largest |position| that resting orders of one side can lead to: never more than the coins."""
        return self.worst_exposure() <= Decimal(1)


@contextlib.asynccontextmanager
async def staged(folder, settings=BY_PRICE_ALONE, *, hedged=True, kind=Staged, **options):
    """A bot that runs, hedged and quiet; at the end it is stopped, leaves nothing behind, and its books are right."""
    quick = {**QUICK, **options.pop("quick", {})}
    async with kind.running(folder, settings, quick=quick, **options) as rehearsal:
        if hedged:
            await rehearsal.hedge()
        yield rehearsal
