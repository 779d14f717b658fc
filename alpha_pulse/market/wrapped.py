"""A feed around another one: the base of those that change a thing or two about it."""

from __future__ import annotations

from collections.abc import Iterable

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed


class WrappedFeed:
    """A ``MarketFeed`` that passes everything on to ``inner``; subclasses change what they need to."""

    def __init__(self, inner: MarketFeed) -> None:
        self._inner = inner

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """See ``MarketFeed``."""
        await self._inner.open(pair, instrument, resume_after_ms=resume_after_ms)

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """See ``MarketFeed``."""
        return await self._inner.next(symbol)

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
