"""Settings of order execution and of the inventory that is hedged."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from alpha_pulse.hedging.common.section import Section


class InventorySettings(Section):
    """What the user holds: coins that the perpetual hedges."""

    source: Literal["fixed"] = Field("fixed", description="Where the quantity comes from: fixed is the number below [name]")
    quantity: Annotated[Decimal, Field(ge=-1e12, le=1e12)] = Field(
        Decimal("1.0"), description="Coins held; negative if they are owed, 0 for a market-neutral grid [coins]"
    )
    entry_price: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="What they were bought at, for the PnL shown; null = the first price seen [quote units per coin]"
    )


class ExecutionSettings(Section):
    """How orders are carried to the venue."""

    max_active_orders: Annotated[int, Field(ge=1, le=500)] = Field(
        50, description="Grid orders live at the same time, nearest to the price first [orders]"
    )
    rebalance_interval: Annotated[float, Field(gt=0)] = Field(
        60,
        validation_alias=AliasChoices("rebalance_interval", "rebalance_interval_seconds"),
        description="A tick runs at the latest after this [s]",
    )
    tolerance_ticks: Annotated[int, Field(ge=0, le=1000)] = Field(
        2, description="An order this close to where it should be keeps its queue place [ticks]"
    )
    max_slippage: Annotated[float, Field(gt=0, le=0.1)] = Field(
        0.005, description="A rebalance taker's price bound, from the touch [fraction of price]"
    )
    stale_after_s: Annotated[float, Field(gt=0)] = Field(180, description="Market data older than this is stale: no tick runs on it [s]")
    keep_stop_on_exit: bool = Field(False, description="Leave the protective stop at the venue when the bot is stopped [true/false]")
