"""Setting an account and asking it: what is sent, and what is believed."""

from decimal import Decimal

import ccxt
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import dialect_for
from alpha_pulse.execution.venues.structures import AccountSetup, KeyRights
from tests.unit.execution.venues.recorder import SYMBOLS, offline

SET = AccountSetup(3, "cross", hedge_mode=False)
WANTED = {"leverage": 3, "margin_mode": "cross", "hedge_mode": False}
_KUCOIN = {"code": "200000"}
_BITGET = {"marginCoin": "USDT", "crossedMarginLeverage": 3, "marginMode": "crossed", "posMode": "one_way_mode"}
_HYPER = {"position": {"coin": "BTC", "szi": "-1.5", "leverage": {"type": "cross", "value": 3}, "entryPx": "95000", "unrealizedPnl": "0",
                       "marginUsed": "1", "positionValue": "142500", "liquidationPx": None}}  # fmt: skip
AS_WANTED = {
    "binanceusdm": {
        "/positionSide/dual": {"dualSidePosition": False},
        "/symbolConfig": [{"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 3}],
        "/leverage": {}, "/marginType": {},
    },
    "bybit": {
        "/position/list": {"retCode": 0, "result": {"list": [{"symbol": "BTCUSDT", "leverage": "3", "positionIdx": 0, "size": "0"}]}},
        "/account/info": {"retCode": 0, "result": {"marginMode": "REGULAR_MARGIN"}},
        "set-leverage": {"retCode": 0}, "switch-mode": {"retCode": 0}, "set-margin-mode": {"retCode": 0},
    },
    "okx": {
        "/account/config": {"code": "0", "data": [{"uid": "1", "mainUid": "1", "acctLv": "2", "posMode": "net_mode",
            "perm": "read_only,trade"}]},
        "/leverage-info": {"code": "0", "data": [{"instId": "BTC-USDT-SWAP", "lever": "3.00", "mgnMode": "cross", "posSide": "net"}]},
        "/set-leverage": {"code": "0"}, "/set-position-mode": {"code": "0"},
    },
    "gate": {"positions/BTC_USDT/leverage": {}, "positions/BTC_USDT": {"leverage": "0", "cross_leverage_limit": "3", "mode": "single",
        "size": 0}},
    "kucoinfutures": {
        "getMarginMode": _KUCOIN | {"data": {"symbol": "XBTUSDTM", "marginMode": "CROSS"}},
        "getCrossUserLeverage": _KUCOIN | {"data": {"symbol": "XBTUSDTM", "leverage": "3"}},
        "getPositionMode": _KUCOIN | {"data": {"positionMode": 0}},
        "changeCrossUserLeverage": _KUCOIN | {"data": {"symbol": "XBTUSDTM", "leverage": "3"}},
        "changeMarginMode": _KUCOIN | {"data": {"marginMode": "CROSS"}}, "switchPositionMode": _KUCOIN,
    },
    "bitget": {"/account/account": {"code": "00000", "data": _BITGET}, "set-leverage": {"code": "00000"},
        "set-margin-mode": {"code": "00000"},
               "set-position-mode": {"code": "00000"}},
    "hyperliquid": {"clearinghouseState": {"marginSummary": {"accountValue": "1"}, "assetPositions": [_HYPER]},
        "updateLeverage": {"status": "ok"}},
}  # fmt: skip
OTHERWISE = {
    "binanceusdm": {"/symbolConfig": [{"symbol": "BTCUSDT", "marginType": "ISOLATED", "leverage": 20}],
        "/positionSide/dual": {"dualSidePosition": True}},
    "bybit": {"/position/list": {"retCode": 0, "result": {"list": [{"leverage": "20", "positionIdx": 1}]}},
        "/account/info": {"result": {"marginMode": "ISOLATED_MARGIN"}}},
    "okx": {"/leverage-info": {"code": "0", "data": [{"instId": "BTC-USDT-SWAP", "lever": "20", "mgnMode": "cross", "posSide": "net"}]},
            "/account/config": {"code": "0", "data": [{"uid": "1", "mainUid": "1", "posMode": "long_short_mode"}]}},
    "gate": {"positions/BTC_USDT": {"leverage": "20", "cross_leverage_limit": "0", "mode": "single", "size": 0}},
    "kucoinfutures": {"getMarginMode": _KUCOIN | {"data": {"marginMode": "ISOLATED"}},
        "getPositionMode": _KUCOIN | {"data": {"positionMode": 1}}},
    "bitget": {"/account/account": {"code": "00000", "data": _BITGET | {"crossedMarginLeverage": 20, "posMode": "hedge_mode"}}},
    "hyperliquid": {"clearinghouseState": {"marginSummary": {"accountValue": "1"}, "assetPositions": []}},
}  # fmt: skip
WRITES = {
    "binanceusdm": {"/positionSide/dual": {"dualSidePosition": "false"}, "/marginType": {"marginType": "CROSSED", "symbol": "BTCUSDT"},
        "/leverage": {"leverage": "3"}},
    "bybit": {"/switch-mode": {"mode": 0, "symbol": "BTCUSDT"}, "/set-margin-mode": {"setMarginMode": "REGULAR_MARGIN"},
        "/set-leverage": {"buyLeverage": "3", "sellLeverage": "3"}},
    "okx": {"/set-position-mode": {"posMode": "net_mode"}, "/set-leverage": {"lever": 3, "mgnMode": "cross"}},
    "gate": {"/leverage": {"leverage": "0", "cross_leverage_limit": "3"}},
    "kucoinfutures": {"/switchPositionMode": {"positionMode": "0"}, "/changeMarginMode": {"marginMode": "CROSS"},
        "/changeCrossUserLeverage": {"leverage": "3"}},
    "bitget": {"/set-position-mode": {"posMode": "one_way_mode"}, "/set-leverage": {"leverage": "3"}},
    "hyperliquid": {"/exchange": {}},
}  # fmt: skip


def writes(exchange):
    return [sent for sent in exchange.sent if sent.method == "POST" and not sent.path.endswith("/info")]


def sent_values(sent):
    in_url = {name: parameter(sent.url, name) for name in ("leverage", "cross_leverage_limit")}  # Gate signs these in the query
    return in_url | sent.fields


def parameter(url, name):
    return next((part.partition("=")[2] for part in url.partition("?")[2].split("&") if part.startswith(f"{name}=")), None)


@pytest.mark.parametrize("exchange_id", AS_WANTED)
async def test_an_account_that_is_set_as_wanted_is_left_alone(exchange_id):
    exchange = await offline(exchange_id, AS_WANTED[exchange_id])
    assert await dialect_for(exchange_id).setup(exchange, SYMBOLS[exchange_id], **WANTED) == SET
    assert writes(exchange) == []


@pytest.mark.parametrize("exchange_id", OTHERWISE)
async def test_what_differs_is_set_and_the_venue_is_asked_again(exchange_id):
    exchange = await offline(exchange_id, AS_WANTED[exchange_id] | OTHERWISE[exchange_id])
    found = await dialect_for(exchange_id).setup(exchange, SYMBOLS[exchange_id], **WANTED)
    sent = {
        f"/{request.path.rpartition('/')[2]}" if request.path.count("dual") == 0 else "/positionSide/dual": request
        for request in writes(exchange)
    }
    assert sent.keys() == WRITES[exchange_id].keys()
    for path, expected in WRITES[exchange_id].items():
        assert expected.items() <= sent_values(sent[path]).items()
    assert found != SET  # the recorder is stubborn, and what it says is what is reported
    assert exchange.sent[-1].path != next(reversed(sent.values())).path or exchange.sent[-1].method == "GET"


async def test_a_venue_that_says_there_is_nothing_to_change_is_not_an_error():
    answers = AS_WANTED["binanceusdm"] | OTHERWISE["binanceusdm"] | {"/marginType": ccxt.MarginModeAlreadySet("-4046")}
    exchange = await offline("binanceusdm", answers, {"setMarginMode": {"throwMarginModeAlreadySet": True}})
    assert (await dialect_for("binanceusdm").setup(exchange, SYMBOLS["binanceusdm"], **WANTED)).margin_mode == "isolated"


async def test_a_leverage_that_cannot_be_read_is_reported_as_unknown():
    exchange = await offline("hyperliquid", AS_WANTED["hyperliquid"] | OTHERWISE["hyperliquid"])
    assert await dialect_for("hyperliquid").read_setup(exchange, "BTC/USDC:USDC") == AccountSetup(None, None, hedge_mode=False)


async def test_hedge_mode_is_refused_before_anything_is_asked_where_it_cannot_be_spoken():
    exchange = await offline("gate")
    with pytest.raises(ConfigError, match="one-way"):
        await dialect_for("gate").setup(exchange, SYMBOLS["gate"], leverage=3, margin_mode="cross", hedge_mode=True)


async def test_an_account_in_dual_mode_is_refused_with_the_way_out():
    exchange = await offline("gate", {"positions/BTC_USDT": [{"mode": "dual_long"}, {"mode": "dual_short"}]})
    with pytest.raises(ConfigError, match="single mode"):
        await dialect_for("gate").setup(exchange, SYMBOLS["gate"], **WANTED)


async def test_krakens_leverage_preference_means_isolated_margin():
    exchange = await offline(
        "krakenfutures", {"leveragepreferences": {"leveragePreferences": [{"symbol": "PF_XBTUSD", "maxLeverage": "5.00"}]}}
    )
    dialect = dialect_for("krakenfutures")
    assert await dialect.read_setup(exchange, SYMBOLS["krakenfutures"]) == AccountSetup(5, "isolated", hedge_mode=False)
    with pytest.raises(ConfigError, match="preference"):
        await dialect.setup(exchange, SYMBOLS["krakenfutures"], **WANTED)


@pytest.mark.parametrize(
    ("exchange_id", "path", "armed", "disarmed"),
    [
        ("binanceusdm", "/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": "60000"}, {"countdownTime": "0"}),
        ("okx", "/cancel-all-after", {"timeOut": 60}, {"timeOut": 0}),
        ("gate", "/countdown_cancel_all", {"timeout": 60, "contract": "BTC_USDT"}, {"timeout": 0}),
        ("krakenfutures", "/cancelallordersafter", {"timeout": "60"}, {"timeout": "0"}),
    ],
)
async def test_the_dead_man_switch_is_armed_and_disarmed(exchange_id, path, armed, disarmed):
    exchange = await offline(exchange_id, {path: {}})
    switch = dialect_for(exchange_id).dead_man
    await switch.arm(exchange, SYMBOLS[exchange_id], 60_000)
    await switch.disarm(exchange, SYMBOLS[exchange_id])
    assert armed.items() <= exchange.sent[0].fields.items()
    assert disarmed.items() <= exchange.sent[1].fields.items()


def test_only_binances_switch_is_said_to_spare_the_stop():
    assert dialect_for("binanceusdm").dead_man.spares_stops is True
    assert all(dialect_for(name).dead_man.spares_stops is None for name in ("okx", "gate", "krakenfutures"))
    assert all(dialect_for(name).dead_man is None for name in ("bybit", "kucoinfutures", "bitget", "hyperliquid", "phemex"))


_BYBIT_KEY = {"readOnly": 0, "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer", "Withdraw"]}}


