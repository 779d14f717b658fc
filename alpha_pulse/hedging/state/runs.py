"""Reading back whole runs: from one start of a bot to the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import EventKind, StoredEvent
from alpha_pulse.hedging.state.ledger import event_from
from alpha_pulse.hedging.state.models import events
from alpha_pulse.hedging.state.transactions import reading


@dataclass(frozen=True, slots=True)
class RunSpan:
    """One run of a pair: the events from its start up to the next start. Market times, ms UTC."""

    number: int  # 1 is the first
    first: int  # sequence of the start
    end: int | None  # sequence of the next start; None for the last run
    first_ms: int  # its first tick; 0 without one
    last_ms: int  # its last tick; 0 without one
    ended: str  # why it stopped; empty if it did not say


async def run_spans(engine: AsyncEngine, account: str, symbol: str) -> Sequence[RunSpan]:
    """Every run of a pair, oldest first. Raises ``Transient`` when the database is busy or away."""
    mine = (events.c.account == account, events.c.symbol == symbol)
    kinds = (EventKind.STARTED.value, EventKind.STOPPED.value)
    statement = select(events.c.sequence, events.c.kind, events.c.payload).where(*mine, events.c.kind.in_(kinds))
    async with reading(engine, "reading the runs") as connection:
        rows = (await connection.execute(statement.order_by(events.c.sequence))).all()
        starts = [row.sequence for row in rows if row.kind == EventKind.STARTED.value]
        found = []
        for number, (first, end) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
            ticks = (*mine, events.c.kind == EventKind.TICK.value, *_within(first, end))
            bounds = (await connection.execute(select(func.min(events.c.ts_ms), func.max(events.c.ts_ms)).where(*ticks))).one()
            stops = [row for row in rows if row.kind == EventKind.STOPPED.value and first < row.sequence < (end or row.sequence + 1)]
            reason = str(json.loads(stops[-1].payload).get("reason", "stopped")) if stops else ""
            found.append(RunSpan(number, first, end, bounds[0] or 0, bounds[1] or 0, reason))
    return found


def _within(first: int, end: int | None) -> tuple[ColumnElement[bool], ...]:
    """The events from one start up to the next."""
    begun = events.c.sequence >= first
    return (begun,) if end is None else (begun, events.c.sequence < end)


async def run_events(engine: AsyncEngine, account: str, symbol: str, span: RunSpan, kinds: Sequence[EventKind]) -> Sequence[StoredEvent]:
    """The events of these kinds in a run, in order. Raises ``Transient`` when the database is busy or away."""
    mine = (events.c.account == account, events.c.symbol == symbol, *_within(span.first, span.end))
    statement = select(events).where(*mine, events.c.kind.in_([kind.value for kind in kinds]))
    async with reading(engine, "reading a run") as connection:
        rows = (await connection.execute(statement.order_by(events.c.sequence))).mappings().all()
    return [event_from(row) for row in rows]
