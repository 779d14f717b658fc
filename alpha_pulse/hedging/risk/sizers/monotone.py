"""A monotone hedge curve that can be called with a score or with an array of scores. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.sizers.knots import Knot
from alpha_pulse.hedging.risk.sizers.pchip import Parts, Piece, pieces_through

Floats = NDArray[np.float64]

_CHUNK: Final = 16384  # scores at a time: what is in work stays in the processor's cache
_COUNTED: Final = 24  # up to so many breaks, counting the ones that were passed is faster than searching


@dataclass(frozen=True, slots=True)
class MonotoneSpline:
    """A monotone PCHIP curve from a score to a hedge, both fractions in [0, 1]; made by ``build_spline``.

    It goes through its knots exactly and never falls from one float to the next; a score outside the knots' range takes the hedge of
    the end knot. One score and an array of scores give the same bits. Immutable, and safe to share between threads.
    """

    knots: tuple[Knot, ...]
    breaks: tuple[float, ...] = field(repr=False, compare=False)  # scores at which the second, third, … piece starts
    pieces: tuple[Piece, ...] = field(repr=False, compare=False)
    _table: Floats = field(repr=False, compare=False)  # one row for each field of Piece

    @classmethod
    def through(cls, knots: tuple[Knot, ...]) -> MonotoneSpline:
        """The curve through knots that were checked already."""
        parts: Parts = pieces_through(knots)
        pieces = tuple(piece for _, piece in parts)
        table = np.ascontiguousarray(np.array(pieces).T)
        table.flags.writeable = False
        return cls(knots, tuple(start for start, _ in parts[1:]), pieces, table)

    @overload
    def __call__(self, score: float) -> float: ...
    @overload
    def __call__(self, score: Floats) -> Floats: ...
    def __call__(self, score: float | Floats) -> float | Floats:
        """The hedge at one score, or at each score of an array of any shape.

        Raises:
            ConfigError: a score is NaN or outside [0, 1].
        """
        if isinstance(score, np.ndarray):
            return self._of_array(score)
        if not 0.0 <= score <= 1.0:
            raise refused_score(score)
        return self.at(score)

    def at(self, x: float) -> float:
        """The hedge at one score that is known to lie in [0, 1]."""
        anchor, second, value, slope, bend, cubic = self.pieces[bisect_right(self.breaks, x)]
        v = x - anchor
        w = x - second
        return (slope + cubic * (w * w) + bend * v) * v + value

    def _of_array(self, scores: Floats) -> Floats:
        flat = np.ascontiguousarray(scores, dtype=np.float64).reshape(-1)
        result = np.empty_like(flat)
        if flat.size and not (flat.min() >= 0.0 and flat.max() <= 1.0):  # NaN if any is
            place = int(np.argmin((flat >= 0.0) & (flat <= 1.0)))
            raise refused_score(float(flat[place]), f"scores[{place}]")
        length = min(flat.size, _CHUNK)
        work, index = np.empty((3, length)), np.empty(length, np.intp)
        for start in range(0, flat.size, _CHUNK):
            x = flat[start : start + _CHUNK]
            self._of_chunk(x, result[start : start + _CHUNK], work[:, : x.size], index[: x.size])
        return result.reshape(scores.shape)

    def _of_chunk(self, x: Floats, result: Floats, work: Floats, index: NDArray[np.intp]) -> None:
        """``at`` for every score: the same products and sums in the same order, without temporaries."""
        v, w, column = work
        anchor, second, value, slope, bend, cubic = self._table
        self._find(x, index)
        np.subtract(x, anchor.take(index, out=v, mode="clip"), out=v)  # other modes of take are slower
        np.subtract(x, second.take(index, out=w, mode="clip"), out=w)
        np.multiply(w, w, out=w)
        np.multiply(cubic.take(index, out=column, mode="clip"), w, out=w)
        np.add(slope.take(index, out=column, mode="clip"), w, out=w)
        np.multiply(bend.take(index, out=column, mode="clip"), v, out=column)
        np.add(w, column, out=w)
        np.multiply(w, v, out=w)
        np.add(w, value.take(index, out=result, mode="clip"), out=result)

    def _find(self, x: Floats, index: NDArray[np.intp]) -> None:
        """In which piece each score lies."""
        if len(self.breaks) > _COUNTED:
            index[...] = np.searchsorted(self.breaks, x, side="right")
            return
        passed, count = np.empty(x.size, np.bool_), np.zeros(x.size, np.int8)
        for place in self.breaks:
            np.greater_equal(x, place, out=passed)
            np.add(count, passed.view(np.int8), out=count)
        index[...] = count


def refused_score(score: float, place: str = "score") -> ConfigError:
    """The error for a score that is none."""
    return ConfigError("is no score", field=place, value=score, fix="give a number in [0, 1]; the normalizers make one of a raw reading")
