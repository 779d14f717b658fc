"""A stop by signal, whatever is in flight: it ends in time, with exit code 0, and leaves nothing behind where the venue answers."""

from __future__ import annotations

import asyncio
import signal

import pytest

from alpha_pulse.domain.events import EventKind
from tests.integration.live.processes import Outside, outside

CREATE = "POST /fapi/v1/*rder*"
CANCEL = "DELETE /fapi/v1/*rder*"
IN_TIME_S = 10.0
USUAL = {"dead_man_switch_s": 0}
"""The waits that everybody has who sets nothing: a stop has to be quick with these."""


async def terminated(run: Outside, *, signals: int = 1) -> float:
    """Send SIGTERM, and wait; how long it took [s]."""
    assert run.process is not None
    begin = asyncio.get_running_loop().time()
    for _ in range(signals):
        run.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.05)
    await run.exit_code()
    return asyncio.get_running_loop().time() - begin


async def check_ended(run: Outside, took_s: float, *, code: int = 0) -> None:
    assert run.process is not None
    assert run.process.returncode == code, run.output()[-3000:]
    assert took_s < IN_TIME_S, run.output()[-3000:]
    stopped = await run.events(EventKind.STOPPED)
    assert len(stopped) == 1
    assert "SIGTERM" in stopped[0].event.payload["reason"]


@pytest.mark.parametrize(("when", "kind"), [("before", "hold"), ("after", "hold")])
async def test_a_create_in_flight_is_settled_before_the_process_ends(tmp_path, when, kind):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        run.fake.control.fault(CREATE, kind, when=when)
        await run.start()
        await run.held()
        took = await terminated(run)
        await check_ended(run, took)
        assert run.left_behind() == []
        assert await run.broken() == []


async def test_a_create_in_flight_that_is_answered_during_the_stop_is_withdrawn(tmp_path):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        run.fake.control.fault(CREATE, "hold")
        await run.start()
        await run.held()
        ending = asyncio.create_task(terminated(run))
        await asyncio.sleep(1.0)
        run.fake.control.release()
        took = await ending
        await check_ended(run, took)
        assert run.left_behind() == []
        assert await run.broken() == []


@pytest.mark.parametrize("kind", ["timeout_after", "drop_after", "truncate"])
async def test_an_order_that_nobody_knows_of_is_found_and_withdrawn(tmp_path, kind):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        run.fake.control.fault(CREATE, kind, times=2)
        await run.start()
        await run.until(lambda: len(run.fake.faults.hits) >= 1, 30.0)
        took = await terminated(run)
        await check_ended(run, took)
        assert run.left_behind() == []
        assert await run.broken() == []


@pytest.mark.parametrize("kind", ["drop_before", "timeout_before", "status", "partial", "drop_after"])
async def test_cancels_that_fail_once_are_repeated(tmp_path, kind):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        await run.start()
        await run.settled()
        run.fake.control.fault(CANCEL, kind)
        took = await terminated(run)
        await check_ended(run, took)
        assert run.left_behind() == []
        assert await run.broken() == []


async def test_an_unreachable_venue_does_not_keep_the_process(tmp_path):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        await run.start()
        await run.settled()
        run.fake.control.unreachable(60.0)
        await check_ended(run, await terminated(run))
        assert "left behind" in run.output()
        assert " 0 left behind" not in run.output()


async def test_a_venue_that_never_answers_does_not_keep_the_process(tmp_path):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        await run.start()
        await run.settled()
        run.fake.control.fault("*", "timeout_before", times=None)
        await check_ended(run, await terminated(run))


async def test_a_venue_that_never_answered_since_the_start_does_not_keep_the_process(tmp_path):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        run.fake.control.fault("*", "timeout_before", times=None)
        await run.start()
        await run.until(lambda: len(run.fake.faults.hits) >= 1, 30.0)
        took = await terminated(run)
        assert took < IN_TIME_S, run.output()[-3000:]
        assert "Traceback" not in run.output()


async def test_a_second_signal_changes_nothing(tmp_path):
    async with outside(tmp_path / "run", quick=USUAL) as run:
        await run.start()
        await run.settled()
        await check_ended(run, await terminated(run, signals=3))
        assert run.left_behind() == []
