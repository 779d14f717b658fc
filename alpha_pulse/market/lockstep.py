"""Several made-up or recorded markets in step: no pair runs ahead of another's time."""

from __future__ import annotations

import asyncio
import math

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.market.wrapped import WrappedFeed


class Lockstep:
    """A meeting point for feeds that have no clock in common.

    An update is handed on when every other member waits for one that is not earlier, or has ended; of updates of the same time
    the member that joined first goes first. So a run of several pairs is the same run every time.
    """

    def __init__(self) -> None:
        self._next_ms: list[float] = []  # by member: time of the update that waits; −inf = not known yet, inf = ended
        self._moved = asyncio.Condition()

    def join(self, feed: MarketFeed) -> MarketFeed:
        """``feed`` in step with the others. Everyone joins before anyone starts."""
        self._next_ms.append(-math.inf)
        return _Member(feed, self, len(self._next_ms) - 1)

    async def wait(self, member: int, time_ms: float) -> None:
        """Come back when it is this member's turn."""
        async with self._moved:
            self._next_ms[member] = time_ms
            self._moved.notify_all()
            await self._moved.wait_for(lambda: min((ms, at) for at, ms in enumerate(self._next_ms)) >= (time_ms, member))

    async def leave(self, member: int) -> None:
        """The member holds nobody up any more."""
        async with self._moved:
            self._next_ms[member] = math.inf
            self._moved.notify_all()


class _Member(WrappedFeed):
    def __init__(self, inner: MarketFeed, step: Lockstep, number: int) -> None:
        super().__init__(inner)
        self._step = step
        self._number = number

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, in its turn. Until it asks again the others wait: it is still acting on this one."""
        update = await self._inner.next(symbol)
        if update is None:
            await self._step.leave(self._number)
        else:
            await self._step.wait(self._number, update.close_ms if isinstance(update, MarketUpdate) else update.ts_ms)
        return update

    async def close(self) -> None:
        """Nobody waits for this one any more."""
        await self._step.leave(self._number)
        await super().close()
