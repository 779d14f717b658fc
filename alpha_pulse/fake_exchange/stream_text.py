"""How numbers travel in a stream's frames."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Amount = Decimal | int | str
Frame = dict[str, Any]


def text(value: Amount) -> str:
    """A number as Binance writes it: plain digits, never an exponent."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)
