"""The request that ccxt would sign for each venue and each kind of order: what really would have left the machine."""

from decimal import Decimal
from functools import partial

import pytest

from alpha_pulse.domain.orders import OrderRequest, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import dialect_for
from tests.unit.execution.venues.recorder import PEPES, SYMBOLS, offline

D = Decimal
ID = "ap0x9zqgbhz0000042"
CLOID = "0x616c7068" + f"{int(ID, 36):024x}"
LIMIT = {"type": OrderType.LIMIT, "price": D("94000.5")}
STOP = {"type": OrderType.STOP_MARKET, "trigger_price": D("81000.5"), "purpose": Purpose.STOP}


def request(**changes):
    given = {
        "client_order_id": ID, "symbol": "BTC/USDT:USDT", "side": Side.BUY, "type": OrderType.MARKET, "quantity": D("0.25"), "price": None,
        "purpose": Purpose.GRID,
    }  # fmt: skip
    return OrderRequest(**given | changes)


REQUESTS = {
    "limit": request(**LIMIT),
    "post only": request(**LIMIT, side=Side.SELL, time_in_force=TimeInForce.POST_ONLY),
    "ioc": request(**LIMIT, time_in_force=TimeInForce.IOC),
    "market": request(side=Side.SELL),
    "reduce only": request(**LIMIT, reduce_only=True),
    "stop sell": request(**STOP, side=Side.SELL),
    "stop buy": request(**STOP | {"trigger_price": D("120000.5")}),
    "stop reduce only": request(**STOP, side=Side.SELL, reduce_only=True),
}
KRAKEN_PRICES = {"price": D(94000), "trigger_price": D(81000)}  # its tick is 1

# What must be among the fields, and None for what must not be; the path; the venue's reply to a create.
_BINANCE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.25", "newClientOrderId": ID, "reduceOnly": None, "positionSide": None}
_BINANCE_STOP = {
    "symbol": "BTCUSDT", "algoType": "CONDITIONAL", "type": "STOP_MARKET", "quantity": "0.25", "clientAlgoId": ID,
        "workingType": "MARK_PRICE",
    "priceProtect": "FALSE", "reduceOnly": None, "closePosition": None, "price": None, "positionSide": None,
    "selfTradePreventionMode": None,
}  # fmt: skip
_BYBIT = {
    "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.25", "orderLinkId": ID, "orderType": "Limit", "price": "94000.5",
    "reduceOnly": None, "positionIdx": None, "smpType": None, "triggerPrice": None,
}  # fmt: skip
_BYBIT_STOP = _BYBIT | {"orderType": "Market", "price": None, "triggerBy": "MarkPrice", "closeOnTrigger": None}
_OKX = {
    "instId": "BTC-USDT-SWAP", "side": "buy", "sz": "25", "px": "94000.5", "clOrdId": ID, "tdMode": "cross", "posSide": None,
    "reduceOnly": None, "stpMode": None,
}  # fmt: skip
_OKX_STOP = {
    "instId": "BTC-USDT-SWAP", "ordType": "trigger", "sz": "25", "orderPx": "-1", "triggerPxType": "mark", "algoClOrdId": ID,
    "tdMode": "cross", "posSide": None, "reduceOnly": None,
}  # fmt: skip
_GATE = {"contract": "BTC_USDT", "size": 2500, "price": "94000.5", "text": f"t-{ID}", "reduce_only": None, "stp_act": None}
_GATE_STOP = {"contract": "BTC_USDT", "price": "0", "tif": "ioc", "text": f"t-{ID}", "reduce_only": None}
_KUCOIN = {
    "symbol": "XBTUSDTM", "side": "buy", "type": "limit", "size": 250, "price": "94000.5", "clientOid": ID, "marginMode": "CROSS",
    "leverage": 3, "reduceOnly": None, "closeOrder": None, "positionSide": None, "stp": None, "stop": None,
}  # fmt: skip
_KUCOIN_STOP = _KUCOIN | {"type": "market", "price": None, "stopPriceType": "MP"}
_BITGET = {
    "symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginCoin": "USDT", "marginMode": "crossed", "side": "buy", "orderType": "limit",
    "size": "0.25", "price": "94000.5", "clientOid": ID, "reduceOnly": None, "tradeSide": None, "stpMode": None,
}  # fmt: skip
_BITGET_STOP = _BITGET | {
    "orderType": "market",
    "price": None,
    "planType": "normal_plan",
    "triggerType": "mark_price",
    "executePrice": None,
}
_HYPER = {"a": 0, "b": True, "p": "94000", "s": "0.25", "r": False, "c": CLOID}
_KRAKEN = {
    "symbol": "PF_XBTUSD", "side": "buy", "size": "0.25", "limitPrice": "94000", "cliOrdId": ID, "reduceOnly": None, "triggerSignal": None,
}  # fmt: skip
_KRAKEN_STOP = _KRAKEN | {"orderType": "stp", "limitPrice": None, "triggerSignal": "mark"}

