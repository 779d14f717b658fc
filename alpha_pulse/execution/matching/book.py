"""The resting orders of one pair, and the prices at which the next of them acts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import Order, OrderRequest, OrderStatus, OrderType
from alpha_pulse.execution.matching.kernel import reach_price

KEPT_CLOSED = 10_000
"""Closed orders that can still be asked for."""


class Kind(IntEnum):
    """What an order is waiting for."""

    TAKE = 0  # the next open: market, IOC, or a limit order that crossed the touch when it was placed
    STOP = 1  # its trigger, on mark
    REST = 2  # the last price to come to it


class Resting:
    """An order at the venue, in the engine's integers and floats beside its frozen public form."""

    __slots__ = ("filled", "kind", "lots", "order", "reach", "request", "sequence", "sign", "ticks", "trigger")

    def __init__(self, order: Order, kind: Kind, sequence: int, instrument: Instrument, beyond: int) -> None:
        request = order.request
        self.order = order
        self.request = request
        self.kind = kind
        self.sequence = sequence
        self.sign = request.side.sign
        self.lots = instrument.lots_down(request.quantity)
        self.filled = instrument.lots_down(order.filled)
        self.ticks = instrument.ticks_down(request.price) if request.price is not None else 0
        self.reach = reach_price(self.sign, self.ticks, instrument.tick, beyond)
        # A sell stop is reached from above like a buy limit, and with the same tolerance, so that equal prices are equal places.
        trigger = request.trigger_price
        self.trigger = reach_price(-self.sign, instrument.ticks_down(trigger), instrument.tick, 0) if trigger is not None else math.nan

    @property
    def left(self) -> int:
        """Lots that can still fill."""
        return self.lots - self.filled

    def fill(self, lots: int, instrument: Instrument) -> None:
        """Count ``lots`` as filled."""
        self.filled += lots
        status = OrderStatus.FILLED if self.filled == self.lots else OrderStatus.OPEN
        self.order = replace(self.order, filled=instrument.quantity(self.filled), status=status)


class Book:
    """Open orders in the order of their arrival, closed ones for a while, and the nearest prices that matter.

    A market whose last price stays above ``buy_reach`` and below ``sell_reach``, and whose mark stays between ``stop_low`` and
    ``stop_high``, touches no order. They hold after ``refresh``.
    """

    def __init__(self, instrument: Instrument, beyond: int) -> None:
        self.instrument = instrument
        self.beyond = beyond
        self.open: dict[str, Resting] = {}
        self.closed: dict[str, Order] = {}
        self.sequence = 0
        self.buy_reach = -math.inf
        self.sell_reach = math.inf
        self.stop_low = -math.inf
        self.stop_high = math.inf
        self.takers = 0
        self.reducers = 0
        self._orders: tuple[Order, ...] | None = ()

    def add(self, request: OrderRequest, kind: Kind, now_ms: int) -> Resting:
        """Take a new order in, behind all others."""
        self.sequence += 1
        order = Order(request, str(self.sequence), OrderStatus.OPEN, self.instrument.quantity(0), now_ms)
        return self.put(order, kind, self.sequence)

    def put(self, order: Order, kind: Kind, sequence: int) -> Resting:
        """Put an order where it was, e.g. after a restart."""
        resting = Resting(order, kind, sequence, self.instrument, self.beyond)
        self.open[order.client_order_id] = resting
        self._orders = None
        return resting

    def close(self, resting: Resting, status: OrderStatus) -> None:
        """Take an order out and remember it as ``status``."""
        del self.open[resting.request.client_order_id]
        self.remember(replace(resting.order, status=status))
        self._orders = None

    def remember(self, order: Order) -> None:
        """Keep a closed order findable, for as long as it is among the last ``KEPT_CLOSED``."""
        self.closed[order.client_order_id] = order
        if len(self.closed) > KEPT_CLOSED:
            del self.closed[next(iter(self.closed))]

    def fill(self, resting: Resting, lots: int) -> None:
        """Count a fill, and close the order when nothing is left of it."""
        resting.fill(lots, self.instrument)
        self._orders = None
        if not resting.left:
            self.close(resting, OrderStatus.FILLED)

    def orders(self) -> tuple[Order, ...]:
        """The open orders; the same object until one of them changed."""
        if self._orders is None:
            self._orders = tuple(r.order for r in self.open.values())
        return self._orders

    def find(self, client_order_id: str) -> Order | None:
        """An order by our id, open or closed."""
        resting = self.open.get(client_order_id)
        return resting.order if resting is not None else self.closed.get(client_order_id)

    def takes(self) -> list[Resting]:
        """Orders that wait for the next open, oldest first."""
        return [r for r in self.open.values() if r.kind is Kind.TAKE]

    def working(self, sign: int) -> Iterator[Resting]:
        """Orders of one side that would enlarge a position if they filled: no stops, no reduce-only orders."""
        return (r for r in self.open.values() if r.sign == sign and r.kind is not Kind.STOP and not r.request.reduce_only)

    def refresh(self) -> None:
        """Find the nearest prices again."""
        self.buy_reach = self.stop_low = -math.inf
        self.sell_reach = self.stop_high = math.inf
        self.takers = self.reducers = 0
        for r in self.open.values():
            self.reducers += r.request.reduce_only
            if r.kind is Kind.TAKE:
                self.takers += 1
            elif r.kind is Kind.REST:
                if r.sign > 0:
                    self.buy_reach = max(self.buy_reach, r.reach)
                else:
                    self.sell_reach = min(self.sell_reach, r.reach)
            elif r.sign > 0:
                self.stop_high = min(self.stop_high, r.trigger)
            else:
                self.stop_low = max(self.stop_low, r.trigger)


def kind_of(request: OrderRequest, *, crossing: bool) -> Kind:
    """What a newly accepted order waits for; ``crossing`` says that a limit order would trade at once."""
    if request.type is OrderType.STOP_MARKET:
        return Kind.STOP
    return Kind.TAKE if request.type is OrderType.MARKET or crossing else Kind.REST
