"""The chain of one pair's events in the database, and what is kept in step with it: the projections and the bot's memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import RowMapping, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alpha_pulse.domain.events import GENESIS, Event, EventKind, StoredEvent, canonical_json, chain_hash
from alpha_pulse.errors import Fatal
from alpha_pulse.hedging.state import projection_tables
from alpha_pulse.hedging.state.models import bot_state, events
from alpha_pulse.hedging.state.projection_tables import Pair
from alpha_pulse.hedging.state.projections import fold, touched

_Content = tuple[str, int, str]  # kind, time, payload


class Head(NamedTuple):
    """The end of a chain."""

    sequence: int = 0
    hash: str = GENESIS


class Ledger:
    """Appends to the chain of ``pair`` as the run ``run_id``, from ``head`` on.

    ``head`` moves when the owner of the transaction says so, after its commit.
    """

    def __init__(self, pair: Pair, run_id: str, head: Head) -> None:
        self.pair = pair
        self.run_id = run_id
        self.head = head
        self._unheard: set[_Content] = set()  # stored by saves that were cancelled, or of which no answer came

    @classmethod
    async def open(cls, connection: AsyncConnection, pair: Pair, run_id: str) -> tuple[Ledger, str | None]:
        """Become the run that may write this pair; also the stored memory (JSON), if there is one."""
        row = (await connection.execute(select(bot_state).where(pair.of(bot_state)))).mappings().one_or_none()
        if row is None:
            head = Head()
            fresh = {"head_sequence": head.sequence, "head_hash": head.hash}
            await connection.execute(insert(bot_state).values(run_id=run_id, **pair._asdict(), **fresh))
            return cls(pair, run_id, head), None
        await connection.execute(update(bot_state).where(pair.of(bot_state)).values(run_id=run_id))
        return cls(pair, run_id, Head(row["head_sequence"], row["head_hash"])), row["state"]

    async def append(self, connection: AsyncConnection, new: Sequence[Event], state: str | None) -> Head:
        """Move the head, insert the events, fold them into the projections, replace the memory unless ``state`` is None.

        An event that was stored although its caller never heard so is not stored again.

        Raises:
            Fatal: another run owns the pair now.
        """
        if self._unheard:
            new = [event for event in new if _content(event) not in self._unheard]
        links = chain(self.head, new)
        if not await self._advance(connection, self.head, links, state):
            await self._hear(connection)
            return await self.append(connection, new, state)
        if links:
            key = self.pair._asdict()
            await connection.execute(_INSERT, [_row(link) | key for link in links])
            projection = await projection_tables.load(connection, self.pair, touched(new))
            for link in links:
                fold(projection, link.sequence, link.event)
            await projection_tables.write(connection, self.pair, projection)
        return _end(links, self.head)

    async def _advance(self, connection: AsyncConnection, head: Head, links: Sequence[StoredEvent], state: str | None) -> bool:
        """Move the stored head from ``head``; False when it is not there, or the pair is another run's."""
        to = _end(links, head)
        values = {
            "b_account": self.pair.account,
            "b_symbol": self.pair.symbol,
            "b_run_id": self.run_id,
            "b_sequence": head.sequence,
            "to_sequence": to.sequence,
            "to_hash": to.hash,
        }
        if state is None:
            return (await connection.execute(_ADVANCE, values)).rowcount == 1
        return (await connection.execute(_ADVANCE_WITH_STATE, values | {"to_state": state})).rowcount == 1

    async def _hear(self, connection: AsyncConnection) -> None:
        """Take in what our own saves have stored without our knowing. Raises ``Fatal`` when it was not ours."""
        stored = await self._stored_head(connection)
        table = events.c
        unheard = select(table.kind, table.ts_ms, table.payload).where(self.pair.of(events), table.sequence > self.head.sequence)
        self._unheard.update((row.kind, row.ts_ms, row.payload) for row in (await connection.execute(unheard)).all())
        self.head = stored

    async def _stored_head(self, connection: AsyncConnection) -> Head:
        row = (await connection.execute(select(bot_state).where(self.pair.of(bot_state)))).mappings().one_or_none()
        if row is None or row["run_id"] != self.run_id:
            raise Fatal(f"another bot has taken over {self.pair.symbol} on account {self.pair.account}: this one must stop")
        return Head(row["head_sequence"], row["head_hash"])


def _content(event: Event) -> _Content:
    """What makes two events the same: a later tick books a fill again that it does not know to be booked."""
    return event.kind.value, event.ts_ms, canonical_json(event.payload)


def chain(head: Head, new: Sequence[Event]) -> list[StoredEvent]:
    """The events linked to the chain that ends at ``head``."""
    links = []
    sequence, previous = head
    for event in new:
        sequence += 1
        link = StoredEvent(sequence, event, previous, chain_hash(previous, event))
        links.append(link)
        previous = link.hash
    return links


def event_from(row: RowMapping) -> StoredEvent:
    """A row of ``events`` as a value. Raises ValueError for a kind that this version does not know."""
    event = Event(EventKind(row["kind"]), row["ts_ms"], row["tick_id"], json.loads(row["payload"]))
    return StoredEvent(row["sequence"], event, row["previous_hash"], row["hash"])


def _end(links: Sequence[StoredEvent], head: Head) -> Head:
    return Head(links[-1].sequence, links[-1].hash) if links else head


def _row(link: StoredEvent) -> dict[str, Any]:
    event = link.event
    return {
        "sequence": link.sequence,
        "ts_ms": event.ts_ms,
        "kind": event.kind.value,
        "tick_id": event.tick_id,
        "payload": canonical_json(event.payload),
        "previous_hash": link.previous_hash,
        "hash": link.hash,
    }


_INSERT: Final = insert(events)
_ADVANCE: Final = (
    update(bot_state)
    .where(
        bot_state.c.account == bindparam("b_account"),
        bot_state.c.symbol == bindparam("b_symbol"),
        bot_state.c.run_id == bindparam("b_run_id"),
        bot_state.c.head_sequence == bindparam("b_sequence"),
    )
    .values(head_sequence=bindparam("to_sequence"), head_hash=bindparam("to_hash"))
)
_ADVANCE_WITH_STATE: Final = _ADVANCE.values(state=bindparam("to_state"))