EXPECTED = {
    "binanceusdm": {
        "limit": ("/order", _BINANCE | {"type": "LIMIT", "price": "94000.5", "timeInForce": "GTC"}),
        "post only": ("/order", _BINANCE | {"side": "SELL", "type": "LIMIT", "price": "94000.5", "timeInForce": "GTX"}),
        "ioc": ("/order", _BINANCE | {"type": "LIMIT", "timeInForce": "IOC"}),
        "market": ("/order", _BINANCE | {"side": "SELL", "type": "MARKET", "price": None, "timeInForce": None}),
        "reduce only": ("/order", _BINANCE | {"reduceOnly": "true"}),
        "stop sell": ("/algoOrder", _BINANCE_STOP | {"side": "SELL", "triggerPrice": "81000.5"}),
        "stop buy": ("/algoOrder", _BINANCE_STOP | {"side": "BUY", "triggerPrice": "120000.5"}),
        "stop reduce only": ("/algoOrder", _BINANCE_STOP | {"side": "SELL", "reduceOnly": "true"}),
    },
    "bybit": {
        "limit": ("/order/create", _BYBIT | {"timeInForce": "GTC"}),
        "post only": ("/order/create", _BYBIT | {"side": "Sell", "timeInForce": "PostOnly"}),
        "ioc": ("/order/create", _BYBIT | {"timeInForce": "IOC"}),
        "market": ("/order/create", _BYBIT | {"side": "Sell", "orderType": "Market", "price": None, "timeInForce": None}),
        "reduce only": ("/order/create", _BYBIT | {"reduceOnly": True}),
        "stop sell": ("/order/create", _BYBIT_STOP | {"side": "Sell", "triggerPrice": "81000.5", "triggerDirection": 2}),
        "stop buy": ("/order/create", _BYBIT_STOP | {"side": "Buy", "triggerPrice": "120000.5", "triggerDirection": 1}),
        "stop reduce only": ("/order/create", _BYBIT_STOP | {"side": "Sell", "triggerPrice": "81000.5", "reduceOnly": True}),
    },
    "okx": {
        "limit": ("/batch-orders", _OKX | {"ordType": "limit"}),
        "post only": ("/batch-orders", _OKX | {"side": "sell", "ordType": "post_only"}),
        "ioc": ("/batch-orders", _OKX | {"ordType": "ioc"}),
        "market": ("/batch-orders", _OKX | {"side": "sell", "ordType": "market", "px": None}),
        "reduce only": ("/batch-orders", _OKX | {"reduceOnly": True}),
        "stop sell": ("/order-algo", _OKX_STOP | {"side": "sell", "triggerPx": "81000.5"}),
        "stop buy": ("/order-algo", _OKX_STOP | {"side": "buy", "triggerPx": "120000.5"}),
        "stop reduce only": ("/order-algo", _OKX_STOP | {"side": "sell", "reduceOnly": True}),
    },
    "gate": {
        "limit": ("/orders", _GATE | {"tif": "gtc"}),
        "post only": ("/orders", _GATE | {"size": -2500, "tif": "poc"}),
        "ioc": ("/orders", _GATE | {"tif": "ioc"}),
        "market": ("/orders", _GATE | {"size": -2500, "price": "0", "tif": "ioc"}),
        "reduce only": ("/orders", _GATE | {"reduce_only": True}),
        "stop sell": (
            "/price_orders",
            {"initial": _GATE_STOP | {"size": -2500}, "trigger": {"price_type": 1, "price": "81000.5", "rule": 2}},
        ),
        "stop buy": (
            "/price_orders",
            {"initial": _GATE_STOP | {"size": 2500}, "trigger": {"price_type": 1, "price": "120000.5", "rule": 1}},
        ),
        "stop reduce only": ("/price_orders", {"initial": _GATE_STOP | {"size": -2500, "reduce_only": True}, "trigger": {"rule": 2}}),
    },
    "kucoinfutures": {
        "limit": ("/orders", _KUCOIN | {"timeInForce": "GTC"}),
        "post only": ("/orders", _KUCOIN | {"side": "sell", "postOnly": True}),
        "ioc": ("/orders", _KUCOIN | {"timeInForce": "IOC"}),
        "market": ("/orders", _KUCOIN | {"side": "sell", "type": "market", "price": None, "timeInForce": None}),
        "reduce only": ("/orders", _KUCOIN | {"reduceOnly": True}),
        "stop sell": ("/orders", _KUCOIN_STOP | {"side": "sell", "stop": "down", "stopPrice": "81000.5"}),
        "stop buy": ("/orders", _KUCOIN_STOP | {"side": "buy", "stop": "up", "stopPrice": "120000.5"}),
        "stop reduce only": ("/orders", _KUCOIN_STOP | {"side": "sell", "stop": "down", "reduceOnly": True}),
    },
    "bitget": {
        "limit": ("/place-order", _BITGET | {"force": "GTC"}),
        "post only": ("/place-order", _BITGET | {"side": "sell", "force": "post_only"}),
        "ioc": ("/place-order", _BITGET | {"force": "IOC"}),
        "market": ("/place-order", _BITGET | {"side": "sell", "orderType": "market", "price": None}),
        "reduce only": ("/place-order", _BITGET | {"reduceOnly": "YES"}),
        "stop sell": ("/place-plan-order", _BITGET_STOP | {"side": "sell", "triggerPrice": "81000.5"}),
        "stop buy": ("/place-plan-order", _BITGET_STOP | {"side": "buy", "triggerPrice": "120000.5"}),
        "stop reduce only": ("/place-plan-order", _BITGET_STOP | {"side": "sell", "reduceOnly": "YES"}),
    },
    "hyperliquid": {
        "limit": ("/exchange", _HYPER | {"t": {"limit": {"tif": "Gtc"}}}),
        "post only": ("/exchange", _HYPER | {"b": False, "t": {"limit": {"tif": "Alo"}}}),
        "ioc": ("/exchange", _HYPER | {"t": {"limit": {"tif": "Ioc"}}}),
        "reduce only": ("/exchange", _HYPER | {"r": True}),
        "stop sell": (
            "/exchange",
            _HYPER | {"b": False, "p": "72900", "t": {"trigger": {"isMarket": True, "triggerPx": "81000", "tpsl": "sl"}}},
        ),
        "stop buy": ("/exchange", _HYPER | {"p": "132000", "t": {"trigger": {"isMarket": True, "triggerPx": "120000", "tpsl": "sl"}}}),
        "stop reduce only": ("/exchange", _HYPER | {"b": False, "p": "72900", "r": True}),
    },
    "krakenfutures": {
        "limit": ("/sendorder", _KRAKEN | {"orderType": "lmt"}),
        "post only": ("/sendorder", _KRAKEN | {"side": "sell", "orderType": "post"}),
        "ioc": ("/sendorder", _KRAKEN | {"orderType": "ioc"}),
        "market": ("/sendorder", _KRAKEN | {"side": "sell", "orderType": "mkt", "limitPrice": None}),
        "reduce only": ("/sendorder", _KRAKEN | {"reduceOnly": "true"}),
        "stop sell": ("/sendorder", _KRAKEN_STOP | {"side": "sell", "stopPrice": "81000"}),
        "stop buy": ("/sendorder", _KRAKEN_STOP | {"side": "buy", "stopPrice": "120000"}),
        "stop reduce only": ("/sendorder", _KRAKEN_STOP | {"side": "sell", "stopPrice": "81000", "reduceOnly": "true"}),
    },
}
REPLIES = {
    "binanceusdm": {"orderId": 7, "algoId": 7, "symbol": "BTCUSDT", "status": "NEW", "side": "BUY", "type": "LIMIT", "origQty": "0.25"},
    "bybit": {"retCode": 0, "result": {"orderId": "7", "orderLinkId": ID}},
    "okx": {"code": "0", "data": [{"ordId": "7", "algoId": "", "clOrdId": ID, "sCode": "0"}]},
    "gate": {"id": 7},
    "kucoinfutures": {"code": "200000", "data": {"orderId": "7"}},
    "bitget": {"code": "00000", "data": {"orderId": "7", "clientOid": ID}},
    "hyperliquid": {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 7, "cloid": CLOID}}]}}},
    "krakenfutures": {
        "result": "success",
        "sendStatus": {
            "order_id": "7",
            "status": "placed",
            "orderEvents": [{"type": "PLACE", "order": {"orderId": "7", "cliOrdId": ID, "type": "lmt", "symbol": "pf_xbtusd",
                "side": "buy", "quantity": 0.25, "filled": 0}}],
        },
    },
}  # fmt: skip
PATHS = {"hyperliquid": "/exchange", "krakenfutures": "/sendorder", "bybit": "/order/create", "bitget": "/mix/order/place"}
HEDGING = {
    "binanceusdm": ("positionSide", "SHORT", "LONG"),
    "bybit": ("positionIdx", 2, 1),
    "okx": ("posSide", "short", "long"),
    "kucoinfutures": ("positionSide", "SHORT", "LONG"),
}


