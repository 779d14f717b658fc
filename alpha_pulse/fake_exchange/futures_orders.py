"""The signed endpoints of USD-M futures that place, change, cancel and list orders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from alpha_pulse.fake_exchange.calls import Call, Table, window
from alpha_pulse.fake_exchange.entry import change_order, known_order, market_of, open_algo, open_order, text_of
from alpha_pulse.fake_exchange.records import AlgoOrder, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.replies import algo_json, order_json

table = Table()
_FAR: Final = 1 << 62
_BATCH: Final = 5  # orders of a batch to place; Binance takes ten to cancel
_DONE: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}

_O = TypeVar("_O", VenueOrder, AlgoOrder)


@table.add("POST /fapi/v1/order", weight=0, orders=1)
def _place(call: Call) -> Any:
    order = open_order(call.account, call.params)
    if call.twice:
        open_order(call.account, call.params, twice=True)
    return order_json(order, accepted_only=call.params.get("newOrderRespType", "ACK") != "RESULT")


@table.add("POST /fapi/v1/order/test", weight=0)
def _test_order(_: Call) -> Any:
    return {}


@table.add("PUT /fapi/v1/order", orders=1)
def _change(call: Call) -> Any:
    return order_json(change_order(call.account, call.params))


@table.add("GET /fapi/v1/order")
def _query(call: Call) -> Any:
    return order_json(_found(call, known_order(call.account, call.params)))


@table.add("GET /fapi/v1/openOrder")
def _query_open(call: Call) -> Any:
    return order_json(_still_open(call, known_order(call.account, call.params), -2013))


@table.add("DELETE /fapi/v1/order")
def _cancel(call: Call) -> Any:
    order = _still_open(call, known_order(call.account, call.params), -2011)
    call.account.desk_of(order).cancel(order)
    return order_json(order)


def _found(call: Call, order: _O | None) -> _O:
    if order is None or call.hidden(order.created_ms):
        raise Refusal(-2013)
    return order


def _still_open(call: Call, order: _O | None, refusal: int) -> _O:
    if order is None or not order.is_open or call.hidden(order.created_ms):
        raise Refusal(refusal)
    return order


@table.add("GET /fapi/v1/openOrders")
def _open_orders(call: Call) -> Any:
    return [order_json(order) for order in call.account.open_orders(_asked(call)) if not call.hidden(order.created_ms)]


def _asked(call: Call) -> str | None:
    """The symbol that a call names, if it names one."""
    return market_of(call.account, call.params).name if call.params.get("symbol") else None


@table.add("GET /fapi/v1/allOrders", weight=5)
def _all_orders(call: Call) -> Any:
    rows = _of_symbol(call, call.account.orders.values())
    first = call.number("orderId", 0)
    chosen = [order for order in rows if order.order_id >= first][: _limit(call)] if first else _in_window(call, rows)
    return [order_json(order) for order in chosen]


def _of_symbol(call: Call, orders: Iterable[_O]) -> list[_O]:
    symbol = market_of(call.account, call.params).name
    return [order for order in orders if order.symbol == symbol and not call.hidden(order.created_ms)]


def _in_window(call: Call, rows: list[_O]) -> list[_O]:
    return window(rows, call.number("startTime", 0), call.number("endTime", _FAR), _limit(call), at=lambda row: int(row.created_ms))


def _limit(call: Call) -> int:
    return min(1000, call.number("limit", 500))


@table.add("DELETE /fapi/v1/allOpenOrders")
def _cancel_all(call: Call) -> Any:
    orders = call.account.open_orders(market_of(call.account, call.params).name)
    for order in _half(call, orders):
        call.account.desk_of(order).cancel(order)
    return _DONE


def _half(call: Call, orders: list[_O]) -> list[_O]:
    """All of them, or with the fault ``partial`` only the first half."""
    return orders[: len(orders) // 2] if call.partly else orders


@table.add("POST /fapi/v1/countdownCancelAll", weight=10)
def _countdown(call: Call) -> Any:
    symbol = market_of(call.account, call.params).name
    after = int(text_of(call.params, "countdownTime"))
    call.account.countdowns.pop(symbol, None)
    if after > 0:
        call.account.countdowns[symbol] = call.venue.now_ms() + after
    return {"symbol": symbol, "countdownTime": str(after)}


# --- batches ----------------------------------------------------------------------------------------------------------
@table.add("POST /fapi/v1/batchOrders", weight=5, orders=_BATCH)
def _place_batch(call: Call) -> Any:
    rows = _batch(call)
    replies = _each(rows, lambda row: order_json(open_order(call.account, row), accepted_only=row.get("newOrderRespType") != "RESULT"))
    if call.twice:
        open_order(call.account, rows[0], twice=True)
    return replies


@table.add("PUT /fapi/v1/batchOrders", weight=5, orders=_BATCH)
def _change_batch(call: Call) -> Any:
    return _each(_batch(call), lambda row: order_json(change_order(call.account, row)))


@table.add("DELETE /fapi/v1/batchOrders")
def _cancel_batch(call: Call) -> Any:
    symbol = market_of(call.account, call.params).name
    numbers = _list_of(call, "orderIdList", "orderidlist")
    names = _list_of(call, "origClientOrderIdList", "origclientorderidlist")
    rows = [{"symbol": symbol, "orderId": str(n)} for n in numbers] or [{"symbol": symbol, "origClientOrderId": n} for n in names]

    def cancel(row: dict[str, Any]) -> Any:
        order = known_order(call.account, row)
        if order is None or not order.is_open:
            raise Refusal(-2011)
        call.account.desk_of(order).cancel(order)
        return order_json(order)

    return _each(rows, cancel)


def _batch(call: Call) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text_of(call.params, "batchOrders"))
    except ValueError:
        raise Refusal(-1102) from None
    if not isinstance(rows, list) or not 0 < len(rows) <= _BATCH:
        raise Refusal(-4082, "Invalid number of batch place orders.")
    return rows


def _list_of(call: Call, *names: str) -> list[Any]:
    for name in names:
        if call.params.get(name):
            return list(json.loads(str(call.params[name])))
    return []


def _each(rows: list[dict[str, Any]], do: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """Each row's reply, or its refusal in its place."""
    replies = []
    for row in rows:
        try:
            replies.append(do(row))
        except Refusal as refusal:
            replies.append(refusal.body())
    return replies


