"""The frames of Binance's user data streams, futures and spot. Import them from ``streams``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from alpha_pulse.fake_exchange.stream_text import Amount, Frame, text

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """A wallet after the event. ``change`` is what came or went apart from profit and fees (a transfer, funding)."""

    asset: str
    wallet: Amount
    cross_wallet: Amount | None = None  # None = the same: nothing is isolated
    change: Amount = ZERO


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A position after the event. ``amount`` in base units, a short is negative; the rest in quote units."""

    symbol: str
    amount: Amount
    entry: Amount
    unrealized: Amount = ZERO
    realized: Amount = ZERO  # accumulated, before fees
    break_even: Amount | None = None
    margin_type: str = "cross"
    isolated_wallet: Amount = ZERO
    side: str = "BOTH"  # LONG or SHORT in hedge mode
    margin_asset: str = "USDT"


def order_trade_update(
    *,
    event_ms: int,
    symbol: str,
    client_order_id: str,
    order_id: int,
    side: str,
    order_type: str,
    execution: str,
    status: str,
    quantity: Amount,
    price: Amount = ZERO,
    average_price: Amount = ZERO,
    stop_price: Amount = ZERO,
    time_in_force: str = "GTC",
    last_quantity: Amount = ZERO,
    last_price: Amount = ZERO,
    filled: Amount = ZERO,
    fee: Amount | None = None,
    fee_asset: str | None = None,
    trade_ms: int | None = None,
    trade_id: int = 0,
    maker: bool = False,
    reduce_only: bool = False,
    close_position: bool = False,
    working_type: str = "CONTRACT_PRICE",
    original_type: str | None = None,
    position_side: str = "BOTH",
    realized_profit: Amount = ZERO,
    price_protect: bool = False,
    bids_notional: Amount = ZERO,
    asks_notional: Amount = ZERO,
    price_match: str = "NONE",
    good_till_ms: int = 0,
    expiry_reason: str = "0",
) -> Frame:
    """A futures order that was accepted, changed, filled or ended.

    ``execution`` is what happened (NEW, CANCELED, CALCULATED for a liquidation, EXPIRED, TRADE, AMENDMENT); ``status`` is where the
    order stands now (NEW, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED, EXPIRED_IN_MATCH). ``filled`` accumulates; the ``last_`` fields,
    ``fee``, ``trade_id`` and ``realized_profit`` belong to this one fill. Without a fee its two fields are left out, as Binance does.
    """
    moment = event_ms if trade_ms is None else trade_ms
    order: Frame = {
        "s": symbol,
        "c": client_order_id,
        "S": side,
        "o": order_type,
        "f": time_in_force,
        "q": text(quantity),
        "p": text(price),
        "ap": text(average_price),
        "sp": text(stop_price),
        "x": execution,
        "X": status,
        "i": order_id,
        "l": text(last_quantity),
        "z": text(filled),
        "L": text(last_price),
        "T": moment,
        "t": trade_id,
        "b": text(bids_notional),
        "a": text(asks_notional),
        "m": maker,
        "R": reduce_only,
        "wt": working_type,
        "ot": original_type or order_type,
        "ps": position_side,
        "cp": close_position,
        "rp": text(realized_profit),
        "pP": price_protect,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": price_match,
        "gtd": good_till_ms,
        "er": expiry_reason,
    }
    if fee is not None:
        order |= {"n": text(fee), "N": fee_asset or "USDT"}
    return {"e": "ORDER_TRADE_UPDATE", "E": event_ms, "T": moment, "o": order}


def account_update(
    *,
    event_ms: int,
    reason: str = "ORDER",
    balances: Iterable[BalanceChange] = (),
    positions: Iterable[PositionChange] = (),
    transaction_ms: int | None = None,
) -> Frame:
    """Wallets and positions that an event changed. ``reason``: ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, INSURANCE_CLEAR, ADJUSTMENT, ..."""
    wallets = [
        {
            "a": row.asset,
            "wb": text(row.wallet),
            "cw": text(row.wallet if row.cross_wallet is None else row.cross_wallet),
            "bc": text(row.change),
        }
        for row in balances
    ]
    held = [
        {
            "s": row.symbol,
            "pa": text(row.amount),
            "ep": text(row.entry),
            "bep": text(row.entry if row.break_even is None else row.break_even),
            "cr": text(row.realized),
            "up": text(row.unrealized),
            "mt": row.margin_type,
            "iw": text(row.isolated_wallet),
            "ps": row.side,
            "ma": row.margin_asset,
        }
        for row in positions
    ]
    moment = event_ms if transaction_ms is None else transaction_ms
    return {"e": "ACCOUNT_UPDATE", "E": event_ms, "T": moment, "a": {"m": reason, "B": wallets, "P": held}}


