"""The composition root: settings in, running bots out. The only place that knows every concrete class."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import stamina
from loguru import logger
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import AlphaPulseError, ConfigError, Transient
from alpha_pulse.execution.broker_factory import create_broker, live_account
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.feed_factory import create_feed, live_feed
from alpha_pulse.execution.inventory_factory import SpotAccounts, create_inventory
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.hedging.common.advice import Advice
from alpha_pulse.hedging.common.interfaces import Clock, IdSource, MarketFeed, StateStore
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.risk.analyzers.budget import DailyBudget
from alpha_pulse.hedging.risk.portfolio import PortfolioBook
from alpha_pulse.hedging.state.locks import HEARTBEAT_MS, Vitals
from alpha_pulse.hedging.state.notifying import NotifyingStore
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.hedging.state.why import recent_advice
from alpha_pulse.market.lockstep import Lockstep
from alpha_pulse.market.paced import PacedFeed
from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.ids import SeededIds, SystemIds
from alpha_pulse.runtime.logging import configure_logging, register_secret
from alpha_pulse.runtime.loop_lag import LoopLag
from alpha_pulse.runtime.notify.notifier import Notifier, create_notifier
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings, each_pair

_COMMANDS_EVERY_MS: Final = 200  # on a live market, where every update may be a tick
_LONGEST_START_WAIT_S: Final = 8.0  # between two tries; a stop takes effect after it

if TYPE_CHECKING:
    from alpha_pulse.execution.live.account import LiveAccount
    from alpha_pulse.hedging.risk.analyzers.llm import LLMHedgeAnalyzer


@dataclass(slots=True)
class Together:
    """What the bots of one process share."""

    portfolio: PortfolioBook | None = None
    budget: DailyBudget | None = None  # of language-model calls
    advice: Mapping[str, Sequence[Advice]] = field(default_factory=dict)  # by symbol: what an earlier run was told
    clock: Clock = field(default_factory=SystemClock)  # of what happens outside the market: pacing, advice
    live: LiveAccount | None = None  # real mode: the account that all pairs trade on
    notifier: Notifier | None = None  # tells a person's phone
    coins: SpotAccounts = field(default_factory=SpotAccounts)  # the accounts that hold the inventories


def build_bot(
    settings: Settings,
    *,
    store: StateStore | None = None,
    journal: SqlJournal | None = None,
    feed: MarketFeed | None = None,
    environ: Mapping[str, str] | None = None,
    together: Together | None = None,
) -> GridHedgeBot:
    """A bot with everything that the settings of one pair ask for, not started yet.

    Simulated and recorded markets bring their own time; a live market runs on the system clock.

    Raises:
        ConfigError: something cannot be run as it is set.
    """
    live = settings.feed.source == "ccxt"
    clock: Clock = SystemClock() if live else SimulatedClock()
    ids: IdSource = SystemIds() if live else SeededIds(settings.feed.seed)
    shared = together or Together()
    account = shared.live
    if account is None and settings.mode == "real":
        account = live_account(settings.exchange, environ)
    source = feed or create_feed(settings.feed, settings.exchange, clock, None if account is None else account.guard)
    broker = create_broker(
        settings.mode, settings=settings, feed=source, clock=clock, ids=ids, journal=journal, environ=environ, live=account
    )
    advisor = create_advisor(settings, clock, shared.budget, environ)
    if advisor is not None:
        advisor.recall(shared.advice.get(hedge_pair(settings.symbol).perpetual, ()))
    guard = None if account is None else account.guard
    inventory = create_inventory(settings.inventory, settings.exchange, hedge_pair(settings.symbol), environ, guard, shared.coins)
    return GridHedgeBot(
        broker=broker,
        symbol=settings.symbol,
        config=settings.bot_config,
        position_fetcher=inventory,
        store=store if store is None or shared.notifier is None else NotifyingStore(store, shared.notifier),
        advisor=advisor,
        portfolio=shared.portfolio,
    )


def create_advisor(
    settings: Settings, clock: Clock, budget: DailyBudget | None, environ: Mapping[str, str] | None = None
) -> LLMHedgeAnalyzer | None:
    """What asks a language model, or None where that is off. Its key is read from the environment and masked in every log.

    Raises:
        ConfigError: the extra is not installed, or the key would travel unencrypted.
    """
    if not settings.llm.enabled:
        return None
    from alpha_pulse.hedging.risk.analyzers.llm import LLMHedgeAnalyzer  # noqa: PLC0415 - only those who ask for it need aiohttp

    key = (os.environ if environ is None else environ).get(settings.llm.key_variable, "").strip()
    register_secret(key)
    return LLMHedgeAnalyzer(settings.llm, clock, api_key=SecretStr(key), budget=budget)


async def run_bot(settings: Settings) -> int:
    """Run every pair until stopped (SIGTERM, SIGINT, `alpha-pulse stop`) or until its feed ends. Returns the exit code of the process.

    A pair that halts leaves the others running; the exit code is the worst of all.

    Raises:
        ConfigError: something cannot be run as it is set; nothing is left running.
    """
    configure_logging(settings.logging)
    pairs = each_pair(settings)
    notifier = create_notifier(settings.notify, SystemClock())
    engine = await open_database(settings.store.url)
    lag = LoopLag(HEARTBEAT_MS / 1000.0)
    feeling = asyncio.create_task(lag.feel(), name="loop lag")
    try:
        bots = await build_bots(pairs, engine, lag, notifier)
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_all, bots, f"signal {number.name}", stopping)
        if len(bots) == 1:
            return await _run(bots[0], pairs[0], stopping)
        runs = (_run_beside(bot, one, stopping) for bot, one in zip(bots, pairs, strict=True))
        return max(end if isinstance(end, int) else 1 for end in await asyncio.gather(*runs, return_exceptions=True))
    finally:
        feeling.cancel()
        await asyncio.gather(feeling, return_exceptions=True)
        await engine.dispose()
        if notifier is not None:
            await asyncio.to_thread(notifier.close)


async def build_bots(
    pairs: tuple[Settings, ...], engine: AsyncEngine, lag: LoopLag | None = None, notifier: Notifier | None = None
) -> list[GridHedgeBot]:
    """One bot for each pair, on one store and in one portfolio, not started. Made-up and recorded markets keep step.

    Args:
        pairs: their settings, from ``each_pair``.
        engine: the open database.
        lag: what feels the event loop's lag, for the heartbeats; without it they tell of none.
        notifier: who is told of alerts.

    Raises:
        ConfigError: the pairs name different accounts, or a part cannot be made as it is set.
    """
    lag = LoopLag(HEARTBEAT_MS / 1000.0) if lag is None else lag
    step = Lockstep() if len(pairs) > 1 and pairs[0].feed.source != "ccxt" else None
    names = [hedge_pair(one.symbol).perpetual for one in pairs]
    together = Together(
        PortfolioBook(names) if len(pairs) > 1 else None,
        DailyBudget(pairs[0].llm.max_calls_per_day, pairs[0].llm.max_cost_per_day_usd),
        {name: await recent_advice(engine, name) for one, name in zip(pairs, names, strict=True) if one.llm.enabled},
    )
    together.notifier = notifier
    if pairs[0].mode == "real":
        together.live = live_account(_one_exchange(pairs), pairs=_most_of_a_quote(pairs))
    feeds = _feeds(pairs, together, step)
    bots = []
    for one, name, feed in zip(pairs, names, feeds, strict=True):
        every_ms = _COMMANDS_EVERY_MS if one.feed.source == "ccxt" else 0
        store, journal = SqlStore(engine, host=SystemHost(), commands_every_ms=every_ms), SqlJournal(engine, name)
        bot = build_bot(one, store=store, journal=journal, feed=feed, together=together)
        store.vitals = partial(vitals_of, bot, lag)
        bots.append(bot)
    return bots


def vitals_of(bot: GridHedgeBot, lag: LoopLag) -> Vitals:
    """How a running bot is. Its market's time may be simulated, and so is the age then."""
    market = None if bot.last is None else bot.data_provider.current(bot.symbol)
    age = None if market is None else (bot.broker.clock.now_ms() - market.raw.close_ms) / 1000.0
    return Vitals(lag.lag_s, age)


