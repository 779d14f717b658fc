"""Orders, fills and funding as every venue adapter reports them. Money is Decimal; times are milliseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """BUY raises the perpetual position, SELL lowers it."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for BUY, −1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """LIMIT rests or takes up to a price; MARKET takes; STOP_MARKET becomes a MARKET order when mark crosses its trigger."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_MARKET = "stop_market"


class TimeInForce(StrEnum):
    """GTC rests; POST_ONLY rests or is rejected; IOC takes what it can at once and cancels the rest."""

    GTC = "gtc"
    POST_ONLY = "post_only"
    IOC = "ioc"


class Purpose(StrEnum):
    """Why an order exists. It is part of the client order id, so a restart knows it too."""

    GRID = "grid"  # a node of the hedge curve
    REBALANCE = "rebalance"  # closes a gap outside the band, patient first
    FLOOR = "floor"  # closes a gap under a floor, or cuts for margin: at once
    STOP = "stop"  # the resting stop at the venue
    EXTERNAL = "external"  # not the bot's: a person's order, a liquidation


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Liquidity(StrEnum):
    """Whether a fill made or took liquidity."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order that the plan wants at the venue. ``quantity`` > 0 in base units; prices in quote units."""

    client_order_id: str
    symbol: str  # unified symbol of the perpetual
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None  # limit price; None for market and stop-market
    purpose: Purpose
    node: int = 0  # grid node index, −n … n; 0 for anything that is not a node
    time_in_force: TimeInForce = TimeInForce.GTC
    trigger_price: Decimal | None = None  # STOP_MARKET only, on mark
    reduce_only: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the venue knows it."""

    request: OrderRequest
    venue_order_id: str
    status: OrderStatus
    filled: Decimal  # cumulative, base units
    created_ms: int

    @property
    def client_order_id(self) -> str:
        """Our id for it."""
        return self.request.client_order_id

    @property
    def remaining(self) -> Decimal:
        """What can still fill, base units."""
        return self.request.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours. ``fee`` > 0 is paid by us, in ``fee_currency``; ``reference_price`` is where the market stood before
    our own impact (the touch or bar price a taker aimed at; the limit price for a maker): slippage is measured from it.
    """

    trade_id: str
    client_order_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity
    ts_ms: int
    reference_price: Decimal
    purpose: Purpose
    node: int = 0


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """One funding settlement. ``amount`` = −position·mark·rate: positive is received by us."""

    ts_ms: int
    symbol: str
    rate: Decimal
    mark_price: Decimal
    position: Decimal
    amount: Decimal
    interval_h: float
