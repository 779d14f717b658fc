"""The bot: gathers a snapshot, lets the pure core decide, records, and carries the plan to the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

from loguru import logger

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import AlphaPulseError, ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.advice import Advisor
from alpha_pulse.hedging.common.interfaces import (
    Broker,
    FeedProblem,
    GridCalculator,
    Herald,
    MarketDataProvider,
    OrderManager,
    PositionFetcher,
    Relisting,
    RiskManager,
    StateStore,
    TicketDesk,
)
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.common.types import BotState, MarketState, Snapshot
from alpha_pulse.hedging.execution.order_manager import BrokerOrderManager
from alpha_pulse.hedging.execution.position_fetcher import FixedInventory, release
from alpha_pulse.hedging.grid import chronicle
from alpha_pulse.hedging.grid.backoff import wait_after
from alpha_pulse.hedging.grid.bookkeeping import bring_up_to_date
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.context import Context
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.dispatch import Dispatch
from alpha_pulse.hedging.grid.interruption import Interruption
from alpha_pulse.hedging.grid.leaving import Leaving, book_last
from alpha_pulse.hedging.grid.pace import Pace, changed_nothing
from alpha_pulse.hedging.grid.parts import load_calculator, risk_manager_for
from alpha_pulse.hedging.grid.recall import preflight, recall, refuse_twin, with_unsettled
from alpha_pulse.hedging.grid.wishes import WISHES, hear, resumed
from alpha_pulse.hedging.risk.portfolio import PortfolioBook
from alpha_pulse.hedging.state.memory import MemoryStore

_IDLE_S = 1.0  # while the market is silent, commands and staleness are looked at this often
_WITHOUT_NUMBERS = str.maketrans("", "", "0123456789.,")  # "no quotes for 3 s" and "for 4 s" are one trouble


class GridHedgeBot:
    """Hedges one pair. Every part can be replaced; what is not given is taken from the broker or made from the config.

    ``await bot.step()`` moves one market update, ``await bot.run()`` until the feed ends or ``request_stop`` is called, and
    ``await bot.execute(price)`` runs one tick on the market as it stands.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        symbol: str = "BTCUSDT",
        config: Mapping[str, Any] | BotConfig | None = None,
        data_provider: MarketDataProvider | None = None,
        grid_calculator: GridCalculator | None = None,
        risk_manager: RiskManager | None = None,
        order_manager: OrderManager | None = None,
        position_fetcher: PositionFetcher | None = None,
        store: StateStore | None = None,
        advisor: Advisor | None = None,
        portfolio: PortfolioBook | None = None,
    ) -> None:
        self.config = BotConfig.from_mapping(config)
        self.pair = hedge_pair(symbol)
        self.symbol = self.pair.perpetual
        self.broker = broker
        self.data_provider: MarketDataProvider = data_provider or broker.market_data(
            stale_after_s=self.config.execution.stale_after_s, anchor_ema_hours=self.config.grid.anchor_ema_hours
        )
        self.store: StateStore = store or MemoryStore()
        self.uses_zone = True  # False: make every decision in full, even where the last one stands
        self.last: tuple[Snapshot, Decision] | None = None  # the last decision made in full
        self.market: MarketState | None = None  # the last market that was acted upon
        self.exit_code = 0  # what the process should end with
        self._tag = bot_tag(broker.account, self.symbol)
        calculator = grid_calculator or load_calculator(self.config.grid.calculator) or DefaultGridCalculator()
        self._decider = Decider(self.config, calculator, risk_manager or risk_manager_for(self.config), self._tag)
        self._desk = broker if isinstance(broker, TicketDesk) else None
        self._herald = broker if isinstance(broker, Herald) else None
        self._rules = broker if isinstance(broker, Relisting) else None
        self._dispatch = Dispatch(self.store, order_manager or BrokerOrderManager(broker), self._herald)
        self._positions: PositionFetcher = position_fetcher or FixedInventory(self.config.inventory, self.pair)
        self._context = Context(advisor, portfolio, float(self.config.risk.max_effective_leverage))
        self._pace = Pace(self.config)
        self._instrument: Instrument | None = None  # None: not started, or stopped
        self._state = BotState()
        self._account: Account | None = None  # as of the last tick: another object means that something was booked
        self._waiting: asyncio.Future[MarketState | FeedProblem | None] | None = None
        self._caught_up = False
        self._stopping = ""
        self._interruption = Interruption()
        self._problem = ""

    @classmethod
    async def create(
        cls, *, broker: Broker, symbol: str = "BTCUSDT", config: Mapping[str, Any] | BotConfig | None = None, **parts: Any
    ) -> GridHedgeBot:
        """Make a bot and start it: the pair is opened, the memory loaded, our orders recognised. ``parts`` as in the constructor."""
        bot = cls(broker=broker, symbol=symbol, config=config, **parts)
        await bot.start()
        return bot

    @property
    def state(self) -> BotState:
        """The memory after the last tick."""
        return self._state

    async def start(self) -> None:
        """Open the pair and pick up where an earlier run left off. Idempotent."""
        if self._instrument is not None:
            return
        inventory = await self._positions.fetch_inventory(self.symbol)
        now = self.broker.clock.now_ms()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(release, self._positions)
            undo.push_async_callback(self.store.close)  # a start that fails leaves no lock behind
            remembered = await self.store.open(self.broker.account, self.symbol, self.broker.ids.new_run_id(), now)
            instrument = await self.broker.open_pair(self.pair, inventory)
            undo.push_async_callback(self.broker.close)
            self._state = await self._adopt(recall(remembered, self.config))
            undo.pop_all()
        self._instrument = instrument
        logger.info("Initialized GridHedgeBot for {} with {} levels", self.pair.name, self.config.grid.num_levels)

    async def _catch_up(self) -> None:
        """After a restart: the update that the venue took in last may not have been acted upon. A live market has moved on since."""
        if self._caught_up:
            return
        self._caught_up = True
        latest, market = self.broker.feed.latest(self.symbol), self.data_provider.current(self.symbol)
        if latest is not None and market is not None and market.raw == latest:
            await self._act_on(market)

    async def _adopt(self, state: BotState) -> BotState:
        """Recognise our own resting orders and those that an earlier run may have sent, and record the start."""
        ours = self._decider.ours(await self.broker.open_orders(self.symbol))
        refuse_twin(ours, state, self._tag)
        state = with_unsettled(state, await self.store.unsettled(), ours)
        if ours or state.unknown:
            logger.info("Adopted {} orders of an earlier run; {} more are asked after", len(ours), len(state.unknown))
        await self.store.save(chronicle.start_events(self.config, self.pair, ours, self.broker.clock.now_ms()), state)
        return state

    # --- the loop -------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Act on every market update until the feed ends or a stop is requested, then stop cleanly.

        The broad excepts of the project are here and where it ends: whatever happens, the bot reaches a safe state.

        Raises:
            ConfigError: the first prices show that these settings cannot be traded.
        """
        await self.start()
        failures = 0
        self._interruption.watch()
        try:
            while not self._stopping:
                try:
                    failures = await self._round(failures)
                except ConfigError:
                    self.exit_code = 2  # a hedge that is on keeps its stop
                    raise
                except Exception as error:  # noqa: BLE001 - by design
                    self._halt(error)
        except asyncio.CancelledError:
            if not self._interruption.was_ours():
                raise
        finally:
            self._interruption.over()
            await self._end()

    async def _round(self, failures: int) -> int:
        """Take one update, or ride out what fails and passes by itself; how many failures in a row that makes."""
        try:
            await self._catch_up()
            market = await self._next_market()
            if market is None:
                self.request_stop("the feed has ended")
            else:
                await self._act_on(market)
        except Transient as error:
            await self._ride_out(error, failures + 1)
            return failures + 1
        return 0

    async def _next_market(self) -> MarketState | FeedProblem | None:
        """The next update, None at the end; while none comes, look for commands and judge whether the last one is stale."""
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self.data_provider.advance(self.symbol))
        while not self._stopping:
            done, _ = await asyncio.wait({self._waiting}, timeout=_IDLE_S)
            if done:
                finished, self._waiting = self._waiting, None
                return finished.result()
            now = self.broker.clock.now_ms()
            await self._listen(now)
            market = self.data_provider.current(self.symbol)
            if market is not None and market.stale_reason:
                await self._skip(FeedProblem(now, market.stale_reason))
        self._waiting.cancel()
        return None

    async def step(self) -> bool:
        """Take one market update and run a tick if one is due; False when the feed has ended."""
        await self._catch_up()
        market = await self.data_provider.advance(self.symbol)
        if market is None:
            return False
        await self._act_on(market)
        return True

    async def _act_on(self, market: MarketState | FeedProblem) -> None:
        """A tick, unless it can wait or the last decision stands."""
        if isinstance(market, FeedProblem) or market.stale_reason:
            problem = market if isinstance(market, FeedProblem) else FeedProblem(market.raw.close_ms, market.stale_reason)
            if self.store.records_every_tick:
                await self._listen(problem.ts_ms)
            await self._skip(problem)
            return
        asked = self.store.records_every_tick and await self._listen(market.raw.close_ms)
        account, pace = await self.broker.fetch_account(self.symbol), self._pace
        asked, self._problem = asked or bool(self._problem), ""  # after trouble at once: what was withdrawn has to come back
        if not asked and not self._state.unknown and account is self._account and pace.can_wait(market.raw):
            return
        zoned = pace.stands(market, account, self._state)
        if (
            zoned is not None
            and await self.broker.open_orders(self.symbol) is zoned.open_orders
            and await self._positions.fetch_inventory(self.symbol) == zoned.inventory
        ):
            self.market = market
            pace.held(market.raw)
            return
        await self._tick(market, account)

    async def execute(self, price: Decimal | float | str | None = None) -> Decision:
        """One tick on the market as it stands; with ``price``, as if the perpetual traded there now.

        Raises:
            ConfigError: the price is not a positive number.
            Transient: there is no market to act on yet, or it is stale.
        """
        await self.start()
        market = self.data_provider.current(self.symbol)
        if market is None:
            await self.data_provider.get_current_price(self.symbol)
            market = self.data_provider.current(self.symbol)
        if market is None or market.stale_reason:
            raise Transient("no usable market data yet" if market is None else market.stale_reason)
        if price is not None:
            market = chronicle.at_price(market, price)
        if self.store.records_every_tick:
            await self._listen(market.raw.close_ms)
        return await self._tick(market, await self.broker.fetch_account(self.symbol))

    async def _tick(self, market: MarketState, account: Account) -> Decision:
        """Gather, decide, record the intent, send, record the outcome. Nothing is remembered that was not stored."""
        if self._instrument is None:
            raise Fatal("the bot was stopped: make a new one")
        instrument = self._rules.rules(self.symbol) if self._rules else self._instrument
        now = market.raw.close_ms
        tick_id = format(now, "x")
        booked = await bring_up_to_date(self.broker, self.symbol, self._state, tick_id, now, booked=account is self._account)
        events = [*booked.events, *self._context.events(tick_id, now)]
        snapshot = Snapshot(
            tick_id=tick_id,
            market=market,
            instrument=instrument,
            inventory=await self._positions.fetch_inventory(self.symbol),
            account=account,
            open_orders=await self.broker.open_orders(self.symbol),
            state=booked.state,
            stop_filled=booked.stop_filled,
            dead_man_switch=self.broker.capabilities.dead_man_switch,
            by_hand=not self.broker.capabilities.executes,
            advice=self._context.advice(now),
            portfolio=self._context.portfolio(),
        )
        if self.last is None:
            preflight(self.config, snapshot, multiplier=self.pair.multiplier, hedging=bool(self._decider.ours(snapshot.open_orders)))
        if self.last is None or snapshot.open_orders is not self.last[0].open_orders:
            refuse_twin(self._decider.ours(snapshot.open_orders), booked.state, self._tag)
        decision = self._decider.decide(snapshot)
        if events or self.store.records_every_tick or not changed_nothing(booked.state, decision):
            await self._carry_out(snapshot, decision, events)
            self._pace.ticked(snapshot, decision)
        else:
            self._state = decision.state
            self._pace.ticked(snapshot, decision)
            if self.uses_zone:
                self._pace.settle(self._decider, snapshot, decision)
        self._context.tell(snapshot, decision.assessment, decision.curve.neutral_size)
        self.last, self.market, self._account = (snapshot, decision), market, account
        return decision

    async def _carry_out(self, snapshot: Snapshot, decision: Decision, events: list[Event]) -> None:
        """Save what was decided before anything is sent; then send, and save what came of it."""
        now, tick_id, plan = snapshot.market.raw.close_ms, snapshot.tick_id, decision.approved
        events.append(chronicle.tick_event(snapshot, decision))
        seen = snapshot if self.store.records_every_tick else None
        events += [chronicle.change_event(change, now, tick_id, seen) for change in decision.changes]
        await self._dispatch.intend(plan, events, decision.state, tick_id, now)
        self._state = decision.state
        chronicle.log_changes(decision.changes)
        self._state = await self._dispatch.send(plan, decision.state, tick_id, now)
        await self._dispatch.save([], None if self._state is decision.state else self._state)
        if self.store.records_every_tick:
            chronicle.log_status(snapshot, decision)

    # --- people ---------------------------------------------------------------------------------------------------
    async def _listen(self, now: int) -> bool:
        """Carry out what people asked for, at once and not only when a tick is due. Whether that was anything."""
        heard = await hear(self.store, self._desk, self._herald, self._state, now)
        self._state = heard.state
        if heard.resumed:
            self._context.resumed()
            if self._stopping == WISHES["kill"].stops:
                self._stopping = ""
                self._interruption.take_back()
        if heard.stops:
            self.request_stop(heard.stops)
        if heard.events:
            await self._dispatch.save(list(heard.events), self._state)
        return bool(heard.events)

    def resume(self) -> None:
        """Release every latch and halt: the grid re-anchors, and drawdown counts from here."""
        self._state = resumed(self._state)
        self._context.resumed()
        logger.info(WISHES["resume"].text)

    def request_stop(self, reason: str) -> None:
        """End ``run`` after the tick that is under way, or soon where that hangs on a venue. The first reason stays."""
        self._stopping = self._stopping or reason
        self._interruption.ask()

    async def stop(self, *, cancel: bool = True) -> None:
        """End: cancel our orders (unless ``cancel`` is false), record it, release lock and connections. Idempotent.

        The protective stop stays only with ``execution.keep_stop_on_exit``, while halted, or after a failure that a person has to look at.
        Orders are cancelled even where nothing can be recorded any more.
        """
        if self._instrument is None:
            return
        self._instrument = None
        now = self.broker.clock.now_ms()
        tick_id, reason = format(now, "x"), self._stopping or "stopped"
        try:
            keep_stop = self.config.execution.keep_stop_on_exit or self.exit_code != 0 or bool(self._state.risk.halted)
            leaving = Leaving(self.broker, self._dispatch, self.symbol, self._decider.ours, keep_stop=keep_stop)
            if cancel:
                await leaving.withdraw(tick_id, now, unsettled=self._interruption.happened or bool(self._state.unknown))
            logger.info("Stopped ({}): {} orders cancelled, {} left behind", reason, leaving.cancelled, leaving.left)
            last = await book_last(self.broker, self.symbol, self._state, tick_id, now)
            news = [] if self._herald is None else self._herald.drain_events()
            stopped = {"reason": reason, "cancelled": leaving.cancelled, "left": leaving.left}
            await self._dispatch.save([*last.events, *news, Event(EventKind.STOPPED, now, tick_id, stopped)], last.state)
            self._state = last.state
            leaving.raise_failure()
        finally:
            async with AsyncExitStack() as rest:  # whatever of it fails, the others are closed
                rest.push_async_callback(self.broker.close)
                rest.push_async_callback(self.store.close)
                rest.push_async_callback(release, self._positions)
                rest.push_async_callback(self._context.close)

    # --- trouble --------------------------------------------------------------------------------------------------
    async def _skip(self, problem: FeedProblem) -> None:
        """Nothing is quoted on a broken market: orders that would unwind are withdrawn, the stop stays."""
        words = problem.reason.translate(_WITHOUT_NUMBERS)
        first, self._problem = words != self._problem, words
        try:
            inventory = await self._positions.fetch_inventory(self.symbol)
        except Transient:
            if self.last is None:
                raise
            inventory = self.last[0].inventory  # not known to have changed, and what unwinds has to go all the same
        plan = self._decider.withdraw_unwinding(inventory, await self.broker.open_orders(self.symbol))
        if first or not plan.is_empty:
            now, tick_id = problem.ts_ms, format(problem.ts_ms, "x")
            logger.warning("Tick skipped: {}", problem.reason)
            await self._dispatch.withdraw(plan, [Event(EventKind.TICK_SKIPPED, now, tick_id, {"reason": problem.reason})], tick_id, now)

    async def _ride_out(self, error: Transient, failures: int) -> None:
        """Something failed that passes by itself: withdraw what would unwind, wait longer each time."""
        wait = wait_after(failures)
        logger.warning("{} (failure {} in a row); trying again in {:.1f} s", error, failures, wait)
        try:
            await self._skip(FeedProblem(self.broker.clock.now_ms(), str(error)))
        except Transient as again:
            logger.debug("And: {}", again)
        await self._interruption.sleep(wait)

    def _halt(self, error: Exception) -> None:
        """Something that nobody foresaw: withdraw the grid, leave the stop, remember the halt, end with an exit code for a person."""
        logger.opt(exception=error).error("Halted by an unexpected error; the protective stop stays. Look at it, then `alpha-pulse resume`")
        reason = f"unexpected error: {type(error).__name__}: {error}"
        self._state = replace(self._state, risk=replace(self._state.risk, halted=reason))
        self._stopping, self.exit_code = reason, 1
        now = self.broker.clock.now_ms()
        self._dispatch.note(Event(EventKind.ALERT, now, format(now, "x"), {"key": "halted", "text": reason, "level": "critical"}))

    async def _end(self) -> None:
        """Stop; what cannot be ended cleanly is said, with what it means."""
        try:
            await self.stop()
        except Exception as error:  # noqa: BLE001 - by design
            self.exit_code = 1
            trace = None if isinstance(error, AlphaPulseError) else error
            logger.opt(exception=trace).error("Could not end cleanly, look whether orders are left at the venue: {}", error)
