"""The paper venue's books by account and pair: no two overwrite each other, and older books are carried over whole."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.runtime.database import create_engine, migrate, open_database

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
TABLES = ("paper_accounts", "paper_fills", "paper_funding")


def state(*symbols: str, cash: str = "1000.10", quote: str = "USDT") -> dict[str, Any]:
    """A venue's memory with an odd number in each pair, so that a mix-up shows."""
    desks = {
        symbol: {"desk": {"mark": f"{symbol} {number}"}, "credited": True, "inventory": "1.5"} for number, symbol in enumerate(symbols)
    }
    return {"wallets": {quote: {"cash": cash, "deposits": "1000"}}, "pairs": desks}


def booking(symbol: str, number: int) -> dict[str, Any]:
    return {"symbol": symbol, "id": f"{symbol}-{number}", "price": "95000.10"}


def put(database: Path, account: str, memory: dict[str, Any], fills: list[dict[str, Any]], funding: list[dict[str, Any]]) -> None:
    """Rows as the version before wrote them: one set of books for each account."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO paper_accounts VALUES (?, ?)", (account, json.dumps(memory)))
        for table, bookings in (("paper_fills", fills), ("paper_funding", funding)):
            rows = [(account, number, json.dumps(entry)) for number, entry in enumerate(bookings, start=1)]
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608 - our own table
        connection.commit()


def keys(database: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(f"SELECT DISTINCT account FROM {table} ORDER BY account")]  # noqa: S608 - our own table


def bookings(database: Path, table: str, account: str) -> list[dict[str, Any]]:
    query = f"SELECT booking FROM {table} WHERE account = ? ORDER BY number"  # noqa: S608 - our own table
    with closing(sqlite3.connect(database)) as connection:
        return [json.loads(row[0]) for row in connection.execute(query, (account,))]


@pytest.fixture
async def older(url: str) -> AsyncIterator[AsyncEngine]:
    """A database of the version before."""
    engine = create_engine(url, durable=False)
    await migrate(engine, revision="0002")
    yield engine
    await engine.dispose()


@pytest.fixture
async def newest(older: AsyncEngine, url: str) -> AsyncIterator[Callable[[], Awaitable[AsyncEngine]]]:
    """Brings the database of the version before up to date; what it opened ends with the test, whatever happens there."""
    engines = [older]

    async def bring_up_to_date() -> AsyncEngine:
        engines.append(await open_database(url))
        return engines[-1]

    yield bring_up_to_date
    for engine in engines[1:]:
        await engine.dispose()


async def take_back(engine: AsyncEngine) -> None:
    config = Config()
    config.set_main_option("script_location", "alpha_pulse.hedging.state:migrations")
    config.set_main_option("path_separator", "os")

    def undo(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")

    async with engine.begin() as connection:
        await connection.run_sync(undo)


# --- the journal ------------------------------------------------------------------------------------------------
async def test_pairs_on_one_account_keep_books_of_their_own(engine):
    bitcoin, ether, whole = SqlJournal(engine, BTC), SqlJournal(engine, ETH), SqlJournal(engine)
    await bitcoin.save("paper", {"cash": "1"}, [{"id": "b1"}], [{"amount": "0.1"}])
    assert await ether.load("paper") is None
    await ether.save("paper", {"cash": "2"}, [{"id": "e1"}, {"id": "e2"}], [])
    await whole.save("paper", {"cash": "3"}, [{"id": "w1"}], [])
    await bitcoin.save("paper", {"cash": "1.5"}, [{"id": "b2"}], [])
    await bitcoin.save("other", {"cash": "9"}, [{"id": "o1"}], [])
    assert await SqlJournal(engine, BTC).load("paper") == JournalRecord({"cash": "1.5"}, [{"id": "b1"}, {"id": "b2"}], [{"amount": "0.1"}])
    assert await SqlJournal(engine, ETH).load("paper") == JournalRecord({"cash": "2"}, [{"id": "e1"}, {"id": "e2"}])
    assert await SqlJournal(engine).load("paper") == JournalRecord({"cash": "3"}, [{"id": "w1"}])
    assert await SqlJournal(engine, BTC).load("other") == JournalRecord({"cash": "9"}, [{"id": "o1"}])


async def test_pairs_that_save_at_the_same_moment_lose_nothing(engine):
    journals = {symbol: SqlJournal(engine, symbol) for symbol in (BTC, ETH, "SOL/USDT:USDT")}

    async def book(symbol: str) -> None:
        for number in range(10):
            await journals[symbol].save("paper", {"last": number, "of": symbol}, [booking(symbol, number)], [])

    await asyncio.gather(*(book(symbol) for symbol in journals))
    for symbol, journal in journals.items():
        assert await journal.load("paper") == JournalRecord({"last": 9, "of": symbol}, [booking(symbol, n) for n in range(10)])


# --- from the version before ------------------------------------------------------------------------------------
async def test_a_single_pairs_books_are_carried_over_whole(newest, database):
    memory, fills, funding = state(BTC), [booking(BTC, n) for n in range(12)], [booking(BTC, 99)]
    put(database, "paper", memory, fills, funding)
    engine = await newest()
    assert await SqlJournal(engine, BTC).load("paper") == JournalRecord(memory, fills, funding)
    assert await SqlJournal(engine).load("paper") is None
    for table in TABLES:
        assert keys(database, table) == [f"paper/{BTC}"]


async def test_two_pairs_on_one_account_are_split_each_with_its_own_bookings_in_order(newest, database):
    fills = [booking(symbol, number) for number in range(4) for symbol in (ETH, BTC)]
    put(database, "paper", state(BTC, ETH), fills, [booking(ETH, 7)])
    put(database, "recommendation", state(BTC, cash="5"), [booking(BTC, 50)], [])
    engine = await newest()
    for symbol in (BTC, ETH):
        record = await SqlJournal(engine, symbol).load("paper")
        assert record is not None
        assert list(record.state["pairs"]) == [symbol]
        assert record.state["pairs"][symbol] == state(BTC, ETH)["pairs"][symbol]
        assert record.state["wallets"] == state()["wallets"]  # each keeps the cash that they shared
        assert list(record.fills) == [booking(symbol, number) for number in range(4)]
        assert list(record.funding) == ([booking(ETH, 7)] if symbol == ETH else [])
    other = await SqlJournal(engine, BTC).load("recommendation")
    assert other == JournalRecord(state(BTC, cash="5"), [booking(BTC, 50)])
    assert keys(database, "paper_accounts") == [f"paper/{BTC}", f"paper/{ETH}", f"recommendation/{BTC}"]
    await SqlJournal(engine, ETH).save("paper", {"pairs": {}}, [booking(ETH, 4)], [])
    assert [entry["id"] for entry in bookings(database, "paper_fills", f"paper/{ETH}")] == [f"{ETH}-{n}" for n in range(5)]


async def test_empty_books_are_carried_over_without_a_word(newest, database):
    await newest()
    assert [keys(database, table) for table in TABLES] == [[], [], []]


async def test_the_way_back_gives_a_single_pairs_books_as_they_were(newest, database):
    memory, fills = state(BTC), [booking(BTC, n) for n in range(3)]
    put(database, "paper", memory, fills, [booking(BTC, 9)])
    engine = await newest()
    await take_back(engine)
    for table in TABLES:
        assert keys(database, table) == ["paper"]
    assert bookings(database, "paper_fills", "paper") == fills
    assert bookings(database, "paper_funding", "paper") == [booking(BTC, 9)]
    await migrate(engine)
    assert await SqlJournal(engine, BTC).load("paper") == JournalRecord(memory, fills, [booking(BTC, 9)])


async def test_the_way_back_keeps_one_pair_of_each_account_and_only_its_bookings(newest, database):
    put(database, "paper", state(BTC, ETH), [booking(BTC, 1), booking(ETH, 1)], [booking(BTC, 2), booking(ETH, 2)])
    put(database, "recommendation", state(ETH), [booking(ETH, 5)], [])
    engine = await newest()
    await take_back(engine)
    assert keys(database, "paper_accounts") == ["paper", "recommendation"]
    assert bookings(database, "paper_fills", "paper") == [booking(BTC, 1)]
    assert bookings(database, "paper_funding", "paper") == [booking(BTC, 2)]
    assert bookings(database, "paper_fills", "recommendation") == [booking(ETH, 5)]


async def test_the_way_back_never_gives_one_pair_the_bookings_of_another(newest, database):
    put(database, "paper", state(BTC, ETH), [booking(ETH, 1)], [booking(ETH, 2)])  # the first pair has not traded yet
    engine = await newest()
    await take_back(engine)
    assert bookings(database, "paper_fills", "paper") == []
    assert bookings(database, "paper_funding", "paper") == []


# --- a bot that goes on -----------------------------------------------------------------------------------------
def hedge(folder: Path, days: str) -> None:
    options = [f"--set={setting}" for setting in (f"feed.days={days}", "feed.speed=0", "grid.grid_spacing_pct=0.001", "grid.num_levels=3")]
    more = ["--set=grid.volatility_multiple=0", "--set=logging.level=ERROR", "--set=logging.file=null"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
    answer = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "alpha_pulse", "run", *options, *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


async def test_a_bot_goes_on_with_the_books_of_the_version_before(tmp_path):
    """The same market in one go, and in two with the books taken back to the older form in between."""
    databases = {}
    for name, parts in (("whole", ["0.05"]), ("half", ["0.025", "0.05"])):
        folder = tmp_path / name
        folder.mkdir()
        databases[name] = database = folder / "var" / "alpha_pulse.db"
        for number, days in enumerate(parts):
            if number:
                engine = create_engine(f"sqlite+aiosqlite:///{database}")
                await take_back(engine)
                await engine.dispose()
                assert keys(database, "paper_accounts") == ["paper"]
            await asyncio.to_thread(hedge, folder, days)
    whole, half = (bookings(database, "paper_fills", f"paper/{BTC}") for database in databases.values())
    before = [entry for entry in whole if entry["ts_ms"] <= 1_735_689_600_000 + 36 * 60_000]  # 0.025 days
    assert len(before) >= 3
    assert half[: len(before)] == before
    assert len(half) > len(before)
    deposits = []
    for database in databases.values():
        with closing(sqlite3.connect(database)) as connection:
            ((text,),) = connection.execute("SELECT state FROM paper_accounts").fetchall()
        deposits.append(json.loads(text)["wallets"]["USDT"]["deposits"])
    assert deposits[0] == deposits[1]  # credited once
    assert databases["half"].with_name("alpha_pulse.db.schema-0002.bak").exists()
