"""What a venue told us, checked: frozen values in base units, exact. And the one call that places an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from alpha_pulse.domain.orders import OrderType, Side

Bankruptcy = Literal["", "liquidation", "adl"]
"""Why the venue traded for us: not at all, to liquidate us, or to deleverage us for somebody else's loss."""


class OrderCall(NamedTuple):
    """The arguments of ccxt's ``create_order``, in its order. ``amount`` is in contracts; both numbers are exact."""

    symbol: str
    type: str
    side: str
    amount: float
    price: float | None
    params: dict[str, Any]


class VenueStatus(StrEnum):
    """Where the venue says an order is. Expired is CANCELLED; TRIGGERED is a stop that fired, see ``triggered_order_id``."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    TRIGGERED = "triggered"

    @property
    def is_live(self) -> bool:
        """Whether the order can still fill."""
        return self in {VenueStatus.OPEN, VenueStatus.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue tells it. Quantities in base units; ``type`` is None where the venue does not say."""

    client_order_id: str  # ours, or a stranger's as it is, or ""
    venue_order_id: str
    symbol: str
    status: VenueStatus
    side: Side
    type: OrderType | None
    price: Decimal | None
    trigger_price: Decimal | None
    quantity: Decimal
    filled: Decimal  # cumulative
    created_ms: int  # 0 where the venue does not say
    triggered_order_id: str = ""  # the order that a fired stop became


@dataclass(frozen=True, slots=True)
class VenueTrade:
    """One trade of ours. ``fee`` > 0 is paid by us. ``maker`` is False where the venue does not say."""

    trade_id: str
    venue_order_id: str
    client_order_id: str  # "" where the venue does not say
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal  # base units
    fee: Decimal
    fee_currency: str
    maker: bool
    ts_ms: int
    other_fees: tuple[tuple[str, Decimal], ...] = ()  # (currency, amount) where a venue charges in more than one coin
    reason: Bankruptcy = ""


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """The perpetual position, signed, base units. None where the venue does not say."""

    quantity: Decimal
    entry_price: Decimal | None
    leverage: Decimal | None
    margin_mode: str | None  # "cross" or "isolated"
    liquidation_price: Decimal | None
    other_leg: Decimal = Decimal(0)  # hedge mode: the position on the side that is not ours, signed


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """What the venue answers when asked how the account is set. None where it has no way to tell."""

    leverage: int | None
    margin_mode: str | None
    hedge_mode: bool | None


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What the API key may do. None: the venue does not tell."""

    can_trade: bool | None = None
    can_withdraw: bool | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a venue spells what ccxt leaves unspelled: used by ``readings``."""

    client_id_keys: tuple[str, ...] = ("clientOrderId", "clientOid", "clOrdId", "cloid", "text", "orderLinkId", "cliOrdId")
    triggered_id_keys: tuple[str, ...] = ()
    statuses: Mapping[str, str] = field(default_factory=dict)  # the venue's word, lower case: ccxt's word
