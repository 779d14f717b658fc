"""The spot endpoints: rules, prices, balances, orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from alpha_pulse.fake_exchange.calls import KEYED, PUBLIC, Call, Table, window
from alpha_pulse.fake_exchange.entry import number_of, text_of
from alpha_pulse.fake_exchange.futures_public import kline_rows, one_or_all
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, Trade, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.replies import Json
from alpha_pulse.fake_exchange.stream_text import text

table = Table()
_FAR: Final = 1 << 62
_DAY_MS: Final = 86_400_000
_KINDS: Final = ["LIMIT", "LIMIT_MAKER", "MARKET"]
MIN_NOTIONAL: Final = Decimal(5)


def _market(call: Call) -> SymbolMarket:
    market = call.venue.by_spot_name.get(text_of(call.params, "symbol"))
    if market is None:
        raise Refusal(-1121)
    return market


def _asked(call: Call) -> list[SymbolMarket]:
    return [_market(call)] if call.params.get("symbol") else list(call.venue.by_spot_name.values())


# --- public ---------------------------------------------------------------------------------------------------------------
@table.add("GET /api/v3/exchangeInfo", door=PUBLIC, weight=20)
def _exchange_info(call: Call) -> Any:
    limit = call.venue.config.limits.weight_per_minute
    return {
        "timezone": "UTC",
        "serverTime": call.venue.now_ms(),
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit}],
        "exchangeFilters": [],
        "symbols": [_symbol_json(market) for market in _asked(call)],
    }


def _symbol_json(market: SymbolMarket) -> Json:
    tick, lot = text(market.spot_tick), text(market.spot_lot)
    return {
        "symbol": market.spot_name,
        "status": market.spot_status,
        "baseAsset": market.pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _KINDS,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "1000000000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": text(MIN_NOTIONAL), "applyMinToMarket": True, "maxNotional": "9000000000"},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


@table.add("GET /api/v3/ticker/24hr", door=PUBLIC, weight=2)
def _ticker(call: Call) -> Any:
    return one_or_all(call, [_day(market, call.venue.now_ms()) for market in _asked(call)])


def _day(market: SymbolMarket, now_ms: int) -> Json:
    first = market.first_price / market.pair.multiplier
    change = market.spot - first
    return {
        "symbol": market.spot_name,
        "priceChange": text(change),
        "priceChangePercent": text(round(change / first * 100, 3)),
        "weightedAvgPrice": text(market.spot),
        "prevClosePrice": text(first),
        "lastPrice": text(market.spot),
        "lastQty": text(market.spot_lot),
        "bidPrice": text(market.spot_bid),
        "bidQty": text(market.spot_lot * 100),
        "askPrice": text(market.spot_ask),
        "askQty": text(market.spot_lot * 100),
        "openPrice": text(first),
        "highPrice": text(max(first, market.spot)),
        "lowPrice": text(min(first, market.spot)),
        "volume": text(market.volume),
        "quoteVolume": text(market.volume * market.last),
        "openTime": now_ms - _DAY_MS,
        "closeTime": now_ms,
        "firstId": 1,
        "lastId": market.trade_id,
        "count": market.trade_id,
    }


@table.add("GET /api/v3/ticker/price", door=PUBLIC, weight=2)
def _price(call: Call) -> Any:
    return one_or_all(call, [{"symbol": m.spot_name, "price": text(m.spot)} for m in _asked(call)])


@table.add("GET /api/v3/ticker/bookTicker", door=PUBLIC, weight=2)
def _book_ticker(call: Call) -> Any:
    rows: list[Json] = []
    for m in _asked(call):
        size = text(m.spot_lot * 100)
        rows.append({"symbol": m.spot_name, "bidPrice": text(m.spot_bid), "bidQty": size, "askPrice": text(m.spot_ask), "askQty": size})
    return one_or_all(call, rows)


@table.add("GET /api/v3/depth", door=PUBLIC, weight=5)
def _depth(call: Call) -> Any:
    market = _market(call)
    size = text(market.spot_lot * 100)
    levels = range(min(20, call.number("limit", 100)))
    return {
        "lastUpdateId": market.update_id,
        "bids": [[text(market.spot_bid - n * market.spot_tick), size] for n in levels],
        "asks": [[text(market.spot_ask + n * market.spot_tick), size] for n in levels],
    }


@table.add("GET /api/v3/klines", door=PUBLIC, weight=2)
def _klines(call: Call) -> Any:
    market = _market(call)
    return kline_rows(call, market, Decimal(market.pair.multiplier))


# --- signed ---------------------------------------------------------------------------------------------------------------
@table.add("GET /api/v3/account", weight=20)
def _account(call: Call) -> Any:
    account = call.account
    fee = account.config.spot_fee
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "commissionRates": {"maker": text(fee), "taker": text(fee), "buyer": "0", "seller": "0"},
        "canTrade": account.can_trade,
        "canWithdraw": account.can_withdraw,
        "canDeposit": True,
        "updateTime": call.venue.now_ms(),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(account.spot.free(asset)), "locked": text(account.spot.locked[asset])}
            for asset in sorted(account.spot.balances)
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


@table.add("POST /api/v3/order", orders=1)
def _place(call: Call) -> Any:
    order = _order_of(call)
    call.account.spot.place(_market(call), order)
    if call.twice:
        call.account.spot.place(_market(call), _order_of(call))
    return order_json(order) | {
        "transactTime": order.updated_ms,
        "fills": [
            {
                "price": text(t.price),
                "qty": text(t.quantity),
                "commission": text(t.commission),
                "commissionAsset": t.commission_asset,
                "tradeId": t.id,
            }
            for t in order.trades
        ],
    }


def _order_of(call: Call) -> VenueOrder:
    account, market, params = call.account, _market(call), call.params
    if not account.can_trade:
        raise Refusal(-2015, status=401)
    if market.spot_status != "TRADING":
        raise Refusal(-1013, "Market is closed.")
    kind, side = text_of(params, "type"), text_of(params, "side")
    if kind not in _KINDS:
        raise Refusal(-1116)
    if side not in {"BUY", "SELL"}:
        raise Refusal(-1117)
    price = ZERO if kind == "MARKET" else number_of(params, "price")
    if kind != "MARKET" and (price <= 0 or price % market.spot_tick):
        raise Refusal(-1013, "Filter failure: PRICE_FILTER")
    if kind == "MARKET" and params.get("quoteOrderQty"):
        lots = int(number_of(params, "quoteOrderQty") / market.spot / market.spot_lot)
        quantity = lots * market.spot_lot
    else:
        quantity = number_of(params, "quantity")
    if quantity <= 0 or quantity % market.spot_lot:
        raise Refusal(-1013)
    if quantity * (price or market.spot) < MIN_NOTIONAL:
        raise Refusal(-1013, "Filter failure: NOTIONAL")
    number, now = call.venue.next_id(), call.venue.now_ms()
    client_id = str(params.get("newClientOrderId") or f"auto{number}")
    if not call.twice and any(o.client_id == client_id for o in account.spot.open_orders(market.spot_name)):
        raise Refusal(-2010, "Duplicate order sent.")
    tif = str(params.get("timeInForce") or "GTC")
    return VenueOrder(number, client_id, market.spot_name, side, kind, quantity, now, price=price, time_in_force=tif, updated_ms=now)


def order_json(order: VenueOrder) -> Json:
    """A spot order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled),
        "origQuoteOrderQty": "0",
        "cummulativeQuoteQty": text(order.quote_filled),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": "0",
        "icebergQty": "0",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def _known(call: Call) -> VenueOrder | None:
    number, client_id = call.params.get("orderId"), call.params.get("origClientOrderId")
    if not number and not client_id:
        raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return call.account.spot.find(_market(call).spot_name, str(number) if number else None, client_id)


