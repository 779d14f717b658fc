"""Depths from an exchange's order books, followed by this process (HE_DEPTH_FEED)."""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import asdict
from typing import Final

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.service.settings import ServiceSettings

_MS: Final = 1000.0
_LEAST_S: Final = 0.25  # between two looks at a book


class BookDepths:
    """``Depths`` of perpetuals at one exchange. It starts and ends with the service, and the exchange's absence harms nothing.

    Args:
        settings: which exchange, which perpetual for which asset, and what is stale.
        clock: decides what is stale.

    Raises:
        ConfigError: there is no such exchange, or what talks to it is not installed.
    """

    def __init__(self, settings: ServiceSettings, clock: Clock) -> None:
        if importlib.util.find_spec("ccxt") is None:  # the image of the service leaves it out
            fix = "pip install ccxt, or build the image with --build-arg EXTRA=ccxt"
            raise ConfigError("needs ccxt, which is not installed", field="HE_DEPTH_FEED", fix=fix)
        from alpha_pulse.market.books import BookPace, CcxtBooks  # noqa: PLC0415 - ccxt, only with a feed
        from alpha_pulse.runtime.clock import SystemClock  # noqa: PLC0415 - as above

        self.exchange = settings.depth_feed or ""
        self._pairs = {asset: hedge_pair(symbol) for asset, symbol in settings.symbols_for_depth().items()}
        self._clock = clock
        self._stale_ms = settings.stale_depth_s * _MS
        urls = {"rest_url": settings.depth_rest_url, "ws_url": settings.depth_ws_url}
        often = max(settings.stale_depth_s / 4.0, _LEAST_S)  # so that a book which merely rests does not grow stale
        pace = BookPace(**{name: min(usual, often) for name, usual in asdict(BookPace()).items()})
        try:
            self._books = CcxtBooks(self.exchange, self._pairs.values(), clock=SystemClock(), pace=pace, **urls)
        except ConfigError as error:
            raise ConfigError(error.problem, field="HE_DEPTH_FEED", value=error.value, fix=error.fix) from None
        self._following: asyncio.Task[None] | None = None

    def depth_usd(self, asset: str) -> float | None:
        """The thinner of bids and asks within 1 % of mid; None where it is unknown or old."""
        pair = self._pairs.get(asset)
        seen = None if pair is None else self._books.depth(pair)
        if seen is None or self._clock.now_ms() - seen.ts_ms > self._stale_ms:
            return None
        return min(seen.bids, seen.asks) or None

    def problem(self) -> str:
        """Why some depth is not to be had, or soon will not be; "" if all are."""
        task = self._following
        if task is None or task.done():
            return "the books are not followed"
        found = [f"{name}: {reason}" for name, reason in sorted(self._books.problems.items())]
        if found:
            return "; ".join(found)
        missing = [asset for asset in self._pairs if self.depth_usd(asset) is None]
        return f"no depth for {', '.join(missing)}" if missing else ""

    async def start(self) -> None:
        """Begin to follow. Does not wait for the exchange to be there."""
        self._following = asyncio.create_task(self._books.run(), name="service: books")

    async def close(self) -> None:
        """End. Idempotent."""
        task, self._following = self._following, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
