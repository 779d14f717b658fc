"""What the venue refuses at the door: malformed orders, and those that its rules do not let in. Reasons are Binance's."""

from __future__ import annotations

from decimal import Decimal

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import OrderRequest, OrderType, TimeInForce
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.matching.kernel import crosses

ABSURD = Decimal("1e15")
"""No quantity or price is this large: the limit keeps sums within Decimal's 28 digits."""


def _refuse(request: OrderRequest, reason: str) -> Rejected:
    return Rejected(reason, client_order_id=request.client_order_id)


def _on_grid(value: Decimal, step: Decimal) -> bool:
    return value.is_finite() and 0 < value < ABSURD and value % step == 0


def check_form(request: OrderRequest, instrument: Instrument, mark: float) -> None:
    """Refuse what does not fit the instrument's filters.

    A reduce-only order may be under the minimum notional: it closes what is there.

    Raises:
        Rejected: symbol, quantity, price or trigger cannot be traded.
    """
    if request.symbol != instrument.symbol:
        raise _refuse(request, f"unknown symbol {request.symbol}")
    if not _on_grid(request.quantity, instrument.lot_size):
        raise _refuse(request, f"quantity {request.quantity} is not a positive multiple of the lot size {instrument.lot_size}")
    if request.type is OrderType.LIMIT:
        if request.price is None or not _on_grid(request.price, instrument.tick_size):
            raise _refuse(request, f"price {request.price} is not a positive multiple of the tick size {instrument.tick_size}")
    elif request.type is OrderType.STOP_MARKET and (
        request.trigger_price is None or not _on_grid(request.trigger_price, instrument.tick_size)
    ):
        raise _refuse(request, f"trigger {request.trigger_price} is not a positive multiple of the tick size {instrument.tick_size}")
    if request.quantity < instrument.min_quantity:
        raise _refuse(request, f"quantity {request.quantity} is under the minimum {instrument.min_quantity}")
    price = request.price if request.type is OrderType.LIMIT else request.trigger_price
    notional = float(request.quantity) * (float(price) if price is not None else mark)
    if notional < float(instrument.min_notional) and not request.reduce_only:
        raise _refuse(request, f"notional {notional:.2f} is under the minimum {instrument.min_notional}")


def check_market(request: OrderRequest, instrument: Instrument, update: MarketUpdate, held_lots: int) -> bool:
    """Refuse what the state of market and position does not allow; say whether a limit order crosses the touch.

    Raises:
        Rejected: a post-only order that would take, a stop that would fire at once, a reduce-only order with nothing to reduce.
    """
    sign = request.side.sign
    if request.reduce_only and sign * held_lots >= 0:
        raise _refuse(request, "reduce-only order is rejected: it would not reduce the position")
    if request.type is OrderType.STOP_MARKET and request.trigger_price is not None:
        if sign * (update.mark.close - float(request.trigger_price)) >= 0:
            raise _refuse(request, f"order would immediately trigger: mark is {update.mark.close}")
        return False
    if request.type is not OrderType.LIMIT or request.price is None:
        return False
    touch = update.ask if sign > 0 else update.bid
    crossing = crosses(sign, float(request.price), touch, instrument.tick)
    if crossing and request.time_in_force is TimeInForce.POST_ONLY:
        raise _refuse(request, f"post-only order would take: the touch is {touch}")
    return crossing or request.time_in_force is TimeInForce.IOC
