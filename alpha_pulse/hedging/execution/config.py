"""Settings of order execution."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field

from alpha_pulse.hedging.common.section import Section


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
