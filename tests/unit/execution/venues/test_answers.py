"""What venues answer, parsed by ccxt from raw rows like theirs, and read by us."""

from decimal import Decimal

import pytest

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.orders import OrderType, Side
from alpha_pulse.errors import ConfigError, Rejected
from alpha_pulse.execution.venues import dialect_for
from alpha_pulse.execution.venues.structures import VenueStatus
from alpha_pulse.market.ccxt_mapping import instrument_of
from tests.unit.execution.venues.recorder import SYMBOLS, offline

D = Decimal
ID = "ap0x9zqgbhz0000042"
CLOID = "0x616c7068" + f"{int(ID, 36):024x}"
QUOTES = {"hyperliquid": "USDC", "krakenfutures": "USD"}


async def parts(exchange_id):
    exchange = await offline(exchange_id)
    market = exchange.market(SYMBOLS[exchange_id])
    pair = hedge_pair(SYMBOLS[exchange_id])
    return exchange, market, dialect_for(exchange_id), instrument_of(pair, market, exchange.precisionMode, 95_000.0)


async def read(exchange_id, raw):
    exchange, market, dialect, instrument = await parts(exchange_id)
    return dialect.order_of(exchange.parse_order(raw, market), market, instrument)


_BINANCE = {
    "orderId": 7, "clientOrderId": ID, "symbol": "BTCUSDT", "status": "PARTIALLY_FILLED", "side": "BUY", "type": "LIMIT",
        "price": "94000.5",
    "origQty": "0.25", "executedQty": "0.1", "cumQuote": "9400.05", "timeInForce": "GTX", "time": 1700000000000,
        "updateTime": 1700000000001,
    "positionSide": "BOTH", "stopPrice": "0",
}  # fmt: skip
_ALGO = {
    "algoId": 9, "clientAlgoId": ID, "algoType": "CONDITIONAL", "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL",
    "positionSide": "BOTH", "quantity": "0.25", "algoStatus": "NEW", "triggerPrice": "81000.5", "price": "0", "createTime": 1700000000000,
    "updateTime": 1700000000000, "actualOrderId": "",
}  # fmt: skip
PARTIAL = {
    "binanceusdm": _BINANCE,
    "bybit": {
        "orderId": "7", "orderLinkId": ID, "symbol": "BTCUSDT", "orderStatus": "PartiallyFilled", "side": "Buy", "orderType": "Limit",
        "price": "94000.5", "qty": "0.25", "cumExecQty": "0.1", "leavesQty": "0.15", "createdTime": "1700000000000", "triggerPrice": "",
        "timeInForce": "PostOnly", "tpslMode": "",
    },
    "okx": {
        "ordId": "7", "clOrdId": ID, "instId": "BTC-USDT-SWAP", "state": "partially_filled", "side": "buy", "ordType": "post_only",
        "px": "94000.5", "sz": "25", "accFillSz": "10", "cTime": "1700000000000", "category": "normal", "posSide": "net",
    },
    "gate": {
        "id": 7, "text": f"t-{ID}", "contract": "BTC_USDT", "status": "open", "size": 2500, "left": 1500, "price": "94000.5", "tif": "poc",
        "create_time": 1700000000.0,
    },
    "kucoinfutures": {
        "id": "7", "clientOid": ID, "symbol": "XBTUSDTM", "isActive": True, "cancelExist": False, "status": "open", "side": "buy",
        "type": "limit", "price": "94000.5", "size": 250, "filledSize": 100, "filledValue": "9400.05", "createdAt": 1700000000000,
            "stopPrice": None,
    },
    "bitget": {
        "orderId": "7", "clientOid": ID, "symbol": "BTCUSDT", "status": "partially_filled", "side": "buy", "orderType": "limit",
        "price": "94000.5", "size": "0.25", "baseVolume": "0.1", "cTime": "1700000000000", "posMode": "one_way_mode", "posSide": "net",
    },
    "hyperliquid": {
        "oid": 7, "cloid": CLOID, "coin": "BTC", "side": "B", "limitPx": "94000.5", "origSz": "0.25", "sz": "0.15",
            "timestamp": 1700000000000,
        "orderType": "Limit", "isTrigger": False, "ccxtStatus": "open", "tif": "Alo",
    },
    "krakenfutures": {
        "order_id": "7", "cliOrdId": ID, "symbol": "PF_XBTUSD", "status": "partiallyFilled", "side": "buy", "orderType": "lmt",
        "limitPrice": 94000.5, "unfilledSize": 0.15, "filledSize": 0.1, "receivedTime": "2023-11-14T22:13:20.000Z",
    },
}  # fmt: skip


