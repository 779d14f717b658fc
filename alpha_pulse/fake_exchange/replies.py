"""Binance's JSON for what the venue holds: the futures side. Numbers travel as text, as there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.fake_exchange.account import FakeAccount
from alpha_pulse.fake_exchange.desk import Desk
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, AlgoOrder, Income, Trade, VenueOrder
from alpha_pulse.fake_exchange.stream_text import text

Json = dict[str, Any]

_KINDS = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
_MOST = "1000000000"
_MAX_LEVERAGE = 125


def order_json(order: VenueOrder, *, accepted_only: bool = False) -> Json:
    """An order. ``accepted_only`` is Binance's ACK: it does not tell yet what the order took."""
    filled, quote, average, status = order.filled, order.quote_filled, order.average, order.status
    if accepted_only:
        filled, quote, average, status = ZERO, ZERO, ZERO, "NEW"
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": status,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "avgPrice": text(average),
        "origQty": text(order.quantity),
        "executedQty": text(filled),
        "cumQty": text(filled),
        "cumQuote": text(quote),
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": order.position_side,
        "stopPrice": text(order.stop_price),
        "workingType": order.working_type,
        "priceProtect": False,
        "origType": order.orig_type or order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def algo_json(algo: AlgoOrder) -> Json:
    """A conditional order."""
    actual = algo.actual
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": text(algo.quantity),
        "algoStatus": algo.status,
        "actualOrderId": "" if actual is None else str(actual.order_id),
        "actualPrice": "0" if actual is None else text(actual.average),
        "actualQty": "0" if actual is None else text(actual.filled),
        "triggerPrice": text(algo.trigger_price),
        "price": text(algo.price),
        "icebergQuantity": None,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }


def trade_json(trade: Trade, asset: str) -> Json:
    """A fill, as ``userTrades`` lists it."""
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "side": trade.side,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "realizedPnl": text(trade.realized),
        "marginAsset": asset,
        "quoteQty": text(trade.quote),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.ts_ms,
        "positionSide": trade.position_side,
        "buyer": trade.side == "BUY",
        "maker": trade.maker,
    }


def income_json(income: Income) -> Json:
    """A movement of the wallet."""
    return {
        "symbol": income.symbol,
        "incomeType": income.kind,
        "income": text(income.amount),
        "asset": income.asset,
        "info": income.info or income.trade_id,
        "time": income.ts_ms,
        "tranId": income.id,
        "tradeId": income.trade_id,
    }


def position_json(account: FakeAccount, desk: Desk, *, version: int = 3) -> Json:
    """A row of ``positionRisk``."""
    market = desk.market
    leverage = account.leverage_of(market.name)
    notional = desk.quantity * market.mark
    margin = abs(notional) / leverage
    upkeep = desk.engine.exposure()[1]
    isolated = account.margin_type_of(market.name) == "ISOLATED"
    row: Json = {
        "symbol": market.name,
        "positionSide": desk.side,
        "positionAmt": text(desk.quantity),
        "entryPrice": text(desk.entry),
        "breakEvenPrice": text(desk.entry),
        "markPrice": text(market.mark),
        "unRealizedProfit": text(desk.unrealized),
        "liquidationPrice": _plain(desk.liquidation_price()),
        "isolatedMargin": text(margin) if isolated and desk.quantity else "0",
        "notional": text(notional),
        "marginAsset": desk.engine.instrument.quote,
        "isolatedWallet": text(margin) if isolated and desk.quantity else "0",
        "initialMargin": text(margin),
        "maintMargin": _plain(upkeep),
        "positionInitialMargin": text(margin),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": desk.updated_ms,
    }
    if version == 2:  # noqa: PLR2004 - the endpoint's version
        kind = "isolated" if isolated else "cross"
        row |= {"leverage": str(leverage), "marginType": kind, "isAutoAddMargin": "false", "maxNotionalValue": _MOST}
    return row


def account_json(account: FakeAccount) -> Json:
    """``GET /fapi/v3/account``, with the keys of version 2 beside them."""
    assets = [asset_json(account, asset) for asset in ("USDT", "USDC", "BNB")]
    first = assets[0]
    return {
        "feeTier": 0,
        "canTrade": account.can_trade,
        "canDeposit": True,
        "canWithdraw": account.can_withdraw,
        "multiAssetsMargin": account.multi_assets,
        "updateTime": 0,
        "totalInitialMargin": first["initialMargin"],
        "totalMaintMargin": first["maintMargin"],
        "totalWalletBalance": first["walletBalance"],
        "totalUnrealizedProfit": first["unrealizedProfit"],
        "totalMarginBalance": first["marginBalance"],
        "totalPositionInitialMargin": first["positionInitialMargin"],
        "totalOpenOrderInitialMargin": first["openOrderInitialMargin"],
        "totalCrossWalletBalance": first["crossWalletBalance"],
        "totalCrossUnPnl": first["crossUnPnl"],
        "availableBalance": first["availableBalance"],
        "maxWithdrawAmount": first["maxWithdrawAmount"],
        "assets": assets,
        "positions": [_account_row(account, desk) for desk in account.desks.values()],
    }


