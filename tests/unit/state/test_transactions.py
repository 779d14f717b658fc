"""Writes that are not cancelled under way."""

import asyncio

import pytest

from alpha_pulse.hedging.state.transactions import uninterrupted


class Write:
    """Something that takes until it is let go."""

    def __init__(self, error=None):
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.ended = False
        self.error = error

    async def run(self):
        self.begun.set()
        await self.may_end.wait()
        self.ended = True
        if self.error is not None:
            raise self.error
        return 7


async def test_it_gives_what_the_work_gives_or_raises():
    fine, bad = Write(), Write(OSError("the disk is full"))
    for write in (fine, bad):
        write.may_end.set()
    assert await uninterrupted(fine.run()) == 7
    with pytest.raises(OSError, match="the disk is full"):
        await uninterrupted(bad.run())


@pytest.mark.parametrize("error", [None, OSError("nobody hears of it")])
async def test_whoever_is_cancelled_however_often_waits_for_the_end_of_the_work(error):
    write = Write(error)
    caller = asyncio.create_task(uninterrupted(write.run()))
    await write.begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.wait({caller}, timeout=0.01)
    assert not caller.done()
    write.may_end.set()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert write.ended


async def test_a_time_that_is_up_meanwhile_is_a_timeout():
    write = Write()
    asyncio.get_running_loop().call_later(0.05, write.may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await uninterrupted(write.run())
    assert write.ended