@pytest.mark.parametrize("exchange_id", PARTIAL)
async def test_an_order_is_read_in_base_units_with_our_id(exchange_id):
    order = await read(exchange_id, PARTIAL[exchange_id])
    assert (order.client_order_id, order.venue_order_id, order.symbol) == (ID, "7", SYMBOLS[exchange_id])
    assert (order.side, order.type, order.quantity, order.filled) == (Side.BUY, OrderType.LIMIT, D("0.25"), D("0.1"))
    assert (order.status, order.trigger_price, order.triggered_order_id) == (VenueStatus.PARTIALLY_FILLED, None, "")
    assert order.created_ms == 1_700_000_000_000
    assert order.price == D("94000.5") or exchange_id == "krakenfutures"  # ccxt withholds Kraken's limit price


RESTING = {
    "binanceusdm": _ALGO,
    "bybit": PARTIAL["bybit"]
    | {"orderStatus": "Untriggered", "triggerPrice": "81000.5", "orderType": "Market", "side": "Sell", "cumExecQty": "0",
        "leavesQty": "0.25"},
    "okx": {
        "algoId": "9", "algoClOrdId": ID, "clOrdId": "", "instId": "BTC-USDT-SWAP", "state": "live", "side": "sell", "ordType": "trigger",
        "triggerPx": "81000.5", "sz": "25", "cTime": "1700000000000", "ordId": "", "ordIdList": [],
    },
    "gate": {
        "id": 9, "status": "open", "create_time": 1700000000, "order_type": "", "trade_id": 0,
        "initial": {"contract": "BTC_USDT", "size": -2500, "price": "0", "tif": "ioc", "text": f"t-{ID}"},
        "trigger": {"price": "81000.5", "price_type": 1, "rule": 2},
    },
    "kucoinfutures": PARTIAL["kucoinfutures"] | {"stop": "down", "stopPrice": "81000.5", "stopTriggered": False, "type": "market",
        "side": "sell", "filledSize": 0},
    "bitget": {
        "orderId": "9", "clientOid": ID, "symbol": "BTCUSDT", "planStatus": "live", "planType": "normal_plan", "side": "sell",
        "orderType": "market", "triggerPrice": "81000.5", "size": "0.25", "cTime": "1700000000000",
    },
    "hyperliquid": PARTIAL["hyperliquid"]
    | {"isTrigger": True, "triggerPx": "81000.5", "orderType": "Stop Market", "side": "A", "sz": "0.25"},
    "krakenfutures": PARTIAL["krakenfutures"]
    | {"orderType": "stop", "stopPrice": 81000.5, "side": "sell", "unfilledSize": 0.25, "filledSize": 0, "status": "untouched"},
}  # fmt: skip


@pytest.mark.parametrize("exchange_id", RESTING)
async def test_a_resting_stop_is_known_as_one(exchange_id):
    exchange, market, dialect, _ = await parts(exchange_id)
    found = exchange.parse_order(RESTING[exchange_id], market)
    order = await read(exchange_id, RESTING[exchange_id])
    assert dialect.is_stop(found)
    assert (order.client_order_id, order.type, order.side) == (ID, OrderType.STOP_MARKET, Side.SELL)
    assert (order.status, order.trigger_price) == (VenueStatus.OPEN, D("81000.5"))
    assert (order.quantity, order.filled, order.triggered_order_id) == (D("0.25"), D(0), "")


