"""The whole body of a request, unless it is too large, too slow, or its client hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from http import HTTPStatus
from types import coroutine
from typing import Any, Final

from starlette.types import Message, Receive

from alpha_pulse.service.problems import Problem

CLOSE: Final = {"connection": "close"}
"""Of an answer that leaves before the body is here: what is left of it would be taken for the next request."""


class ClientGone(Exception):  # noqa: N818 - no error: there is nobody left to tell
    """The client hung up in the middle of its body."""


async def read_body(announced: bytes, receive: Receive, *, largest: int, patience_s: float) -> bytes:
    """The body; sizes that are announced and sizes that come count.

    Args:
        announced: the header Content-Length; ``b"0"`` where there is none.
        receive: brings the parts.
        largest: bytes that are taken.
        patience_s: all of it must be here within so many seconds.

    Raises:
        Problem: it is too large or too slow.
        ClientGone: there is nobody left to answer.
    """
    if not announced.isdigit() or int(announced[:20]) > largest:
        raise _too_large(largest)
    body, receiving = bytearray(), receive().__await__()
    try:
        waits_for = next(receiving)
    except StopIteration as here:  # as a rule a body comes with its head: then no timer is set, which would cost more than all of this
        begun, complete = None, _add(body, here.value, largest)
    else:
        begun, complete = _go_on(receiving, waits_for), False
    if complete:
        return bytes(body)
    try:
        async with asyncio.timeout(patience_s):
            while not complete:
                message = await (receive() if begun is None else begun)
                begun, complete = None, _add(body, message, largest)
    except TimeoutError:
        detail = f"The body must be here within {patience_s:g} s."
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "slow-body", detail, headers=CLOSE) from None
    return bytes(body)


def _add(body: bytearray, message: Message, largest: int) -> bool:
    """Take one part; whether it was the last."""
    if message["type"] == "http.disconnect":
        raise ClientGone
    body += message.get("body", b"")
    if len(body) > largest:
        raise _too_large(largest)
    return not message.get("more_body")


@coroutine
def _go_on(begun: Generator[Any, Any, Message], waits_for: Any) -> Generator[Any, Any, Message]:
    """Await what was begun by hand, and stopped because it ``waits_for`` something."""
    try:
        yield waits_for
        return (yield from begun)
    finally:
        begun.close()


def _too_large(largest: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"At most {largest} bytes are taken.", headers=CLOSE)
