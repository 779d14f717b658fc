"""ccxt's structures as ours: exact, in base units, and refused with ``ValueError`` where they are mangled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderType, Side
from alpha_pulse.execution.venues.numbers import not_negative, number, positive, positive_or_none, text
from alpha_pulse.execution.venues.structures import Reading, VenueOrder, VenuePosition, VenueStatus, VenueTrade

_TRIGGERS: Final = ("triggerPrice", "stopPrice", "stopLossPrice")
_STATUSES: Final[Mapping[str, VenueStatus]] = {
    "open": VenueStatus.OPEN,
    "canceling": VenueStatus.OPEN,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELLED,
    "cancelled": VenueStatus.CANCELLED,
    "expired": VenueStatus.CANCELLED,
    "rejected": VenueStatus.REJECTED,
    "triggered": VenueStatus.TRIGGERED,
}


def contract_size(market: Mapping[str, Any]) -> Decimal:
    """Base units in one contract; 1 where ccxt knows of none."""
    size = market.get("contractSize")
    return Decimal(1) if size is None else positive(size, "contract size")


def info_of(structure: Mapping[str, Any]) -> Mapping[str, Any]:
    """The venue's own words inside a ccxt structure."""
    info = structure.get("info")
    return info if isinstance(info, Mapping) else {}


def trigger_price(order: Mapping[str, Any]) -> Decimal | None:
    """The price that an order waits for, or None."""
    for name in _TRIGGERS:
        found = positive_or_none(order.get(name), name)
        if found is not None:
            return found
    return None


def client_id(structure: Mapping[str, Any], reading: Reading) -> str:
    """The venue's spelling of the client order id, or ""."""
    info = info_of(structure)
    spellings = (structure.get("clientOrderId"), *(info.get(key) for key in reading.client_id_keys))
    return next((str(spelling) for spelling in spellings if spelling), "")


def read_order(found: Mapping[str, Any], market: Mapping[str, Any], reading: Reading, *, stop: bool) -> VenueOrder:
    """A ccxt order structure as a ``VenueOrder``; the client order id is still in the venue's spelling.

    Raises:
        ValueError: id, side, amount or status is missing or makes no sense, or it is another market's order.
    """
    symbol = _symbol(found, market)
    size = contract_size(market)
    quantity = positive(found.get("amount"), "order amount") * size
    status = _status(found, reading)
    if stop and status is VenueStatus.FILLED and reading.triggered_id_keys:
        status = VenueStatus.TRIGGERED  # it has fired and is another order now, which has the fills
    filled = _filled(found, status, stop=stop) * size
    if filled > quantity:
        raise ValueError(f"the reply says {filled} filled of {quantity}")
    trigger = trigger_price(found)
    return VenueOrder(
        client_order_id=client_id(found, reading),
        venue_order_id=text(found.get("id"), "order id"),
        symbol=symbol,
        status=_refined(status, filled, quantity),
        side=_side(found),
        type=_type(found, stop=stop),
        price=positive_or_none(found.get("price"), "order price"),
        trigger_price=trigger,
        quantity=quantity,
        filled=filled,
        created_ms=_milliseconds(found.get("timestamp")),
        triggered_order_id=_triggered(found, reading) if stop else "",
    )


def read_trade(found: Mapping[str, Any], market: Mapping[str, Any], reading: Reading) -> VenueTrade:
    """A ccxt trade structure as a ``VenueTrade``; the client order id is still in the venue's spelling.

    Raises:
        ValueError: id, order, side, price, amount, time or fee is missing or makes no sense, or it is another market's trade.
    """
    fees = _fees(found)
    currency, fee = fees[0]
    return VenueTrade(
        trade_id=text(found.get("id"), "trade id"),
        venue_order_id=text(found.get("order"), "trade's order id"),
        client_order_id=client_id(found, reading),
        symbol=_symbol(found, market),
        side=_side(found),
        price=positive(found.get("price"), "trade price"),
        quantity=positive(found.get("amount"), "trade amount") * contract_size(market),
        fee=fee,
        fee_currency=currency or str(market.get("settle") or market.get("quote") or ""),
        maker=found.get("takerOrMaker") == "maker",
        ts_ms=int(positive(found.get("timestamp"), "trade time")),
        other_fees=tuple(fees[1:]),
    )


