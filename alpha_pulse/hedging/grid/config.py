"""Settings of the hedge and of its grid."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from alpha_pulse.hedging.common.section import Ratio, Section


class HedgeSettings(Section):
    """How much to hedge, and how far the position may stray from it."""

    sizer: str = Field("constant", description="Where the ratio comes from: constant, or package.module:Class [name]")
    ratio: Ratio = Field(0.5, description="Hedge ratio h at the anchor price [fraction of the inventory]")
    min_ratio: Ratio | None = Field(None, description="Never hedge less; null = the pipeline's current ratio [fraction of the inventory]")
    max_ratio: Ratio = Field(1.0, description="Never hedge more [fraction of the inventory]")
    amplitude: Ratio = Field(0.25, description="Hedge added over the n nodes on which the inventory gains [fraction of the inventory]")
    amplitude_adverse: Ratio = Field(0.0, description="Hedge removed over the n nodes on which it loses [fraction of the inventory]")
    band_under: Ratio = Field(
        0.05, description="Under-hedged by more than this: one rebalance order closes the gap [fraction of the inventory]"
    )
    band_over: Ratio = Field(
        0.10, description="Over-hedged by more than this: one rebalance order closes the gap [fraction of the inventory]"
    )
    escalate_after_s: Annotated[float, Field(ge=0)] = Field(30, description="A patient rebalance order becomes a taker after this [s]")
    funding_tilt: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.05, description="Most that funding may add to or take from the ratio; 0 = off [fraction of the inventory]"
    )
    funding_tilt_full: Annotated[float, Field(gt=0)] = Field(
        0.30, description="Annual funding at which the tilt is full [fraction per year]"
    )


class GridSettings(Section):
    """Where the nodes lie."""

    grid_spacing_pct: Annotated[Decimal, Field(gt=0, lt=0.5)] = Field(
        Decimal("0.01"), description="Least distance between nodes [fraction of price]"
    )
    volatility_multiple: Annotated[float, Field(ge=0, le=10)] = Field(
        0.6, description="Spacing is at least this times the daily volatility; 0 = off [σ per day]"
    )
    num_levels: Annotated[int, Field(ge=1, le=200)] = Field(10, description="Nodes on each side of the anchor [nodes]")
    min_price_distance: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="Least distance between nodes; null = off [quote units]"
    )
    spacing: Literal["geometric", "arithmetic"] = Field("geometric", description="Equal ratios or equal differences between nodes [name]")
    anchor: Literal["recentre", "fixed", "ema"] = Field("recentre", description="What the anchor does when price leaves the grid [name]")
    anchor_ema_hours: Annotated[float, Field(gt=0)] = Field(24, description="Time constant of the anchor's average, with anchor: ema [h]")
    volume_adjust: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.2, description="Most by which the volume regime narrows or widens the spacing; 0 = off [fraction of the spacing]"
    )
    snap: Annotated[float, Field(ge=0, le=0.4)] = Field(
        0.25, description="A node moves to a support or resistance within this distance; 0 = off [fraction of the spacing]"
    )
    step: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="Spacing and volatility move only when they changed by this much [fraction of themselves]"
    )
    calculator: str = Field("default", description="Who places the nodes: default, or package.module:Class [name]")