@pytest.mark.parametrize(
    ("exchange_id", "changes"),
    [
        ("binanceusdm", {"algoStatus": "FINISHED", "actualOrderId": "77"}),
        ("okx", {"state": "effective", "ordId": "77", "ordIdList": ["77"]}),
        ("gate", {"status": "finished", "finish_as": "succeeded", "trade_id": 77}),
        ("bitget", {"planStatus": "executed", "executeOrderId": "77"}),
    ],
)
async def test_a_stop_that_fired_names_the_order_that_it_became(exchange_id, changes):
    order = await read(exchange_id, RESTING[exchange_id] | changes)
    assert (order.status, order.triggered_order_id) == (VenueStatus.TRIGGERED, "77")
    assert not order.status.is_live


@pytest.mark.parametrize(
    ("exchange_id", "changes"),
    [("bybit", {"orderStatus": "New"}), ("kucoinfutures", {"stopTriggered": True}), ("okx", {"ordType": "market"})],
)
async def test_where_a_fired_stop_goes_on_under_its_id_it_is_an_ordinary_order(exchange_id, changes):
    exchange, market, dialect, _ = await parts(exchange_id)
    assert not dialect.is_stop(exchange.parse_order(RESTING[exchange_id] | changes, market))


@pytest.mark.parametrize(
    ("exchange_id", "changes", "status"),
    [
        ("binanceusdm", {"status": "FILLED", "executedQty": "0.25"}, VenueStatus.FILLED),
        ("binanceusdm", {"status": "NEW", "executedQty": "0"}, VenueStatus.OPEN),
        ("binanceusdm", {"status": "CANCELED"}, VenueStatus.CANCELLED),
        ("binanceusdm", {"status": "EXPIRED"}, VenueStatus.CANCELLED),
        ("binanceusdm", {"status": "EXPIRED_IN_MATCH"}, VenueStatus.CANCELLED),
        ("binanceusdm", {"status": "REJECTED", "executedQty": "0"}, VenueStatus.REJECTED),
        ("bybit", {"orderStatus": "PartiallyFilledCanceled"}, VenueStatus.CANCELLED),
        ("gate", {"status": "finished", "finish_as": "ioc"}, VenueStatus.CANCELLED),
        ("gate", {"status": "finished", "finish_as": "filled", "left": 0}, VenueStatus.FILLED),
        ("gate", {"status": "finished", "finish_as": "auto_deleveraging"}, VenueStatus.CANCELLED),
        ("kucoinfutures", {"isActive": False, "cancelExist": True}, VenueStatus.CANCELLED),
        ("hyperliquid", {"status": "scheduledCancel"}, VenueStatus.CANCELLED),
        ("hyperliquid", {"status": "badAloPxRejected"}, VenueStatus.REJECTED),
    ],
)
async def test_every_way_in_which_an_order_ends_is_understood(exchange_id, changes, status):
    assert (await read(exchange_id, PARTIAL[exchange_id] | changes)).status is status


