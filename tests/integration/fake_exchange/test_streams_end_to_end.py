"""The two halves together: what ccxt does over REST comes back to it over the websockets."""

import asyncio

from alpha_pulse.fake_exchange import FakeConfig, FakeExchange
from alpha_pulse.market.ccxt_mapping import make_exchange

BTC = "BTC/USDT:USDT"


async def test_an_order_placed_over_rest_comes_back_over_the_websocket_when_the_price_reaches_it():
    async with FakeExchange.running(FakeConfig(), port=0) as fake:
        account = fake.venue.config.accounts[0]
        exchange = make_exchange("binanceusdm", rest_url=fake.rest_url, ws_url=fake.ws_url)
        exchange.apiKey, exchange.secret = account.key, account.secret
        try:
            fake.venue.set_price("BTCUSDT", 50_000)
            await exchange.load_markets()
            quotes = await asyncio.wait_for(exchange.watch_bids_asks([BTC]), 5)  # the snapshot
            assert quotes[BTC]["bid"] < 50_000 < quotes[BTC]["ask"]
            changed, filled = (asyncio.create_task(watch()) for watch in (exchange.watch_orders, exchange.watch_my_trades))
            await fake.hub.subscribed("user/*")
            sent = await exchange.create_order(BTC, "limit", "sell", 0.1, 50_100, {"newClientOrderId": "ap1", "postOnly": True})
            (order,) = await asyncio.wait_for(changed, 5)
            assert (order["id"], order["clientOrderId"], order["status"]) == (sent["id"], "ap1", "open")
            fake.venue.set_price("BTCUSDT", 50_200)
            (fill,) = await asyncio.wait_for(filled, 5)
            assert (fill["order"], fill["side"], fill["amount"], fill["takerOrMaker"]) == (sent["id"], "sell", 0.1, "maker")
        finally:
            await exchange.close()


async def test_after_an_expired_listen_key_the_venue_hands_out_a_new_one_that_works():
    async with FakeExchange.running(FakeConfig(), port=0) as fake:
        account = fake.venue.config.accounts[0]
        exchange = make_exchange("binanceusdm", rest_url=fake.rest_url, ws_url=fake.ws_url)
        exchange.apiKey, exchange.secret = account.key, account.secret
        try:
            lost = asyncio.create_task(exchange.watch_orders())
            await fake.hub.subscribed("user/*")
            fake.hub.fault("expire_listen_key")
            old = exchange.options["linear"].pop("listenKey")
            exchange.options["linear"]["lastAuthenticatedTime"] = (
                0  # what a watchdog has to do: ccxt would keep the dead key for 20 minutes
            )
            again = asyncio.create_task(exchange.watch_orders())
            async with asyncio.timeout(5):
                while fake.hub.connections < 2:  # noqa: ASYNC110 - the other side of a socket
                    await asyncio.sleep(0.01)
            assert exchange.options["linear"]["listenKey"] != old
            fake.venue.trade_outside(account.key, "BTCUSDT", "BUY", "0.1")
            (order,) = await asyncio.wait_for(again, 5)
            assert order["side"] == "buy"
            assert not lost.done()
            lost.cancel()
        finally:
            await exchange.close()
