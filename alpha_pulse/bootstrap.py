"""The composition root: settings in, running bot out. The only place that knows every concrete class."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping

from loguru import logger

from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.hedging.common.interfaces import Clock, IdSource, MarketFeed, StateStore
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.paced import PacedFeed
from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.ids import SeededIds, SystemIds
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings


def build_bot(
    settings: Settings,
    *,
    store: StateStore | None = None,
    journal: SqlJournal | None = None,
    feed: MarketFeed | None = None,
    environ: Mapping[str, str] | None = None,
) -> GridHedgeBot:
    """A bot with everything that the settings ask for, not started yet.

    Simulated and recorded markets bring their own time; a live market runs on the system clock.

    Raises:
        ConfigError: something cannot be run as it is set.
    """
    live = settings.feed.source == "ccxt"
    clock: Clock = SystemClock() if live else SimulatedClock()
    ids: IdSource = SystemIds() if live else SeededIds(settings.feed.seed)
    source = feed or create_feed(settings.feed, settings.exchange)
    broker = create_broker(settings.mode, settings=settings, feed=source, clock=clock, ids=ids, journal=journal, environ=environ)
    return GridHedgeBot(broker=broker, symbol=settings.symbol, config=settings.bot_config, store=store)


async def run_bot(settings: Settings) -> int:
    """Run until stopped (SIGTERM, SIGINT, `alpha-pulse stop`) or until the feed ends. Returns the exit code of the process."""
    configure_logging(settings.logging)
    engine = await open_database(settings.store.url)
    try:
        feed = create_feed(settings.feed, settings.exchange)
        if settings.feed.source != "ccxt" and settings.feed.speed > 0:
            feed = PacedFeed(feed, SystemClock(), settings.feed.speed)
        bot = build_bot(settings, store=SqlStore(engine, host=SystemHost()), journal=SqlJournal(engine), feed=feed)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, bot.request_stop, f"signal {number.name}")
        await bot.start()
        logger.info(
            "Running {} in {} mode on a {} market; stop with Ctrl-C or `alpha-pulse stop`",
            settings.symbol,
            settings.mode,
            settings.feed.source,
        )
        await bot.run()
        return bot.exit_code
    finally:
        await engine.dispose()
