"""The whole body of a request, unless it is too large, too slow, or its client hangs up."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Generator
from http import HTTPStatus
from types import coroutine
from typing import Any, Final

from starlette.types import Message, Receive

from alpha_pulse.service.problems import FieldProblem, Problem, invalid

CLOSE: Final = {"connection": "close"}
"""Of an answer that leaves before the body is here: what is left of it would be taken for the next request."""


_KEYS: Final = re.compile(rb'"([^"]*)"\s*:')


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


def check_keys(body: bytes) -> None:
    """Refuse an object that gives a key twice: the parser would take the last, another one the first. Raises ``Problem``.

    The body must have passed its model. In most bodies all keys differ, wherever they stand, which is seen without parsing once more.
    """
    keys = _KEYS.findall(body)
    if len(set(keys)) < len(keys) or b"\\" in body:  # escapes write one key in several ways
        json.loads(body, object_pairs_hook=_once_each)


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise invalid([FieldProblem(field=twice, problem="is given twice", fix="give it once")])


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
