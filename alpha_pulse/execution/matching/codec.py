"""Book and ledger as JSON values and back, exactly, for a venue that survives its process."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from alpha_pulse.domain.orders import Order
from alpha_pulse.execution.matching.book import Book, Kind
from alpha_pulse.execution.matching.ledger import Ledger
from alpha_pulse.hedging.state.codec import decode, encode

KEPT_ON_DISK = 128
"""Closed orders that a restart still knows: enough to settle every order whose outcome a killed bot never learned."""


def ledger_state(ledger: Ledger) -> dict[str, Any]:
    """The books of one pair, without the wallet that it shares."""
    return {
        "lots": ledger.lots,
        "cost": str(ledger.cost),
        "realized": str(ledger.realized),
        "fees": str(ledger.fees),
        "funding": str(ledger.funding),
        "liquidated": ledger.liquidated,
    }


def restore_ledger(ledger: Ledger, state: Mapping[str, Any]) -> None:
    """Put ``ledger_state`` back."""
    ledger.lots = state["lots"]
    ledger.cost = Decimal(state["cost"])
    ledger.realized = Decimal(state["realized"])
    ledger.fees = Decimal(state["fees"])
    ledger.funding = Decimal(state["funding"])
    ledger.liquidated = state["liquidated"]


def book_state(book: Book) -> dict[str, Any]:
    """Open orders with their places in the queue, and the last closed ones."""
    skipped = max(0, len(book.closed) - KEPT_ON_DISK)
    return {
        "sequence": book.sequence,
        "open": [{"order": encode(r.order), "kind": int(r.kind), "sequence": r.sequence} for r in book.open.values()],
        "closed": [encode(order) for order in islice(book.closed.values(), skipped, None)],
    }


def restore_book(book: Book, state: Mapping[str, Any]) -> None:
    """Put ``book_state`` back into an empty book."""
    book.sequence = state["sequence"]
    for entry in state["open"]:
        book.put(decode(Order, entry["order"]), Kind(entry["kind"]), entry["sequence"])
    for order in state["closed"]:
        book.remember(decode(Order, order))
