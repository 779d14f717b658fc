"""ccxt exchanges that never leave the machine: they build and sign each request, and a recorder answers it."""

import json
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

import ccxt.async_support as ccxt

from alpha_pulse.execution.venues import dialect_for

SYMBOLS = {
    "binanceusdm": "BTC/USDT:USDT", "bybit": "BTC/USDT:USDT", "okx": "BTC/USDT:USDT", "gate": "BTC/USDT:USDT",
    "kucoinfutures": "BTC/USDT:USDT", "bitget": "BTC/USDT:USDT", "hyperliquid": "BTC/USDC:USDC", "krakenfutures": "BTC/USD:USD",
}  # fmt: skip
PEPES = {
    "binanceusdm": "1000PEPE/USDT:USDT", "bybit": "1000PEPE/USDT:USDT", "okx": "PEPE/USDT:USDT", "gate": "PEPE/USDT:USDT",
    "kucoinfutures": "PEPE/USDT:USDT", "bitget": "PEPE/USDT:USDT", "hyperliquid": "KPEPE/USDC:USDC", "krakenfutures": "PEPE/USD:USD",
}  # fmt: skip


def _binance(symbol, base, tick, step, notional):
    return {
        "symbol": symbol, "pair": symbol, "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
        "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "120", "stepSize": step},
            {"filterType": "MIN_NOTIONAL", "notional": notional},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }  # fmt: skip


def _bybit(symbol, base, tick, step):
    return {
        "symbol": symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": base, "quoteCoin": "USDT",
        "launchTime": "1584230400000", "deliveryTime": "0", "priceScale": "2", "settleCoin": "USDT", "fundingInterval": 480,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": step, "qtyStep": step, "minNotionalValue": "5"},
    }  # fmt: skip


def _okx(base, contract, tick, lot):
    return {
        "instId": f"{base}-USDT-SWAP", "instType": "SWAP", "uly": f"{base}-USDT", "instFamily": f"{base}-USDT", "baseCcy": "",
        "quoteCcy": "", "settleCcy": "USDT", "ctVal": contract, "ctMult": "1", "ctValCcy": base, "ctType": "linear", "lever": "100",
        "listTime": "1573557408000", "expTime": "", "tickSz": tick, "lotSz": lot, "minSz": lot, "state": "live", "alias": "", "optType": "",
        "stk": "", "category": "1", "maxLmtSz": "100000000",
    }  # fmt: skip


def _gate(name, contract, tick):
    return {
        "name": name, "type": "direct", "quanto_multiplier": contract, "order_price_round": tick, "mark_price_round": tick,
        "order_size_min": 1, "order_size_max": 1000000, "enable_decimal": False, "leverage_min": "1", "leverage_max": "100",
        "order_price_deviate": "0.5", "mark_price": "95000", "funding_interval": 28800, "status": "trading", "in_delisting": False,
        "maintenance_rate": "0.005", "maker_fee_rate": "-0.0001", "taker_fee_rate": "0.00075", "create_time": 1758124392,
    }  # fmt: skip


def _kucoin(symbol, base, contract, tick):
    return {
        "symbol": symbol, "rootSymbol": "USDT", "type": "FFWCSX", "firstOpenDate": 1585555200000, "expireDate": None, "settleDate": None,
        "baseCurrency": base, "quoteCurrency": "USDT", "settleCurrency": "USDT", "maxOrderQty": 1000000, "maxPrice": 1000000.0,
        "lotSize": 1, "tickSize": tick, "indexPriceTickSize": tick, "multiplier": contract, "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0006, "isInverse": False, "nextFundingRateTime": 25481884, "status": "Open", "maxLeverage": 100,
    }  # fmt: skip


def _bitget(base, tick, places, step):
    return {
        "symbol": f"{base}USDT", "baseCoin": base, "quoteCoin": "USDT", "supportMarginCoins": ["USDT"], "symbolType": "perpetual",
        "minTradeNum": step, "priceEndStep": tick, "volumePlace": "3", "pricePlace": places, "sizeMultiplier": step,
            "symbolStatus": "normal",
        "makerFeeRate": "0.0002", "takerFeeRate": "0.0006", "minLever": "1", "maxLever": "125", "minTradeUSDT": "5", "fundInterval": "8",
        "deliveryTime": "", "launchTime": "", "limitOpenTime": "-1", "openTime": "", "maxMarketOrderQty": "220", "maxOrderQty": "1200",
    }  # fmt: skip


