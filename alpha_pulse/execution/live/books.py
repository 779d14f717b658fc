"""What one pair has traded at a real venue: every trade once, every funding payment once, and the account that follows from them.

The venue's wallet holds more than one pair's money: other pairs, transfers, trades by hand in other contracts. What this pair's own
bookings do not explain counts as a flow (``deposits``), so that profit and loss are this pair's alone and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.domain.instrument import ZERO, Instrument
from alpha_pulse.domain.orders import Fill, FundingPayment
from alpha_pulse.domain.position import Account, Position
from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.execution.matching.codec import ledger_state, restore_ledger
from alpha_pulse.execution.matching.ledger import Ledger, Wallet
from alpha_pulse.hedging.state.codec import decode, encode

CENT: Final = Decimal("0.01")
_INCOME_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Income:
    """One funding row of the venue's account history, quote units."""

    income_id: str
    ts_ms: int
    amount: Decimal


class PairBooks:
    """Fills, funding and account of one pair. Not thread-safe; one writer."""

    def __init__(self, instrument: Instrument, leverage: Decimal) -> None:
        self.instrument = instrument
        self.leverage = leverage
        self.fills: list[Fill] = []
        self.funding: list[FundingPayment] = []
        self.opened_ms = 0  # when this pair was first opened here; 0 = never
        self.read_until_ms = 0  # every trade up to here is booked
        self._own = Wallet()  # what this pair earned, in quote units, from zero
        self.ledger = Ledger(self._own, instrument.lot_size)
        self.deposits = ZERO
        self.filled: dict[str, Decimal] = {}  # by client order id
        self._seen: set[str] = set()
        self._before: list[str] = []  # trades that the position of the first opening already holds
        self._income: dict[str, None] = {}
        self._account: Account | None = None
        self._saved = (0, 0)
        self.changed = True  # something has to be journalled

    # --- memory -----------------------------------------------------------------------------------------------------
    def restore(self, record: JournalRecord | None) -> dict[str, Any]:
        """Go on from the journal; returns whatever else its state holds."""
        if record is None or not record.state:
            return {}
        state = record.state
        restore_ledger(self.ledger, state["ledger"])
        self._keep_lots(Decimal(state.get("lot_size", self.instrument.lot_size)))
        self._own.cash = Decimal(state["earned"])
        self.deposits = Decimal(state["deposits"])
        self.opened_ms, self.read_until_ms = state["opened_ms"], state["read_until_ms"]
        self._income = dict.fromkeys(state["income"])
        self.fills.extend(decode(Fill, fill) for fill in record.fills)
        self.funding.extend(decode(FundingPayment, payment) for payment in record.funding)
        self._before = list(state["before"])
        self._seen = {*self._before, *(fill.trade_id for fill in self.fills)}
        for fill in self.fills:
            self._count(fill)
        self._saved = len(self.fills), len(self.funding)
        self._account, self.changed = None, False
        return dict(state)

    def state(self) -> dict[str, Any]:
        """Everything but fills and funding, as JSON values."""
        return {
            "ledger": ledger_state(self.ledger),
            "lot_size": str(self.ledger.lot_size),
            "earned": str(self._own.cash),
            "deposits": str(self.deposits),
            "opened_ms": self.opened_ms,
            "read_until_ms": self.read_until_ms,
            "income": list(self._income)[-_INCOME_KEPT:],
            "before": self._before,
        }

    def _keep_lots(self, kept: Decimal) -> None:
        """The ledger counts in lots of ``kept``, and the venue has others now: go on in the finer of the two, so that both fit."""
        finer = min(kept, self.instrument.lot_size)
        self.ledger.lots = int(self.ledger.lots * kept / finer)
        self.ledger.lot_size = finer

    def relist(self, instrument: Instrument) -> None:
        """The venue's trading rules are these now."""
        self.instrument = instrument
        self._keep_lots(self.ledger.lot_size)
        self._account, self.changed = None, True

    def unsaved(self) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Fills and funding that the journal does not have yet."""
        fills, funding = self._saved
        return [encode(fill) for fill in self.fills[fills:]], [encode(payment) for payment in self.funding[funding:]]

    def touch(self) -> None:
        """Something has to be journalled."""
        self.changed = True

    def saved(self, fills: int, funding: int) -> None:
        """The journal has this many."""
        self._saved = fills, funding

    def _count(self, fill: Fill) -> None:
        self.filled[fill.client_order_id] = self.filled.get(fill.client_order_id, ZERO) + fill.quantity

    # --- booking ----------------------------------------------------------------------------------------------------
    def knows(self, trade_id: str) -> bool:
        """Whether this trade is booked."""
        return trade_id in self._seen

    def adopt(self, quantity: Decimal, entry_price: Decimal, traded: Iterable[str], now_ms: int) -> None:
        """Begin at ``now_ms`` (the venue's time) with a position that was there before, and with the trades that are in it already."""
        self._before = sorted(traded)
        self._seen.update(self._before)
        self.opened_ms = self.read_until_ms = now_ms
        lots = int(quantity / self.ledger.lot_size)
        if lots:
            self.ledger.trade(lots, entry_price, ZERO)
        self._account, self.changed = None, True

    def book(self, fill: Fill, fee_in_quote: Decimal) -> bool:
        """Book a trade unless it is booked; ``fee_in_quote`` is what left the wallet in quote units. True if it was new."""
        if fill.trade_id in self._seen:
            return False
        self._seen.add(fill.trade_id)
        self.fills.append(fill)
        self._count(fill)
        lots = fill.side.sign * int(fill.quantity / self.ledger.lot_size)
        self.ledger.trade(lots, fill.price, fee_in_quote)
        self._account, self.changed = None, True
        return True

    def settle(self, income: Income, rate: Decimal, mark: Decimal, interval_h: float) -> bool:
        """Book a funding payment unless it is booked; True if it was new."""
        if income.income_id in self._income:
            return False
        self._income[income.income_id] = None
        if len(self._income) > 2 * _INCOME_KEPT:
            self._income = dict.fromkeys(list(self._income)[-_INCOME_KEPT:])
        self.ledger.funding += income.amount
        self._own.cash += income.amount
        quantity = self.ledger.quantity
        self.funding.append(FundingPayment(income.ts_ms, self.instrument.symbol, rate, mark, quantity, income.amount, interval_h))
        self._account, self.changed = None, True
        return True

    def funded_until_ms(self) -> int:
        """Time of the last funding payment booked, or of the opening."""
        return self.funding[-1].ts_ms if self.funding else self.opened_ms

    def unexplained(self, cash: Decimal) -> bool:
        """Whether the venue's wallet differs from what the bookings say by a cent or more."""
        return abs(cash - self._own.cash - self.deposits) >= CENT

    def wallet_is(self, cash: Decimal) -> None:
        """The venue's wallet, read before the bookings: what these do not explain flowed in or out."""
        if self.unexplained(cash):
            self.deposits = cash - self._own.cash
            self._account, self.changed = None, True

    def re_lever(self, leverage: Decimal) -> None:
        """The venue's own leverage is another one now."""
        self.leverage = leverage
        self._account = None

    def liquidated(self) -> None:
        """The venue closed the position for lack of margin."""
        if not self.ledger.liquidated:
            self.ledger.liquidated = True
            self._account, self.changed = None, True

    def show_anew(self) -> None:
        """The next ``account`` is another object, though it says the same: something happened that should be acted upon."""
        self._account = None

    def account(self) -> Account:
        """Wallet and position; the same object until something was booked, or ``show_anew``."""
        if self._account is None:
            ledger = self.ledger
            self._account = Account(
                wallet=self.deposits + self._own.cash,
                position=Position(self.instrument.symbol, ledger.quantity, ledger.entry_price),
                fees_paid=ledger.fees,
                funding_received=ledger.funding,
                realized_pnl=ledger.realized,
                deposits=self.deposits,
                leverage_limit=self.leverage,
                liquidated=ledger.liquidated,
            )
        return self._account