@pytest.mark.parametrize(
    ("exchange_id", "answers", "rights"),
    [
        ("binanceusdm", {"/apiRestrictions": {"enableFutures": True, "enableWithdrawals": False}}, KeyRights(can_trade=True,
            can_withdraw=False)),
        ("binanceusdm", {"/apiRestrictions": ccxt.ExchangeNotAvailable("404")}, KeyRights()),
        ("binanceusdm", {"/apiRestrictions": "<html>"}, KeyRights()),
        ("bybit", {"/query-api": {"retCode": 0, "result": _BYBIT_KEY}}, KeyRights(can_trade=True, can_withdraw=True)),
        ("bybit", {"/query-api": {"retCode": 0, "result": _BYBIT_KEY | {"readOnly": 1}}}, KeyRights(can_trade=False, can_withdraw=True)),
        ("okx", AS_WANTED["okx"], KeyRights(can_trade=True, can_withdraw=False)),
        ("gate", {"/main_keys": [{"key": "key", "perms": [{"name": "futures", "read_only": False}]}]}, KeyRights(can_trade=True,
            can_withdraw=False)),
        ("kucoinfutures", {"/api-key": {"code": "200000", "data": {"permission": "General,Futures"}}}, KeyRights(can_trade=True,
            can_withdraw=False)),
        ("bitget", {}, KeyRights()),
        ("hyperliquid", {}, KeyRights(can_trade=True, can_withdraw=False)),
        ("krakenfutures", {}, KeyRights()),
    ],
)  # fmt: skip
async def test_the_rights_of_a_key_are_told_as_far_as_the_venue_tells_them(exchange_id, answers, rights):
    assert await dialect_for(exchange_id).key_rights(await offline(exchange_id, answers)) == rights


