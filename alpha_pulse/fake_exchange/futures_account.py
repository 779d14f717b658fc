"""The endpoints of a USD-M futures account: balances, positions, history, settings, the listen key."""

from __future__ import annotations

from typing import Any, Final

from alpha_pulse.fake_exchange.calls import KEYED, Call, Table, window
from alpha_pulse.fake_exchange.desk import Desk
from alpha_pulse.fake_exchange.entry import flag_of, market_of, text_of
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.replies import (
    Json,
    account_json,
    balance_json,
    brackets_json,
    income_json,
    most_leverage,
    position_json,
    trade_json,
)
from alpha_pulse.fake_exchange.stream_text import text

table = Table()
_FAR: Final = 1 << 62
_OK: Final = {"code": 200, "msg": "success"}


@table.add("GET /fapi/v3/account", "GET /fapi/v2/account", weight=5)
def _account(call: Call) -> Any:
    return account_json(call.account)


@table.add("GET /fapi/v3/balance", "GET /fapi/v2/balance", weight=5)
def _balance(call: Call) -> Any:
    return [balance_json(call.account, asset) for asset in ("USDT", "USDC", "BNB")]


@table.add("GET /fapi/v3/positionRisk", weight=5)
def _positions(call: Call) -> Any:
    """Only what is held or has resting orders, as Binance's version 3."""
    account = call.account
    symbol = market_of(account, call.params).name if call.params.get("symbol") else None
    busy = {(o.symbol, o.position_side) for o in account.open_orders()}
    rows = [desk for key, desk in account.desks.items() if (desk.quantity or key in busy) and symbol in {None, desk.market.name}]
    return [position_json(account, desk) for desk in rows]


@table.add("GET /fapi/v2/positionRisk", weight=5)
def _positions_v2(call: Call) -> Any:
    """Every symbol and side, held or not, as Binance's version 2."""
    account = call.account
    asked = [market_of(account, call.params)] if call.params.get("symbol") else list(call.venue.markets.values())
    desks: list[Desk] = [account.desk(market, side) for market in asked for side in (("LONG", "SHORT") if account.dual else ("BOTH",))]
    return [position_json(account, desk, version=2) for desk in desks]


@table.add("GET /fapi/v1/userTrades", weight=5)
def _trades(call: Call) -> Any:
    market = market_of(call.account, call.params)
    rows = [trade for trade in call.account.trades if trade.symbol == market.name]
    if call.params.get("orderId"):
        rows = [trade for trade in rows if trade.order_id == call.number("orderId", 0)]
    limit = min(1000, call.number("limit", 500))
    first = call.number("fromId", 0)
    if first:
        return [trade_json(trade, market.listed.quote) for trade in rows if trade.id >= first][:limit]
    chosen = window(rows, call.number("startTime", 0), call.number("endTime", _FAR), limit, at=lambda trade: int(trade.ts_ms))
    return [trade_json(trade, market.listed.quote) for trade in chosen]


@table.add("GET /fapi/v1/income", weight=30)
def _income(call: Call) -> Any:
    symbol, kind = call.params.get("symbol"), call.params.get("incomeType")
    rows = [row for row in call.account.income if symbol in {None, "", row.symbol} and kind in {None, "", row.kind}]
    limit = min(1000, call.number("limit", 100))
    found = window(rows, call.number("startTime", 0), call.number("endTime", _FAR), 1 << 30, at=lambda row: int(row.ts_ms))
    page = call.number("page", 1) - 1
    chosen = found[page * limit : (page + 1) * limit] if page or call.number("startTime", 0) else found[-limit:]
    return [income_json(row) for row in chosen]


@table.add("GET /fapi/v1/leverageBracket")
def _brackets(call: Call) -> Any:
    asked = [market_of(call.account, call.params)] if call.params.get("symbol") else list(call.venue.markets.values())
    return [brackets_json(market) for market in asked]


# --- settings -------------------------------------------------------------------------------------------------------------
@table.add("POST /fapi/v1/leverage")
def _set_leverage(call: Call) -> Any:
    market = market_of(call.account, call.params)
    leverage = call.number("leverage", 0)
    if not 1 <= leverage <= most_leverage(market.listed):
        raise Refusal(-4028, f"Leverage {leverage} is not valid")
    call.account.set_leverage(market, leverage)
    return {"leverage": leverage, "maxNotionalValue": "1000000000", "symbol": market.name}


