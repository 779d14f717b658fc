"""One live feed for several pairs of an account: each bot closes its own share of it."""

from __future__ import annotations

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.market.ccxt_feed import CcxtFeed
from alpha_pulse.market.wrapped import WrappedFeed


class SharedFeed:
    """Hands out feeds that all read from one ``CcxtFeed``; it is closed with the last of them."""

    def __init__(self, feed: CcxtFeed) -> None:
        self.feed = feed
        self.users = 0

    def share(self) -> FeedShare:
        """One bot's part."""
        self.users += 1
        return FeedShare(self)


class FeedShare(WrappedFeed):
    """One bot's part of a shared feed. One that was closed can be used again."""

    def __init__(self, shared: SharedFeed) -> None:
        super().__init__(shared.feed)
        self._shared = shared
        self._counts = True  # as a user
        self._feed = shared.feed
        self._symbols: set[str] = set()

    async def instrument(self, pair: HedgePair) -> Instrument | None:
        """See ``MarketFeed``."""
        self._use()
        return await super().instrument(pair)

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """See ``MarketFeed``."""
        self._use()
        await super().open(pair, instrument, resume_after_ms=resume_after_ms)
        self._symbols.add(pair.perpetual)

    def nudge(self, symbol: str, *, doubted: bool = False) -> None:
        """See ``CcxtFeed``."""
        self._feed.nudge(symbol, doubted=doubted)

    async def close(self) -> None:
        """Stop reading this bot's pairs; the last share closes the feed. Idempotent."""
        if not self._counts:
            return
        self._counts = False
        self._shared.users -= 1
        while self._symbols:
            await self._feed.leave(self._symbols.pop())
        if self._shared.users <= 0:
            await self._feed.close()

    def _use(self) -> None:
        if not self._counts:
            self._counts = True
            self._shared.users += 1
