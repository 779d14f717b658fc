"""The service beside an exchange, over real sockets: it has depths from its order books, and goes on without them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.service import FixedScores
from tests.integration.service.conftest import serving

LISTED = FakeConfig(symbols=(SymbolConfig(name="BTCUSDT", depth=2_000_000.0), SymbolConfig(name="ETHUSDC", depth=500_000.0)))
FEED = {"HE_DEPTH_FEED": "binanceusdm", "HE_ASSETS": "BTC,ETH", "HE_DEPTH_SYMBOLS": "ETH=ETHUSDC"}


@pytest.fixture
async def venue():
    async with FakeExchange.running(LISTED) as running:
        yield running


@asynccontextmanager
async def beside(venue, **given):
    """A service that starts and ends in a thread: the exchange, to which it says goodbye, needs this one's loop."""
    urls = {"HE_DEPTH_REST_URL": venue.rest_url, "HE_DEPTH_WS_URL": venue.ws_url}
    service = serving({**FEED, **urls, **given.pop("variables", {})}, **given)
    served = await asyncio.to_thread(service.__enter__)
    try:
        yield served
    finally:
        await asyncio.to_thread(service.__exit__, None, None, None)


async def answer(served, asset="BTC"):
    """The answer of ``/hedge`` without a score or a depth of its own. In a thread: the exchange needs this one's loop."""
    body = {"asset": asset, "amount_usd": 1000.0, "override_score": 0.7}
    found = await asyncio.to_thread(served.client.post, "/hedge", json=body)
    assert found.status_code == 200, found.text
    return found.json()


async def check(served):
    found = await asyncio.to_thread(served.client.get, "/readyz")
    assert found.status_code == 200
    return found.json()["checks"]["depth_feed"]


async def until(ask, wanted, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not wanted(found := await ask()):  # noqa: ASYNC110 - the service is another program as far as the test knows
            await asyncio.sleep(0.02)
    return found


async def test_the_depth_comes_from_the_exchanges_books_and_is_named(venue):
    async with beside(venue) as served:
        assert (await until(lambda: check(served), lambda found: found["status"] == "ok"))["detail"].startswith("binanceusdm")
        bitcoin, ether = await answer(served), await answer(served, "ETH")
        assert [bitcoin["depth_source"], ether["depth_source"]] == ["feed", "feed"]
        kept = [decision.contributions["depth"]["usd"] for decision in served.log.decisions]
        assert kept == [pytest.approx(2_000_000.0, rel=0.05), pytest.approx(500_000.0, rel=0.05)]


async def test_redis_comes_before_the_feed(venue):
    async with beside(venue, scores=FixedScores(depths={"BTC": 3e6})) as served:
        await until(lambda: check(served), lambda found: found["status"] == "ok")
        assert [(await answer(served, asset))["depth_source"] for asset in ("BTC", "ETH")] == ["redis", "feed"]


async def test_an_exchange_that_goes_away_leaves_the_next_source_and_is_taken_again_when_it_is_back(venue):
    async with beside(venue, variables={"HE_STALE_DEPTH_S": "1.5"}) as served:
        await until(lambda: check(served), lambda found: found["status"] == "ok")
        venue.control.unreachable(4.0)
        found = await until(lambda: answer(served), lambda found: found["depth_source"] == "default")
        assert found["hedge_pct"] > 0.0
        away = await check(served)
        assert away["status"] == "degraded"
        assert "BTC" in away["detail"]
        await until(lambda: answer(served), lambda found: found["depth_source"] == "feed", seconds=30.0)


async def test_an_exchange_that_is_not_there_keeps_no_answer_from_being_given(venue):
    with serving({**FEED, "HE_DEPTH_REST_URL": "http://127.0.0.1:1", "HE_DEPTH_WS_URL": "ws://127.0.0.1:1"}) as served:
        assert (await answer(served))["depth_source"] == "default"
        assert (await check(served))["status"] == "degraded"


def test_without_the_setting_it_is_off():
    with serving() as served:
        assert served.client.get("/readyz").json()["checks"]["depth_feed"] == {"status": "off", "detail": "HE_DEPTH_FEED is not set"}


def test_an_exchange_that_there_is_not_is_refused_by_the_variables_name():
    with pytest.raises(ConfigError, match="binanceusdm") as caught:
        create_app(load_service_settings({"HE_DEPTH_FEED": "binancusdm"}))
    assert caught.value.field == "HE_DEPTH_FEED"