@table.add("POST /fapi/v1/marginType")
def _set_margin_type(call: Call) -> Any:
    account, market = call.account, market_of(call.account, call.params)
    wanted = text_of(call.params, "marginType").upper()
    if wanted not in {"CROSSED", "ISOLATED"}:
        raise Refusal(-1102)
    if wanted == account.margin_type_of(market.name):
        raise Refusal(-4046)
    if account.open_orders(market.name):
        raise Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
    if account.position(market.name):
        raise Refusal(-4048, "Margin type cannot be changed if there exists position.")
    account.margin_types[market.name] = wanted
    return _OK


@table.add("GET /fapi/v1/positionSide/dual", weight=30)
def _get_dual(call: Call) -> Any:
    return {"dualSidePosition": call.account.dual}


@table.add("POST /fapi/v1/positionSide/dual")
def _set_dual(call: Call) -> Any:
    text_of(call.params, "dualSidePosition")
    call.account.set_position_mode(dual=flag_of(call.params, "dualSidePosition"))
    return _OK


@table.add("GET /fapi/v1/multiAssetsMargin", weight=30)
def _get_multi(call: Call) -> Any:
    return {"multiAssetsMargin": call.account.multi_assets}


@table.add("POST /fapi/v1/multiAssetsMargin")
def _set_multi(call: Call) -> Any:
    wanted = flag_of(call.params, "multiAssetsMargin")
    if wanted == call.account.multi_assets:
        raise Refusal(-4171, "No need to change multi assets margin mode.")
    call.account.multi_assets = wanted
    return _OK


@table.add("GET /fapi/v1/symbolConfig", weight=5)
def _symbol_config(call: Call) -> Any:
    account = call.account
    asked = [market_of(account, call.params)] if call.params.get("symbol") else list(call.venue.markets.values())
    return [
        {
            "symbol": market.name,
            "marginType": account.margin_type_of(market.name),
            "isAutoAddMargin": False,
            "leverage": account.leverage_of(market.name),
            "maxNotionalValue": "1000000000",
        }
        for market in asked
    ]


@table.add("GET /fapi/v1/accountConfig", weight=5)
def _account_config(call: Call) -> Any:
    account = call.account
    return {
        "feeTier": 0,
        "canTrade": account.can_trade,
        "canDeposit": True,
        "canWithdraw": account.can_withdraw,
        "dualSidePosition": account.dual,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        "tradeGroupId": -1,
    }


@table.add("GET /fapi/v1/commissionRate", weight=20)
def _commission(call: Call) -> Any:
    market, config = market_of(call.account, call.params), call.account.config
    return {"symbol": market.name, "makerCommissionRate": text(config.maker_fee), "takerCommissionRate": text(config.taker_fee)}


@table.add("GET /fapi/v1/feeBurn", weight=30)
def _fee_burn(call: Call) -> Any:
    return {"feeBurn": call.account.config.fee_asset == "BNB"}


@table.add("GET /fapi/v1/apiTradingStatus")
def _trading_status(call: Call) -> Any:
    return {"indicators": {}, "updateTime": call.venue.now_ms()}


@table.add("GET /sapi/v1/account/apiRestrictions")
def _restrictions(call: Call) -> Any:
    account = call.account
    row: Json = {
        "ipRestrict": False,
        "createTime": 1_600_000_000_000,
        "enableReading": True,
        "enableFutures": account.can_trade,
        "enableSpotAndMarginTrading": account.can_trade,
        "enableWithdrawals": account.can_withdraw,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableMargin": False,
    }
    return row


# --- the user data stream ---------------------------------------------------------------------------------------------------
@table.add("POST /fapi/v1/listenKey", door=KEYED)
def _listen_key(call: Call) -> Any:
    return {"listenKey": call.account.listen_key()}


@table.add("PUT /fapi/v1/listenKey", door=KEYED)
def _renew_listen_key(call: Call) -> Any:
    return {"listenKey": call.account.renew_listen_key()}


@table.add("DELETE /fapi/v1/listenKey", door=KEYED)
def _close_listen_key(call: Call) -> Any:
    call.account.close_listen_key()
    return {}
