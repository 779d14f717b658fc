"""Where the inventory comes from."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol, runtime_checkable

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.hedging.common.interfaces import PositionFetcher
from alpha_pulse.hedging.execution.config import InventorySettings


class FixedInventory:
    """The quantity that the user wrote down, in coins: a cold wallet, a vault, a custodian.

    Raises:
        ConfigError: the settings say that the coins are read from an exchange.
    """

    def __init__(self, settings: InventorySettings, pair: HedgePair) -> None:
        self._quantity = settings.stated_coins() / pair.multiplier

    async def fetch_inventory(self, symbol: str) -> Decimal:  # noqa: ARG002 - the port's signature
        """The fixed quantity in base units of the perpetual (coins / 1000 for a 1000-multiplied coin)."""
        return self._quantity


@runtime_checkable
class Closing(Protocol):
    """A fetcher that holds a connection."""

    async def close(self) -> None:
        """Release it. Idempotent."""
        ...


async def release(fetcher: PositionFetcher) -> None:
    """Close a fetcher that has something to close."""
    if isinstance(fetcher, Closing):
        await fetcher.close()
