"""Coins in a balance, and what is no balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alpha_pulse.execution.inventory import holdings

INFO = {"canTrade": True, "balances": []}


def balance(coins: dict[Any, Any], info: Any = INFO) -> dict[Any, Any]:
    return {"info": info, "timestamp": 1, "datetime": None, "free": {}, "used": {}, "total": {}, **coins}


def test_free_coins_and_those_in_orders_count():
    assert holdings(balance({"BTC": {"free": 0.1, "used": 0.2, "total": 0.3}})) == {"BTC": Decimal("0.3")}


def test_a_venue_that_tells_only_the_total_is_believed():
    assert holdings(balance({"BTC": {"free": None, "used": None, "total": 2.0}})) == {"BTC": 2}


@pytest.mark.parametrize(
    "info",
    [
        INFO,
        {"code": "0", "data": [{"details": [], "totalEq": "0"}], "msg": ""},
        {"retCode": 0, "result": {"list": [{"coin": [], "accountType": "UNIFIED"}]}},
        {"error": [], "result": {}, "t": 1},
    ],
)
def test_an_empty_account_is_believed_where_the_reply_is_whole(info):
    assert holdings(balance({}, info)) == {}


@pytest.mark.parametrize("info", [{}, [], None, "<html>", {"msg": "maintenance"}, {"canTrade": None, "balances": []}, {"balances": []}])
def test_a_reply_that_names_no_coin_is_not_no_coins(info):
    with pytest.raises(ValueError, match="names no coin"):
        holdings(balance({}, info))


@pytest.mark.parametrize(
    "coins",
    [
        {None: {"free": None, "used": None, "total": None}},
        {"BTC": {"free": None, "used": None, "total": None}},
        {"BTC": {"free": float("nan"), "used": 0.0, "total": 1.0}},
        {"BTC": {"free": -1.0, "used": 0.0, "total": -1.0}},
        {"BTC": None},
        {"ETH": {"free": 1.0, "used": 0.0}, "BTC": {"free": "?", "used": 0.0}},
    ],
)
def test_one_row_that_cannot_be_read_spoils_the_reply(coins):
    with pytest.raises(ValueError, match="the reply"):
        holdings(balance(coins))


def test_what_is_no_balance_at_all_is_refused():
    with pytest.raises(ValueError, match="the reply has no balance"):
        holdings("<html>")
