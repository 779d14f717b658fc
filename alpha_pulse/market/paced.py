"""A feed slowed down to a pace that a person can watch."""

from __future__ import annotations

from collections.abc import Iterable

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import Clock, FeedProblem, MarketFeed


class PacedFeed:
    """Delivers a recorded or simulated feed at ``speed`` market seconds per second of ``clock``, which must be a real one."""

    def __init__(self, inner: MarketFeed, clock: Clock, speed: float) -> None:
        self._inner = inner
        self._clock = clock
        self._speed = speed

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """See ``MarketFeed``."""
        await self._inner.open(pair, instrument, resume_after_ms=resume_after_ms)

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, after as much time as it covers, divided by the speed."""
        before = self._inner.latest(symbol)
        update = await self._inner.next(symbol)
        if isinstance(update, MarketUpdate) and before is not None:
            await self._clock.sleep((update.close_ms - before.close_ms) / 1000.0 / self._speed)
        return update

    def latest(self, symbol: str) -> MarketUpdate | None:
        """See ``MarketFeed``."""
        return self._inner.latest(symbol)

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """See ``MarketFeed``."""
        return self._inner.history(symbol)

    async def instrument(self, pair: HedgePair) -> Instrument | None:
        """See ``MarketFeed``."""
        return await self._inner.instrument(pair)

    def expected(self, symbol: str) -> int | None:
        """See ``MarketFeed``."""
        return self._inner.expected(symbol)

    async def close(self) -> None:
        """See ``MarketFeed``."""
        await self._inner.close()
