"""Which dialect an exchange speaks."""

from __future__ import annotations

from typing import Final

from alpha_pulse.execution.venues.binance import BinanceFutures
from alpha_pulse.execution.venues.bitget import Bitget
from alpha_pulse.execution.venues.bybit import Bybit
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.gate import Gate
from alpha_pulse.execution.venues.hyperliquid import Hyperliquid
from alpha_pulse.execution.venues.kraken import KrakenFutures
from alpha_pulse.execution.venues.kucoin import KucoinFutures
from alpha_pulse.execution.venues.okx import Okx

_DIALECTS: Final[dict[str, type[Dialect]]] = {
    "binanceusdm": BinanceFutures,
    "bitget": Bitget,
    "bybit": Bybit,
    "gate": Gate,
    "gateio": Gate,
    "hyperliquid": Hyperliquid,
    "krakenfutures": KrakenFutures,
    "kucoinfutures": KucoinFutures,
    "okx": Okx,
}


def dialect_for(exchange_id: str, *, margin_mode: str = "cross", leverage: int = 3) -> Dialect:
    """The dialect of a ccxt exchange; what ccxt unifies, for a venue that has none of its own.

    ``margin_mode`` ("cross" or "isolated") and ``leverage`` are those of the account: OKX, KuCoin and Bitget want them with each order.
    """
    return _DIALECTS.get(exchange_id, Dialect)(exchange_id, margin_mode=margin_mode, leverage=leverage)
