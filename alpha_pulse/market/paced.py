"""A feed slowed down to a pace that a person can watch."""

from __future__ import annotations

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import Clock, FeedProblem, MarketFeed
from alpha_pulse.market.wrapped import WrappedFeed


class PacedFeed(WrappedFeed):
    """Delivers a recorded or simulated feed at ``speed`` market seconds per second of ``clock``, which must be a real one."""

    def __init__(self, inner: MarketFeed, clock: Clock, speed: float) -> None:
        super().__init__(inner)
        self._clock = clock
        self._speed = speed

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, after as much time as it covers, divided by the speed."""
        before = self._inner.latest(symbol)
        update = await self._inner.next(symbol)
        if isinstance(update, MarketUpdate) and before is not None:
            await self._clock.sleep((update.close_ms - before.close_ms) / 1000.0 / self._speed)
        return update
