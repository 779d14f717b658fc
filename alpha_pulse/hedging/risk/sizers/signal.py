"""The signal engine: weighted opinions on the market, weighed against a position, become a direction and a magnitude. Pure.

A signal lies in [−1, +1] and is about the price: +1 is bullish, −1 bearish. The engine asks whether the signals agree with the
position: disagreement reduces it, agreement leaves it alone unless conviction is high. The normalizers that make signals of raw
readings can be imported from here too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.normalizers import (
    annualize_funding,
    normalize_funding_rate,
    normalize_orderbook_imbalance,
    normalize_price_momentum,
    normalize_volatility_regime,
    normalize_zscore,
)
from alpha_pulse.hedging.risk.sizers.signal_types import Direction, HedgeDecision, Signal, SignalContribution, check_finite

__all__ = [
    "Direction",
    "HedgeDecision",
    "HedgeEngine",
    "Policy",
    "Signal",
    "SignalContribution",
    "Weighed",
    "annualize_funding",
    "normalize_funding_rate",
    "normalize_orderbook_imbalance",
    "normalize_price_momentum",
    "normalize_volatility_regime",
    "normalize_zscore",
    "weigh",
]

_ROUNDING = 1e-12  # a weighted mean of equal values may miss them by a few ulps; that must not decide at a threshold


class HedgeEngine:
    """Collects signals and weighs them against a position.

    Args:
        baseline_position_usd: the position, USD, at which size raises the magnitude by the factor 1 + k; above 0.
        size_scaling_k: k, how strongly size raises it; 0 turns that off.
        action_threshold: HOLD while the combined signal's size is below this, [0, 1].
        high_conviction_threshold: a position that the signals agree with grows only above this, [0, 1].

    Raises:
        ConfigError: an argument is not finite or outside its range.
    """

    def __init__(
        self,
        baseline_position_usd: float = 100_000.0,
        size_scaling_k: float = 0.5,
        action_threshold: float = 0.1,
        high_conviction_threshold: float = 0.5,
    ) -> None:
        self.baseline_position_usd = _within("baseline_position_usd", baseline_position_usd, sys.float_info.max, lowest=sys.float_info.min)
        self.size_scaling_k = _within("size_scaling_k", size_scaling_k, sys.float_info.max)
        self.action_threshold = _within("action_threshold", action_threshold, 1.0)
        self.high_conviction_threshold = _within("high_conviction_threshold", high_conviction_threshold, 1.0)
        self._signals: dict[str, Signal] = {}

    @property
    def signals(self) -> Mapping[str, Signal]:
        """The signals by name, in the order of adding; a read-only view."""
        return MappingProxyType(self._signals)

    def add_signal(self, name: str, value: float, weight: float, raw_value: float | None = None, description: str = "") -> None:
        """Add a signal, or replace the one of this name. Arguments and errors are those of :class:`Signal`."""
        self._signals[name] = Signal(name, value, weight, raw_value, description)

    def remove_signal(self, name: str) -> None:
        """Forget one signal.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self._signals:
            known = ", ".join(self._signals) or "none"
            raise ConfigError("There is no such signal", field="name", value=name, fix=f"name one of: {known}")
        del self._signals[name]

    def clear_signals(self) -> None:
        """Forget all signals."""
        self._signals.clear()

    def compute(self, position_delta: float) -> HedgeDecision:
        """What to do with a position, from the signals so far. The numbers are those of :func:`weigh`.

        Args:
            position_delta: the position's delta, USD, above 0 long. 0 is flat: it may be opened to either side.

        Raises:
            ConfigError: ``position_delta`` is not finite.
        """
        position, signals = float(position_delta), list(self._signals.values())
        weighed = weigh(self, position, [signal.value for signal in signals], [signal.weight for signal in signals])
        breakdown = {
            signal.name: SignalContribution(signal.value, signal.weight, part, signal.raw_value, signal.description)
            for signal, part in zip(signals, weighed.contributions, strict=True)
        }
        if not any(signal.weight > 0.0 for signal in signals):
            why = "all weights are zero" if breakdown else "there are no signals"
            return HedgeDecision(Direction.HOLD, 0.0, 0.0, 0.0, breakdown, f"Hold the {_named(position)}: {why}.")
        direction, magnitude, confidence, combined, _ = weighed
        verdict = f"{_verdict(direction, magnitude, position)}: {_why(self, position, combined, direction)}"
        reasoning = f"{_opinion(combined, confidence, breakdown)} {verdict}."
        return HedgeDecision(direction, magnitude, confidence, combined, breakdown, reasoning)


class Policy(Protocol):
    """The numbers that :class:`HedgeEngine` takes, checked."""

    @property
    def baseline_position_usd(self) -> float: ...  # noqa: D102 - as the engine documents them
    @property
    def size_scaling_k(self) -> float: ...  # noqa: D102
    @property
    def action_threshold(self) -> float: ...  # noqa: D102
    @property
    def high_conviction_threshold(self) -> float: ...  # noqa: D102


class Weighed(NamedTuple):
    """A decision without its words; the fields are those of :class:`HedgeDecision`."""

    direction: Direction
    magnitude: float
    confidence: float
    combined_signal: float
    contributions: list[float]  # one a signal


