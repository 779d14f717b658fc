"""A chat endpoint on 127.0.0.1 that speaks OpenAI's dialect over real HTTP, and misbehaves on demand.

::

    async with LlmServer(answer(floor=0.4)) as server:
        ...  # LlmSettings(base_url=server.url, ...)
    server.script = [Fault.ERROR_500, answer(floor=0.4)]  # one per request; the last one repeats
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from aiohttp import web

_JSON: Final = {"Content-Type": "application/json"}
_MEGABYTE: Final = 1_000_000


class Fault(StrEnum):
    """Every way in which the server can misbehave below the answer's text."""

    TIMEOUT = "timeout"  # never answers
    ERROR_500 = "500"
    BUSY_429 = "429"  # with Retry-After: 0
    BUSY_429_FOR_AN_HOUR = "429 for an hour"
    FORBIDDEN_401 = "401"  # repeats the key that it was given
    REDIRECT = "redirect"  # 307 to another path of this server
    INVALID_JSON = "invalid json"
    TRUNCATED_BODY = "truncated body"  # shorter than its Content-Length
    TRUNCATED_JSON = "truncated json"
    HTML = "html"
    EMPTY = "empty"
    EMPTY_CHOICES = "empty choices"
    NO_CONTENT = "no content"
    HUGE = "huge"  # many megabytes
    GZIP_BOMB = "gzip bomb"  # small on the wire, many megabytes after it
    SLOW_DRIP = "slow drip"  # a byte now and then, for ever
    DISCONNECT = "disconnect"
    GARBLED_HTTP = "garbled http"
    DEEPLY_NESTED = "deeply nested"


@dataclass(frozen=True, slots=True)
class Completion:
    """A well-formed reply. ``content`` is the model's text; ``usage`` the tokens that the server says it counted."""

    content: str
    usage: Mapping[str, Any] | None = None
    message: Mapping[str, Any] | None = None  # further keys of the message, such as tool_calls

    def body(self) -> dict[str, Any]:
        """As OpenAI's API reference has it."""
        message = {"role": "assistant", "content": self.content, **(self.message or {})}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "model": "test", "choices": [choice]}
        return body if self.usage is None else body | {"usage": dict(self.usage)}


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived. ``body`` is None when it was no JSON."""

    path: str
    headers: Mapping[str, str]
    body: Any


Reply = Completion | Fault


def answer(
    floor: Any = 0.3,
    *,
    symbol: str = "BTCUSDT",
    usage: Mapping[str, Any] | None = None,
    message: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Completion:
    """A completion whose content is a JSON answer; further keys are added to it, and NaN is written as ``NaN``."""
    content = {"symbol": symbol, "floor": floor, "confidence": 0.5, "commentary": "Funding pays.", **keys}
    return Completion(json.dumps(content), usage, message)


class LlmServer:
    """Answers POST /v1/chat/completions by its script. ``requests`` holds all that arrived, whatever the path."""

    def __init__(self, *script: Reply, api_key: str = "") -> None:
        self.script: list[Reply] = list(script) or [answer()]
        self.requests: list[Received] = []
        self.url = ""
        self._api_key = api_key
        self._over = asyncio.Event()
        app = web.Application(client_max_size=_MEGABYTE)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of whoever still waits, and stop."""
        self._over.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        self.requests.append(Received(request.path, dict(request.headers), body))
        given = request.headers.get("Authorization", "")
        if self._api_key and given != f"Bearer {self._api_key}":
            return web.json_response({"error": "the key is wrong"}, status=401)
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return web.json_response(reply.body()) if isinstance(reply, Completion) else await self._misbehave(request, reply)

    async def _misbehave(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        simple = _simple(fault, request)
        if simple is not None:
            return simple
        if fault is Fault.TIMEOUT:
            await self._over.wait()
            return web.Response(status=503)
        if fault is Fault.SLOW_DRIP:
            return await self._drip(request)
        if fault is Fault.TRUNCATED_BODY:
            return await _cut_short(request)
        if fault is Fault.GARBLED_HTTP and request.transport is not None:
            request.transport.write(b"HTTP/1.1 two hundred fine\r\n: \r\n\r\n")
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_JSON)
        await response.prepare(request)
        while not self._over.is_set():
            try:
                await response.write(b" ")
                async with asyncio.timeout(0.02):
                    await self._over.wait()
            except TimeoutError:
                continue
            except ConnectionError:
                break
        return response


async def _cut_short(request: web.Request) -> web.StreamResponse:
    """Half of a good body under the Content-Length of the whole."""
    whole = json.dumps(answer().body()).encode()
    response = web.StreamResponse(headers=_JSON)
    response.content_length = len(whole)
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _simple(fault: Fault, request: web.Request) -> web.Response | None:
    """The faults that are one plain response."""
    good = json.dumps(answer().body())
    texts: dict[Fault, str] = {
        Fault.INVALID_JSON: "{'floor': 0.4}",
        Fault.TRUNCATED_JSON: good[: len(good) // 2],
        Fault.EMPTY: "",
        Fault.EMPTY_CHOICES: '{"choices": []}',
        Fault.NO_CONTENT: '{"choices": [{"message": {"role": "assistant", "content": null}}]}',
        Fault.DEEPLY_NESTED: "[" * 50_000,
    }
    if fault in texts:
        return web.Response(text=texts[fault], content_type="application/json")
    given = request.headers.get("Authorization", "")
    special: dict[Fault, Callable[[], web.Response]] = {
        Fault.ERROR_500: lambda: web.Response(status=500, text="overloaded"),
        Fault.BUSY_429: lambda: web.Response(status=429, headers={"Retry-After": "0"}),
        Fault.BUSY_429_FOR_AN_HOUR: lambda: web.Response(status=429, headers={"Retry-After": "3600"}),
        Fault.FORBIDDEN_401: lambda: web.json_response({"error": f"Incorrect API key provided: {given}"}, status=401),
        Fault.REDIRECT: lambda: web.Response(status=307, headers={"Location": "/elsewhere"}),
        Fault.HTML: lambda: web.Response(text="<html><script>alert(1)</script></html>", content_type="text/html"),
        Fault.HUGE: lambda: web.Response(body=_huge(), headers=_JSON),
        Fault.GZIP_BOMB: lambda: web.Response(body=_gzip(_huge()), headers={**_JSON, "Content-Encoding": "gzip"}),
    }
    make = special.get(fault)
    return None if make is None else make()


def _huge() -> bytes:
    return json.dumps(Completion("x" * 8 * _MEGABYTE).body()).encode()


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()
