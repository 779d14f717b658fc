"""The private stream is listened to for as long as the account is open, whatever ends one of its tasks."""

import asyncio

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.live.streams import UserStream


class Stream:
    """As much of a ccxt.pro object as a private stream touches; ``failure`` is raised by whoever listens first."""

    has = {"watchOrders": True, "watchMyTrades": False}  # noqa: RUF012 - ccxt's spelling

    def __init__(self, failure=None):
        self.failure = failure
        self.listened = asyncio.Event()
        self.closed = asyncio.Event()

    def client(self, url):
        raise NotImplementedError(url)

    def handle_message(self, client, message):
        raise NotImplementedError(client, message)

    async def watch_orders(self):
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.listened.set()
        await asyncio.Event().wait()

    async def close(self):
        self.closed.set()


class Connection:
    """Hands out streams, each once; an error among them is raised instead."""

    def __init__(self, *streams):
        self.stream, *self.next = streams

    def renew_stream(self):
        if isinstance(fresh := self.next.pop(0), Exception):
            raise fresh
        old, self.stream = self.stream, fresh
        return old


class Listening:
    def __init__(self, *streams):
        self.breaks = 0
        self.connection = Connection(*streams)
        self.stream = UserStream(self.connection, print, print, self.broke, print, print)

    def broke(self):
        self.breaks += 1

    async def __aenter__(self):
        self.stream.start()
        return self

    async def __aexit__(self, *_):
        await self.stream.close()


@pytest.mark.parametrize("failure", [RuntimeError("nobody foresaw this"), asyncio.CancelledError()], ids=["an error", "a cancel"])
async def test_a_listener_that_ends_by_itself_is_told_of_and_the_stream_begins_anew(failure):
    dead, fresh = Stream(failure), Stream()
    async with Listening(dead, fresh) as listening, asyncio.timeout(2.0):
        await fresh.listened.wait()
        assert listening.breaks >= 1, "the account is read over REST meanwhile"
        await dead.closed.wait()
        told = listening.breaks
    listening.stream.rebuild("news that came too late")
    await asyncio.sleep(0)
    assert (listening.breaks, listening.stream.rebuilt) == (told, 1), "closing is no break, and for good"


async def test_a_rebuilding_that_fails_is_tried_again_after_a_pause():
    first, fresh = Stream(), Stream()
    async with Listening(first, ConfigError("nobody foresaw this"), fresh) as listening:
        await first.listened.wait()
        listening.stream.rebuild("the listen key has expired")
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with asyncio.timeout(2.9):
            await fresh.listened.wait()
        assert loop.time() - asked > 1.0
        assert listening.stream.rebuilt == 2
