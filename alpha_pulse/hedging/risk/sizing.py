"""Where the hedge ratio comes from, inside the bot: a constant, the spline over scores, the signal engine, or a blend of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from alpha_pulse.hedging.common.types import MarketState, Snapshot
from alpha_pulse.hedging.risk.observations import market_scores, market_signals
from alpha_pulse.hedging.risk.sizers.signal import Direction, HedgeEngine, weigh
from alpha_pulse.hedging.risk.sizers.spline import MonotoneSpline


class Sizing(NamedTuple):
    """What a sizer says. A plain (ratio, reason) does too."""

    ratio: float  # 0 … 1
    reason: str
    inputs: Mapping[str, Any] = {}


@runtime_checkable
class Sizer(Protocol):
    """Where a hedge ratio comes from. Pure."""

    def size(self, snapshot: Snapshot) -> Sizing | tuple[float, str]:
        """The wanted ratio, 0 … 1, and why in a few words."""
        ...


class MarketSizer(Sizer, Protocol):
    """A sizer that looks at nothing but the market and the inventory, so that a replay can tell cheaply whether it would move."""

    def ratio_on(self, market: MarketState, inventory: float) -> float:
        """The ratio that ``size`` gives on this market."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantSizer:
    """The ratio that the user wrote down."""

    ratio: float

    def size(self, snapshot: Snapshot) -> Sizing:  # noqa: ARG002 - the port's signature
        """The constant."""
        return Sizing(self.ratio, "constant ratio from the settings")

    def ratio_on(self, market: MarketState, inventory: float) -> float:  # noqa: ARG002 - as above
        """The constant."""
        return self.ratio


@dataclass(frozen=True, slots=True)
class SplineSizer:
    """Scores of the market through monotone curves, weighted. Depth does not count: it sets the pace of orders, not the protection."""

    curves: Mapping[str, MonotoneSpline]
    weights: Mapping[str, float]  # by curve; they sum to 1
    sentiment: float | None = None

    def ratio_on(self, market: MarketState, inventory: float) -> float:
        """Σ weight·curve(score)."""
        scores = market_scores(market, inventory, self.sentiment)
        return math.fsum(weight * self.curves[name](scores[name]) for name, weight in self.weights.items())

    def size(self, snapshot: Snapshot) -> Sizing:
        """The weighted curves, and what each of them adds."""
        scores = market_scores(snapshot.market, float(snapshot.inventory), self.sentiment)
        parts = {name: weight * self.curves[name](scores[name]) for name, weight in self.weights.items()}
        reason = " + ".join(f"{name} {scores[name]:.2f} → {part:.1%}" for name, part in parts.items())
        inputs = {name: {"score": scores[name], "weight": self.weights[name], "contribution": part} for name, part in parts.items()}
        return Sizing(math.fsum(parts.values()), reason, inputs)


@dataclass(frozen=True, slots=True)
class SignalPolicy:
    """The numbers of the signal engine, as ``HedgeEngine`` takes them."""

    baseline_position_usd: float = 100_000.0
    size_scaling_k: float = 0.5
    action_threshold: float = 0.1
    high_conviction_threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class SignalSizer:
    """The signal engine, fed the inventory's delta (not the net: the hedge must not argue with itself).

    REDUCE moves the base ratio h towards h_max by the magnitude m: h + m·(h_max − h). INCREASE hedges less: h·(1 − m). HOLD keeps h.
    """

    base: float
    max_ratio: float
    weights: Mapping[str, float]
    policy: SignalPolicy = field(default_factory=SignalPolicy)

    def ratio_on(self, market: MarketState, inventory: float) -> float:
        """The ratio after the engine's advice, which gives no reasons here: a replay asks at every bar."""
        weights = self.weights
        signals = [(value, weights[name]) for name, (value, _) in market_signals(market, inventory).items() if weights.get(name, 0.0) > 0.0]
        weighed = weigh(self.policy, inventory * market.reference, [value for value, _ in signals], [weight for _, weight in signals])
        return self._moved(weighed.direction, weighed.magnitude)

    def size(self, snapshot: Snapshot) -> Sizing:
        """The engine's advice, in its own words, with every signal."""
        market, inventory = snapshot.market, float(snapshot.inventory)
        engine = HedgeEngine(
            baseline_position_usd=self.policy.baseline_position_usd,
            size_scaling_k=self.policy.size_scaling_k,
            action_threshold=self.policy.action_threshold,
            high_conviction_threshold=self.policy.high_conviction_threshold,
        )
        for name, (value, raw) in market_signals(market, inventory).items():
            if self.weights.get(name, 0.0) > 0.0:
                engine.add_signal(name, value, self.weights[name], raw_value=raw)
        advice = engine.compute(inventory * market.reference)
        inputs = {
            "direction": advice.direction.value,
            "magnitude": advice.magnitude,
            "confidence": advice.confidence,
            "combined_signal": advice.combined_signal,
            "signals": {name: signal.value for name, signal in engine.signals.items()},
        }
        return Sizing(self._moved(advice.direction, advice.magnitude), advice.reasoning, inputs)

    def _moved(self, direction: Direction, magnitude: float) -> float:
        """The base ratio after an advice."""
        if direction in {Direction.REDUCE_LONG, Direction.REDUCE_SHORT}:
            return self.base + magnitude * (self.max_ratio - self.base)
        return self.base if direction is Direction.HOLD else self.base * (1.0 - magnitude)


@dataclass(frozen=True, slots=True)
class BlendSizer:
    """Several sizers, weighted."""

    parts: Sequence[tuple[str, float, MarketSizer]]  # (name, weight, sizer); the weights sum to 1

    def ratio_on(self, market: MarketState, inventory: float) -> float:
        """Σ weight·ratio."""
        return math.fsum(weight * sizer.ratio_on(market, inventory) for _, weight, sizer in self.parts)

    def size(self, snapshot: Snapshot) -> Sizing:
        """The weighted ratios, and what each says."""
        said = {name: (weight, Sizing(*sizer.size(snapshot))) for name, weight, sizer in self.parts}
        reason = " + ".join(f"{weight:.0%} {name} {sizing.ratio:.1%}" for name, (weight, sizing) in said.items())
        inputs = {n: {"weight": w, "ratio": s.ratio, "reason": s.reason, "inputs": s.inputs} for n, (w, s) in said.items()}
        return Sizing(math.fsum(weight * sizing.ratio for weight, sizing in said.values()), reason, inputs)
