"""The client that measures servers: one kind of request on many kept connections. Lean, so that it is the server that is measured."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "  # as uvicorn writes it


class Connection(asyncio.Protocol):
    """Asks when told to, and tells when the answer is whole.

    Args:
        request: bytes of the whole request.
        answered: told of each answer; the time at which it was asked for stands in ``due``.
        failed: told why it cannot go on: an answer other than 200, or a server that hung up.
    """

    def __init__(self, request: bytes, answered: Callable[[Connection], None], failed: Callable[[str], None]) -> None:
        self.due = 0.0
        self._request = request
        self._answered = answered
        self._failed = failed
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, due: float) -> None:
        """Send the request, which was due at this time."""
        self.due = due
        if self._transport is not None:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """A piece of the answer."""
        received = self._received = self._received + data
        head = received.find(_END)
        if head < 0:
            return
        if b" 200 " not in received[:16]:
            self._failed(f"the server answered {received[:head].decode('latin-1')}")
            return
        start = received.find(_LENGTH) + len(_LENGTH)
        if len(received) >= head + len(_END) + int(received[start : received.find(b"\r", start)]):
            self._received = b""
            self._answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The other side, or this one, hung up."""
        self._transport = None
        self._failed(f"the server hung up: {error}")

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def throughput(port: int, request: bytes, seconds: float, connections: int) -> float:
    """Requests a second of all connections together, each of which asks again at once."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    end, count, asking = 0.0, 0, connections

    def answered(connection: Connection) -> None:
        nonlocal count, asking
        count += 1
        now = time.perf_counter()
        if now < end:
            connection.ask(now)
            return
        asking -= 1
        if not asking and not over.done():
            over.set_result(None)

    async with _connected(port, request, connections, answered, over) as opened:
        begin = time.perf_counter()
        end = begin + seconds
        for connection in opened:
            connection.ask(begin)
        await over
        return count / (time.perf_counter() - begin)


async def latencies_ms(port: int, request: bytes, seconds: float, connections: int, rate: float) -> list[float]:
    """Time of each request at a fixed rate, ms, from the moment at which it was due: a server that stalls is charged for everybody who
    would have waited.
    """
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    count = round(seconds * rate)
    found: list[float] = []
    waiting: deque[float] = deque()
    free: list[Connection] = []

    def answered(connection: Connection) -> None:
        found.append((time.perf_counter() - connection.due) * 1e3)
        if waiting:
            connection.ask(waiting.popleft())
        else:
            free.append(connection)
        if len(found) == count and not over.done():
            over.set_result(None)

    async with _connected(port, request, connections, answered, over) as opened:
        free += opened
        begin = time.perf_counter()
        for number in range(count):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if free:
                free.pop().ask(due)
            else:
                waiting.append(due)
        await over
    return found


@asynccontextmanager
async def _connected(
    port: int, request: bytes, connections: int, answered: Callable[[Connection], None], over: asyncio.Future[None]
) -> AsyncIterator[list[Connection]]:
    """So many connections; ``over`` raises RuntimeError when one of them fails."""

    def failed(why: str) -> None:
        if not over.done():
            over.set_exception(RuntimeError(why))

    opened: list[Connection] = []

    def make() -> Connection:
        opened.append(Connection(request, answered, failed))
        return opened[-1]

    try:
        for _ in range(connections):
            await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
        yield opened
    finally:
        over.cancel()
        for connection in opened:
            connection.close()
        await asyncio.sleep(0)
