import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.streams import BAD_JSON, EMPTY_LIST, NAN_TICKER, order_trade_update, trade
from tests.integration.fake_exchange.stream_stub import ACCOUNT, PERPETUAL, SYMBOL, StubVenue, make_pro, now_ms
from tests.integration.market.loopback_exchange import eventually

QUOTES = "btcusdt@bookTicker"


@pytest.fixture
async def venue():
    async with StubVenue().running() as running:
        yield running


@pytest.fixture
async def futures(venue):
    exchange = make_pro(venue)
    exchange.streaming["keepAlive"] = 100
    exchange.options["watchPositions"]["fetchPositionsSnapshot"] = False
    await exchange.load_markets()
    yield exchange
    venue.hub.clear_faults()
    await exchange.close()


@asynccontextmanager
async def client(venue, path=f"/public/ws/{QUOTES}", pattern=QUOTES):
    """A raw websocket client; ``autoping=False`` shows the pongs."""
    async with aiohttp.ClientSession() as session:
        timeout = aiohttp.ClientWSTimeout(ws_close=0.3)
        async with session.ws_connect(f"ws://{venue.url}{path}", autoping=False, timeout=timeout) as socket:
            await venue.hub.subscribed(pattern)
            yield socket


async def bids(socket, count):
    return [float(json.loads((await socket.receive(timeout=5)).data)["b"]) for _ in range(count)]


async def hears_nothing(socket, seconds=0.15):
    with pytest.raises(TimeoutError):
        await socket.receive(timeout=seconds)


def told(venue, order_id=1):
    frame = order_trade_update(
        event_ms=now_ms(),
        symbol=SYMBOL,
        client_order_id=f"ap{order_id}",
        order_id=order_id,
        side="BUY",
        order_type="LIMIT",
        execution="NEW",
        status="NEW",
        quantity=1,
        price=5,
    )
    venue.hub.private(ACCOUNT, frame)


async def test_a_silent_stream_answers_pings_and_loses_what_happens(venue):
    async with client(venue) as socket:
        venue.hub.fault("silent")
        venue.quote(1)
        await socket.ping()
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PONG
        venue.hub.clear_faults()
        venue.quote(2)
        assert await bids(socket, 1) == [2]


async def test_one_stream_can_fall_silent_while_the_others_go_on(venue):
    async with client(venue, f"/public/ws/{QUOTES}/btcusdt@trade") as socket:
        venue.hub.fault("silent", pattern="*@bookTicker", seconds=0.1)
        venue.quote(1)
        venue.hub.market("btcusdt@trade", trade(event_ms=1, symbol=SYMBOL, trade_id=1, price=1, quantity=1))
        assert json.loads((await socket.receive(timeout=5)).data)["e"] == "trade"
        await eventually(lambda: not venue.hub.faults.active)
        venue.quote(2)
        assert await bids(socket, 1) == [2]


async def test_a_frozen_socket_answers_no_ping_and_stays_open(venue):
    async with client(venue) as socket:
        venue.hub.fault("frozen")
        venue.quote(1)
        await socket.ping()
        await hears_nothing(socket)
        assert not socket.closed
        assert venue.hub.open_sockets == 1
        venue.hub.clear_faults("frozen")
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PONG
        venue.quote(2)
        assert await bids(socket, 1) == [2]


async def test_the_account_s_stream_can_freeze_alone(venue, futures):
    waiting = asyncio.create_task(futures.watch_orders())
    await venue.hub.subscribed("user/alice")
    venue.hub.fault("frozen", account=ACCOUNT)
    async with client(venue) as socket:
        told(venue)
        venue.quote(3)
        assert await bids(socket, 1) == [3]
        with pytest.raises(Exception, match="ping-pong keepalive missing"):
            await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("abort", [False, True])
async def test_a_disconnect_closes_the_sockets_and_refuses_new_ones_for_a_while(venue, futures, abort):
    waiting = asyncio.create_task(futures.watch_orders())
    await venue.hub.subscribed("user/*")
    venue.hub.fault("disconnect", seconds=0.3, abort=abort)
    with pytest.raises(Exception, match="closing code"):
        await asyncio.wait_for(waiting, 5)
    told(venue)  # lost: nobody is connected
    with pytest.raises(Exception, match="503"):
        await asyncio.wait_for(futures.watch_orders(), 5)
    await eventually(lambda: not venue.hub.faults.active)
    waiting = asyncio.create_task(futures.watch_orders())
    await venue.hub.subscribed("user/*")
    told(venue, 2)
    assert [order["id"] for order in await asyncio.wait_for(waiting, 5)] == ["2"]


