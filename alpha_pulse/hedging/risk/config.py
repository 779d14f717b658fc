"""Settings of the risk manager."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from alpha_pulse.hedging.common.section import Fraction, Section, slip
from alpha_pulse.hedging.risk.tail import VarMethod


class RiskSettings(Section):
    """Limits. Everything here beats everything in ``hedge``."""

    max_position_size: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="Largest perpetual position; null = |inventory| [base units]"
    )
    volatility_target: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="A neutral grid shrinks in proportion when volatility is above this; null = off [σ per day]"
    )
    max_effective_leverage: Annotated[Decimal, Field(gt=0, le=20)] = Field(
        Decimal("1.0"), description="The perpetual position may grow to this times the wallet's equity [notional / equity]"
    )
    max_drawdown: Fraction | None = Field(
        Decimal("0.2"), description="Drawdown that latches a full hedge until `alpha-pulse resume`; null = off [fraction of NAV]"
    )
    stop_loss_pct: Annotated[Decimal, Field(gt=0, lt=1)] | None = Field(
        Decimal("0.15"), description="Distance of the stop that completes the hedge; null = off [fraction of the reference price]"
    )
    stop_volatility_multiple: Annotated[float, Field(ge=0, le=50)] = Field(
        5, description="The stop is at least this far away; 0 = stop_loss_pct literally [σ per day]"
    )
    var_limit: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="Value at risk that may stay unhedged; null = var_limit_pct [quote units]"
    )
    var_limit_pct: Fraction | None = Field(
        Decimal("0.06"),
        description="Value at risk that may stay unhedged; null with var_limit null = no VaR floor [fraction of the inventory's value]",
    )
    var_confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.99, description="Confidence of the value at risk [probability]")
    var_method: VarMethod = Field(
        VarMethod.PARAMETRIC, description="How the tail beyond the confidence is read; parametric until 100 days are known [name]"
    )
    var_horizon_days: Annotated[float, Field(gt=0, le=30)] = Field(1, description="Horizon of the value at risk [days]")
    floor_half_life_hours: Annotated[float, Field(gt=0)] = Field(24, description="Floors rise at once and fall with this half-life [h]")
    alert_distance: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.35, description="Alert when liquidation is nearer (or 10 σ per day, if larger) [fraction of mark]"
    )
    no_increase_distance: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25, description="The position may not grow when liquidation is nearer (or 6 σ per day) [fraction of mark]"
    )
    cut_distance: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.15, description="The position is cut when liquidation is nearer (or 4 σ per day) [fraction of mark]"
    )

    @model_validator(mode="after")
    def _distances_in_order(self) -> Self:
        """A nearer liquidation calls for more: first an alert, then no increase, then a cut."""
        if not self.cut_distance < self.no_increase_distance < self.alert_distance:
            given = f"{self.cut_distance}, {self.no_increase_distance} and {self.alert_distance}"
            raise slip(
                f"cut_distance, no_increase_distance and alert_distance must rise in this order, and are {given}.",
                "for example cut_distance 0.15, no_increase_distance 0.25, alert_distance 0.35",
                key="cut_distance",
            )
        return self
