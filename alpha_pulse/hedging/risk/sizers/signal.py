"""The signal engine: weighted opinions on the market, weighed against a position, become a direction and a magnitude. Pure.

A signal lies in [−1, +1] and is about the price: +1 is bullish, −1 bearish. The engine asks whether the signals agree with the
position: disagreement reduces it, agreement leaves it alone unless conviction is high. The normalizers that make signals of raw
readings can be imported from here too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from types import MappingProxyType

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
    "Signal",
    "SignalContribution",
    "annualize_funding",
    "normalize_funding_rate",
    "normalize_orderbook_imbalance",
    "normalize_price_momentum",
    "normalize_volatility_regime",
    "normalize_zscore",
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
        """What to do with a position, from the signals so far.

        combined = Σ value·weight / Σ weight. Confidence: 1 − min(1, population variance of the values) for several signals,
        abs(value) for one; signals of zero weight do not count. Magnitude: min(1, min(1, abs(combined)) · (0.2 + 0.8·confidence) ·
        (1 + k·√(abs(position)/baseline))), halved when it adds to a position that is already on.

        Args:
            position_delta: the position's delta, USD, above 0 long. 0 is flat: it may be opened to either side.

        Raises:
            ConfigError: ``position_delta`` is not finite.
        """
        check_finite("position_delta", position_delta, "skip the decision while the position is unknown")
        position = float(position_delta)
        shares = _shares([signal.weight for signal in self._signals.values()])
        breakdown = {
            signal.name: SignalContribution(signal.value, signal.weight, signal.value * share, signal.raw_value, signal.description)
            for signal, share in zip(self._signals.values(), shares, strict=True)
        }
        values = [signal.value for signal in self._signals.values() if signal.weight > 0.0]
        if not values:
            why = "all weights are zero" if breakdown else "there are no signals"
            return HedgeDecision(Direction.HOLD, 0.0, 0.0, 0.0, breakdown, f"Hold the {_named(position)}: {why}.")
        combined = max(-1.0, min(1.0, math.fsum(part.contribution for part in breakdown.values())))
        confidence = _confidence(values)
        direction, why = self._direction(position, combined)
        magnitude = 0.0 if direction is Direction.HOLD else self._magnitude(position, combined, confidence)
        reasoning = f"{_opinion(combined, confidence, breakdown)} {_verdict(direction, magnitude, position)}: {why}."
        return HedgeDecision(direction, magnitude, confidence, combined, breakdown, reasoning)

    def _direction(self, position: float, combined: float) -> tuple[Direction, str]:
        """The direction and, in a clause, why."""
        strength, bullish = abs(combined), combined > 0.0
        if strength <= _ROUNDING:
            return Direction.HOLD, "the signals cancel out or say nothing"
        if strength < self.action_threshold - _ROUNDING:
            return Direction.HOLD, f"the signal's size of {strength:.4g} is below the action threshold of {self.action_threshold:g}"
        if position != 0.0 and bullish is not (position > 0.0):
            return (Direction.REDUCE_LONG if position > 0.0 else Direction.REDUCE_SHORT), "the signals are against it"
        grow = Direction.INCREASE_LONG if bullish else Direction.INCREASE_SHORT
        if position == 0.0:
            return grow, f"the signal's size of {strength:.4g} reaches the action threshold of {self.action_threshold:g}"
        threshold = f"above the conviction threshold of {self.high_conviction_threshold:g}"
        if strength <= self.high_conviction_threshold + _ROUNDING:
            return Direction.HOLD, f"the signals agree with it, but not {threshold}"
        return grow, f"the signals agree with it {threshold}"

    def _magnitude(self, position: float, combined: float, confidence: float) -> float:
        """The formula of :meth:`compute`."""
        boost = 1.0 + self.size_scaling_k * math.sqrt(abs(position) / self.baseline_position_usd) if self.size_scaling_k else 1.0
        magnitude = min(1.0, min(1.0, abs(combined)) * boost * (0.2 + 0.8 * confidence))
        adds = position != 0.0 and (position > 0.0) is (combined > 0.0)
        return 0.5 * magnitude if adds else magnitude


def _shares(weights: list[float]) -> list[float]:
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
