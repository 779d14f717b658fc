"""Checks that the stored decisions are those that were written, all of them, in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.hedging.state.ledger import Head
from alpha_pulse.hedging.state.transactions import reading
from alpha_pulse.service.log.database import columns, link_hash
from alpha_pulse.service.log.tables import decisions, head

MOST_PROBLEMS: Final = 100
"""After so many the rest is not looked at."""

_ROWS_AT_A_TIME: Final = 2000


async def verify(engine: AsyncEngine) -> list[str]:
    """Recompute the chain; an empty list means that all is as it was written. The schema must be up to date.

    Each altered row, each missing sequence number and each broken link is one sentence. Somebody who may write the whole database can forge
    all of it: keep a copy of the head's hash elsewhere to exclude that. Raises ``Transient`` when the database is busy or away.
    """
    async with reading(engine, "verifying the decisions") as connection:
        end = Head()
        problems: list[str] = []
        async for row in _rows(connection):
            problems += _problems(end, row)
            if row["sequence"] > end.sequence:
                end = Head(row["sequence"], row["hash"])
            if len(problems) >= MOST_PROBLEMS:
                return [*problems[:MOST_PROBLEMS], f"… and what follows decision {end.sequence} was not looked at"]
        saved = (await connection.execute(select(head.c.sequence, head.c.hash))).all()
    if len(saved) != 1:
        return [*problems, f"the record of the chain's end was changed: it has {len(saved)} rows"]
    if Head(*saved[0]) != end:
        problems.append(f"the log ends with decision {end.sequence}, but decision {saved[0][0]} was saved last, or its hash was changed")
    return problems


def _problems(end: Head, row: RowMapping) -> list[str]:
    """What is wrong with a row, or between it and the row before it, which is ``end``."""
    sequence, name = row["sequence"], f"decision {row['sequence']} ({row['decision_id']})"
    problems = []
    if sequence > end.sequence + 1:
        first, last = end.sequence + 1, sequence - 1
        missing = f"decision {first} is" if first == last else f"decisions {first} to {last} are"
        problems.append(f"{missing} missing")
    elif sequence <= end.sequence:
        problems.append(f"{name} has a sequence number that was never given")
    elif row["previous_hash"] != end.hash:
        problems.append(f"broken link: {name} does not follow the decision before it, so one of the two was changed")
    if link_hash(row["previous_hash"], row["record"]) != row["hash"]:
        problems.append(f"{name} was changed: its content does not match its hash")
    elif not _columns_agree(row):
        problems.append(f"{name} was changed: its columns do not say what its record says")
    return problems


def _columns_agree(row: RowMapping) -> bool:
    try:
        expected = columns(row["record"])
    except ValueError:
        return False
    return all(row[name] == value for name, value in expected.items())


async def _rows(connection: AsyncConnection) -> AsyncIterator[RowMapping]:
    """The decisions by sequence, a few at a time."""
    after = -(2**62)  # below any sequence, forged ones too
    while True:
        statement = select(decisions).where(decisions.c.sequence > after).order_by(decisions.c.sequence).limit(_ROWS_AT_A_TIME)
        rows = (await connection.execute(statement)).mappings().all()
        for row in rows:
            yield row
        if len(rows) < _ROWS_AT_A_TIME:
            return
        after = rows[-1]["sequence"]
