"""Carries an approved plan to a broker: cancels first, then places. Nothing is retried here; the next tick plans again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.orders import Order, OrderRequest, Purpose
from alpha_pulse.errors import AlphaPulseError, AmbiguousOutcome, Rejected, Transient
from alpha_pulse.hedging.common.approved import ApprovedOrder, ApprovedPlan
from alpha_pulse.hedging.common.interfaces import Batching, Broker, Execution

_OUTCOMES = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_REJECTED, EventKind.ORDER_UNKNOWN)


class BrokerOrderManager:
    """Sends orders and says what came of each: one by one, or the grid's together where the broker can do that."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._batching = broker if isinstance(broker, Batching) else None

    def intents(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> list[Event]:
        """What is about to be sent, and what was refused."""
        events = [Event(EventKind.CANCEL_INTENDED, now_ms, tick_id, {"client_order_id": order.client_order_id}) for order in plan.cancel]
        events += [Event(EventKind.ORDER_INTENDED, now_ms, tick_id, {"order": to_jsonable(order.request)}) for order in plan.place]
        return events

    async def execute(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> Execution:
        """Cancel, then create. A cancel that got lost is tried again by the next plan, which still sees the order.

        A stop that is moved goes the other way round: the old one stays until the venue has the new one, and for good if it refuses it.
        """
        moved = [order for order in plan.cancel if order.request.purpose is Purpose.STOP]
        successors = [approved for approved in plan.place if approved.request.purpose is Purpose.STOP] if moved else []
        first = [order for order in plan.cancel if not successors or order.request.purpose is not Purpose.STOP]
        events = await self._cancel(first, tick_id, now_ms)
        by_outcome: dict[EventKind, list[tuple[OrderRequest, str]]] = {kind: [] for kind in _OUTCOMES}
        for group in _groups(plan.place, together=self._batching is not None):
            for approved, outcome in zip(group, await self._create(group), strict=True):
                event = _event(approved.request, outcome, tick_id, now_ms)
                by_outcome[event.kind].append((approved.request, str(event.payload.get("reason", ""))))
                events.append(event)
                if approved in successors and not isinstance(outcome, Rejected):
                    events += await self._cancel(moved, tick_id, now_ms)
        accepted, rejected, unknown = (by_outcome[kind] for kind in _OUTCOMES)
        return Execution(tuple(events), tuple(r for r, _ in accepted), tuple(rejected), tuple(r for r, _ in unknown))

    async def _cancel(self, orders: Sequence[Order], tick_id: str, now_ms: int) -> list[Event]:
        """Cancel; an event for each that is gone."""
        names = [order.client_order_id for order in orders]
        if self._batching is not None and len(orders) > 1:
            outcomes = await self._batching.cancel_orders(orders[0].request.symbol, names)
        else:
            outcomes = [await self._cancel_one(order) for order in orders]
        for name, outcome in zip(names, outcomes, strict=True):
            if outcome is not None:
                logger.warning("Cancel of {} is unsettled ({}); the next tick looks again", name, outcome)
        gone = [name for name, outcome in zip(names, outcomes, strict=True) if outcome is None]
        return [Event(EventKind.ORDER_CANCELLED, now_ms, tick_id, {"client_order_id": name}) for name in gone]

    async def _cancel_one(self, order: Order) -> AlphaPulseError | None:
        try:
            await self._broker.cancel_order(order.request.symbol, order.client_order_id)
        except (AmbiguousOutcome, Transient) as error:
            return error
        return None

    async def _create(self, group: Sequence[ApprovedOrder]) -> Sequence[Order | AlphaPulseError]:
        if self._batching is not None and len(group) > 1:
            return await self._batching.create_orders(group)
        return [await self._create_one(approved) for approved in group]

    async def _create_one(self, approved: ApprovedOrder) -> Order | AlphaPulseError:
        try:
            return await self._broker.create_order(approved)
        except (Rejected, AmbiguousOutcome, Transient) as error:
            return error


def _groups(orders: Sequence[ApprovedOrder], *, together: bool) -> Iterator[list[ApprovedOrder]]:
    """Neighbouring grid orders as one group; everything else, which closes a gap or protects, by itself and in its turn."""
    for is_grid, found in groupby(orders, key=lambda approved: together and approved.request.purpose is Purpose.GRID):
        if is_grid:
            yield list(found)
        else:
            yield from ([approved] for approved in found)


def _event(request: OrderRequest, outcome: Order | AlphaPulseError, tick_id: str, now_ms: int) -> Event:
    payload = {"order": to_jsonable(request)}
    if isinstance(outcome, Rejected):
        logger.warning("Rejected: {} {} at {}: {}", request.side.value, request.quantity, request.price, outcome.reason)
        return Event(EventKind.ORDER_REJECTED, now_ms, tick_id, payload | {"reason": outcome.reason})
    if isinstance(outcome, AlphaPulseError):
        logger.warning("Unknown outcome of {} ({}): asking the venue before anything else", request.client_order_id, outcome)
        return Event(EventKind.ORDER_UNKNOWN, now_ms, tick_id, payload | {"reason": str(outcome)})
    return Event(EventKind.ORDER_ACCEPTED, now_ms, tick_id, payload)