async def send(exchange_id, wanted, *, hedge_mode=False, inventory_sign=1, symbol=None, **account):
    exchange = await offline(exchange_id, {PATHS.get(exchange_id, ""): REPLIES[exchange_id]})
    market = exchange.market(symbol or SYMBOLS[exchange_id])
    dialect = dialect_for(exchange_id, **account)
    reply = await exchange.create_order(*dialect.order_call(wanted, market, hedge_mode=hedge_mode, inventory_sign=inventory_sign))
    assert len(exchange.sent) == 1  # one request, and it is the order
    assert dialect.accepted(reply) == "7"
    return exchange.sent[0]


def for_venue(exchange_id, wanted):
    """Prices on the venue's tick: Kraken's is 1, and Hyperliquid takes five significant digits."""
    if exchange_id not in {"krakenfutures", "hyperliquid"}:
        return wanted
    whole = {name: getattr(wanted, name).to_integral_value("ROUND_FLOOR") for name in KRAKEN_PRICES if getattr(wanted, name) is not None}
    return request(**{field: getattr(wanted, field) for field in OrderRequest.__slots__} | whole)


def order_in(exchange_id, fields):
    if exchange_id == "hyperliquid":
        assert fields["action"].keys() == {"type", "orders", "grouping"}  # no builder takes a fee
        assert fields["action"]["grouping"] == "na"
        return fields["action"]["orders"][0]
    return fields[0] if isinstance(fields, list) else fields


