"""The bot: gathers a snapshot, lets the pure core decide, records, and carries the plan to the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from loguru import logger

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import Order, Purpose
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.interfaces import (
    Broker,
    FeedProblem,
    GridCalculator,
    MarketDataProvider,
    OrderManager,
    PositionFetcher,
    RiskManager,
    StateStore,
    TicketDesk,
)
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.common.types import BotState, MarketState, Snapshot
from alpha_pulse.hedging.execution.order_manager import BrokerOrderManager
from alpha_pulse.hedging.execution.position_fetcher import FixedInventory
from alpha_pulse.hedging.grid import chronicle
from alpha_pulse.hedging.grid.bookkeeping import bring_up_to_date
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.dispatch import Dispatch
from alpha_pulse.hedging.grid.pace import Pace, changed_nothing
from alpha_pulse.hedging.grid.parts import load_calculator, risk_manager_for, settings_digest
from alpha_pulse.hedging.grid.preflight import check_against_instrument
from alpha_pulse.hedging.state.memory import MemoryStore

_IDLE_S = 1.0  # while the market is silent, commands and staleness are looked at this often
_LONGEST_WAIT_S = 30.0  # between two tries while something fails


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
        self._dispatch = Dispatch(self.store, order_manager or BrokerOrderManager(broker), self._desk)
        self._positions: PositionFetcher = position_fetcher or FixedInventory(self.config.inventory, self.pair)
        self._pace = Pace(self.config)
        self._instrument: Instrument | None = None  # None: not started, or stopped
        self._state = BotState()
        self._account: Account | None = None  # as of the last tick: another object means that something was booked
        self._waiting: asyncio.Future[MarketState | FeedProblem | None] | None = None
        self._stopping = ""
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
        remembered = await self.store.open(self.broker.account, self.symbol, self.broker.ids.new_run_id(), now)
        self._instrument = await self.broker.open_pair(self.pair, inventory)
        self._state = self._recall(remembered)
        await self._adopt()
        logger.info("Initialized GridHedgeBot for {} with {} levels", self.pair.name, self.config.grid.num_levels)
        await self._act_on_the_last_update()

    async def _act_on_the_last_update(self) -> None:
        """After a restart: the update that the venue took in last may not have been acted upon. A live market has moved on since."""
        latest, market = self.broker.feed.latest(self.symbol), self.data_provider.current(self.symbol)
        if latest is not None and market is not None and market.raw == latest:
            await self._act_on(market)

    def _recall(self, remembered: BotState | None) -> BotState:
        """The memory of an earlier run. Changed settings take effect at once: hysteresis starts anew, latches and anchor stay."""
        digest = settings_digest(self.config)
        if remembered is None:
            entry = self.config.inventory.entry_price
            return BotState(settings_digest=digest) if entry is None else BotState(settings_digest=digest, inventory_entry_price=entry)
        if remembered.settings_digest == digest:
            return remembered
        logger.info("The settings changed since the last run: ratio and spacing are set anew")
        return replace(remembered, settings_digest=digest, target=None, rejected=())

    async def _adopt(self) -> None:
        """Recognise our own resting orders, and record the start."""
        now = self.broker.clock.now_ms()
        tick_id = format(now, "x")
        ours = self._decider.ours(await self.broker.open_orders(self.symbol))
        events = [Event(EventKind.STARTED, now, tick_id, {"settings": self.config.model_dump(mode="json"), "pair": self.pair.name})]
        events += [Event(EventKind.ORDER_ADOPTED, now, tick_id, {"order": to_jsonable(o.request)}) for o in ours]
        if ours:
            logger.info("Adopted {} orders of an earlier run", len(ours))
        await self.store.save(events, self._state)

    # --- the loop -------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Act on every market update until the feed ends or a stop is requested, then stop cleanly.

        The only broad except of the project is here: whatever happens, the bot reaches a safe state.

        Raises:
            ConfigError: the first prices show that these settings cannot be traded.
        """
        await self.start()
        failures = 0
        try:
            while not self._stopping:
                try:
                    market = await self._next_market()
                    if market is None:
                        self.request_stop("the feed has ended")
                    else:
                        await self._act_on(market)
                    failures = 0
                except Transient as error:
                    failures += 1
                    await self._ride_out(error, failures)
                except ConfigError:
                    self.exit_code = 2  # a hedge that is on keeps its stop
                    raise
                except Exception as error:  # noqa: BLE001 - the one broad except, by design
                    self._halt(error)
        finally:
            await self._end()

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
            await self._dispatch.save(await self._obey(format(now, "x"), now), self._state)
            market = self.data_provider.current(self.symbol)
            if market is not None and market.stale_reason:
                await self._skip(FeedProblem(now, market.stale_reason))
        self._waiting.cancel()
        return None

    async def step(self) -> bool:
        """Take one market update and run a tick if one is due; False when the feed has ended."""
        market = await self.data_provider.advance(self.symbol)
        if market is None:
            return False
        await self._act_on(market)
        return True

    async def _act_on(self, market: MarketState | FeedProblem) -> None:
        """A tick, unless it can wait or the last decision stands."""
        if isinstance(market, FeedProblem) or market.stale_reason:
            await self._skip(market if isinstance(market, FeedProblem) else FeedProblem(market.raw.close_ms, market.stale_reason))
            return
        self._problem = ""
        account, pace = await self.broker.fetch_account(self.symbol), self._pace
        if account is self._account and pace.can_wait(market.raw):
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
        return await self._tick(market, await self.broker.fetch_account(self.symbol))

    async def _tick(self, market: MarketState, account: Account) -> Decision:
        """Gather, decide, record the intent, send, record the outcome. Nothing is remembered that was not stored."""
        instrument = self._instrument
        if instrument is None:
            raise Fatal("the bot was stopped: make a new one")
        now = market.raw.close_ms
        tick_id = format(now, "x")
        events = await self._obey(tick_id, now) if self.store.records_every_tick else []
        booked = await bring_up_to_date(self.broker, self.symbol, self._state, tick_id, now, booked=account is self._account)
        events += booked.events
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
        )
        if self.last is None:
            self._preflight(snapshot)
        decision = self._decider.decide(snapshot)
        if events or self.store.records_every_tick or not changed_nothing(booked.state, decision):
            await self._carry_out(snapshot, decision, events)
            self._pace.ticked(snapshot, decision)
        else:
            self._state = decision.state
            self._pace.ticked(snapshot, decision)
            if self.uses_zone:
                self._pace.settle(self._decider, snapshot, decision)
        self.last, self.market, self._account = (snapshot, decision), market, account
        return decision

    def _preflight(self, snapshot: Snapshot) -> None:
        """Refuse settings that this market cannot trade; with a hedge on already, say so and go on protecting it."""
        try:
            check_against_instrument(self.config, snapshot.instrument, snapshot.market.raw.mark.close, multiplier=self.pair.multiplier)
        except ConfigError as error:
            if snapshot.account.position.quantity == 0 and not self._decider.ours(snapshot.open_orders):
                raise
            logger.warning("These settings no longer fit the market, the hedge goes on as well as they allow: {}", error)

    async def _carry_out(self, snapshot: Snapshot, decision: Decision, events: list[Event]) -> None:
        """Save what was decided before anything is sent; then send, and save what came of it."""
        now, tick_id, plan = snapshot.market.raw.close_ms, snapshot.tick_id, decision.approved
        events.append(chronicle.tick_event(snapshot, decision))
        events += [Event(kind, now, tick_id, payload) for kind, payload in decision.changes]
        await self._dispatch.intend(plan, events, decision.state, tick_id, now)
        self._state = decision.state
        chronicle.log_changes(decision.changes)
        self._state = await self._dispatch.send(plan, decision.state, tick_id, now)
        await self._dispatch.save([], None if self._state is decision.state else self._state)
        if self.store.records_every_tick:
            chronicle.log_status(snapshot, decision)

    # --- people ---------------------------------------------------------------------------------------------------
    async def _obey(self, tick_id: str, now: int) -> list[Event]:
        """Carry out what people asked for; what came of it as events."""
        events: list[Event] = []
        for command in await self.store.commands():
            if command.name == "stop":
                self.request_stop("asked to stop")
            elif command.name == "resume":
                self.resume()
                events.append(Event(EventKind.RESUMED, now, tick_id, {}))
            elif self._desk is not None:
                await self._desk.apply(command)
            else:
                logger.warning("Nobody here understands the command {!r}", command.name)
        if self._desk is not None:
            events += self._desk.drain_events()
        return events

    def resume(self) -> None:
        """Release every latch and halt: the grid re-anchors, and drawdown counts from here."""
        fresh = replace(
            self._state.risk,
            high_water_mark=0.0,
            stop_reference=0.0,
            stop_latched=False,
            drawdown_latched=False,
            halted="",
            margin_cut=False,
        )
        self._state = replace(self._state, risk=fresh, curve=None, rejected=())
        logger.info("Resumed: latches released, the grid re-anchors at the current price")

    def request_stop(self, reason: str) -> None:
        """End ``run`` after the tick that is under way. The first reason stays."""
        self._stopping = self._stopping or reason

    async def stop(self, *, cancel: bool = True) -> None:
        """End: cancel our orders (unless ``cancel`` is false), record it, release lock and connections. Idempotent.

        The protective stop stays only with ``execution.keep_stop_on_exit``, or after a failure that a person has to look at.
        Orders are cancelled even where nothing can be recorded any more.
        """
        if self._instrument is None:
            return
        self._instrument = None
        now = self.broker.clock.now_ms()
        tick_id, reason = format(now, "x"), self._stopping or "stopped"
        try:
            plan = ApprovedPlan(tuple(await self._removable()) if cancel else (), ())
            await self._dispatch.withdraw(plan, [], tick_id, now)
            left = len(await self._removable()) if cancel else 0
            logger.info("Stopped ({}): {} orders cancelled, {} left behind", reason, len(plan.cancel), left)
            stopped = {"reason": reason, "cancelled": len(plan.cancel), "left": left}
            await self._dispatch.save([Event(EventKind.STOPPED, now, tick_id, stopped)], self._state)
        finally:
            await self.store.close()
            await self.broker.close()

    async def _removable(self) -> list[Order]:
        """Our orders that must not stay when the bot is gone."""
        keep_stop = self.config.execution.keep_stop_on_exit or self.exit_code != 0
        ours = self._decider.ours(await self.broker.open_orders(self.symbol))
        return [order for order in ours if not (keep_stop and order.request.purpose is Purpose.STOP)]

    # --- trouble --------------------------------------------------------------------------------------------------
    async def _skip(self, problem: FeedProblem) -> None:
        """Nothing is quoted on a broken market: orders that would unwind are withdrawn, the stop stays."""
        first = problem.reason != self._problem
        self._problem = problem.reason
        inventory = await self._positions.fetch_inventory(self.symbol)
        plan = self._decider.withdraw_unwinding(inventory, await self.broker.open_orders(self.symbol))
        if first or not plan.is_empty:
            now, tick_id = problem.ts_ms, format(problem.ts_ms, "x")
            logger.warning("Tick skipped: {}", problem.reason)
            await self._dispatch.withdraw(plan, [Event(EventKind.TICK_SKIPPED, now, tick_id, {"reason": problem.reason})], tick_id, now)

    async def _ride_out(self, error: Transient, failures: int) -> None:
        """Something failed that passes by itself: withdraw what would unwind, wait longer each time."""
        wait = min(_LONGEST_WAIT_S, _IDLE_S * 2.0 ** (failures - 2))
        logger.warning("{} (failure {} in a row); trying again in {:.1f} s", error, failures, wait)
        try:
            await self._skip(FeedProblem(self.broker.clock.now_ms(), str(error)))
        except Transient as again:
            logger.debug("And: {}", again)
        except Fatal as fatal:
            self._halt(fatal)
        await asyncio.sleep(wait)

    def _halt(self, error: Exception) -> None:
        """Something that nobody foresaw: withdraw the grid, leave the stop, remember the halt, end with an exit code for a person."""
        logger.opt(exception=error).error("Halted by an unexpected error; the protective stop stays. Look at it, then `alpha-pulse resume`")
        reason = f"unexpected error: {type(error).__name__}: {error}"
        self._state = replace(self._state, risk=replace(self._state.risk, halted=reason))
        self._stopping, self.exit_code = reason, 1

    async def _end(self) -> None:
        """Stop; what cannot be ended cleanly is said, with what it means."""
        try:
            await self.stop()
        except (Transient, Fatal) as error:
            self.exit_code = 1
            logger.error("Could not end cleanly, the record of this run's end is missing: {}", error)