async def test_a_dead_key_is_an_error_and_not_an_unknown_right():
    exchange = await offline("binanceusdm", {"/apiRestrictions": ccxt.AuthenticationError("-2015")})
    with pytest.raises(ccxt.AuthenticationError):
        await dialect_for("binanceusdm").key_rights(exchange)


async def test_hyperliquids_own_key_can_withdraw_and_its_set_up_never_pays_a_builder():
    exchange = await offline("hyperliquid")
    exchange.walletAddress = exchange.eth_get_address_from_private_key(exchange.privateKey)
    assert (await dialect_for("hyperliquid").key_rights(exchange)).can_withdraw is True
    assert await exchange.initialize_client()
    assert exchange.sent == []


_RISK = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-1.5", "entryPrice": "95000", "markPrice": "95000",
    "notional": "-142500",
         "isolatedMargin": "0", "liquidationPrice": "120000", "unRealizedProfit": "0", "updateTime": 1}  # fmt: skip


async def test_binance_positions_are_read_from_the_signed_amount():
    exchange = await offline("binanceusdm", {"/positionRisk": [_RISK | {"notional": None}]})
    dialect = dialect_for("binanceusdm")
    rows = await dialect.fetch_positions(exchange, "BTC/USDT:USDT")
    found = dialect.position_of(rows, "BTC/USDT:USDT", exchange.market("BTC/USDT:USDT"), False, 1)
    assert found.quantity == Decimal("-1.5")
    assert exchange.sent[0].fields["symbol"] == "BTCUSDT"


