"""The benchmark of the service asks what it says it asks."""

import asyncio

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.service import running_service
from benchmarks.service import BARE_ROUTE, HEDGE, HEDGE_ROUTE, by_turns, computation_us, percentile
from benchmarks.service_client import latencies_ms, throughput
from benchmarks.service_server import bare_app


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_the_request_announces_its_body():
    assert HEDGE_ROUTE.endswith(HEDGE)
    assert f"Content-Length: {len(HEDGE)}\r\n".encode() in HEDGE_ROUTE


def counting_app() -> FastAPI:
    """The bare route, which counts, and whose answer takes many packets."""
    app = bare_app()
    app.state.asked = 0

    async def long() -> Response:
        app.state.asked += 1
        return Response(b"x" * 1_000_000)

    app.add_api_route("/long", long)
    return app


def test_every_answer_is_counted_once_and_when_it_is_whole():
    app = counting_app()
    with running_service(app, load_service_settings({"HE_PORT": "0"})) as url:
        port = int(url.rpartition(":")[2])
        request = BARE_ROUTE.replace(b"/constant", b"/long")
        assert asyncio.run(throughput(port, request, 0.1, 3)) > 0.0
        asked = app.state.asked
        assert len(asyncio.run(latencies_ms(port, request, 0.1, 3, 200.0))) == 20
        assert app.state.asked == asked + 20


def test_anything_but_200_ends_the_measurement():
    with running_service(bare_app(), load_service_settings({"HE_PORT": "0"})) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(RuntimeError, match=r"the server answered HTTP/1\.1 404"):
            asyncio.run(throughput(port, HEDGE_ROUTE, 0.1, 2))
        with pytest.raises(RuntimeError, match=r"the server answered HTTP/1\.1 404"):
            asyncio.run(latencies_ms(port, HEDGE_ROUTE, 0.1, 2, 200.0))


def test_each_round_gives_one_value_of_each_server():
    with running_service(bare_app(), load_service_settings({"HE_PORT": "0"})) as url:
        port = int(url.rpartition(":")[2])
        measured = asyncio.run(by_turns({"one": (port, BARE_ROUTE), "other": (port, BARE_ROUTE)}, 0.05, 2))
    assert {name: {kind: len(values) for kind, values in kinds.items()} for name, kinds in measured.items()} == {
        name: {"per_second": 2, "median_ms": 2, "p99_ms": 2} for name in ("one", "other")
    }


def test_the_computation_takes_time():
    assert computation_us(1) > 0.0
