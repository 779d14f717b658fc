"""The server as a process runs it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from alpha_pulse.service.server import ServiceProcess, server_for
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
