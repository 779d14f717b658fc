"""How late an event loop is, measured by itself."""

import asyncio
import contextlib
import time

import pytest

from alpha_pulse.runtime.loop_lag import LoopLag


@contextlib.asynccontextmanager
async def felt(lag):
    task = asyncio.create_task(lag.feel())
    await asyncio.sleep(0)  # its first beat has begun
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is a measurement
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("half_life_s", [0.25, 10.0])
async def test_what_hogs_the_loop_is_seen_and_fades(half_life_s):
    lag = LoopLag(half_life_s)
    assert lag.lag_s == 0.0
    async with felt(lag):
        time.sleep(0.75)  # noqa: ASYNC251 - it is what is measured
        await until(lambda: lag.lag_s >= 0.5)
        worst = lag.lag_s
        await until(lambda: lag.lag_s < worst)
