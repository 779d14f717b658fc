"""What is asked of the stored decisions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from alpha_pulse.service.log.codec import decode
from alpha_pulse.service.log.database import DecisionDatabase
from alpha_pulse.service.log.tables import decisions
from alpha_pulse.service.ports import Decision, Page

MOST: Final = 1000
"""The longest page."""


async def get(database: DecisionDatabase, decision_id: str) -> Decision | None:
    """One stored decision; None if there is none. Raises ``Transient`` while the database is away."""
    statement = select(decisions.c.record).where(decisions.c.decision_id == decision_id)
    rows = await database.ask("reading a decision", statement)
    return decode(rows[0].record) if rows else None


async def find(
    database: DecisionDatabase, *, asset: str = "", kind: str = "", since_ms: int = 0, before: str = "", limit: int = 100
) -> Page:
    """Stored decisions that match, newest first by id, those older than ``before`` (an id); ``limit`` is cut to 1 … ``MOST``.

    Raises:
        Transient: the database is away.
    """
    limit = min(max(limit, 1), MOST)
    key = decisions.c.decision_id
    wanted = ((decisions.c.asset == asset, asset), (decisions.c.kind == kind, kind), (decisions.c.ts_ms >= since_ms, since_ms > 0))
    conditions = [condition for condition, given in (*wanted, (key < before, before)) if given]
    statement = select(key, decisions.c.record).where(*conditions).order_by(key.desc()).limit(limit + 1)
    rows = await database.ask("reading decisions", statement)
    more = len(rows) > limit
    rows = rows[:limit]
    return Page([row.record for row in rows], rows[-1].decision_id if more else None)
