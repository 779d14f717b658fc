"""A proxy on loopback before a server that is not ours to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Passes bytes to and fro. ``cut`` resets every connection and refuses new ones; ``silent`` swallows all that is sent."""

    def __init__(self, host: str, port: int) -> None:
        self.silent = False
        self.connections = 0
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._port = 0
        self._transports: set[asyncio.WriteTransport] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, host: str, port: int) -> AsyncIterator[Proxy]:
        proxy = cls(host, port)
        await proxy.mend()
        yield proxy
        await proxy.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def cut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for transport in tuple(self._transports):
            transport.abort()
        await self._server.wait_closed()
        self._server = None
        while self._transports:  # noqa: ASYNC110 - until their ends have noticed
            await asyncio.sleep(0)

    async def mend(self) -> None:
        self.silent = False
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer.transport, far_writer.transport}
        self._transports |= pair
        if self._server is None:
            writer.transport.abort()
        await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        self._transports -= pair

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
