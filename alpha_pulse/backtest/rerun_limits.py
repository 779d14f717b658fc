"""What the record of a run does not hold, and what stands in for it when the run is replayed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from alpha_pulse.backtest.recorded_run import RecordedRun


def limits_of(run: RecordedRun, restored: int) -> list[str]:
    """What cannot be rebuilt from the record, in words."""
    found, snapshot = [*_path_limits(run)], run.snapshot
    if not run.is_fresh:
        found.append(
            "The run began with a position, orders or a memory of an earlier one. Wallet, position and orders are as recorded; "
            "the memory is not recorded at a start, so it is put together from the nearest snapshot."
        )
    if snapshot is None:
        found.append("No snapshot is recorded: the built-in trading rules and fees stand in for the venue's.")
    if restored:
        found.append(f"{restored} funding settlements came between two ticks; the next tick carries them.")
    if run.kinds.get("advice"):
        found.append("A language model advised this run. It is not asked again, so floors that it raised are missing.")
    if snapshot is not None and snapshot.portfolio is not None:
        found.append("The run was one of several pairs. The portfolio's floor and caps are not replayed.")
    if snapshot is not None and snapshot.by_hand:
        found.append("A person placed the orders of this run. The replay places each at once.")
    found.append("Slippage and the queue's share are not recorded: those of the configuration are used.")
    return found


def _path_limits(run: RecordedRun) -> Iterator[str]:
    """What is missing of the market between the ticks."""
    bars = [tick.market.perp for tick in run.ticks]
    gaps = [(after.market.close_ms - before.market.close_ms) / 1000.0 for before, after in pairwise(run.ticks)]
    if sum(bar.open == bar.high == bar.low == bar.close for bar in bars) > len(bars) / 2:
        yield (
            f"The record holds the quotes at {len(bars):,} ticks, {median(gaps or [0.0]):.1f} s apart in the median. What price did "
            "between them is not recorded: a fill there can be missing or late under every rule, and the queue has little volume."
        )
        return
    holes = sum(before.market.close_ms != after.market.open_ms for before, after in pairwise(run.ticks))
    if holes:
        yield f"The record holds the bars on which a tick ran. In {holes:,} places bars between ticks are missing, and so are their fills."
