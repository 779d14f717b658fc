"""One REST request through the venue: limits, door, faults, endpoint, faults again, reply."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any, Final

from aiohttp import web

from alpha_pulse.errors import ConfigError, Rejected
from alpha_pulse.fake_exchange import futures_account, futures_orders, futures_public, spot_api
from alpha_pulse.fake_exchange.calls import PUBLIC, Call, Endpoint, Routes
from alpha_pulse.fake_exchange.doors import Limits, enter, parameters
from alpha_pulse.fake_exchange.faults import Fault, Faults, spoil
from alpha_pulse.fake_exchange.records import LoggedRequest
from alpha_pulse.fake_exchange.refusals import Refusal, refusal_of
from alpha_pulse.fake_exchange.venue import Venue

ROUTES: Final[Routes] = futures_public.table.routes | futures_orders.table.routes | futures_account.table.routes | spot_api.table.routes
_LOOK_EVERY_S: Final = 0.02  # for a client that left


class RestDoor:
    """Answers the REST half. ``counts`` is how often each route was asked, whatever came of it."""

    def __init__(self, venue: Venue, faults: Faults) -> None:
        self.venue = venue
        self.faults = faults
        self.limits = Limits(venue.config.limits)
        self.counts: Counter[str] = Counter()
        self.closing = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        if self.faults.unreachable:
            return _hang_up(request)
        body = await request.text()
        path, _, query = request.raw_path.partition("?")
        visit = _Visit(request, f"{request.method} {path}", request.headers.get("X-MBX-APIKEY", ""), query, body)
        self.counts[visit.route] += 1
        self.venue.tick()
        endpoint = ROUTES.get(visit.route)
        if endpoint is None:
            return web.json_response({"code": -5000, "msg": f"Path {path}, Method {request.method} is invalid"}, status=404)
        try:
            self.limits.admit(endpoint, visit.key, self.venue.now_ms())
            caller = enter(self.venue, endpoint, visit.key or None, query, body)
        except Refusal as refusal:
            self._note(visit, endpoint, refusal.status, processed=False)
            return self._refuse(visit, refusal)
        call = Call(self.venue, visit.params, caller)
        return await self._serve(visit, endpoint, call, self.faults.take(visit.route, visit.key))

    async def _serve(self, visit: _Visit, endpoint: Endpoint, call: Call, struck: list[Fault]) -> web.StreamResponse:
        for fault in struck:
            if fault.is_before:
                spoiled = await self._before(visit, fault)
                if spoiled is not None:
                    self._note(visit, endpoint, spoiled.status, processed=False)
                    return spoiled
        status, reply = self._process(endpoint, _with_faults(call, struck))
        self._note(visit, endpoint, status, processed=True)
        text = json.dumps(reply)
        previous = self.faults.replies.get((visit.key, visit.route))
        if not any(fault.kind == "stale" for fault in struck):
            self.faults.replies[visit.key, visit.route] = text
        for fault in struck:
            spoiled = None if fault.is_before else await self._after(visit, fault, text)
            if spoiled is not None:
                return spoiled
        return self._reply(visit, status, spoil(struck, text, previous))

    def _process(self, endpoint: Endpoint, call: Call) -> tuple[int, Any]:
        try:
            return 200, endpoint.handle(call)
        except Refusal as refusal:
            return refusal.status, refusal.body()
        except Rejected as error:
            known = refusal_of(error)
            return known.status, known.body()
        except ConfigError as error:
            return 400, {"code": -1100, "msg": str(error)}

    async def _before(self, visit: _Visit, fault: Fault) -> web.StreamResponse | None:
        """What strikes before anything happened; None: go on."""
        match fault.kind:
            case "drop_before":
                return _hang_up(visit.request)
            case "timeout_before":
                return await self._never(visit.request)
            case "rate_limit":
                return self._refuse(visit, Refusal(-1003, status=429), retry_after=round(fault.seconds))
            case "ban":
                self.limits.ban(self.venue.now_ms(), fault.seconds)
                return self._refuse(visit, Refusal(-1003, f"Way too many requests; IP banned until {self.limits.banned_until_ms}.", 418))
            case _:
                return await self._either(visit, fault)

    async def _after(self, visit: _Visit, fault: Fault, text: str) -> web.StreamResponse | None:
        """What strikes once it has happened; None: go on, the text may be spoiled yet."""
        match fault.kind:
            case "drop_after":
                return _hang_up(visit.request)
            case "timeout_after":
                return await self._never(visit.request)
            case "cut":
                return await _cut_short(visit.request, text)
            case _:
                return await self._either(visit, fault)

    async def _either(self, visit: _Visit, fault: Fault) -> web.StreamResponse | None:
        match fault.kind:
            case "status":
                return self._reply(visit, fault.status, fault.body)
            case "delay":
                await self._or_closing(asyncio.sleep(fault.seconds))
            case "hold":
                held = self.faults.hold(visit.route, fault.when, visit.params)
                if not await self._or_closing(held):
                    return _hang_up(visit.request)
        return None

    async def _or_closing(self, work: Any) -> Any:
        """The result of ``work``, or None when the exchange closes first."""
        task, over = asyncio.ensure_future(work), asyncio.ensure_future(self.closing.wait())
        try:
            done, _ = await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task in done else None
        finally:
            for leftover in (task, over):
                leftover.cancel()

    async def _never(self, request: web.Request) -> web.StreamResponse:
        """No answer, until the client leaves or the exchange closes."""
        while not (request.transport is None or request.transport.is_closing()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self.closing.wait()
                break
        return _hang_up(request)

    # --- replies --------------------------------------------------------------------------------------------------------
    def _refuse(self, visit: _Visit, refusal: Refusal, *, retry_after: int | None = None) -> web.Response:
        response = self._reply(visit, refusal.status, json.dumps(refusal.body()))
        if refusal.status in {418, 429}:
            seconds = self.limits.retry_after_s(self.venue.now_ms()) if retry_after is None else retry_after
            response.headers["Retry-After"] = str(seconds)
        return response

    def _reply(self, visit: _Visit, status: int, text: str) -> web.Response:
        kind = "text/html" if text.startswith("<") else "application/json"
        return web.Response(status=status, text=text, content_type=kind, headers=self.limits.headers(visit.key))

    def _note(self, visit: _Visit, endpoint: Endpoint, status: int, *, processed: bool) -> None:
        if endpoint.door == PUBLIC and processed:
            return
        now = self.venue.now_ms()
        self.venue.log.append(
            LoggedRequest(now, visit.key, visit.request.method, visit.route.partition(" ")[2], visit.params, processed, status)
        )


class _Visit:
    """A request in the words of this module."""

    __slots__ = ("key", "params", "request", "route")

    def __init__(self, request: web.Request, route: str, key: str, query: str, body: str) -> None:
        self.request = request
        self.route = route
        self.key = key
        self.params = parameters(query, body)


def _with_faults(call: Call, struck: list[Fault]) -> Call:
    kinds = {fault.kind: fault for fault in struck}
    hide = kinds.get("hide_new")
    hide_after = None if hide is None else call.venue.now_ms() - round(hide.seconds * 1000)
    return Call(call.venue, call.params, call.caller, hide_after, partly="partial" in kinds, twice="duplicate" in kinds)


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection without a reply."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def _cut_short(request: web.Request, text: str) -> web.StreamResponse:
    """Half of the body under the Content-Length of the whole, then nothing."""
    whole = text.encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(whole)
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
