"""Depth of an order book: how much is offered near the price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

_REACH: Final = 0.01  # depth is counted within 1 % of mid


def depth_near_mid(book: Mapping[str, Any], contract_size: float) -> tuple[float, float]:
    """Notional of bids and of asks within 1 % of mid, quote units, as far as the book reaches; NaN or infinite where a row is.

    Args:
        book: as ccxt gives it: ``bids`` and ``asks`` as rows of price and contracts, the best first.
        contract_size: base units of a contract.

    Raises:
        LookupError: a side is empty.
    """
    bids, asks = book["bids"], book["asks"]
    mid = 0.5 * (float(bids[0][0]) + float(asks[0][0]))
    bid = contract_size * math.fsum(row[0] * row[1] for row in bids if row[0] >= mid * (1.0 - _REACH))
    ask = contract_size * math.fsum(row[0] * row[1] for row in asks if row[0] <= mid * (1.0 + _REACH))
    return bid, ask
