"""Settings of the hedge and of its grid, and everything that one bot is configured with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.section import Ratio, Section, slip
from alpha_pulse.hedging.common.tree import Check, Tree
from alpha_pulse.hedging.execution.config import ExecutionSettings, InventorySettings
from alpha_pulse.hedging.risk.analyzers.config import LlmSettings
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.pipeline_config import AssessorSettings, PortfolioSettings, SizerSettings

_OWN_CLASS: Final = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


class HedgeSettings(Section):
    """How much to hedge, and how far the position may stray from it."""

    sizer: Annotated[str, Field(pattern=rf"^(constant|spline|signal|blend|{_OWN_CLASS})$")] = Field(
        "constant", description="Where the ratio comes from: constant, spline, signal, blend, or package.module:Class [name]"
    )
    ratio: Ratio = Field(0.5, description="Hedge ratio h at the anchor price; the signal engine starts from it [fraction of the inventory]")
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
    funding_tilt_full: Annotated[float, Field(gt=0, le=10)] = Field(
        0.30, description="Annual funding at which the tilt is full [fraction per year]"
    )
    lower_after_hours: Annotated[float, Field(ge=0, le=720)] = Field(
        6, description="The ratio rises at once, and falls no sooner than this after it last rose: no paying for a signal that flickers [h]"
    )
    max_cost_share: Annotated[float, Field(gt=0, le=10)] = Field(
        0.25, description="A change of the ratio may cost this share of the one-day 99 % shortfall that it removes [fraction]"
    )

    @model_validator(mode="after")
    def _ratio_within_its_bounds(self) -> Self:
        lowest = 0.0 if self.min_ratio is None else self.min_ratio
        if lowest > self.max_ratio:
            raise slip(f"min_ratio {lowest} is above max_ratio {self.max_ratio}.", "give min_ratio at most max_ratio", key="min_ratio")
        if not lowest <= self.ratio <= self.max_ratio:
            raise slip(
                f"ratio {self.ratio} is outside min_ratio {lowest} … max_ratio {self.max_ratio}.",
                f"give a ratio from {lowest} to {self.max_ratio}, or widen the bounds",
                key="ratio",
            )
        return self


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
    calculator: Annotated[str, Field(pattern=rf"^(default|{_OWN_CLASS})$")] = Field(
        "default", description="Who places the nodes: default, or package.module:Class [name]"
    )

    @model_validator(mode="after")
    def _nodes_above_zero(self) -> Self:
        """An arithmetic grid walks down by equal steps: it must end above a price of zero."""
        if self.spacing == "arithmetic" and self.num_levels * self.grid_spacing_pct >= 1:
            most = math.ceil(1 / self.grid_spacing_pct) - 1
            raise slip(
                f"{self.num_levels} arithmetic steps of {self.grid_spacing_pct} reach a price of zero.",
                f"at most {most} levels at this spacing, or spacing: geometric",
                key="num_levels",
            )
        return self


def unwinding_nodes(hedge: HedgeSettings, grid: GridSettings) -> int:
    """How many nodes on the losing side take hedge off at the configured spacing: none without an adverse amplitude and a lower bound."""
    if hedge.amplitude_adverse == 0 or hedge.min_ratio is None:
        return 0
    room = (hedge.ratio - hedge.min_ratio) / hedge.amplitude_adverse
    return min(grid.num_levels, math.ceil(grid.num_levels * room - 1e-9))


def _distance(nodes: int, grid: GridSettings, inventory: Decimal) -> Decimal:
    """Distance of the nth node on the losing side from the anchor, fraction: below it for coins held, above it for coins owed."""
    if grid.spacing == "arithmetic":
        return nodes * grid.grid_spacing_pct
    if inventory < 0:
        return (1 + grid.grid_spacing_pct) ** nodes - 1
    return 1 - (1 + grid.grid_spacing_pct) ** -nodes


def _stop_beyond_the_grid(
    hedge: HedgeSettings, grid: GridSettings, risk: RiskSettings, inventory: InventorySettings
) -> Iterator[ConfigError]:
    """Where the coins are not known yet, this is looked at when they are."""
    if inventory.coins is not None:
        yield from stop_beyond_the_grid(hedge, grid, risk, inventory.coins)


def stop_beyond_the_grid(hedge: HedgeSettings, grid: GridSettings, risk: RiskSettings, coins: Decimal) -> Iterator[ConfigError]:
    """A stop inside the unwinding nodes would complete a hedge that the grid is still taking off. ``coins``: the inventory, signed."""
    nodes = unwinding_nodes(hedge, grid)
    stop = risk.stop_loss_pct
    if stop is None or nodes == 0 or coins == 0:
        return
    outermost = _distance(nodes, grid, coins)
    if outermost < stop:
        return
    least = (outermost + Decimal("0.0001")).quantize(Decimal("0.001"), ROUND_CEILING)
    fits = max((n for n in range(nodes) if _distance(n, grid, coins) < stop), default=0)
    fix = f"risk.stop_loss_pct of at least {least}" if least < 1 else "a smaller grid.grid_spacing_pct"
    fewer = f", at most {fits} nodes (grid.num_levels)" if fits else ""
    yield ConfigError(
        f"the stop lies inside the {nodes} unwinding nodes, which reach {outermost:.4f} from the anchor.",
        field="risk.stop_loss_pct",
        value=str(stop),
        fix=f"{fix}{fewer}, a smaller grid.grid_spacing_pct, or hedge.amplitude_adverse 0",
    )


def _neutral_grid_has_a_size(risk: RiskSettings, inventory: InventorySettings) -> Iterator[ConfigError]:
    if inventory.coins == 0 and risk.max_position_size is None:
        yield ConfigError(
            "an inventory of 0 is a market-neutral grid, and it needs a size.",
            field="risk.max_position_size",
            fix="give risk.max_position_size [base units], or an inventory.quantity",
        )


BOT_CHECKS: Final[tuple[tuple[tuple[str, ...], Check], ...]] = (
    (("hedge", "grid", "risk", "inventory"), _stop_beyond_the_grid),
    (("risk", "inventory"), _neutral_grid_has_a_size),
)
"""Checks across sections, with the sections that each needs."""


class BotConfig(Tree):
    """Everything that one bot decides with."""

    checks: ClassVar[tuple[tuple[tuple[str, ...], Check], ...]] = BOT_CHECKS

    hedge: HedgeSettings = HedgeSettings()
    grid: GridSettings = GridSettings()
    risk: RiskSettings = RiskSettings()
    execution: ExecutionSettings = ExecutionSettings()
    inventory: InventorySettings = InventorySettings()
    sizers: SizerSettings = SizerSettings()
    inventory_risk: AssessorSettings = AssessorSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    llm: LlmSettings = LlmSettings()

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any] | BotConfig | None = None) -> BotConfig:
        """A configuration from flat keys (``grid_spacing_pct``, ``num_levels``, …), sections, or both; strings or numbers.

        Raises:
            ConfigError: naming field, value and fix of everything that is wrong.
        """
        if config is None:
            return cls()
        if isinstance(config, BotConfig):
            return config
        if not isinstance(config, Mapping):
            raise ConfigError(
                f"must be a mapping of settings, not {type(config).__name__}.", field="config", fix='give {"num_levels": 5, …}'
            )
        return cls.read(config)
