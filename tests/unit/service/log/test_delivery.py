"""The delivery and its breaker, on a database that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.service.log.database import DecisionDatabase, Outcome
from alpha_pulse.service.log.delivery import Delivery, DeliverySettings
from alpha_pulse.service.log.spool import Spool
from tests.unit.service.log.decisions import until


class FakeDatabase:
    """Takes what it is given, unless it is away."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self.stored: list[bytes] = []
        self.calls: list[tuple[int, int, bool]] = []
        self.tries = 0
        self.refuses: list[bytes] = []

    async def prepare(self) -> None:
        self.tries += 1
        if self.away:
            raise self.away

    async def check(self) -> None:
        await self.prepare()

    async def append(self, spool: str, first: int, records: Sequence[bytes], *, careful: bool) -> Outcome:
        await self.prepare()
        self.calls.append((first, len(records), careful))
        self.stored += [record for record in records if record not in self.refuses]
        return Outcome(sum(record not in self.refuses for record in records), [record for record in records if record in self.refuses])


FAST: dict[str, Any] = {"breaker_reset_s": 0.1, "linger_s": 0.0, "retry_s": 0.0}


@asynccontextmanager
async def delivering(folder: Path, database: FakeDatabase, records: int = 0, **settings: Any) -> AsyncIterator[tuple[Spool, Delivery]]:
    spool = await Spool.open(folder, sync_file=lambda _: None)
    for number in range(records):
        await spool.append(b"%d" % number)
    delivery = await Delivery.create(spool, cast("DecisionDatabase", database), DeliverySettings(**FAST | settings))
    task = asyncio.create_task(delivery.run())
    yield spool, delivery
    delivery.finish()
    await task
    await spool.close()


async def test_decisions_arrive_in_order_in_batches(tmp_path):
    database = FakeDatabase()
    async with delivering(tmp_path, database, 10, batch=4) as (spool, delivery):
        await until(lambda: not spool.depth)
        await spool.append(b"10")
        await until(lambda: not spool.depth)
        assert (delivery.delivered, delivery.problem, delivery.breaker) == (11, "", "closed")
    assert database.stored == [b"%d" % number for number in range(11)]
    assert [call[:2] for call in database.calls] == [(1, 4), (5, 4), (9, 2), (11, 1)]


async def test_only_the_first_try_and_those_after_a_failure_ask_for_each_id(tmp_path):
    database = FakeDatabase()
    async with delivering(tmp_path, database, 3, batch=1) as (spool, delivery):
        await until(lambda: not spool.depth)
        database.away = Transient("gone")
        await spool.append(b"3")
        await until(lambda: delivery.problem)
        database.away = None
        await spool.append(b"4")
        await until(lambda: not spool.depth)
    assert [call[2] for call in database.calls] == [True, False, False, True, False]


@pytest.mark.parametrize("error", [Transient("the server is away"), Fatal("no such table")])
async def test_after_three_failures_the_database_is_left_alone_and_then_tried_once(tmp_path, error):
    database = FakeDatabase()
    database.away = error
    async with delivering(tmp_path, database, 2, breaker_reset_s=0.5) as (spool, delivery):
        await until(lambda: delivery.breaker == "opened")
        assert database.tries == 3
        assert delivery.problem == str(error)
        await until(lambda: database.tries == 4)  # the one try, which fails
        await until(lambda: delivery.breaker == "opened")
        database.away = None
        await until(lambda: not spool.depth)
        assert (delivery.breaker, delivery.problem, delivery.delivered) == ("closed", "", 2)
        assert database.tries == 5


async def test_a_delivery_that_is_told_to_finish_brings_what_is_there(tmp_path):
    database = FakeDatabase()
    async with delivering(tmp_path, database, 10, batch=3, linger_s=60.0):
        pass
    assert len(database.stored) == 10


async def test_a_delivery_that_is_told_to_finish_does_not_wait_for_a_database_that_is_away(tmp_path):
    database = FakeDatabase()
    database.away = Transient("gone")
    async with delivering(tmp_path, database, 1, breaker_reset_s=60.0, retry_s=60.0) as (_, delivery):
        await until(lambda: delivery.problem)
    assert database.stored == []
    async with delivering(tmp_path, database, 0, breaker_reset_s=60.0) as (_, delivery):
        await until(lambda: delivery.breaker == "opened")
    database.away = None
    async with delivering(tmp_path, database, 0) as (spool, delivery):
        await until(lambda: not spool.depth)
    assert database.stored == [b"0"]


async def test_a_delivery_that_is_stopped_ends_after_its_batch(tmp_path):
    database = FakeDatabase()
    async with delivering(tmp_path, database, 10, batch=1) as (_, delivery):
        await until(lambda: delivery.delivered)
        delivery.stop()
    assert database.stored == [b"%d" % number for number in range(delivery.delivered)]


async def test_a_problem_at_the_start_is_forgotten_when_the_database_is_back_with_nothing_to_deliver(tmp_path):
    database = FakeDatabase()
    spool = await Spool.open(tmp_path)
    delivery = await Delivery.create(spool, cast("DecisionDatabase", database), DeliverySettings(**FAST))
    delivery.problem = "it was away"
    task = asyncio.create_task(delivery.run())
    await until(lambda: not delivery.problem)
    delivery.finish()
    await task
    await spool.close()
    assert database.calls == []


async def test_what_the_database_refuses_is_set_aside_and_holds_up_nobody(tmp_path):
    database = FakeDatabase()
    database.refuses = [b"1"]
    async with delivering(tmp_path, database, 3) as (spool, delivery):
        await until(lambda: not spool.depth)
        assert delivery.delivered == 2
    assert (tmp_path / "refused.jsonl").read_bytes() == b"1\n"


async def test_a_damaged_spool_is_a_problem_but_no_reason_to_leave_the_database_alone(tmp_path):
    spool = await Spool.open(tmp_path, segment_bytes=40)
    for number in range(5):
        await spool.append(b"%d" % number)
    await spool.close()
    damaged = sorted(tmp_path.glob("*.seg"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    database = FakeDatabase()
    async with delivering(tmp_path, database) as (_, delivery):
        await until(lambda: delivery.problem)
        assert "is damaged at byte" in delivery.problem
        assert delivery.breaker == "closed"
    assert database.stored == [b"0", b"1", b"2"], "all that can be read"


async def test_a_database_that_goes_away_while_nothing_is_delivered_is_noticed(tmp_path):
    database = FakeDatabase()
    async with delivering(tmp_path, database, 1, check_s=0.01) as (spool, delivery):
        await until(lambda: not spool.depth)
        database.away = Transient("gone")
        await until(lambda: delivery.left_alone)
        assert delivery.problem == "gone"
        database.away = None
        await until(lambda: not delivery.problem)
        assert (delivery.breaker, delivery.left_alone, delivery.delivered) == ("closed", False, 1)


async def test_a_database_that_refuses_what_is_delivered_may_still_be_asked(tmp_path):
    database = FakeDatabase()
    database.away = Fatal("its disk is full")
    async with delivering(tmp_path, database, 1, breaker_reset_s=60.0) as (_, delivery):
        await until(lambda: delivery.breaker == "opened")
        assert not delivery.left_alone
