"""The whole bot on PostgreSQL, and a server that cuts its connections at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, Rehearsal
from alpha_pulse.hedging.state.models import REVISIONS
from alpha_pulse.runtime.database import create_engine, migrate
from tests.integration.live.processes import BY_PRICE_ALONE, EAGER, Outside
from tests.integration.service.log.proxy import Proxy

SERVER = os.environ.get("TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
UP = 97_300


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[Any]:
    """A connection to the server, outside of any transaction."""
    engine = create_async_engine(SERVER, isolation_level="AUTOCOMMIT", connect_args={"timeout": 3})
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@pytest.fixture
async def database() -> AsyncIterator[str]:
    """The URL of a database of this test's own, dropped afterwards. Skips where no server answers."""
    if importlib.util.find_spec("asyncpg") is None:
        pytest.skip("asyncpg is not installed: pip install 'alpha-pulse[postgres]'")
    name = f"alpha_pulse_test_{secrets.token_hex(6)}"
    try:
        async with _server() as server:
            await server.execute(text(f"CREATE DATABASE {name}"))
    except (OSError, TimeoutError, ConnectionError) as error:
        pytest.skip(f"no PostgreSQL server answers at {SERVER}: {error}")
    yield SERVER.rpartition("/")[0] + f"/{name}"
    async with _server() as server:
        await server.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.asynccontextmanager
async def hedging(folder: Path, url: str) -> AsyncIterator[Rehearsal]:
    store = {"url": url.replace("+asyncpg", "")}  # as most people write it
    async with Rehearsal.running(folder, {**BY_PRICE_ALONE, "store": store}) as run:
        await run.quiet(60.0)
        run.move(UP)
        await run.until(lambda: run.position < 0, 30.0)
        await run.quiet(60.0)
        yield run


async def cut(url: str) -> int:
    """Terminate every session of the database, whatever it is doing; how many there were."""
    async with _server() as server:
        statement = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()")
        return len((await server.execute(statement, {"name": url.rpartition("/")[2]})).all())


async def ends_well(run: Rehearsal) -> None:
    await run.quiet(60.0)
    assert await run.broken() == []
    assert await run.stop() == 0
    assert run.left_behind() == []
    assert await run.broken() == []
    assert await run.events(EventKind.STOPPED) != []


async def test_a_hedge_goes_on_follows_the_price_restarts_and_is_withdrawn(tmp_path, database):
    async with hedging(tmp_path, database) as run:
        for price in (96_300, 98_200):
            run.move(price)
            await run.quiet(60.0)
        held, resting = run.position, len(run.open_orders())
        await run.stop()
        await run.start()
        await run.quiet(60.0)
        assert (run.position, len(run.open_orders())) == (held, resting)
        await ends_well(run)


async def test_a_second_bot_on_the_same_server_is_refused(tmp_path, database):
    async with hedging(tmp_path, database) as run:
        twin = Rehearsal(run.fake, run.settings, run.engine, ENVIRON)
        with pytest.raises(ConfigError, match="is already running"):
            await twin.start()
        await ends_well(run)


async def test_connections_that_the_server_cuts_while_nothing_happens_are_made_again(tmp_path, database):
    async with hedging(tmp_path, database) as run:
        for price in (98_200, 97_100, 98_250):
            assert await cut(database) > 0
            run.move(price)
            await run.quiet(60.0)
        await ends_well(run)


async def test_a_server_that_is_away_for_a_while_is_waited_for_and_the_hedge_goes_on(tmp_path, database):
    server = make_url(database)
    async with Proxy.running(server.host or "", server.port or 5432) as proxy:
        port = int(proxy.address.rpartition(":")[2])
        through = server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        async with hedging(tmp_path, through) as run:
            held = run.position
            await proxy.cut()
            for price in (98_200, 97_100, 98_250):
                run.move(price)
                await asyncio.sleep(0.5)
            assert not run.ended
            await proxy.mend()
            run.move(99_300)
            await run.until(lambda: run.position < held, 30.0)
            await ends_well(run)


async def test_a_session_that_is_killed_in_mid_transaction_leaves_nothing_half_written(tmp_path, database):
    async with hedging(tmp_path, database) as run:
        blocker = create_async_engine(database)
        async with blocker.connect() as other:
            await other.execute(text("SELECT * FROM bot_state FOR UPDATE"))  # the next save waits inside its transaction
            before = len(run.fake.venue.requests("POST")), len(await run.events())
            run.move(98_200)
            await waiting_for_a_lock(database)
            assert await cut(database) > 1
            assert len(run.fake.venue.requests("POST")) <= before[0] + 1  # a renewed listen key at the most
            with contextlib.suppress(Exception):  # this session was cut as well
                await other.rollback()
        await blocker.dispose()
        await ends_well(run)


async def waiting_for_a_lock(url: str) -> None:
    """Wait until a session of the database waits for a row that another one holds."""
    statement = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'")
    async with _server() as server, asyncio.timeout(20.0):
        while not (await server.execute(statement, {"name": url.rpartition("/")[2]})).scalar_one():  # noqa: ASYNC110 - another program's doing
            await asyncio.sleep(0.02)


async def test_a_storm_of_cut_connections_while_orders_fill_books_every_fill_once(tmp_path, database):
    async with hedging(tmp_path, database) as run:
        for number in range(12):
            run.move((98_200, 97_100, 96_200, 97_250)[number % 4])
            await asyncio.sleep(0.03 * (number % 5))
            await cut(database)
        await run.until(lambda: not run.live.state.unknown, 30.0)
        await ends_well(run)


async def test_a_process_that_is_killed_on_postgresql_goes_on_where_it_was(tmp_path, database):
    settings = {"logging": {"file": None}, **BY_PRICE_ALONE, "store": {"url": database}}
    async with Outside.running(tmp_path, settings, quick=EAGER, start=False) as run:
        run.folder = tmp_path
        try:
            await run.start()
            await run.settled()
            run.move(UP)
            await asyncio.sleep(0.1)
            await run.kill()
            await run.start()
            await run.up()
            await run.settled()
            assert run.position < 0
            assert await run.broken() == []
            assert await run.stop() == 0, run.output()[-3000:]
            assert run.left_behind() == []
        finally:
            await run.kill()


async def test_an_older_schema_is_brought_up_to_date(tmp_path, database):
    engine = create_engine(database)
    await migrate(engine, revision=REVISIONS[0])
    await migrate(engine)
    await engine.dispose()
    async with hedging(tmp_path, database) as run:
        await ends_well(run)
