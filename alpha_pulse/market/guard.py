"""What stands between us and an exchange's limits: one budget and one ban for every ccxt object that talks to it."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from functools import cache
from typing import Any, Final

from loguru import logger

from alpha_pulse.errors import Rejected


class Haste(IntEnum):
    """How a request stands against others. What is hasty passes ccxt's own queue by."""

    READ = 0  # leaves the whole reserve
    ORDER = 1  # a new order: leaves half of it
    PROTECT = 2  # cancels, stops, floors: uses all of it


DOCUMENTED: Final[Mapping[str, float]] = {"binanceusdm": 2400.0}
"""Weight a minute that an exchange documents where ccxt counts on less, by ccxt id: Binance's futures say so in exchangeInfo."""

_ORDER_WEIGHTS: Final[Mapping[str, tuple[float, float]]] = {"binanceusdm": (4.0, 1.0)}
"""What ccxt counts for a new order, and what it weighs at most on the request budget: orders have a limit of their own there."""

_HASTE: ContextVar[Haste] = ContextVar("haste", default=Haste.READ)
_BAN_S: Final = 120.0  # a ban that does not say for how long
_PAUSE_S: Final = 2.0  # too many requests, without saying for how long; twice as long each time in a row
_LONGEST_PAUSE_S: Final = 64.0
_LONGEST_BAN_S: Final = 3 * 24 * 3600.0
_TOO_MANY: Final = 429
_BANNED: Final = 418
_ERRORS_FROM: Final = 400


@contextmanager
def hasty(haste: Haste) -> Iterator[None]:
    """Requests made inside are of this kind."""
    token = _HASTE.set(haste)
    try:
        yield
    finally:
        _HASTE.reset(token)


class RequestGuard:
    """One budget for all the connections of an account.

    Reads go through ccxt's own limiter and leave ``reserve`` (fraction) of a minute's budget untouched; orders use half of it, what
    protects all of it. A 429 or 418 stops every request, whatever its haste, until the time in Retry-After has passed. A success that is
    not JSON (a proxy's page, an empty or cut-off body) raises ``BadResponse`` before ccxt's parsers can make an empty list of it.

    The budget is that of the exchange that is installed first: ``weight_per_minute`` by ccxt id, in ccxt's own costs, else what is
    documented, else what ccxt counts on.
    """

    def __init__(self, *, reserve: float = 0.25, weight_per_minute: Mapping[str, float] | None = None) -> None:
        self._reserve = reserve
        self._budgets = {**DOCUMENTED, **(weight_per_minute or {})}
        self._most = 0.0
        self._left = 0.0
        self._per_s = 0.0
        self._counted_at = 0.0
        self._pause = _PAUSE_S
        self.banned_until = -1e9  # the loop's time [s]
        self.refused = 0  # how often an exchange said "too many requests"

    def install(self, exchange: Any) -> Any:
        """Stand before ``exchange`` (a ccxt object); returns it."""
        _count_steadily()
        if exchange.id in self._budgets:
            exchange.rateLimit, exchange.tokenBucket = 60_000.0 / self._budgets[exchange.id], None
            exchange.init_rest_rate_limiter()
        ordinary, single = exchange.throttle, _ORDER_WEIGHTS.get(exchange.id, (0.0, 0.0))
        if not self._per_s and exchange.rateLimit:
            self._per_s = 1000.0 / exchange.rateLimit
            self._most = self._left = 60.0 * self._per_s

        async def throttle(cost: float | None = None) -> None:
            amount = 1.0 if cost is None else float(cost)
            if amount == single[0] and _HASTE.get() is not Haste.READ:
                amount = single[1]
            await self._admit(amount, cost, ordinary)

        def on_rest_response(
            code: int, _reason: str, url: str, method: str, headers: Mapping[str, str], body: str, _sent: Any, _request: Any
        ) -> str:
            self._note(code, headers)
            text: str = body.strip()
            problem = _unreadable(exchange, text) if code < _ERRORS_FROM else ""
            if problem:
                raise _ccxt().BadResponse(f"{exchange.id} {method} {url.partition('?')[0]}: {problem}")
            return text

        exchange.throttle = throttle
        exchange.on_rest_response = on_rest_response
        return exchange

    async def _admit(self, amount: float, cost: float | None, ordinary: Callable[[float | None], Awaitable[Any]]) -> None:
        """Wait for the budget; raise while the exchange wants silence. An order does not wait: the next tick asks again."""
        haste = _HASTE.get()
        self._refill()
        if haste is Haste.ORDER and self._missing(amount, 0.5 * self._reserve) > 0.0:
            raise Rejected("not sent: the request budget is used up but for what protects")
        if haste is Haste.READ:
            await self._afford(amount, self._reserve)
            await ordinary(cost)
        wait = self.banned_for()
        if wait > 0.0:
            raise _ccxt().RateLimitExceeded(f"not sent: the exchange asked for silence for another {wait:.0f} s")
        self._left -= amount

    def _note(self, code: int, headers: Mapping[str, str]) -> None:
        if code in {_TOO_MANY, _BANNED}:
            self._banned(code, headers)
        elif code < _ERRORS_FROM:
            self._pause = _PAUSE_S

    def banned_for(self) -> float:
        """Seconds until anything may be sent again; 0 = now."""
        return max(0.0, self.banned_until - asyncio.get_running_loop().time())

    def _banned(self, code: int, headers: Mapping[str, str]) -> None:
        given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
        now = asyncio.get_running_loop().time()
        try:
            wait = float(given)
        except ValueError:
            wait = _BAN_S if code == _BANNED else self._pause
            self._pause = min(2.0 * self._pause, _LONGEST_PAUSE_S)
        wait = min(max(wait, 1.0), _LONGEST_BAN_S)
        self.refused += 1
        self.banned_until = max(self.banned_until, now + wait)
        logger.warning("The exchange answered {} (too many requests): nothing is sent for {:.0f} s", code, wait)

    def _missing(self, amount: float, reserve: float) -> float:
        """What the budget above a reserve (fraction) lacks for ``amount``."""
        self._refill()
        missing = amount + reserve * self._most - self._left
        return 0.0 if not self._per_s or amount > (1.0 - reserve) * self._most else max(0.0, missing)

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left = min(self._most, self._left + (now - self._counted_at) * self._per_s)
        self._counted_at = now

    async def _afford(self, amount: float, reserve: float) -> None:
        """Wait until the budget above the reserve covers ``amount``; a ban ends the wait."""
        while self.banned_for() <= 0.0 and (missing := self._missing(amount, reserve)) > 0.0:  # noqa: ASYNC110 - time itself refills it
            await asyncio.sleep(min(missing / self._per_s, 5.0))


def _ccxt() -> Any:
    return importlib.import_module("ccxt")


@cache
def _count_steadily() -> None:
    """Have ccxt's limiter count by a clock that nobody sets: it would wait for as long as the wall clock is set back.

    It goes on from the wall clock's time, by which requests may have been counted before.
    """
    limiter: Any = importlib.import_module("ccxt.async_support.base.throttler")
    if callable(limiter.time):  # as of ccxt 4.5
        ahead = limiter.time() - time.monotonic()
        limiter.time = lambda: ahead + time.monotonic()


def _unreadable(exchange: Any, text: str) -> str:
    """What is wrong with the body of a success; "" for nothing."""
    if text[:1] not in {"{", "["}:
        return f"the answer is not JSON: {text[:40]!r}"
    return "the answer is cut off" if exchange.parse_json(text) is None else ""
