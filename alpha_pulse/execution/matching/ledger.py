"""The books: a wallet in quote units and, for each pair in it, position, cost, realised PnL, fees and funding. All exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

from alpha_pulse.domain.instrument import ZERO

BOOKED: Final = Decimal("1e-12")
"""The unit, in quote currency, of the two amounts that do not come out even: the cost of a part of a position, and funding.

Twelve decimals leave sixteen digits before the point within Decimal's 28, so adding them up never rounds and money is conserved.
"""


class Member(Protocol):
    """Someone who trades out of a wallet."""

    def invalidate(self) -> None:
        """The wallet changed: whatever was derived from it is out of date."""
        ...

    def exposure(self) -> tuple[float, float, float]:
        """(Unrealised PnL, maintenance margin, absolute notional) of the position at mark, quote units."""
        ...


class Wallet:
    """Cash of one quote currency that every pair of that quote shares (cross margin)."""

    __slots__ = ("cash", "deposits", "members", "version")

    def __init__(self, cash: Decimal = ZERO, deposits: Decimal = ZERO) -> None:
        self.cash = cash
        self.deposits = deposits
        self.members: list[Member] = []
        self.version = 0  # rises with each booking

    def book(self, amount: Decimal) -> None:
        """Add to (or take from) the cash."""
        self.cash += amount
        self.version += 1
        for member in self.members:
            member.invalidate()

    def transfer(self, amount: Decimal) -> None:
        """Move money in (or out, negative) from outside: a flow, not a profit."""
        self.deposits += amount
        self.book(amount)

    def elsewhere(self, me: Member) -> tuple[float, float, float]:
        """What everyone but ``me`` has at stake in this wallet: unrealised PnL, maintenance margin, notional."""
        unrealized = maintenance = notional = 0.0
        for member in self.members:
            if member is not me:
                u, m, n = member.exposure()
                unrealized, maintenance, notional = unrealized + u, maintenance + m, notional + n
        return unrealized, maintenance, notional


class Ledger:
    """One pair's books in a wallet.

    ``cost`` is the signed sum of what the open position was bought or sold for (F·E). It is kept instead of the average entry
    price, so that wallet + F·P − cost changes by fees, funding and transfers alone, to the last digit.
    """

    __slots__ = ("cost", "fees", "funding", "liquidated", "lot_size", "lots", "realized", "wallet")

    def __init__(self, wallet: Wallet, lot_size: Decimal) -> None:
        self.wallet = wallet
        self.lot_size = lot_size
        self.lots = 0  # signed
        self.cost = ZERO
        self.realized = ZERO
        self.fees = ZERO
        self.funding = ZERO
        self.liquidated = False

    @property
    def quantity(self) -> Decimal:
        """Signed position F, base units."""
        return self.lot_size * self.lots

    @property
    def entry_price(self) -> Decimal:
        """Average entry price E, quote units; 0 when flat."""
        return (self.cost / self.quantity).quantize(BOOKED) if self.lots else ZERO

    def trade(self, lots: int, price: Decimal, fee: Decimal) -> None:
        """Book a trade of signed ``lots`` at ``price`` with a ``fee`` (positive is paid). Average-entry accounting.

        Whatever closes realises its part of the cost; what goes beyond flat opens the other side at ``price``.
        """
        held = self.lots
        self.lots = held + lots
        realized = ZERO
        if held == 0 or (held > 0) == (lots > 0):
            self.cost += self.lot_size * lots * price
        elif abs(lots) >= abs(held):
            realized = self.lot_size * held * price - self.cost
            self.cost = self.lot_size * self.lots * price
        else:
            released = (self.cost * -lots / held).quantize(BOOKED)
            realized = self.lot_size * -lots * price - released
            self.cost -= released
        self.realized += realized
        self.fees += fee
        self.wallet.book(realized - fee)

    def settle(self, mark: Decimal, rate: Decimal) -> Decimal:
        """Book a funding settlement on the position as it stands; returns the amount, −F·mark·rate (positive is received)."""
        amount = (-self.quantity * mark * rate).quantize(BOOKED)
        self.funding += amount
        self.wallet.book(amount)
        return amount
