"""Several orders in one request, where a venue takes that. Each row is judged as if it had been sent alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from alpha_pulse.domain.orders import Order, OrderRequest
from alpha_pulse.errors import AlphaPulseError, AmbiguousOutcome, Fatal, Rejected, Transient
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.orders import OrderDesk
from alpha_pulse.execution.live.tracker import Life
from alpha_pulse.execution.venues.errors import translate_write
from alpha_pulse.execution.venues.structures import VenueOrder

_T = TypeVar("_T")
_Outcome = Order | AlphaPulseError

_NO_ANSWER: Final = "the answer to the batch does not mention it"


async def create_many(desk: OrderDesk, connection: Connection, requests: Sequence[OrderRequest]) -> list[_Outcome]:
    """Send limit orders in as few requests as the venue allows; what came of each, in order.

    Raises:
        Fatal: the venue refuses to talk to us; what was sent until then is tracked.
    """
    size = connection.dialect.create_batch
    outcomes: dict[str, _Outcome] = {}
    for request in requests:
        if waits := desk.in_the_way(request):
            outcomes[request.client_order_id] = Rejected(waits, client_order_id=request.client_order_id)
    free = [request for request in requests if request.client_order_id not in outcomes]
    for chunk in _chunks(free, size or 1):
        found = [await _alone(desk, chunk[0])] if len(chunk) == 1 else await _together(desk, connection, chunk)
        outcomes.update((request.client_order_id, outcome) for request, outcome in zip(chunk, found, strict=True))
    return [outcomes[request.client_order_id] for request in requests]


async def cancel_many(
    desk: OrderDesk, connection: Connection, symbol: str, client_order_ids: Sequence[str]
) -> list[AlphaPulseError | None]:
    """Cancel orders, in as few requests as the venue allows where they are plain resting ones; None for each that is gone."""
    size = connection.dialect.cancel_batch
    plain = [name for name in client_order_ids if size and desk.is_plain(name)]
    if len(plain) > 1:
        for chunk in _chunks(plain, size):
            try:
                for row in await connection.cancel_many(symbol, [desk.venue_id(name) for name in chunk]):
                    _take(desk, row)
            except (AmbiguousOutcome, Rejected):
                desk.wanted.set()  # each one is asked for by itself below
    return [await _cancel(desk, name) for name in client_order_ids]


async def _cancel(desk: OrderDesk, name: str) -> AlphaPulseError | None:
    try:
        await desk.cancel(name)
    except (AmbiguousOutcome, Transient) as error:
        return error
    return None


async def _alone(desk: OrderDesk, request: OrderRequest) -> _Outcome:
    try:
        return await desk.create(request)
    except (Rejected, AmbiguousOutcome) as error:
        return error


async def _together(desk: OrderDesk, connection: Connection, chunk: Sequence[OrderRequest]) -> list[_Outcome]:
    for request in chunk:
        desk.about_to_send(request)
    try:
        rows = await connection.create_many(chunk, desk.inventory_sign)
    except Rejected as error:
        return [desk.refused(request, error.reason) for request in chunk]
    except AmbiguousOutcome as error:
        return [desk.unanswered(request, error.reason) for request in chunk]
    except Fatal:
        for request in chunk:
            desk.refused(request, "refused")
        raise
    there = {found.client_order_id: found for row in rows if (found := _take(desk, row)) is not None}
    errors = [problem for row in rows if (problem := _error_of(connection, row)) is not None]
    missing = [request for request in chunk if request.client_order_id not in there]
    if len(errors) != len(missing):  # nobody can tell which row is about which order
        errors = [AmbiguousOutcome(_NO_ANSWER)] * len(missing)
    why = {request.client_order_id: error for request, error in zip(missing, errors, strict=True)}
    return [_judged(desk, request, why.get(request.client_order_id)) for request in chunk]


def _judged(desk: OrderDesk, request: OrderRequest, error: AlphaPulseError | None) -> _Outcome:
    if error is None:
        tracked = desk.tracker.get(request.client_order_id)
        if tracked is None or tracked.life is Life.REJECTED:
            return desk.refused(request, "the venue took it and closed it at once")
        return tracked.as_order()
    return desk.refused(request, error.reason) if isinstance(error, Rejected) else desk.unanswered(request, str(error))


def _take(desk: OrderDesk, row: Mapping[str, Any]) -> VenueOrder | None:
    """The order that a row is about, taken in; None for a row that is about none of ours."""
    try:
        found = desk.read(row)
    except ValueError:
        return None
    if not desk.is_ours(found.client_order_id):
        return None
    desk.took(found, found.client_order_id)
    return found


def _error_of(connection: Connection, row: Mapping[str, Any]) -> AlphaPulseError | None:
    """What a row that is no order says, in our words; only an answer that ccxt's own table knows counts as a no."""
    info = row.get("info")
    if not isinstance(info, Mapping) or info.get("code") in {None, 200, "200"}:
        return None
    ccxt: Any = importlib.import_module("ccxt")
    text = f"{info.get('code')} {info.get('msg')}"
    try:
        connection.rest.throw_exactly_matched_exception(connection.rest.exceptions["exact"], str(info["code"]), text)
    except ccxt.BaseError as error:
        return translate_write(error, "")
    return AmbiguousOutcome(text)


def _chunks(items: Iterable[_T], size: int) -> list[list[_T]]:
    found = list(items)
    return [found[i : i + size] for i in range(0, len(found), size)]
