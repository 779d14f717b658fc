"""One websocket of the fake exchange: a bounded queue, a task that writes it out, and a reader that answers pings by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

QUEUE: Final = 10_000  # frames that a slow reader may be behind before it is cut off, as at the real venue
_LOOK_AGAIN: Final = 0.02  # seconds between two looks at whether a frozen socket has thawed
_CLOSING_TIME: Final = 1.0  # seconds to wait for the other side's close frame


class StreamSocket:
    """A connected client. ``topics`` maps what it is subscribed to, to the name that it asked by.

    Args:
        spot: it belongs to the spot market.
        combined: frames are wrapped with their stream's name.
        queue: frames that may wait.
    """

    def __init__(self, *, spot: bool, combined: bool, queue: int = QUEUE) -> None:
        self.spot, self.combined = spot, combined
        self.topics: dict[str, str] = {}
        self.user: str | None = None  # the private topic that it receives
        self.listen_key: str | None = None
        self.subscription_id: int | None = None  # of the spot user stream: its frames are wrapped with it
        self.sent = 0
        self._ws = web.WebSocketResponse(timeout=_CLOSING_TIME, autoclose=False, autoping=False, compress=False)
        self._queue: asyncio.Queue[tuple[float, str]] = asyncio.Queue(queue)
        self._is_frozen: Callable[[], bool] = lambda: False
        self._writer: asyncio.Task[None] | None = None
        self._request: web.Request | None = None

    async def open(self, request: web.Request, is_frozen: Callable[[], bool]) -> web.WebSocketResponse:
        """Shake hands and start to write. ``is_frozen`` is asked before every frame in either direction."""
        self._request, self._is_frozen = request, is_frozen
        await self._ws.prepare(request)
        self._writer = asyncio.create_task(self._write(), name=f"write to {request.path}")
        return self._ws

    def put(self, text: str, wait: float = 0.0) -> bool:
        """Queue a frame to be sent after ``wait`` seconds, in order. Never blocks; False when the client is too slow and is cut off."""
        try:
            self._queue.put_nowait((asyncio.get_running_loop().time() + wait, text))
        except asyncio.QueueFull:
            self.abort()
            return False
        return True

    async def frames(self) -> AsyncIterator[str]:
        """The client's text frames, until it goes. Pings are answered, unless the socket is frozen: then everything waits."""
        while True:
            message = await self._ws.receive()
            await self._thawed()
            if message.type is WSMsgType.PING:
                with suppress(ConnectionError):
                    await self._ws.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                yield message.data
            elif message.type is not WSMsgType.PONG:
                return

    async def _write(self) -> None:
        clock = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                due, text = await self._queue.get()
                if due > clock.time():
                    await asyncio.sleep(due - clock.time())
                await self._thawed()
                await self._ws.send_str(text)
                self.sent += 1

    async def _thawed(self) -> None:
        while self._is_frozen() and not self._lost():  # noqa: ASYNC110 - a freeze also ends by the passing of time
            await asyncio.sleep(_LOOK_AGAIN)

    def _lost(self) -> bool:
        transport = None if self._request is None else self._request.transport
        return transport is None or transport.is_closing()

    def abort(self) -> None:
        """Cut the connection without a word, as a broken network does."""
        if self._request is not None and self._request.transport is not None:
            self._request.transport.abort()

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Say goodbye and close. A client that does not answer is cut off."""
        with suppress(ConnectionError):
            await self._ws.close(code=code)

    async def stop(self) -> None:
        """End the writing task."""
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