def read_position(
    rows: Sequence[Mapping[str, Any]], symbol: str, market: Mapping[str, Any], *, hedge_mode: bool, inventory_sign: int
) -> VenuePosition:
    """The position in one symbol. No row for it means flat: that the list itself can be believed is for the caller to know.

    In hedge mode the leg against the inventory is ours (the short one for an inventory of 0).

    Raises:
        ValueError: a quantity is missing or negative, a side is missing, or the account holds both sides in one-way mode.
    """
    legs: dict[int, tuple[Decimal, Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("symbol") != symbol:
            continue
        quantity = not_negative(row.get("contracts"), "position's contracts") * contract_size(market)
        if quantity == ZERO and not hedge_mode:
            legs.setdefault(0, (ZERO, row))
            continue
        side = row.get("side")
        if side not in {"long", "short"}:
            if quantity == ZERO:
                continue
            raise ValueError(f"the reply has a position of {quantity} {symbol} without a side")
        sign = 1 if side == "long" else -1
        if sign in legs:
            raise ValueError(f"the reply has two {side} positions of {symbol}")
        legs[sign] = (sign * quantity, row)
    if not hedge_mode and {1, -1} <= legs.keys():
        raise ValueError(f"the account holds {symbol} long and short at once, but should be in one-way mode")
    if hedge_mode:
        ours = 1 if inventory_sign < 0 else -1
        other = legs.get(-ours, (ZERO, {}))[0]
    else:
        ours, other = next((sign for sign in (1, -1, 0) if sign in legs), 0), ZERO
    quantity, row = legs.get(ours, (ZERO, {}))
    return VenuePosition(
        quantity=quantity,
        entry_price=positive_or_none(row.get("entryPrice"), "entry price"),
        leverage=positive_or_none(row.get("leverage"), "leverage"),
        margin_mode=_margin_mode(row.get("marginMode")),
        liquidation_price=_liquidation_price(row.get("liquidationPrice")),
        other_leg=other,
    )


def _symbol(found: Mapping[str, Any], market: Mapping[str, Any]) -> str:
    expected = str(market["symbol"])
    told = found.get("symbol")
    if told is not None and told != expected:
        raise ValueError(f"the reply is about {told}, not {expected}")
    return expected


def _side(found: Mapping[str, Any]) -> Side:
    try:
        return Side(str(found.get("side")))
    except ValueError:
        raise ValueError(f"the reply has no side (got {found.get('side')!r})") from None


def _status(found: Mapping[str, Any], reading: Reading) -> VenueStatus:
    told = str(found.get("status")).lower()
    status = _STATUSES.get(reading.statuses.get(told, told))
    if status is None:
        raise ValueError(f"the reply has no order status that is understood (got {found.get('status')!r})")
    return status


def _filled(found: Mapping[str, Any], status: VenueStatus, *, stop: bool) -> Decimal:
    """Contracts. ccxt takes the whole amount for filled when a closed order does not say: not of a stop that fired."""
    told = found.get("filled")
    if status is VenueStatus.TRIGGERED or (told is None and (stop or status is VenueStatus.REJECTED)):
        return ZERO
    return not_negative(told, "filled quantity")


def _refined(status: VenueStatus, filled: Decimal, quantity: Decimal) -> VenueStatus:
    """Closed is not filled: what is partly filled and closed was cancelled."""
    if status is VenueStatus.OPEN and filled > ZERO:
        return VenueStatus.PARTIALLY_FILLED
    if status is VenueStatus.FILLED and filled < quantity:
        return VenueStatus.CANCELLED
    return status


def _type(found: Mapping[str, Any], *, stop: bool) -> OrderType | None:
    if stop:
        return OrderType.STOP_MARKET
    told = str(found.get("type") or "").lower()
    if told in {"limit", "post_only", "ioc"}:
        return OrderType.LIMIT
    return OrderType.MARKET if told == "market" else None


def _triggered(found: Mapping[str, Any], reading: Reading) -> str:
    info = info_of(found)
    for key in reading.triggered_id_keys:
        told = info.get(key)
        first = told[0] if isinstance(told, Sequence) and not isinstance(told, str) and told else told
        if first and str(first) != "0":
            return str(first)
    return ""


def _fees(found: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    """Every fee of a trade by currency, the largest first; zero in the settlement currency where all are zero.

    Raises:
        ValueError: the reply names no fee at all: booking it as free would put the ledger out.
    """
    totals: dict[str, Decimal] = {}
    for fee in _fee_rows(found):
        currency = str(fee.get("currency") or "")
        totals[currency] = totals.get(currency, ZERO) + number(fee.get("cost"), "fee")
    if not totals:
        raise ValueError("the reply has no fee")
    charged = sorted(((currency, cost) for currency, cost in totals.items() if cost), key=lambda row: -abs(row[1]))
    return charged or [(next(iter(totals)), ZERO)]


def _fee_rows(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    several = [fee for fee in found.get("fees") or () if isinstance(fee, Mapping) and fee.get("cost") is not None]
    if several:
        yield from several
    elif isinstance(found.get("fee"), Mapping):
        yield found["fee"]


def _milliseconds(value: Any) -> int:
    return 0 if value is None else int(not_negative(value, "time"))


def _margin_mode(value: Any) -> str | None:
    return {"cross": "cross", "crossed": "cross", "isolated": "isolated"}.get(str(value).lower())


def _liquidation_price(value: Any) -> Decimal | None:
    """None also for what venues write when a position cannot be liquidated: zero, or less."""
    if value is None or value == "":
        return None
    found = number(value, "liquidation price")
    return found if found > ZERO else None
