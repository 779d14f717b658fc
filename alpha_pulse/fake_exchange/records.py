"""What the fake exchange remembers: orders, trades, income and requests. Plain records; money is Decimal, times are ms UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
WORKING = frozenset({"NEW", "PARTIALLY_FILLED"})


@dataclass(slots=True)
class Trade:
    """One fill at the venue. ``commission`` is paid in ``commission_asset``; ``realized`` is before fees."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: str
    position_side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized: Decimal
    maker: bool
    ts_ms: int

    @property
    def quote(self) -> Decimal:
        """Price times quantity."""
        return self.price * self.quantity


@dataclass(slots=True)
class VenueOrder:
    """An order as the venue keeps it for ever, futures or spot. ``engine_id`` is its name inside the matching engine."""

    order_id: int
    client_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    created_ms: int
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    reduce_only: bool = False
    close_position: bool = False
    orig_type: str = ""
    stop_price: Decimal = ZERO
    working_type: str = "CONTRACT_PRICE"
    status: str = "NEW"
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    updated_ms: int = 0
    engine_id: str = ""
    trades: list[Trade] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """It can still fill."""
        return self.status in WORKING

    @property
    def average(self) -> Decimal:
        """Average price of the fills; 0 before the first."""
        return self.quote_filled / self.filled if self.filled else ZERO

    def book(self, trade: Trade) -> None:
        """Count a fill."""
        self.trades.append(trade)
        self.filled += trade.quantity
        self.quote_filled += trade.quote
        self.updated_ms = trade.ts_ms
        self.status = "FILLED" if self.filled >= self.quantity else "PARTIALLY_FILLED"


@dataclass(slots=True)
class AlgoOrder:
    """A conditional order: it waits beside the book until its trigger, then becomes ``actual``."""

    algo_id: int
    client_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    trigger_price: Decimal
    created_ms: int
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    reduce_only: bool = False
    close_position: bool = False
    status: str = "NEW"
    updated_ms: int = 0
    triggered_ms: int = 0
    engine_id: str = ""
    actual: VenueOrder | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Its trigger can still be reached."""
        return self.status == "NEW"


@dataclass(frozen=True, slots=True)
class Income:
    """One movement of a futures wallet."""

    id: int
    kind: str  # FUNDING_FEE, COMMISSION, REALIZED_PNL, TRANSFER, INSURANCE_CLEAR
    symbol: str
    asset: str
    amount: Decimal
    ts_ms: int
    trade_id: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request that reached the venue with a key. ``processed`` is False where a fault, a limit or the door turned it away."""

    ts_ms: int
    account: str
    method: str
    path: str
    params: dict[str, Any]
    processed: bool
    status: int