def account_config_update(*, event_ms: int, symbol: str, leverage: int) -> Frame:
    """The leverage of a symbol was changed."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": event_ms, "T": event_ms, "ac": {"s": symbol, "l": leverage}}


def algo_update(
    *,
    event_ms: int,
    symbol: str,
    client_algo_id: str,
    algo_id: int,
    side: str,
    order_type: str,
    status: str,
    quantity: Amount,
    trigger_price: Amount,
    price: Amount = ZERO,
    order_id: int | None = None,
    average_price: Amount = ZERO,
    filled: Amount = ZERO,
    actual_type: str = "",
    position_side: str = "BOTH",
    time_in_force: str = "GTC",
    working_type: str = "MARK_PRICE",
    price_match: str = "NONE",
    close_position: bool = False,
    price_protect: bool = False,
    reduce_only: bool = False,
    trigger_ms: int = 0,
    good_till_ms: int = 0,
    reason: str = "",
) -> Frame:
    """A conditional order that was placed, fired or ended.

    ``status``: NEW, TRIGGERING, TRIGGERED (``order_id`` is then the order it became), FINISHED, CANCELED, REJECTED (with ``reason``),
    EXPIRED. ``average_price``, ``filled`` and ``actual_type`` are about the order it became.
    """
    order = {
        "caid": client_algo_id,
        "aid": algo_id,
        "at": "CONDITIONAL",
        "o": order_type,
        "s": symbol,
        "S": side,
        "ps": position_side,
        "f": time_in_force,
        "q": text(quantity),
        "X": status,
        "ai": "" if order_id is None else str(order_id),
        "ap": text(average_price),
        "aq": text(filled),
        "act": actual_type,
        "tp": text(trigger_price),
        "p": text(price),
        "V": "EXPIRE_MAKER",
        "wt": working_type,
        "pm": price_match,
        "cp": close_position,
        "pP": price_protect,
        "R": reduce_only,
        "tt": trigger_ms,
        "gtd": good_till_ms,
        "rm": reason,
    }
    return {"e": "ALGO_UPDATE", "T": event_ms, "E": event_ms, "o": order}


def listen_key_expired(*, event_ms: int, listen_key: str) -> Frame:
    """The last frame of a futures user stream."""
    return {"e": "listenKeyExpired", "E": event_ms, "listenKey": listen_key}


def execution_report(
    *,
    event_ms: int,
    symbol: str,
    client_order_id: str,
    order_id: int,
    side: str,
    order_type: str,
    execution: str,
    status: str,
    quantity: Amount,
    price: Amount = ZERO,
    stop_price: Amount = ZERO,
    time_in_force: str = "GTC",
    original_client_order_id: str = "",
    reject_reason: str = "NONE",
    last_quantity: Amount = ZERO,
    last_price: Amount = ZERO,
    last_quote: Amount = ZERO,
    filled: Amount = ZERO,
    filled_quote: Amount = ZERO,
    fee: Amount = ZERO,
    fee_asset: str | None = None,
    trade_ms: int | None = None,
    created_ms: int | None = None,
    trade_id: int = -1,
    maker: bool = False,
    on_book: bool = True,
) -> Frame:
    """A spot order that was accepted, changed, filled or ended. In a cancel ``client_order_id`` is the cancel's own and
    ``original_client_order_id`` the order's. ``_quote`` amounts are price times quantity.
    """
    moment = event_ms if trade_ms is None else trade_ms
    return {
        "e": "executionReport",
        "E": event_ms,
        "s": symbol,
        "c": client_order_id,
        "S": side,
        "o": order_type,
        "f": time_in_force,
        "q": text(quantity),
        "p": text(price),
        "P": text(stop_price),
        "F": "0.00000000",
        "g": -1,
        "C": original_client_order_id,
        "x": execution,
        "X": status,
        "r": reject_reason,
        "i": order_id,
        "l": text(last_quantity),
        "z": text(filled),
        "L": text(last_price),
        "n": text(fee),
        "N": fee_asset,
        "T": moment,
        "t": trade_id,
        "I": order_id,
        "w": on_book,
        "m": maker,
        "M": trade_id >= 0,
        "O": moment if created_ms is None else created_ms,
        "Z": text(filled_quote),
        "Y": text(last_quote),
        "Q": "0.00000000",
        "V": "EXPIRE_MAKER",
    }


def outbound_account_position(*, event_ms: int, balances: Iterable[tuple[str, Amount, Amount]]) -> Frame:
    """Spot balances ``(asset, free, locked)`` that an order changed."""
    rows = [{"a": asset, "f": text(free), "l": text(locked)} for asset, free, locked in balances]
    return {"e": "outboundAccountPosition", "E": event_ms, "u": event_ms, "B": rows}


def balance_update(*, event_ms: int, asset: str, change: Amount) -> Frame:
    """A spot deposit, withdrawal or transfer: ``change`` is signed."""
    return {"e": "balanceUpdate", "E": event_ms, "a": asset, "d": text(change), "T": event_ms}


def event_stream_terminated(*, event_ms: int) -> Frame:
    """The last frame of a spot user stream."""
    return {"e": "eventStreamTerminated", "E": event_ms}