def _account_row(account: FakeAccount, desk: Desk) -> Json:
    """A position as ``GET /fapi/v3/account`` shows it."""
    risk = position_json(account, desk)
    alike = (
        "symbol",
        "positionSide",
        "positionAmt",
        "isolatedMargin",
        "notional",
        "isolatedWallet",
        "initialMargin",
        "maintMargin",
        "updateTime",
    )
    return {name: risk[name] for name in alike} | {
        "unrealizedProfit": risk["unRealizedProfit"],
        "leverage": str(account.leverage_of(desk.market.name)),
        "entryPrice": risk["entryPrice"],
        "positionInitialMargin": risk["initialMargin"],
        "openOrderInitialMargin": "0",
        "isolated": account.margin_type_of(desk.market.name) == "ISOLATED",
        "breakEvenPrice": risk["entryPrice"],
        "maxNotional": _MOST,
    }


def asset_json(account: FakeAccount, asset: str) -> Json:
    """One wallet of the account."""
    wallet = account.balance(asset)
    desks = [desk for desk in account.desks.values() if desk.engine.instrument.quote == asset]
    unrealized = sum((desk.unrealized for desk in desks), ZERO)
    held = sum((abs(desk.quantity) * desk.market.mark / account.leverage_of(desk.market.name) for desk in desks), ZERO)
    upkeep = sum(desk.engine.exposure()[1] for desk in desks)
    resting = sum(
        (
            (order.quantity - order.filled) * order.price / account.leverage_of(order.symbol)
            for order in account.open_orders()
            if not order.reduce_only and account.venue.markets[order.symbol].listed.quote == asset
        ),
        ZERO,
    )
    free = text(max(ZERO, wallet + unrealized - held - resting))
    return {
        "asset": asset,
        "walletBalance": text(wallet),
        "unrealizedProfit": text(unrealized),
        "marginBalance": text(wallet + unrealized),
        "maintMargin": _plain(upkeep),
        "initialMargin": text(held + resting),
        "positionInitialMargin": text(held),
        "openOrderInitialMargin": text(resting),
        "crossWalletBalance": text(wallet),
        "crossUnPnl": text(unrealized),
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "marginAvailable": True,
        "updateTime": account.venue.now_ms(),
    }


def balance_json(account: FakeAccount, asset: str) -> Json:
    """A row of ``/fapi/v3/balance``."""
    row = asset_json(account, asset)
    return {
        "accountAlias": "fake",
        "asset": asset,
        "balance": row["walletBalance"],
        "crossWalletBalance": row["crossWalletBalance"],
        "crossUnPnl": row["crossUnPnl"],
        "availableBalance": row["availableBalance"],
        "maxWithdrawAmount": row["maxWithdrawAmount"],
        "marginAvailable": True,
        "updateTime": row["updateTime"],
    }


def symbol_json(market: SymbolMarket) -> Json:
    """A perpetual in ``/fapi/v1/exchangeInfo``."""
    rules = market.listed
    return {
        "symbol": market.name,
        "pair": market.name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": market.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": rules.base,
        "quoteAsset": rules.quote,
        "marginAsset": rules.quote,
        "pricePrecision": _places(rules.tick_size),
        "quantityPrecision": _places(rules.lot_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.005000",
        "marketTakeBound": "0.05",
        "orderTypes": _KINDS,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": text(rules.tick_size), "minPrice": text(rules.tick_size), "maxPrice": _MOST},
            {"filterType": "LOT_SIZE", "stepSize": text(rules.lot_size), "minQty": text(rules.min_quantity), "maxQty": _MOST},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": text(rules.lot_size), "minQty": text(rules.min_quantity), "maxQty": _MOST},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": text(rules.min_notional)},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        ],
    }


def brackets_json(market: SymbolMarket) -> Json:
    """A symbol of ``/fapi/v1/leverageBracket``."""
    rows, floor = [], ZERO
    for number, tier in enumerate(market.listed.margin_tiers, 1):
        rows.append(
            {
                "bracket": number,
                "initialLeverage": max(1, min(_MAX_LEVERAGE, int(Decimal("0.5") / tier.maintenance_rate))),
                "notionalCap": int(tier.max_notional),
                "notionalFloor": int(floor),
                "maintMarginRatio": float(tier.maintenance_rate),
                "cum": float(tier.maintenance_amount),
            }
        )
        floor = tier.max_notional
    return {"symbol": market.name, "notionalCoef": 1.0, "brackets": rows}


def most_leverage(instrument: Instrument) -> int:
    """The largest leverage that a symbol allows."""
    return max(1, min(_MAX_LEVERAGE, int(Decimal("0.5") / instrument.margin_tiers[0].maintenance_rate)))


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _plain(value: float) -> str:
    return text(Decimal(repr(round(value, 8))))
