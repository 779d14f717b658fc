"""The computation behind each route: a question and what is known become an answer. No I/O; what time it is comes from the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.inventory import RiskConfig, assess_inventory_risk
from alpha_pulse.hedging.risk.normalizers import (
    normalize_funding_rate,
    normalize_orderbook_imbalance,
    normalize_price_momentum,
    normalize_volatility_regime,
    normalize_zscore,
)
from alpha_pulse.hedging.risk.sizers.signal import HedgeEngine
from alpha_pulse.hedging.risk.sizers.spline import compute_hedge, compute_multi_signal_hedge
from alpha_pulse.service.curves import CurveSet
from alpha_pulse.service.problems import FieldProblem, Problem, from_config_error, invalid
from alpha_pulse.service.questions import ARITIES, AssessQuestion, HedgeQuestion, MultiQuestion, SignalGiven, SignalsQuestion
from alpha_pulse.service.sources import Depths, Scores

_DEFAULTS: Final = RiskConfig()
_NORMALIZERS: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "funding_rate": lambda given: normalize_funding_rate(*given),
    "orderbook_imbalance": lambda given: normalize_orderbook_imbalance(*given),
    "price_momentum": normalize_price_momentum,
    "volatility_regime": lambda given: normalize_volatility_regime(*given),
    "zscore": lambda given: normalize_zscore(*given),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer without its stamps, what it is about, and the steps that led to it; all plain JSON."""

    asset: str
    request: dict[str, Any]
    response: dict[str, Any]
    contributions: dict[str, Any]


