"""The server as a process runs it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from fastapi import FastAPI
from loguru import logger

from alpha_pulse.service.server import AnnouncedServer, BoundedHead, ServiceProcess, server_for
from alpha_pulse.service.settings import load_service_settings
from tests.unit.service.log.decisions import until


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector as it was, afterwards."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("collector")
async def test_what_is_there_when_the_service_stands_is_never_searched_for_garbage():
    server = server_for(FastAPI(), load_service_settings({"HE_PORT": "0"}), ServiceProcess)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    stays, (young, *_) = gc.get_freeze_count(), gc.get_threshold()
    server.should_exit = True
    await serving
    assert stays > 10_000
    assert gc.isenabled()
    assert young > 0


class Impatient(BoundedHead):
    """Does not wait long for a head."""

    patience_s = 0.1


@asynccontextmanager
async def serving(http: type[BoundedHead] | None = None) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server without routes."""
    server = server_for(FastAPI(), load_service_settings({"HE_PORT": "0"}), AnnouncedServer)
    server.config.http = http or server.config.http
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


async def test_a_head_without_end_is_cut_off():
    sent = 0
    async with serving() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
        with suppress(ConnectionError):
            while sent < 2**24:
                sent += 2**12
                writer.write(b"x: " + b"y" * 2**12 + b"\r\n")
                await writer.drain()
        with suppress(ConnectionError):
            assert await reader.read() == b""
    assert sent < 2**24


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nhost"])
async def test_a_head_that_does_not_come_is_not_waited_for(said):
    async with serving(Impatient) as (reader, writer):
        writer.write(said)
        async with asyncio.timeout(2):
            assert await reader.read() == b""


async def test_a_connection_is_kept_for_further_requests_of_any_number():
    request = b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 30_000 + b"\r\n\r\n"
    async with serving() as (reader, writer):
        for _ in range(4):
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b"404" in answer
            await reader.readexactly(22)


async def test_the_end_is_logged():
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.record["message"]), level="INFO")
    async with serving():
        pass
    logger.remove(sink)
    assert [line.partition(":")[0] for line in lines[-2:]] == ["Ending", "Ended"]
