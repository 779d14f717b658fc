"""The paper venue's books in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.hedging.state.models import paper_accounts, paper_fills, paper_funding
from alpha_pulse.hedging.state.transactions import reading, upsert, writing


class SqlJournal:
    """A ``PaperJournal`` on a SQLAlchemy engine whose schema is up to date. It does not dispose of the engine.

    ``scope`` keeps what different processes or pairs book on an account of the same name apart: each writes books of its own.
    """

    def __init__(self, engine: AsyncEngine, scope: str = "") -> None:
        self._engine = engine
        self._suffix = f"/{scope}" if scope else ""

    async def load(self, account: str) -> JournalRecord | None:
        """The books of ``account``, or None if it was never saved. Raises ``Transient`` when the database is busy or away."""
        account += self._suffix
        async with reading(self._engine, "reading the paper account") as connection:
            state = (
                await connection.execute(select(paper_accounts.c.state).where(paper_accounts.c.account == account))
            ).scalar_one_or_none()
            if state is None:
                return None
            fills, funding = await _bookings(connection, paper_fills, account), await _bookings(connection, paper_funding, account)
        return JournalRecord(json.loads(state), fills, funding)

    async def save(
        self,
        account: str,
        state: Mapping[str, Any],
        new_fills: Sequence[Mapping[str, Any]],
        new_funding: Sequence[Mapping[str, Any]],
    ) -> None:
        """Replace the state and append what was newly booked, in one transaction: atomic, and durable once it returns.

        Raises:
            Transient: the database is busy; nothing was written.
            Fatal: the disk is full or the file is damaged.
        """
        account += self._suffix
        async with writing(self._engine, "saving the paper account") as connection:
            await connection.execute(upsert(paper_accounts, connection.dialect.name), {"account": account, "state": canonical_json(state)})
            await _append(connection, paper_fills, account, new_fills)
            await _append(connection, paper_funding, account, new_funding)


async def _bookings(connection: AsyncConnection, table: Table, account: str) -> list[dict[str, Any]]:
    statement = select(table.c.booking).where(table.c.account == account).order_by(table.c.number)
    return [json.loads(booking) for booking in (await connection.execute(statement)).scalars()]


async def _append(connection: AsyncConnection, table: Table, account: str, new: Sequence[Mapping[str, Any]]) -> None:
    if not new:
        return
    last = (await connection.execute(select(func.max(table.c.number)).where(table.c.account == account))).scalar_one() or 0
    rows = [{"account": account, "number": last + i, "booking": canonical_json(booking)} for i, booking in enumerate(new, start=1)]
    await connection.execute(insert(table), rows)
