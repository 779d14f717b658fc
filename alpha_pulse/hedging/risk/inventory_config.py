"""The inventory assessor's settings: every number of its formulas, checked when it is made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.errors import ConfigError

_SHARE, _POINTS, _THRESHOLD, _MINUTES = (1e-6, 1.0), (0.0, 1e6), (1e-6, 1e6), (1.0, 1e9)
CONFIG_RANGES: Final = {
    "max_loss_pct": _SHARE,
    "hedge_trigger_loss_pct": (0.0, 1.0),
    "max_hold_minutes": (1e-3, 1e9),
    "max_hedge_cost_bps": (0.0, 10_000.0),
    "adverse_move_pct": (0.0, 1.0),
    "volatility_scale": _SHARE,
    "loss_weight": _POINTS,
    "age_weight": _POINTS,
    "volatility_weight": _POINTS,
    "liquidity_weight": _POINTS,
    "high_volatility": _SHARE,
    "extreme_volatility": _SHARE,
    "high_volatility_points": _POINTS,
    "low_volatility_points": _POINTS,
    "liquidate_score": _THRESHOLD,
    "hedge_full_score": _THRESHOLD,
    "hedge_partial_score": _THRESHOLD,
    "reduce_score": _THRESHOLD,
    "liquidate_pct": _SHARE,
    "hedge_full_pct": _SHARE,
    "hedge_partial_pct": _SHARE,
    "reduce_pct": _SHARE,
    "funding_threshold": (-1.0, 1.0),
    "urgent_score": _POINTS,
    "elevated_score": _POINTS,
    "urgent_minutes": _MINUTES,
    "elevated_minutes": _MINUTES,
    "calm_minutes": _MINUTES,
    "taker_fee_bps": (0.0, 10_000.0),
}
"""The least and the most that each field of ``RiskConfig`` takes."""

WHOLE_MINUTES: Final = ("urgent_minutes", "elevated_minutes", "calm_minutes")
_RISING: Final = (  # each row must not fall
    ("reduce_score", "hedge_partial_score", "hedge_full_score", "liquidate_score"),
    ("reduce_pct", "hedge_partial_pct", "hedge_full_pct", "liquidate_pct"),
    ("low_volatility_points", "high_volatility_points", "volatility_weight"),
    ("high_volatility", "extreme_volatility"),
    ("elevated_score", "urgent_score"),
    ("urgent_minutes", "elevated_minutes", "calm_minutes"),
)


def check_fields(instance: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Each field of a frozen dataclass lies from low to high (both taken), and is a plain float from now on.

    Raises:
        ConfigError: a value is no number, NaN, or out of its range; the error names the field.
    """
    for field, (low, high) in ranges.items():
        value = getattr(instance, field)
        number = isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # NaN fails the comparison
            raise ConfigError("is no finite number in its range", field=field, value=value, fix=f"give a number from {low:g} to {high:g}")
        object.__setattr__(instance, field, float(value) + 0.0)  # + 0.0: never −0.0


def _check_rising(instance: object, rows: Iterable[tuple[str, ...]]) -> None:
    for row in rows:
        for lower, upper in itertools.pairwise(row):
            small, large = getattr(instance, lower), getattr(instance, upper)
            if small > large:
                raise ConfigError(f"is above {upper} = {large:g}", field=lower, value=small, fix=f"keep the order {' ≤ '.join(row)}")


@dataclass(frozen=True, slots=True)
class RiskConfig:
    """Every number of the assessor's formulas. Fractions are of 1 (0.05 is 5 %), scores and weights are points, times are minutes.

    Attributes:
        max_loss_pct: loss, as a fraction of the notional, at which loss severity is full.
        hedge_trigger_loss_pct: a loss from entry beyond this fraction lifts HOLD to REDUCE.
        max_hold_minutes: age at which the age score is full.
        max_hedge_cost_bps: a hedge that costs more than this is not suggested (LIQUIDATE excepted).
        adverse_move_pct: the adverse move whose loss is scored.
        volatility_scale: daily volatility at which such a move counts in full; below, in proportion.
        loss_weight: most points of loss severity.
        age_weight: most points of position age.
        volatility_weight: points of the volatility regime at or above ``extreme_volatility``, its most.
        liquidity_weight: most points of size against liquidity; reached when the notional equals the depth.
        high_volatility: daily volatility from which ``high_volatility_points`` are given.
        extreme_volatility: daily volatility from which ``volatility_weight`` is given.
        high_volatility_points: points from ``high_volatility`` up to ``extreme_volatility``.
        low_volatility_points: below ``high_volatility`` the points rise in a line from 0 towards this.
        liquidate_score: score from which the action is LIQUIDATE.
        hedge_full_score: score from which the action is HEDGE_FULL.
        hedge_partial_score: score from which the action is HEDGE_PARTIAL.
        reduce_score: score from which the action is REDUCE; below it is HOLD.
        liquidate_pct: fraction of the inventory that LIQUIDATE closes.
        hedge_full_pct: fraction that HEDGE_FULL hedges.
        hedge_partial_pct: fraction that HEDGE_PARTIAL hedges.
        reduce_pct: fraction that REDUCE hedges.
        funding_threshold: annual funding beyond which the perpetual that earns it replaces spot; a negative one accepts paying that much.
        urgent_score: score from which the next look is due after ``urgent_minutes``.
        elevated_score: score from which the next look is due after ``elevated_minutes``; below, after ``calm_minutes``.
        urgent_minutes: see ``urgent_score``; whole minutes.
        elevated_minutes: see ``elevated_score``; whole minutes.
        calm_minutes: minutes to the next look at a low score; whole minutes.
        taker_fee_bps: taker fee that joins the hedge's cost, basis points of its notional.

    Raises:
        ConfigError: a field is out of its range, or thresholds, fractions, points or times are out of order; the error names it.
    """

    max_loss_pct: float = 0.05
    hedge_trigger_loss_pct: float = 0.02
    max_hold_minutes: float = 480.0
    max_hedge_cost_bps: float = 50.0
    adverse_move_pct: float = 0.05
    volatility_scale: float = 0.05
    loss_weight: float = 30.0
    age_weight: float = 20.0
    volatility_weight: float = 25.0
    liquidity_weight: float = 15.0
    high_volatility: float = 0.05
    extreme_volatility: float = 0.08
    high_volatility_points: float = 15.0
    low_volatility_points: float = 10.0
    liquidate_score: float = 75.0
    hedge_full_score: float = 60.0
    hedge_partial_score: float = 45.0
    reduce_score: float = 35.0
    liquidate_pct: float = 1.0
    hedge_full_pct: float = 1.0
    hedge_partial_pct: float = 0.5
    reduce_pct: float = 0.25
    funding_threshold: float = 0.02
    urgent_score: float = 60.0
    elevated_score: float = 40.0
    urgent_minutes: int = 15
    elevated_minutes: int = 60
    calm_minutes: int = 240
    taker_fee_bps: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, CONFIG_RANGES)
        for field in WHOLE_MINUTES:
            minutes = getattr(self, field)
            if minutes != math.floor(minutes):
                raise ConfigError("must be a whole number of minutes", field=field, value=minutes, fix="for example 60")
            object.__setattr__(self, field, int(minutes))
        _check_rising(self, _RISING)

    @property
    def max_score(self) -> float:
        """The highest score there is, points: the sum of the four weights."""
        return self.loss_weight + self.age_weight + self.volatility_weight + self.liquidity_weight