def compare(found, expected):
    for name, value in expected.items():
        if isinstance(value, dict):
            compare(found[name], value)
        elif value is None:
            assert name not in found, f"{name} was sent: {found[name]!r}"
        else:
            assert found[name] == value, f"{name}: {found.get(name)!r}, not {value!r}"


CASES = [(exchange_id, kind) for exchange_id, kinds in EXPECTED.items() for kind in kinds]


@pytest.mark.parametrize(("exchange_id", "kind"), CASES, ids=[" ".join(case) for case in CASES])
async def test_an_order_leaves_as_it_was_meant(exchange_id, kind):
    path, expected = EXPECTED[exchange_id][kind]
    sent = await send(exchange_id, for_venue(exchange_id, REQUESTS[kind]))
    assert sent.method == "POST"
    assert sent.path.endswith(path)
    compare(order_in(exchange_id, sent.fields), expected)


@pytest.mark.parametrize("exchange_id", sorted(set(EXPECTED) - {"hyperliquid"}))
async def test_a_request_is_signed(exchange_id):
    sent = await send(exchange_id, for_venue(exchange_id, REQUESTS["limit"]))
    said = {name.lower() for name in sent.headers} | (sent.fields.keys() if isinstance(sent.fields, dict) else set())
    assert said & {"signature", "x-bapi-sign", "ok-access-sign", "sign", "kc-api-sign", "access-sign", "authent"}


@pytest.mark.parametrize("exchange_id", sorted(HEDGING))
@pytest.mark.parametrize("kind", ["limit", "market", "stop sell", "reduce only", "stop reduce only"])
async def test_in_hedge_mode_the_leg_against_the_inventory_is_named_and_nothing_is_reduce_only(exchange_id, kind):
    name, of_long_inventory, of_short_inventory = HEDGING[exchange_id]
    for sign, expected in ((1, of_long_inventory), (-1, of_short_inventory)):
        sent = await send(exchange_id, REQUESTS[kind], hedge_mode=True, inventory_sign=sign)
        compare(order_in(exchange_id, sent.fields), {name: expected, "reduceOnly": None})


@pytest.mark.parametrize("exchange_id", sorted(set(EXPECTED) - set(HEDGING)))
async def test_hedge_mode_is_refused_where_it_cannot_be_spoken(exchange_id):
    with pytest.raises(ConfigError, match="one-way"):
        await send(exchange_id, for_venue(exchange_id, REQUESTS["limit"]), hedge_mode=True)


