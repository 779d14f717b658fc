"""What happens to a bot whose websockets drop, fall silent, hang, babble, or tell things twice, late, in the wrong order or not at all."""

import asyncio
import contextlib
import itertools

import pytest

from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.fake_exchange.config import FakeConfig, LimitsConfig
from alpha_pulse.market.ccxt_feed import Pace
from tests.integration.live.staged import PATIENCE_S, staged

PRIVATE, MARKET = "user/*", "btcusdt@*"
UP, DOWN = (96_000, 97_000), (95_900, 94_800)


async def ends_well(rehearsal):
    """The invariants, at rest and after the stop."""
    await rehearsal.settled()
    assert rehearsal.worst()
    assert await rehearsal.broken() == []
    assert await rehearsal.stop() == 0
    assert rehearsal.left_behind() == []
    assert await rehearsal.broken() == []


async def test_what_filled_while_the_private_stream_was_down_is_booked_twice_in_a_row(tmp_path):
    async with staged(tmp_path) as rehearsal:
        for prices in (UP, DOWN):
            rehearsal.fake.hub.fault("disconnect", pattern=PRIVATE, seconds=2.0, abort=True)
            heard = rehearsal.heard
            assert await rehearsal.trade_through(*prices) >= 2
            assert rehearsal.heard == heard  # all of it came over REST
            await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
            assert await rehearsal.broken() == []
        await ends_well(rehearsal)


async def test_a_partial_fill_while_the_stream_is_down_counts_once_when_the_rest_comes_by_stream(tmp_path):
    async with staged(tmp_path) as rehearsal:
        order = min((o for o in rehearsal.ours() if o.is_open and o.side == "SELL"), key=lambda o: o.price)
        rehearsal.fake.hub.fault("disconnect", pattern=PRIVATE, seconds=1.0)
        rehearsal.fake.venue.fill_part(None, rehearsal.name, order.client_id, order.quantity / 2)
        await rehearsal.settled()
        await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
        await rehearsal.trade_through(order.price + 1)
        assert order.status == "FILLED"
        await ends_well(rehearsal)


async def test_a_bot_starts_and_stops_while_the_private_stream_cannot_be_had(tmp_path):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.hub.fault("disconnect", seconds=60.0)
        await rehearsal.start()
        await rehearsal.settled()
        assert await rehearsal.trade_through(95_100, 96_000) >= 1
        await ends_well(rehearsal)


async def test_a_private_stream_that_says_nothing_is_found_out_and_rebuilt(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern=PRIVATE)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        price = 95_000
        while not rehearsal.stream.rebuilt:  # pings are answered: only a trade that it does not tell betrays it
            assert asyncio.get_running_loop().time() < deadline
            price = 96_000 if price == 95_000 else 95_000
            await rehearsal.trade_through(price)
        rehearsal.fake.hub.clear_faults()
        await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
        heard, rebuilt = rehearsal.heard, rehearsal.stream.rebuilt
        await rehearsal.trade_through(*UP)
        assert rehearsal.heard > heard
        assert rebuilt <= 3  # told by trades, not by each of them
        await ends_well(rehearsal)


async def test_prices_are_polled_while_the_market_stream_says_nothing(tmp_path):
    async with staged(tmp_path) as rehearsal:
        opened = rehearsal.fake.hub.connections
        rehearsal.fake.hub.fault("silent", pattern=MARKET)
        assert await rehearsal.trade_through(96_000, 97_000) >= 1
        await rehearsal.until(lambda: rehearsal.live.broker.feed.latest(rehearsal.live.symbol).bid > 96_900, PATIENCE_S)
        await rehearsal.until(lambda: rehearsal.fake.hub.connections > opened, PATIENCE_S)  # and the stream is rebuilt
        await ends_well(rehearsal)


