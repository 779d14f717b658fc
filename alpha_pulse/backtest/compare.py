"""Sizers side by side on one market: what each cost and what it protected from, against no hedge and a static one of its own size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from alpha_pulse.backtest.attribution import Attribution, attribute
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.metrics import DAY_MS, Paths
from alpha_pulse.backtest.protection import WINDOW_DAYS, Protection, protection, window_ends
from alpha_pulse.backtest.replay import replay
from alpha_pulse.backtest.result import paths_of
from alpha_pulse.settings import Settings

__all__ = ["DAY_MS", "WINDOW_DAYS", "Compared", "Protection", "compare", "protection", "window_ends"]

_DAYS_PER_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One sizer's run. Rates are fractions of the inventory's average value."""

    name: str
    average_ratio: float
    windows: int
    hedged: Protection
    static: Protection  # the same average position, held from the first bar on: known only afterwards
    unhedged: Protection
    timing_per_month: float  # adding to the hedge and taking it off, > 0 earned
    funding_per_year: float  # > 0 received
    fees_per_year: float  # > 0 paid, slippage included
    fills: int


async def compare(settings: Settings, sizers: Sequence[str], progress: Callable[[float], None] | None = None) -> list[Compared]:
    """Run the bot once with each sizer, everything else as set.

    Args:
        settings: of one pair, with an inventory that is not 0 and a market that ends.
        sizers: values of ``hedge.sizer``.
        progress: is told the share of all runs that is done.

    Raises:
        ConfigError: the settings cannot be run, or the market is shorter than 30 days.
    """
    found = []
    for number, sizer in enumerate(sizers):
        changed = settings.model_copy(update={"hedge": settings.hedge.model_copy(update={"sizer": sizer})})
        share = None if progress is None else lambda done, at=number: progress((at + done) / len(sizers))
        record = await replay(changed, progress=share)
        bars = Bars.of(record)
        found.append(_compared(sizer, float(record.inventory), bars, paths_of(record, bars), attribute(record, bars), len(record.fills)))
    return found


def _compared(name: str, inventory: float, bars: Bars, paths: Paths, parts: Attribution, fills: int) -> Compared:
    """One run in figures."""
    years = (float(bars.ts_ms[-1]) - float(bars.ts_ms[0])) / DAY_MS / _DAYS_PER_YEAR
    worth = abs(inventory) * bars.average(bars.spot)
    return Compared(
        name=name,
        average_ratio=-bars.average(bars.position) / inventory,
        windows=len(list(window_ends(bars.ts_ms.tolist()))),
        hedged=protection(paths.hedged, paths, bars, inventory),
        static=protection(paths.static, paths, bars, inventory),
        unhedged=protection(paths.unhedged, paths, bars, inventory),
        timing_per_month=parts.timing / worth / (years * _DAYS_PER_YEAR / WINDOW_DAYS),
        funding_per_year=parts.funding / worth / years,
        fees_per_year=(parts.fees + parts.slippage) / worth / years,
        fills=fills,
    )
