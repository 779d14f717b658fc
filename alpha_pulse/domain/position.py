"""What an account holds on the perpetual side, as the venue reports it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from alpha_pulse.domain.instrument import ZERO


@dataclass(frozen=True, slots=True)
class Position:
    """A perpetual position. ``quantity`` is signed (a short is negative), ``entry_price`` the average entry, 0 when flat."""

    symbol: str
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Account:
    """The perpetual wallet and one pair's position in it. All in quote units; only what changes on a booking is here,
    so that the same object comes back until something was booked.

    ``wallet`` is cash: deposits + realised PnL + funding − fees, without the open position's unrealised PnL.
    """

    wallet: Decimal
    position: Position
    fees_paid: Decimal = ZERO  # since the pair was opened
    funding_received: Decimal = ZERO  # since the pair was opened; negative when paid
    realized_pnl: Decimal = ZERO  # since the pair was opened, before fees and funding
    deposits: Decimal = ZERO  # net external flows into the wallet since the pair was opened
    leverage_limit: Decimal = Decimal(3)  # the venue's own initial-margin leverage for this pair
    liquidated: bool = False  # the venue closed the position for lack of margin
