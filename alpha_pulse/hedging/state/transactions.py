"""Transactions, and database errors as the project's own. The one place that knows a driver's wording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.errors import AlphaPulseError, Fatal, Transient

WRITES: Final = {"alpha_pulse_writes": True}
"""Execution options of a transaction that will write: the engine takes SQLite's write lock when it begins."""

# What passes by itself: another process is writing, the server restarts, a deadlock was broken by the server.
_PASSING: Final = ("is locked", "is busy", "deadlock detected", "could not serialize", "too many connections", "connection refused")


@asynccontextmanager
async def reading(engine: AsyncEngine, doing: str) -> AsyncIterator[AsyncConnection]:
    """A connection whose reads all see the same moment. Raises what ``named_failures`` raises."""
    with named_failures(doing):
        async with engine.connect() as connection:
            yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine, doing: str) -> AsyncIterator[AsyncConnection]:
    """One transaction: everything inside is written, durably, or nothing is. Raises what ``named_failures`` raises."""
    with named_failures(doing):
        async with _turn(engine), engine.connect() as connection:
            await connection.execution_options(**WRITES)
            async with connection.begin():
                yield connection


_TURNS: Final[WeakKeyDictionary[Engine, asyncio.Lock]] = WeakKeyDictionary()


def _turn(engine: AsyncEngine) -> AbstractAsyncContextManager[Any]:
    """SQLite lets one write at a time, and whoever waits inside it is served at random: the writers of one process queue up here."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _TURNS.setdefault(engine.sync_engine, asyncio.Lock())


@contextmanager
def named_failures(doing: str) -> Iterator[None]:
    """Run a piece of database work. ``doing`` starts the message, e.g. ``saving events``.

    Raises:
        Transient: the database is busy or away; nothing was written, the same call may be repeated.
        Fatal: it will not pass by itself: the disk is full, the file is damaged, somebody else wrote in between.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _named(error, doing) from error


def _named(error: SQLAlchemyError, doing: str) -> AlphaPulseError:
    if isinstance(error, PoolTimeout):
        return Transient(f"{doing}: no database connection became free in time")
    cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lowered = cause.lower()
    if isinstance(error, IntegrityError):
        return Fatal(f"{doing}: the database refused the records ({cause})")
    if isinstance(error, DBAPIError) and (error.connection_invalidated or any(words in lowered for words in _PASSING)):
        return Transient(f"{doing}: {cause}")
    if "disk is full" in lowered:
        return Fatal(f"{doing}: the disk is full; free space, then start again ({cause})")
    if "malformed" in lowered or "not a database" in lowered:
        return Fatal(f"{doing}: the database file is damaged; restore a backup ({cause})")
    return Fatal(f"{doing}: {cause}")


@cache
def upsert(table: Table, dialect: str) -> Any:
    """The statement that inserts rows of ``table`` or replaces those with the same key."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table)
    keys = {column.name for column in table.primary_key}
    changes = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=sorted(keys), set_=changes)
