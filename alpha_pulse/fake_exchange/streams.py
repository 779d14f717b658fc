"""The frames of Binance's public streams, as its documents and ccxt's parsers describe them. Times are milliseconds since the epoch, UTC.

Numbers are given as ``Decimal``, ``int`` or text and travel as text, as Binance sends them. Private frames are in ``stream_private``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.fake_exchange.stream_private import (
    BalanceChange,
    PositionChange,
    account_config_update,
    account_update,
    algo_update,
    balance_update,
    event_stream_terminated,
    execution_report,
    listen_key_expired,
    order_trade_update,
    outbound_account_position,
)
from alpha_pulse.fake_exchange.stream_text import Amount, Frame, text

__all__ = [
    "BAD_JSON",
    "EMPTY_LIST",
    "NAN_TICKER",
    "Amount",
    "BalanceChange",
    "Frame",
    "PositionChange",
    "account_config_update",
    "account_update",
    "agg_trade",
    "algo_update",
    "balance_update",
    "book_ticker",
    "depth_diff",
    "event_stream_terminated",
    "execution_report",
    "listen_key_expired",
    "mark_price",
    "mini_ticker",
    "order_trade_update",
    "outbound_account_position",
    "text",
    "ticker",
    "trade",
]

# Frames for the fault ``malformed``: each of them ends ccxt's receive loop.
BAD_JSON: Final = '{"e":"24hrTicker","E":17'
EMPTY_LIST: Final = "[]"
NAN_TICKER: Final = '{"e":"24hrTicker","E":1700000000000,"s":"BTCUSDT","c":"NaN","o":"NaN","h":"NaN","l":"NaN","v":"NaN","q":"NaN"}'


def book_ticker(
    *,
    event_ms: int,
    symbol: str,
    update_id: int,
    bid: Amount,
    bid_quantity: Amount,
    ask: Amount,
    ask_quantity: Amount,
    spot: bool = False,
) -> Frame:
    """Best bid and ask, stream ``<symbol>@bookTicker``. Spot frames carry neither event name nor time."""
    sides = {"b": text(bid), "B": text(bid_quantity), "a": text(ask), "A": text(ask_quantity)}
    if spot:
        return {"u": update_id, "s": symbol} | sides
    return {"e": "bookTicker", "u": update_id, "s": symbol} | sides | {"T": event_ms, "E": event_ms}


def mark_price(*, event_ms: int, symbol: str, mark: Amount, index: Amount, funding_rate: Amount, next_funding_ms: int) -> Frame:
    """Mark and index price with the running funding rate (a fraction per interval), stream ``<symbol>@markPrice@1s``."""
    return {
        "e": "markPriceUpdate",
        "E": event_ms,
        "s": symbol,
        "p": text(mark),
        "P": text(mark),  # the estimated settlement price, which a perpetual has no use for
        "i": text(index),
        "r": text(funding_rate),
        "T": next_funding_ms,
    }


def trade(
    *, event_ms: int, symbol: str, trade_id: int, price: Amount, quantity: Amount, buyer_is_maker: bool = False, spot: bool = False
) -> Frame:
    """One trade of the public, stream ``<symbol>@trade``. A buyer who is the maker means that a seller was aggressive."""
    frame: dict[str, Any] = {
        "e": "trade",
        "E": event_ms,
        "T": event_ms,
        "s": symbol,
        "t": trade_id,
        "p": text(price),
        "q": text(quantity),
    }
    return frame | ({"m": buyer_is_maker, "M": True} if spot else {"X": "MARKET", "m": buyer_is_maker})


def agg_trade(
    *,
    event_ms: int,
    symbol: str,
    trade_id: int,
    price: Amount,
    quantity: Amount,
    first_trade_id: int | None = None,
    last_trade_id: int | None = None,
    buyer_is_maker: bool = False,
) -> Frame:
    """Trades of one taker order at one price, stream ``<symbol>@aggTrade``."""
    return {
        "e": "aggTrade",
        "E": event_ms,
        "s": symbol,
        "a": trade_id,
        "p": text(price),
        "q": text(quantity),
        "f": trade_id if first_trade_id is None else first_trade_id,
        "l": trade_id if last_trade_id is None else last_trade_id,
        "T": event_ms,
        "m": buyer_is_maker,
    }


def depth_diff(
    *,
    event_ms: int,
    symbol: str,
    first_id: int,
    last_id: int,
    previous_id: int,
    bids: Iterable[tuple[Amount, Amount]],
    asks: Iterable[tuple[Amount, Amount]],
    spot: bool = False,
) -> Frame:
    """Changed levels ``(price, new quantity; 0 = gone)``, stream ``<symbol>@depth@100ms``.

    ``previous_id`` is the ``last_id`` of the frame before; the REST depth's ``lastUpdateId`` must be one of these ``last_id``. On spot
    ``first_id`` must be ``previous_id + 1``.
    """
    frame: dict[str, Any] = {"e": "depthUpdate", "E": event_ms, "s": symbol, "U": first_id, "u": last_id}
    if not spot:
        frame |= {"T": event_ms, "pu": previous_id}
    return frame | {"b": [[text(p), text(q)] for p, q in bids], "a": [[text(p), text(q)] for p, q in asks]}


def mini_ticker(
    *, event_ms: int, symbol: str, last: Amount, opening: Amount, high: Amount, low: Amount, volume: Amount, quote_volume: Amount
) -> Frame:
    """The last 24 hours without bid and ask, stream ``<symbol>@miniTicker``: what ccxt's ``watch_ticker`` subscribes to."""
    prices = {"c": text(last), "o": text(opening), "h": text(high), "l": text(low)}
    return {"e": "24hrMiniTicker", "E": event_ms, "s": symbol} | prices | {"v": text(volume), "q": text(quote_volume)}


def ticker(
    *,
    event_ms: int,
    symbol: str,
    last: Amount,
    last_quantity: Amount,
    opening: Amount,
    high: Amount,
    low: Amount,
    volume: Amount,
    quote_volume: Amount,
) -> Frame:
    """The last 24 hours, stream ``<symbol>@ticker``."""
    start, end, base = Decimal(str(opening)), Decimal(str(last)), Decimal(str(volume))
    change = end - start
    frame = mini_ticker(
        event_ms=event_ms, symbol=symbol, last=last, opening=opening, high=high, low=low, volume=volume, quote_volume=quote_volume
    )
    return frame | {
        "e": "24hrTicker",
        "p": text(change),
        "P": text(round(change / start * 100, 3)) if start else "0",
        "w": text(Decimal(str(quote_volume)) / base) if base else text(last),
        "Q": text(last_quantity),
        "O": event_ms - 86_400_000,
        "C": event_ms,
        "F": 1,
        "L": 1,
        "n": 1,
    }
