"""Dead-man switches: the venue cancels our resting orders by itself when we have not been heard of for a while."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeadMan:
    """One venue's switch. It has to be armed again, well within the timeout, for as long as orders rest.

    Attributes:
        spares_stops: True only where the venue keeps stops out of its reach; None: the venue does not say. Where it is not True,
            do not rely on the stop outliving the switch.
        account_wide: it cancels the orders of every symbol of the account, not of the one given.
        least_ms: the shortest timeout that the venue takes.
    """

    send: Callable[[Any, str, int], Awaitable[Any]]
    spares_stops: bool | None
    account_wide: bool
    least_ms: int = 1_000

    async def arm(self, exchange: Any, symbol: str, timeout_ms: int) -> None:
        """Cancel everything unless armed again within ``timeout_ms``."""
        await self.send(exchange, symbol, max(timeout_ms, self.least_ms))

    async def disarm(self, exchange: Any, symbol: str) -> None:
        """Stop the countdown."""
        await self.send(exchange, symbol, 0)


async def unified(exchange: Any, symbol: str, timeout_ms: int) -> Any:  # noqa: ARG001 - the whole account's
    """The switch where ccxt unifies it; whole seconds, rounded up."""
    return await exchange.cancel_all_orders_after(math.ceil(timeout_ms / 1000) * 1000)
