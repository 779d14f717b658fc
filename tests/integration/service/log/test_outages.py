"""PostgreSQL goes away in every way that it knows, and nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.service.log.audit import verify
from alpha_pulse.service.log.database import open_database
from alpha_pulse.service.log.decision_log import SpooledDecisionLog, open_log
from alpha_pulse.service.log.tables import decisions
from tests.integration.service.log.conftest import terminate
from tests.integration.service.log.proxy import Proxy
from tests.unit.service.log.decisions import decision, until

FAST: dict[str, Any] = {"linger_s": 0.0, "breaker_reset_s": 0.2, "timeout_s": 5.0}


@asynccontextmanager
async def recording(folder: Path, dsn: str, **options: Any) -> AsyncIterator[SpooledDecisionLog]:
    async with await open_log(folder, dsn, **FAST | options) as log:
        yield log


async def stored(dsn: str) -> list[str]:
    """Ids by sequence, once the chain was verified."""
    database = await open_database(dsn)
    assert await verify(database.engine) == []
    async with database.engine.connect() as connection:
        found = list((await connection.execute(select(decisions.c.decision_id).order_by(decisions.c.sequence))).scalars())
    await database.dispose()
    return found


class Callers:
    """Sixty-four callers that record one decision after the other. ``asked`` is the order in which they did."""

    def __init__(self, log: SpooledDecisionLog, count: int) -> None:
        self.asked: list[str] = []
        self._log = log
        self._numbers = iter(range(1, count + 1))

    async def run(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(64)))

    async def _one(self) -> None:
        for number in self._numbers:
            each = decision(number)
            self.asked.append(each.decision_id)
            await self._log.record(each)


async def trouble(proxy: Proxy, dsn: str) -> None:
    """Over and over: the server ends our sessions, the line is cut for a while."""
    while True:
        await terminate(dsn)
        await asyncio.sleep(0.05)
        await proxy.cut()
        await asyncio.sleep(0.1)
        await proxy.mend()
        await asyncio.sleep(0.05)


async def test_ten_thousand_decisions_during_which_the_database_keeps_going_away(postgres, through, proxy, tmp_path):
    async with recording(tmp_path / "spool", through, batch=100) as log:
        callers = Callers(log, 10_000)
        troubled = asyncio.create_task(trouble(proxy, postgres))
        await callers.run()
        await asyncio.sleep(0.2)
        troubled.cancel()
        await asyncio.wait([troubled])
        await proxy.mend()
        await until(lambda: not log.state().spooled, 30.0)
        state = log.state()
    assert (state.breaker, state.problem) == ("closed", "")
    assert state.delivered <= 10_000, "a commit whose answer was lost is found, not counted"
    assert proxy.connections > 1
    assert await stored(postgres) == callers.asked


async def test_an_outage_opens_the_breaker_and_recording_goes_on(postgres, through, proxy, tmp_path):
    async with recording(tmp_path / "spool", through) as log:
        await log.record(decision(1))
        await until(lambda: log.state().delivered == 1)
        await proxy.cut()
        for number in range(2, 6):
            await log.record(decision(number))
        await until(lambda: log.state().breaker == "opened")
        assert log.state().spooled == 4
        assert log.state().problem
        assert await log.get("000000000003") == decision(3), "it is here"
        with pytest.raises(Transient):
            await log.get("000000000001")
        with pytest.raises(Transient):
            await log.find()
        await proxy.mend()
        await until(lambda: not log.state().spooled)
        assert log.state().breaker == "closed"
        assert await log.get("000000000001") == decision(1)
    assert await stored(postgres) == [decision(number).decision_id for number in range(1, 6)]


async def test_a_service_that_starts_while_the_database_is_away_records_and_delivers_later(postgres, through, proxy, tmp_path):
    await proxy.cut()
    async with recording(tmp_path / "spool", through) as log:
        assert "opening postgresql+asyncpg://" in log.state().problem
        await log.record(decision(1))
    async with recording(tmp_path / "spool", through) as log:
        assert log.state().spooled == 1
        await proxy.mend()
        await until(lambda: not log.state().spooled)
        assert log.state().problem == ""
    assert await stored(postgres) == ["000000000001"]


async def test_a_line_that_swallows_everything_counts_as_away(postgres, through, proxy, tmp_path):
    await stored(postgres)  # makes the tables, which may take longer than the limit here
    async with recording(tmp_path / "spool", through, timeout_s=0.5) as log:
        await log.record(decision(1))
        await until(lambda: log.state().delivered == 1)
        proxy.silent = True
        await log.record(decision(2))
        await until(lambda: log.state().breaker == "opened")
        assert "did not answer within 0.5 s" in log.state().problem
        with pytest.raises(Transient, match=r"did not answer within 0\.5 s"):
            await log.find()
        await proxy.cut()
        await proxy.mend()
        await until(lambda: not log.state().spooled)
    assert await stored(postgres) == ["000000000001", "000000000002"]


async def test_a_service_starts_soon_though_the_database_swallows_everything(postgres, through, proxy, tmp_path):
    proxy.silent = True
    async with asyncio.timeout(10.0), recording(tmp_path / "spool", through, timeout_s=60.0, opening_s=0.1, closing_s=0.1) as log:
        assert "did not answer within 0.1 s" in log.state().problem
        await log.record(decision(1))
    await proxy.cut()
    await proxy.mend()
    async with recording(tmp_path / "spool", through) as log:
        await until(lambda: not log.state().spooled)
    assert await stored(postgres) == ["000000000001"]


async def test_nobody_who_looks_something_up_waits_for_a_database_that_is_left_alone(postgres, through, proxy, tmp_path):
    await stored(postgres)
    async with recording(tmp_path / "spool", through, breaker_reset_s=60.0) as log:
        await proxy.cut()
        await log.record(decision(1))
        await until(lambda: log.state().breaker == "opened")
        asked = proxy.connections
        await proxy.mend()
        with pytest.raises(Transient, match="left alone for a while: "):
            await log.find()
        with pytest.raises(Transient, match="left alone for a while: "):
            await log.get("000000000007")
        assert await log.get("000000000001") == decision(1)
        assert proxy.connections == asked


async def test_tables_that_were_dropped_are_made_again(postgres, tmp_path):
    async with recording(tmp_path / "spool", postgres) as log:
        await log.record(decision(1))
        await until(lambda: log.state().delivered == 1)
        engine = create_async_engine(make_url(postgres).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
        await engine.dispose()
        with pytest.raises(Fatal, match="does not exist"):
            await log.find()
        await log.record(decision(2))
        await until(lambda: log.state().delivered == 2)
    assert await stored(postgres) == ["000000000002"]


async def test_a_log_can_be_closed_while_the_line_is_dead(postgres, through, proxy, tmp_path):
    async with recording(tmp_path / "spool", through, timeout_s=60.0, closing_s=0.1) as log:
        await log.record(decision(1))
        await until(lambda: log.state().delivered == 1)
        proxy.silent = True
        await log.record(decision(2))
        closing = asyncio.create_task(log.close())
        await asyncio.wait([closing], timeout=20.0)
        assert closing.done()
    await proxy.cut()
    await proxy.mend()
    async with recording(tmp_path / "spool", through) as log:
        await until(lambda: not log.state().spooled)
    assert await stored(postgres) == ["000000000001", "000000000002"]


async def test_connections_that_the_server_ended_while_nothing_happened_are_made_again(postgres, tmp_path):
    async with recording(tmp_path / "spool", postgres) as log:
        await log.record(decision(1))
        await until(lambda: log.state().delivered == 1)
        await terminate(postgres)
        assert await log.get("000000000001") == decision(1)
        await terminate(postgres)
        await log.record(decision(2))
        await until(lambda: log.state().delivered == 2)
    assert await stored(postgres) == ["000000000001", "000000000002"]
