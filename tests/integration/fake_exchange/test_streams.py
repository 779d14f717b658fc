import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from alpha_pulse.fake_exchange.streams import (
    BalanceChange,
    PositionChange,
    account_update,
    agg_trade,
    algo_update,
    execution_report,
    mark_price,
    mini_ticker,
    order_trade_update,
    outbound_account_position,
    trade,
)
from tests.integration.fake_exchange.stream_stub import ACCOUNT, KEY, PERPETUAL, SPOT_PAIR, SYMBOL, StubVenue, make_pro, now_ms
from tests.integration.market.loopback_exchange import eventually


@pytest.fixture
async def venue():
    async with StubVenue().running() as running:
        yield running


@pytest.fixture
async def make_client(venue):
    made = []

    def make(exchange_id="binanceusdm"):
        made.append(make_pro(venue, exchange_id))
        return made[-1]

    yield make
    for exchange in made:
        await exchange.close()


@pytest.fixture
async def futures(make_client):
    exchange = make_client()
    await exchange.load_markets()
    return exchange


@pytest.fixture
async def spot(make_client):
    exchange = make_client("binance")
    await exchange.load_markets()
    return exchange


async def answer_of(watching, venue, pattern, say):
    """What a watching call returns for what the venue says once somebody listens."""
    task = asyncio.create_task(watching)
    await venue.hub.subscribed(pattern)
    say()
    return await asyncio.wait_for(task, 5)


def order(execution="TRADE", status="PARTIALLY_FILLED", **changes):
    fields = {
        "event_ms": now_ms(),
        "symbol": SYMBOL,
        "client_order_id": "ap1",
        "order_id": 77,
        "side": "SELL",
        "order_type": "LIMIT",
        "execution": execution,
        "status": status,
        "quantity": Decimal("0.5"),
        "price": 50_000,
    }
    return order_trade_update(**fields | changes)


def fill(**changes):
    figures = {"last_quantity": Decimal("0.2"), "last_price": 50_000, "filled": Decimal("0.2"), "average_price": 50_000}
    return order(**figures | {"trade_id": 9, "fee": Decimal("2.5"), "fee_asset": "USDT", "maker": True} | changes)


async def test_futures_quotes_trades_and_mark_prices_reach_ccxt(venue, futures):
    quotes = await answer_of(futures.watch_bids_asks([PERPETUAL]), venue, "btcusdt@bookTicker", lambda: venue.quote(50_000, 50_001))
    assert (quotes[PERPETUAL]["bid"], quotes[PERPETUAL]["ask"], quotes[PERPETUAL]["askVolume"]) == (50_000, 50_001, 3)

    sale = trade(event_ms=now_ms(), symbol=SYMBOL, trade_id=5, price=50_000, quantity=Decimal("0.1"), buyer_is_maker=True)
    (seen,) = await answer_of(futures.watch_trades(PERPETUAL), venue, "btcusdt@trade", lambda: venue.hub.market("btcusdt@trade", sale))
    assert (seen["id"], seen["price"], seen["amount"], seen["side"]) == ("5", 50_000, 0.1, "sell")

    frame = mark_price(event_ms=now_ms(), symbol=SYMBOL, mark=49_999, index=49_998, funding_rate=Decimal("0.0001"), next_funding_ms=1)
    mark = await answer_of(
        futures.watch_mark_price(PERPETUAL), venue, "btcusdt@markPrice*", lambda: venue.hub.market("btcusdt@markPrice@1s", frame)
    )
    assert (mark["markPrice"], mark["indexPrice"], mark["info"]["r"]) == (49_999, 49_998, "0.0001")

    every = await answer_of(futures.watch_mark_prices(), venue, "!markPrice@arr*", lambda: venue.hub.market("btcusdt@markPrice@1s", frame))
    assert every[PERPETUAL]["markPrice"] == 49_999


async def test_aggregated_trades_and_tickers_reach_ccxt(venue, futures):
    sale = agg_trade(event_ms=now_ms(), symbol=SYMBOL, trade_id=5, price=50_000, quantity=1)
    (seen,) = await answer_of(
        futures.watch_trades(PERPETUAL, params={"name": "aggTrade"}),
        venue,
        "btcusdt@aggTrade",
        lambda: venue.hub.market("btcusdt@aggTrade", sale),
    )
    assert (seen["id"], seen["side"]) == ("5", "buy")
    frame = mini_ticker(
        event_ms=now_ms(), symbol=SYMBOL, last=50_010, opening=49_000, high=51_000, low=48_000, volume=10, quote_volume=500_000
    )
    day = await answer_of(
        futures.watch_ticker(PERPETUAL), venue, "btcusdt@miniTicker", lambda: venue.hub.market("btcusdt@miniTicker", frame)
    )
    assert (day["last"], day["bid"]) == (50_010, None)