async def test_hedge_mode_without_an_inventory_is_refused():
    with pytest.raises(ConfigError, match="both sides"):
        await send("binanceusdm", REQUESTS["limit"], hedge_mode=True, inventory_sign=0)


async def test_hyperliquid_refuses_a_market_order_and_says_what_to_send_instead():
    with pytest.raises(ConfigError, match="IOC"):
        await send("hyperliquid", REQUESTS["market"])


@pytest.mark.parametrize(
    ("exchange_id", "expected"), [("okx", {"tdMode": "isolated"}), ("kucoinfutures", {"marginMode": "ISOLATED", "leverage": 5})]
)
async def test_isolated_margin_is_told_with_the_order_where_the_venue_wants_it(exchange_id, expected):
    sent = await send(exchange_id, REQUESTS["limit"], margin_mode="isolated", leverage=5)
    compare(order_in(exchange_id, sent.fields), expected)


@pytest.mark.parametrize(
    ("exchange_id", "coins", "price", "expected"),
    [
        ("binanceusdm", "250000", "0.0123456", {"quantity": "250000", "price": "0.0123456"}),
        ("bybit", "250000", "0.0123456", {"qty": "250000", "price": "0.0123456"}),
        ("okx", "250000000", "0.000012345", {"sz": "25", "px": "0.000012345"}),
        ("gate", "250000000", "0.0000123456", {"size": 25, "price": "0.0000123456"}),
        ("kucoinfutures", "250000000", "0.0000123456", {"size": 25000, "price": "0.0000123456"}),
        ("bitget", "250000000", "0.0000123456", {"size": "250000000", "price": "0.0000123456"}),
        ("hyperliquid", "250000", "0.012345", {"s": "250000", "p": "0.012345", "a": 1}),
        ("krakenfutures", "250000000", "0.00001234", {"size": "250000000", "limitPrice": "0.00001234"}),
    ],
)
async def test_a_thousand_multiplied_coin_and_a_large_contract_are_sized_right(exchange_id, coins, price, expected):
    wanted = request(type=OrderType.LIMIT, quantity=D(coins), price=D(price))
    sent = await send(exchange_id, wanted, symbol=PEPES[exchange_id])
    compare(order_in(exchange_id, sent.fields), expected)


@pytest.mark.parametrize("exchange_id", sorted(EXPECTED))
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-0.25", "0", "0.2500001", "0.25000000000000000001"])
async def test_a_quantity_that_makes_no_sense_never_reaches_ccxt(exchange_id, value):
    with pytest.raises(ValueError, match=r"quantity|amount"):
        await send(exchange_id, for_venue(exchange_id, request(**LIMIT, quantity=D(value))))


