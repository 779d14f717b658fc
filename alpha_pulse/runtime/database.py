"""The database: one engine from one URL, and its schema brought up to date."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, String, column, event, inspect, make_url, select, table
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.hedging.state.models import REVISIONS
from alpha_pulse.hedging.state.transactions import WRITES, passes
from alpha_pulse.runtime.masking import mask

_ASYNC_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_FIELD: Final = "store.url"
_MAY_HOLD_A_PASSWORD: Final = set(":@=")
"""Signs of what is more than the name of a file: nobody knows where in a URL that cannot be read its password is."""
_VERSION_TABLE: Final = "alembic_version"


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables that are brought up to date together. Several schemas can share a database: each has a version table of its own.

    Attributes:
        revisions: every revision that ever existed, oldest first; the last is what this version reads and writes.
        migrations: Alembic's script folder, as ``package:folder``.
        version_table: where the database keeps the revision; the name starts with ``alembic_version``.
    """

    revisions: tuple[str, ...]
    migrations: str
    version_table: str = _VERSION_TABLE


BOTS: Final = Schema(REVISIONS, "alpha_pulse.hedging.state:migrations")
"""Events, memory, locks and commands of the bots."""


def create_engine(url: str, *, durable: bool = True, busy_timeout_ms: int = 5000) -> AsyncEngine:
    """An engine for ``url``; nothing is connected yet. Whoever makes it disposes of it.

    SQLite runs in write-ahead mode with foreign keys; ``durable`` syncs every commit to the disk, so that a power cut loses nothing
    (without it a power cut may lose the last commits, a kill -9 nothing). A writer waits ``busy_timeout_ms`` for another one.

    Raises:
        ConfigError: the URL is none, its driver is missing, or its folder cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        return _create(parsed, isolation_level="REPEATABLE READ")  # as SQLite: one moment for all reads of a transaction
    path = _sqlite_path(parsed)
    if path is None:
        engine = _create(parsed, poolclass=StaticPool)
    else:
        _make_folder(path, parsed)
        engine = _create(parsed, pool_reset_on_return=None)  # every transaction here ends explicitly; a second rollback costs a thread hop
    _configure_sqlite(engine, durable=durable, busy_timeout_ms=busy_timeout_ms)
    return engine


async def migrate(engine: AsyncEngine, *, revision: str = "", schema: Schema = BOTS) -> None:
    """Bring the schema up to ``revision`` (the newest if empty); at once when it is there already. A SQLite file is copied beside itself
    first.

    Raises:
        ConfigError: the database cannot be opened, is damaged, belongs to something else, or was written by a newer version.
        Transient: another process held it for too long, or its server cannot be reached.
    """
    path = _sqlite_path(engine.url)
    revisions = schema.revisions
    revision = revision or revisions[-1]
    try:
        if path is not None:
            await asyncio.to_thread(_prepare, path)
        async with engine.connect() as connection:
            current = await connection.run_sync(_current_revision, engine.url, schema)
        if current is not None and revisions.index(current) >= revisions.index(revision):
            return
        if current is not None and path is not None:
            await asyncio.to_thread(_back_up, path, current)
        async with engine.connect() as connection:
            await connection.execution_options(**WRITES)
            await _upgrade(connection, revision, engine.url, schema)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise _unusable(error, engine.url) from error


async def open_database(url: str, *, durable: bool = True) -> AsyncEngine:
    """An engine whose schema is up to date. Raises what ``create_engine`` and ``migrate`` raise."""
    engine = create_engine(url, durable=durable)
    async with AsyncExitStack() as undo:
        undo.push_async_callback(engine.dispose)
        await migrate(engine)
        undo.pop_all()
    return engine


# --- the URL ----------------------------------------------------------------------------------------------------
def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        shown = None if _MAY_HOLD_A_PASSWORD & set(url) else url
        fix = "for a file write sqlite+aiosqlite:///var/alpha_pulse.db"
        raise ConfigError("is not a database URL", field=_FIELD, value=shown, fix=fix) from None
    return parsed.set(drivername=_ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername))


def _create(url: URL, **options: Any) -> AsyncEngine:
    try:
        return create_async_engine(url, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"needs the package {error.name}, which is not installed", field=_FIELD, value=_shown(url), fix=f"pip install {error.name}"
        ) from None
    except SQLAlchemyError as error:
        raise ConfigError(
            str(error), field=_FIELD, value=_shown(url), fix="use sqlite+aiosqlite:///FILE or postgresql+asyncpg://…"
        ) from None


def _shown(url: URL) -> str:
    return mask(url.render_as_string(hide_password=True))  # drivers take passwords as options, too


def _sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL; None for anything else and for a database in memory."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def _make_folder(path: Path, url: URL) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"its folder cannot be made: {error.strerror}", field=_FIELD, value=_shown(url), fix="give a folder that you may write to"
        ) from error


# --- SQLite -----------------------------------------------------------------------------------------------------
def _configure_sqlite(engine: AsyncEngine, *, durable: bool, busy_timeout_ms: int) -> None:
    pragmas = (
        f"busy_timeout = {busy_timeout_ms:d}",
        "journal_mode = WAL",
        f"synchronous = {'FULL' if durable else 'NORMAL'}",
        "foreign_keys = ON",
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own: the next listener does
        with ExitStack() as undo:
            undo.callback(connection.close)  # until it works the pool does not see it, so nobody else would end its thread
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
            undo.pop_all()

    @event.listens_for(engine.sync_engine, "begin")
    def _began(connection: Connection) -> None:
        # A writer takes its place at once: one that reads first and writes later fails without waiting when another wrote in between.
        writes = connection.get_execution_options().keys() >= WRITES.keys()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


# --- the schema -------------------------------------------------------------------------------------------------
def _current_revision(connection: Connection, url: URL, schema: Schema) -> str | None:
    """The schema that is there; None where it is not yet. Raises ConfigError for one that is not ours or newer than we are."""
    tables = inspect(connection).get_table_names()
    if schema.version_table not in tables:
        ours = any(name.startswith(_VERSION_TABLE) for name in tables)  # another of our schemas was here first
        if tables and not ours and connection.dialect.name == "sqlite":
            raise ConfigError(
                f"holds the tables of another program ({', '.join(sorted(tables)[:3])})",
                field=_FIELD,
                value=_shown(url),
                fix="give another file",
            )
        return None
    statement = select(column("version_num", String)).select_from(table(schema.version_table))
    revision: str | None = connection.execute(statement).scalar_one_or_none()
    if revision is not None and revision not in schema.revisions:
        raise ConfigError(
            f"was written by a newer alpha_pulse (schema {revision}, this version knows up to {schema.revisions[-1]})",
            field=_FIELD,
            value=_shown(url),
            fix="upgrade alpha_pulse, or give another database",
        )
    return revision


async def _upgrade(connection: AsyncConnection, revision: str, url: URL, schema: Schema) -> None:
    def run(sync: Connection) -> None:
        if _current_revision(sync, url, schema) == revision:
            return  # another process was quicker
        from alembic import command  # noqa: PLC0415 - slow to import, and needed only when the schema changes
        from alembic.config import Config  # noqa: PLC0415 - as above

        config = Config()
        config.set_main_option("script_location", schema.migrations)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = sync
        command.upgrade(config, revision)

    async with connection.begin():
        await connection.run_sync(run)


def _prepare(path: Path, *, attempts: int = 100) -> None:
    """Read the file's header and put it into write-ahead mode, before the asynchronous driver opens it: that one leaves a thread behind
    when it cannot. Processes that switch a new file at the same moment refuse each other at once, whatever their time-out, because each
    holds what the other waits for; so each lets go and asks again, for 5 s at most.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for left in reversed(range(attempts)):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not left:
                    raise
                time.sleep(0.05)
            else:
                return


def _back_up(path: Path, revision: str) -> None:
    target = path.with_name(f"{path.name}.schema-{revision}.bak")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.schema-{revision}.{count}.bak")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _unusable(error: Exception, url: URL) -> ConfigError | Transient:
    cause = str(getattr(error, "orig", None) or error)
    lowered = cause.lower()
    away = url.get_backend_name() != "sqlite" and passes(error)
    if away or "locked" in lowered or "busy" in lowered:
        return Transient(f"opening {_shown(url)}: {cause or 'no answer'}")
    if "not a database" in lowered or "malformed" in lowered:
        return ConfigError(
            f"is not an intact SQLite database ({cause})", field=_FIELD, value=_shown(url), fix="restore a backup, or give another file"
        )
    return ConfigError(
        f"cannot be opened: {cause}", field=_FIELD, value=_shown(url), fix="check the path, its permissions and free space, or the server"
    )
