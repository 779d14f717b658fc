"""Several pairs on one feed: what is silent in one of them costs the others nothing, and a dead stream is found all the same."""

import asyncio
import contextlib
import itertools

import pytest
from loguru import logger

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.market.ccxt_feed import CcxtFeed, Pace
from alpha_pulse.runtime.clock import SystemClock
from tests.integration.market.loopback_exchange import eventually

NAMES = ("BTCUSDT", "ETHUSDT", "PEPEUSDT")
LISTED = FakeConfig(symbols=tuple(SymbolConfig(name=name) for name in NAMES))
QUICK = Pace(update=0.01, funding=60.0, spot=60.0, depth=60.0, silent=0.25, stale=5.0)


@pytest.fixture
async def venue():
    async with FakeExchange.running(LISTED) as running:
        yield running


@contextlib.asynccontextmanager
async def following(venue, *names):
    feed = CcxtFeed("binanceusdm", clock=SystemClock(), rest_url=venue.rest_url, ws_url=venue.ws_url, pace=QUICK, warm_up_hours=2)
    try:
        for name in names:
            await feed.open(hedge_pair(name))
        for name, stream in itertools.product(names, ("bookTicker", "*rade*", "markPrice*")):
            await venue.hub.subscribed(f"{hedge_pair(name).name.lower()}@{stream}")
        yield feed
    finally:
        await feed.close()


@contextlib.asynccontextmanager
async def moving(venue, name):
    """Its price moves many times a second."""

    async def move():
        for price in itertools.cycle((95_000, 95_010)):
            venue.venue.set_price(name, price)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(move())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def polled(venue):
    """How often a book was asked for: that is how quotes are polled."""
    return venue.door.counts["GET /fapi/v1/depth"]


@contextlib.contextmanager
def warnings():
    """What the feed warns of meanwhile."""
    said = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        yield said
    finally:
        logger.remove(sink)


async def test_a_pair_whose_quotes_rest_is_polled_and_the_streams_of_the_others_are_left_alone(venue):
    async with moving(venue, "BTCUSDT"), following(venue, "BTCUSDT", "ETHUSDT"):
        dialled, asked = venue.hub.connections, polled(venue)
        with warnings() as said:
            await eventually(lambda: polled(venue) >= asked + 4)
        assert venue.hub.connections == dialled
        assert said == []


async def test_a_pair_whose_quotes_move_unheard_gets_a_new_stream_though_another_is_heard(venue):
    async with moving(venue, "BTCUSDT"), following(venue, "BTCUSDT", "ETHUSDT") as feed:
        dialled = venue.hub.connections
        venue.hub.fault("silent", pattern="ethusdt@*")
        venue.venue.set_price("ETHUSDT", 3_500)
        await eventually(lambda: venue.hub.connections > dialled)
        venue.hub.clear_faults()
        venue.venue.set_price("ETHUSDT", 3_600)
        async with asyncio.timeout(5.0):
            while (await feed.next("ETHUSDT")).bid < 3_590:
                pass


async def test_pairs_that_are_silent_together_get_one_new_stream_together(venue):
    async with following(venue, *NAMES):
        asked = polled(venue)
        with warnings() as said:
            await eventually(lambda: polled(venue) >= asked + 12)
        assert 1 <= len(said) <= 6
        assert all("the stream is rebuilt" in text for text in said)
