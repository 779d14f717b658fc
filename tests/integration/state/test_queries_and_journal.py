"""What other processes read, and the paper venue's books."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.queries import BookedPosition, list_tickets, load_state, read_status
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.hedging.state.transactions import named_failures
from alpha_pulse.testing.bookings import fill_event, funding_event, make_fill, make_payment, ticket_event
from tests.integration.state.conftest import cancelled_at, is_free


async def test_a_database_that_no_bot_has_used_has_nothing_to_tell(engine, host):
    assert await read_status(engine, host) == []
    assert await list_tickets(engine) == []
    assert await load_state(engine, "paper", "BTCUSDT") is None


async def test_the_status_tells_who_runs_what_it_remembers_and_what_it_holds(engine, host):
    first, second = SqlStore(engine, host=host), SqlStore(engine, host=host)
    await first.open("paper", "BTCUSDT", "r1", 0)
    await second.open("paper", "ETHUSDT", "r2", 0)
    await first.save([fill_event(make_fill()), fill_event(make_fill(trade="t2", fee_currency="BNB"))], BotState(generation=4))
    await first.save([funding_event(make_payment(ts_ms=2500))])
    bitcoin, ether = await read_status(engine, host)
    assert (bitcoin.symbol, bitcoin.running, bitcoin.events, bitcoin.last_event_ms) == ("BTCUSDT", True, 3, 2500)
    assert bitcoin.holder is not None
    assert bitcoin.holder.process == host.process
    assert bitcoin.state == BotState(generation=4) == await load_state(engine, "paper", "BTCUSDT")
    expected = BookedPosition(Decimal("-0.2"), Decimal(100), Decimal(0), Decimal("0.002"), Decimal("0.5"), {"BNB": Decimal("0.002")})
    assert bitcoin.position == expected
    assert (ether.running, ether.state, ether.position, ether.events, ether.last_event_ms) == (True, None, BookedPosition(), 0, 0)
    await first.close()
    host.dead.add(host.process)
    bitcoin, ether = await read_status(engine, host)
    assert (bitcoin.running, bitcoin.holder) == (False, None)
    assert ether.running is False
    assert ether.holder is not None  # it crashed
    await second.close()


async def test_tickets_are_listed_newest_first_and_by_what_is_wanted(engine, host):
    for symbol, ids in (("BTCUSDT", "abc"), ("ETHUSDT", "d")):
        store = SqlStore(engine, host=host)
        await store.open("paper", symbol, "r1", 0)
        for number, identity in enumerate(ids):
            await store.save([ticket_event(EventKind.TICKET, number, id=identity, status="open", side="sell")])
        await store.save([ticket_event(EventKind.TICKET_UPDATED, 50, id=ids[0], status="done")])
        await store.close()
    assert [t.id for t in await list_tickets(engine, symbol="BTCUSDT")] == ["c", "b", "a"]
    assert [t.id for t in await list_tickets(engine, limit=2)] == ["c", "b"]
    (done,) = await list_tickets(engine, account="paper", symbol="ETHUSDT", status="done")
    assert (done.ticket["side"], done.created_ms, done.updated_ms) == ("sell", 0, 50)
    assert await list_tickets(engine, account="live") == []


# --- the paper venue's books ------------------------------------------------------------------------------------
async def test_books_come_back_as_they_were_saved_in_the_order_booked(engine):
    journal = SqlJournal(engine)
    assert await journal.load("paper") is None
    await journal.save("paper", {"cash": "100.10"}, [{"id": "1"}, {"id": "2"}], [])
    await journal.save("other", {"cash": "5"}, [], [])
    await journal.save("paper", {"cash": "99.90", "orders": [{"price": "1.0"}]}, [{"id": "3"}], [{"amount": "-0.1"}])
    record = JournalRecord({"cash": "99.90", "orders": [{"price": "1.0"}]}, [{"id": "1"}, {"id": "2"}, {"id": "3"}], [{"amount": "-0.1"}])
    assert await SqlJournal(engine).load("paper") == record
    assert await journal.load("other") == JournalRecord({"cash": "5"})


async def test_a_save_that_fails_halfway_changes_nothing(engine):
    journal = SqlJournal(engine)
    await journal.save("paper", {"cash": "1"}, [{"id": "1"}], [])
    async with engine.begin() as connection:
        await connection.execute(
            text("CREATE TRIGGER no_funding BEFORE INSERT ON paper_funding BEGIN SELECT RAISE(ABORT, 'refused for the test'); END")
        )
    with pytest.raises(Fatal, match="saving the paper account: the database refused"):
        await journal.save("paper", {"cash": "2"}, [{"id": "2"}], [{"amount": "1"}])
    assert await journal.load("paper") == JournalRecord({"cash": "1"}, [{"id": "1"}])


async def test_books_in_a_busy_database_are_transient(engine, database: Path):
    journal = SqlJournal(engine)
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="saving the paper account"):
            await journal.save("paper", {}, [], [])


@pytest.mark.parametrize("statement", range(4))
async def test_a_save_that_is_cancelled_under_way_doubles_nothing_when_it_comes_again(engine, database: Path, statement):
    journal = SqlJournal(engine)
    await journal.save("paper", {"cash": "1"}, [{"id": "1"}], [{"amount": "0.1"}])
    await cancelled_at(engine, statement, journal.save("paper", {"cash": "2"}, [{"id": "2"}, {"id": "3"}], [{"amount": "0.2"}]))
    assert is_free(database)
    await journal.save("paper", {"cash": "3"}, [{"id": "2"}, {"id": "3"}, {"id": "4"}], [{"amount": "0.2"}])
    await journal.save("paper", {"cash": "4"}, [{"id": "5"}], [])
    fills, funding = [{"id": str(number)} for number in range(1, 6)], [{"amount": "0.1"}, {"amount": "0.2"}]
    assert await journal.load("paper") == JournalRecord({"cash": "4"}, fills, funding)


async def test_a_first_save_that_is_cancelled_under_way_is_done_and_books_go_on_from_what_is_loaded(engine):
    journal = SqlJournal(engine)
    await cancelled_at(engine, 0, journal.save("paper", {"cash": "1"}, [{"id": "1"}], []))
    assert await journal.load("paper") == JournalRecord({"cash": "1"}, [{"id": "1"}])
    await journal.save("paper", {"cash": "2"}, [{"id": "2"}], [])
    assert await journal.load("paper") == JournalRecord({"cash": "2"}, [{"id": "1"}, {"id": "2"}])


# --- failures ---------------------------------------------------------------------------------------------------
async def test_a_file_that_goes_bad_under_a_running_bot_is_fatal(engine, host, database: Path):
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.close()
    await engine.dispose()
    await asyncio.to_thread(database.write_bytes, b"not a database at all" * 500)
    with pytest.raises(Fatal, match="the database file is damaged; restore a backup"):
        await read_status(engine, host)


async def test_a_table_that_is_gone_is_fatal(engine, host):
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE bot_state"))
    with pytest.raises(Fatal, match="reading the status: no such table"):
        await read_status(engine, host)


async def test_waiting_too_long_for_a_connection_is_transient():
    with pytest.raises(Transient, match="no database connection became free"), named_failures("reading"):
        raise PoolTimeout


async def test_events_of_every_kind_survive_storage(engine, host):
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    plain = [k for k in EventKind if not k.startswith(("order_", "cancel_", "fill", "funding", "ticket"))]
    await store.save([Event(kind, n, "t", {"n": n, "text": None}) for n, kind in enumerate(plain)])
    assert [e.event.kind for e in await store.events()] == plain
    await store.close()