async def test_an_empty_list_of_positions_is_flat():
    exchange = await offline("binanceusdm", {"/positionRisk": []})
    assert await dialect_for("binanceusdm").fetch_positions(exchange, "BTC/USDT:USDT") == []
    exchange = await offline("bybit", {"/position/list": {"retCode": 0, "result": {"list": []}}})
    assert await dialect_for("bybit").fetch_positions(exchange, "BTC/USDT:USDT") == []


@pytest.mark.parametrize(
    "reply", ["<html>busy</html>", "", None, {}, [None], [_RISK | {"positionAmt": None}], [_RISK | {"positionAmt": "NaN"}]], ids=str
)
async def test_what_is_no_list_of_positions_is_not_flat(reply):
    exchange = await offline("binanceusdm", {"/positionRisk": reply})
    with pytest.raises(ValueError, match="reply"):
        await dialect_for("binanceusdm").fetch_positions(exchange, "BTC/USDT:USDT")


@pytest.mark.parametrize(("exchange_id", "reply"), [("bybit", "<html>"), ("okx", ""), ("hyperliquid", {"error": 1}), ("gate", None)])
async def test_elsewhere_a_page_of_html_is_not_flat_either(exchange_id, reply):
    exchange = await offline(exchange_id, {"": reply})
    with pytest.raises((ValueError, AttributeError, TypeError, ccxt.BaseError)):
        await dialect_for(exchange_id).fetch_positions(exchange, SYMBOLS[exchange_id])
