"""Real SQLite files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
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