async def test_a_futures_book_follows_its_snapshot_and_the_differences_after_it(venue, futures):
    def say():
        asyncio.get_running_loop().call_later(0.2, venue.depth, 49_999, 7)

    book = await answer_of(futures.watch_order_book(PERPETUAL), venue, "btcusdt@depth*", say)
    while len(book["bids"]) < 2:
        book = await asyncio.wait_for(futures.watch_order_book(PERPETUAL), 5)
    assert book["bids"] == [[50_000, 1], [49_999, 7]]
    assert book["nonce"] == venue.depth_id


async def test_an_order_its_fill_and_its_fee_reach_ccxt(venue, futures):
    (new,) = await answer_of(futures.watch_orders(), venue, "user/*", lambda: venue.hub.private(ACCOUNT, order("NEW", "NEW")))
    assert (new["id"], new["clientOrderId"], new["status"], new["amount"], new["side"]) == ("77", "ap1", "open", 0.5, "sell")
    orders, fills = asyncio.create_task(futures.watch_orders()), asyncio.create_task(futures.watch_my_trades())
    await asyncio.sleep(0)
    venue.hub.private(ACCOUNT, fill())
    (part,), (paid,) = await asyncio.gather(orders, fills)
    assert (part["filled"], part["remaining"], part["average"], part["fee"]["cost"]) == (0.2, 0.3, 50_000, 2.5)
    assert (paid["id"], paid["order"], paid["amount"], paid["price"], paid["takerOrMaker"]) == ("9", "77", 0.2, 50_000, "maker")
    assert paid["fee"] == {"cost": 2.5, "currency": "USDT"}
    assert venue.hub.connections == 1


async def test_wallet_and_position_changes_reach_ccxt(venue, futures):
    held = PositionChange("BTCUSDT", amount=Decimal("-0.5"), entry=50_000, unrealized=Decimal("1.5"))
    change = account_update(event_ms=now_ms(), balances=[BalanceChange("USDT", Decimal("997.5"))], positions=[held])
    balance = await answer_of(futures.watch_balance(), venue, "user/*", lambda: venue.hub.private(ACCOUNT, change))
    assert balance["USDT"]["total"] == 997.5

    futures.options["watchPositions"]["fetchPositionsSnapshot"] = False
    positions = await answer_of(futures.watch_positions(), venue, "user/*", lambda: venue.hub.private(ACCOUNT, change))
    (position,) = positions
    assert (position["symbol"], position["side"], position["contracts"], position["entryPrice"]) == (PERPETUAL, "short", 0.5, 50_000)


async def test_a_stop_that_fires_reaches_ccxt_as_an_order(venue, futures):
    fields = {"symbol": SYMBOL, "client_algo_id": "stop1", "algo_id": 5, "side": "SELL", "order_type": "STOP_MARKET"}
    fired = algo_update(event_ms=now_ms(), status="TRIGGERED", quantity=1, trigger_price=45_000, order_id=78, **fields)
    (stop,) = await answer_of(futures.watch_orders(), venue, "user/*", lambda: venue.hub.private(ACCOUNT, fired))
    assert (stop["id"], stop["clientOrderId"], stop["triggerPrice"], stop["info"]["ai"]) == ("5", "stop1", 45_000, "78")
    assert stop["info"]["X"] == "TRIGGERED"


async def test_spot_quotes_trades_and_books_reach_ccxt(venue, spot):
    quotes = await answer_of(spot.watch_bids_asks([SPOT_PAIR]), venue, "spot/btcusdt@bookTicker", lambda: venue.quote(49_000, spot=True))
    assert quotes[SPOT_PAIR]["bid"] == 49_000
    sale = trade(event_ms=now_ms(), symbol=SYMBOL, trade_id=5, price=49_000, quantity=1, spot=True)
    (seen,) = await answer_of(
        spot.watch_trades(SPOT_PAIR), venue, "spot/btcusdt@trade", lambda: venue.hub.market("spot/btcusdt@trade", sale)
    )
    assert (seen["symbol"], seen["side"]) == (SPOT_PAIR, "buy")
    book = await answer_of(
        spot.watch_order_book(SPOT_PAIR),
        venue,
        "spot/btcusdt@depth*",
        lambda: asyncio.get_running_loop().call_later(0.2, lambda: venue.depth(48_999, spot=True)),
    )
    assert book["bids"][0] == [50_000, 1]


