"""A venue with just enough behind it for ccxt.pro to stream from the hub: markets, books, listen keys, and no orders."""

import time
from contextlib import asynccontextmanager
from decimal import Decimal

from aiohttp import web

from alpha_pulse.fake_exchange.hub import Hub
from alpha_pulse.fake_exchange.streams import book_ticker, depth_diff
from alpha_pulse.market.ccxt_mapping import make_exchange

SYMBOL, PERPETUAL, SPOT_PAIR = "BTCUSDT", "BTC/USDT:USDT", "BTC/USDT"
KEY, SECRET, ACCOUNT = "key-1", "secret-1", "alice"
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MIN_NOTIONAL", "notional": "100"},
]
MARKET = {
    "symbol": SYMBOL,
    "pair": SYMBOL,
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "status": "TRADING",
    "filters": FILTERS,
    "orderTypes": ["LIMIT"],
}
SWAP = MARKET | {"contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000, "onboardDate": 1, "marginAsset": "USDT"}
COIN = MARKET | {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}


def now_ms():
    return time.time_ns() // 1_000_000  # noqa: TID251 - a venue outside has a clock of its own


class StubVenue:
    """Implements ``StreamDesk`` and the few REST paths that ccxt.pro needs beside its streams."""

    def __init__(self):
        self.hub = Hub(self, on_key_expired=self.forget)
        self.keys = {}  # listen key -> account
        self.made_keys = 0
        self.snapshots = {}  # stream -> frame
        self.depth_id = 100
        self.calls = []
        self.url = ""

    def account_of_listen_key(self, key):
        return self.keys.get(key)

    def now_ms(self):
        return now_ms()

    def market_snapshot(self, stream):
        return self.snapshots.get(stream)

    def spot_account_of(self, api_key):
        return ACCOUNT if api_key == KEY else None

    def forget(self, key):
        self.keys.pop(key, None)

    def quote(self, bid, ask=None, *, symbol=SYMBOL, spot=False):
        frame = book_ticker(
            event_ms=now_ms(),
            symbol=symbol,
            update_id=1,
            bid=Decimal(str(bid)),
            bid_quantity=2,
            ask=Decimal(str(ask or bid + 1)),
            ask_quantity=3,
            spot=spot,
        )
        self.hub.market(("spot/" if spot else "") + f"{symbol.lower()}@bookTicker", frame)

    def depth(self, bid, quantity=1, *, spot=False):
        first, previous = self.depth_id + 1, self.depth_id
        self.depth_id += 3
        frame = depth_diff(
            event_ms=now_ms(),
            symbol=SYMBOL,
            first_id=first,
            last_id=self.depth_id,
            previous_id=previous,
            bids=[(bid, quantity)],
            asks=[],
            spot=spot,
        )
        self.hub.market(("spot/" if spot else "") + "btcusdt@depth@100ms", frame)

    @asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await self.hub.close()
            await runner.cleanup()

    async def _handle(self, request):
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.hub.handle(request)
        self.calls.append(f"{request.method} {request.path}")
        return web.json_response(self._reply(request.method, request.path))

    def _reply(self, method, path):
        book = {"lastUpdateId": self.depth_id, "E": now_ms(), "T": now_ms(), "bids": [["50000", "1"]], "asks": [["50001", "2"]]}
        if path == "/fapi/v1/listenKey":
            return self._listen_key(method)
        return {
            "/fapi/v1/exchangeInfo": {"symbols": [SWAP, SWAP | {"symbol": "ETHUSDT", "pair": "ETHUSDT", "baseAsset": "ETH"}]},
            "/api/v3/exchangeInfo": {"symbols": [COIN]},
            "/fapi/v1/depth": book,
            "/api/v3/depth": book,
            "/fapi/v1/leverageBracket": [],
            "/fapi/v3/positionRisk": [],
        }[path]

    def _listen_key(self, method):
        if method == "POST" and ACCOUNT not in self.keys.values():
            self.made_keys += 1
            self.keys[f"listen-{self.made_keys}"] = ACCOUNT
        return {"listenKey": next((key for key, account in self.keys.items() if account == ACCOUNT), "")}


def make_pro(venue, exchange_id="binanceusdm"):
    """Unmodified ccxt.pro, pointed at the stub by its settings."""
    options = {"fetchMarkets": {"types": ["spot"]}} if exchange_id == "binance" else {}
    exchange = make_exchange(exchange_id, rest_url=f"http://{venue.url}", ws_url=f"ws://{venue.url}", options=options)
    exchange.apiKey, exchange.secret = KEY, SECRET
    exchange.enableRateLimit, exchange.timeout_on_exit = False, 10  # nobody to be gentle to
    return exchange
