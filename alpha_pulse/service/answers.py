"""What clients get: the models of OpenAPI. Answers are built as plain data, once; these say what is in them, and tests hold them to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alpha_pulse.hedging.risk.inventory import Action, PnlScenarios, RiskBreakdown, SuggestedHedge
from alpha_pulse.hedging.risk.sizers.signal import Direction
from alpha_pulse.service.ids import PATTERN

DepthSource = Literal["request", "redis", "feed", "default"]
_ID = "019ab1c2d3e4-000000-5f0c1d2e"
_TS_MS = 1_764_000_000_000


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"example": body})


class Stamped(BaseModel):
    """What every decision carries."""

    version: str = Field(description="Of alpha_pulse")
    ts_ms: int = Field(description="When it was decided, milliseconds UTC")


class Decided(Stamped):
    """A decision that can be looked up by its id."""

    decision_id: str = Field(pattern=PATTERN, description="For GET /decisions/{id}; sorts by time")


class HedgeAnswer(Decided):
    """How much to hedge."""

    model_config = _example(
        hedge_pct=0.6856, notional_usd=171_400.0, confidence=0.9140, depth_source="request", version="0.1.0", ts_ms=_TS_MS, decision_id=_ID
    )

    hedge_pct: float = Field(ge=0, le=1, description="Fraction of the amount to hedge")
    notional_usd: float = Field(ge=0, description="That fraction of the amount, USD")
    confidence: float = Field(ge=0, le=1, description="Liquidity weight: 1 from a depth of 10 million USD on")
    depth_source: DepthSource = Field(description="Where the depth came from")


class SignalPart(BaseModel):
    """What one signal adds."""

    raw_value: float = Field(description="The score that was given")
    hedge_pct: float = Field(description="What its curve says, before any weight")
    weight: float = Field(description="Its share; the shares add up to 1")
    contribution: float = Field(description="weight × hedge_pct")


class MultiAnswer(HedgeAnswer):
    """How much to hedge by several signals."""

    model_config = _example(
        hedge_pct=0.5212,
        notional_usd=52_120.0,
        confidence=0.8571,
        depth_source="default",
        signals={"sentiment": {"raw_value": 0.7, "hedge_pct": 0.75, "weight": 1.0, "contribution": 0.75}},
        weighted_hedge=0.5212,
        depth_usd=1_000_000.0,
        weights_normalised=True,
        version="0.1.0",
        ts_ms=_TS_MS,
        decision_id=_ID,
    )

    signals: dict[str, SignalPart]
    weighted_hedge: float = Field(description="Sum of the contributions × confidence, before HE_MAX_HEDGE_PCT")
    depth_usd: float
    weights_normalised: bool = Field(description="Whether the weights as given did not add up to 1")


class SignalBreakdown(BaseModel):
    """One signal's part of the combined one."""

    value: float
    weight: float
    contribution: float
    raw_value: float | None
    description: str


class SignalsAnswer(Decided):
    """What to do with the position."""

    model_config = _example(
        direction="REDUCE_LONG",
        magnitude=0.61,
        confidence=0.98,
        combined_signal=-0.675,
        signal_breakdown={"momentum": {"value": -0.6, "weight": 0.5, "contribution": -0.375, "raw_value": -0.6, "description": ""}},
        reasoning="2 signals combine to −0.675 (bearish), confidence 0.98; ...",
        version="0.1.0",
        ts_ms=_TS_MS,
        decision_id=_ID,
    )

    direction: Direction
    magnitude: float = Field(ge=0, le=1)
    confidence: float = Field(ge=0, le=1)
    combined_signal: float = Field(ge=-1, le=1)
    signal_breakdown: dict[str, SignalBreakdown]
    reasoning: str


class AssessAnswer(Stamped):
    """The assessment. Its decision's id is in the header ``X-Decision-Id``."""

    action: Action
    hedge_pct: float = Field(ge=0, le=1)
    risk_score: float = Field(description="Points")
    risk_breakdown: RiskBreakdown
    reasoning: str
    suggested_hedge: SuggestedHedge | None
    pnl_scenarios: PnlScenarios
    position_notional_usd: float
    current_unrealized_pnl: float
    re_evaluate_minutes: int
    summary: str = Field(description="The order as one line")


class DecisionAnswer(BaseModel):
    """A decision as it is kept."""

    decision_id: str
    ts_ms: int
    kind: Literal["hedge", "multi", "signals", "assess"]
    asset: str
    request: dict[str, Any]
    response: dict[str, Any]
    contributions: dict[str, Any] = Field(description="Each step that led to the answer")
    curve_hash: str = Field(description="SHA-256 of the curve file in force")
    version: str
    client: str = Field(description='Name of the token that asked; "" without tokens')


class DecisionsAnswer(BaseModel):
    """Decisions that are in the database, newest first."""

    decisions: list[DecisionAnswer]
    next_before: str | None = Field(description="Give it as `before` for the next page; null at the end")


class KnotAnswer(BaseModel):
    """A point that a curve runs through."""

    score: float
    hedge: float


class CurveAnswer(BaseModel):
    """One curve."""

    description: str
    knots: list[KnotAnswer]


class CurvesAnswer(BaseModel):
    """The curves in force."""

    curves: dict[str, CurveAnswer]
    hash: str = Field(description="As decisions record it")
    source: str = Field(description="The file, or built in")
    problem: str = Field(description='Why a newer file is not in force; "" if it is')


class LiveAnswer(BaseModel):
    """The process answers."""

    status: Literal["live"]


class CheckAnswer(BaseModel):
    """One dependency."""

    status: Literal["ok", "degraded", "down", "off"]
    detail: str


class ReadyAnswer(BaseModel):
    """Whether questions can be answered now, and how each dependency is."""

    status: Literal["ready", "degraded", "down"]
    checks: dict[str, CheckAnswer]
