"""Where the service has scores and depths from: ports, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import Clock


@dataclass(frozen=True, slots=True)
class Score:
    """A score in [0, 1], or the reason why there is none; 1 is bearish, as the curve of sentiment takes it.

    Attributes:
        value: the score; None without one that may be used.
        ts_ms: when its publisher stamped it, milliseconds UTC; 0 without one.
        reason: why there is none, for a person; "" with a value.
    """

    value: float | None
    ts_ms: int = 0
    reason: str = ""


class Scores(Protocol):
    """Latest scores and depths by asset, answered from memory."""

    def score(self, asset: str) -> Score:
        """The score to use now, or why there is none."""
        ...

    def depth_usd(self, asset: str) -> float | None:
        """Depth of the order book, USD; None where none that may be used is known."""
        ...

    def ages_s(self) -> dict[str, float]:
        """Seconds since the latest stamp of each asset that ever had one, usable or not."""
        ...

    def problem(self) -> str:
        """What is wrong with the source; "" if nothing is."""
        ...

    async def start(self) -> None:
        """Begin to follow. Does not wait for the source to be there."""
        ...

    async def close(self) -> None:
        """End. Idempotent."""
        ...


class Depths(Protocol):
    """A market feed as the service needs it."""

    def depth_usd(self, asset: str) -> float | None:
        """Notional within 1 % of mid, the thinner side, USD; None where unknown or stale."""
        ...


class LatestBars(Protocol):
    """A market feed that says what it had last; every ``MarketFeed`` does."""

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last update of a symbol."""
        ...


class FeedDepths:
    """Depths from a market feed that somebody else keeps running.

    Args:
        feed: what it had last is asked for.
        symbols: the feed's symbol by asset, e.g. ``{"BTC": "BTC/USDT:USDT"}``.
        clock: decides what is stale.
        stale_s: oldest update that is still used, seconds.
    """

    def __init__(self, feed: LatestBars, symbols: Mapping[str, str], clock: Clock, *, stale_s: float = 60.0) -> None:
        self._feed = feed
        self._symbols = symbols
        self._clock = clock
        self._stale_ms = stale_s * 1000.0

    def depth_usd(self, asset: str) -> float | None:
        """The thinner of bids and asks within 1 % of mid; None where one of them is unknown, or both are old."""
        symbol = self._symbols.get(asset)
        update = None if symbol is None else self._feed.latest(symbol)
        if update is None or self._clock.now_ms() - update.close_ms > self._stale_ms:
            return None
        return min(update.bid_depth, update.ask_depth) or None


class NoScores:
    """Nothing is configured: every question must bring its own score."""

    def score(self, asset: str) -> Score:  # noqa: ARG002 - the port's signature
        """There is none."""
        return Score(None, reason="no source of scores is configured (HE_REDIS_URL is not set), and the request has no override_score")

    def depth_usd(self, asset: str) -> float | None:  # noqa: ARG002 - as above
        """There is none."""
        return None

    def ages_s(self) -> dict[str, float]:
        """No asset ever had one."""
        return {}

    def problem(self) -> str:
        """Nothing is wrong: it was meant so."""
        return ""

    async def start(self) -> None:
        """Nothing to follow."""

    async def close(self) -> None:
        """Nothing to end."""