def _one_exchange(pairs: tuple[Settings, ...]) -> ExchangeSettings:
    """The account that all pairs trade on. Raises ``ConfigError`` where their entries name different ones."""
    for one in pairs:
        if one.exchange != pairs[0].exchange:
            raise ConfigError(
                "one process trades on one account, and this pair's entry names another.",
                field="pairs.exchange",
                value=one.symbol,
                fix="move exchange out of the entries, or run a process for each account",
            )
    return pairs[0].exchange


def _most_of_a_quote(pairs: tuple[Settings, ...]) -> int:
    """How many pairs share a wallet at most: those of one quote currency do."""
    return max(Counter(hedge_pair(one.symbol).quote for one in pairs).values())


def _feeds(pairs: tuple[Settings, ...], together: Together, step: Lockstep | None) -> list[MarketFeed]:
    """A feed for each pair; several live pairs of one exchange read from one."""
    guard = None if together.live is None else together.live.guard
    if len(pairs) > 1 and pairs[0].feed.source == "ccxt" and all(one.exchange == pairs[0].exchange for one in pairs):
        from alpha_pulse.market.shared import SharedFeed  # noqa: PLC0415 - live markets alone need it

        shared = SharedFeed(live_feed(pairs[0].feed, pairs[0].exchange, together.clock, guard, pairs=len(pairs)))
        return [shared.share() for _ in pairs]
    feeds = []
    for one in pairs:
        feed = create_feed(one.feed, one.exchange, together.clock, guard)
        if one.feed.source != "ccxt" and one.feed.speed > 0:
            feed = PacedFeed(feed, together.clock, one.feed.speed)
        feeds.append(feed if step is None else step.join(feed))
    return feeds


