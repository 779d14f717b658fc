"""Tickets: orders that a person may place. Values and pure arithmetic; ``recommendation_broker`` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from alpha_pulse.domain.instrument import ZERO, Instrument, exact
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Liquidity, Order, OrderRequest, OrderStatus, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.execution.config import TicketSettings
from alpha_pulse.execution.matching import kernel

BPS: Final = 1e4


class TicketStatus(StrEnum):
    """Where a ticket is in its life. OPEN and ACCEPTED ones count as live orders."""

    OPEN = "open"  # recommended, nobody has said anything
    ACCEPTED = "accepted"  # a person says that it is at the venue now; it no longer expires
    REJECTED = "rejected"  # a person does not want it; not asked again for a while
    DONE = "done"  # a person reported its fill
    EXPIRED = "expired"  # nobody took it in time
    WITHDRAWN = "withdrawn"  # the plan no longer wants it (an accepted one should be cancelled at the venue)

    @property
    def live(self) -> bool:
        """Whether the plan counts on it."""
        return self in (TicketStatus.OPEN, TicketStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One recommendation. Prices in quote units, quantities in base units, times in milliseconds UTC."""

    id: str  # the client order id
    number: int  # counts tickets of a pair, for people
    created_ms: int
    expires_ms: int
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    purpose: Purpose
    node: int
    why: str
    cost_bps: float  # expected: fee, and for a taker half the spread and the impact, of the notional
    reference_price: Decimal  # where the market stood when it was written
    status: TicketStatus = TicketStatus.OPEN
    closed_ms: int = 0
    filled: Decimal = ZERO  # reported so far
    fill_price: Decimal = ZERO  # average of what was reported
    would_have_filled: bool = False  # while it was live, the market traded through it (triggered it, for a stop)
    score_bps: float | None = None  # see ``score``; None until it is time

    def request(self) -> OrderRequest:
        """The order that it recommends."""
        return OrderRequest(
            client_order_id=self.id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            price=self.price,
            purpose=self.purpose,
            node=self.node,
            time_in_force=self.time_in_force,
            trigger_price=self.trigger,
            reduce_only=self.reduce_only,
            reason=self.why,
        )

    def order(self) -> Order:
        """It as an order, for whoever plans."""
        return Order(self.request(), str(self.number), _STATUS[self.status], self.filled, self.created_ms)

    @property
    def liquidity(self) -> Liquidity:
        """What its fill would be."""
        return liquidity_of(self.type, self.time_in_force)


_STATUS: Final = {
    TicketStatus.OPEN: OrderStatus.OPEN,
    TicketStatus.ACCEPTED: OrderStatus.OPEN,
    TicketStatus.REJECTED: OrderStatus.REJECTED,
    TicketStatus.DONE: OrderStatus.FILLED,
    TicketStatus.EXPIRED: OrderStatus.CANCELLED,
    TicketStatus.WITHDRAWN: OrderStatus.CANCELLED,
}


def liquidity_of(kind: OrderType, time_in_force: TimeInForce) -> Liquidity:
    """A limit order that may rest makes liquidity, everything else takes it."""
    rests = kind is OrderType.LIMIT and time_in_force is not TimeInForce.IOC
    return Liquidity.MAKER if rests else Liquidity.TAKER


def expected_cost_bps(request: OrderRequest, instrument: Instrument, update: MarketUpdate, slippage_bps: float) -> float:
    """Expected cost of an order in basis points of its notional: the fee, and what a taker pays beyond the middle of the market."""
    if liquidity_of(request.type, request.time_in_force) is Liquidity.MAKER:
        return round(float(instrument.maker_fee) * BPS, 4)
    price = update.perp.close
    depth = update.ask_depth if request.side is Side.BUY else update.bid_depth
    impact = kernel.impact(float(request.quantity), price, depth, slippage_bps)
    return round((float(instrument.taker_fee) + 0.5 * (update.ask - update.bid) / price + impact) * BPS, 4)


def write_ticket(
    request: OrderRequest, number: int, now_ms: int, instrument: Instrument, update: MarketUpdate, settings: TicketSettings, slippage: float
) -> Ticket:
    """The ticket for an approved order, on the market of ``update``. ``slippage`` in basis points, where depth is unknown."""
    urgent = request.type is OrderType.MARKET or request.time_in_force is TimeInForce.IOC
    life_s = settings.urgent_expiry_s if urgent else settings.expiry_s
    return Ticket(
        id=request.client_order_id,
        number=number,
        created_ms=now_ms,
        expires_ms=now_ms + round(life_s * 1000),
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        quantity=request.quantity,
        price=request.price,
        trigger=request.trigger_price,
        reduce_only=request.reduce_only,
        purpose=request.purpose,
        node=request.node,
        why=request.reason,
        cost_bps=expected_cost_bps(request, instrument, update, slippage),
        reference_price=exact(update.perp.close),
    )


def would_fill(ticket: Ticket, update: MarketUpdate, tick: float) -> bool:
    """Whether the market of ``update`` fills (or triggers) it: limit orders by trading one tick through them, stops on mark."""
    sign = ticket.side.sign
    if ticket.type is OrderType.STOP_MARKET:
        return ticket.trigger is not None and sign * ((update.mark.high if sign > 0 else update.mark.low) - float(ticket.trigger)) >= 0
    if ticket.price is None:
        return True
    reach = kernel.reach_price(sign, round(float(ticket.price) / tick), tick, 1)
    return update.perp.low <= reach if sign > 0 else update.perp.high >= reach


def score(ticket: Ticket, price: float) -> float:
    """How good the recommendation was, in basis points: how far ``price``, some time after it closed, lies on its good side.

    Measured from the reported fill, else from the recommended price (limit, trigger, or where the market stood): positive means that
    a buy was cheap or a sell was dear. It is the markout of the field, without fees.
    """
    basis = ticket.fill_price if ticket.filled else ticket.price or ticket.trigger or ticket.reference_price
    return round(ticket.side.sign * (price / float(basis) - 1.0) * BPS, 4)
