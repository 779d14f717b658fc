"""An accountant who knows nothing of the program: walks ``fills.csv`` and ``funding.csv`` alone and says what the account must hold.

Imports nothing of the package on purpose. Times are ISO 8601 UTC, money exact decimals.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

ZERO = Decimal(0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Candle:
    """A recorded candle of the perpetual by its opening time, ms UTC."""

    open_ms: int
    high: float
    low: float


@dataclass
class Ledger:
    """What the account must hold after the last booking. ``problems`` lists bookings that contradict each other."""

    cash: Decimal
    position: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    maker_fills: int = 0
    taker_fills: int = 0
    problems: list[str] = field(default_factory=list)

    def equity(self, mark: Decimal) -> Decimal:
        """Cash and the open position at a mark price, quote units."""
        return self.cash + self.position * (mark - self.entry)

    def book_fill(self, row: dict[str, str]) -> None:
        """Average entry price: what adds to the position moves it, what closes it realises against it."""
        price, quantity, fee = Decimal(row["price"]), Decimal(row["quantity"]), Decimal(row["fee"])
        if quantity <= 0 or price <= 0:
            self.problems.append(f"{row['time']}: a fill of {quantity} at {price}")
        signed = quantity if row["side"] == "buy" else -quantity
        opening = signed if self.position * signed >= 0 else ZERO
        if not opening:
            closed = min(abs(signed), abs(self.position)).copy_sign(self.position)
            self.realized += closed * (price - self.entry)
            self.cash += closed * (price - self.entry)
            self.position -= closed
            opening = signed + closed
        if opening:
            self.entry = (self.entry * abs(self.position) + price * abs(opening)) / abs(self.position + opening)
            self.position += opening
        if not self.position:
            self.entry = ZERO
        self.cash -= fee
        self.fees += fee
        if row["liquidity"] == "maker":
            self.maker_fills += 1
        else:
            self.taker_fills += 1

    def book_funding(self, row: dict[str, str]) -> None:
        """The amount as booked; it must be −position · mark · rate of the position that the fills made."""
        amount, position = Decimal(row["amount"]), Decimal(row["position"])
        if position != self.position:
            self.problems.append(f"{row['time']}: funding on a position of {position}, but the fills made {self.position}")
        due = -position * Decimal(row["mark_price"]) * Decimal(row["rate"])
        if abs(due - amount) > Decimal("0.00001"):
            self.problems.append(f"{row['time']}: funding of {amount} where {due} is due")
        self.cash += amount
        self.funding += amount


def walk(folder: Path, initial_wallet: Decimal) -> Ledger:
    """Book everything in the order of time. At the same moment a fill comes first: it happened in the bar that closes then, funding
    settles as the next one opens, on the position held before that bar's fills.
    """
    ledger = Ledger(cash=initial_wallet)
    moves = [(moment_ms(row["time"]), 0, i, row) for i, row in enumerate(read(folder / "fills.csv"))]
    moves += [(moment_ms(row["time"]), 1, i, row) for i, row in enumerate(read(folder / "funding.csv"))]
    for _, kind, _, row in sorted(moves, key=lambda move: move[:3]):
        (ledger.book_funding if kind else ledger.book_fill)(row)
    return ledger


def impossible_maker_fills(folder: Path, candles: Iterable[Candle], *, bar_ms: int, through: bool = True) -> list[str]:
    """Maker fills that the recorded candles rule out, each as a sentence.

    A fill at t happened in the candle with open < t ≤ open + ``bar_ms``. A buy needs a low under its price, a sell a high above it
    (``through``), or at it.
    """
    ordered = sorted(candles, key=lambda candle: candle.open_ms)
    opens = [candle.open_ms for candle in ordered]
    wrong = []
    for row in read(folder / "fills.csv"):
        if row["liquidity"] != "maker":
            continue
        at, price = moment_ms(row["time"]), float(row["price"])
        index = bisect_left(opens, at) - 1
        if index < 0 or at > opens[index] + bar_ms:
            wrong.append(f"{row['time']}: a maker fill where no candle was recorded")
            continue
        candle = ordered[index]
        beyond = price - candle.low if row["side"] == "buy" else candle.high - price
        if beyond < 0 or (through and beyond == 0):
            wrong.append(f"{row['time']}: a {row['side']} at {price} in a candle from {candle.low} to {candle.high}")
    return wrong


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by column name."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def moment_ms(text: str) -> int:
    """ISO 8601 UTC as milliseconds since the epoch, exactly."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)