async def test_spot_balances_and_orders_come_over_the_signed_user_stream(venue, spot):
    held = outbound_account_position(event_ms=now_ms(), balances=[("BTC", Decimal("1.5"), Decimal("0.5"))])
    balance = await answer_of(spot.watch_balance(), venue, "spot/user/*", lambda: venue.hub.private(ACCOUNT, held, "spot"))
    assert (balance["BTC"]["free"], balance["BTC"]["used"]) == (1.5, 0.5)
    filled = execution_report(
        event_ms=now_ms(),
        symbol=SYMBOL,
        client_order_id="s1",
        order_id=3,
        side="BUY",
        order_type="LIMIT",
        execution="TRADE",
        status="FILLED",
        quantity=1,
        price=49_000,
        last_quantity=1,
        last_price=49_000,
        last_quote=49_000,
        filled=1,
        filled_quote=49_000,
        fee=Decimal("0.001"),
        fee_asset="BNB",
        trade_id=4,
    )
    (order,) = await answer_of(spot.watch_orders(), venue, "spot/user/*", lambda: venue.hub.private(ACCOUNT, filled, "spot"))
    assert (order["symbol"], order["clientOrderId"], order["status"], order["filled"]) == (SPOT_PAIR, "s1", "closed", 1)


async def test_futures_and_spot_events_of_one_name_are_kept_apart(venue, futures, spot):
    waiting = asyncio.create_task(spot.watch_bids_asks([SPOT_PAIR]))
    quotes = await answer_of(futures.watch_bids_asks([PERPETUAL]), venue, "btcusdt@bookTicker", lambda: venue.quote(50_000))
    assert quotes[PERPETUAL]["bid"] == 50_000
    await venue.hub.subscribed("spot/btcusdt@bookTicker")
    venue.quote(49_000, spot=True)
    assert (await asyncio.wait_for(waiting, 5))[SPOT_PAIR]["bid"] == 49_000


async def receive(socket):
    return json.loads((await socket.receive(timeout=5)).data)


async def test_raw_clients_may_name_streams_in_the_address_and_get_wrapped_frames(venue):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"ws://{venue.url}/market/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker") as socket:
            await venue.hub.subscribed("ethusdt@bookTicker")
            venue.quote(1, symbol="ETHUSDT")
            frame = await receive(socket)
            assert (frame["stream"], frame["data"]["b"]) == ("ethusdt@bookTicker", "1")
        async with session.ws_connect(f"ws://{venue.url}/ws/btcusdt@bookTicker") as socket:
            await venue.hub.subscribed("spot/btcusdt@bookTicker")
            venue.quote(2, spot=True)
            assert (await receive(socket))["b"] == "2"


async def test_subscribing_sends_the_answer_then_the_snapshot_and_unsubscribing_ends_the_stream(venue):
    venue.snapshots["btcusdt@bookTicker"] = {"e": "bookTicker", "b": "7"}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{venue.url}/public/ws/3") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 4})
        assert await receive(socket) == {"result": None, "id": 4}
        assert (await receive(socket))["b"] == "7"
        assert venue.hub.subscriptions == ["btcusdt@bookTicker"]
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 5})
        assert (await receive(socket))["result"] == ["btcusdt@bookTicker"]
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 6})
        assert (await receive(socket))["id"] == 6
        venue.quote(8)
        await socket.send_json({"method": "NONSENSE", "id": 7})
        assert (await receive(socket))["error"]["code"] == 2
        await socket.send_str("{")
        assert (await receive(socket))["error"]["code"] == 3
        assert venue.hub.subscriptions == []


async def test_the_listen_key_may_stand_in_the_path_and_an_unknown_one_hears_nothing(venue):
    venue.keys["mine"] = ACCOUNT
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"ws://{venue.url}/ws/mine") as socket:
            await venue.hub.subscribed("user/alice")
            venue.hub.private(ACCOUNT, order("NEW", "NEW"))
            assert (await receive(socket))["o"]["c"] == "ap1"
        async with session.ws_connect(f"ws://{venue.url}/private/ws?listenKey=stranger") as socket:
            assert venue.hub.subscriptions == []
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            assert (await receive(socket))["result"] == []


async def test_the_websocket_api_answers_time_and_ping_and_refuses_the_rest(venue):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{venue.url}/ws-api/v3") as socket:
        await socket.send_json({"id": "1", "method": "time"})
        assert (await receive(socket))["result"]["serverTime"] > 0
        await socket.send_json({"id": "2", "method": "order.place", "params": {"apiKey": KEY}})
        refused = await receive(socket)
        assert (refused["id"], refused["status"]) == ("2", 400)
        stranger = {"apiKey": "nobody", "signature": "x"}
        await socket.send_json({"id": "3", "method": "userDataStream.subscribe.signature", "params": stranger})
        refused = await receive(socket)
        assert (refused["status"], refused["error"]["code"]) == (401, -2015)


async def test_a_client_that_does_not_read_is_cut_off_and_never_blocks_the_venue(venue):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{venue.url}/public/ws/btcusdt@bookTicker"):
        await venue.hub.subscribed("btcusdt@bookTicker")
        for price in range(10_001):  # without giving the writer a turn
            venue.quote(price + 1)
        await eventually(lambda: not venue.hub.open_sockets)
