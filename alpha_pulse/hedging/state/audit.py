"""Checks that the stored events are those that were written, and that everything else follows from them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, Table, select, union
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.domain.events import Event, EventKind, chain_hash
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.state import projection_tables
from alpha_pulse.hedging.state.ledger import Head, event_from
from alpha_pulse.hedging.state.models import bot_state, events, fills, funding, orders, positions, tickets
from alpha_pulse.hedging.state.projection_tables import Pair
from alpha_pulse.hedging.state.projections import Projection, Row, fold
from alpha_pulse.hedging.state.transactions import reading, writing

_ROWS_AT_A_TIME: Final = 2000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. ``sequence`` is the first event concerned, 0 when it is no single event."""

    account: str
    symbol: str
    sequence: int
    reason: str


async def verify(engine: AsyncEngine) -> list[Problem]:
    """Recompute every bot's chain and projections; an empty list means that all is as it was written.

    For each bot the first broken link is reported (what follows it proves nothing), and else each projection that the events do not
    lead to. Somebody who may write the whole file can forge all of it: keep a copy of a head's hash elsewhere to exclude that.
    Raises ``Transient`` when the database is busy or away.
    """
    async with reading(engine, "verifying the events") as connection:
        pairs = union(select(events.c.account, events.c.symbol), select(bot_state.c.account, bot_state.c.symbol))
        problems: list[Problem] = []
        for row in (await connection.execute(pairs.order_by("account", "symbol"))).all():
            problems += await _verify_pair(connection, Pair(*row))
        return problems


async def rebuild(engine: AsyncEngine, account: str, symbol: str) -> None:
    """Throw a bot's projections away and compute them from its events, in one transaction.

    Raises ``Transient`` when the database is busy, ``ConfigError`` when an event cannot be read.
    """
    pair = Pair(account, symbol)
    async with writing(engine, "rebuilding the projections") as connection:
        projection = Projection()
        async for row in _rows(connection, pair):
            stored = event_from(row)
            fold(projection, stored.sequence, stored.event)
        await projection_tables.clear(connection, pair)
        await projection_tables.write(connection, pair, projection)


async def _verify_pair(connection: AsyncConnection, pair: Pair) -> list[Problem]:
    head, projection = Head(), Projection()
    trades: set[str] = set()
    problems: list[Problem] = []
    async for row in _rows(connection, pair):
        broken = _broken_link(head, row)
        if broken:
            return [Problem(*pair, row["sequence"], broken)]
        stored = event_from(row)
        try:
            fold(projection, stored.sequence, stored.event)
        except (ConfigError, KeyError) as error:
            return [Problem(*pair, stored.sequence, f"its payload cannot be read: {error}")]
        head = Head(stored.sequence, stored.hash)
        if stored.event.kind is EventKind.FILL and (trade := projection.fills[-1]["trade_id"]) in trades:
            problems.append(Problem(*pair, stored.sequence, f"trade {trade} was booked before"))
        trades.update(fill["trade_id"] for fill in projection.fills[-1:])
    saved = (await connection.execute(select(bot_state.c.head_sequence, bot_state.c.head_hash).where(pair.of(bot_state)))).one_or_none()
    if saved is None or Head(*saved) != head:
        last = "nothing" if saved is None else f"event {saved[0]}"
        return [*problems, Problem(*pair, head.sequence, f"the log ends with event {head.sequence}, but {last} was saved last")]
    return problems + await _projection_problems(connection, pair, projection)


def _broken_link(head: Head, row: RowMapping) -> str:
    """Why this row does not follow ``head``; empty when it does."""
    expected = head.sequence + 1
    if row["sequence"] != expected:
        return f"event {expected} is missing"
    if row["previous_hash"] != head.hash:
        return "broken link: it does not follow the event before it, so one of the two was changed"
    try:
        kind = EventKind(row["kind"])
        payload = json.loads(row["payload"])
    except ValueError as error:
        return f"it cannot be read: {error}"
    if chain_hash(head.hash, Event(kind, row["ts_ms"], row["tick_id"], payload)) != row["hash"]:
        return "it was changed: its content does not match its hash"
    return ""


async def _projection_problems(connection: AsyncConnection, pair: Pair, projection: Projection) -> list[Problem]:
    expected: tuple[tuple[Table, list[Row]], ...] = (
        (orders, list(projection.orders.values())),
        (tickets, list(projection.tickets.values())),
        (fills, projection.fills),
        (funding, projection.funding),
        (positions, [] if projection.position is None else [projection.position]),
    )
    problems = []
    for table, rows in expected:
        stored = [dict(row) for row in (await connection.execute(select(table).where(pair.of(table)))).mappings()]
        if _comparable(stored) != _comparable([row | pair._asdict() for row in rows]):
            problems.append(Problem(*pair, 0, f"table {table.name} does not follow from the events"))
    return problems


def _comparable(rows: list[Row]) -> list[Any]:
    return sorted((sorted(row.items(), key=lambda item: item[0]) for row in rows), key=repr)


async def _rows(connection: AsyncConnection, pair: Pair) -> AsyncIterator[RowMapping]:
    """The events of a pair by sequence, a few at a time."""
    after = -(2**62)  # below any sequence, forged ones too
    while True:
        statement = select(events).where(pair.of(events), events.c.sequence > after).order_by(events.c.sequence).limit(_ROWS_AT_A_TIME)
        rows = (await connection.execute(statement)).mappings().all()
        for row in rows:
            yield row
        if len(rows) < _ROWS_AT_A_TIME:
            return
        after = rows[-1]["sequence"]
