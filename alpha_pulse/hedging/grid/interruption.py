"""How a stop ends a loop that waits: for the next try, or for a venue that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

_GRACE_S: Final = 1.5  # a stop waits this long for the tick that is under way


class Interruption:
    """Watches one task. Asked for, it wakes that task from ``sleep``, and cancels it if it still runs after a moment of grace."""

    def __init__(self) -> None:
        self.happened = False  # a tick was cut short: something may be at the venue that nobody has heard of
        self._asked = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None

    def watch(self) -> None:
        """From now on the current task is the one."""
        self._task = asyncio.current_task()

    def ask(self) -> None:
        """The loop is to end soon."""
        if self._task is not None and not self._asked.is_set():
            asyncio.get_running_loop().call_later(_GRACE_S, self._cut)
        self._asked.set()

    def take_back(self) -> None:
        """The loop is to go on after all."""
        self._asked.clear()

    async def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the moment in which the loop is asked to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()

    def was_ours(self) -> bool:
        """Whether the cancellation that was just caught came from here; then it counts for nothing."""
        if not self.happened or self._task is None:
            return False
        self._task.uncancel()
        return True

    def over(self) -> None:
        """The loop has ended."""
        self._task = None

    def _cut(self) -> None:
        if self._task is not None and self._asked.is_set():
            self.happened = True
            self._task.cancel()