async def test_without_any_quote_nothing_unwinds_the_stop_stays_and_trading_goes_on_when_they_are_back(tmp_path):
    async with staged(tmp_path) as rehearsal:
        assert any(order.side == "BUY" for order in rehearsal.ours() if order.is_open)
        rehearsal.fake.hub.fault("silent", pattern=MARKET)
        rehearsal.fake.control.fault("GET /fapi/v1/depth", "status", times=None)
        await rehearsal.until(lambda: not any(o.side == "BUY" for o in rehearsal.ours() if o.is_open), PATIENCE_S)
        assert [order for order in rehearsal.our_stops() if order.is_open]
        await rehearsal.until(lambda: "quotes" in rehearsal.live._problem, PATIENCE_S)
        assert any("quotes" in reason for reason in await rehearsal.skipped())
        asked = len(rehearsal.asked("POST /fapi/v1/order"))
        await asyncio.sleep(0.5)
        assert len(rehearsal.asked("POST /fapi/v1/order")) == asked
        rehearsal.fake.control.clear()
        await rehearsal.until(lambda: any(o.side == "BUY" for o in rehearsal.ours() if o.is_open), PATIENCE_S)
        await ends_well(rehearsal)


async def test_sockets_that_hang_without_pongs_are_dialled_again(tmp_path):
    async with staged(tmp_path) as rehearsal:
        opened = rehearsal.fake.hub.connections
        rehearsal.fake.hub.fault("frozen", seconds=30.0)
        assert await rehearsal.trade_through(*UP) >= 2
        await rehearsal.until(lambda: rehearsal.fake.hub.connections >= opened + 2, PATIENCE_S)  # the private one and the market's
        rehearsal.fake.hub.clear_faults()
        await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
        heard = rehearsal.heard
        await rehearsal.trade_through(*DOWN)
        await rehearsal.until(lambda: rehearsal.heard > heard, PATIENCE_S)
        await ends_well(rehearsal)


def test_silence_is_noticed_within_thirty_seconds_by_default():
    assert Pace().silent < Pace().stale <= 30
    assert ExchangeSettings().stream_silent_s <= 30
    assert ExchangeSettings().reconcile_s <= 30


FRAMES = {
    "cut off": '{"e":"ORDER_TRADE_UPDATE","o":{"s":"BTCUSDT"',
    "a list": "[]",
    "null": "null",
    "a number": "17",
    "text": '"hello"',
    "an order that is nothing": '{"e":"ORDER_TRADE_UPDATE","o":null}',
    "an order without fields": '{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{}}',
    "an account without fields": '{"e":"ACCOUNT_UPDATE","a":null}',
    "a trade without numbers": '{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{"s":"BTCUSDT","c":"x","S":"SELL","o":"LIMIT","f":"GTC",'
    '"q":"NaN","p":"","x":"TRADE","X":"FILLED","i":1,"l":"NaN","z":"NaN","L":"NaN","t":5,"T":1,"n":"NaN","N":"USDT","m":true,"ps":"BOTH"}}',
    "a quote that is none": '{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"NaN","B":"NaN","a":"1e309","A":"NaN","T":1,"E":1}',
    "a quote of nothing": '{"e":"bookTicker","s":null}',
    "a deep nest": '{"a":' * 3000 + "1" + "}" * 3000,
    "no JSON at all": "<html>502 Bad Gateway</html>",
}


