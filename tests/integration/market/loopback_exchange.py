"""A Binance-like exchange on loopback: the public endpoints that a feed reads, over real HTTP and websockets, with faults on demand."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web

HOUR_MS = 3_600_000


def now_ms():
    return time.time_ns() // 1_000_000  # noqa: TID251 - an exchange outside has a clock of its own


def _market(symbol, base, quote, **extra):
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ]
    names = {"symbol": symbol, "pair": symbol, "baseAsset": base, "quoteAsset": quote, "status": "TRADING", "filters": filters}
    return (
        names | {"baseAssetPrecision": 8, "quotePrecision": 8, "pricePrecision": 2, "quantityPrecision": 3, "orderTypes": ["LIMIT"]} | extra
    )


class LoopbackExchange:
    """Its numbers are plain attributes; a fault replaces the reply of one endpoint."""

    def __init__(self):
        self.bid, self.ask, self.last, self.spot = 50_000.0, 50_000.1, 50_000.1, 49_990.0
        self.mark, self.index, self.rate = 49_999.5, 49_991.0, 0.0001
        self.next_funding_ms = (now_ms() // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
        self.faults = {}  # path -> (status, body, content type)
        self.calls = []
        self.sockets = {}  # socket -> names of the streams that it subscribed
        self.connections = 0  # websockets accepted so far
        self.silent = False  # accept sockets and subscriptions, send nothing
        self.status = "TRADING"
        self.rest_url = self.ws_url = ""

    @asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.rest_url, self.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        try:
            yield self
        finally:
            for socket in list(self.sockets):
                await socket.close()
            await runner.cleanup()

    def html(self, path):
        """An HTML page with status 200, as proxies and load balancers send."""
        self.faults[path] = (200, "<html><body>down for maintenance</body></html>", "text/html")

    def reply(self, path, value):
        self.faults[path] = (200, json.dumps(value), "application/json")

    async def quote(self, bid=None, ask=None):
        """Send the best bid and ask to every socket."""
        frame = {"e": "bookTicker", "u": now_ms(), "s": "BTCUSDT", "E": now_ms(), "T": now_ms()}
        await self.send(json.dumps(frame | {"b": str(bid or self.bid), "B": "1", "a": str(ask or self.ask), "A": "2"}), "bookTicker")

    async def trade(self, price, amount):
        frame = {"e": "trade", "E": now_ms(), "T": now_ms(), "s": "BTCUSDT", "t": now_ms(), "p": str(price), "q": str(amount), "m": True}
        await self.send(json.dumps(frame | {"X": "MARKET"}), "rade")

    async def send(self, text, stream=""):
        """Send to every socket that subscribed a stream whose name contains ``stream``."""
        for socket, streams in self.sockets.items():
            if not socket.closed and not self.silent and any(stream in name for name in streams):
                await socket.send_str(text)

    def subscribed(self, stream):
        return any(stream in name for streams in self.sockets.values() for name in streams)

    async def _handle(self, request):
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        path = request.path
        self.calls.append(path)
        if path in self.faults:
            status, body, kind = self.faults[path]
            return web.Response(status=status, text=body, content_type=kind)
        value = self._value(path, request.query)
        if value is None:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        return web.json_response(value)

    async def _stream(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self.sockets[socket] = set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                self.sockets[socket].update(asked.get("params", ()))
                await socket.send_str(json.dumps({"result": None, "id": asked.get("id")}))
        return socket

    def _value(self, path, query):
        symbol = query.get("symbol", "BTCUSDT")
        if symbol != "BTCUSDT":
            return None
        perpetual = {
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1,
            "marginAsset": "USDT",
            "status": self.status,
        }
        values = {
            "/fapi/v1/exchangeInfo": lambda: {"symbols": [_market("BTCUSDT", "BTC", "USDT", **perpetual)]},
            "/api/v3/exchangeInfo": lambda: {
                "symbols": [_market("BTCUSDT", "BTC", "USDT", isSpotTradingAllowed=True, permissions=["SPOT"])]
            },
            "/fapi/v1/depth": self._depth,
            "/fapi/v1/ticker/24hr": lambda: self._ticker(self.last),
            "/api/v3/ticker/24hr": lambda: self._ticker(self.spot),
            "/fapi/v1/premiumIndex": self._premium,
            "/fapi/v1/fundingInfo": lambda: [{"symbol": "BTCUSDT", "fundingIntervalHours": 4}],
            "/fapi/v1/klines": lambda: self._candles(query),
        }
        make = values.get(path)
        return None if make is None else make()

    def _depth(self):
        rows = range(3)
        bids = [[str(self.bid * (1 - 0.006 * i)), "1.0"] for i in rows]
        asks = [[str(self.ask * (1 + 0.006 * i)), "2.0"] for i in rows]
        return {"lastUpdateId": 1, "E": now_ms(), "T": now_ms(), "bids": bids, "asks": asks}

    def _ticker(self, last):
        return {
            "symbol": "BTCUSDT",
            "lastPrice": str(last),
            "openPrice": str(last),
            "closeTime": now_ms(),
            "volume": "10",
            "quoteVolume": "10",
        }

    def _premium(self):
        prices = {"markPrice": str(self.mark), "indexPrice": str(self.index), "lastFundingRate": str(self.rate)}
        return {"symbol": "BTCUSDT", "nextFundingTime": self.next_funding_ms, "time": now_ms()} | prices

    def _candles(self, query):
        step = {"1h": HOUR_MS, "1m": 60_000}[query["interval"]]
        limit = int(query.get("limit", 500))
        last = now_ms() // step * step
        first = int(query["startTime"]) if "startTime" in query else last - (limit - 1) * step
        opens = range(first, min(first + limit * step, last + 1), step)
        return [[at, "50000", "50100", "49900", "50050", "3", at + step - 1, "0", 1, "0", "0", "0"] for at in opens]


async def eventually(check, seconds=5.0):
    """Wait until ``check()`` is true."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - the other side is another program as far as the test knows
            await asyncio.sleep(0.01)
