"""One answer about a whole account for every pair that asks about the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Keeps the last answer and when it was asked for [the loop's time, s]. Who asks while one is on its way waits for that one."""

    def __init__(self) -> None:
        self._kept: tuple[float, _T] | None = None
        self._lock = asyncio.Lock()

    async def get(self, ask: Callable[[], Awaitable[_T]], *, after: float) -> tuple[float, _T]:
        """When the answer was asked for, and the answer: the kept one if that was ``after`` or later. Raises what ``ask`` raises."""
        async with self._lock:
            if self._kept is None or self._kept[0] < after:
                now = asyncio.get_running_loop().time()
                self._kept = None
                self._kept = now, await ask()
            return self._kept

    def forget(self) -> None:
        """What was answered holds no longer."""
        self._kept = None
