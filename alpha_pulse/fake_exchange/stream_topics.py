"""The names of streams: what a client asks for, what the venue publishes, and which of them are the same.

A topic is a stream's name without its pace: ``btcusdt@markPrice@1s`` and ``btcusdt@markPrice`` are one topic. Topics of the spot
market begin with ``spot/``, those of an account are ``user/<account>`` and ``spot/user/<account>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SPOT: Final = "spot/"
_PACE: Final = re.compile(r"@\d+m?s$")
_EVERYTHING: Final = {"bookTicker": "!bookTicker", "markPrice": "!markPrice@arr", "miniTicker": "!miniTicker@arr", "ticker": "!ticker@arr"}
_FUTURES: Final = {"market", "public", "private", "pm"}


def topic_of(stream: str) -> str:
    """The topic of a stream's name."""
    return _PACE.sub("", stream)


def user_topic(account: str, kind: str = "futures") -> str:
    """The topic of an account's private events; ``kind`` is futures or spot."""
    return f"{SPOT if kind == 'spot' else ''}user/{account}"


def all_symbols_topic(topic: str) -> str | None:
    """The stream of all symbols that carries this topic's events too, or None."""
    market, _, channel = topic.removeprefix(SPOT).partition("@")
    whole = _EVERYTHING.get(channel) if market else None
    return None if whole is None else (SPOT if topic.startswith(SPOT) else "") + whole


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a websocket's address asks for."""

    spot: bool
    api: bool = False  # requests and answers (ws-api) instead of streams
    combined: bool = False  # frames are wrapped with their stream's name
    streams: tuple[str, ...] = ()
    key: str | None = None  # what may be a listen key


def entrance_of(path: str, query: Mapping[str, str]) -> Entrance:
    """Read an address. A prefix in front of the known parts is allowed, so that a client can be told apart by it."""
    parts = [part for part in path.split("/") if part]
    if "ws-api" in parts or "ws-fapi" in parts:
        return Entrance(spot="ws-api" in parts, api=True)
    last = max((i for i, part in enumerate(parts) if part == "ws"), default=-1)
    combined = last < 0
    if combined:
        last = max((i for i, part in enumerate(parts) if part == "stream"), default=len(parts) - 1)
    before, after = set(parts[:last]), parts[last + 1 :]
    asked = [*after, *query.get("streams", "").split("/")]
    streams = tuple(name for name in asked if "@" in name or name.startswith("!"))
    other = next((name for name in after if name not in streams and not name.isdigit()), None)
    key = query.get("listenKey") or other
    return Entrance(spot=not before & _FUTURES, combined=combined, streams=streams, key=key)
