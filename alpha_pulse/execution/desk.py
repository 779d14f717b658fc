"""What stands behind a pair at a simulated venue: something that takes orders and market updates and keeps books."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, Order, OrderRequest
from alpha_pulse.domain.position import Account
from alpha_pulse.execution.matching.ledger import Ledger


class Desk(Protocol):
    """One pair. The matching engine is one, the list of tickets of recommendation mode another."""

    instrument: Instrument
    ledger: Ledger
    fills: list[Fill]
    funding: list[FundingPayment]
    notices: list[str]  # what a person should hear of; taken out by whoever logs it
    update: MarketUpdate | None  # the last one that was matched

    def place(self, request: OrderRequest, now_ms: int) -> Order:
        """Accept an order. Raises ``Rejected``."""
        ...

    def cancel(self, client_order_id: str) -> bool:
        """Take an order out; False if it is not open."""
        ...

    def find(self, client_order_id: str) -> Order | None:
        """An order by our id, open or closed."""
        ...

    def orders(self) -> tuple[Order, ...]:
        """Open orders; the same object until one of them changed."""
        ...

    def account(self) -> Account:
        """Wallet and position; the same object until something was booked."""
        ...

    def match(self, update: MarketUpdate) -> bool:
        """Take a market update; True if an order or the account changed."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything but fills and funding payments, as JSON values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``."""
        ...
