"""A start that fails once its pair is open, and is tried again: the account and the market are those of a first start."""

import asyncio
import contextlib

import pytest

from alpha_pulse.bootstrap import Together, build_bot
from alpha_pulse.errors import Transient
from alpha_pulse.execution.broker_factory import live_account
from alpha_pulse.execution.feed_factory import live_feed
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.fake_exchange.rehearsal import ENVIRON
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.shared import SharedFeed
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings, each_pair
from tests.integration.live.staged import BY_PRICE_ALONE
from tests.integration.live.test_shared_account import FRUGAL, RICH

QUICK = {**FRUGAL, "reconcile_s": 0.25}


class BusyOnce(SqlStore):
    """A store whose database is busy when it is asked for the first time, after the lock was taken."""

    asked = 0

    async def unsettled(self):
        self.asked += 1
        if self.asked == 1:
            raise Transient("reading unsettled orders: database is locked")
        return await super().unsettled()


@contextlib.asynccontextmanager
async def made(folder, *symbols):
    """The fake exchange, and a bot for each symbol as ``alpha-pulse run`` makes them; the first one's store is busy once."""
    async with FakeExchange.running(RICH) as venue:
        tree = {
            "mode": "real",
            "exchange": {**QUICK, "rest_url": venue.rest_url, "ws_url": venue.ws_url},
            "feed": {"source": "ccxt", "update_interval_s": 0.05},
            "store": {"url": f"sqlite+aiosqlite:///{folder / 'bots.db'}"},
            "pairs": [{"symbol": symbol, "inventory": {"quantity": "1"}} for symbol in symbols],
            **BY_PRICE_ALONE,
        }
        settings = each_pair(Settings.read(tree))
        account = live_account(settings[0].exchange, ENVIRON, pairs=len(settings))
        shared = SharedFeed(live_feed(settings[0].feed, settings[0].exchange, SystemClock(), account.guard, pairs=len(settings)))
        engine = await open_database(settings[0].store.url)
        bots = []
        for one in settings:
            store, journal = (SqlStore if bots else BusyOnce)(engine, host=SystemHost()), SqlJournal(engine, one.symbol)
            feed = shared.share() if len(settings) > 1 else shared.feed
            bots.append(build_bot(one, store=store, journal=journal, feed=feed, environ=ENVIRON, together=Together(live=account)))
        try:
            yield venue.venue, bots
        finally:
            for bot in bots:
                await bot.stop()
                await bot.broker.close()
            await engine.dispose()


async def patiently(call, *args):
    """What a call answers, as soon as it does: on a busy machine an account may be read late."""
    while True:
        with contextlib.suppress(Transient):
            return await call(*args)
        await asyncio.sleep(0.05)


async def looks_after(venue, bot):
    """Whether orders rest at the venue after an update, and the account is read of the bot's own accord."""
    while bot.last is None:
        await patiently(bot.step)
    since = len(venue.log)
    while sum(request.path.endswith("positionRisk") for request in venue.log[since:]) < 2:  # noqa: ASYNC110 - another program asks
        await asyncio.sleep(0.01)
    await patiently(bot.broker.fetch_account, bot.symbol)
    return any(order.is_open for order in venue.orders(None, bot.pair.name))


async def test_a_start_that_is_tried_again_looks_after_its_pair(tmp_path):
    async with made(tmp_path, "BTCUSDT") as (venue, (bot,)), asyncio.timeout(30.0):
        with pytest.raises(Transient, match="database is locked"):
            await bot.start()
        await bot.start()
        assert await looks_after(venue, bot)


async def test_a_start_that_is_tried_again_beside_another_pair_looks_after_its_pair(tmp_path):
    async with made(tmp_path, "BTCUSDT", "ETHUSDT") as (venue, (bot, other)), asyncio.timeout(30.0):
        await other.start()
        with pytest.raises(Transient, match="database is locked"):
            await bot.start()
        await bot.start()
        assert await looks_after(venue, bot)
        assert bot.broker.live.is_armed(bot.symbol)
        await other.stop()
        assert await patiently(bot.step)  # the feed is still open for the one that is left