# --- conditional orders -----------------------------------------------------------------------------------------------
@table.add("POST /fapi/v1/algoOrder", weight=0, orders=1)
def _place_algo(call: Call) -> Any:
    return algo_json(open_algo(call.account, call.params))


@table.add("GET /fapi/v1/algoOrder")
def _query_algo(call: Call) -> Any:
    return algo_json(_found(call, _known_algo(call)))


@table.add("DELETE /fapi/v1/algoOrder")
def _cancel_algo(call: Call) -> Any:
    algo = _still_open(call, _known_algo(call), -2011)
    call.account.desk_of(algo).cancel_algo(algo)
    return {"algoId": algo.algo_id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}


def _known_algo(call: Call) -> AlgoOrder | None:
    number, client_id = call.params.get("algoId"), call.params.get("clientAlgoId")
    if not number and not client_id:
        raise Refusal(-1102, "Param 'clientAlgoId' or 'algoId' must be sent, but both were empty/null!")
    return call.account.find_algo(str(number) if number else None, client_id)


@table.add("GET /fapi/v1/openAlgoOrders")
def _open_algos(call: Call) -> Any:
    return [algo_json(algo) for algo in call.account.open_algos(_asked(call)) if not call.hidden(algo.created_ms)]


@table.add("GET /fapi/v1/allAlgoOrders", weight=5)
def _all_algos(call: Call) -> Any:
    return [algo_json(algo) for algo in _in_window(call, _of_symbol(call, call.account.algos.values()))]


@table.add("DELETE /fapi/v1/algoOpenOrders")
def _cancel_all_algos(call: Call) -> Any:
    algos = call.account.open_algos(market_of(call.account, call.params).name)
    for algo in _half(call, algos):
        call.account.desk_of(algo).cancel_algo(algo)
    return _DONE
