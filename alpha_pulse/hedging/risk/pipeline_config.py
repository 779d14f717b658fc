"""Settings of what decides how much to hedge: the sizers, the inventory assessor, several pairs together."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.section import Fraction, Section, slip
from alpha_pulse.hedging.risk.sizers.spline import SIGNAL_CONFIGS, signal_configs_from

Weight = Annotated[float, Field(ge=0, le=1000)]


class SizerSettings(Section):
    """How the sizers read the market; hedge.sizer says which one decides. Weights count in proportion to their sum."""

    spline_volatility: Weight = Field(0.4, description="spline: the rank of today's volatility among the last 90 days' [weight]")
    spline_momentum: Weight = Field(0.4, description="spline: falling prices over the last 20 days [weight]")
    spline_funding: Weight = Field(0.2, description="spline: expensive longs, read from the funding rate [weight]")
    spline_sentiment: Weight = Field(0.0, description="spline: your own view, given as sentiment [weight]")
    sentiment: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Your own view of the market, −1 bullish … +1 bearish; null = none [number]"
    )
    curves: Mapping[str, Any] | None = Field(
        None, description="spline: knots of each curve as in config/curve_knots.yaml; null = the built-in curves [curves]"
    )
    signal_funding: Weight = Field(0.3, description="signal: negative funding speaks for rising prices [weight]")
    signal_momentum: Weight = Field(0.5, description="signal: daily returns of the last 20 days [weight]")
    signal_volatility: Weight = Field(0.2, description="signal: calm markets speak for holding, wild ones against [weight]")
    signal_imbalance: Weight = Field(
        0.0, description="signal: bids against asks within 1 % of mid, where known; fast, and dear to follow [weight]"
    )
    signal_stretch: Weight = Field(0.0, description="signal: price far above its 20-day mean speaks against holding [weight]")
    signal_baseline_usd: Annotated[float, Field(gt=0)] = Field(
        100_000, description="signal: an inventory of this value is sized without a surcharge of its own [quote units]"
    )
    signal_size_scaling: Annotated[float, Field(ge=0, le=10)] = Field(
        0.5, description="signal: a larger inventory acts more strongly, by 1 + this·√(value/baseline) [factor]"
    )
    signal_action_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="signal: a weaker combined signal changes nothing [signal]"
    )
    signal_conviction_threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="signal: hedging less than hedge.ratio takes a stronger signal than this [signal]"
    )
    blend_constant: Weight = Field(0.5, description="blend: the constant ratio [weight]")
    blend_spline: Weight = Field(0.25, description="blend: what the spline sizer says [weight]")
    blend_signal: Weight = Field(0.25, description="blend: what the signal engine says [weight]")

    @field_validator("curves")
    @classmethod
    def _curves_are_monotone(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if value is not None:
            try:
                names = signal_configs_from(value)
            except ConfigError as error:
                raise slip(str(error), "write the knots as config/curve_knots.yaml does", key="curves") from None
            unknown = [name for name in names if name not in SIGNAL_CONFIGS]
            if unknown:
                raise slip(f"no sizer reads a curve named {unknown[0]}.", f"name one of {', '.join(SIGNAL_CONFIGS)}", key="curves")
        return value

    @model_validator(mode="after")
    def _something_has_weight(self) -> Self:
        kinds = ("spline", "signal", "blend")
        names = {kind: [n for n in type(self).model_fields if n.startswith(f"{kind}_") and n not in _NO_WEIGHTS] for kind in kinds}
        for kind, fields in names.items():
            if not any(getattr(self, name) > 0.0 for name in fields):
                raise slip(f"every weight of the {kind} sizer is 0.", f"give one of {', '.join(fields)} a weight", key=fields[0])
        if self.spline_sentiment > 0.0 and self.sentiment is None:
            raise slip("spline_sentiment has a weight, and there is no sentiment.", "give sentiment a number from −1 to 1", key="sentiment")
        return self


_NO_WEIGHTS = {"signal_baseline_usd", "signal_size_scaling", "signal_action_threshold", "signal_conviction_threshold"}


class AssessorSettings(Section):
    """The inventory assessor: a score of 0 to 90 from loss severity, age, volatility and liquidity that sets a floor."""

    enabled: bool = Field(True, description="Let the assessor set a floor [true/false]")
    max_loss_pct: Fraction = Field(Decimal("0.05"), description="Loss at a 5 % adverse move that scores full severity [fraction]")
    hedge_trigger_loss_pct: Fraction = Field(
        Decimal("0.02"), description="A loss from entry beyond this asks for the first step of a hedge [fraction]"
    )
    max_hold_minutes: Annotated[float, Field(gt=0)] = Field(
        480, description="Age that scores full points; only where inventory.acquired_at is given [min]"
    )
    reduce_score: Annotated[float, Field(gt=0, le=100)] = Field(35, description="From this score on at least 25 % is hedged [points]")
    partial_score: Annotated[float, Field(gt=0, le=100)] = Field(45, description="From this score on at least 50 % is hedged [points]")
    full_score: Annotated[float, Field(gt=0, le=100)] = Field(60, description="From this score on everything is hedged [points]")
    liquidate_score: Annotated[float, Field(gt=0, le=100)] = Field(
        75, description="From this score on everything is hedged and a sale of the coins is proposed [points]"
    )

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        scores = (self.reduce_score, self.partial_score, self.full_score, self.liquidate_score)
        if list(scores) != sorted(set(scores)):
            given = ", ".join(f"{score:g}" for score in scores)
            raise slip(
                f"reduce_score, partial_score, full_score and liquidate_score must rise in this order, and are {given}.",
                "for example 35, 45, 60 and 75",
                key="reduce_score",
            )
        return self


class PortfolioSettings(Section):
    """Limits over all pairs of one process together; they matter where `pairs` lists more than one."""

    var_limit_pct: Fraction | None = Field(
        Decimal("0.06"),
        description="Value at risk of all pairs together that may stay unhedged; null = off [fraction of the inventories' value]",
    )
    max_drawdown: Fraction | None = Field(
        Decimal("0.2"), description="Drawdown of all pairs together that latches a full hedge of each; null = off [fraction of NAV]"
    )
    max_total_notional: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="Perpetual positions of all pairs together, split by the value of the inventories; null = off [quote units]"
    )