async def test_the_next_events_are_dropped_doubled_and_swapped(venue):
    async with client(venue) as socket:
        venue.hub.fault("drop", count=2)
        for price in (1, 2, 3):
            venue.quote(price)
        assert await bids(socket, 1) == [3]
        venue.hub.fault("duplicate", pattern=QUOTES)
        venue.quote(4)
        venue.quote(5)
        assert await bids(socket, 3) == [4, 4, 5]
        venue.hub.fault("reorder")
        for price in (6, 7, 8):
            venue.quote(price)
        assert await bids(socket, 3) == [7, 6, 8]


async def test_an_event_held_for_a_swap_is_delivered_when_the_fault_is_cleared(venue):
    async with client(venue) as socket:
        venue.hub.fault("reorder")
        venue.quote(1)
        venue.hub.clear_faults()
        assert await bids(socket, 1) == [1]


async def test_delayed_events_come_late_and_in_order(venue):
    async with client(venue) as socket:
        venue.hub.fault("delay", seconds=0.2, count=1)
        venue.quote(1)
        venue.quote(2)
        await hears_nothing(socket, 0.1)
        assert await bids(socket, 2) == [1, 2]


@pytest.mark.parametrize("text", [BAD_JSON, EMPTY_LIST, NAN_TICKER])
async def test_a_malformed_frame_ends_ccxt_s_receive_loop(venue, futures, text):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    waiting = asyncio.create_task(futures.watch_bids_asks([PERPETUAL]))
    await venue.hub.subscribed(QUOTES)
    venue.hub.fault("malformed", pattern=QUOTES, text=text)
    await eventually(lambda: failures)
    venue.quote(1)
    with pytest.raises(Exception, match="ping-pong keepalive missing"):
        await asyncio.wait_for(waiting, 5)


async def test_after_its_listen_key_expired_a_stream_is_told_so_and_hears_nothing_more(venue, futures):
    waiting = asyncio.create_task(futures.watch_orders())
    await venue.hub.subscribed("user/*")
    venue.hub.fault("expire_listen_key", account=ACCOUNT)
    told(venue)
    await asyncio.wait({waiting}, timeout=0.5)
    assert not waiting.done()  # ccxt ignores it, and its pings are answered
    waiting.cancel()
    async with client(venue, "/private/ws?listenKey=listen-1&streams=btcusdt@trade", "btcusdt@trade") as socket:
        told(venue)
        await hears_nothing(socket)  # the old key opens nothing
    assert venue.account_of_listen_key("listen-1") is None
    assert venue._listen_key("POST") == {"listenKey": "listen-2"}


async def test_a_raw_client_sees_the_expiry_of_its_listen_key(venue):
    venue.keys["mine"] = ACCOUNT
    async with client(venue, "/private/ws?listenKey=mine", "user/alice") as socket:
        venue.hub.fault("expire_listen_key")
        last = json.loads((await socket.receive(timeout=5)).data)
        assert (last["e"], last["listenKey"]) == ("listenKeyExpired", "mine")


async def test_the_spot_user_stream_is_terminated_with_a_frame(venue):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{venue.url}/ws-api/v3") as socket:
        signed = {"apiKey": "key-1", "signature": "s", "timestamp": 1}
        await socket.send_json({"id": "1", "method": "userDataStream.subscribe.signature", "params": signed})
        assert json.loads((await socket.receive(timeout=5)).data)["result"] == {"subscriptionId": 0}
        venue.hub.fault("terminate_user_stream")
        last = json.loads((await socket.receive(timeout=5)).data)
        assert (last["subscriptionId"], last["event"]["e"]) == (0, "eventStreamTerminated")
        assert venue.hub.subscriptions == []


@pytest.mark.parametrize("fault", ["gap", "checksum"])
async def test_a_break_in_the_book_s_sequence_is_noticed_by_ccxt_and_mended_by_watching_again(venue, futures, fault):
    waiting = asyncio.create_task(futures.watch_order_book(PERPETUAL))
    await venue.hub.subscribed("btcusdt@depth*")
    await asyncio.wait_for(waiting, 5)
    venue.depth(49_999)
    await asyncio.wait_for(futures.watch_order_book(PERPETUAL), 5)
    venue.hub.fault(fault)
    waiting = asyncio.create_task(futures.watch_order_book(PERPETUAL))
    await asyncio.sleep(0)
    venue.depth(49_998)
    venue.depth(49_997)
    with pytest.raises(Exception, match=r"(?i)out of sync|checksum"):
        await asyncio.wait_for(waiting, 5)
    book = await asyncio.wait_for(futures.watch_order_book(PERPETUAL), 5)
    assert book["nonce"] == venue.depth_id


async def test_an_unknown_fault_is_refused_with_the_names_of_the_known_ones(venue):
    with pytest.raises(ConfigError, match="silent"):
        venue.hub.fault("silense")


async def test_waiting_for_a_subscription_that_never_comes_ends(venue):
    with pytest.raises(TimeoutError):
        await venue.hub.subscribed("nothing", timeout=0.01)
