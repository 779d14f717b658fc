"""Reads and writes the projections' rows of one pair, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alpha_pulse.hedging.state.models import PROJECTIONS, fills, funding, orders, positions, tickets
from alpha_pulse.hedging.state.projections import Projection, Row, Touched
from alpha_pulse.hedging.state.transactions import upsert

_KEYS_AT_A_TIME: Final = 500  # databases bound the number of parameters in one statement


class Pair(NamedTuple):
    """The key that every row of a bot begins with."""

    account: str
    symbol: str

    def of(self, table: Any) -> Any:
        """The condition that picks this pair's rows of ``table``."""
        return (table.c.account == self.account) & (table.c.symbol == self.symbol)


async def load(connection: AsyncConnection, pair: Pair, wanted: Touched) -> Projection:
    """The stored rows that ``wanted`` names, ready to fold events into."""
    projection = Projection()
    projection.orders = await _rows_by_key(connection, pair, orders.c.client_order_id, wanted.orders)
    projection.tickets = await _rows_by_key(connection, pair, tickets.c.id, wanted.tickets)
    if wanted.position:
        row = (await connection.execute(select(positions).where(pair.of(positions)))).mappings().one_or_none()
        projection.position = None if row is None else dict(row)
    return projection


async def write(connection: AsyncConnection, pair: Pair, projection: Projection) -> None:
    """Store what ``fold`` changed."""
    dialect = connection.dialect.name
    key = pair._asdict()
    if projection.orders:
        await connection.execute(upsert(orders, dialect), [row | key for row in projection.orders.values()])
    if projection.tickets:
        await connection.execute(upsert(tickets, dialect), [row | key for row in projection.tickets.values()])
    if projection.position is not None:
        await connection.execute(upsert(positions, dialect), [projection.position | key])
    if projection.fills:
        await connection.execute(insert(fills), [row | key for row in projection.fills])
    if projection.funding:
        await connection.execute(insert(funding), [row | key for row in projection.funding])


async def clear(connection: AsyncConnection, pair: Pair) -> None:
    """Throw the pair's projections away."""
    for table in PROJECTIONS:
        await connection.execute(delete(table).where(pair.of(table)))


async def _rows_by_key(connection: AsyncConnection, pair: Pair, column: Column[Any], keys: Iterable[str]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for some in _chunks(keys):
        statement = select(column.table).where(pair.of(column.table), column.in_(some))
        rows.update({row[column.name]: dict(row) for row in (await connection.execute(statement)).mappings()})
    return rows


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(islice(iterator, _KEYS_AT_A_TIME)):
        yield some
