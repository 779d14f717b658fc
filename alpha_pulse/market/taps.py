"""What ccxt.pro's websocket clients keep to themselves: frames that kill them, and news that would wait for the next news."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final
from weakref import WeakSet

from alpha_pulse.market.ccxt_mapping import read_errors, short

ROWS: Final = ("orders", "myTrades")
"""The topics of ccxt.pro whose rows are handed on."""


def tap(
    exchange: Any,
    *,
    on_row: Callable[[str, Mapping[str, Any]], None] | None = None,
    on_message: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Any:
    """Stand behind every websocket client that ``exchange`` will make; returns ``exchange``.

    A frame that ccxt falls over ends its receive loop silently, with the socket open (ccxt 4.5.90): here it ends the connection, so that
    whoever waits hears of it and dials again. A client that is closed cancels whoever waits on it, who would end for good as if told to:
    here the wait fails as on any broken connection. ``on_row`` gets each row of ``ROWS`` as it comes: ``watch_*`` alone leaves what
    arrives between two calls until the next event. ``on_message`` sees each message first and returns True to keep it from ccxt.
    """
    ccxt: Any = importlib.import_module("ccxt")
    make, handle = exchange.client, exchange.handle_message
    seen: WeakSet[Any] = WeakSet()

    def handle_message(client: Any, message: Any) -> None:
        if on_message is not None and isinstance(message, dict) and on_message(message):
            return
        handle(client, message)

    def client(url: str) -> Any:
        found = make(url)
        if found not in seen:
            seen.add(found)
            _guard(found, ccxt.NetworkError)
            _tell_who_waits(found, ccxt.NetworkError)
            if on_row is not None:
                _hand_on(found, on_row)
        return found

    exchange.handle_message = handle_message
    exchange.client = client
    return exchange


def _guard(client: Any, failure: type[Exception]) -> None:
    ordinary = client.handle_message

    def handle_message(frame: Any) -> None:
        try:
            ordinary(frame)
        except read_errors() as error:
            client.on_error(failure(f"a frame that cannot be read: {type(error).__name__}: {short(error)}"))

    client.handle_message = handle_message


def _tell_who_waits(client: Any, failure: type[Exception]) -> None:
    ordinary = client.close

    async def close(*given: Any) -> None:
        client.reject(failure("the connection was closed on this side"))
        await ordinary(*given)

    client.close = close


def _hand_on(client: Any, on_row: Callable[[str, Mapping[str, Any]], None]) -> None:
    ordinary = client.resolve

    def resolve(result: Any, topic: str) -> Any:
        if topic in ROWS and hasattr(result, "getLimit"):
            count = result.getLimit(None, None)
            for row in list(result)[-count:] if count else ():
                on_row(topic, row)
        return ordinary(result, topic)

    client.resolve = resolve
