"""The target position at every bar of a finished run, as a kernel."""

from __future__ import annotations

from alpha_pulse.backtest.compiled.values import Floats, Records
from alpha_pulse.hedging.grid.curve import place_on_grid, target_position


def write_targets(params: Records, bars: Records, stretches: Records, targets: Floats) -> None:
    """T at the middle of bid and ask of each bar, base units, on the curve that stood then."""
    p = params[0]
    for k in range(len(stretches)):
        curve = stretches[k]
        end = stretches[k + 1].row if k + 1 < len(stretches) else len(bars)
        least = curve.ratio if p.holds_ratio != 0 else p.min_ratio
        for i in range(curve.row, end):
            mid = 0.5 * (bars[i].bid + bars[i].ask)
            place = place_on_grid(mid, curve.anchor, curve.spacing, p.num_levels, p.geometric != 0)
            targets[i] = target_position(
                place,
                p.inventory,
                curve.ratio,
                curve.floor,
                least,
                p.max_ratio,
                p.amplitude,
                p.amplitude_adverse,
                curve.cap,
                0.0,
            )
