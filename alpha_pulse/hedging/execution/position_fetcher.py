"""Where the inventory comes from."""

from __future__ import annotations

from decimal import Decimal

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.hedging.execution.config import InventorySettings


class FixedInventory:
    """The quantity that the user wrote down, in coins: a cold wallet, a vault, a custodian."""

    def __init__(self, settings: InventorySettings, pair: HedgePair) -> None:
        self._quantity = settings.quantity / pair.multiplier

    async def fetch_inventory(self, symbol: str) -> Decimal:  # noqa: ARG002 - the port's signature
        """The fixed quantity in base units of the perpetual (coins / 1000 for a 1000-multiplied coin)."""
        return self._quantity
