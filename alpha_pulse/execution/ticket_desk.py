"""The desk of recommendation mode: it takes orders and writes tickets; a person trades, and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Liquidity, Order, OrderRequest, Side
from alpha_pulse.domain.position import Account, Position
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.config import TicketSettings
from alpha_pulse.execution.matching.admission import ABSURD, check_form, check_market
from alpha_pulse.execution.matching.codec import ledger_state, restore_ledger
from alpha_pulse.execution.matching.ledger import Ledger, Wallet
from alpha_pulse.execution.matching.trades import Trades
from alpha_pulse.execution.tickets import Ticket, TicketStatus, score, would_fill, write_ticket
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.hedging.state.codec import decode, encode

KEPT: Final = 10_000
"""Closed tickets that can still be asked for while the process lives."""

KEPT_ON_DISK: Final = 128
"""Closed and scored tickets that a restart still knows; every ticket is in the store's events anyway."""

FAR_OFF = Decimal("0.2")
"""A reported fill this far from the market (fraction) is a slip of the keyboard."""


class TicketDesk:
    """One pair's tickets, and a virtual account that follows what people report. Sends nothing, ever.

    The account starts flat with the paper wallet; reported fills and the funding of the reported position are booked into it. No
    margin is checked and nothing is liquidated: the person's venue does that.
    """

    def __init__(
        self, instrument: Instrument, wallet: Wallet, settings: TicketSettings, slippage_bps: float, clock: Clock, kept: int = KEPT
    ) -> None:
        self.instrument = instrument
        self.ledger = Ledger(wallet, instrument.lot_size)
        self.trades = Trades(instrument, self.ledger)
        self.fills = self.trades.fills
        self.funding = self.trades.funding
        self.notices: list[str] = []
        self.events: list[Event] = []
        self.update: MarketUpdate | None = None
        self.tickets: dict[str, Ticket] = {}  # in the order in which they were written
        self._settings = settings
        self._slippage_bps = slippage_bps
        self._clock = clock
        self._kept = kept
        self._count = 0
        self._cooling: dict[str, int] = {}  # order slot -> not before, ms
        self._pending: dict[str, None] = {}  # ids that are live or not scored yet, oldest first
        self._orders: tuple[Order, ...] | None = ()
        self._changes = 0
        self._state: dict[str, Any] = {}
        self._state_at = -1
        self._account: Account | None = None
        self._account_at = -1  # version of the wallet that it shows

    # --- the desk ---------------------------------------------------------------------------------------------------
    def place(self, request: OrderRequest, now_ms: int) -> Order:
        """Write a ticket.

        Raises:
            Rejected: duplicate id, against a rule of the venue, or a person rejected the like a short while ago.
        """
        if request.client_order_id in self.tickets:
            raise Rejected("duplicate client order id", client_order_id=request.client_order_id)
        if self.update is None:
            raise Rejected("there is no market price yet", client_order_id=request.client_order_id)
        check_form(request, self.instrument, self.update.mark.close)
        check_market(request, self.instrument, self.update, self.ledger.lots)
        if now_ms < self._cooling.get(_slot(request.side, request.purpose, request.node), 0):
            raise Rejected("a person rejected this order a short while ago", client_order_id=request.client_order_id)
        self._count += 1
        ticket = write_ticket(request, self._count, now_ms, self.instrument, self.update, self._settings, self._slippage_bps)
        self._pending[ticket.id] = None
        self._put(ticket, EventKind.TICKET)
        return ticket.order()

    def cancel(self, client_order_id: str) -> bool:
        """Withdraw a ticket; False if it is not live."""
        ticket = self.tickets.get(client_order_id)
        if ticket is None or not ticket.status.live:
            return False
        if ticket.status is TicketStatus.ACCEPTED:
            self.notices.append(f"ticket {ticket.id} was accepted and is now withdrawn: cancel the order at the venue")
        self._end(ticket, TicketStatus.WITHDRAWN)
        return True

    def find(self, client_order_id: str) -> Order | None:
        """A ticket as an order."""
        ticket = self.tickets.get(client_order_id)
        return None if ticket is None else ticket.order()

    def orders(self) -> tuple[Order, ...]:
        """Live tickets as open orders."""
        if self._orders is None:
            live = (self.tickets[key] for key in self._pending)
            self._orders = tuple(ticket.order() for ticket in live if ticket.status.live)
        return self._orders

    def account(self) -> Account:
        """The virtual account."""
        ledger, wallet = self.ledger, self.ledger.wallet
        if self._account is None or self._account_at != wallet.version:
            self._account_at = wallet.version
            position = Position(self.instrument.symbol, ledger.quantity, ledger.entry_price)
            self._account = Account(wallet.cash, position, ledger.fees, ledger.funding, ledger.realized, wallet.deposits)
        return self._account

    def match(self, update: MarketUpdate) -> bool:
        """Book funding, expire what is due, note what would have filled, score what is over."""
        self.update = update
        changed = self.trades.settle(update)
        self._changes += changed
        now_ms = self._clock.now_ms()
        for key in list(self._pending):
            ticket = self.tickets[key]
            if ticket.status.live:
                changed |= self._watch(ticket, update, now_ms)
            elif now_ms >= ticket.closed_ms + round(self._settings.score_after_s * 1000):
                del self._pending[key]
                self._put(replace(ticket, score_bps=score(ticket, update.perp.close)), EventKind.TICKET_UPDATED)
                changed = True
        return changed

    def _watch(self, ticket: Ticket, update: MarketUpdate, now_ms: int) -> bool:
        before = ticket
        if not ticket.would_have_filled and would_fill(ticket, update, self.instrument.tick):
            ticket = replace(ticket, would_have_filled=True)
            self.tickets[ticket.id] = ticket
            self._changes += 1
        if ticket.status is TicketStatus.OPEN and now_ms >= ticket.expires_ms:
            self._end(ticket, TicketStatus.EXPIRED)
        return self.tickets[ticket.id] is not before

    def state(self) -> dict[str, Any]:
        """Tickets, books and undelivered events as JSON values."""
        if self._state_at != self._changes:
            self._state_at = self._changes
            closed = [key for key in self.tickets if key not in self._pending][-KEPT_ON_DISK:]
            kept = set(closed) | set(self._pending)
            self._state = {
                "ledger": ledger_state(self.ledger),
                "tickets": [encode(ticket) for key, ticket in self.tickets.items() if key in kept],
                "pending": list(self._pending),
                "count": self._count,
                "cooling": dict(self._cooling),
            }
        return {**self._state, "events": [encode(event) for event in self.events], "update": encode(self.update)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``."""
        restore_ledger(self.ledger, state["ledger"])
        self.tickets = {ticket.id: ticket for ticket in (decode(Ticket, data) for data in state["tickets"])}
        self._pending = dict.fromkeys(state["pending"])
        self._count = state["count"]
        self._cooling = dict(state["cooling"])
        self.events.extend(decode(Event, data) for data in state["events"])
        self.update = decode(MarketUpdate, state["update"]) if state["update"] is not None else None
        self._orders = self._account = None
        self._changes += 1

    # --- verdicts ---------------------------------------------------------------------------------------------------
    def verdict(self, name: str, ticket_id: str, price: Decimal | None = None, quantity: Decimal | None = None) -> None:
        """What a person says: ``accept``, ``reject``, or ``done`` with what filled (defaults: recommended price, all of it).

        Raises:
            Rejected: no such ticket, or it makes no sense for the state it is in.
        """
        ticket = self.tickets.get(ticket_id)
        if ticket is None:
            raise Rejected(f"there is no ticket {ticket_id}")
        handlers: dict[str, Callable[[], None]] = {
            "accept": lambda: self._accept(ticket),
            "reject": lambda: self._reject(ticket),
            "done": lambda: self._done(ticket, price, quantity),
        }
        if name not in handlers:
            raise Rejected(f"unknown verdict {name}: say accept, reject or done")
        handlers[name]()

    def _accept(self, ticket: Ticket) -> None:
        if ticket.status is not TicketStatus.OPEN:
            raise Rejected(f"ticket {ticket.id} is {ticket.status}, it cannot be accepted")
        self._put(replace(ticket, status=TicketStatus.ACCEPTED), EventKind.TICKET_UPDATED)

    def _reject(self, ticket: Ticket) -> None:
        if not ticket.status.live:
            raise Rejected(f"ticket {ticket.id} is {ticket.status}, it cannot be rejected")
        until = self._clock.now_ms() + round(self._settings.cool_down_s * 1000)
        self._cooling[_slot(ticket.side, ticket.purpose, ticket.node)] = until
        self._end(ticket, TicketStatus.REJECTED)

    def _done(self, ticket: Ticket, price: Decimal | None, quantity: Decimal | None) -> None:
        """Book a reported fill. One that comes after the ticket expired or was withdrawn is booked too: it happened."""
        if ticket.status is TicketStatus.DONE:
            raise Rejected(f"ticket {ticket.id} is done already")
        instrument = self.instrument
        price = price if price is not None else ticket.price or ticket.trigger or ticket.reference_price
        quantity = quantity if quantity is not None else ticket.quantity - ticket.filled
        sane = all(number.is_finite() and 0 < number < ABSURD for number in (price, quantity))
        lots = instrument.lots_down(quantity) if sane else 0
        if not lots or instrument.quantity(lots) != quantity:
            raise Rejected(f"a fill of {quantity} at {price} cannot be booked: the lot size is {instrument.lot_size}")
        if quantity > ticket.quantity - ticket.filled:
            raise Rejected(f"a fill of {quantity} is more than the {ticket.quantity - ticket.filled} that ticket {ticket.id} is for")
        if abs(price / ticket.reference_price - 1) > FAR_OFF:
            raise Rejected(f"a fill at {price} is far from the {ticket.reference_price} where the market stood: is the price right?")
        maker = ticket.liquidity is Liquidity.MAKER
        reference = price if maker else ticket.reference_price
        fee_rate = instrument.maker_fee if maker else instrument.taker_fee
        self.trades.fill(ticket.request(), lots, price, reference, ticket.liquidity, fee_rate, self._clock.now_ms())
        filled = ticket.filled + quantity
        average = (ticket.filled * ticket.fill_price + quantity * price) / filled
        ticket = replace(ticket, filled=filled, fill_price=average)
        if filled >= ticket.quantity:
            self._pending[ticket.id] = None
            self._end(ticket, TicketStatus.DONE)
        else:
            status = TicketStatus.ACCEPTED if ticket.status.live else ticket.status
            self._put(replace(ticket, status=status), EventKind.TICKET_UPDATED)

    def _end(self, ticket: Ticket, status: TicketStatus) -> None:
        self._put(replace(ticket, status=status, closed_ms=self._clock.now_ms()), EventKind.TICKET_UPDATED)

    def _put(self, ticket: Ticket, kind: EventKind) -> None:
        """Keep a ticket, tell of it, and forget the oldest closed one when there are too many."""
        self.tickets[ticket.id] = ticket
        self._orders = None
        self._changes += 1
        if len(self.tickets) > self._kept:
            oldest = next((key for key in self.tickets if key not in self._pending), None)
            if oldest is not None:
                del self.tickets[oldest]
        self.events.append(Event(kind, self._clock.now_ms(), "", {"ticket": encode(ticket)}))
        price = ticket.price or ticket.trigger or "market"
        logger.bind(ticket=ticket.id, symbol=ticket.symbol).info(
            f"Ticket {ticket.id} {ticket.status}: {ticket.side} {ticket.quantity} at {price}, {ticket.cost_bps:.1f} bps. {ticket.why}"
        )


def _slot(side: Side, purpose: str, node: int) -> str:
    """What makes two orders the same wish, whatever their ids."""
    return f"{side}/{purpose}/{node}"
