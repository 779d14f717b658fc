"""What a real run trades on the fake exchange, a paper run trades on the same market data.

The updates that the real bot's feed delivered are recorded; a paper bot with the same settings, trading rules and fees then runs on
exactly these. Fills must be equal in side, price, quantity, purpose and node, and so must fees, price step by price step: both venues
match with the same engine, and both bots see the same prices. Ids and times are each venue's own, and so is the order of fills inside
one step: a real venue fills in the moment of the trade, a paper one when the update arrives.

Three things are made equal here because they differ by design: there is no dead-man switch (the paper venue has none, so its stop covers
resting orders too); takers pay by the settings rather than by the depth shown; and the paper bot is not shown an update whose last trade
lies outside of its own quotes, which comes of two streams that bring one move a moment apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from alpha_pulse.bootstrap import build_bot
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, Purpose
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.ccxt_feed import CcxtFeed, Pace
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds
from tests.integration.live.processes import BY_PRICE_ALONE

Line = tuple[str, str, int, Decimal, Decimal, Decimal]


class RecordingFeed(CcxtFeed):
    """Keeps what it delivers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.delivered: list[MarketUpdate | FeedProblem] = []

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        update = await super().next(symbol)
        if update is not None:
            self.delivered.append(update)
        return update


class ReplayedFeed(FakeFeed):
    """What was recorded, after the same warm-up."""

    def __init__(self, before: Iterable[MarketUpdate], updates: Sequence[MarketUpdate | FeedProblem], rules: Instrument) -> None:
        self.clock = FakeClock(0)
        super().__init__(updates, instrument=rules, clock=self.clock)
        self.before = list(before)

    def history(self, symbol: str) -> Sequence[MarketUpdate]:
        return self.before


def of_one_moment(update: MarketUpdate | FeedProblem) -> bool:
    return isinstance(update, MarketUpdate) and update.bid <= update.perp.close <= update.ask


def without_depth(update: MarketUpdate) -> MarketUpdate:
    return update._replace(bid_depth=0.0, ask_depth=0.0)


class Recorded(Rehearsal):
    """A rehearsal whose bot reads through a recording feed."""

    feed: RecordingFeed
    warm_up: Sequence[MarketUpdate] = ()

    async def start(self) -> GridHedgeBot:
        exchange, pace = self.settings.exchange, Pace(update=self.settings.feed.update_interval_s)
        self.feed = RecordingFeed(exchange.id, rest_url=exchange.rest_url, ws_url=exchange.ws_url, clock=SystemClock(), pace=pace)
        store, journal = SqlStore(self.engine, host=SystemHost()), SqlJournal(self.engine, self.name)
        self.bot = build_bot(self.settings, store=store, journal=journal, feed=self.feed, environ=self._environ)
        await self.bot.start()
        self.warm_up = list(self.feed.history(self.bot.symbol))
        self._run = asyncio.create_task(self.bot.run())
        return self.bot


def lines(fills: Sequence[Fill]) -> Counter[Line]:
    grid = Purpose.GRID
    return Counter((f.purpose.value, f.side.value, f.node if f.purpose is grid else 0, f.price, f.quantity, f.fee) for f in fills)


async def real_run(run: Recorded, path: Sequence[float]) -> tuple[list[Counter[Line]], list[int]]:
    """The fills of each step, and how many updates the feed had delivered at its end."""
    steps, taken, seen = [], [], 0
    await run.quiet(60.0)
    for price in path:
        run.move(price)
        await run.until(lambda price=price: of_one_moment(run.feed.delivered[-1]) and run.feed.delivered[-1].perp.close == price, 30.0)
        await run.quiet(60.0)
        fills = await run.live.broker.fills(run.live.symbol)
        steps.append(lines(fills[seen:]))
        taken.append(len(run.feed.delivered))
        seen = len(fills)
    return steps, taken


async def paper_run(run: Recorded, taken: Sequence[int]) -> list[Counter[Line]]:
    rules = run.live.last[0].instrument
    ends = {index: step for step, index in enumerate(taken)}
    feed = ReplayedFeed(run.warm_up, [without_depth(u) for u in run.feed.delivered if of_one_moment(u)], rules)
    paper = PaperSettings(quote_balance=Decimal(100_000), maker_fee=rules.maker_fee, taker_fee=rules.taker_fee)
    broker = PaperBroker(paper, feed, feed.clock, FakeIds())
    bot = GridHedgeBot(broker=broker, symbol=run.settings.symbol, config=run.settings.bot_config)
    await bot.start()
    steps, seen = [], 0
    for index, update in enumerate([*run.feed.delivered, None]):
        if index in ends:
            fills = await broker.fills(bot.symbol)
            steps.append(lines(fills[seen:]))
            seen = len(fills)
        if update is not None and of_one_moment(update):
            assert await bot.step()
    await bot.stop()
    return steps


PATHS = {
    "up and down through the nodes": [
        95_001,
        96_430,
        97_350,
        96_390,
        95_420,
        94_480,
        95_440,
        96_410,
        97_370,
        98_320,
        97_340,
        96_400,
        95_460,
    ],
    "a fall through the stop and back": [95_001, 96_430, 97_350, 79_000, 82_000, 90_000, 95_900],
    "coins that are owed": [94_999, 93_560, 94_480, 93_550, 94_500, 95_440, 94_470, 93_560, 92_650, 93_580, 92_640],
}
OTHERS = {"coins that are owed": {"inventory": {"quantity": "-1"}}}


@pytest.mark.parametrize("name", PATHS)
async def test_a_paper_run_on_what_the_real_feed_delivered_ends_with_the_same_fills(tmp_path, name):
    given = {**BY_PRICE_ALONE, **OTHERS.get(name, {})}
    async with Recorded.running(tmp_path, given, quick={**QUICK, "dead_man_switch_s": 0}) as run:
        real, taken = await real_run(run, PATHS[name])
        assert sum(step.total() for step in real) >= 5
        assert await run.broken() == []
        paper = await paper_run(run, taken)
        for number, (one, other) in enumerate(zip(real, paper, strict=True)):
            assert one == other, f"step {number} to {PATHS[name][number]}"


@pytest.mark.parametrize("late", ["quotes", "fills"])
async def test_a_jump_whose_fills_and_quotes_come_apart_is_no_gap(tmp_path, late):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        await run.quiet(60.0)
        for price in (95_001, 96_430):  # the hedge opens on its own, then a node fills: no gap is left to close
            run.move(price)
            await run.quiet(60.0)
        assert run.position == Decimal("-0.6")
        placed = len([o for o in run.ours() if o.client_id.startswith(f"{run.tag}r")])
        if late == "fills":
            run.fake.hub.fault("delay", account=run.fake.venue.account().key, seconds=0.4)
        else:
            run.fake.hub.fault("delay", pattern="btcusdt@*", seconds=0.4)
        run.move(98_380)  # through two nodes at once
        await run.quiet(60.0, for_s=1.0)
        assert len([o for o in run.ours() if o.client_id.startswith(f"{run.tag}r")]) == placed
