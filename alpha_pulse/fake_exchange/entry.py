"""How orders get in: Binance's parameters read, checked against its rules in its order of checks, and handed to a desk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from alpha_pulse.fake_exchange.account import FakeAccount
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, AlgoOrder, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal

Params = Mapping[str, Any]

CONDITIONAL: Final = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"})
_TIMES: Final = frozenset({"GTC", "IOC", "FOK", "GTX"})
_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_MOST: Final = Decimal(1_000_000_000)  # no quantity is larger


def text_of(params: Params, name: str) -> str:
    """A parameter that must be there. Raises ``Refusal``."""
    value = params.get(name)
    if value in {None, ""}:
        raise Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return str(value)


def number_of(params: Params, name: str) -> Decimal:
    """A decimal parameter that must be there. Raises ``Refusal``."""
    try:
        value = Decimal(text_of(params, name))
    except InvalidOperation:
        raise Refusal(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'."
        ) from None
    if not value.is_finite():
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return value


def flag_of(params: Params, name: str) -> bool:
    """A boolean parameter, false when it is not there."""
    return str(params.get(name, "false")).lower() == "true"


def market_of(account: FakeAccount, params: Params) -> SymbolMarket:
    """The symbol that a request names. Raises ``Refusal``."""
    market = account.venue.markets.get(text_of(params, "symbol"))
    if market is None:
        raise Refusal(-1121)
    return market


def open_order(account: FakeAccount, params: Params, *, twice: bool = False) -> VenueOrder:
    """POST /fapi/v1/order. ``twice`` is a fault: the venue takes the same order a second time under the same client id.

    Raises:
        Refusal: as Binance would.
    """
    market = market_of(account, params)
    kind = text_of(params, "type")
    if kind in CONDITIONAL | {"TRAILING_STOP_MARKET"}:
        raise Refusal(-4120)
    if kind not in {"LIMIT", "MARKET"}:
        raise Refusal(-1116)
    side, position_side = _sides(account, params)
    price = _price(market, params, "price") if kind == "LIMIT" else ZERO
    quantity = _quantity(market, params)
    tif = text_of(params, "timeInForce") if kind == "LIMIT" else "GTC"
    if tif not in _TIMES:
        raise Refusal(-1115)
    reduce_only = flag_of(params, "reduceOnly")
    _tradable(account, market, quantity * (price or market.mark), closing=reduce_only or _closes(side, position_side))
    number, now = account.venue.next_id(), account.venue.now_ms()
    client_id = _client_id(params, "newClientOrderId", number)
    same = account.find_order(market.name, None, client_id)
    if not twice and same is not None and same.is_open:
        raise Refusal(-4116)
    order = VenueOrder(
        order_id=number,
        client_id=client_id,
        symbol=market.name,
        side=side,
        type=kind,
        quantity=quantity,
        created_ms=now,
        price=price,
        time_in_force=tif,
        position_side=position_side,
        reduce_only=reduce_only,
        updated_ms=now,
        engine_id=f"o{number}",
    )
    account.desk(market, position_side).place(order)
    return order


def change_order(account: FakeAccount, params: Params) -> VenueOrder:
    """PUT /fapi/v1/order: another price and quantity for a resting limit order. Raises ``Refusal``."""
    market = market_of(account, params)
    order = known_order(account, params)
    if order is None or not order.is_open:
        raise Refusal(-2013)
    price, quantity = _price(market, params, "price"), _quantity(market, params)
    if text_of(params, "side") != order.side:
        raise Refusal(-1117)
    if (price, quantity) == (order.price, order.quantity):
        raise Refusal(-5027)
    _tradable(account, market, quantity * price, closing=order.reduce_only)
    desk = account.desk_of(order)
    if quantity <= order.filled:
        desk.cancel(order)
    else:
        desk.amend(order, price, quantity)
    return order


def known_order(account: FakeAccount, params: Params) -> VenueOrder | None:
    """The order that ``orderId`` or ``origClientOrderId`` names, if there is one. Raises ``Refusal`` when neither is given."""
    number, client_id = params.get("orderId"), params.get("origClientOrderId")
    if not number and not client_id:
        raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return account.find_order(market_of(account, params).name, str(number) if number else None, client_id)


def open_algo(account: FakeAccount, params: Params) -> AlgoOrder:
    """POST /fapi/v1/algoOrder: an order that waits for its trigger. Raises ``Refusal``."""
    if text_of(params, "algoType") != "CONDITIONAL":
        raise Refusal(-1102, "Mandatory parameter 'algoType' was not sent, was empty/null, or malformed.")
    market = market_of(account, params)
    kind = text_of(params, "type")
    if kind not in CONDITIONAL:
        raise Refusal(-1116)
    side, position_side = _sides(account, params)
    closing = flag_of(params, "closePosition")
    trigger = _price(market, params, "triggerPrice")
    price = _price(market, params, "price") if kind in {"STOP", "TAKE_PROFIT"} else ZERO
    if closing and (params.get("quantity") or flag_of(params, "reduceOnly")):
        raise Refusal(-4136, "Target strategy invalid for orderType STOP_MARKET,closePosition true")
    quantity = ZERO if closing else _quantity(market, params)
    reduces = closing or flag_of(params, "reduceOnly") or _closes(side, position_side)
    _tradable(account, market, quantity * (price or trigger), closing=reduces)
    number, now = account.venue.next_id(), account.venue.now_ms()
    client_id = _client_id(params, "clientAlgoId", number)
    if any(a.client_id == client_id for a in account.open_algos()):
        raise Refusal(-4116)
    algo = AlgoOrder(
        algo_id=number,
        client_id=client_id,
        symbol=market.name,
        side=side,
        type=kind,
        quantity=quantity,
        trigger_price=trigger,
        created_ms=now,
        price=price,
        time_in_force=str(params.get("timeInForce") or "GTC"),
        position_side=position_side,
        working_type=str(params.get("workingType") or "CONTRACT_PRICE"),
        price_protect=flag_of(params, "priceProtect"),
        reduce_only=flag_of(params, "reduceOnly"),
        close_position=closing,
        updated_ms=now,
        engine_id=f"a{number}",
    )
    account.desk(market, position_side).place_algo(algo)
    return algo


def _sides(account: FakeAccount, params: Params) -> tuple[str, str]:
    side = text_of(params, "side")
    if side not in {"BUY", "SELL"}:
        raise Refusal(-1117)
    position_side = str(params.get("positionSide") or "BOTH")
    if (position_side in {"LONG", "SHORT"}) != account.dual or position_side not in {"LONG", "SHORT", "BOTH"}:
        raise Refusal(-4061)
    if account.dual and params.get("reduceOnly") is not None:
        raise Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
    return side, position_side


def _closes(side: str, position_side: str) -> bool:
    return (side, position_side) in {("SELL", "LONG"), ("BUY", "SHORT")}


def _price(market: SymbolMarket, params: Params, name: str) -> Decimal:
    price = number_of(params, name)
    if price <= 0:
        raise Refusal(-4002 if name == "price" else -4006, "Price less than or equal to zero.")
    if price % market.listed.tick_size:
        raise Refusal(-1111 if _finer(price, market.listed.tick_size) else -4014)
    return price


def _quantity(market: SymbolMarket, params: Params) -> Decimal:
    quantity = number_of(params, "quantity")
    if quantity <= 0 or quantity < market.listed.min_quantity:
        raise Refusal(-4003)
    if quantity > _MOST:
        raise Refusal(-4005)
    if quantity % market.listed.lot_size:
        raise Refusal(-1111)
    return quantity


def _finer(value: Decimal, step: Decimal) -> bool:
    """Whether a number has more decimals than its step."""
    return int(value.normalize().as_tuple().exponent) < int(step.normalize().as_tuple().exponent)


def _tradable(account: FakeAccount, market: SymbolMarket, notional: Decimal, *, closing: bool) -> None:
    if not account.can_trade:
        raise Refusal(-2015, status=401)
    if market.status != "TRADING":
        raise Refusal(-4140)
    if notional < market.listed.min_notional and not closing:
        least = market.listed.min_notional
        raise Refusal(-4164, f"Order's notional must be no smaller than {least:f} (unless you choose reduce only).")


def _client_id(params: Params, name: str, number: int) -> str:
    given = params.get(name)
    if given is None:
        return f"auto{number}"
    if not _CLIENT_ID.fullmatch(str(given)):
        raise Refusal(-4015, "Client order id is not valid.")
    return str(given)
