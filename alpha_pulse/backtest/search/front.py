"""The Pareto front of several objectives, and its knee."""

from __future__ import annotations

from collections.abc import Sequence

from alpha_pulse.backtest.search.objectives import Objective

Values = Sequence[float]


def pareto_front(points: Sequence[Values], objectives: Sequence[Objective]) -> list[int]:
    """Which points no other is at least as good as in everything and better in something; of equal points the first, in their order."""
    losses = [tuple(one.loss(value) for one, value in zip(objectives, point, strict=True)) for point in points]
    front = []
    for index, own in enumerate(losses):
        beaten = any(_no_worse(other, own) and (other != own or place < index) for place, other in enumerate(losses) if place != index)
        if not beaten:
            front.append(index)
    return front


def _no_worse(one: Values, other: Values) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def knee(points: Sequence[Values], objectives: Sequence[Objective]) -> int:
    """The point of a front that bulges out farthest from the plane through its ends; the first of equals.

    Each objective is scaled to 0 (the best of the front) … 1 (the worst). With two objectives this is the point farthest from the line
    through both ends; with more it is the smallest sum of what is given up (Das 1999, "On characterizing the 'knee' of the Pareto curve
    based on normal-boundary intersection", Structural Optimization 18, 107-115).
    """
    losses = [[one.loss(value) for one, value in zip(objectives, point, strict=True)] for point in points]
    best = [min(column) for column in zip(*losses, strict=True)]
    spread = [max(column) - low for column, low in zip(zip(*losses, strict=True), best, strict=True)]
    given_up = [sum((value - low) / width for value, low, width in zip(row, best, spread, strict=True) if width > 0.0) for row in losses]
    return min(range(len(points)), key=lambda index: given_up[index])
