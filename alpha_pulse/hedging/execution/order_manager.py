"""Carries an approved plan to a broker: cancels first, then places. Nothing is retried here; the next tick plans again."""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.orders import Order, OrderRequest
from alpha_pulse.errors import AmbiguousOutcome, Rejected, Transient
from alpha_pulse.hedging.common.approved import ApprovedOrder, ApprovedPlan
from alpha_pulse.hedging.common.interfaces import Broker, Execution

_OUTCOMES = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_REJECTED, EventKind.ORDER_UNKNOWN)


class BrokerOrderManager:
    """Sends orders one by one and says what came of each."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def intents(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> list[Event]:
        """What is about to be sent, and what was refused."""
        events = [Event(EventKind.CANCEL_INTENDED, now_ms, tick_id, {"client_order_id": order.client_order_id}) for order in plan.cancel]
        events += [Event(EventKind.ORDER_INTENDED, now_ms, tick_id, {"order": to_jsonable(order.request)}) for order in plan.place]
        return events

    async def execute(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> Execution:
        """Cancel, then create. A cancel that got lost is tried again by the next plan, which still sees the order."""
        events = [event for order in plan.cancel for event in await self._cancel(order, tick_id, now_ms)]
        by_outcome: dict[EventKind, list[tuple[OrderRequest, str]]] = {kind: [] for kind in _OUTCOMES}
        for approved in plan.place:
            event = await self._create(approved, tick_id, now_ms)
            by_outcome[event.kind].append((approved.request, str(event.payload.get("reason", ""))))
            events.append(event)
        accepted, rejected, unknown = (by_outcome[kind] for kind in _OUTCOMES)
        return Execution(tuple(events), tuple(r for r, _ in accepted), tuple(rejected), tuple(r for r, _ in unknown))

    async def _cancel(self, order: Order, tick_id: str, now_ms: int) -> Sequence[Event]:
        try:
            await self._broker.cancel_order(order.request.symbol, order.client_order_id)
        except (AmbiguousOutcome, Transient) as error:
            logger.warning("Cancel of {} is unsettled ({}); the next tick looks again", order.client_order_id, error)
            return ()
        return (Event(EventKind.ORDER_CANCELLED, now_ms, tick_id, {"client_order_id": order.client_order_id}),)

    async def _create(self, approved: ApprovedOrder, tick_id: str, now_ms: int) -> Event:
        request = approved.request
        payload = {"order": to_jsonable(request)}
        try:
            await self._broker.create_order(approved)
        except Rejected as error:
            logger.warning("Rejected: {} {} at {}: {}", request.side.value, request.quantity, request.price, error.reason)
            return Event(EventKind.ORDER_REJECTED, now_ms, tick_id, payload | {"reason": error.reason})
        except (AmbiguousOutcome, Transient) as error:
            logger.warning("Unknown outcome of {} ({}): asking the venue before anything else", request.client_order_id, error)
            return Event(EventKind.ORDER_UNKNOWN, now_ms, tick_id, payload | {"reason": str(error)})
        return Event(EventKind.ORDER_ACCEPTED, now_ms, tick_id, payload)
