"""The public endpoints of USD-M futures: time, rules, prices, candles, funding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from alpha_pulse.fake_exchange.calls import PUBLIC, Call, Table, window
from alpha_pulse.fake_exchange.entry import text_of
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.replies import Json, symbol_json
from alpha_pulse.fake_exchange.stream_text import text

table = Table()
_FAR: Final = 1 << 62
_UNITS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DAY_MS: Final = 86_400_000


def the_market(call: Call) -> SymbolMarket:
    """The symbol of a call. Raises ``Refusal``."""
    market = call.venue.markets.get(text_of(call.params, "symbol"))
    if market is None:
        raise Refusal(-1121)
    return market


def the_markets(call: Call) -> list[SymbolMarket]:
    """The symbol of a call, or all where it names none."""
    return [the_market(call)] if call.params.get("symbol") else list(call.venue.markets.values())


def one_or_all(call: Call, rows: list[Json]) -> Any:
    """A row where a symbol was asked for, else all rows."""
    return rows[0] if call.params.get("symbol") else rows


def interval_ms(call: Call) -> int:
    """The length of the candles that are asked for. Raises ``Refusal``."""
    name = text_of(call.params, "interval")
    if name[-1] not in _UNITS or not name[:-1].isdigit():
        raise Refusal(-1120, "Invalid interval.")
    return int(name[:-1]) * _UNITS[name[-1]]


@table.add("GET /fapi/v1/ping", "GET /api/v3/ping", door=PUBLIC)
def _ping(_: Call) -> Any:
    return {}


@table.add("GET /fapi/v1/time", "GET /api/v3/time", door=PUBLIC)
def _time(call: Call) -> Any:
    return {"serverTime": call.venue.now_ms()}


@table.add("GET /fapi/v1/exchangeInfo", door=PUBLIC)
def _exchange_info(call: Call) -> Any:
    limits = call.venue.config.limits
    return {
        "timezone": "UTC",
        "serverTime": call.venue.now_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limits.weight_per_minute},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": limits.orders_per_minute},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in ("USDT", "USDC", "BNB")],
        "symbols": [symbol_json(market) for market in call.venue.markets.values()],
    }


@table.add("GET /fapi/v1/depth", door=PUBLIC, weight=5)
def _depth(call: Call) -> Any:
    market = the_market(call)
    bids, asks = market.book()
    most, now = call.number("limit", 500), call.venue.now_ms()
    rows = {name: [[text(p), text(q)] for p, q in side[:most]] for name, side in (("bids", bids), ("asks", asks))}
    return {"lastUpdateId": market.update_id, "E": now, "T": now} | rows


@table.add("GET /fapi/v1/klines", "GET /fapi/v1/continuousKlines", door=PUBLIC, weight=5)
def _klines(call: Call) -> Any:
    return kline_rows(call, the_market(call), Decimal(1))


@table.add("GET /fapi/v1/markPriceKlines", "GET /fapi/v1/indexPriceKlines", door=PUBLIC, weight=5)
def _mark_klines(call: Call) -> Any:
    if call.params.get("pair"):
        return kline_rows(call, call.venue.market(str(call.params["pair"])), Decimal(1))
    return kline_rows(call, the_market(call), Decimal(1))


def kline_rows(call: Call, market: SymbolMarket, multiplier: Decimal) -> list[list[Any]]:
    """Candles as Binance lists them, with prices over ``multiplier``."""
    length = interval_ms(call)
    now = call.venue.now_ms()
    start = call.number("startTime", 0) or None
    found = market.candles(length, start, min(call.number("endTime", now), now), min(1500, call.number("limit", 500)))
    return [
        [at, *(text(price / multiplier) for price in prices), text(volume), at + length - 1, text(volume * prices[3]), 100, "0", "0", "0"]
        for at, *prices, volume in found
    ]


@table.add("GET /fapi/v1/ticker/24hr", door=PUBLIC)
def _ticker(call: Call) -> Any:
    return one_or_all(call, [day_json(market, call.venue.now_ms()) for market in the_markets(call)])


def day_json(market: SymbolMarket, now_ms: int) -> Json:
    """The last day of a perpetual."""
    change = market.last - market.first_price
    return {
        "symbol": market.name,
        "priceChange": text(change),
        "priceChangePercent": text(round(change / market.first_price * 100, 3)),
        "weightedAvgPrice": text(market.last),
        "lastPrice": text(market.last),
        "lastQty": text(market.listed.lot_size),
        "openPrice": text(market.first_price),
        "highPrice": text(max(market.first_price, market.last)),
        "lowPrice": text(min(market.first_price, market.last)),
        "volume": text(market.volume),
        "quoteVolume": text(market.volume * market.last),
        "openTime": now_ms - _DAY_MS,
        "closeTime": now_ms,
        "firstId": 1,
        "lastId": market.trade_id,
        "count": market.trade_id,
    }


@table.add("GET /fapi/v1/ticker/price", "GET /fapi/v2/ticker/price", door=PUBLIC)
def _last_price(call: Call) -> Any:
    now = call.venue.now_ms()
    return one_or_all(call, [{"symbol": m.name, "price": text(m.last), "time": now} for m in the_markets(call)])


@table.add("GET /fapi/v1/ticker/bookTicker", door=PUBLIC)
def _book_ticker(call: Call) -> Any:
    now, rows = call.venue.now_ms(), []
    for market in the_markets(call):
        (bid, quantity), (ask, other) = (side[0] for side in market.book(1))
        touch = {"bidPrice": text(bid), "bidQty": text(quantity), "askPrice": text(ask), "askQty": text(other)}
        rows.append({"symbol": market.name} | touch | {"lastUpdateId": market.update_id, "time": now})
    return one_or_all(call, rows)


@table.add("GET /fapi/v1/trades", "GET /fapi/v1/aggTrades", door=PUBLIC)
def _trades(call: Call) -> Any:
    market, now = the_market(call), call.venue.now_ms()
    number, price, lot = market.trade_id, text(market.last), text(market.listed.lot_size)
    plain = {"id": number, "price": price, "qty": lot, "quoteQty": price, "time": now, "isBuyerMaker": False}
    return [plain | {"a": number, "p": price, "q": lot, "f": number, "l": number, "T": now, "m": False}]


@table.add("GET /fapi/v1/premiumIndex", door=PUBLIC)
def _premium_index(call: Call) -> Any:
    now = call.venue.now_ms()
    return one_or_all(
        call,
        [
            {
                "symbol": market.name,
                "markPrice": text(market.mark),
                "indexPrice": text(market.index),
                "estimatedSettlePrice": text(market.index),
                "lastFundingRate": text(market.funding_rate),
                "interestRate": "0.00010000",
                "nextFundingTime": market.next_funding_ms,
                "time": now,
            }
            for market in the_markets(call)
        ],
    )


@table.add("GET /fapi/v1/fundingInfo", door=PUBLIC)
def _funding_info(call: Call) -> Any:
    cap = {"adjustedFundingRateCap": "0.02", "adjustedFundingRateFloor": "-0.02", "disclaimer": False}
    return [{"symbol": m.name} | cap | {"fundingIntervalHours": m.funding_interval_h} for m in call.venue.markets.values()]


@table.add("GET /fapi/v1/fundingRate", door=PUBLIC)
def _funding_rates(call: Call) -> Any:
    start, end, limit = call.number("startTime", 0), call.number("endTime", _FAR), min(1000, call.number("limit", 100))
    rows: list[Any] = sorted(
        (at, market.name, rate, mark) for market in the_markets(call) for at, rate, mark in market.settlements(start, limit)
    )
    chosen = window(rows, start, end, limit, at=lambda row: int(row[0]))
    return [{"symbol": name, "fundingTime": at, "fundingRate": text(rate), "markPrice": text(mark)} for at, name, rate, mark in chosen]


@table.add("GET /fapi/v1/openInterest", door=PUBLIC)
def _open_interest(call: Call) -> Any:
    return {"symbol": the_market(call).name, "openInterest": "100000", "time": call.venue.now_ms()}
