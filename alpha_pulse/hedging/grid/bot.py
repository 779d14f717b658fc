"""The bot: gathers a snapshot, lets the pure core decide, records, and carries the plan to the broker."""

from __future__ import annotations

import asyncio
import math
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
    Command,
    FeedProblem,
    GridCalculator,
    MarketDataProvider,
    OrderManager,
    PositionFetcher,
    RiskManager,
    StateStore,
    TicketDesk,
)
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id
from alpha_pulse.hedging.common.types import BotState, MarketState, Snapshot
from alpha_pulse.hedging.execution.order_manager import BrokerOrderManager
from alpha_pulse.hedging.execution.position_fetcher import FixedInventory
from alpha_pulse.hedging.grid import chronicle
from alpha_pulse.hedging.grid.bookkeeping import book, settle_unknown
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.parts import load_calculator, risk_manager_for, settings_digest
from alpha_pulse.hedging.grid.preflight import check_against_instrument
from alpha_pulse.hedging.grid.zone import QuietZone, quiet_zone
from alpha_pulse.hedging.risk.check import NOTHING
from alpha_pulse.hedging.state.memory import MemoryStore

_IDLE_S = 1.0  # while the market is silent, commands and staleness are looked at this often


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
        self.data_provider: MarketDataProvider = data_provider or broker.data_provider
        self.store: StateStore = store or MemoryStore()
        self.last: tuple[Snapshot, Decision] | None = None
        self.tag = bot_tag(broker.account, self.symbol)
        self._calculator = grid_calculator or load_calculator(self.config.grid.calculator) or DefaultGridCalculator()
        self._decider = Decider(self.config, self._calculator, risk_manager or risk_manager_for(self.config), self.tag)
        self._orders: OrderManager = order_manager or BrokerOrderManager(broker)
        self._positions: PositionFetcher = position_fetcher or FixedInventory(self.config.inventory, self.pair)
        self._instrument: Instrument | None = None
        self._state = BotState()
        self._account: Account | None = None
        self._inventory = Decimal(0)
        self._due_ms = 0
        self._quiet_band = (math.inf, -math.inf)  # mark prices between which a tick can wait for its timer
        self.market: MarketState | None = None  # the last market that was acted upon
        self.uses_zone = True  # False: make every decision in full, even where the last one stands
        self._zone: QuietZone | None = None
        self._zoned: Snapshot | None = None
        self._interval_ms = int(self.config.execution.rebalance_interval * 1000.0)
        self._stopping = ""
        self.exit_code = 0  # what the process should end with
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
        self._inventory = await self._positions.fetch_inventory(self.symbol)
        now = self.broker.clock.now_ms()
        remembered = await self.store.open(self.broker.account, self.symbol, self.broker.ids.new_run_id(), now)
        instrument = await self.broker.open_pair(self.pair, self._inventory)
        self._instrument = instrument
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
        logger.info("The settings changed since the last run: ratio, spacing and floor are set anew")
        return replace(remembered, settings_digest=digest, target=None, volatility_held=0.0)

    async def _adopt(self) -> None:
        """Recognise our own resting orders, and record the start."""
        now = self.broker.clock.now_ms()
        tick_id = format(now, "x")
        ours = await self._resting()
        events = [Event(EventKind.STARTED, now, tick_id, {"settings": self.config.model_dump(mode="json"), "pair": self.pair.name})]
        events += [Event(EventKind.ORDER_ADOPTED, now, tick_id, {"order": to_jsonable(o.request)}) for o in ours]
        if ours:
            logger.info("Adopted {} orders of an earlier run", len(ours))
        await self.store.save(events, self._state)

    # --- the loop -------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Act on every market update until the feed ends or a stop is requested, then stop cleanly.

        The only broad except of the project is here: whatever happens, the bot reaches a safe state.
        """
        await self.start()
        while not self._stopping:
            try:
                market = await self._next_market()
                if market is None:
                    self.request_stop("the feed has ended")
                else:
                    await self._act_on(market)
            except Transient as error:
                await self._skip(FeedProblem(self.broker.clock.now_ms(), str(error)))
                await self.broker.clock.sleep(1.0)
            except Exception as error:  # noqa: BLE001 - the one broad except, by design
                self._halt(error)
        await self.stop()

    async def _next_market(self) -> MarketState | FeedProblem | None:
        """The next update, None at the end; while none comes, look for commands and judge whether the last one is stale."""
        waiting = asyncio.ensure_future(self.data_provider.advance(self.symbol))
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=_IDLE_S)
            if done:
                return waiting.result()
            now = self.broker.clock.now_ms()
            events: list[Event] = []
            await self._obey(format(now, "x"), now, events)
            await self.store.save(events)
            if self._stopping:
                waiting.cancel()
                return None
            market = self.data_provider.current(self.symbol)
            if market is not None and market.stale_reason:
                await self._skip(FeedProblem(now, market.stale_reason))

    async def step(self) -> bool:
        """Take one market update and run a tick if one is due; False when the feed has ended."""
        market = await self.data_provider.advance(self.symbol)
        if market is None:
            return False
        await self._act_on(market)
        return True

    async def _act_on(self, market: MarketState | FeedProblem) -> None:
        """A tick runs on a booking, a due timer, a move of half a node, and at the latest every ``rebalance_interval``."""
        if isinstance(market, FeedProblem):
            await self._skip(market)
            return
        if market.stale_reason:
            await self._skip(FeedProblem(market.raw.close_ms, market.stale_reason))
            return
        account = await self.broker.fetch_account(self.symbol)
        raw = market.raw
        if raw.close_ms < self._due_ms and account is self._account and self._quiet_band[0] < raw.mark.close < self._quiet_band[1]:
            return
        zone, zoned = self._zone, self._zoned
        if (
            zone is not None
            and zoned is not None
            and account is zoned.account
            and self._state is zoned.state
            and zone.holds(market)
            and await self.broker.open_orders(self.symbol) is zoned.open_orders
            and await self._positions.fetch_inventory(self.symbol) == zoned.inventory
        ):
            self.market = market  # the last decision is this update's decision too
            self._due_ms = raw.close_ms + self._interval_ms
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
        """Gather, decide, record the intent, send, record the outcome."""
        instrument = self._instrument
        if instrument is None:
            raise Fatal("the bot was stopped: make a new one")
        now = market.raw.close_ms
        tick_id = format(now, "x")
        events: list[Event] = []
        stop_filled = False
        if account is not self._account:
            booked = await book(self.broker, self.symbol, self._state, tick_id)
            events += booked.events
            self._state, stop_filled = booked.state, booked.stop_filled
        if self.store.records_every_tick:
            await self._obey(tick_id, now, events)
        if self._state.unknown:
            settled = await settle_unknown(self.broker, self.symbol, self._state, tick_id, now)
            events += settled.events
            self._state = settled.state
        snapshot = Snapshot(
            tick_id=tick_id,
            market=market,
            instrument=instrument,
            inventory=await self._positions.fetch_inventory(self.symbol),
            account=account,
            open_orders=await self.broker.open_orders(self.symbol),
            state=self._state,
            stop_filled=stop_filled,
            dead_man_switch=self.broker.capabilities.dead_man_switch,
        )
        if self.last is None:
            check_against_instrument(self.config, instrument, market.raw.mark.close, multiplier=self.pair.multiplier)
        decision = self._decider.decide(snapshot)
        self.last, self.market = (snapshot, decision), market
        self._account = account
        self._problem = ""
        self._due_ms = now + self._interval_ms
        half = 0.5 * decision.curve.spacing * market.raw.mark.close
        self._quiet_band = (market.raw.mark.close - half, market.raw.mark.close + half)
        if events or decision.state is not self._state or decision.approved is not NOTHING or self.store.records_every_tick:
            self._zone = None
            await self._carry_out(snapshot, decision, events)
        else:
            self._zone, self._zoned = (quiet_zone(self._decider, snapshot, decision) if self.uses_zone else None), snapshot
        return decision

    async def _carry_out(self, snapshot: Snapshot, decision: Decision, events: list[Event]) -> None:
        """Save what was decided before anything is sent; then send, and save what came of it."""
        now, tick_id, plan = snapshot.market.raw.close_ms, snapshot.tick_id, decision.approved
        events.append(chronicle.tick_event(snapshot, decision))
        events += [Event(kind, now, tick_id, payload) for kind, payload in decision.changes]
        events += self._orders.intents(plan, tick_id, now)
        self._state = decision.state
        await self.store.save(events, self._state)
        chronicle.log_changes(decision.changes)
        await self._send(plan, tick_id, now)
        if self.store.records_every_tick:
            chronicle.log_status(snapshot, decision)

    async def _send(self, plan: ApprovedPlan, tick_id: str, now: int) -> None:
        if plan.cancel or plan.place:
            logger.info("Orders: {} cancelled, {} placed", len(plan.cancel), len(plan.place))
            result = await self._orders.execute(plan, tick_id, now)
            if result.unknown:
                self._state = replace(self._state, unknown=(*self._state.unknown, *result.unknown))
            desk = self._desk
            await self.store.save([*result.events, *(desk.drain_events() if desk else ())], self._state if result.unknown else None)

    # --- people ---------------------------------------------------------------------------------------------------
    @property
    def _desk(self) -> TicketDesk | None:
        return self.broker if isinstance(self.broker, TicketDesk) else None

    async def _obey(self, tick_id: str, now: int, events: list[Event]) -> None:
        """Carry out what people asked for."""
        for command in await self.store.commands():
            if command.name == "stop":
                self.request_stop("asked to stop")
            elif command.name == "resume":
                self.resume()
                events.append(Event(EventKind.RESUMED, now, tick_id, {}))
            else:
                await self._pass_on(command)
        if self._desk is not None:
            events += self._desk.drain_events()

    async def _pass_on(self, command: Command) -> None:
        desk = self._desk
        if desk is None:
            logger.warning("Nobody here understands the command {!r}", command.name)
            return
        try:
            await desk.apply(command)
        except ConfigError as error:
            logger.warning("{} {}: {}", command.name, command.argument, error)

    def resume(self) -> None:
        """Release every latch and halt: the grid re-anchors, and drawdown counts from here."""
        memory = self._state.risk
        fresh = replace(
            memory, high_water_mark=0.0, stop_reference=0.0, stop_latched=False, drawdown_latched=False, halted="", margin_cut=False
        )
        self._state = replace(self._state, risk=fresh, curve=None)
        logger.info("Resumed: latches released, the grid re-anchors at the current price")

    def request_stop(self, reason: str) -> None:
        """End ``run`` after the tick that is under way. The first reason stays."""
        self._stopping = self._stopping or reason

    async def stop(self, *, cancel: bool = True) -> None:
        """End: cancel our orders (unless ``cancel`` is false), record it, release lock and connections. Idempotent.

        The protective stop stays only with ``execution.keep_stop_on_exit``, or after a failure that a person has to look at.
        """
        if self._instrument is None:
            return
        now = self.broker.clock.now_ms()
        tick_id, reason = format(now, "x"), self._stopping or "stopped"
        cancelled = 0
        if cancel:
            plan = ApprovedPlan(tuple(await self._removable()), ())
            cancelled = len(plan.cancel)
            await self.store.save(self._orders.intents(plan, tick_id, now))
            await self._send(plan, tick_id, now)
        left = len(await self._removable()) if cancel else 0
        stopped = {"reason": reason, "cancelled": cancelled, "left": left}
        await self.store.save([Event(EventKind.STOPPED, now, tick_id, stopped)], self._state)
        logger.info("Stopped ({}): {} orders cancelled, {} left that should be gone", reason, cancelled, left)
        self._instrument = None
        await self.store.close()
        await self.broker.close()

    async def _removable(self) -> list[Order]:
        """Our orders that must not stay when the bot is gone."""
        keep_stop = self.config.execution.keep_stop_on_exit or self.exit_code != 0
        ours = await self._resting()
        return [order for order in ours if not (keep_stop and order.request.purpose is Purpose.STOP)]

    async def _resting(self) -> list[Order]:
        orders = await self.broker.open_orders(self.symbol)
        return [order for order in orders if read_order_id(self.tag, order.client_order_id) is not None]

    # --- trouble --------------------------------------------------------------------------------------------------
    async def _skip(self, problem: FeedProblem) -> None:
        """Nothing is quoted on a broken market: orders that would unwind are withdrawn, the stop stays."""
        now, tick_id = problem.ts_ms, format(problem.ts_ms, "x")
        first = problem.reason != self._problem
        self._problem = problem.reason
        if self.last is None:
            return
        snapshot = replace(self.last[0], open_orders=await self.broker.open_orders(self.symbol), state=self._state)
        plan = self._decider.withdraw_unwinding(snapshot)
        if first or not plan.is_empty:
            logger.warning("Tick skipped: {}", problem.reason)
            events = [Event(EventKind.TICK_SKIPPED, now, tick_id, {"reason": problem.reason})]
            await self.store.save(events + self._orders.intents(plan, tick_id, now), self._state)
            await self._send(plan, tick_id, now)

    def _halt(self, error: Exception) -> None:
        """Something that nobody foresaw: withdraw the grid, leave the stop, remember the halt, end with an exit code for a person."""
        logger.opt(exception=error).error("Halted by an unexpected error; the protective stop stays. Look at it, then `alpha-pulse resume`")
        reason = f"unexpected error: {type(error).__name__}: {error}"
        self._state = replace(self._state, risk=replace(self._state.risk, halted=reason))
        self._stopping, self.exit_code = reason, 1
