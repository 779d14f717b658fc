"""What ccxt.pro does with its sockets. A stream watchdog is built on these facts: look again when the pinned ccxt changes."""

import asyncio

import pytest
from ccxt import NetworkError

from alpha_pulse.fake_exchange.streams import BAD_JSON, EMPTY_LIST, NAN_TICKER, order_trade_update
from tests.integration.fake_exchange.stream_stub import ACCOUNT, PERPETUAL, SYMBOL, StubVenue, make_pro, now_ms
from tests.integration.market.loopback_exchange import eventually


@pytest.fixture
async def venue():
    async with StubVenue().running() as running:
        yield running


@pytest.fixture
async def exchange(venue):
    made = make_pro(venue)
    made.options["watchPositions"]["fetchPositionsSnapshot"] = False
    await made.load_markets()
    yield made
    await made.close()


def tell(venue, number, execution="NEW", status="NEW", **changes):
    fields = {"symbol": SYMBOL, "client_order_id": f"ap{number}", "order_id": number, "side": "BUY", "order_type": "LIMIT"}
    fields |= {"execution": execution, "status": status, "quantity": 3, "price": 5}
    venue.hub.private(ACCOUNT, order_trade_update(event_ms=now_ms(), **fields | changes))


def tell_fill(venue, number, filled, **changes):
    tell(venue, number, "TRADE", "PARTIALLY_FILLED", last_quantity=1, last_price=5, filled=filled, trade_id=filled, **changes)


async def watching(venue, exchange):
    task = asyncio.create_task(exchange.watch_orders())
    await venue.hub.subscribed("user/*")
    return task


def ids(orders):
    return [order["id"] for order in orders]


async def test_events_between_two_calls_wait_for_the_next_event(venue, exchange):
    task = await watching(venue, exchange)
    tell(venue, 1)
    assert ids(await task) == ["1"]
    tell(venue, 2)
    await eventually(lambda: ids(exchange.orders) == ["1", "2"])
    task = asyncio.create_task(exchange.watch_orders())
    done, _ = await asyncio.wait({task}, timeout=0.1)
    assert not done
    tell(venue, 3)
    assert ids(await task) == ["2", "3"]


async def test_the_last_event_of_a_burst_waits_too(venue, exchange):
    task = await watching(venue, exchange)
    for number in (1, 2):
        tell(venue, number)
    assert ids(await task) == ["1"]
    await eventually(lambda: ids(exchange.orders) == ["1", "2"])


async def test_cancelling_one_waiter_cancels_every_other_on_the_same_account(venue, exchange):
    one = await watching(venue, exchange)
    other = asyncio.create_task(exchange.watch_orders())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait({one, other}, timeout=5)
    assert other.cancelled()
    assert venue.hub.open_sockets == 1  # the socket stays, and what comes is kept
    tell(venue, 1)
    await eventually(lambda: exchange.orders)


@pytest.mark.parametrize("fee", [{}, {"fee": 1, "fee_asset": "XYZ"}])
async def test_a_second_fill_without_a_fee_or_with_one_in_an_unknown_coin_ends_the_receive_loop(venue, exchange, fee):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    task = await watching(venue, exchange)
    tell(venue, 1)
    await task
    tell_fill(venue, 1, 1, **fee)
    tell_fill(venue, 1, 2, **fee)
    await eventually(lambda: failures)
    tell(venue, 2)
    task = asyncio.create_task(exchange.watch_orders())
    done, _ = await asyncio.wait({task}, timeout=0.1)
    assert not done
    task.cancel()


def watched(exchange, client_hook):
    """The same exchange, each of whose new websocket clients passes through ``client_hook``."""

    class Watched(type(exchange)):
        def client(self, url):
            known = url in (self.clients or {})
            client = super().client(url)
            if not known:
                client_hook(client)
            return client

    exchange.__class__ = Watched


@pytest.mark.parametrize("text", [BAD_JSON, EMPTY_LIST, NAN_TICKER])
async def test_a_guard_around_a_client_s_handle_message_notices_a_bad_frame_at_once(venue, exchange, text):
    def guard(client):
        handle = client.handle_message

        def guarded(message):
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001 - whatever ccxt's parsers raise
                client.on_error(NetworkError(f"unreadable frame: {error!r}"))

        client.handle_message = guarded

    watched(exchange, guard)
    task = asyncio.create_task(exchange.watch_bids_asks([PERPETUAL]))
    await venue.hub.subscribed("btcusdt@bookTicker")
    venue.hub.fault("malformed", pattern="btcusdt@bookTicker", text=text)
    with pytest.raises(NetworkError, match="unreadable frame"):
        await asyncio.wait_for(task, 0.5)
    await eventually(lambda: not venue.hub.open_sockets)
    task = asyncio.create_task(exchange.watch_bids_asks([PERPETUAL]))
    await venue.hub.subscribed("btcusdt@bookTicker")
    venue.quote(1)
    assert (await task)[PERPETUAL]["bid"] == 1


async def test_a_hook_on_a_client_s_resolve_sees_every_order_update_and_fill_at_once(venue, exchange):
    seen = []

    def tap(client):
        resolve = client.resolve

        def tapped(result, message_hash):
            if message_hash in {"orders", "myTrades"}:
                count = result.getLimit(None, None)
                seen.extend((message_hash, row["id"], row.get("filled")) for row in list(result)[-count:])
            return resolve(result, message_hash)

        client.resolve = tapped

    watched(exchange, tap)
    task = await watching(venue, exchange)
    tell(venue, 1)
    for filled in (1, 2):
        tell_fill(venue, 1, filled, fee=1, fee_asset="USDT")
    tell(venue, 2)
    await eventually(lambda: len(seen) == 6)
    first = [("orders", "1", 0.0), ("myTrades", "1", None), ("orders", "1", 1.0)]
    assert seen == [*first, ("myTrades", "2", None), ("orders", "1", 2.0), ("orders", "2", 0.0)]
    await task
