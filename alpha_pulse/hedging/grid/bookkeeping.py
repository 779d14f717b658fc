"""Bringing the venue's facts into the bot's memory: fills and funding, each once, and orders whose outcome was unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.orders import Purpose
from alpha_pulse.errors import AmbiguousOutcome
from alpha_pulse.hedging.common.interfaces import Broker
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.grid import chronicle


@dataclass(frozen=True, slots=True)
class Booked:
    """New facts as events, and the memory that knows them. Both are stored in one transaction, so each is booked once."""

    events: tuple[Event, ...]
    state: BotState
    stop_filled: bool = False


async def bring_up_to_date(broker: Broker, symbol: str, state: BotState, tick_id: str, now_ms: int, *, booked: bool) -> Booked:
    """Everything that the memory does not know yet. ``booked``: the account is as it was, so there are no new fills or funding.

    Nothing is remembered here: until the events and the memory are stored, asking again gives the same answer.
    """
    fresh = Booked((), state) if booked else await book(broker, symbol, state, tick_id)
    if not state.unknown:
        return fresh
    settled = await settle_unknown(broker, symbol, fresh.state, tick_id, now_ms)
    return Booked((*fresh.events, *settled.events), settled.state, fresh.stop_filled)


async def book(broker: Broker, symbol: str, state: BotState, tick_id: str) -> Booked:
    """The venue's fills and funding since the last booking."""
    fills = await broker.fills(symbol, state.fills_booked)
    funding = await broker.funding(symbol, state.funding_booked)
    if not fills and not funding:
        return Booked((), state)
    chronicle.log_bookings(fills, funding)
    events = [Event(EventKind.FILL, fill.ts_ms, tick_id, {"fill": to_jsonable(fill)}) for fill in fills]
    events += [Event(EventKind.FUNDING, payment.ts_ms, tick_id, {"payment": to_jsonable(payment)}) for payment in funding]
    after = replace(state, fills_booked=state.fills_booked + len(fills), funding_booked=state.funding_booked + len(funding))
    return Booked(tuple(events), after, any(fill.purpose is Purpose.STOP for fill in fills))


async def settle_unknown(broker: Broker, symbol: str, state: BotState, tick_id: str, now_ms: int) -> Booked:
    """Ask for each order whose outcome is unknown: what the venue knows is adopted, what it never saw is forgotten, and what it cannot
    tell yet stays unknown.
    """
    events, unknown = [], []
    for request in state.unknown:
        try:
            order = await broker.find_order(symbol, request.client_order_id)
        except AmbiguousOutcome:
            unknown.append(request)
            continue
        kind = EventKind.ORDER_CLOSED if order is None else EventKind.ORDER_ADOPTED
        events.append(Event(kind, now_ms, tick_id, {"client_order_id": request.client_order_id, "order": to_jsonable(request)}))
        logger.info("Order {} {}", request.client_order_id, "never reached the venue" if order is None else "is at the venue")
    return Booked(tuple(events), replace(state, unknown=tuple(unknown)) if events else state)