def _stop_all(bots: list[GridHedgeBot], reason: str, stopping: asyncio.Event) -> None:
    stopping.set()
    for bot in bots:
        bot.request_stop(reason)


async def _start(bot: GridHedgeBot, settings: Settings, stopping: asyncio.Event) -> bool:
    """Start, and try again for a while where the exchange or the database does not answer; False if a stop came first.

    Raises:
        Transient: the last try did, and the time is up.
    """
    within = settings.exchange.start_within_s if settings.feed.source == "ccxt" else 0.0
    retries = stamina.retry_context(
        on=Transient, attempts=None if within else 1, timeout=within or None, wait_initial=0.5, wait_max=_LONGEST_START_WAIT_S
    )
    async for attempt in retries:
        with attempt:
            if stopping.is_set():
                return False
            try:
                await bot.start()
            except Transient as error:
                logger.warning("{} did not start: {}", settings.symbol, error)
                raise
    return True


async def _run(bot: GridHedgeBot, settings: Settings, stopping: asyncio.Event) -> int:
    if not await _start(bot, settings, stopping):
        logger.info("Stopped before {} had started", settings.symbol)
        return 0
    logger.info(
        "Running {} in {} mode on a {} market; stop with Ctrl-C or `alpha-pulse stop`",
        settings.symbol,
        settings.mode,
        settings.feed.source,
    )
    await bot.run()
    return bot.exit_code


async def _run_beside(bot: GridHedgeBot, settings: Settings, stopping: asyncio.Event) -> int:
    """One of several: what ends it is said at once, and ends nothing else."""
    with logger.contextualize(pair=bot.pair.name):
        try:
            try:
                return await _run(bot, settings, stopping)
            finally:
                await bot.broker.close()
        except AlphaPulseError as error:
            logger.error("This pair has ended, the others go on: {}", error)
        except Exception as error:  # noqa: BLE001 - the others must not end with it
            logger.opt(exception=error).error("This pair has ended by an unexpected error, the others go on")
        return 1