@table.add("GET /api/v3/order", weight=4)
def _query(call: Call) -> Any:
    order = _known(call)
    if order is None or call.hidden(order.created_ms):
        raise Refusal(-2013)
    return order_json(order)


@table.add("DELETE /api/v3/order")
def _cancel(call: Call) -> Any:
    order = _known(call)
    if order is None or not order.is_open:
        raise Refusal(-2011)
    call.account.spot.cancel(_market(call), order)
    return order_json(order) | {"origClientOrderId": order.client_id, "transactTime": order.updated_ms}


@table.add("GET /api/v3/openOrders", weight=6)
def _open(call: Call) -> Any:
    symbol = _market(call).spot_name if call.params.get("symbol") else None
    return [order_json(order) for order in call.account.spot.open_orders(symbol) if not call.hidden(order.created_ms)]


@table.add("GET /api/v3/allOrders", weight=20)
def _all(call: Call) -> Any:
    symbol = _market(call).spot_name
    return [order_json(order) for order in call.account.spot.orders.values() if order.symbol == symbol][-call.number("limit", 500) :]


@table.add("DELETE /api/v3/openOrders")
def _cancel_all(call: Call) -> Any:
    market = _market(call)
    orders = call.account.spot.open_orders(market.spot_name)
    if not orders:
        raise Refusal(-2011)
    for order in orders[: len(orders) // 2] if call.partly else orders:
        call.account.spot.cancel(market, order)
    return [order_json(order) for order in orders]


@table.add("GET /api/v3/myTrades", weight=20)
def _trades(call: Call) -> Any:
    symbol = _market(call).spot_name
    rows = [trade for trade in call.account.spot.trades if trade.symbol == symbol]
    limit, first = min(1000, call.number("limit", 500)), call.number("fromId", 0)
    if first:
        return [_trade_json(trade) for trade in rows if trade.id >= first][:limit]
    chosen = window(rows, call.number("startTime", 0), call.number("endTime", _FAR), limit, at=lambda trade: int(trade.ts_ms))
    return [_trade_json(trade) for trade in chosen]


def _trade_json(trade: Trade) -> Json:
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.quote),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.ts_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


@table.add("GET /sapi/v1/asset/tradeFee")
def _fees(call: Call) -> Any:
    fee = text(call.account.config.spot_fee)
    return [{"symbol": m.spot_name, "makerCommission": fee, "takerCommission": fee} for m in _asked(call)]


# --- the old user data stream: a key per account ------------------------------------------------------------------------------
@table.add("POST /api/v3/userDataStream", door=KEYED)
def _listen_key(call: Call) -> Any:
    return {"listenKey": call.account.key}


@table.add("PUT /api/v3/userDataStream", "DELETE /api/v3/userDataStream", door=KEYED)
def _keep(_: Call) -> Any:
    return {}
