"""What every request passes before it reaches a route: who asks, from where, how often, how much, and in what form.

It is plain ASGI and wraps the whole application: refusals cost little, and answers of every kind get the same headers and are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpha_pulse.service.body import CLOSE, ClientGone, read_body
from alpha_pulse.service.limits import Limits
from alpha_pulse.service.metrics import Metrics
from alpha_pulse.service.problems import Problem
from alpha_pulse.service.settings import ServiceSettings, is_loopback
from alpha_pulse.service.tokens import Scope as TokenScope
from alpha_pulse.service.tokens import find_token

BODY: Final = "alpha_pulse.body"
CLIENT: Final = "alpha_pulse.client"
"""Under these keys of the scope routes find the whole body, and the name of the token that asks."""

QUESTIONS: Final = frozenset({"/hedge", "/hedge/multi", "/signals", "/assess"})
OPEN: Final = frozenset({"/healthz", "/docs", "/openapi.json"})  # nothing in them is anybody's secret
_OTHERS: Final = frozenset({"/decisions", "/curves", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Every answer has these, unless its route sets its own."""

_NAMED: Final = frozenset(name for name, _ in HEADERS)


class Guard:
    """Refuses with a problem document, or hands on a request whose body is whole.

    Args:
        app: the routes.
        settings: tokens, hosts and limits.
        metrics: told of each answer.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._tokens = settings.api_tokens
        self._largest = settings.max_body_bytes
        self._body_s = settings.body_timeout_s
        self._limits = Limits(settings.rate_limit_per_s, settings.refused_per_min)
        self._metrics = metrics
        self._monotonic = monotonic
        allowed = frozenset(name.lower() for name in settings.allowed_hosts)
        self._host_may_be_named = lru_cache(maxsize=256)(lambda host: _may_be_named(host, allowed, open_to_all=bool(self._tokens)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. The time until its answer has left counts."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message["headers"]
                own = {name for name, _ in given} & _NAMED
                message["headers"] = [*given, *((pair for pair in HEADERS if pair[0] not in own) if own else HEADERS)]
            await send(message)

        try:
            await self._let_in(scope, receive)
            # What can be got can be asked for without its body, which the server leaves out.
            asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self._app(asked, receive, send_guarded)
        except Problem as problem:
            self._metrics.refused(problem.kind)
            await problem.response()(scope, receive, send_guarded)
        except ClientGone:
            status = 499  # as proxies count it
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.answered(_label(scope["path"]), method, status or 500, time.perf_counter() - start)

    async def _let_in(self, scope: Scope, receive: Receive) -> None:
        """Check everything, in the order of cost, and read the body. Raises ``Problem``."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        self._check_origin(scope, headers)
        scope[CLIENT] = ""
        if path not in OPEN:
            scope[CLIENT] = self._log_in(headers, scope, TokenScope.TRADE if method == "POST" else TokenScope.READ)
            wait = self._limits.ask(scope[CLIENT], self._monotonic())
            if wait:
                raise _too_many("This token asks too often", wait)
        if method == "POST" and path in QUESTIONS:
            _check_content(headers)
            announced = headers.get(b"content-length", b"0")
            scope[BODY] = await read_body(announced, receive, largest=self._largest, patience_s=self._body_s)

    def _check_origin(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Pages of other sites must not ask through a browser on this machine, under whatever name they know it."""
        host = headers.get(b"host", b"")
        if not self._host_may_be_named(host):
            raise _forbidden("The Host header names another host. Without tokens only this machine may ask, by its own name.")
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            raise _forbidden("Pages of another origin may not ask.")
        if self._tokens:
            return
        if headers.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"}:
            raise _forbidden("Pages of another site may not ask.")
        client = scope.get("client")
        if client is not None and not _is_loopback(client[0]):
            raise _forbidden("Without tokens only this machine may ask.")

    def _log_in(self, headers: Mapping[bytes, bytes], scope: Scope, wanted: TokenScope) -> str:
        """The name of the token that asks; "" where there are none."""
        if not self._tokens:
            return ""
        scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
        token = find_token(self._tokens, presented.strip().decode("latin-1")) if scheme.lower() == b"bearer" else None
        if token is not None and token.scope.allows(wanted):
            return token.name
        wait = self._limits.refuse((scope.get("client") or ("",))[0], self._monotonic())
        if wait:
            raise _too_many("Too many refused log-ins from this address", wait)
        if token is not None:
            detail = f"This takes a token of scope {wanted.value}, and this one has {token.scope.value}."
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)
        detail = "Send a token that this service knows, as `Authorization: Bearer TOKEN`."
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorised", detail, headers={"www-authenticate": "Bearer"})

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and end of the application are handed on; there are no websockets here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, lambda message: send(_without_traceback(message)))
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def _without_traceback(message: Message) -> Message:
    """Why the application did not start or end, in one line: the server logs it as it comes."""
    lines = str(message.get("message", "")).strip().splitlines()
    return {**message, "message": lines[-1]} if lines else message


def _check_content(headers: Mapping[bytes, bytes]) -> None:
    """415 for anything but plain JSON in UTF-8."""
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != b"application/json" or charset not in {b"", b"charset=utf-8", b'charset="utf-8"'}:
        detail = "Send application/json in UTF-8."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wrong-content-type", detail, headers=CLOSE)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        detail = "Send the body as it is, without Content-Encoding."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wrong-content-type", detail, headers=CLOSE)


def _may_be_named(host: bytes, allowed: frozenset[str], *, open_to_all: bool) -> bool:
    """Whether a Host header may hold this: what is configured; else anything with tokens, and this machine's names without."""
    text = host.decode("latin-1").lower()
    name = text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]
    if allowed:
        return name in allowed
    return open_to_all or is_loopback(name)


_is_loopback = lru_cache(maxsize=64)(is_loopback)


def _label(path: str) -> str:
    """The route for the metrics; what clients make up is not counted by name."""
    if path in QUESTIONS or path in _OTHERS or path in OPEN:
        return path
    return "/decisions/{decision_id}" if path.startswith("/decisions/") else "other"


def _forbidden(detail: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)


def _too_many(what: str, wait_s: float) -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "too-many", f"{what}: again in {wait_s:.1f} s.", headers={"retry-after": str(ceil(wait_s))}
    )
