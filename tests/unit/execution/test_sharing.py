"""One answer for all who ask about the same moment."""

import asyncio
import math

import pytest

from alpha_pulse.execution.sharing import Shared


class Venue:
    def __init__(self):
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self):
        self.asked += 1
        mine = self.asked
        await self.open.wait()
        return mine


def now():
    return asyncio.get_running_loop().time()


async def test_who_asks_while_a_question_is_on_its_way_waits_for_that_answer():
    venue, shared, asked_at = Venue(), Shared(), now()
    venue.open.clear()
    waiting = [asyncio.create_task(shared.get(venue.answer, after=asked_at)) for _ in range(5)]
    await asyncio.sleep(0.01)
    venue.open.set()
    assert {answer for _, answer in await asyncio.gather(*waiting)} == {1}
    assert venue.asked == 1


async def test_an_answer_from_before_the_moment_that_matters_is_not_used():
    venue, shared = Venue(), Shared()
    first_at, _ = await shared.get(venue.answer, after=-math.inf)
    assert await shared.get(venue.answer, after=first_at) == (first_at, 1)
    await asyncio.sleep(0.002)
    booked_at = now()
    later_at, answer = await shared.get(venue.answer, after=booked_at)
    assert later_at >= booked_at
    assert answer == 2
    assert (await shared.get(venue.answer, after=math.inf))[1] == 3


async def test_a_question_that_fails_leaves_nothing_behind():
    venue, shared = Venue(), Shared()
    await shared.get(venue.answer, after=-math.inf)

    async def refuse():
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        await shared.get(refuse, after=math.inf)
    assert (await shared.get(venue.answer, after=-math.inf))[1] == 2


async def test_what_was_forgotten_is_asked_again():
    venue, shared = Venue(), Shared()
    await shared.get(venue.answer, after=-math.inf)
    shared.forget()
    assert (await shared.get(venue.answer, after=-math.inf))[1] == 2
