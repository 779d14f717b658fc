"""What may go wrong on a REST call: which requests a scripted fault hits, and what it makes of the reply."""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.refusals import Refusal

BEFORE: Final = frozenset({"drop_before", "timeout_before", "rate_limit", "ban"})
INSIDE: Final = frozenset({"hide_new", "duplicate", "partial"})
AFTER: Final = frozenset(
    {"drop_after", "timeout_after", "truncate", "cut", "html", "empty", "nulls", "nan", "stale", "duplicate_rows", "missing_last_row"}
)
EITHER: Final = frozenset({"status", "delay", "hold"})
KINDS: Final = BEFORE | INSIDE | AFTER | EITHER

UNKNOWN_BODY: Final = json.dumps(Refusal(-1007).body())
HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


@dataclass(slots=True)
class Fault:
    """One scripted fault.

    Attributes:
        on: requests that it hits, "METHOD /path", with * and ? as wildcards.
        kind: what happens, one of ``KINDS``.
        times: requests to hit; None = until cleared.
        after: matching requests to let pass first.
        when: for ``status``, ``delay`` and ``hold``: before or after the request is processed.
        seconds: of a delay or ban; Retry-After of ``rate_limit``; the age up to which ``hide_new`` hides.
        status: HTTP status of the kind ``status``.
        body: its text.
        chance: share of the matching requests that are hit.
        account: the API key whose requests are hit; None = anybody's.
    """

    on: str
    kind: str
    times: int | None = 1
    after: int = 0
    when: str = "before"
    seconds: float = 1.0
    status: int = 503
    body: str = UNKNOWN_BODY
    chance: float = 1.0
    account: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError("there is no such fault.", field="fault.kind", value=self.kind, fix=f"one of {', '.join(sorted(KINDS))}")
        if self.when not in {"before", "after"}:
            raise ConfigError("is neither before nor after.", field="fault.when", value=self.when, fix="write before or after")

    @property
    def is_before(self) -> bool:
        """It strikes before the request is processed."""
        return self.kind in BEFORE or (self.kind in EITHER and self.when == "before")


@dataclass(slots=True)
class Held:
    """A request that waits inside the venue, before or after it was processed."""

    id: int
    route: str
    when: str
    params: dict[str, Any]
    process: bool = True
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def public(self) -> dict[str, Any]:
        """As the control endpoint lists it."""
        return {"id": self.id, "route": self.route, "when": self.when, "params": self.params}


class Faults:
    """The faults that are on, and the requests that they hold."""

    def __init__(self, seed: int, now: Callable[[], float]) -> None:
        self._now = now
        self.active: list[Fault] = []
        self.held: dict[int, Held] = {}
        self.hits: list[tuple[str, str]] = []  # (route, kind) of everything that struck
        self.replies: dict[tuple[str, str], str] = {}  # (key, route) -> last good reply
        self._unreachable_until = -1.0
        self._random = random.Random(seed)  # noqa: S311 - which request is hit is no secret
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()

    def add(self, on: str, kind: str, **options: Any) -> Fault:
        """Switch a fault on. Raises ``ConfigError`` for an unknown kind or option."""
        try:
            fault = Fault(on, kind, **options)
        except TypeError as error:
            raise ConfigError(f"{error}.", field="fault", value=options, fix="use the options that the reference lists") from None
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Switch everything off. Held requests stay held: release them."""
        self.active.clear()
        self._unreachable_until = -1.0

    def take(self, route: str, key: str) -> list[Fault]:
        """The faults that strike this request. Counts it."""
        struck = []
        for fault in list(self.active):
            if not fnmatch.fnmatchcase(route, fault.on) or fault.account not in {None, key}:
                continue
            if fault.chance < 1.0 and self._random.random() >= fault.chance:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            struck.append(fault)
            self.hits.append((route, fault.kind))
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.active.remove(fault)
        return struck

    # --- out of reach -------------------------------------------------------------------------------------------------
    def make_unreachable(self, seconds: float) -> None:
        """Close every connection that comes, for a while."""
        self._unreachable_until = self._now() + seconds

    @property
    def unreachable(self) -> bool:
        """Nobody gets through now."""
        return self._now() < self._unreachable_until

    # --- held requests ------------------------------------------------------------------------------------------------
    async def hold(self, route: str, when: str, params: dict[str, Any]) -> bool:
        """Keep a request until it is released; returns whether to go on with it."""
        held = Held(next(self._numbers), route, when, params)
        self.held[held.id] = held
        self._changed.set()
        try:
            await held.released.wait()
        finally:
            self.held.pop(held.id, None)
        return held.process

    def release(self, number: int | None = None, *, process: bool = True) -> int:
        """Let one held request go on (None: all). ``process`` False: it is lost. Returns how many went."""
        chosen = [held for held in self.held.values() if number in {None, held.id}]
        for held in chosen:
            held.process = process
            held.released.set()
        return len(chosen)

    async def wait_held(self, count: int = 1, timeout: float = 5.0) -> list[Held]:  # noqa: ASYNC109 - a test wants one line
        """Wait until as many requests are held. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            while len(self.held) < count:
                self._changed.clear()
                await self._changed.wait()
        return list(self.held.values())


def spoil(faults: Iterable[Fault], body: str, previous: str | None) -> str:
    """The text of a reply after the faults that change its text."""
    for fault in faults:
        match fault.kind:
            case "truncate":
                body = body[: len(body) // 2]
            case "html":
                body = HTML
            case "empty":
                body = ""
            case "nulls":
                body = json.dumps(_each_leaf(json.loads(body), lambda _: None))
            case "nan":
                body = json.dumps(_each_leaf(json.loads(body), lambda value: "NaN" if _is_number(value) else value))
            case "stale" if previous is not None:
                body = previous
            case "duplicate_rows" | "missing_last_row":
                body = json.dumps(_rows(json.loads(body), fault.kind))
    return body


def _rows(reply: Any, kind: str) -> Any:
    if not isinstance(reply, list):
        return reply
    return [row for row in reply for _ in range(2)] if kind == "duplicate_rows" else reply[:-1]


def _each_leaf(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _each_leaf(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_each_leaf(inner, change) for inner in value]
    return change(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
