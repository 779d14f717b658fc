"""Transactions, and database errors as the project's own. The one place that knows a driver's wording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import cache
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.errors import AlphaPulseError, Fatal, Transient

WRITES: Final = {"alpha_pulse_writes": True}
"""Execution options of a transaction that will write: the engine takes SQLite's write lock when it begins."""

_BUSY: Final = ("is locked", "is busy")
"""What SQLite says while another process writes."""
_PASSING: Final = ("08", "40", "53", "57")
"""Classes of SQLSTATE that pass by themselves: connection lost, rolled back by the server, out of resources, shutting down or starting."""


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


_Result = TypeVar("_Result")
_PATIENCE_S: Final = 10.0  # beyond the time that a writer waits for another one


async def uninterrupted(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Await ``work``, which writes, in a task of its own. Whoever is cancelled meanwhile waits until it has ended, and is cancelled then.

    A statement that is cancelled under way can leave SQLite's write lock with a connection that nobody uses any more. Whether the work was
    done is not known to the one that was cancelled.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        give_up = asyncio.get_running_loop().call_later(_PATIENCE_S, task.cancel)
        while not task.done():
            with suppress(asyncio.CancelledError):  # one is enough, and is raised below
                await asyncio.wait({task})
        give_up.cancel()
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it
        raise
    return task.result()


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
    except OSError as error:  # refused, reset, no answer in time: asyncpg lets through what the network says
        raise Transient(f"{doing}: {error.strerror or str(error) or 'the database did not answer'}") from error


def passes(error: BaseException | None) -> bool:
    """Whether a failure of a database passes by itself: it is busy, starts, stops, or cannot be reached."""
    if isinstance(error, DBAPIError):
        words = str(error.orig).lower()
        return error.connection_invalidated or sqlstate(error).startswith(_PASSING) or any(busy in words for busy in _BUSY)
    return isinstance(error, OSError | PoolTimeout)


def sqlstate(error: BaseException | None) -> str:
    """PostgreSQL's code of an error; empty where there is none."""
    return str(getattr(error.orig, "sqlstate", "") or "") if isinstance(error, DBAPIError) else ""


def _named(error: SQLAlchemyError, doing: str) -> AlphaPulseError:
    if isinstance(error, PoolTimeout):
        return Transient(f"{doing}: no database connection became free in time")
    cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lowered = cause.lower()
    if isinstance(error, IntegrityError):
        return Fatal(f"{doing}: the database refused the records ({cause})")
    if passes(error):
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
