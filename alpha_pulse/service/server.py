"""The service on a socket: one process, one worker."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI
from loguru import logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from alpha_pulse.errors import AlphaPulseError, Fatal
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import ServiceSettings

_GRACE_S: Final = 10  # for answers under way when it ends
_KEEP_ALIVE_S: Final = 30
_BACKLOG: Final = 1024
_YOUNG: Final = (10_000, 20, 20)  # new objects before the collector looks at them, and rounds before it looks at older ones
_LIBRARIES: Final = ("uvicorn", "fastapi", "redis", "watchfiles", "purgatory")


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too long or take too long: it holds them before anybody has logged in."""

    largest = 2**16  # bytes
    patience_s = 10.0
    _bytes = 0
    _timer: asyncio.TimerHandle | None = None  # there is one while a head is awaited

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent has it
        """Await the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing more."""
        self._have_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Await the rest of a head."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Count no further."""
        self._have_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse, and count what is a head still."""
        super().data_received(data)
        if self._timer is not None:
            self._bytes += len(data)
            if self._bytes > self.largest:
                self.transport.close()

    def _await_head(self) -> None:
        self._have_head()
        self._bytes = 0
        self._timer = self.loop.call_later(self.patience_s, self.transport.close)

    def _have_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class AnnouncedServer(uvicorn.Server):
    """Says where it listens once it does: with port 0 nobody knew before."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind, then say so."""
        await super().startup(sockets)
        for server in self.servers if self.started else ():
            for bound in server.sockets:
                host, port = bound.getsockname()[:2]
                where = f"[{host}]" if ":" in host else host
                logger.info("Serving on http://{}:{}, documentation at /docs. Ctrl-C ends it.", where, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and say so."""
        logger.info("Ending: answers under way get {} s", _GRACE_S)
        await super().shutdown(sockets)
        logger.info("Ended")

    def run_to_the_end(self) -> None:
        """Serve until a signal or ``should_exit``. A start that failed is told by ``started``, not by ending the process."""
        with contextlib.suppress(SystemExit):
            self.run()


class ServiceProcess(AnnouncedServer):
    """The server of a process that does nothing else."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind; then have the garbage collector leave alone what stays until the end: modules, routes, models.

        A full collection would go through all of it, some 50 ms in which nobody is answered, and it comes every few hundred requests:
        each that waits for the disk keeps its objects alive for a while, which is what the collector takes for a growing heap.
        """
        await super().startup(sockets)
        if self.started:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_YOUNG)


def server_for(app: FastAPI, settings: ServiceSettings, kind: type[AnnouncedServer] = AnnouncedServer) -> AnnouncedServer:
    """A server that is not started yet. Addresses are taken from the socket alone: headers of proxies are not believed."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedHead,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return kind(config)


def run_service(settings: ServiceSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigError: curves, log or database cannot be opened as the settings say.
        Fatal: the server did not start; its reason is in the log.
    """
    configure_logging(LoggingSettings(level=settings.log_level, file=settings.log_file, json=True))
    forward_logs()
    app = create_app(settings)
    server = server_for(app, settings, ServiceProcess)
    server.run_to_the_end()
    failure = app.state.failure
    if isinstance(failure, AlphaPulseError):
        raise failure
    if not server.started:
        raise Fatal(f"the service did not start on {settings.host}:{settings.port}: see the log above")


def forward_logs() -> None:
    """Libraries of the service log where the project's other libraries do, with secrets masked."""
    known = logging.getLogger("aiohttp")
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = list(known.handlers), False
        library.setLevel(logging.WARNING)
