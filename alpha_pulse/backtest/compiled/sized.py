"""The ratio of a sizer at every bar, tilted by funding, as a kernel."""

from __future__ import annotations

from alpha_pulse.backtest.compiled.risk import tilted_ratio
from alpha_pulse.backtest.compiled.values import Floats, Records


def tilt(params: Records, bars: Records, sized: Floats, tilted: Floats) -> None:
    """Fill in ``tilted``: what the sizer says, with what funding adds."""
    p = params[0]
    for i in range(len(sized)):
        tilted[i] = tilted_ratio(p, bars[i], sized[i])