def weigh(policy: Policy, position: float, values: Sequence[float], weights: Sequence[float]) -> Weighed:
    """Signals against a position.

    combined = Σ value·weight / Σ weight. Confidence: 1 − min(1, population variance of the values) for several signals,
    abs(value) for one; signals of zero weight do not count. Magnitude: min(1, min(1, abs(combined)) · (0.2 + 0.8·confidence) ·
    (1 + k·√(abs(position)/baseline))), halved when it adds to a position that is already on.

    Args:
        policy: baseline, k and thresholds.
        position: the position's delta, USD, above 0 long; 0 is flat.
        values: the signals, [−1, +1].
        weights: one a signal, 0 or more, in any unit.

    Raises:
        ConfigError: ``position`` is not finite.
    """
    check_finite("position_delta", position, "skip the decision while the position is unknown")
    contributions = [value * share for value, share in zip(values, _shares(weights), strict=True)]
    counted = [value for value, weight in zip(values, weights, strict=True) if weight > 0.0]
    if not counted:
        return Weighed(Direction.HOLD, 0.0, 0.0, 0.0, contributions)
    combined = max(-1.0, min(1.0, math.fsum(contributions)))
    confidence = _confidence(counted)
    direction = _direction(policy, position, combined)
    magnitude = 0.0 if direction is Direction.HOLD else _magnitude(policy, position, combined, confidence)
    return Weighed(direction, magnitude, confidence, combined, contributions)


def _direction(policy: Policy, position: float, combined: float) -> Direction:
    strength, bullish = abs(combined), combined > 0.0
    if strength <= _ROUNDING or strength < policy.action_threshold - _ROUNDING:
        return Direction.HOLD
    if position != 0.0 and bullish is not (position > 0.0):
        return Direction.REDUCE_LONG if position > 0.0 else Direction.REDUCE_SHORT
    if position != 0.0 and strength <= policy.high_conviction_threshold + _ROUNDING:
        return Direction.HOLD
    return Direction.INCREASE_LONG if bullish else Direction.INCREASE_SHORT


def _why(policy: Policy, position: float, combined: float, direction: Direction) -> str:
    """The direction's reason, in a clause."""
    strength = abs(combined)
    if strength <= _ROUNDING:
        return "the signals cancel out or say nothing"
    if strength < policy.action_threshold - _ROUNDING:
        return f"the signal's size of {strength:.4g} is below the action threshold of {policy.action_threshold:g}"
    if direction in {Direction.REDUCE_LONG, Direction.REDUCE_SHORT}:
        return "the signals are against it"
    if position == 0.0:
        return f"the signal's size of {strength:.4g} reaches the action threshold of {policy.action_threshold:g}"
    threshold = f"above the conviction threshold of {policy.high_conviction_threshold:g}"
    agree = "the signals agree with it"
    return f"{agree}, but not {threshold}" if direction is Direction.HOLD else f"{agree} {threshold}"


def _magnitude(policy: Policy, position: float, combined: float, confidence: float) -> float:
    """The formula of :func:`weigh`."""
    boost = 1.0 + policy.size_scaling_k * math.sqrt(abs(position) / policy.baseline_position_usd) if policy.size_scaling_k else 1.0
    magnitude = min(1.0, min(1.0, abs(combined)) * boost * (0.2 + 0.8 * confidence))
    adds = position != 0.0 and (position > 0.0) is (combined > 0.0)
    return 0.5 * magnitude if adds else magnitude


def _shares(weights: Sequence[float]) -> list[float]:
    """Weights as fractions of their sum; all 0 when they are. Scaled by the largest first, so that none overflows or vanishes."""
    largest = max(weights, default=0.0)
    if largest == 0.0:
        return [0.0 for _ in weights]
    scaled = [weight / largest for weight in weights]
    total = math.fsum(scaled)
    return [weight / total for weight in scaled]


def _within(field: str, value: float, highest: float, lowest: float = 0.0) -> float:
    """The setting as a plain float in [lowest, highest]."""
    if not lowest <= value <= highest:
        bounds = (
            f"within {lowest:g} … {highest:g}" if highest <= 1.0 else "finite and above 0" if lowest > 0.0 else "finite and not negative"
        )
        raise ConfigError(f"It must be a number {bounds}", field=field, value=value, fix="leave it out to have the default")
    return float(value)


def _confidence(values: list[float]) -> float:
    """1 − min(1, population variance) of several values, abs(value) of one."""
    if len(values) == 1:
        return abs(values[0])
    mean = math.fsum(values) / len(values)
    return 1.0 - min(1.0, math.fsum((value - mean) ** 2 for value in values) / len(values))


def _named(position: float) -> str:
    """The position for a person."""
    return "flat position" if position == 0.0 else f"{'long' if position > 0.0 else 'short'} of {abs(position):,.0f} USD"


def _opinion(combined: float, confidence: float, breakdown: Mapping[str, SignalContribution]) -> str:
    """The first sentence: what the signals say, and which says it loudest."""
    counted = {name: part for name, part in breakdown.items() if part.weight > 0.0}
    loudest = max(counted, key=lambda name: abs(counted[name].contribution))
    mood = "bullish" if combined > 0.0 else "bearish" if combined < 0.0 else "neutral"
    if len(counted) == 1:
        return f"The only signal, {loudest}, is at {combined:+.3f} ({mood}), confidence {confidence:.2f}."
    most = f"the largest part is {loudest} {counted[loudest].contribution:+.3f}"
    return f"{len(counted)} signals combine to {combined:+.3f} ({mood}), confidence {confidence:.2f}; {most}."


def _verdict(direction: Direction, magnitude: float, position: float) -> str:
    """The second sentence up to its colon."""
    if direction is Direction.HOLD:
        return f"Hold the {_named(position)}"
    if position == 0.0:
        return f"Open a {'long' if direction is Direction.INCREASE_LONG else 'short'} from flat, magnitude {magnitude:.3f}"
    verb = "Reduce" if direction in {Direction.REDUCE_LONG, Direction.REDUCE_SHORT} else "Increase"
    return f"{verb} the {_named(position)}, magnitude {magnitude:.3f}"
