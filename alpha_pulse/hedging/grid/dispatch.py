"""Storing and sending, in the order that loses nothing: intent first, then the order, then what came of it."""

from __future__ import annotations

from dataclasses import replace

from loguru import logger

from alpha_pulse.domain.events import Event
from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.interfaces import Herald, OrderManager, StateStore
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.grid.backoff import after_sending


class Dispatch:
    """Between the bot, its store and its order manager. What happened while the store failed is stored with the next success."""

    def __init__(self, store: StateStore, orders: OrderManager, herald: Herald | None) -> None:
        self.store = store
        self._orders = orders
        self._herald = herald
        self._unsaved: list[Event] = []

    def note(self, event: Event) -> None:
        """Keep an event for the next time that something is stored."""
        self._unsaved.append(event)

    async def save(self, events: list[Event], state: BotState | None) -> None:
        """Store in one transaction, after whatever could not be stored before. Raises ``Transient`` or ``Fatal``: then nothing was."""
        if events or state is not None or self._unsaved:
            await self.store.save([*self._unsaved, *events], state)
            self._unsaved.clear()

    async def intend(self, plan: ApprovedPlan, events: list[Event], state: BotState, tick_id: str, now_ms: int) -> None:
        """Store a decision with its intents; only when that is safe is anything sent. Raises as ``save``."""
        await self.save([*events, *self._orders.intents(plan, tick_id, now_ms)], state)

    async def send(self, plan: ApprovedPlan, state: BotState, tick_id: str, now_ms: int) -> BotState:
        """Send a stored plan; the memory of what came of it. Storing that comes with ``settle``."""
        if not plan.cancel and not plan.place:
            return state
        logger.info("Orders: {} cancelled, {} placed", len(plan.cancel), len(plan.place))
        result = await self._orders.execute(plan, tick_id, now_ms)
        self._unsaved += result.events
        if self._herald is not None:
            self._unsaved += self._herald.drain_events()
        known = state.rejected
        rejected = after_sending(known, result.accepted, result.rejected, now_ms) if known or result.rejected else known
        if result.unknown or rejected != known:
            return replace(state, unknown=(*state.unknown, *result.unknown), rejected=rejected)
        return state

    async def withdraw(self, plan: ApprovedPlan, events: list[Event], tick_id: str, now_ms: int) -> None:
        """Cancel, and record it; a store that fails does not keep an order alive. Raises as ``save``, after the cancels."""
        failure: Exception | None = None
        self._unsaved += [*events, *self._orders.intents(plan, tick_id, now_ms)]
        try:
            await self.save([], None)
        except (Transient, Fatal) as error:
            failure = error
        result = await self._orders.execute(plan, tick_id, now_ms)
        self._unsaved += result.events
        if failure is not None:
            raise failure
        await self.save([], None)
