"""The durable store on a real file, and what both stores promise alike."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import GENESIS, Event, EventKind, chain_hash
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.interfaces import Command, StateStore
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state import models
from alpha_pulse.hedging.state.audit import rebuild, verify
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.hedging.state.queries import post_command
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.testing.bookings import (
    FakeHost,
    closing_event,
    fill_event,
    funding_event,
    make_fill,
    make_order,
    make_payment,
    order_event,
    ticket_event,
)
from tests.integration.state.conftest import cancelled_at, is_free


def tick(number: int, **payload: Any) -> Event:
    return Event(EventKind.TICK, number, f"t{number}", {"n": number, **payload})


def a_day() -> list[Event]:
    """Some of everything that projections are made of."""
    first, second = make_order("a"), make_order("b")
    return [
        order_event(EventKind.ORDER_INTENDED, first, 1),
        order_event(EventKind.ORDER_INTENDED, second, 1),
        order_event(EventKind.ORDER_ACCEPTED, first, 2),
        order_event(EventKind.ORDER_UNKNOWN, second, 2, reason="timeout"),
        fill_event(make_fill("a", "t1", ts_ms=3)),
        funding_event(make_payment(ts_ms=4)),
        closing_event(EventKind.CANCEL_INTENDED, "b", 5),
        closing_event(EventKind.ORDER_CANCELLED, "b", 6),
        fill_event(make_fill("b", "t2", ts_ms=7, fee_currency="BNB")),
        ticket_event(EventKind.TICKET, 8, id="k", status="open"),
        ticket_event(EventKind.TICKET_UPDATED, 9, id="k", status="done"),
    ]


async def projections(engine: AsyncEngine) -> dict[str, list[dict[str, Any]]]:
    async with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in (await connection.execute(select(table).order_by(*table.primary_key))).mappings()]
            for table in models.PROJECTIONS
        }


Opened = Callable[..., Awaitable[SqlStore]]


@pytest.fixture
def opened(engine: AsyncEngine, host: FakeHost) -> Opened:
    async def open_one(run_id: str = "r1", symbol: str = "BTCUSDT", **options: Any) -> SqlStore:
        store = SqlStore(engine, host=host, **options)
        await store.open("paper", symbol, run_id, 0)
        return store

    return open_one


# --- what every store promises ----------------------------------------------------------------------------------
@pytest.fixture(params=["memory", "sql", "buffered"])
def store(request: pytest.FixtureRequest) -> StateStore:
    if request.param == "memory":
        return MemoryStore()
    engine, host = request.getfixturevalue("engine"), request.getfixturevalue("host")
    return SqlStore(engine, host=host, flush_every=1 if request.param == "sql" else 1000)


async def test_events_come_back_in_order_and_chained(store):
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([tick(1, price="0.10", ratio=0.1), tick(2, text="Ω − ×")])
    await store.save([])
    await store.save([tick(3)])
    first, second, third = await store.events()
    assert [e.sequence for e in (first, second, third)] == [1, 2, 3]
    assert first.event == tick(1, price="0.10", ratio=0.1)
    assert (first.previous_hash, first.hash) == (GENESIS, chain_hash(GENESIS, first.event))
    assert second.hash == chain_hash(first.hash, second.event)
    assert third.previous_hash == second.hash
    assert await store.events(after=1, limit=1) == [second]
    assert list(await store.events(after=3)) == []
    await store.close()


async def test_memory_and_chain_go_on_after_a_restart(store):
    assert await store.open("paper", "BTCUSDT", "r1", 0) is None
    await store.save([tick(1)], BotState(generation=1))
    await store.save([tick(2)])  # no memory given: the last one stays
    await store.close()
    await store.close()
    assert await store.open("paper", "BTCUSDT", "r2", 0) == BotState(generation=1)
    await store.save([tick(3)], BotState(generation=2))
    stored = await store.events()
    assert [e.sequence for e in stored] == [1, 2, 3]
    assert stored[2].previous_hash == stored[1].hash
    await store.close()


async def test_each_pair_has_its_own_chain_and_memory(store):
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([tick(1)], BotState(generation=1))
    await store.close()
    assert await store.open("paper", "ETHUSDT", "r1", 0) is None
    await store.save([tick(1)])
    (only,) = await store.events()
    assert only.previous_hash == GENESIS
    await store.close()


async def test_a_store_that_is_not_open_refuses_work(store):
    for work in (store.save([tick(1)]), store.events(), store.commands()):
        with pytest.raises(RuntimeError, match="not open"):
            await work


# --- the durable store ------------------------------------------------------------------------------------------
async def test_one_store_serves_one_bot(opened):
    store = await opened()
    with pytest.raises(RuntimeError, match="open already"):
        await store.open("paper", "ETHUSDT", "r2", 0)
    await store.close()


async def test_projections_follow_the_events_and_a_rebuild_gives_the_same_rows(engine, opened):
    store = await opened()
    for single in a_day():
        await store.save([single])
    kept = await projections(engine)
    assert [(row["client_order_id"], row["status"]) for row in kept["orders"]] == [("a", "filled"), ("b", "filled")]
    assert [row["trade_id"] for row in kept["fills"]] == ["t1", "t2"]
    assert (kept["positions"][0]["quantity"], kept["positions"][0]["funding"]) == ("-0.2", "0.5")
    assert kept["tickets"][0]["status"] == "done"
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM orders"))
        await connection.execute(text("UPDATE positions SET quantity = '5'"))
    await rebuild(engine, "paper", "BTCUSDT")
    assert await projections(engine) == kept
    assert await verify(engine) == []
    await store.close()


async def test_saving_one_by_one_in_bulk_or_buffered_gives_the_same_rows(engine, opened):
    for number, flush_every in enumerate((1, 1, 4)):
        store = await opened(symbol=f"X{number}", flush_every=flush_every)
        for batch in [a_day()] if number == 1 else [[e] for e in a_day()]:
            await store.save(batch)
        await store.close()
    tables = await projections(engine)

    def rows_of(symbol: str) -> dict[str, list[dict[str, Any]]]:
        return {name: [row | {"symbol": ""} for row in rows if row["symbol"] == symbol] for name, rows in tables.items()}

    seen = [rows_of(f"X{number}") for number in range(3)]
    assert all(seen[0].values())
    assert seen[0] == seen[1] == seen[2]


async def test_more_orders_than_a_statement_takes_parameters_are_saved_at_once(engine, opened):
    store = await opened()
    await store.save([order_event(EventKind.ORDER_INTENDED, make_order(f"o{n}"), n) for n in range(1, 1201)])
    await store.save([closing_event(EventKind.ORDER_CANCELLED, f"o{n}", n) for n in range(1, 1201)])
    assert {row["status"] for row in (await projections(engine))["orders"]} == {"cancelled"}
    await store.close()


async def test_a_buffered_store_writes_when_it_is_full_and_when_it_is_closed(engine, opened):
    store = await opened(flush_every=3)

    async def written() -> int:
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT count(*) FROM events"))).scalar_one()

    await store.save([tick(1), tick(2)], BotState(generation=1))
    assert await written() == 0
    await store.save([tick(3)])
    assert await written() == 3
    await store.save([tick(4)], BotState(generation=2))
    await store.close()
    assert await written() == 4
    again = SqlStore(engine, host=FakeHost())
    assert await again.open("paper", "BTCUSDT", "r2", 0) == BotState(generation=2)
    await again.close()


async def test_the_database_itself_refuses_to_change_or_remove_events(engine, opened):
    store = await opened()
    await store.save([tick(1)])
    for statement in ("UPDATE events SET payload = '{}'", "DELETE FROM events"):
        with pytest.raises(Exception, match="append-only"):
            async with engine.begin() as connection:
                await connection.execute(text(statement))
    await store.close()


async def test_memory_that_cannot_be_read_stops_the_start_and_frees_the_pair(engine, opened, host):
    store = await opened()
    await store.save([], BotState())
    await store.close()
    async with engine.begin() as connection:
        await connection.execute(text("""UPDATE bot_state SET state = '{"generation": "many"}'"""))
    broken = SqlStore(engine, host=host)
    with pytest.raises(ConfigError, match=r"BotState\.generation"):
        await broken.open("paper", "BTCUSDT", "r2", 0)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM locks"))).scalar_one() == 0


# --- commands ---------------------------------------------------------------------------------------------------
async def test_commands_reach_their_bot_once_and_in_order(engine, opened):
    await post_command(engine, "paper", "BTCUSDT", "resume", now_ms=1)
    store = await opened()
    assert await post_command(engine, "paper", "ETHUSDT", "stop", now_ms=2) == 2
    await post_command(engine, "paper", "BTCUSDT", "done", "k1 100.5", now_ms=3)
    assert await store.commands() == (Command(1, "resume"), Command(3, "done", "k1 100.5"))
    assert await store.commands() == ()
    await store.close()


async def test_a_live_store_looks_for_commands_now_and_then_and_loses_none(engine, host):
    store = SqlStore(engine, host=host, commands_every_ms=200)
    await store.open("paper", "BTCUSDT", "r1", 0)
    assert await store.commands() == ()
    await post_command(engine, "paper", "BTCUSDT", "stop", now_ms=1)
    host.time_ms += 199
    assert await store.commands() == ()
    host.time_ms += 1
    assert await store.commands() == (Command(1, "stop"),)
    host.time_ms -= 3_600_000  # a clock that is set back holds nothing up
    await post_command(engine, "paper", "BTCUSDT", "resume", now_ms=1)
    assert await store.commands() == (Command(2, "resume"),)
    await store.close()


# --- when the database does not do as it should -----------------------------------------------------------------
async def test_a_database_that_stays_busy_is_transient_and_the_same_save_works_later(database: Path, opened):
    store = await opened()
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match=r"saving events.*locked"):
            await store.save([tick(1)], BotState(generation=1))
        other.rollback()
    await store.save([tick(1)], BotState(generation=1))
    assert [e.sequence for e in await store.events()] == [1]
    await store.close()


async def test_a_buffered_save_that_fails_has_kept_nothing(database: Path, opened):
    store = await opened(flush_every=2)
    await store.save([tick(1)], BotState(generation=1))
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient):
            await store.save([tick(2)], BotState(generation=2))
        other.rollback()
    await store.save([tick(2)], BotState(generation=2))
    assert [e.event.tick_id for e in await store.events()] == ["t1", "t2"]
    await store.close()


async def test_a_full_disk_is_fatal_and_leaves_the_chain_whole(engine, opened):
    store = await opened()
    await store.save([tick(1)])

    @event.listens_for(engine.sync_engine, "begin")
    def _no_more_pages(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(Fatal, match="the disk is full; free space"):
        await store.save([tick(2, text="x" * 1_000_000)])
    event.remove(engine.sync_engine, "begin", _no_more_pages)
    async with engine.connect() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
    await store.save([tick(2)])
    assert await verify(engine) == []
    await store.close()


async def test_a_payload_that_json_cannot_hold_saves_nothing(engine, opened):
    store = await opened()
    with pytest.raises(ValueError, match="JSON compliant"):
        await store.save([tick(1), tick(2, ratio=float("nan"))], BotState(generation=9))
    await store.save([tick(1)])
    assert [e.sequence for e in await store.events()] == [1]
    assert await verify(engine) == []
    await store.close()


async def test_a_save_that_is_cancelled_at_any_point_leaves_a_chain_that_goes_on(engine, opened):
    store = await opened()
    for number in range(40):
        task = asyncio.create_task(store.save([tick(number)]))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await store.save([tick(1000)])
    assert await verify(engine) == []
    assert (await store.events())[-1].event == tick(1000)
    await store.close()


@pytest.mark.parametrize("statement", range(5))
async def test_a_fill_of_a_save_that_was_cancelled_under_way_is_booked_once(engine, opened, database: Path, statement):
    store = await opened()
    booked = fill_event(make_fill())
    await cancelled_at(engine, statement, store.save([tick(1), booked], BotState(fills_booked=1)))
    assert is_free(database)
    await store.save([tick(2)])
    await store.save([tick(3), replace(booked, tick_id="t3")], BotState(fills_booked=1))  # the bot does not know that it was booked
    assert [e.event.tick_id for e in await store.events()] == ["t1", booked.tick_id, "t2", "t3"]
    assert await verify(engine) == []
    await store.close()


async def test_a_save_whose_commit_was_never_acknowledged_is_not_written_twice(engine, opened):
    store = await opened()
    await store.save([tick(1)])
    before = store._ledger.head
    await store.save([tick(2)], BotState(generation=2))
    store._ledger.head = before  # as after a commit whose answer was lost
    await store.save([tick(2)], BotState(generation=2))
    assert [e.event.tick_id for e in await store.events()] == ["t1", "t2"]
    store._ledger.head = before
    await store.save([tick(3)])
    assert [e.event.tick_id for e in await store.events()] == ["t1", "t2", "t3"]
    assert await verify(engine) == []
    await store.close()