def _kraken(symbol, base, tick, precision):
    return {
        "symbol": symbol, "pair": f"{base}:USD", "base": base, "quote": "USD", "type": "flexible_futures", "tickSize": tick,
        "contractSize": 1, "tradeable": True, "impactMidSize": 1, "maxPositionSize": 1000000, "openingDate": "2022-03-22T14:32:28.000Z",
        "contractValueTradePrecision": precision, "postOnly": False, "isin": "", "fundingRateCoefficient": 8, "tradfi": False,
        "marginLevels": [{"numNonContractUnits": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
    }  # fmt: skip


def _universe(name, decimals, price):
    return {"name": name, "szDecimals": decimals, "maxLeverage": 40}, {"markPx": price, "midPx": price, "funding": "0.00001"}


_COINS = [_universe("BTC", 5, "95000.0"), _universe("kPEPE", 0, "0.012345")]

MARKETS = {
    "binanceusdm": {
        "/exchangeInfo": {"symbols": [_binance("BTCUSDT", "BTC", "0.10", "0.001", "100"), _binance("1000PEPEUSDT", "1000PEPE",
            "0.0000001", "1", "5")]}
    },
    "bybit": {
        "category=linear": {
            "retCode": 0,
            "result": {"category": "linear", "list": [_bybit("BTCUSDT", "BTC", "0.10", "0.001"), _bybit("1000PEPEUSDT", "1000PEPE",
                "0.0000001", "100")]},
        }
    },
    "okx": {"instType=SWAP": {"code": "0", "data": [_okx("BTC", "0.01", "0.1", "0.01"), _okx("PEPE", "10000000", "0.000000001", "0.1")]}},
    "gate": {"futures/usdt/contracts": [_gate("BTC_USDT", "0.0001", "0.1"), _gate("PEPE_USDT", "10000000", "0.0000000001")]},
    "kucoinfutures": {
        "contracts/active": {
            "code": "200000",
            "data": [_kucoin("XBTUSDTM", "XBT", 0.001, 0.1), _kucoin("PEPEUSDTM", "PEPE", 10000, 0.0000000001)],
        }
    },
    "bitget": {"productType=USDT-FUTURES": {"code": "00000", "data": [_bitget("BTC", "1", "1", "0.0001"), _bitget("PEPE", "1", "10",
        "1000")]}},
    "hyperliquid": {"metaAndAssetCtxs": [{"universe": [coin for coin, _ in _COINS]}, [context for _, context in _COINS]]},
    "krakenfutures": {
        "/instruments": {"result": "success", "instruments": [_kraken("PF_XBTUSD", "BTC", 1, 4), _kraken("PF_PEPEUSD", "PEPE",
            0.00000001, -3)]}
    },
}  # fmt: skip

_EMPTY = {
    "binanceusdm": {}, "bybit": {"retCode": 0, "result": {"list": []}}, "okx": {"code": "0", "data": []}, "gate": [],
    "kucoinfutures": {"code": "200000", "data": []}, "bitget": {"code": "00000", "data": []}, "hyperliquid": [],
    "krakenfutures": {"result": "success", "instruments": []},
}  # fmt: skip
_OPTIONS = {
    "bybit": {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "fetchMarkets": {"types": ["linear"]}},
    "okx": {"fetchMarkets": {"types": ["swap"]}},
    "gate": {"unifiedAccount": False, "fetchMarkets": {"types": ["swap"]}, "defaultType": "swap"},
    "kucoinfutures": {"uta": False},
    "bitget": {"uta": False, "fetchMarkets": {"types": ["swap"]}, "defaultType": "swap"},
    "hyperliquid": {"fetchMarkets": {"types": ["swap"]}},
}
_LOADED = {}  # by exchange: parsed once, they are the same for every test


@dataclass(frozen=True)
class Sent:
    """One request as it would have left."""

    method: str
    url: str
    headers: dict
    fields: dict  # of the body or the query, whichever the venue signs

    @property
    def path(self):
        return urlsplit(self.url).path


async def offline(exchange_id, answers=None, options=None):
    """An exchange with its markets loaded; ``answers`` by a part of the URL or body. ``exchange.sent`` is what was asked."""
    base = getattr(ccxt, exchange_id)

    async def fetch(self, url, method="GET", headers=None, body=None):
        said = f"{unquote(url)} {body}"
        for part, answer in self.answers.items():
            if part in said:
                self.sent.append(Sent(method, url, dict(headers or {}), _fields(url, body)))
                if isinstance(answer, Exception):
                    raise answer
                self.last_json_response = answer
                return answer
        if self.loading:
            return _EMPTY[exchange_id]
        raise AssertionError(f"nobody expected {method} {said}")

    kind = type(f"Offline{exchange_id}", (base,), {"fetch": fetch})
    exchange = kind(
        {
            "apiKey": "key", "secret": "c2VjcmV0c2VjcmV0", "password": "phrase", "walletAddress": "0x" + "ab" * 20,
            "privateKey": "0x" + "11" * 32, "enableRateLimit": False,
            "options": {"fetchCurrencies": False, "fetchMargins": False, **_OPTIONS.get(exchange_id, {}), **(options or {})},
        }
    )  # fmt: skip
    exchange.has["fetchCurrencies"] = False
    exchange.sent, exchange.answers, exchange.loading = [], dict(MARKETS[exchange_id]), True
    if exchange_id not in _LOADED:
        _LOADED[exchange_id] = await exchange.fetch_markets()
    exchange.set_markets(_LOADED[exchange_id])
    exchange.sent.clear()
    exchange.answers, exchange.loading = dict(answers or {}), False
    dialect_for(exchange_id).prepare(exchange)
    return exchange


def _fields(url, body):
    text = body or urlsplit(url).query
    try:
        return json.loads(text)
    except ValueError:
        return {key: values[0] for key, values in parse_qs(text, keep_blank_values=True).items()}
