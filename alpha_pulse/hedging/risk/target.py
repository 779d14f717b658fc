"""How much to hedge: the pipeline from a sizer's ratio to the target, each step a named contribution.

ratio:  sizer → funding tilt → hysteresis → h
floor:  max(VaR floor decaying slowly, latches) → f
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from alpha_pulse.hedging.common.types import Contribution, HedgeTarget, Snapshot

HOURS_PER_YEAR = 24.0 * 365.0
_MS_PER_HOUR = 3_600_000.0


@runtime_checkable
class Sizer(Protocol):
    """Where a hedge ratio comes from. Pure."""

    def size(self, snapshot: Snapshot) -> tuple[float, str]:
        """The wanted ratio, 0 … 1, and why in a few words."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantSizer:
    """The ratio that the user wrote down."""

    ratio: float

    def size(self, snapshot: Snapshot) -> tuple[float, str]:  # noqa: ARG002 - the port's signature
        """The constant."""
        return self.ratio, "constant ratio from the settings"


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """The numbers of the pipeline. Ratios are fractions of the inventory."""

    sizer: Sizer
    min_ratio: float | None
    max_ratio: float
    amplitude: float  # what the grid may add to the ratio
    unit: float  # ratio and floor move in these steps
    funding_tilt: float
    funding_tilt_full: float  # annual rate at which the tilt is full
    floor_half_life_ms: float


def step_unit(amplitude: float, amplitude_adverse: float, levels: int) -> float:
    """max(node step/|S|, 0.01): the unit in which ratio and floor move."""
    return max(max(amplitude, amplitude_adverse) / levels, 0.01)


def annual_funding(rate: float, interval_h: float) -> float:
    """A rate per interval as a rate per year of 365 days: rate·24/interval·365."""
    return rate * HOURS_PER_YEAR / interval_h


def soft_floor(raw: float, held: float, since_ms: int, now_ms: int, unit: float, half_life_ms: float) -> float:
    """The floor without latches: ``raw`` rounded up to a unit at once; one unit down when its half-life says so.

    Falling from f to f − u takes half_life·log2(f/(f − u)): an exponential decay, in steps.
    """
    wanted = min(1.0, math.ceil(raw / unit - 1e-9) * unit)
    if wanted >= held:
        return wanted
    next_down = max(wanted, (math.ceil(held / unit - 1e-9) - 1) * unit)
    wait = half_life_ms * math.log2(held / next_down) if next_down > 0.0 else half_life_ms
    return next_down if now_ms - since_ms >= wait else held


def step_ratio(wanted: float, held: float, unit: float) -> float:
    """Hysteresis: the held ratio moves by whole units towards the wanted one, and not before it is a unit away."""
    steps = math.trunc((wanted - held) / unit + math.copysign(1e-9, wanted - held))
    return held + steps * unit if steps else held


def funding_tilt(policy: TargetPolicy, snapshot: Snapshot) -> float:
    """What funding adds to the ratio: positive funding pays a short, so a long inventory hedges more; bounded."""
    raw = snapshot.market.raw
    annual = annual_funding(raw.funding_rate, raw.funding_interval_h)
    lean = max(-1.0, min(1.0, annual / policy.funding_tilt_full))
    return policy.funding_tilt * (lean if snapshot.inventory >= 0 else -lean)


def hedge_target(policy: TargetPolicy, snapshot: Snapshot, floor_held: float, latches: tuple[str, ...], raw_floor: float) -> HedgeTarget:
    """Ratio and floor for this snapshot. The previous target object returns while neither moved."""
    previous = snapshot.state.target
    sized, why = policy.sizer.size(snapshot)
    tilted = sized + (funding_tilt(policy, snapshot) if policy.funding_tilt else 0.0)
    lower = policy.min_ratio if policy.min_ratio is not None else 0.0
    wanted = max(lower, min(policy.max_ratio, tilted))
    held = max(lower, min(policy.max_ratio, sized)) if previous is None else previous.ratio
    ratio = max(lower, min(policy.max_ratio, step_ratio(wanted, held, policy.unit)))
    floor = 1.0 if latches else floor_held
    if previous is not None and previous.ratio == ratio and previous.floor == floor:
        return previous
    raw = snapshot.market.raw
    contributions = (
        Contribution("sizer", 0.0, sized, why),
        Contribution(
            "funding tilt",
            sized,
            tilted,
            f"funding of {annual_funding(raw.funding_rate, raw.funding_interval_h):+.2%} a year",
            {"rate": raw.funding_rate, "interval_h": raw.funding_interval_h},
        ),
        Contribution("bounds", tilted, wanted, f"kept within {lower:.2f} … {policy.max_ratio:.2f}"),
        Contribution("hysteresis", wanted, ratio, f"moves in units of {policy.unit:.3f}", {"held": held}),
        Contribution(
            "VaR floor",
            0.0,
            floor_held,
            "value at risk within its limit" if raw_floor == 0.0 else f"value at risk wants at least {raw_floor:.4f}; falls slowly",
            {"raw": raw_floor, "volatility_day": snapshot.market.volatility_day},
        ),
        Contribution("latches", floor_held, floor, "none" if not latches else " and ".join(latches)),
    )
    return HedgeTarget(ratio, floor, ratio if policy.min_ratio is None else policy.min_ratio, policy.max_ratio, contributions)
