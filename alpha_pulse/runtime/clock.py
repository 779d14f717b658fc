"""Clocks: the process's own, and one that a replay moves by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_NS_PER_MS = 1_000_000


class SystemClock:
    """Wall-clock time in milliseconds since the epoch, UTC, that never goes back.

    When the wall clock is set back, this one runs at half its pace until the wall clock has caught up, as ``adjtime`` does:
    timers keep firing, and no offset stays for good. A wall clock that is set forward is followed at once.
    The two readings (nanoseconds) can be given for tests.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,  # noqa: TID251 - this is the clock that everybody else is given
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._last = wall_ns()
        self._last_monotonic = monotonic_ns()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC; never goes back."""
        monotonic = self._monotonic_ns()
        slewed = self._last + (monotonic - self._last_monotonic) // 2
        self._last = max(self._wall_ns(), slewed)
        self._last_monotonic = monotonic
        return self._last // _NS_PER_MS

    async def sleep(self, seconds: float) -> None:
        """Wait; a negative duration returns at once."""
        await asyncio.sleep(max(0.0, seconds))


class SimulatedClock:
    """Time stands still until whoever owns the replay moves it. Same calls, same times."""

    def __init__(self, start_ms: int = 0) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC, of the simulated market."""
        return self._now_ms

    def advance_to(self, ms: int) -> None:
        """Move to ``ms``; a time in the past leaves the clock where it is."""
        self._now_ms = max(self._now_ms, ms)

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - the port's signature; no time passes here
        """Return at once without moving time: only data moves it. Other tasks get their turn, so that waiting loops cannot starve them."""
        await asyncio.sleep(0)
