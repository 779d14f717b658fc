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
_DECISION: dict[str, Any] = {
    "decision_id": _ID,
    "ts_ms": _TS_MS,
    "kind": "hedge",
    "asset": "BTC",
    "request": {"asset": "BTC", "amount_usd": 250_000.0, "override_score": 0.7, "depth_usd": 2_500_000.0},
    "response": {
        "hedge_pct": 0.6855,
        "notional_usd": 171_373.4,
        "confidence": 0.9140,
        "depth_source": "request",
        "version": "0.1.0",
        "ts_ms": _TS_MS,
        "decision_id": _ID,
    },
    "contributions": {
        "score": {"value": 0.7, "source": "request", "ts_ms": 0},
        "depth": {"usd": 2_500_000.0, "source": "request"},
        "liquidity_weight": 0.9140,
        "max_hedge_pct": 1.0,
    },
    "curve_hash": "f3c68833d2bb6eb122e4b1cc2b8059e6803c695f43f224fdf8aa7ead8bd5d50e",
    "version": "0.1.0",
    "client": "desk",
}


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
        hedge_pct=0.6855, notional_usd=171_373.4, confidence=0.9140, depth_source="request", version="0.1.0", ts_ms=_TS_MS, decision_id=_ID
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

    model_config = _example(
        action="HEDGE_PARTIAL",
        hedge_pct=0.5,
        risk_score=47.37,
        risk_breakdown={"loss_severity": 27.0, "position_age": 10.0, "volatility_regime": 9.0, "size_vs_liquidity": 1.37, "total": 47.37},
        reasoning="Risk score 47.37 of 90 (loss severity 27.00, age 10.00, volatility 9.00, liquidity 1.37): HEDGE_PARTIAL. ...",
        suggested_hedge={
            "instrument": "perp_short",
            "size": 1.25,
            "spread_cost_usd": 22.88,
            "funding_cost_1d_usd": -25.07,
            "total_cost_usd": 22.88,
            "total_cost_bps": 2.0,
        },
        pnl_scenarios={
            "move_down_5pct": -11_437.5,
            "move_down_2pct": -4575.0,
            "move_up_2pct": 4575.0,
            "move_up_5pct": 11_437.5,
            "hedged_down_5pct": -5718.75,
            "hedged_down_2pct": -2287.5,
            "hedged_up_2pct": 2287.5,
            "hedged_up_5pct": 5718.75,
        },
        position_notional_usd=228_750.0,
        current_unrealized_pnl=-8750.0,
        re_evaluate_minutes=60,
        summary="SELL 1.25 BTC perpetual (hedge 50 % of 2.5 BTC, about 114,375 USD notional, cost 22.88 USD = 2.0 bps)",
        version="0.1.0",
        ts_ms=_TS_MS,
    )

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

    model_config = _example(**_DECISION)

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

    model_config = _example(decisions=[_DECISION], next_before=_ID)

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

    model_config = _example(
        curves={
            "sentiment": {
                "description": "Bearishness of news and crowds: 0 is bullish, 1 bearish",
                "knots": [{"score": 0.0, "hedge": 0.05}, {"score": 0.3, "hedge": 0.25}, {"score": 1.0, "hedge": 1.0}],
            }
        },
        hash=_DECISION["curve_hash"],
        source="config/curve_knots.yaml",
        problem="",
    )

    curves: dict[str, CurveAnswer]
    hash: str = Field(description="As decisions record it")
    source: str = Field(description="The file, or built in")
    problem: str = Field(description='Why a newer file is not in force; "" if it is')


class LiveAnswer(BaseModel):
    """The process answers."""

    model_config = _example(status="live")

    status: Literal["live"]


class CheckAnswer(BaseModel):
    """One dependency."""

    status: Literal["ok", "degraded", "down", "off"]
    detail: str


class ReadyAnswer(BaseModel):
    """Whether questions can be answered now, and how each dependency is."""

    model_config = _example(
        status="degraded",
        checks={
            "curves": {"status": "ok", "detail": "4 curves, config/curve_knots.yaml, f3c68833d2bb"},
            "decision_log": {"status": "ok", "detail": "0 decisions wait for the database, its breaker is closed"},
            "scores": {"status": "degraded", "detail": "BTC: there is no score"},
            "depth_feed": {"status": "off", "detail": "HE_DEPTH_FEED is not set"},
            "bots": {"status": "ok", "detail": "their database can be read"},
        },
    )

    status: Literal["ready", "degraded", "down"]
    checks: dict[str, CheckAnswer]
