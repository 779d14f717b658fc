"""Two bots on one account and symbol, and a bot that lost its memory: the second refuses, and says what to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import AlphaPulseError, ConfigError, Fatal
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, Rehearsal
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.runtime.database import open_database
from tests.integration.live.processes import BY_PRICE_ALONE, Outside, outside

ADVICE = r"another bot trades .* on this account, or this one lost its database\. Stop the other one, or cancel these orders"


@contextlib.asynccontextmanager
async def twin_of(first: Rehearsal, folder: Path) -> AsyncIterator[Rehearsal]:
    """A second bot's place: the same exchange, account and symbol, another database."""
    await asyncio.to_thread(folder.mkdir)
    engine = await open_database(f"sqlite+aiosqlite:///{folder / 'bots.db'}")
    twin = Rehearsal(first.fake, first.settings, engine, ENVIRON)
    try:
        yield twin
    finally:
        await twin.stop()
        await engine.dispose()


async def test_a_second_bot_on_the_same_store_is_refused_by_the_first_ones_lock(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as first:
        await first.quiet()
        writes = first._activity()
        second = Rehearsal(first.fake, first.settings, first.engine, ENVIRON)
        with pytest.raises(ConfigError, match=r"already running: pid \d+ on .* Fix: stop it with `alpha-pulse stop`"):
            await second.start()
        assert first._activity() == writes, "the refused bot touched nothing"
        first.move(96_500)
        await first.quiet()
        assert await first.broken() == []
        assert await first.stop() == 0
        assert first.left_behind() == []


async def test_a_second_process_on_the_same_store_ends_with_code_2_and_touches_nothing(tmp_path):
    async with outside(tmp_path / "run") as first:
        await first.start()
        await first.settled()
        second = Outside(first.fake, first.settings, first.engine, ENVIRON)
        second.folder = first.folder
        await second.start()
        assert await second.exit_code() == 2
        assert "is already running: pid" in second.output()
        assert "Traceback" not in second.output()
        first.move(96_500)
        await first.settled()
        assert await first.broken() == []
        assert await first.stop() == 0
        assert first.left_behind() == []


async def test_a_second_bot_on_another_store_finds_the_first_ones_orders_and_refuses(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE) as first:
        await first.quiet()
        before = first.open_orders()
        async with twin_of(first, tmp_path / "second") as second:
            with pytest.raises(Fatal, match=ADVICE):
                await second.start()
            assert first.open_orders() == before, "the refused bot touched nothing"
            first.move(96_500)
            await first.quiet()
            assert await first.broken() == []
        assert await first.stop() == 0
        assert first.left_behind() == []


async def test_a_bot_whose_twin_comes_while_nothing_rests_stops_as_soon_as_it_sees_the_others_orders(tmp_path):
    """The second one finds an empty book, because the first may place nothing just then; both memories are empty."""
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE, start=False) as first:
        first.fake.control.fault("POST /fapi/v1/*rder*", "hold", times=None)
        await first.start()
        await first.fake.control.wait_held(timeout=20.0)
        async with twin_of(first, tmp_path / "second") as second:
            await second.start()  # the book is empty: nothing tells it yet
            first.fake.control.clear()
            await first.until(lambda: first.ended or second.ended, 30.0)
            await asyncio.sleep(1.0)
            await check_one_of_two(first, second)


async def test_bots_that_start_at_the_same_moment_on_stores_of_their_own_never_double_a_node(tmp_path):
    async with Rehearsal.running(tmp_path, BY_PRICE_ALONE, start=False) as first, twin_of(first, tmp_path / "second") as second:
        outcomes = await asyncio.gather(first.start(), second.start(), return_exceptions=True)
        assert all(isinstance(o, GridHedgeBot | AlphaPulseError) for o in outcomes), outcomes
        await first.until(lambda: first.ended or second.ended, 30.0)
        await asyncio.sleep(1.0)
        await check_one_of_two(first, second)


async def check_one_of_two(first: Rehearsal, second: Rehearsal) -> None:
    """At least one of them has ended and said why; no node is doubled at the venue, no id came twice."""
    ended = [one for one in (first, second) if one.bot is not None and one.ended]
    assert ended
    for one in ended:
        assert one.live.exit_code == 1
        (stopped,) = await one.events(EventKind.STOPPED)
        assert "another bot trades" in stopped.event.payload["reason"]
    assert [problem for problem in first._twice() if problem.startswith("B")] == []
    assert first.worst_exposure() <= 1


async def test_a_bot_that_lost_its_database_refuses_until_its_old_orders_are_gone(tmp_path):
    async with outside(tmp_path / "run") as first:
        await first.start()
        await first.settled()
        first.move(97_300)
        await first.settled()
        held = first.position
        assert held != 0
        await first.kill()
        async with twin_of(first, tmp_path / "new") as fresh:
            with pytest.raises(Fatal, match=ADVICE):
                await fresh.start()
            for order in first.ours():
                if order.is_open:
                    first.fake.venue.account().desk_of(order).cancel(order)
            for stop in first.our_stops():
                if stop.is_open:
                    first.fake.venue.account().desk_of(stop).cancel_algo(stop)
            fresh._base = held
            await fresh.start()
            await fresh.until(lambda: len(fresh.open_orders()) > 0)
            await asyncio.sleep(0.5)
            assert fresh.position == held, "the position of the earlier life counts as the hedge"
            assert await fresh.stop() == 0
            assert fresh.left_behind() == []
