"""Withdrawing what must not stay at the venue when the bot is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger

from alpha_pulse.domain.orders import Order, Purpose
from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.interfaces import Broker, Refreshing
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.grid.bookkeeping import Booked, bring_up_to_date
from alpha_pulse.hedging.grid.dispatch import Dispatch

_ROUNDS = 3  # a venue may cancel only a part of what it was asked to
_LONGEST_S = 6.5  # then whoever stops us has waited long enough


@dataclass(slots=True)
class Leaving:
    """The end of one bot. ``ours`` picks its own orders out of a list; with ``keep_stop`` the protective stop stays."""

    broker: Broker
    dispatch: Dispatch
    symbol: str
    ours: Callable[[Sequence[Order]], list[Order]]
    keep_stop: bool
    cancelled: int = 0
    left: int = 0
    failure: Transient | Fatal | None = None

    async def withdraw(self, tick_id: str, now_ms: int, *, unsettled: bool) -> None:
        """Cancel, look again, and cancel what is still there; ``cancelled``, ``left`` and ``failure`` say what came of it.

        With ``unsettled`` orders the venue is asked first: one of them may rest there. Orders are cancelled even where nothing can be
        recorded any more, and no longer than is fit for a stop.
        """
        try:
            async with asyncio.timeout(_LONGEST_S):
                await self._withdraw(tick_id, now_ms, unsettled=unsettled)
        except TimeoutError:
            logger.warning("The venue does not answer: what it was not asked to cancel, or did not confirm, is left")
        except (Transient, Fatal) as error:  # a key that was revoked, say: what can be recorded still is
            self.failure = error
        self.left = len(await self._removable())

    def raise_failure(self) -> None:
        """Raise what kept the orders from being cancelled, if anything did."""
        if self.failure is not None:
            raise self.failure

    async def _withdraw(self, tick_id: str, now_ms: int, *, unsettled: bool) -> None:
        if unsettled:
            await self._look_again()
        for _ in range(_ROUNDS):
            found = await self._removable()
            if not found:
                break
            await self.dispatch.withdraw(ApprovedPlan(tuple(found), ()), [], tick_id, now_ms)
            await self._look_again()
            self.cancelled += len(found) - len(await self._removable())

    async def _removable(self) -> list[Order]:
        ours = self.ours(await self.broker.open_orders(self.symbol))
        return [order for order in ours if not (self.keep_stop and order.request.purpose is Purpose.STOP)]

    async def _look_again(self) -> None:
        """Have the broker ask its venue, where it does not know by itself; a venue that does not answer leaves what is known."""
        if isinstance(self.broker, Refreshing):
            try:
                await self.broker.refresh(self.symbol)
            except (Transient, Fatal) as error:
                logger.warning("The venue could not be asked what is left: {}", error)


async def book_last(broker: Broker, symbol: str, state: BotState, tick_id: str, now_ms: int) -> Booked:
    """What was traded while the orders were withdrawn. A stop that fired then is left to the next start, which latches on it."""
    try:
        booked = await bring_up_to_date(broker, symbol, state, tick_id, now_ms, booked=False)
    except (Transient, Fatal) as error:
        logger.warning("The last fills are booked at the next start: {}", error)
        return Booked((), state)
    return Booked((), state) if booked.stop_filled else booked
