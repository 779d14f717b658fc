"""The fake exchange as a server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Self

from aiohttp import web

from alpha_pulse.fake_exchange.config import FakeConfig
from alpha_pulse.fake_exchange.control import Control
from alpha_pulse.fake_exchange.faults import Faults
from alpha_pulse.fake_exchange.hub import Hub
from alpha_pulse.fake_exchange.rest import RestDoor
from alpha_pulse.fake_exchange.venue import Venue
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.clock import SystemClock

_HOST: Final = "127.0.0.1"
_TICK_S: Final = 0.02
_MARK_EVERY: Final = 50  # ticks: once a second
_LARGEST_BODY: Final = 1_000_000


class FakeExchange:
    """A running exchange.

    Attributes:
        venue: its markets and accounts, to be moved by hand.
        control: its faults.
        hub: its websockets.
        rest_url: for ``exchange.rest_url``.
        ws_url: for ``exchange.ws_url``.
    """

    def __init__(self, config: FakeConfig, clock: Clock) -> None:
        self.venue = Venue(config, clock)
        self.hub = Hub(self.venue, on_key_expired=self.venue.end_listen_key)
        self.venue.connect(self.hub)
        self.faults = Faults(config.seed, asyncio.get_running_loop().time)
        self.door = RestDoor(self.venue, self.faults)
        self.control = Control(self.venue, self.faults, self.hub, self.door)
        self.rest_url = self.ws_url = ""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/control/{name}", self.control.handle)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._ticking: asyncio.Task[None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, config: FakeConfig | None = None, *, port: int = 0, clock: Clock | None = None) -> AsyncIterator[Self]:
        """Run it for as long as the block lasts. Port 0 takes a free one."""
        fake = cls(config or FakeConfig(), clock or SystemClock())
        await fake.start(port)
        try:
            yield fake
        finally:
            await fake.stop()

    async def start(self, port: int) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, port).start()
        bound = self._runner.addresses[0][1]
        self.rest_url, self.ws_url = f"http://{_HOST}:{bound}", f"ws://{_HOST}:{bound}"
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Let go of whoever waits, and close."""
        self.door.closing.set()
        self.faults.clear()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self.hub.close()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.hub.handle(request)
        return await self.door.handle(request)

    async def _tick(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(_TICK_S)
            self.venue.tick()
            count += 1
            if count % _MARK_EVERY == 0:
                self.venue.publish_marks()
