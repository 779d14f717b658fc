"""Tampering is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alpha_pulse.domain.events import GENESIS, Event, EventKind, canonical_json, chain_hash
from alpha_pulse.hedging.state.audit import Problem, verify
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.testing.bookings import fill_event, make_fill, make_order, order_event


@pytest.fixture
async def recorded(engine, host, database: Path) -> Path:
    """Six events of one bot and two of another, in a file whose guards were removed, as an attacker would."""
    for symbol, count in (("BTCUSDT", 6), ("ETHUSDT", 2)):
        store = SqlStore(engine, host=host)
        await store.open("paper", symbol, "r1", 0)
        await store.save([order_event(EventKind.ORDER_INTENDED, make_order(f"o{n}"), n) for n in range(1, count)])
        await store.save([fill_event(make_fill("o1"))])
        await store.close()
    tamper(database, "DROP TRIGGER events_no_update", "DROP TRIGGER events_no_delete")
    return database


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_an_untouched_log_has_no_problems(engine, recorded):
    assert await verify(engine) == []


@pytest.mark.parametrize(
    ("statement", "sequence", "reason"),
    [
        ("UPDATE events SET payload = replace(payload, '0.1', '0.2') WHERE sequence = 3 AND symbol = 'BTCUSDT'", 3, "it was changed"),
        ("UPDATE events SET ts_ms = 5 WHERE sequence = 2 AND symbol = 'BTCUSDT'", 2, "it was changed"),
        ("UPDATE events SET tick_id = 'x' WHERE sequence = 6", 6, "it was changed"),
        ("UPDATE events SET kind = 'order_rejected' WHERE sequence = 2 AND symbol = 'BTCUSDT'", 2, "it was changed"),
        ("UPDATE events SET kind = 'invented' WHERE sequence = 2 AND symbol = 'BTCUSDT'", 2, "'invented' is not a valid EventKind"),
        ("UPDATE events SET payload = '{' WHERE sequence = 2 AND symbol = 'BTCUSDT'", 2, "it cannot be read"),
        ("DELETE FROM events WHERE sequence = 4", 5, "event 4 is missing"),
        ("DELETE FROM events WHERE sequence = 1 AND symbol = 'BTCUSDT'", 2, "event 1 is missing"),
        ("DELETE FROM events WHERE sequence = 6", 5, "the log ends with event 5, but event 6 was saved last"),
        ("DELETE FROM events WHERE symbol = 'BTCUSDT'", 0, "the log ends with event 0, but event 6 was saved last"),
        ("DELETE FROM bot_state WHERE symbol = 'BTCUSDT'", 6, "but nothing was saved last"),
        ("UPDATE events SET sequence = -5 WHERE sequence = 6", -5, "event 1 is missing"),
        ("UPDATE orders SET status = 'filled' WHERE symbol = 'BTCUSDT'", 0, "table orders does not follow"),
        ("UPDATE positions SET realized_pnl = '1000' WHERE symbol = 'BTCUSDT'", 0, "table positions does not follow"),
        ("DELETE FROM fills WHERE symbol = 'BTCUSDT'", 0, "table fills does not follow"),
    ],
)
async def test_the_first_thing_that_was_tampered_with_is_named(engine, recorded, statement, sequence, reason):
    tamper(recorded, statement)
    (problem,) = await verify(engine)
    assert (problem.account, problem.symbol, problem.sequence) == ("paper", "BTCUSDT", sequence)
    assert reason in problem.reason


async def test_a_change_that_also_forges_its_own_hash_breaks_the_next_link(engine, recorded):
    forged = Event(EventKind.TICK, 1, "forged", {})
    tamper(
        recorded,
        f"UPDATE events SET kind = 'tick', ts_ms = 1, tick_id = 'forged', payload = '{canonical_json({})}', "  # noqa: S608 - our own values
        f"hash = '{chain_hash(GENESIS, forged)}' WHERE sequence = 1 AND symbol = 'BTCUSDT'",
    )
    (problem,) = await verify(engine)
    assert problem.sequence == 2
    assert "broken link" in problem.reason


async def test_a_long_log_is_verified_to_its_end(engine, host, database):
    store = SqlStore(engine, host=host, flush_every=1000)
    await store.open("paper", "BTCUSDT", "r1", 0)
    for number in range(4500):
        await store.save([Event(EventKind.TICK, number, str(number), {})])
    await store.close()
    assert await verify(engine) == []
    tamper(database, "DROP TRIGGER events_no_update", "UPDATE events SET tick_id = 'x' WHERE sequence = 4400")
    assert [problem.sequence for problem in await verify(engine)] == [4400]


async def test_every_bots_problems_are_reported(engine, recorded):
    tamper(recorded, "UPDATE events SET ts_ms = 99 WHERE sequence = 1")
    assert [(p.symbol, p.sequence) for p in await verify(engine)] == [("BTCUSDT", 1), ("ETHUSDT", 1)]


async def test_a_trade_that_was_booked_twice_is_reported(engine, host):
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([fill_event(make_fill("a", "t1")), fill_event(make_fill("a", "t2")), fill_event(make_fill("a", "t1"))])
    assert await verify(engine) == [Problem("paper", "BTCUSDT", 3, "trade t1 was booked before")]
    await store.close()


async def test_an_event_that_its_chain_vouches_for_but_nobody_can_read_is_named(engine, host, database):
    store = SqlStore(engine, host=host)
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([Event(EventKind.TICK, 1, "t", {})])
    await store.close()
    event = Event(EventKind.FILL, 1, "t", {})
    tamper(
        database,
        "DROP TRIGGER events_no_update",
        f"UPDATE events SET kind = 'fill', hash = '{chain_hash(GENESIS, event)}'",  # noqa: S608 - our own values
    )
    (problem,) = await verify(engine)
    assert (problem.sequence, "its payload cannot be read" in problem.reason) == (1, True)