async def test_no_frame_however_malformed_keeps_a_fill_from_being_booked_or_brings_one_that_was_not(tmp_path):
    async with staged(tmp_path) as rehearsal:
        prices = [96_000, 95_000] * len(FRAMES)
        for frame, price in zip(FRAMES.values(), prices, strict=False):
            rehearsal.fake.hub.fault("malformed", text=frame)
            rehearsal.move(price)
        await rehearsal.settled()
        for price in prices[: len(FRAMES) // 2]:
            await rehearsal.trade_through(price)
        await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
        heard = rehearsal.heard
        assert await rehearsal.trade_through(97_000, 95_000) >= 2
        await rehearsal.until(lambda: rehearsal.heard > heard, PATIENCE_S)
        assert not rehearsal.ended
        await ends_well(rehearsal)


async def test_no_malformed_frame_ends_the_private_stream_for_good(tmp_path):
    async with staged(tmp_path) as rehearsal:
        books = rehearsal.live.broker._desk(rehearsal.live.symbol).books
        prices = itertools.cycle((96_000, 97_000, 98_000, 94_900, 93_900, 92_900))
        for name, frame in FRAMES.items():
            await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
            told = len(books.fills)
            rehearsal.fake.control.fault("GET /fapi/v1/userTrades", "status", times=None)  # the stream alone can tell
            rehearsal.fake.hub.fault("malformed", text=frame, pattern=PRIVATE)
            deadline = asyncio.get_running_loop().time() + PATIENCE_S
            while len(books.fills) == told:
                assert asyncio.get_running_loop().time() < deadline, name
                rehearsal.move(next(prices))
                with contextlib.suppress(TimeoutError):
                    await rehearsal.until(lambda seen=told: len(books.fills) > seen, 0.3)
            rehearsal.fake.control.clear()
            await rehearsal.settled()
        await ends_well(rehearsal)


async def test_a_listen_key_that_expires_is_noticed_and_replaced_twice_in_a_row(tmp_path):
    async with staged(tmp_path) as rehearsal:
        for prices in (UP, DOWN):
            keys = len(rehearsal.asked("POST /fapi/v1/listenKey"))
            rehearsal.fake.control.fault("POST /fapi/v1/listenKey", "status", times=2)  # and the next one is not to be had at once
            rehearsal.fake.hub.fault("expire_listen_key")
            assert await rehearsal.trade_through(*prices) >= 2
            await rehearsal.until(lambda seen=keys: len(rehearsal.asked("POST /fapi/v1/listenKey")) > seen, PATIENCE_S)
            await rehearsal.fake.hub.subscribed(PRIVATE, PATIENCE_S)
        heard = rehearsal.heard
        await rehearsal.trade_through(*UP)
        await rehearsal.until(lambda: rehearsal.heard > heard, PATIENCE_S)
        await ends_well(rehearsal)


async def test_listen_keys_that_live_for_two_seconds_only_cost_requests(tmp_path):
    fake = FakeConfig(limits=LimitsConfig(listen_key_minutes=2 / 60))
    async with staged(tmp_path, fake=fake) as rehearsal:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while rehearsal.stream.rebuilt < 2:
            assert asyncio.get_running_loop().time() < deadline
            await rehearsal.trade_through(96_000, 95_000)
        await ends_well(rehearsal)


@pytest.mark.parametrize(
    "faults",
    [
        [("duplicate", {"count": 1000})],
        [("reorder", {"count": 1000})],
        [("delay", {"seconds": 0.7})],
        [("drop", {"count": 1})],
        [("drop", {"count": 1000})],
        [("duplicate", {"count": 1000}), ("reorder", {"count": 1000}), ("delay", {"seconds": 0.4, "count": 3})],
    ],
    ids=["twice", "in the wrong order", "late", "one lost", "all lost", "twice, late and in the wrong order"],
)
async def test_events_that_come_wrong_are_booked_once_and_take_no_status_back(tmp_path, faults):
    async with staged(tmp_path) as rehearsal:
        for name, options in faults:
            rehearsal.fake.hub.fault(name, pattern=PRIVATE, **options)
        lives = record_lives(rehearsal)
        assert await rehearsal.trade_through(*UP, *DOWN, *UP) >= 4
        rehearsal.fake.hub.clear_faults()
        await rehearsal.settled()
        assert went_back(lives) == []
        await ends_well(rehearsal)


def record_lives(rehearsal):
    """Every status that the bot's broker shows of each order, as it changes."""
    seen = {}
    tracker = rehearsal.live.broker._desk(rehearsal.live.symbol).orders.tracker
    ordinary = tracker._put

    def put(order):
        seen.setdefault(order.request.client_order_id, []).append(order)
        return ordinary(order)

    tracker._put = put
    return seen


def went_back(lives):
    """Orders that lived again after their end, or whose fills shrank."""
    return [
        name
        for name, steps in lives.items()
        for before, after in itertools.pairwise(steps)
        if (before.ended and not after.ended) or after.filled < before.filled
    ]


async def test_no_order_book_is_kept_from_a_stream_and_a_spoiled_one_changes_nothing(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("gap", count=100)
        rehearsal.fake.hub.fault("checksum", count=100)
        assert not [name for name in rehearsal.fake.hub.subscriptions if "@depth" in name]
        for kind in ("truncate", "nulls", "nan", "html", "empty"):
            rehearsal.fake.control.fault("GET /fapi/v1/depth", kind, times=1)
            await rehearsal.until(lambda: not rehearsal.fake.faults.active, PATIENCE_S)
        assert await rehearsal.trade_through(*UP) >= 2
        await ends_well(rehearsal)
