"""A store that passes on what it has stored, so that nothing is told to a person before it is on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from alpha_pulse.domain.events import Event, StoredEvent
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.hedging.common.interfaces import Command, StateStore
from alpha_pulse.hedging.common.types import BotState


class Teller(Protocol):
    """Tells people about events; returns at once and never raises."""

    def tell(self, events: Sequence[Event], symbol: str) -> None:
        """Tell what these events of one pair mean."""
        ...


class NotifyingStore:
    """A ``StateStore`` over another one: after each ``save`` that succeeded its events go to ``teller``. Closing leaves the teller open."""

    def __init__(self, store: StateStore, teller: Teller) -> None:
        self.store = store
        self.records_every_tick = store.records_every_tick
        self._teller = teller
        self._symbol = ""

    async def open(self, account: str, symbol: str, run_id: str, now_ms: int) -> BotState | None:
        """As the store underneath. Raises ConfigError when another live bot holds the pair."""
        state = await self.store.open(account, symbol, run_id, now_ms)
        self._symbol = symbol
        return state

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        """Store, then tell. What could not be stored is not told."""
        await self.store.save(events, state)
        self._teller.tell(events, self._symbol)

    async def events(self, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:
        """As the store underneath."""
        return await self.store.events(after, limit)

    async def commands(self) -> Sequence[Command]:
        """As the store underneath."""
        return await self.store.commands()

    async def unsettled(self) -> Sequence[OrderRequest]:
        """As the store underneath."""
        return await self.store.unsettled()

    async def close(self) -> None:
        """Close the store underneath. Idempotent."""
        await self.store.close()
