"""PCHIP as pieces that never fall, not even by a rounding error: where the coefficients of a hedge curve come from. Pure.

A piece is a cubic p about an anchor o and a second point c, with v = x − o, w = x − c:

    p(x) = value + v·g(x),   g(x) = slope + cubic·w² + bend·v

It starts (v ≥ 0) or ends (v ≤ 0) at its anchor, or close to it. With cubic ≥ 0 the second point is the anchor, with cubic < 0 the piece's
other end, so that w² shrinks away from the anchor and −w² grows; bend has the sign of v. Then each of the three terms of g is ≥ 0 in sum
and grows away from the anchor, so |v|·g does, and p rises. Every step of that is one product or sum of quantities that only grow, and
rounding keeps order: what holds for real numbers holds for floats, bit by bit. Plain Horner form has no such guarantee.

A cubic of PCHIP is one such piece or two, parted at its inflection. Where pieces meet, their rounded values are made to meet in order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from alpha_pulse.hedging.risk.sizers.knots import Knot

_EPSILON: Final = 2.0**-52


class Piece(NamedTuple):
    """A cubic on one interval of scores; see the module for the formula."""

    anchor: float
    second: float
    value: float
    slope: float
    bend: float
    cubic: float

    def at(self, x: float) -> float:
        """The hedge at score ``x``, which must lie in this piece's interval."""
        v, w = x - self.anchor, x - self.second
        return (self.slope + self.cubic * (w * w) + self.bend * v) * v + self.value

    def exact_at(self, knot: Knot) -> bool:
        """Whether the piece is anchored at this knot, so that it goes through it without any rounding."""
        return (self.anchor, self.value) == knot

    def gentler(self, share: float) -> Piece:
        """The same anchor and value, everything else smaller by ``share``."""
        keep = 1.0 - share
        cubic, reach = self.cubic * keep, self.anchor - self.second
        slope = max(self.slope * keep, -cubic * (reach * reach))  # g(anchor) stays ≥ 0
        return self._replace(slope=slope, bend=self.bend * keep, cubic=cubic)


Parts = list[tuple[float, Piece]]
"""Pieces, each with the score at which it starts; the next one's start ends it."""


def pieces_through(knots: Sequence[Knot]) -> Parts:
    """The monotone curve through checked knots: constant before the first and after the last, exact at each of them.

    Source of the derivatives: F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5(2), 300-304 (1984), with the end slopes of
    C. Moler, Numerical Computing with MATLAB (2004), section 3.6, as scipy's ``PchipInterpolator`` has them.
    """
    slopes = _derivatives(knots)
    segments = [_segment(*ends, *slope) for ends, slope in zip(pairwise(knots), pairwise(slopes), strict=True)]
    (first, low), (last, high) = knots[0], knots[-1]
    parts: Parts = [(0.0, _constant(first, low))]
    for knot, segment in zip(knots, [*segments, [(last, _constant(last, high))]], strict=True):
        start, after = knot[0], math.nextafter(knot[0], math.inf)
        # the knot belongs to a piece that is exact there: the one before, else the one behind it, else one for the knot alone
        if start > 0.0 and parts[-1][1].exact_at(knot):
            start = after
        elif not segment[0][1].exact_at(knot):
            parts.append((start, _constant(*knot)))
            start = after
        parts += [(start, segment[0][1]), *segment[1:]]
    ended = [*parts, (math.nextafter(1.0, 2.0), parts[-1][1])]
    return _in_order([part for part, then in pairwise(ended) if part[0] < then[0]])  # nothing lies between knots one float apart


def _derivatives(knots: Sequence[Knot]) -> list[float]:
    from scipy.interpolate import PchipInterpolator  # noqa: PLC0415 - slow to import

    scores, hedges = zip(*knots, strict=True)
    with np.errstate(all="ignore"):  # knots that nearly touch: a coefficient that overflows is not used here
        curve = PchipInterpolator(scores, hedges)
        found = [*curve.c[2].tolist(), float(curve(scores[-1], 1))]
    return [max(0.0, slope) for slope in found]


def _constant(score: float, hedge: float) -> Piece:
    return Piece(score, score, hedge, 0.0, 0.0, 0.0)


def _segment(left: Knot, right: Knot, slope0: float, slope1: float) -> Parts:
    """One cubic Hermite segment as one piece or two."""
    (x0, y0), (x1, y1) = left, right
    h = x1 - x0
    chord = (y1 - y0) / h
    cubic = (slope0 + slope1 - 2.0 * chord) / h / h
    bend0, bend1 = (3.0 * chord - 2.0 * slope0 - slope1) / h, (2.0 * slope1 + slope0 - 3.0 * chord) / h  # p''/2 at the ends
    reach = 2.0 * min(cubic, 0.0) * h
    if bend0 + reach >= 0.0:
        return [(x0, _about(x0, x1, y0, slope0, bend0, cubic))]
    if bend1 - reach <= 0.0:
        return [(x0, _about(x1, x0, y1, slope1, bend1, cubic))]
    inflection = min(max(x0 + h * (bend0 / (bend0 - bend1)), math.nextafter(x0, x1)), x1)
    if cubic < 0.0:
        before = _about(x0, inflection, y0, slope0, bend0, cubic)
        return [(x0, before), (inflection, _about(x1, inflection, y1, slope1, bend1, cubic))]
    # neighbouring floats on either side of the inflection: between knots that nearly touch, one float off is far off
    while bend0 + 3.0 * cubic * (inflection - x0) > 0.0:
        inflection = math.nextafter(inflection, -1.0)
    while bend0 + 3.0 * cubic * ((beyond := math.nextafter(inflection, 2.0)) - x0) <= 0.0:
        inflection = beyond
    below, above = (_shifted(x0, y0, slope0, bend0, cubic, point) for point in (inflection, beyond))
    low = min(max(below[0], y0), y1)
    high = min(max(above[0], low), y1)
    return [(x0, _about(inflection, x0, low, *below[1:], cubic)), (beyond, _about(beyond, x1, high, *above[1:], cubic))]


def _shifted(x0: float, y0: float, slope: float, bend: float, cubic: float, x: float) -> tuple[float, float, float]:
    """Value, slope and half the second derivative at ``x`` of the cubic that is given at ``x0``."""
    v = x - x0
    return y0 + v * (slope + v * (bend + v * cubic)), max(0.0, slope + v * (2.0 * bend + v * 3.0 * cubic)), bend + 3.0 * cubic * v


def _about(anchor: float, far: float, value: float, slope: float, bend: float, cubic: float) -> Piece:
    """The piece from ``anchor`` to ``far`` of the cubic with these Taylor coefficients at ``anchor``."""
    second = anchor
    if cubic < 0.0:  # cubic·v² = cubic·(w² + 2rv − r²) with r = far − anchor
        second, reach = far, far - anchor
        slope -= cubic * (reach * reach)
        bend += 2.0 * cubic * reach
    return Piece(anchor, second, value, slope, max(bend, 0.0) if far >= anchor else min(bend, 0.0), cubic)


def _in_order(parts: Parts) -> Parts:
    """Where two pieces meet, the last value of one is not above the first of the next: both are made gentler by what rounding did."""
    for index in range(1, len(parts)):
        (start, before), (meet, after) = parts[index - 1 : index + 1]
        share, last = _EPSILON, math.nextafter(meet, -1.0)
        while parts[index - 1][1].at(last) > parts[index][1].at(meet):
            parts[index - 1 : index + 1] = (start, before.gentler(share)), (meet, after.gentler(share))
            share = min(1.0, 2.0 * share)
    return parts
