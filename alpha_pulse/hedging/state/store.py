"""The durable store: events, projections, memory, lock and commands of one bot in one database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import Event, EventKind, StoredEvent, canonical_json
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.hedging.common.interfaces import Command
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state import locks, models
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.hedging.state.ledger import Head, Ledger, event_from
from alpha_pulse.hedging.state.locks import HEARTBEAT_MS, Host, Vitals
from alpha_pulse.hedging.state.projection_tables import Pair
from alpha_pulse.hedging.state.transactions import reading, uninterrupted, writing


class SqlStore:
    """A ``StateStore`` on a SQLAlchemy engine whose schema is up to date. It does not dispose of the engine.

    Every ``save`` is one transaction that appends the events to the chain, folds them into the projections and replaces the memory.
    It also checks that this run still owns the pair: after another host took the lock over, ``save`` raises ``Fatal``.

    With ``flush_every`` > 1 events are kept and written in bulk (a replay can be run again, so it need not survive a kill -9);
    ``flush``, ``events`` and ``close`` write what is kept.

    ``commands`` looks at the database once in ``commands_every_ms``: a tick that answers a fill has no time to ask every time.

    ``vitals`` is asked at each heartbeat, for whoever looks from outside; no event and no decision knows of it.
    """

    def __init__(
        self, engine: AsyncEngine, *, host: Host, records_every_tick: bool = True, flush_every: int = 1, commands_every_ms: int = 0
    ) -> None:
        self.records_every_tick = records_every_tick
        self.vitals: Callable[[], Vitals] = Vitals
        self._engine = engine
        self._host = host
        self._flush_every = flush_every
        self._kept: list[Event] = []
        self._kept_state: BotState | None = None
        self._ledger: Ledger | None = None
        self._lock: tuple[Pair, str] | None = None  # whose lock this store holds, or may hold, and in which run
        self._beat_ms = 0
        self._commands_every_ms = commands_every_ms
        self._looked_ms = 0

    async def open(self, account: str, symbol: str, run_id: str, now_ms: int) -> BotState | None:  # noqa: ARG002 - locks go by the host's clock
        """Take the lock for (account, symbol) and return the memory of an earlier run, or None.

        ``now_ms`` is the bot's time, which may be simulated; the lock goes by the host's.

        Raises:
            ConfigError: another live bot holds the pair on this account, or the stored memory cannot be read.
            Transient: the database is busy.
        """
        if self._ledger is not None:
            msg = "this store is open already: each bot needs its own"
            raise RuntimeError(msg)
        await self._release()  # of an earlier try, when the database was too busy for it: it would pass for another bot's
        opening = f"opening {symbol}"
        async with reading(self._engine, opening) as connection:  # a bot that writes without pause must not keep us from being refused
            await locks.refuse_live(connection, self._host, account=account, symbol=symbol)
        self._lock = Pair(account, symbol), run_id
        self._ledger, state = await uninterrupted(self._take(opening, *self._lock))
        self._beat_ms = self._host.now_ms()
        return state

    async def _take(self, opening: str, pair: Pair, run_id: str) -> tuple[Ledger, BotState | None]:
        async with writing(self._engine, opening) as connection:
            await locks.acquire(connection, self._host, account=pair.account, symbol=pair.symbol, run_id=run_id)
            ledger, memory = await Ledger.open(connection, pair, run_id)
            return ledger, None if memory is None else decode(BotState, json.loads(memory))

    async def unsettled(self) -> Sequence[OrderRequest]:
        """Orders that were intended and of which no outcome is recorded, oldest first. Raises ``Transient``."""
        pair = self._opened().pair
        orders, events = models.orders, models.events
        last = select(orders.c.sequence).where(pair.of(orders), orders.c.status == "intended")
        statement = select(events).where(pair.of(events), events.c.sequence.in_(last)).order_by(events.c.sequence)
        async with reading(self._engine, "reading unsettled orders") as connection:
            found = [event_from(row).event for row in (await connection.execute(statement)).mappings()]
        return [decode(OrderRequest, event.payload["order"]) for event in found if event.kind is EventKind.ORDER_INTENDED]

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        """Append events (and the memory, if given) in one transaction, durably, in order, each once.

        Raises:
            Transient: the database is busy; nothing was saved, the same call may be repeated.
            Fatal: the disk is full, the file is damaged, or another run owns the pair now.
        """
        if self._flush_every <= 1:
            await self._write(events, state)
            return
        self._opened()
        kept, kept_state = len(self._kept), self._kept_state
        self._kept.extend(events)
        self._kept_state = kept_state if state is None else state
        if len(self._kept) >= self._flush_every:
            with ExitStack() as undo:
                undo.callback(self._forget, kept, kept_state)  # as without a buffer: a save that raises has kept nothing
                await self.flush()
                undo.pop_all()

    def _forget(self, kept: int, state: BotState | None) -> None:
        del self._kept[kept:]
        self._kept_state = state

    async def flush(self) -> None:
        """Write what a buffered store keeps. Raises what ``save`` raises."""
        if self._kept or self._kept_state is not None:
            await self._write(self._kept, self._kept_state)
            self._kept, self._kept_state = [], None

    async def events(self, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:
        """Stored events of this account and symbol with a sequence number above ``after``, oldest first."""
        pair = self._opened().pair
        await self.flush()
        table = models.events
        statement = select(table).where(pair.of(table), table.c.sequence > after).order_by(table.c.sequence).limit(limit)
        async with reading(self._engine, "reading events") as connection:
            return [event_from(row) for row in (await connection.execute(statement)).mappings()]

    async def commands(self) -> Sequence[Command]:
        """Commands that wait for this bot, oldest first; each is returned once. Keeps the lock's heartbeat fresh."""
        ledger, now = self._opened(), self._host.now_ms()
        if 0 <= now - self._looked_ms < self._commands_every_ms:
            return ()
        self._looked_ms = now
        table = models.commands
        waiting = select(table).where(ledger.pair.of(table), table.c.taken_ms.is_(None)).order_by(table.c.id)
        async with reading(self._engine, "reading commands") as connection:
            nothing = (await connection.execute(waiting.limit(1))).first() is None
        if nothing and now - self._beat_ms < HEARTBEAT_MS:
            return ()
        taken = await uninterrupted(self._take_commands(ledger, waiting, now))
        self._beat_ms = now
        return taken

    async def _take_commands(self, ledger: Ledger, waiting: Select[Any], now: int) -> tuple[Command, ...]:
        table = models.commands
        async with writing(self._engine, "taking commands") as connection:
            taken = (await connection.execute(waiting.with_for_update())).mappings().all()
            if taken:
                ids = [row["id"] for row in taken]
                await connection.execute(update(table).where(table.c.id.in_(ids)).values(taken_ms=now))
            await locks.beat(connection, *ledger.pair, ledger.run_id, now, self.vitals())
        return tuple(Command(row["id"], row["name"], row["argument"]) for row in taken)

    async def close(self) -> None:
        """Write what is kept and release the lock; again where that failed. Idempotent; the engine stays open."""
        try:
            if self._ledger is not None:
                await self.flush()
        finally:
            self._ledger = None
            await self._release()

    async def _release(self) -> None:
        if self._lock is not None:
            await uninterrupted(self._give_back(*self._lock))
            self._lock = None

    async def _give_back(self, pair: Pair, run_id: str) -> None:
        async with writing(self._engine, "releasing the lock") as connection:
            await locks.release(connection, *pair, run_id)

    async def _write(self, new: Sequence[Event], state: BotState | None) -> None:
        ledger = self._opened()
        memory = None if state is None else canonical_json(encode(state))
        now = self._host.now_ms()
        beat_due = now - self._beat_ms >= HEARTBEAT_MS
        ledger.head = await uninterrupted(self._append(ledger, new, memory, now if beat_due else None))
        if beat_due:
            self._beat_ms = now

    async def _append(self, ledger: Ledger, new: Sequence[Event], memory: str | None, beat_ms: int | None) -> Head:
        async with writing(self._engine, "saving events") as connection:
            head = await ledger.append(connection, new, memory)
            if beat_ms is not None:
                await locks.beat(connection, *ledger.pair, ledger.run_id, beat_ms, self.vitals())
        return head

    def _opened(self) -> Ledger:
        if self._ledger is None:
            msg = "the store is not open"
            raise RuntimeError(msg)
        return self._ledger
