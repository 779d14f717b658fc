"""The paper venue's books in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.hedging.state.models import paper_accounts, paper_fills, paper_funding
from alpha_pulse.hedging.state.transactions import reading, uninterrupted, upsert, writing


class SqlJournal:
    """A ``PaperJournal`` on a SQLAlchemy engine whose schema is up to date. It does not dispose of the engine.

    ``scope`` keeps what different processes or pairs book on an account of the same name apart: each writes books of its own.

    A caller that was cancelled, or cut off from the database, saves the same bookings again, with others after them; whether they were
    committed is not known. So bookings are numbered on from the last that is known to be stored, and replace those of the same number.
    """

    def __init__(self, engine: AsyncEngine, scope: str = "") -> None:
        self._engine = engine
        self._suffix = f"/{scope}" if scope else ""
        self._known: dict[tuple[str, str], int] = {}  # by table and account: the number of the last booking that is known to be stored

    async def load(self, account: str) -> JournalRecord | None:
        """The books of ``account``, or None if it was never saved. Raises ``Transient`` when the database is busy or away."""
        account += self._suffix
        for table in (paper_fills, paper_funding):
            self._known.pop((table.name, account), None)  # the caller goes on from what it is told now
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
        self._known.update(await uninterrupted(self._save(account + self._suffix, state, new_fills, new_funding)))

    async def _save(
        self, account: str, state: Mapping[str, Any], fills: Sequence[Mapping[str, Any]], funding: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[str, str], int]:
        """The numbers of the last bookings."""
        async with writing(self._engine, "saving the paper account") as connection:
            await connection.execute(upsert(paper_accounts, connection.dialect.name), {"account": account, "state": canonical_json(state)})
            tables = ((paper_fills, fills), (paper_funding, funding))
            return {(table.name, account): await self._append(connection, table, account, new) for table, new in tables if new}

    async def _append(self, connection: AsyncConnection, table: Table, account: str, new: Sequence[Mapping[str, Any]]) -> int:
        key = table.name, account
        if key not in self._known:
            stored = select(func.max(table.c.number)).where(table.c.account == account)
            self._known[key] = (await connection.execute(stored)).scalar_one() or 0
        rows = [
            {"account": account, "number": number, "booking": canonical_json(booking)}
            for number, booking in enumerate(new, start=self._known[key] + 1)
        ]
        await connection.execute(upsert(table, connection.dialect.name), rows)
        return self._known[key] + len(rows)


async def _bookings(connection: AsyncConnection, table: Table, account: str) -> list[dict[str, Any]]:
    statement = select(table.c.booking).where(table.c.account == account).order_by(table.c.number)
    return [json.loads(booking) for booking in (await connection.execute(statement)).scalars()]
