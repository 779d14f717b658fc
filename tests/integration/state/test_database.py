"""Opening databases, and bringing their schema up to date."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.audit import verify
from alpha_pulse.hedging.state.models import REVISIONS, metadata
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import create_engine, migrate, open_database


async def pragma(engine: AsyncEngine, name: str) -> object:
    async with engine.connect() as connection:
        return (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()


async def test_an_empty_database_gets_the_newest_schema_and_its_folder(url, database):
    engine = await open_database(url)
    assert database.exists()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == REVISIONS[-1]
    await migrate(engine)  # again: nothing to do
    assert [p.name for p in database.parent.iterdir() if p.suffix == ".bak"] == []
    await engine.dispose()


async def test_the_tables_in_the_code_are_those_that_the_migrations_make(engine):
    async with engine.connect() as connection:
        differences = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
    assert differences == []


@pytest.fixture
def config() -> Config:
    config = Config()
    config.set_main_option("script_location", "alpha_pulse.hedging.state:migrations")
    config.set_main_option("path_separator", "os")
    return config


async def test_every_migration_can_be_taken_back(engine, config):
    def undo(connection: Connection) -> list[str]:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return inspect(connection).get_table_names()

    async with engine.begin() as connection:
        assert await connection.run_sync(undo) == ["alembic_version"]
    await migrate(engine)


def test_every_migration_is_known_by_name(config):
    script = ScriptDirectory.from_config(config)
    assert tuple(r.revision for r in reversed(list(script.walk_revisions()))) == REVISIONS


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_sqlite_runs_in_write_ahead_mode_and_waits_for_other_writers(url, durable, level):
    engine = create_engine(url, durable=durable, busy_timeout_ms=1234)
    values = [await pragma(engine, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
    assert values == ["wal", level, 1, 1234]
    await engine.dispose()


async def test_an_older_schema_is_copied_and_then_brought_up_to_date(url, database, host, config):
    def take_back(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")

    engine = await open_database(url)
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([Event(EventKind.TICK, 1, "t", {})], BotState(generation=7))
    await store.close()
    async with engine.begin() as connection:
        await connection.run_sync(take_back)
    await engine.dispose()

    engine = await open_database(url)
    assert await verify(engine) == []
    store = SqlStore(engine, host=host)
    assert await store.open("paper", "BTCUSDT", "r2", 0) == BotState(generation=7)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM paper_accounts"))).scalar_one() == 0
    await store.close()
    await engine.dispose()

    with closing(sqlite3.connect(database.with_name("bots.db.schema-0001.bak"))) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert copy.execute("SELECT count(*) FROM events").fetchone() == (1,)


async def test_a_second_copy_does_not_overwrite_the_first(url, database):
    engine = create_engine(url)
    await migrate(engine, revision="0001")
    first = database.with_name("bots.db.schema-0001.bak")
    first.write_text("an earlier copy")
    await migrate(engine)
    await engine.dispose()
    assert first.read_text() == "an earlier copy"
    assert database.with_name("bots.db.schema-0001.2.bak").stat().st_size > 1000


async def test_processes_that_migrate_at_the_same_moment_do_not_trip_each_other(url):
    engines = [create_engine(url) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    for engine in engines:
        await engine.dispose()


async def test_a_schema_from_the_future_is_refused(url):
    engine = await open_database(url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(ConfigError, match=r"newer alpha_pulse \(schema 0999, this version knows up to \d+\).*Fix: upgrade"):
        await migrate(engine)
    await engine.dispose()


async def test_another_programs_database_is_refused_and_left_alone(url, database):
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE bookmarks (id INTEGER)")
        other.commit()
    with pytest.raises(ConfigError, match=r"tables of another program \(bookmarks\)"):
        await open_database(url)
    with closing(sqlite3.connect(database)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


async def test_a_file_that_is_no_database_is_refused(url, database):
    database.parent.mkdir()
    database.write_text("time,price\n1,2\n" * 100)
    with pytest.raises(ConfigError, match="is not an intact SQLite database"):
        await open_database(url)


async def test_a_damaged_database_is_refused(url, database):
    engine = await open_database(url)
    await engine.dispose()
    content = bytearray(database.read_bytes())
    content[4096 - 3000 : 4096] = b"\xff" * 3000  # inside the schema's page
    content[100:120] = b"\xff" * 20
    database.write_bytes(content)
    with pytest.raises(ConfigError, match="is not an intact SQLite database"):
        await open_database(url)


async def test_a_database_that_stays_busy_while_it_is_migrated_is_transient(url, database):
    engine = create_engine(url, busy_timeout_ms=50)
    assert await pragma(engine, "journal_mode") == "wal"
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="locked"):
            await migrate(engine)
    await engine.dispose()


async def test_a_folder_in_the_files_place_is_refused(url, database):
    database.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"store\.url = .*cannot be opened"):
        await open_database(url)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"its folder cannot be made.*Fix: give a folder"):
        create_engine(f"sqlite+aiosqlite:///{tmp_path}/file/x.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("var/x.db", r"store\.url = 'var/x\.db': is not a database URL\. Fix: for a file write sqlite\+aiosqlite"),
        ("mysql+asyncmy://me:secret@db/x", r"me:\*\*\*@db/x.*package asyncmy, which is not installed\. Fix: pip install asyncmy"),
        ("mysql+asyncmy://db/x?password=secret", r"db/x\?password=\*\*\*'.*package asyncmy"),
        ("nosuch://x", r"Fix: use sqlite\+aiosqlite"),
        ("postgresql//me:secret@db/x", r"store\.url: is not a database URL"),
        ("postgresql:/me:se@secret@db/x", r"store\.url: is not a database URL"),
        ("postgresql://me:secret@db:port/x", r"store\.url: is not a database URL"),
        ("host=db user=me password='my secret'", r"store\.url: is not a database URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_fix(url, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        create_engine(url)
    assert "secret" not in str(refusal.value)


async def test_a_plain_sqlite_url_and_a_database_in_memory_work():
    engine = await open_database("sqlite://")
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM events"))).scalar_one() == 0
    await engine.dispose()
