"""Storage that fails under a bot with real orders: nothing is sent that was not recorded, cancels go on, and it recovers."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.hedging.state.models import REVISIONS
from alpha_pulse.runtime.database import create_engine, migrate, open_database
from tests.integration.live.processes import BY_PRICE_ALONE, outside

UP = 97_300  # through the opening order and two nodes: sells fill, buys come to rest below


def creates(run: Rehearsal) -> int:
    return sum(1 for r in run.fake.venue.requests("POST") if "rder" in r.path)


def grid(run: Rehearsal, side: str) -> int:
    return sum(1 for order in run.ours() if order.is_open and order.side == side)


async def opened(run: Rehearsal) -> None:
    """The hedge is on, with orders to both sides."""
    await run.quiet(60.0)
    run.move(UP)
    await run.until(lambda: run.position < 0, 30.0)
    await run.quiet(60.0)
    assert grid(run, "BUY") > 0
    assert grid(run, "SELL") > 0


async def again(run: Rehearsal) -> None:
    """A new bot, as in a new process: the lock that could not be given back counts as that of a dead one."""
    async with run.engine.begin() as connection:
        await connection.execute(text("DELETE FROM locks"))
    await run.start()


async def ends_well(run: Rehearsal) -> None:
    await run.quiet(60.0)
    assert await run.broken() == []
    assert await run.stop() == 0
    assert run.left_behind() == []
    assert await run.broken() == []


# --- a full disk ------------------------------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB. Skips where none can be mounted."""
    folder, mount = tmp_path / "small", shutil.which("mount")
    folder.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:  # noqa: S603 - fixed arguments
        pytest.skip("a small file system cannot be mounted here: that needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607 - fixed arguments


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left for the time of the block."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0")
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def no_more_pages(run: Rehearsal) -> Iterator[None]:
    """The same as SQLite sees it, where nothing can be mounted: the database may not grow."""

    def limit(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def lift(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    event.listen(run.engine.sync_engine, "begin", limit)
    try:
        yield
    finally:
        event.remove(run.engine.sync_engine, "begin", limit)
        event.listen(run.engine.sync_engine, "begin", lift)


async def full_disk_under(run: Rehearsal, full: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    """Fill it while the bot trades: it ends as one that a person has to look at, goes on once there is room, and all is booked."""
    await opened(run)
    with full():
        sent = creates(run)
        price = UP
        for _ in range(200):  # until what is left in the last pages is used up, too
            price = 95_300 if price == UP else UP
            run.move(price)
            await asyncio.sleep(0.1)
            if run.ended:
                break
            sent = creates(run)
        await run.until(lambda: run.ended, 30.0)
        assert await run.stop() == 1
        assert creates(run) <= sent + 1
        assert [order for order in run.open_orders() if order in run.ours()] == [], "the grid was withdrawn all the same"
        assert sum(1 for stop in run.our_stops() if stop.is_open) == 1, "the protective stop stays"
        assert [problem for problem in await run.broken() if problem.startswith(("B", "D"))] == []
    run.move(UP)
    await again(run)
    await ends_well(run)


async def test_a_full_disk_ends_the_bot_with_its_grid_withdrawn_and_its_stop_in_place(small_disk):
    async with Rehearsal.running(small_disk, BY_PRICE_ALONE) as run:
        await full_disk_under(run, lambda: filled(small_disk))


async def test_a_database_that_may_not_grow_ends_the_bot_in_the_same_way(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        await full_disk_under(run, lambda: no_more_pages(run))


# --- a locked database ------------------------------------------------------------------------------------------------
def impatient(run: Rehearsal) -> None:
    """Writers wait for 0.2 s instead of 5, so that a lock of seconds is as one of minutes."""

    @event.listens_for(run.engine.sync_engine, "checkout")
    def _checked_out(connection: Any, _record: Any, _proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 200")
        cursor.close()


@contextlib.contextmanager
def locked(run: Rehearsal) -> Iterator[None]:
    """Another program holds the database for the time of the block."""
    with closing(sqlite3.connect(str(run.engine.url.database), isolation_level=None, timeout=30.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.rollback()


async def test_while_the_database_is_locked_nothing_new_is_sent_and_what_would_unwind_is_cancelled(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        impatient(run)
        await opened(run)
        with locked(run):
            sent, booked = creates(run), run.live.state.fills_booked
            run.move(98_200)  # another sell fills: that has to be booked before anything else
            await run.until(lambda: grid(run, "BUY") == 0, 30.0)
            await asyncio.sleep(1.5)
            assert creates(run) == sent
            assert run.live.state.fills_booked == booked
            assert not run.ended
            assert sum(1 for stop in run.our_stops() if stop.is_open) == 1
        await run.until(lambda: run.live.state.fills_booked > booked, 30.0)
        await run.until(lambda: grid(run, "BUY") > 0, 30.0)
        await ends_well(run)


async def test_a_lock_that_comes_and_goes_costs_nothing(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        impatient(run)
        await opened(run)
        for price in (98_200, 97_100, 98_250, 96_100):
            with locked(run):
                run.move(price)
                await asyncio.sleep(0.5)
            await run.quiet(60.0)
        await ends_well(run)


async def test_a_stop_while_the_database_is_locked_still_cancels_and_says_that_the_record_is_missing(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        impatient(run)
        await opened(run)
        with locked(run):
            assert await run.stop() == 1
            assert run.left_behind() == []
            assert await run.events(EventKind.STOPPED) == []
        await again(run)
        await ends_well(run)


# --- a database that lost its last moments ----------------------------------------------------------------------------
def tear(path: Path) -> None:
    """Half of what was written last is gone, as after a power cut on a disk that lies."""
    content = path.read_bytes()
    assert len(content) > 0
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("harm", [tear, Path.unlink], ids=["torn", "missing"])
async def test_a_write_ahead_log_that_is_torn_or_missing_is_refused_or_made_good(tmp_path, harm):
    """What was lost was sent and traded: either the bot says so and touches nothing, or it books what it lost."""
    async with outside(tmp_path / "run") as run:
        await run.start()
        await run.settled()
        run.move(UP)
        await run.settled()
        await run.kill()
        database, log = tmp_path / "run" / "bots.db", tmp_path / "run" / "bots.db-wal"
        contents = database.read_bytes(), log.read_bytes()
        await run.engine.dispose()  # the last reader folds the log into the database: put both back as the process left them
        database.write_bytes(contents[0])
        log.write_bytes(contents[1])
        harm(log)
        before = run.touched()
        await run.start()
        try:
            async with asyncio.timeout(20.0):
                assert run.process is not None
                code = await run.process.wait()
        except TimeoutError:
            await run.settled()
            assert await run.broken() == []
        else:
            assert code in {1, 2}, run.output()[-3000:]
            assert "Fix:" in run.output() or "lost its database" in run.output()
            assert run.touched() == before, "the refused bot touched nothing"


async def test_an_older_schema_is_copied_and_brought_up_to_date_before_a_real_bot_trades_on_it(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'bots.db'}"
    engine = create_engine(url)
    await migrate(engine, revision=REVISIONS[-2])
    await engine.dispose()
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        assert (tmp_path / f"bots.db.schema-{REVISIONS[-2]}.bak").stat().st_size > 0
        await opened(run)
        await ends_well(run)


async def test_a_real_bots_database_of_a_newer_version_is_refused(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as run:
        await opened(run)
        await run.stop()
        async with run.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        with pytest.raises(ConfigError, match="was written by a newer alpha_pulse"):
            await open_database(run.settings.store.url)
