"""Real SQLite files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.runtime.database import create_engine, migrate
from alpha_pulse.testing.bookings import FakeHost


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "var" / "bots.db"


@pytest.fixture
def url(database: Path) -> str:
    return f"sqlite+aiosqlite:///{database}"


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, durable=False, busy_timeout_ms=200)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


async def cancelled_at(engine: AsyncEngine, statement: int, work: Coroutine[Any, Any, Any]) -> None:
    """Cancel ``work`` while the database executes its statement of this number, counted from 0 with the BEGIN."""
    task = asyncio.create_task(work)
    left = [statement]

    def count(*_: Any) -> None:
        if not left[0]:
            task.cancel()
        left[0] -= 1

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    try:
        await asyncio.wait({task})
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", count)
    assert left[0] < 0, "there were not so many statements"
    assert task.cancelled()


def is_free(database: Path) -> bool:
    """Whether another process could write now."""
    with closing(sqlite3.connect(database, timeout=0.0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True