@pytest.mark.parametrize("field", ["price", "trigger_price"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-94000", "0", "94000.55"])
async def test_a_price_that_makes_no_sense_never_reaches_ccxt(field, value):
    wanted = request(**LIMIT | {"price": D(value)}) if field == "price" else request(**STOP | {"trigger_price": D(value)})
    with pytest.raises(ValueError, match="price"):
        await send("binanceusdm", wanted)


CALLS = {
    "open": lambda exchange, symbol, params: exchange.fetch_open_orders(symbol, None, None, params),
    "cancel": lambda exchange, symbol, params: exchange.cancel_order("7", symbol, params),
    "cancel all": lambda exchange, symbol, params: exchange.cancel_all_orders(symbol, params),
}


async def asked(exchange_id, call, params):
    listed = exchange_id == "gate" or (exchange_id, call) == ("binanceusdm", "open")
    exchange = await offline(exchange_id, {"price_orders/7": {"id": 7}, "": [] if listed else REPLIES[exchange_id]})
    await CALLS[call](exchange, SYMBOLS[exchange_id], dict(params))
    return exchange.sent[0]


@pytest.mark.parametrize(
    ("exchange_id", "call", "path", "expected"),
    [
        ("binanceusdm", "open", "/openAlgoOrders", {"symbol": "BTCUSDT"}),
        ("binanceusdm", "cancel", "/algoOrder", {"algoId": "7"}),
        ("binanceusdm", "cancel all", "/algoOpenOrders", {}),
        ("bybit", "open", "/order/realtime", {"orderFilter": "StopOrder"}),
        ("bybit", "cancel all", "/order/cancel-all", {"orderFilter": "StopOrder"}),
        ("okx", "open", "/orders-algo-pending", {"ordType": "trigger"}),
        ("gate", "open", "/price_orders", {"contract": "BTC_USDT"}),
        ("gate", "cancel", "/price_orders/7", {}),
        ("kucoinfutures", "open", "/stopOrders", {}),
        ("kucoinfutures", "cancel all", "/stopOrders", {}),
        ("bitget", "open", "/orders-plan-pending", {"planType": "normal_plan"}),
        ("bitget", "cancel", "/cancel-plan-order", {"orderIdList": [{"orderId": "7"}]}),
        ("krakenfutures", "open", "/openorders", {}),
    ],
)
async def test_stops_are_listed_and_cancelled_by_the_venues_own_calls_for_them(exchange_id, call, path, expected):
    sent = await asked(exchange_id, call, dialect_for(exchange_id).stop_params)
    assert sent.path.endswith(path)
    found = {name: value for name, value in sent.fields.items() if name in expected} if expected else {}
    assert found == expected


@pytest.mark.parametrize(
    ("exchange_id", "path", "expected"),
    [
        ("binanceusdm", "/allOpenOrders", {}),
        ("bybit", "/order/cancel-all", {"orderFilter": "Order"}),
        ("gate", "/orders", {}),
        ("kucoinfutures", "/orders", {}),
        ("bitget", "/batch-cancel-orders", {}),
    ],
)
async def test_cancelling_the_grid_spares_the_stop(exchange_id, path, expected):
    sent = await asked(exchange_id, "cancel all", dialect_for(exchange_id).spare_stops_params)
    assert sent.path.endswith(path)
    assert expected.items() <= sent.fields.items()


@pytest.mark.parametrize("exchange_id", ["okx", "hyperliquid", "krakenfutures"])
def test_where_cancel_all_would_take_the_stop_the_dialect_says_so(exchange_id):
    assert dialect_for(exchange_id).spare_stops_params is None


@pytest.mark.parametrize(
    ("exchange_id", "stop", "path", "part"),
    [
        ("binanceusdm", False, "/order", ("origClientOrderId", ID)),
        ("binanceusdm", True, "/algoOrder", ("clientAlgoId", ID)),
        ("bybit", False, "/order/realtime", ("orderLinkId", ID)),
        ("bybit", True, "/order/realtime", ("orderLinkId", ID)),
        ("okx", False, "/trade/order", ("clOrdId", ID)),
        ("okx", True, "/trade/order-algo", ("algoClOrdId", ID)),
        ("gate", False, f"/orders/t-{ID}", None),
        ("gate", True, "/price_orders", ("status", "open")),
        ("kucoinfutures", False, "/orders/byClientOid", ("clientOid", ID)),
        ("bitget", False, "/order/detail", ("clientOid", ID)),
        ("bitget", True, "/orders-plan-pending", ("clientOid", ID)),
        ("hyperliquid", False, "/info", ("oid", CLOID)),
        ("krakenfutures", False, "/orders/status", None),
    ],
)
async def test_an_order_of_unknown_fate_is_asked_for_by_its_client_id(exchange_id, stop, path, part):
    exchange = await offline(exchange_id, {"price_orders": [], "": FOUND[exchange_id]()})
    await dialect_for(exchange_id).find(exchange, SYMBOLS[exchange_id], ID, stop=stop)
    sent = exchange.sent[0]
    assert sent.path.endswith(path)
    if part is None:
        assert ID in sent.url
    else:
        assert sent.fields[part[0]] == part[1]


FOUND = {
    "binanceusdm": partial(dict, REPLIES["binanceusdm"]),
    "bybit": lambda: {"retCode": 0, "result": {"list": []}},
    "okx": lambda: {"code": "0", "data": [{"ordId": "7", "instId": "BTC-USDT-SWAP"}]},
    "gate": lambda: {"id": 7, "contract": "BTC_USDT", "size": 1, "left": 1, "price": "1", "status": "open"},
    "kucoinfutures": lambda: {"code": "200000", "data": {"id": "7", "symbol": "XBTUSDTM"}},
    "bitget": lambda: {"code": "00000", "data": {"orderId": "7", "symbol": "BTCUSDT", "entrustedList": []}},
    "hyperliquid": lambda: {"status": "order", "order": {"order": {"oid": 7, "coin": "BTC"}, "status": "open"}},
    "krakenfutures": lambda: {"result": "success", "orders": []},
}
