"""The benchmark of the service asks what it says it asks."""

import asyncio

import pytest

from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.service import running_service
from benchmarks.service import BARE_ROUTE, HEDGE, HEDGE_ROUTE, computation_us, latencies_ms, percentile, throughput
from benchmarks.service_server import bare_app


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_the_request_announces_its_body():
    assert HEDGE_ROUTE.endswith(HEDGE)
    assert f"Content-Length: {len(HEDGE)}\r\n".encode() in HEDGE_ROUTE


def test_every_answer_is_counted_once():
    settings = load_service_settings({"HE_PORT": "0"})
    with running_service(bare_app(), settings) as url:
        port = int(url.rpartition(":")[2])
        assert asyncio.run(throughput(port, BARE_ROUTE, 0.1)) > 0.0
        assert len(asyncio.run(latencies_ms(port, BARE_ROUTE, 0.1))) == 50
        with pytest.raises(ExceptionGroup, match="unhandled"):
            asyncio.run(throughput(port, HEDGE_ROUTE, 0.1))


def test_the_computation_takes_time():
    assert computation_us(1) > 0.0
