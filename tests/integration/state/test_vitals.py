"""What a running bot says of itself with each heartbeat, in both databases, and where it is seen."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.bootstrap import run_bot
from alpha_pulse.cli.store import status_rows
from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.hedging.state.audit import verify
from alpha_pulse.hedging.state.locks import HEARTBEAT_MS, Vitals
from alpha_pulse.hedging.state.queries import post_command, read_status
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import create_engine, migrate, open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.service.bot_metrics import bot_metrics
from alpha_pulse.settings import Settings
from alpha_pulse.testing.bookings import FakeHost

SERVER = os.environ.get("ALPHA_PULSE_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, url: str) -> AsyncIterator[AsyncEngine]:
    """A database of this test's own on each."""
    if request.param == "sqlite":
        made = await open_database(url)
        yield made
        await made.dispose()
        return
    name = f"alpha_pulse_vitals_{secrets.token_hex(6)}"
    server = create_engine(SERVER)
    admin = server.execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with admin.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
    except OSError as error:
        await server.dispose()
        if os.environ.get("CI"):
            pytest.fail(f"no PostgreSQL answers: {error}")
        pytest.skip(f"no PostgreSQL answers: {error}")
    made = await open_database(SERVER.rpartition("/")[0] + f"/{name}")
    yield made
    await made.dispose()
    async with admin.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await server.dispose()


async def held(engine: AsyncEngine, host: FakeHost) -> Vitals:
    [bot] = await read_status(engine, host)
    assert bot.running
    assert bot.holder is not None
    return bot.holder.vitals


async def test_each_heartbeat_brings_them_whatever_it_comes_with(engine: AsyncEngine, host: FakeHost) -> None:
    said = iter([Vitals(0.25, 1.5), Vitals(0.5, None)])
    store = SqlStore(engine, host=host)
    store.vitals = lambda: next(said)
    await store.open("paper", "BTCUSDT", "r1", 0)
    assert await held(engine, host) == Vitals()
    host.time_ms += HEARTBEAT_MS
    await store.save([Event(EventKind.TICK, 1, "t", {})])
    assert await held(engine, host) == Vitals(0.25, 1.5)
    await store.save([Event(EventKind.TICK, 2, "t", {})])  # the next beat is not due: nobody is asked
    host.time_ms += HEARTBEAT_MS
    await store.commands()
    assert await held(engine, host) == Vitals(0.5, None)
    assert await verify(engine) == []
    await store.close()
    [bot] = await read_status(engine, host)
    assert bot.holder is None


async def test_a_bot_that_measures_nothing_beats_all_the_same(engine: AsyncEngine, host: FakeHost) -> None:
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    host.time_ms += HEARTBEAT_MS
    await store.commands()
    [bot] = await read_status(engine, host)
    assert bot.holder is not None
    assert (bot.holder.heartbeat_ms, bot.holder.vitals) == (host.time_ms, Vitals())
    await store.close()


async def test_an_older_schema_gets_room_for_them(engine: AsyncEngine, host: FakeHost) -> None:
    async with engine.begin() as connection:
        for name in ("loop_lag_s", "stream_age_s"):
            await connection.execute(text(f"ALTER TABLE locks DROP COLUMN {name}"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        await connection.execute(text("INSERT INTO locks VALUES ('paper', 'BTCUSDT', 'r0', 1, 'gone', 's0', 1, 1)"))
    await migrate(engine)
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)  # over the lock of a dead one
    assert await held(engine, host) == Vitals()
    await store.close()


async def test_a_running_bot_measures_itself_and_status_and_metrics_show_it(tmp_path: Path) -> None:
    store = f"sqlite+aiosqlite:///{tmp_path / 'bots.db'}"
    settings = Settings.model_validate(
        {"store": {"url": store}, "logging": {"file": None}, "feed": {"source": "simulated", "speed": 600}, "inventory": {"quantity": 1}}
    )
    run = asyncio.create_task(run_bot(settings))
    engine = await open_database(store)
    try:
        async with asyncio.timeout(40):
            while not (rows := [row for row in await status_rows(settings) if row.loop_lag_s is not None]):  # noqa: ASYNC110 - the bot writes
                await asyncio.sleep(0.1)
        [row] = rows
        assert 0.0 <= (row.loop_lag_s or 0.0) < 30.0
        assert row.stream_age_s is not None
        assert row.heartbeat_ms is not None
        shown = bot_metrics(await read_status(engine, SystemHost()), {}, SystemHost().now_ms())
        samples = {sample.name for metric in shown for sample in metric.samples}
        assert {f"alpha_pulse_bot_{name}_seconds" for name in ("loop_lag", "stream_age", "heartbeat_age")} <= samples
        assert await verify(engine) == []
    finally:
        await post_command(engine, "paper", "BTC/USDT:USDT", "stop", now_ms=0)
        await asyncio.wait_for(run, 30)
        await engine.dispose()