@pytest.mark.parametrize(
    "changes",
    [
        {"orderId": None}, {"side": None}, {"side": "?"}, {"origQty": None}, {"origQty": "NaN"}, {"origQty": "-0.25"}, {"origQty": "0"},
        {"status": None}, {"status": "MYSTERY"}, {"executedQty": "0.5"}, {"executedQty": "-0.1"}, {"symbol": "1000PEPEUSDT"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_mangled_order_is_not_believed(changes):
    with pytest.raises((ValueError, ArithmeticError)):  # the second is ccxt's own, for NaN
        await read("binanceusdm", _BINANCE | changes)


@pytest.mark.parametrize("field", ["id", "side", "amount", "filled", "status"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
async def test_a_mangled_structure_is_not_believed(field, value):
    exchange, market, dialect, instrument = await parts("binanceusdm")
    with pytest.raises(ValueError, match="reply"):
        dialect.order_of(exchange.parse_order(_BINANCE, market) | {field: value}, market, instrument)


async def test_a_contract_that_changed_its_size_is_noticed():
    exchange, market, dialect, instrument = await parts("okx")
    with pytest.raises(ValueError, match="a contract is"):
        dialect.order_of(exchange.parse_order(PARTIAL["okx"], market), market | {"contractSize": 0.1}, instrument)


def test_an_acknowledgement_is_an_id_and_a_refusal_is_told():
    dialect = dialect_for("okx")
    assert dialect.accepted({"id": "7"}) == "7"
    with pytest.raises(Rejected):
        dialect.accepted({"id": None, "status": "rejected", "info": {"sMsg": "no"}})
    with pytest.raises(ValueError, match="order id"):
        dialect.accepted({"id": None})
    assert dialect_for("hyperliquid").accepted({"id": None, "info": {"status": "waitingForTrigger"}}) == ""


TRADES = {
    "binanceusdm": {
        "id": 3, "orderId": 7, "symbol": "BTCUSDT", "side": "SELL", "price": "94000.5", "qty": "0.25", "commission": "0.47",
            "commissionAsset": "USDT",
        "maker": True, "buyer": False, "time": 1700000000000, "positionSide": "BOTH",
    },
    "bybit": {
        "execId": "3", "orderId": "7", "orderLinkId": ID, "symbol": "BTCUSDT", "side": "Sell", "execPrice": "94000.5", "execQty": "0.25",
        "execFee": "0.47", "isMaker": True, "execTime": "1700000000000", "execType": "Trade",
    },
    "okx": {
        "tradeId": "3", "ordId": "7", "clOrdId": ID, "instId": "BTC-USDT-SWAP", "side": "sell", "fillPx": "94000.5", "fillSz": "25",
        "fee": "-0.47", "feeCcy": "USDT", "execType": "M", "ts": "1700000000000", "subType": "1",
    },
    "gate": {
        "id": 3, "order_id": "7", "contract": "BTC_USDT", "size": -2500, "price": "94000.5", "role": "maker", "text": f"t-{ID}",
        "fee": "0.47", "point_fee": "0", "create_time": 1700000000,
    },
    "kucoinfutures": {
        "tradeId": "3", "orderId": "7", "symbol": "XBTUSDTM", "side": "sell", "liquidity": "maker", "price": "94000.5", "size": 250,
            "fee": "0.47",
        "feeCurrency": "USDT", "createdAt": 1700000000000, "tradeType": "trade",
    },
    "bitget": {
        "tradeId": "3", "orderId": "7", "symbol": "BTCUSDT", "side": "sell", "price": "94000.5", "baseVolume": "0.25",
            "tradeScope": "maker",
        "feeDetail": [{"deduction": "no", "feeCoin": "USDT", "totalFee": "-0.47"}], "posMode": "one_way_mode", "cTime": "1700000000000",
        "tradeSide": "sell_single",
    },
    "hyperliquid": {
        "tid": 3, "oid": 7, "cloid": CLOID, "coin": "BTC", "side": "A", "px": "94000.5", "sz": "0.25", "fee": "0.47", "feeToken": "USDC",
        "crossed": False, "time": 1700000000000, "dir": "Open Short",
    },
    "krakenfutures": {
        "fill_id": "3", "order_id": "7", "cliOrdId": ID, "symbol": "PF_XBTUSD", "side": "sell", "size": 0.25, "price": 94000.5,
        "fillTime": "2023-11-14T22:13:20.000Z", "fillType": "maker",
    },
}  # fmt: skip


async def traded(exchange_id, changes=()):
    exchange, market, dialect, _ = await parts(exchange_id)
    return dialect.trade_of(exchange.parse_trade(TRADES[exchange_id] | dict(changes), market), market)


@pytest.mark.parametrize("exchange_id", TRADES)
async def test_a_trade_is_read_in_base_units(exchange_id):
    trade = await traded(exchange_id)
    assert (trade.trade_id, trade.venue_order_id, trade.side) == ("3", "7", Side.SELL)
    assert (trade.price, trade.quantity, trade.maker, trade.ts_ms) == (D("94000.5"), D("0.25"), True, 1_700_000_000_000)
    assert trade.fee_currency == QUOTES.get(exchange_id, "USDT")
    assert trade.fee == (D("4.700025") if exchange_id == "krakenfutures" else D("0.47"))  # ccxt reckons Kraken's from the rate
    assert trade.client_order_id in {ID, ""}
    assert trade.reason == ""


@pytest.mark.parametrize(
    "changes",
    [{"price": "NaN"}, {"price": None}, {"price": "-1"}, {"qty": "0"}, {"qty": None}, {"qty": "-1"}, {"qty": "Infinity"}, {"id": None},
     {"orderId": None}, {"time": None}, {"side": None}, {"commission": None}, {"commission": "NaN"}],
    ids=str,
)  # fmt: skip
async def test_a_mangled_trade_is_not_believed(changes):
    with pytest.raises((ValueError, ArithmeticError)):
        await traded("binanceusdm", changes)


@pytest.mark.parametrize(
    ("exchange_id", "changes", "reason"),
    [
        ("bybit", {"execType": "BustTrade"}, "liquidation"), ("bybit", {"execType": "AdlTrade"}, "adl"), ("okx", {"subType": "100"},
            "liquidation"),
        ("okx", {"subType": "125"}, "adl"), ("gate", {"text": "liq-123"}, "liquidation"), ("gate", {"text": "auto_deleveraging"}, "adl"),
        ("kucoinfutures", {"tradeType": "liquidation"}, "liquidation"), ("kucoinfutures", {"tradeType": "adl"}, "adl"),
        ("bitget", {"tradeSide": "burst_close_long"}, "liquidation"), ("hyperliquid", {"dir": "Auto-Deleveraging"}, "adl"),
        ("hyperliquid", {"liquidation": {"liquidatedUser": "0x"}}, "liquidation"), ("krakenfutures", {"fillType": "liquidation"},
            "liquidation"),
    ],
)  # fmt: skip
async def test_a_trade_that_the_venue_made_for_us_is_named(exchange_id, changes, reason):
    exchange, market, dialect, _ = await parts(exchange_id)
    assert dialect.reason_of_trade(exchange.parse_trade(TRADES[exchange_id] | changes, market)) == reason


@pytest.mark.parametrize(("theirs", "reason"), [("autoclose-1700000000", "liquidation"), ("adl_autoclose", "adl"), (ID, "")])
def test_binance_names_its_own_orders(theirs, reason):
    assert dialect_for("binanceusdm").reason_of_trade(theirs) == reason
    assert dialect_for("binanceusdm").reason_of_trade({"clientOrderId": theirs, "info": {}}) == reason


async def test_fees_in_several_coins_are_all_kept():
    trade = await traded("gate", {"fee": "0.1", "gt_fee": "0.3"})
    assert (trade.fee, trade.fee_currency, trade.other_fees) == (D("0.3"), "GT", (("USDT", D("0.1")),))


BALANCES = {
    "binanceusdm": {"totalWalletBalance": "1000.5", "assets": [{"asset": "USDT", "walletBalance": "1000.5", "unrealizedProfit": "7"}]},
    "bybit": {"result": {"list": [{"coin": [{"coin": "USDT", "walletBalance": "1000.5", "equity": "1007.5"}]}]}},
    "okx": {"data": [{"details": [{"ccy": "USDT", "cashBal": "1000.5", "eq": "1007.5"}]}]},
    "gate": [{"currency": "USDT", "total": "1000.5", "unrealised_pnl": "7"}],
    "kucoinfutures": {"data": {"currency": "USDT", "accountEquity": 1007.5, "unrealisedPNL": 7, "marginBalance": 1000.5}},
    "bitget": [{"marginCoin": "USDT", "accountEquity": "1007.5", "unrealizedPL": "7"}],
    "hyperliquid": {"marginSummary": {"accountValue": "1007.5"}, "assetPositions": [{"position": {"coin": "BTC", "unrealizedPnl": "7"}}]},
    "krakenfutures": {"accounts": {"flex": {"balanceValue": 1000.5, "currencies": {"USD": {"quantity": 1000.5}}}}},
}


@pytest.mark.parametrize("exchange_id", BALANCES)
def test_the_wallet_is_cash_without_unrealised_profit(exchange_id):
    quote = QUOTES.get(exchange_id, "USDT")
    assert dialect_for(exchange_id).wallet_of({"info": BALANCES[exchange_id]}, quote) == D("1000.5")


@pytest.mark.parametrize("exchange_id", BALANCES)
@pytest.mark.parametrize(
    "info", [None, "", "<html>", {}, [], [None], {"assets": None}, {"data": None}, {"result": None}, {"accounts": {}}], ids=str
)
def test_an_empty_or_foreign_reply_is_no_balance(exchange_id, info):
    with pytest.raises(ValueError, match="reply"):
        dialect_for(exchange_id).wallet_of({"info": info}, QUOTES.get(exchange_id, "USDT"))


def test_null_fields_are_no_balance():
    nulls = {"totalWalletBalance": "1", "assets": [{"asset": "USDT", "walletBalance": None}]}
    with pytest.raises(ValueError, match="walletBalance"):
        dialect_for("binanceusdm").wallet_of({"info": nulls}, "USDT")
    assert dialect_for("binanceusdm").wallet_of({"info": BALANCES["binanceusdm"]}, "USDC") == 0


def row(**changes):
    return {"symbol": "BTC/USDT:USDT", "contracts": 150.0, "side": "short", "entryPrice": 95000.5, "leverage": 3.0, "marginMode": "cross",
            "liquidationPrice": 124000.0} | changes  # fmt: skip


async def position(rows, exchange_id="okx", *, hedge_mode=False, sign=1):
    _, market, dialect, _ = await parts(exchange_id)
    return dialect.position_of(rows, "BTC/USDT:USDT", market, hedge_mode, sign)


async def test_a_position_is_signed_and_in_base_units():
    found = await position([row(), row(symbol="ETH/USDT:USDT", contracts=9.0)])
    assert (found.quantity, found.entry_price, found.leverage) == (D("-1.5"), D("95000.5"), D("3.0"))
    assert (found.margin_mode, found.liquidation_price) == ("cross", D("124000.0"))
    assert (await position([row(side="long")])).quantity == D("1.5")


async def test_no_row_and_a_row_of_nothing_are_flat():
    assert (await position([])).quantity == 0
    flat = await position([row(contracts=0.0, side=None, entryPrice=0.0, liquidationPrice=0.0)])
    assert (flat.quantity, flat.entry_price, flat.liquidation_price, flat.leverage) == (0, None, None, D("3.0"))


async def test_in_hedge_mode_the_leg_against_the_inventory_is_ours():
    rows = [row(), row(side="long", contracts=20.0)]
    long_inventory = await position(rows, hedge_mode=True)
    assert (long_inventory.quantity, long_inventory.other_leg) == (D("-1.5"), D("0.2"))
    short_inventory = await position(rows, hedge_mode=True, sign=-1)
    assert (short_inventory.quantity, short_inventory.other_leg) == (D("0.2"), D("-1.5"))


@pytest.mark.parametrize(
    "rows", [[row(contracts=None)], [row(contracts=-1.0)], [row(side=None)], [row(), row(side="long")], [row(), row()]]
)
async def test_a_mangled_position_is_not_believed(rows):
    with pytest.raises(ValueError, match=r"reply|account"):
        await position(rows)


def test_a_venue_without_a_dialect_says_what_it_cannot_do():
    with pytest.raises(ConfigError, match="choose one of"):
        dialect_for("phemex").wallet_of({"info": {}}, "USDT")
