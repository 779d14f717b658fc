"""Builders of orders, fills, funding and the events that report them, and a host whose processes live and die on request."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.orders import Fill, FundingPayment, Liquidity, OrderRequest, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.state.locks import ProcessIdentity

SYMBOL = "BTC/USDT:USDT"


def make_order(identity: str = "g1", **changes: Any) -> OrderRequest:
    """A resting sell of 0.1 BTC at 100, changed as asked."""
    order = OrderRequest(
        identity, SYMBOL, Side.SELL, OrderType.LIMIT, Decimal("0.1"), Decimal(100), Purpose.GRID, 1, TimeInForce.POST_ONLY, reason="node 1"
    )
    return replace(order, **changes)


def make_fill(identity: str = "g1", trade: str = "t1", **changes: Any) -> Fill:
    """A maker sell of 0.1 BTC at 100 with a fee of 0.002 USDT, changed as asked."""
    fill = Fill(
        trade_id=trade,
        client_order_id=identity,
        symbol=SYMBOL,
        side=Side.SELL,
        price=Decimal(100),
        quantity=Decimal("0.1"),
        fee=Decimal("0.002"),
        fee_currency="USDT",
        liquidity=Liquidity.MAKER,
        ts_ms=1000,
        reference_price=Decimal(100),
        purpose=Purpose.GRID,
        node=1,
    )
    return replace(fill, **changes)


def make_payment(amount: str = "0.5", ts_ms: int = 2000) -> FundingPayment:
    """A funding settlement on a short of 0.1 BTC."""
    return FundingPayment(ts_ms, SYMBOL, Decimal("0.0001"), Decimal(100), Decimal("-0.1"), Decimal(amount), 8.0)


def order_event(kind: EventKind, order: OrderRequest, ts_ms: int = 1, **payload: Any) -> Event:
    """An event about an order of ours."""
    return Event(kind, ts_ms, f"tick-{ts_ms}", {"order": to_jsonable(order), **payload})


def closing_event(kind: EventKind, identity: str, ts_ms: int = 1) -> Event:
    """An event about an order's end, which names it by its id."""
    return Event(kind, ts_ms, f"tick-{ts_ms}", {"client_order_id": identity})


def fill_event(fill: Fill) -> Event:
    """The event that books a fill."""
    return Event(EventKind.FILL, fill.ts_ms, f"tick-{fill.ts_ms}", {"fill": to_jsonable(fill)})


def funding_event(payment: FundingPayment) -> Event:
    """The event that books a funding settlement."""
    return Event(EventKind.FUNDING, payment.ts_ms, f"tick-{payment.ts_ms}", {"payment": to_jsonable(payment)})


def ticket_event(kind: EventKind, ts_ms: int = 1, **ticket: Any) -> Event:
    """An event about a ticket of recommendation mode."""
    return Event(kind, ts_ms, f"tick-{ts_ms}", {"ticket": ticket})


class FakeHost:
    """A ``Host``: time is what the test says, and processes live until they are put into ``dead``."""

    def __init__(self, pid: int = 100, name: str = "here", started: str = "s1") -> None:
        self.process = ProcessIdentity(pid, name, started)
        self.time_ms = 1_000_000
        self.dead: set[ProcessIdentity] = set()

    def identity(self) -> ProcessIdentity:
        """This process."""
        return self.process

    def is_running(self, process: ProcessIdentity) -> bool | None:
        """Whether it lives; None on another host."""
        return None if process.host != self.process.host else process not in self.dead

    def now_ms(self) -> int:
        """The test's time."""
        return self.time_ms
