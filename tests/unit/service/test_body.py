"""The body of a request, as it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from alpha_pulse.service.body import ClientGone, read_body
from alpha_pulse.service.problems import Problem


class Client:
    """Brings its messages one by one, at once or after a round of the loop; then nothing ever comes."""

    def __init__(self, *messages: Message, late: bool) -> None:
        self._messages = list(messages)
        self._late = late

    async def __call__(self) -> Message:
        if self._late:
            await asyncio.sleep(0)
        if not self._messages:
            await asyncio.get_running_loop().create_future()
        return self._messages.pop(0)


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(client: Client, announced: bytes = b"0", **limits: Any) -> bytes:
    return await read_body(announced, client, **{"largest": 10, "patience_s": 60.0} | limits)


both = pytest.mark.parametrize("late", [False, True])


@both
@pytest.mark.parametrize("parts", [(b"",), (b"ab",), (b"ab", b"cd"), (b"", b"ab", b""), (b"a", b"b", b"c", b"d")])
async def test_the_body_is_all_of_its_parts(parts, late):
    messages = [part(body, more=number < len(parts)) for number, body in enumerate(parts, start=1)]
    assert await read(Client(*messages, late=late)) == b"".join(parts)


@both
@pytest.mark.parametrize("messages", [(part(b"x" * 11),), (part(b"x" * 6, more=True), part(b"x" * 5, more=True))])
async def test_what_comes_must_not_be_too_large(messages, late):
    with pytest.raises(Problem, match="At most 10 bytes") as caught:
        await read(Client(*messages, late=late))
    assert (caught.value.status, caught.value.headers) == (413, {"connection": "close"})


@pytest.mark.parametrize("announced", [b"11", b"9" * 30, b"-1", b"", b"1.0"])
async def test_what_is_announced_must_be_a_size_that_is_taken(announced):
    with pytest.raises(Problem, match="At most 10 bytes"):
        await read(Client(part(b""), late=False), announced)


@both
@pytest.mark.parametrize("before", [(), (part(b"a", more=True),)])
async def test_a_client_that_hangs_up_is_told_nothing(before, late):
    with pytest.raises(ClientGone):
        await read(Client(*before, {"type": "http.disconnect"}, late=late))


@both
@pytest.mark.parametrize("before", [(), (part(b"a", more=True),)])
async def test_a_body_that_never_ends_is_given_up(before, late):
    with pytest.raises(Problem, match=r"within 0\.01 s") as caught:
        await read(Client(*before, late=late), patience_s=0.01)
    assert (caught.value.status, caught.value.headers) == (408, {"connection": "close"})


@both
async def test_whoever_waits_for_a_body_can_be_cancelled(late):
    reading = asyncio.create_task(read(Client(late=late)))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
