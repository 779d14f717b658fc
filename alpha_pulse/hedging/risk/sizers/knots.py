"""The knots of a hedge curve: (score, hedge) pairs, checked before anything is built on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from alpha_pulse.errors import ConfigError

Knot = tuple[float, float]
"""A score in [0, 1] and the hedge there, a fraction in [0, 1]."""

DEFAULT_KNOTS: Final[tuple[Knot, ...]] = ((0.0, 0.05), (0.3, 0.25), (0.7, 0.75), (1.0, 1.0))

_NEAREST: Final = 1e-100  # scores nearer than this are one score: slopes cubed must stay within the range of a float


def checked_knots(knots: Iterable[Sequence[float]], curve: str = "") -> tuple[Knot, ...]:
    """The knots as floats, if a monotone curve runs through them.

    Args:
        knots: (score, hedge) pairs, scores ascending, hedges never descending, all within [0, 1].
        curve: the curve's name, for the message.

    Raises:
        ConfigError: naming the curve and the knot (counted from 1): fewer than two knots, no pair of numbers, NaN, outside [0, 1],
            scores repeated or not ascending, a hedge below the one before.
    """
    found = tuple(_checked(knot, _place(curve, number)) for number, knot in enumerate(knots, start=1))
    if len(found) < 2:  # noqa: PLR2004 - a curve has two ends
        fix = "give at least two, e.g. (0, 0.05) and (1, 1)"
        raise ConfigError("a curve needs two knots or more", field=f"{curve}, knots" if curve else "knots", value=found, fix=fix)
    for number, (before, knot) in enumerate(pairwise(found), start=2):
        place = _place(curve, number)
        if knot[0] < before[0]:
            raise ConfigError(f"its score is below {before[0]!r}, the one before", field=place, value=knot, fix="sort the knots by score")
        if knot[0] - before[0] < _NEAREST:
            raise ConfigError("its score is given twice", field=place, value=knot, fix="keep one knot for each score")
        if knot[1] < before[1]:
            fix = "a higher score never hedges less: raise this hedge, or lower the ones before"
            raise ConfigError(f"its hedge is below {before[1]!r}, the one before", field=place, value=knot, fix=fix)
    return found


def _place(curve: str, number: int) -> str:
    return f"{curve}, knot {number}" if curve else f"knot {number}"


def _checked(knot: Sequence[float], place: str) -> Knot:
    try:
        score, hedge = (float(value) + 0.0 for value in knot)  # + 0.0: there is one zero
    except (TypeError, ValueError):
        raise ConfigError("must be a score and a hedge", field=place, value=knot, fix="give two numbers, e.g. (0.3, 0.25)") from None
    for name, value in (("score", score), ("hedge", hedge)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"its {name} is not within [0, 1]", field=place, value=(score, hedge), fix="give fractions: 0.25 is 25 %")
    return score, hedge
