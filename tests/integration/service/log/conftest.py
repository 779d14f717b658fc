"""Real databases: a SQLite file, and a PostgreSQL database of each test's own."""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from alpha_pulse.service.log.database import DecisionDatabase, open_database
from tests.integration.service.log.proxy import Proxy

_GIVEN = os.environ.get("HE_DB_DSN", "")
_URL = make_url(_GIVEN if _GIVEN.startswith("postgres") else "postgresql://postgres@127.0.0.1:5432/postgres")
SERVER = _URL.set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def server() -> AsyncIterator[Any]:
    """A connection to the server, outside of any transaction."""
    engine = create_async_engine(SERVER, isolation_level="AUTOCOMMIT", connect_args={"timeout": 3})
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def terminate(dsn: str) -> None:
    """The server ends every session of this database, whatever it is doing."""
    statement = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()")
    async with server() as connection:
        await connection.execute(statement, {"name": make_url(dsn).database})


def _skip(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
async def postgres() -> AsyncIterator[str]:
    """The URL of a database of this test's own, dropped afterwards. Absent: skip with the reason, but fail where CI runs."""
    if importlib.util.find_spec("asyncpg") is None:
        _skip("asyncpg is not installed: pip install 'alpha-pulse[postgres]'")
    name = f"alpha_pulse_test_{secrets.token_hex(6)}"
    try:
        async with server() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
    except OSError as error:  # time-outs and refused connections are some
        _skip(f"no PostgreSQL server answers at {SERVER.render_as_string()}: {error}")
    yield SERVER.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
    async with server() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/var/decisions.db"


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str:
    """Each test runs on both."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[DecisionDatabase]:
    database = await open_database(dsn)
    yield database
    await database.dispose()


@pytest.fixture
async def proxy(postgres: str) -> AsyncIterator[Proxy]:
    async with Proxy.running(SERVER.host or "127.0.0.1", SERVER.port or 5432) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, postgres: str) -> str:
    """The URL of the test's database, through the proxy."""
    host, _, port = proxy.address.partition(":")
    return make_url(postgres).set(host=host, port=int(port)).render_as_string(hide_password=False)
