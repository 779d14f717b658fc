"""Depth of order books over real sockets, with unmodified ccxt: streamed, silent, gone, back, and full of gaps."""

import asyncio
import contextlib
import itertools
from dataclasses import replace

import pytest

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.market.books import BookPace, CcxtBooks
from alpha_pulse.runtime.clock import SystemClock
from tests.integration.market.loopback_exchange import eventually

BTC, PEPE, LTC = hedge_pair("BTCUSDT"), hedge_pair("PEPEUSDT"), hedge_pair("LTCUSDT")
QUICK = BookPace(update=0.02, poll=0.05, silent=0.3, longest=0.3)
LISTED = FakeConfig(symbols=(SymbolConfig(name="BTCUSDT", depth=2_000_000.0), SymbolConfig(name="PEPEUSDT", depth=500_000.0)))


@pytest.fixture
async def venue():
    async with FakeExchange.running(LISTED) as running:
        yield running


@contextlib.asynccontextmanager
async def following(venue, *pairs, pace=QUICK):
    books = CcxtBooks("binanceusdm", pairs, clock=SystemClock(), rest_url=venue.rest_url, ws_url=venue.ws_url, pace=pace)
    task = asyncio.create_task(books.run())
    try:
        yield books
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def seen(books, pair, after=0):
    found = books.depth(pair)
    return found is not None and found.ts_ms > after and pair.name not in books.problems


async def test_the_depth_of_each_book_is_what_the_exchange_shows_within_one_percent(venue):
    async with following(venue, BTC, PEPE) as books:
        assert books.depth(BTC) is None
        assert set(books.problems) == {BTC.name, PEPE.name}
        await eventually(lambda: seen(books, BTC) and seen(books, PEPE))
        assert books.depth(BTC).bids == pytest.approx(2_000_000.0, rel=0.05)
        assert books.depth(BTC).asks == pytest.approx(2_000_000.0, rel=0.05)
        assert books.depth(PEPE).bids == pytest.approx(500_000.0, rel=0.05)
        assert books.problems == {}


async def moving(venue):
    """A price that never rests, as a market's: ccxt takes a stream's first changes to get into step with the book."""
    for price in itertools.cycle(range(90_000, 90_100)):
        venue.venue.set_price("BTCUSDT", str(price))
        await asyncio.sleep(0.02)


async def test_a_book_that_changes_is_followed_by_its_stream_alone(venue):
    market = asyncio.create_task(moving(venue))
    try:
        async with following(venue, BTC, pace=replace(QUICK, silent=60.0)) as books:
            for _ in range(5):
                last = books.depth(BTC).ts_ms if books.depth(BTC) else 0
                await eventually(lambda after=last: seen(books, BTC, after))
            assert books.depth(BTC).bids == pytest.approx(2_000_000.0, rel=0.05)
            assert venue.hub.connections == 1
    finally:
        market.cancel()


async def test_where_every_book_is_silent_they_are_asked_for_and_the_stream_is_rebuilt(venue):
    async with following(venue, BTC) as books:
        await eventually(lambda: seen(books, BTC))
        last = books.depth(BTC).ts_ms
        await eventually(lambda: seen(books, BTC, last + 300))
        await eventually(lambda: venue.hub.connections > 2)


async def test_a_rebuilt_stream_ends_the_following_of_no_other_book(venue):
    async with following(venue, BTC, PEPE) as books:
        for _ in range(3):
            before = venue.hub.connections
            await eventually(lambda before=before: venue.hub.connections > before)
            last = max(books.depth(pair).ts_ms if books.depth(pair) else 0 for pair in (BTC, PEPE))
            await eventually(lambda last=last: seen(books, BTC, last) and seen(books, PEPE, last))


async def test_an_exchange_that_goes_away_is_a_problem_and_its_return_is_noticed(venue):
    async with following(venue, BTC) as books:
        await eventually(lambda: seen(books, BTC))
        venue.control.unreachable(1.0)
        await eventually(lambda: BTC.name in books.problems)
        last = books.depth(BTC).ts_ms
        await eventually(lambda: seen(books, BTC, last), seconds=15.0)


async def test_lost_frames_are_noticed_and_mended(venue):
    async with following(venue, BTC) as books:
        await eventually(lambda: seen(books, BTC))
        venue.hub.fault("gap", count=1)
        for price in range(90_000, 90_020):
            venue.venue.set_price("BTCUSDT", str(price))
        last = books.depth(BTC).ts_ms
        await eventually(lambda: seen(books, BTC, last), seconds=15.0)
        assert books.depth(BTC).bids == pytest.approx(2_000_000.0, rel=0.05)


async def test_a_pair_that_is_not_listed_is_a_problem_and_the_others_go_on(venue):
    async with following(venue, BTC, LTC) as books:
        await eventually(lambda: seen(books, BTC))
        await eventually(lambda: "LTC" in books.problems[LTC.name])
        assert books.depth(LTC) is None


async def test_an_exchange_that_was_never_there_is_found_when_it_comes():
    venue = FakeExchange(LISTED, SystemClock())
    await venue.start(0)
    port = int(venue.rest_url.rpartition(":")[2])
    await venue.stop()
    async with following(venue, BTC) as books:
        await eventually(lambda: "not read yet" not in books.problems[BTC.name])
        again = FakeExchange(LISTED, SystemClock())
        await again.start(port)
        try:
            await eventually(lambda: seen(books, BTC), seconds=15.0)
        finally:
            await again.stop()


def test_an_exchange_that_ccxt_does_not_know_is_refused():
    with pytest.raises(ConfigError, match="binanceusdm"):
        CcxtBooks("binancusdm", [BTC], clock=SystemClock())