@dataclass(slots=True)
class Desk:
    """What decisions look at besides the question.

    Attributes:
        assets: what may be asked about.
        scores: latest scores and depths.
        depths: a market feed, if there is one.
        default_depth_usd: the depth where nobody knows one.
        max_hedge_pct: the most that is answered, fraction.
    """

    assets: frozenset[str]
    scores: Scores
    depths: Depths | None
    default_depth_usd: float
    max_hedge_pct: float

    def depth(self, asset: str, given: float | None) -> tuple[float, str]:
        """Depth in USD, and who said so: the request, Redis, the feed, or the setting."""
        if given is not None:
            return given, "request"
        depth = self.scores.depth_usd(asset)
        if depth is not None:
            return depth, "redis"
        depth = None if self.depths is None else self.depths.depth_usd(asset)
        return (self.default_depth_usd, "default") if depth is None else (depth, "feed")

    def check_asset(self, asset: str) -> None:
        """Raise 422 for an asset that is not configured."""
        if asset not in self.assets:
            raise invalid([FieldProblem(field="asset", problem="is not configured", fix=f"one of {', '.join(sorted(self.assets))}")])

    def hedge(self, question: HedgeQuestion, curves: CurveSet) -> Outcome:
        """The answer of ``/hedge``.

        Raises:
            Problem: the asset is not configured, or there is no score that may be used.
        """
        asset, amount, score, source, stamp = question.asset, question.amount_usd, question.override_score, "request", 0
        self.check_asset(asset)
        if score is None:
            latest = self.scores.score(asset)
            score, source, stamp = latest.value, "redis", latest.ts_ms
            if score is None:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-score", f"{latest.reason}.", headers={"retry-after": "1"})
        depth, depth_source = self.depth(asset, question.depth_usd)
        hedge, confidence = compute_hedge(score, depth, curves.sentiment, self.max_hedge_pct)
        request: dict[str, Any] = {"asset": asset, "amount_usd": amount}
        if question.override_score is not None:
            request["override_score"] = score
        if question.depth_usd is not None:
            request["depth_usd"] = depth
        return Outcome(
            asset,
            request,
            {"hedge_pct": hedge, "notional_usd": hedge * amount, "confidence": confidence, "depth_source": depth_source},
            {
                "score": {"value": score, "source": source, "ts_ms": stamp},
                "depth": {"usd": depth, "source": depth_source},
                "liquidity_weight": confidence,
                "max_hedge_pct": self.max_hedge_pct,
            },
        )

    def multi(self, question: MultiQuestion, curves: CurveSet) -> Outcome:
        """The answer of ``/hedge/multi``.

        Raises:
            Problem: the asset is not configured, a signal has no curve, or weights do not fit the signals.
        """
        self.check_asset(question.asset)
        depth, depth_source = self.depth(question.asset, question.depth_usd)
        weights = dict.fromkeys(question.signals, 1.0) if question.weights is None else question.weights
        try:
            found = compute_multi_signal_hedge(question.signals, weights, depth, curves.configs)
        except ConfigError as error:
            raise from_config_error(error) from None
        hedge = min(found["weighted_hedge"], self.max_hedge_pct)
        return Outcome(
            question.asset,
            question.model_dump(exclude_none=True),
            {"hedge_pct": hedge, "notional_usd": hedge * question.amount_usd, "depth_source": depth_source, **found},
            {
                "signals": found["signals"],
                "depth": {"usd": depth, "source": depth_source},
                "liquidity_weight": found["confidence"],
                "max_hedge_pct": self.max_hedge_pct,
            },
        )

    def signals(self, question: SignalsQuestion, _curves: CurveSet) -> Outcome:
        """The answer of ``/signals``.

        Raises:
            Problem: the asset is not configured, a name is given twice, or readings do not suit their normalizer.
        """
        if question.asset is not None:
            self.check_asset(question.asset)
        engine = HedgeEngine(
            question.baseline_position_usd, question.size_scaling_k, question.action_threshold, question.high_conviction_threshold
        )
        for place, signal in enumerate(question.signals):
            if signal.name in engine.signals:
                raise invalid([FieldProblem(field=f"signals.{place}.name", problem="is given twice", fix="give each signal once")])
            value, raw = _value_of(signal, f"signals.{place}")
            engine.add_signal(signal.name, value, signal.weight, raw, signal.description)
        found = engine.compute(question.position_delta_usd)
        breakdown = {name: asdict(part) for name, part in found.signal_breakdown.items()}
        response = {
            "direction": found.direction.value,
            "magnitude": found.magnitude,
            "confidence": found.confidence,
            "combined_signal": found.combined_signal,
            "signal_breakdown": breakdown,
            "reasoning": found.reasoning,
        }
        return Outcome(question.asset or "", question.model_dump(exclude_none=True), response, {"signals": breakdown})

    def assess(self, question: AssessQuestion, _curves: CurveSet) -> Outcome:
        """The answer of ``/assess``.

        Raises:
            Problem: position, market or configuration contradict themselves.
        """
        changed: dict[str, Any] = {} if question.config is None else question.config.model_dump(exclude_none=True)
        try:
            position = question.position.build()
        except ConfigError as error:
            raise from_config_error(error, "position") from None
        try:
            config = replace(_DEFAULTS, **changed) if changed else _DEFAULTS
        except ConfigError as error:
            raise from_config_error(error, "config") from None
        found = assess_inventory_risk(position, question.market.build(), config)
        response = asdict(found)
        response["action"] = found.action.value
        if found.suggested_hedge is not None:
            response["suggested_hedge"]["instrument"] = found.suggested_hedge.instrument.value
        steps = {"risk_breakdown": response["risk_breakdown"], "config": changed, "reasoning": found.reasoning}
        return Outcome(position.asset, question.model_dump(exclude_none=True), response, steps)


def _value_of(signal: SignalGiven, place: str) -> tuple[float, float | None]:
    """A signal's value in [−1, +1], and the reading behind it where that is one number."""
    if signal.value is not None:
        return signal.value, None
    readings, name = signal.readings or [], signal.normalizer or ""
    least, most = ARITIES[name]
    if not least <= len(readings) <= most:
        problem = f"{name} takes {least}" + ("" if least == most else f" to {most}")
        raise invalid([FieldProblem(field=f"{place}.readings", problem=problem, fix="see the description of normalizer")])
    try:
        return _NORMALIZERS[name](readings), readings[0] if len(readings) == 1 else None
    except ConfigError as error:
        raise from_config_error(error, f"{place}.readings") from None
