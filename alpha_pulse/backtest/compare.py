"""Sizers side by side on one market: what each cost and what it protected from, against no hedge and a static one of its own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.attribution import Attribution, attribute
from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.metrics import Paths, drawdown_fraction
from alpha_pulse.backtest.replay import replay
from alpha_pulse.backtest.result import paths_of
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings

DAY_MS: Final = 86_400_000
WINDOW_DAYS: Final = 30
_DECILE: Final = 0.1
_DAYS_PER_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True)
class Protection:
    """One path over all windows of 30 days that begin a day apart. Fractions of the inventory's value when the window began."""

    worst_decile: float  # mean result over the tenth of the windows in which the unhedged holder lost most
    worst_window: float
    mean_window: float
    max_drawdown: float | None  # of net worth, wallet included; None where that is not positive all along


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


def window_ends(ts_ms: Sequence[int], days: int = WINDOW_DAYS) -> Iterator[tuple[int, int]]:
    """Rows of the first and the last bar of each window; windows begin a day apart, and one that runs into the data's end is left out.

    An end that falls into a gap is the last bar before it.
    """
    times = np.asarray(ts_ms, dtype=np.int64)
    for begin in range(int(times[0]), int(times[-1]) - days * DAY_MS + 1, DAY_MS):
        first, last = np.searchsorted(times, (begin, begin + days * DAY_MS), side="right") - 1
        yield int(first), int(last)


def protection(path: FloatArray, paths: Paths, bars: Bars, inventory: float) -> Protection:
    """The figures of one of the ``paths`` of a run.

    Raises:
        ConfigError: the run is shorter than a window.
    """
    ends = np.array(list(window_ends(bars.ts_ms.tolist())), dtype=np.int64)
    if not len(ends):
        raise ConfigError(f"the data are shorter than a window of {WINDOW_DAYS} days.", fix="give more candles, or a longer feed.days")
    worth = abs(inventory) * bars.spot[ends[:, 0]]
    results = (path[ends[:, 1]] - path[ends[:, 0]]) / worth
    unhedged = (paths.unhedged[ends[:, 1]] - paths.unhedged[ends[:, 0]]) / worth
    worst = np.argsort(unhedged, kind="stable")[: max(1, int(len(ends) * _DECILE))]
    fraction = drawdown_fraction(path, paths.start)
    return Protection(
        worst_decile=float(results[worst].mean()),
        worst_window=float(results.min()),
        mean_window=float(results.mean()),
        max_drawdown=None if fraction is None else float(fraction.max()),
    )


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
