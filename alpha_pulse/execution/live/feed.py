"""The market as a live bot should see it: never ahead of its own fills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.execution.live.desk import LiveDesk
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.market.ccxt_feed import CcxtFeed
from alpha_pulse.market.shared import FeedShare
from alpha_pulse.market.wrapped import WrappedFeed

_PATIENCE_S: Final = 1.0
_LOOK_S: Final = 0.005
_BURST_S: Final = 0.001
_FAR: Final = 0.003  # of the price


class FillsFirst(WrappedFeed):
    """Quotes and fills come by different streams; this keeps the bot from acting on the one without the other.

    A price beyond one of our resting orders says that it has filled: the update waits a moment for that fill, and the account is read
    meanwhile. Acting before would take the missing fill for a gap, and close it twice. A fill far from the prices says that these are
    old: they are asked for. A new position valued at an old price would look like a loss.
    """

    def __init__(self, inner: MarketFeed, desk_of: Callable[[str], LiveDesk | None]) -> None:
        super().__init__(inner)
        self._desk_of = desk_of
        self._judged: dict[str, int] = {}  # by symbol: fills that prices were held against

    def nudge(self, symbol: str, *, doubted: bool = False) -> None:
        """Have the next update come now, where the feed can do that."""
        if isinstance(self._inner, CcxtFeed | FeedShare):
            self._inner.nudge(symbol, doubted=doubted)

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, its fills known or a second late."""
        update = await self._inner.next(symbol)
        desk = self._desk_of(symbol)
        if desk is None or not isinstance(update, MarketUpdate):
            return update
        if desk.orders.is_beyond(update.bid, update.ask):
            desk.wanted.set()
            await self._wait_for_fills(desk, update)
        if await self._is_old(desk, update):
            self.nudge(symbol, doubted=True)
            return await self._inner.next(symbol)
        return update

    async def _wait_for_fills(self, desk: LiveDesk, update: MarketUpdate) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        while desk.orders.is_beyond(update.bid, update.ask) and loop.time() < until:  # noqa: ASYNC110 - three things may end it
            await asyncio.sleep(_LOOK_S)

    async def _is_old(self, desk: LiveDesk, update: MarketUpdate) -> bool:
        """Whether the last fill, looked at once, lies where these prices are not. Fills of one sweep come in a burst."""
        fills = desk.books.fills
        known = self._judged.setdefault(desk.symbol, len(fills))
        if len(fills) <= known:
            return False
        await asyncio.sleep(_BURST_S)
        self._judged[desk.symbol] = len(fills)
        return abs(float(fills[-1].price) / update.mark.close - 1.0) > _FAR
