"""One live bot for each (account, symbol)."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.audit import verify
from alpha_pulse.hedging.state.locks import HEARTBEAT_MS, STALE_MS
from alpha_pulse.hedging.state.queries import read_status
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.testing.bookings import FakeHost

TICK = Event(EventKind.TICK, 1, "t", {})


async def open_on(engine: AsyncEngine, host: FakeHost | SystemHost, run_id: str, symbol: str = "BTCUSDT") -> SqlStore:
    store = SqlStore(engine, host=host)
    await store.open("paper", symbol, run_id, 0)
    return store


async def test_a_second_bot_on_the_same_pair_is_refused_with_what_to_do(engine, host):
    first = await open_on(engine, host, "r1")
    other = FakeHost(pid=200)
    with pytest.raises(ConfigError, match=r"pid 100 on here since 1970-01-01 00:16:40 UTC.*Fix: stop it with `alpha-pulse stop`"):
        await open_on(engine, other, "r2")
    second = await open_on(engine, other, "r2", symbol="ETHUSDT")  # another pair is free
    await first.close()
    third = await open_on(engine, other, "r3")
    for store in (second, third):
        await store.close()


async def test_a_lock_that_a_busy_database_kept_from_being_released_is_no_other_bots(engine, host, database):
    store = await open_on(engine, host, "r1")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="releasing the lock"):
            await store.close()
    with pytest.raises(ConfigError, match="already running"):
        await open_on(engine, host, "r2")  # another store does not know that it was given up
    await store.open("paper", "BTCUSDT", "r2", 0)
    await store.save([TICK])
    await store.close()
    await (await open_on(engine, host, "r3")).close()


async def test_a_lock_that_could_not_be_released_is_released_by_closing_again(engine, host, database):
    store = await open_on(engine, host, "r1")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="releasing the lock"):
            await store.close()
    await store.close()
    await (await open_on(engine, host, "r2")).close()


async def test_the_lock_of_a_dead_process_is_taken_over_at_once(engine, host):
    await open_on(engine, host, "r1")
    successor = FakeHost(pid=200)
    successor.dead.add(host.process)
    store = await open_on(engine, successor, "r2")
    await store.close()


async def test_a_silent_bot_on_this_host_keeps_its_pair_as_long_as_it_lives(engine, host):
    first = await open_on(engine, host, "r1")
    host.time_ms += 100 * STALE_MS
    with pytest.raises(ConfigError, match="already running"):
        await open_on(engine, host, "r2")
    await first.close()


async def test_a_bot_on_another_host_keeps_its_pair_while_its_heart_beats(engine, host):
    first = await open_on(engine, host, "r1")
    elsewhere = FakeHost(name="elsewhere")
    elsewhere.time_ms = host.time_ms + STALE_MS
    with pytest.raises(ConfigError, match="if that machine is gone, wait until the lock's heartbeat is 60 s old"):
        await open_on(engine, elsewhere, "r2")
    host.time_ms += HEARTBEAT_MS
    await first.save([TICK])
    elsewhere.time_ms = host.time_ms + STALE_MS
    with pytest.raises(ConfigError):
        await open_on(engine, elsewhere, "r2")
    host.time_ms += HEARTBEAT_MS
    assert await first.commands() == ()  # asking for commands keeps it fresh, too
    elsewhere.time_ms = host.time_ms + STALE_MS
    with pytest.raises(ConfigError):
        await open_on(engine, elsewhere, "r2")
    await first.close()


async def test_a_bot_whose_pair_was_taken_over_can_write_nothing_more(engine, host):
    first = await open_on(engine, host, "r1")
    await first.save([TICK], BotState(generation=1))
    elsewhere = FakeHost(name="elsewhere")
    elsewhere.time_ms = host.time_ms + STALE_MS + 1
    second = await open_on(engine, elsewhere, "r2")
    for state in (None, BotState(generation=5)):
        with pytest.raises(Fatal, match="another bot has taken over BTCUSDT"):
            await first.save([TICK], state)
    with pytest.raises(Fatal):
        await first.save([], BotState(generation=5))
    await first.close()  # which must not free the successor's lock
    with pytest.raises(ConfigError):
        await open_on(engine, FakeHost(name="elsewhere", pid=300), "r3")
    await second.save([TICK])
    assert await verify(engine) == []
    await second.close()


async def test_two_bots_that_start_at_the_same_moment_cannot_both_have_it(engine, host):
    results = await asyncio.gather(*(open_on(engine, FakeHost(pid=n), f"r{n}") for n in range(4)), return_exceptions=True)
    stores = [r for r in results if isinstance(r, SqlStore)]
    assert len(stores) == 1
    assert all(isinstance(r, ConfigError) for r in results if r is not stores[0])
    await stores[0].close()


# --- real processes ---------------------------------------------------------------------------------------------
BOT = """
import asyncio, sys
from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.testing.bookings import fill_event, make_fill

async def main():
    engine = await open_database(sys.argv[1])
    store = SqlStore(engine, host=SystemHost())
    state = await store.open("paper", "BTCUSDT", sys.argv[2], 0) or BotState()
    number = state.generation
    while True:
        number += 1
        fill = fill_event(make_fill("o", str(number)))
        await store.save([Event(EventKind.TICK, number, str(number), {}), fill], BotState(generation=number))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def bots(url: str, tmp_path: Path) -> Iterator[list[Popen[str]]]:
    running: list[Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def start_bot(url: str, run_id: str, bots: list[Popen[str]]) -> Popen[str]:
    process = Popen([sys.executable, "-c", BOT, url, run_id], stdout=PIPE, stderr=PIPE, text=True)  # noqa: S603 - our own program
    bots.append(process)
    return process


def saved(bot: Popen[str], count: int) -> int:
    assert bot.stdout is not None
    lines = [bot.stdout.readline() for _ in range(count)]
    assert lines[-1], bot.stderr.read() if bot.stderr else ""
    return int(lines[-1])


async def test_a_bot_killed_in_the_middle_of_saving_loses_nothing_and_starts_again(url, engine, bots):
    last = 0
    for round_number in range(3):
        bot = start_bot(url, f"run{round_number}", bots)
        acknowledged = saved(bot, 15)
        os.kill(bot.pid, signal.SIGKILL)
        rest, _ = bot.communicate()
        acknowledged = max([acknowledged, *(int(line) for line in rest.split() if line)])
        assert acknowledged > last
        assert await verify(engine) == []
        (status,) = await read_status(engine, SystemHost())
        assert status.state is not None
        assert not status.running
        assert status.holder is not None
        assert status.state.generation in (acknowledged, acknowledged + 1)  # all that was acknowledged; at most one that was not
        assert status.events == 2 * status.state.generation
        last = status.state.generation


async def test_a_second_process_on_the_same_pair_is_refused_while_the_first_lives(url, engine, bots):
    first = start_bot(url, "first", bots)
    saved(first, 1)
    with pytest.raises(ConfigError, match=rf"already running: pid {first.pid} on "):
        await open_on(engine, SystemHost(), "second")
    (status,) = await read_status(engine, SystemHost())
    assert status.running
    first.kill()
    first.wait()
    store = await open_on(engine, SystemHost(), "second")
    await store.close()
