"""The life of every order of one pair, from the intent to its end. Pure: it is told what was seen, and never lets a status go back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Order, OrderRequest, OrderStatus, OrderType


class Life(StrEnum):
    """Where an order is. ``SENT`` and ``UNKNOWN`` mean: it may be live, and it may have filled."""

    SENT = "sent"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


_RANK: Final = {Life.SENT: 0, Life.UNKNOWN: 1, Life.OPEN: 2, Life.PARTLY_FILLED: 3, Life.REJECTED: 4, Life.CANCELLED: 4, Life.FILLED: 5}
_ENDS: Final = frozenset({Life.FILLED, Life.CANCELLED, Life.REJECTED})
_STATUS: Final = {
    Life.SENT: OrderStatus.UNKNOWN,
    Life.UNKNOWN: OrderStatus.UNKNOWN,
    Life.OPEN: OrderStatus.OPEN,
    Life.PARTLY_FILLED: OrderStatus.OPEN,
    Life.FILLED: OrderStatus.FILLED,
    Life.CANCELLED: OrderStatus.CANCELLED,
    Life.REJECTED: OrderStatus.REJECTED,
}
_KEPT: Final = 10_000
"""Ended orders that can still be asked for."""
_STOPS_LOOKED_AT: Final = 20


@dataclass(frozen=True, slots=True)
class Tracked:
    """One order as far as it is known. ``at`` is when it was sent or first seen, on the loop's clock [s]."""

    request: OrderRequest
    life: Life
    at: float
    created_ms: int
    venue_order_id: str = ""
    filled: Decimal = ZERO
    reason: str = ""

    @property
    def ended(self) -> bool:
        """It cannot fill any more."""
        return self.life in _ENDS

    @property
    def unsettled(self) -> bool:
        """Nobody knows whether it is at the venue."""
        return self.life in {Life.SENT, Life.UNKNOWN}

    def as_order(self) -> Order:
        """As the port shows it."""
        return Order(self.request, self.venue_order_id, _STATUS[self.life], self.filled, self.created_ms)


class Tracker:
    """All orders of one pair that this process has sent, adopted or seen."""

    def __init__(self) -> None:
        self._orders: dict[str, Tracked] = {}
        self._alive: dict[str, Tracked] = {}
        self._by_venue_id: dict[str, str] = {}  # every venue id ever, to our id: also of the order that a fired stop became
        self._open: tuple[Order, ...] | None = ()

    def get(self, client_order_id: str) -> Tracked | None:
        """One order by our id."""
        return self._orders.get(client_order_id)

    def owner_of(self, venue_order_id: str) -> str | None:
        """Our id of a venue's order, if it is known."""
        return self._by_venue_id.get(venue_order_id)

    def alive(self) -> list[Tracked]:
        """Orders that may still fill, oldest first; unsettled ones included."""
        return list(self._alive.values())

    def stops(self) -> list[Tracked]:
        """Stop orders that may have become other orders: the live ones and the last few that ended, newest first."""
        found = [order for order in self._orders.values() if order.request.type is OrderType.STOP_MARKET]
        return found[: -_STOPS_LOOKED_AT - 1 : -1]

    def open_orders(self) -> tuple[Order, ...]:
        """Orders known to rest at the venue, oldest first; the same tuple until one of them changed."""
        if self._open is None:
            self._open = tuple(o.as_order() for o in self._alive.values() if not o.unsettled)
        return self._open

    def sent(self, request: OrderRequest, at: float, now_ms: int) -> Tracked:
        """An order that is about to go out."""
        return self._put(Tracked(request, Life.SENT, at, now_ms))

    def seen(self, request: OrderRequest, venue_order_id: str, life: Life, filled: Decimal, created_ms: int, at: float) -> Tracked:
        """What the venue says of an order; news about one that is known already never takes it back."""
        known = self._orders.get(request.client_order_id)
        if known is None:
            return self._put(Tracked(request, life, at, created_ms, venue_order_id, filled))
        return self.advance(request.client_order_id, life, venue_order_id=venue_order_id, filled=filled) or known

    def advance(
        self, client_order_id: str, life: Life, *, venue_order_id: str = "", filled: Decimal = ZERO, reason: str = ""
    ) -> Tracked | None:
        """Move an order on; None if it is not known. A status that would go back and a smaller fill are ignored."""
        known = self._orders.get(client_order_id)
        if known is None:
            return None
        filled = max(known.filled, filled)
        if filled >= known.request.quantity:
            life = Life.FILLED
        elif life is Life.OPEN and filled > ZERO:
            life = Life.PARTLY_FILLED
        if _RANK[life] < _RANK[known.life] or (known.ended and life is not Life.FILLED):
            life = known.life
        new = replace(known, life=life, filled=filled, venue_order_id=known.venue_order_id or venue_order_id, reason=reason or known.reason)
        if venue_order_id:
            self._by_venue_id[venue_order_id] = client_order_id
        return known if new == known else self._put(new)

    def link(self, venue_order_id: str, client_order_id: str) -> None:
        """The venue has a further order for one of ours: a fired stop became it."""
        self._by_venue_id[venue_order_id] = client_order_id

    def restore(self, links: Iterable[tuple[str, str]]) -> None:
        """Venue ids and our ids that an earlier run knew."""
        self._by_venue_id.update(links)

    def links(self) -> list[tuple[str, str]]:
        """The last venue ids and our ids, for the journal."""
        return list(self._by_venue_id.items())[-1000:]

    def _put(self, order: Tracked) -> Tracked:
        name = order.request.client_order_id
        self._orders[name] = order
        if order.ended:
            self._alive.pop(name, None)
        else:
            self._alive[name] = order
        if order.venue_order_id:
            self._by_venue_id[order.venue_order_id] = name
        self._open = None
        if len(self._orders) > 2 * _KEPT:
            gone = [key for key, value in self._orders.items() if value.ended][:_KEPT]
            for key in gone:
                del self._orders[key]
        return order
