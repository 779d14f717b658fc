"""The decisions in the database: one chain, to which any number of spools append."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Row, Select, String, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.state.ledger import Head
from alpha_pulse.hedging.state.transactions import reading, sqlstate, upsert, writing
from alpha_pulse.runtime.database import create_engine, migrate
from alpha_pulse.service.log.tables import SCHEMA, decisions, head, spools

_THERE_ALREADY: Final = ("42P07", "42710", "42723", "23505")
"""What creating a table or a function comes to when another session is doing the same."""
_GONE: Final = ("3D000", "42P01")
"""The database, or a table of it, is not there: somebody dropped it."""
_COLUMNS: Final = ", ".join(column.name for column in decisions.columns)
_EXTRACTED: Final = ", ".join(f"json_extract(value, '$.{column.name}')" for column in decisions.columns)
_TYPED: Final = ", ".join(f"{column.name} {'text' if isinstance(column.type, String) else 'bigint'}" for column in decisions.columns)
_INSERT: Final = {
    "sqlite": text(f"INSERT INTO decisions ({_COLUMNS}) SELECT {_EXTRACTED} FROM json_each(:rows)"),  # noqa: S608 - our own names
    "postgresql": text(
        f"INSERT INTO decisions ({_COLUMNS}) SELECT {_COLUMNS} FROM json_to_recordset(CAST(:rows AS json)) AS given({_TYPED})"  # noqa: S608 - as above
    ),
}
"""Stores any number of rows, a JSON array of objects, in one step: with a step for each row a driver takes the interpreter's lock from
whoever answers requests as often."""


class Outcome(NamedTuple):
    """What an append came to: how many were new, and the records whose id belongs to another decision, which were not stored."""

    inserted: int
    refused: list[bytes]


class DecisionDatabase:
    """The decisions on an engine, whose schema is made or brought up to date at the first use: it may be away when the service starts.

    A server that does not answer within ``timeout_s`` counts as away. (A file of SQLite has its own limit, and is not interrupted.)
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float = 10.0, field: str = "dsn") -> None:
        self.engine = engine
        self._field = field
        self._timeout_s = timeout_s if engine.dialect.name == "postgresql" else None
        self._prepared = False
        self._preparing = asyncio.Lock()

    async def prepare(self, *, patience_s: float | None = None) -> None:
        """Bring the schema up to date, once, and again when it was dropped meanwhile. ``patience_s`` replaces ``timeout_s``.

        Raises:
            ConfigError: the database is none, is not ours, or was written by a newer version; or it refuses us.
            Transient: it is away or busy.
        """
        if self._prepared:
            return
        async with self._answering("opening the decision log", patience_s), self._preparing:
            if not self._prepared:
                await self._migrate()
                self._prepared = True

    async def append(self, spool: str, first: int, records: Sequence[bytes], *, careful: bool) -> Outcome:
        """Store records with spool positions from ``first`` on, in this order, each once, in one durable transaction.

        ``careful`` asks for each id whether it is there already, also where the stored position of the spool says that it cannot be: a
        commit's answer may have been lost, a spool may have been copied.

        Raises:
            Transient: the database is away or busy. Whether the records are there is unknown; be careful with the next try.
            Fatal, ConfigError: it refused; nothing was stored.
        """
        await self.prepare()
        rows = [_row(record) for record in records]
        async with self._answering("storing decisions"), writing(self._engine_that_waits(), "storing decisions") as connection:
            if connection.dialect.name == "postgresql":  # what it confirms is removed here, so its own disk must have it
                await connection.execute(select(func.set_config("synchronous_commit", "on", True)))
            statement = select(head.c.sequence, head.c.hash).where(head.c.id == 1).with_for_update()
            end = Head(*(await connection.execute(statement)).one())
            stored = (await connection.execute(select(spools.c.position).where(spools.c.spool == spool))).scalar_one_or_none() or 0
            known = await _known(connection, rows) if careful or first <= stored else {}
            new, refused = _sort_out(rows, known)
            if new:
                end = _link(end, new)
                await connection.execute(_INSERT[connection.dialect.name], {"rows": orjson.dumps(new).decode()})
                await connection.execute(update(head).where(head.c.id == 1).values(sequence=end.sequence, hash=end.hash))
            position = max(stored, first + len(records) - 1)
            await connection.execute(upsert(spools, connection.dialect.name), {"spool": spool, "position": position})
        return Outcome(len(new), refused)

    async def check(self) -> None:
        """Return if the decisions can be read. Raises what ``ask`` raises."""
        await self.ask("asking whether the database is there", select(head.c.sequence))

    async def ask(self, doing: str, statement: Select[Any]) -> Sequence[Row[Any]]:
        """The rows of one query. Raises ``Transient`` while the database is away, ``Fatal`` and ``ConfigError`` when it refuses."""
        await self.prepare()
        try:
            return await self._ask(doing, statement)
        except Transient as error:
            if not isinstance(error.__cause__, DBAPIError) or not error.__cause__.connection_invalidated:
                raise
            return await self._ask(doing, statement)  # the server had ended this connection while nobody used it

    async def _ask(self, doing: str, statement: Select[Any]) -> Sequence[Row[Any]]:
        async with self._answering(doing), reading(self.engine, doing) as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
        return rows

    async def dispose(self) -> None:
        """Close the connections."""
        await self.engine.dispose()

    async def _migrate(self) -> None:
        try:
            await migrate(self.engine, schema=SCHEMA)
        except ConfigError as error:
            if sqlstate(error.__cause__) not in _THERE_ALREADY:
                raise
            await migrate(self.engine, schema=SCHEMA)  # another process made the tables at the same moment
        except (TypeError, ValueError) as error:  # the driver takes what follows the ? of a URL as its own arguments
            fix = "leave out what follows the ? of the URL, or write options that the driver knows"
            raise ConfigError(f"its options cannot be used: {error}", fix=fix) from error

    def _engine_that_waits(self) -> AsyncEngine:
        """Writers queue for the chain's end. PostgreSQL would refuse all but the first of them at the level that the engine reads with."""
        if self.engine.dialect.name == "sqlite":
            return self.engine
        return self.engine.execution_options(isolation_level="READ COMMITTED")

    @asynccontextmanager
    async def _answering(self, doing: str, patience_s: float | None = None) -> AsyncIterator[None]:
        timeout_s = self._timeout_s and (patience_s or self._timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise Transient(f"{doing}: the database did not answer within {timeout_s} s") from error
        except Fatal as error:
            if sqlstate(error.__cause__) in _GONE:
                self._prepared = False
            raise
        except ConfigError as error:
            raise ConfigError(error.problem, field=self._field, value=error.value, fix=error.fix) from error


async def open_database(dsn: str, *, field: str = "dsn", timeout_s: float = 10.0) -> DecisionDatabase:
    """The decision log of a URL, brought up to date. Whoever opens it disposes of it. Raises ``ConfigError`` and ``Transient``."""
    async with AsyncExitStack() as undo:
        database = make_database(dsn, field=field, timeout_s=timeout_s)
        undo.push_async_callback(database.dispose)
        await database.prepare()
        undo.pop_all()
    return database


def make_database(dsn: str, *, field: str = "dsn", timeout_s: float = 10.0) -> DecisionDatabase:
    """As ``open_database``, and nothing is connected yet. ``field`` is the setting that a message names. Raises ``ConfigError``."""
    try:
        return DecisionDatabase(create_engine(dsn), timeout_s=timeout_s, field=field)
    except ConfigError as error:
        raise ConfigError(error.problem, field=field, value=error.value, fix=error.fix) from None


def link_hash(previous_hash: str, record: str) -> str:
    """SHA-256 over the previous link and the record, built as an event's (``alpha_pulse.domain.events.chain_hash``)."""
    return hashlib.sha256(f"{previous_hash}\n{record}".encode()).hexdigest()


def columns(record: str | bytes) -> dict[str, Any]:
    """What the columns repeat of a record. Raises ValueError when it is none."""
    found = orjson.loads(record)
    try:
        return {name: found[name] for name in ("decision_id", "ts_ms", "kind", "asset")}
    except (KeyError, TypeError) as error:
        msg = f"not a decision: {error}"
        raise ValueError(msg) from error


def _row(record: bytes) -> dict[str, Any]:
    return columns(record) | {"record": record.decode()}


async def _known(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The records that are stored under the ids of these rows."""
    statement = select(decisions.c.decision_id, decisions.c.record).where(decisions.c.decision_id.in_([row["decision_id"] for row in rows]))
    return {row.decision_id: row.record for row in await connection.execute(statement)}


def _sort_out(rows: Sequence[dict[str, Any]], known: dict[str, str]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Which rows are new, and which bear the id of another decision. The same decision again is neither."""
    seen = dict(known)
    new, refused = [], []
    for row in rows:
        decision_id, record = row["decision_id"], row["record"]
        if decision_id not in seen:
            seen[decision_id] = record
            new.append(row)
        elif seen[decision_id] != record:
            refused.append(record.encode())
    return new, refused


def _link(end: Head, rows: Sequence[dict[str, Any]]) -> Head:
    """Give the rows their places in the chain that ends at ``end``; the new end."""
    sequence, previous = end
    for row in rows:
        sequence += 1
        row |= {"sequence": sequence, "previous_hash": previous, "hash": link_hash(previous, row["record"])}
        previous = row["hash"]
    return Head(sequence, previous)
