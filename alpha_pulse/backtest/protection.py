"""What a hedge protected from: windows of 30 days, the downside half of the variance, and how much of rises and falls it passed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.metrics import DAY_MS, HOUR_MS, MIN_RETURNS, Figure, Paths, drawdown_fraction, scaled_changes
from alpha_pulse.backtest.returns import daily_returns, few_returns
from alpha_pulse.errors import ConfigError

WINDOW_DAYS: Final = 30
_DECILE: Final = 0.1
_BPS: Final = 1e4
_NO_INVENTORY: Final = "there is no inventory to protect"


@dataclass(frozen=True, slots=True)
class Protection:
    """One path over all windows of 30 days that begin a day apart. Fractions of the inventory's value when the window began."""

    worst_decile: float  # mean result over the tenth of the windows in which the unhedged holder lost most
    worst_window: float
    mean_window: float
    max_drawdown: float | None  # of net worth, wallet included; None where that is not positive all along


@dataclass(frozen=True, slots=True)
class SemiVariance:
    """Mean of min(ΔNAV/(|S|·P), 0)² over one horizon, basis points squared; ``removed`` is 1 − hedged/unhedged, a fraction."""

    hedged: Figure
    unhedged: Figure
    static: Figure
    removed: Figure
    static_removed: Figure


@dataclass(frozen=True, slots=True)
class WorstDecile:
    """Mean result of the tenth of the 30-day windows in which the unhedged holder lost most; fractions of the inventory's value."""

    hedged: Figure
    unhedged: Figure
    static: Figure
    windows: int


@dataclass(frozen=True, slots=True)
class Capture:
    """Geometric mean daily return of a path over that of the unhedged one, on the days on which the unhedged one rose (or fell)."""

    up: Figure
    down: Figure
    static_up: Figure
    static_down: Figure


@dataclass(frozen=True, slots=True)
class ProtectionFigures:
    """Everything that this module measures of a run."""

    downside_hour: SemiVariance
    downside_day: SemiVariance
    worst_decile: WorstDecile
    capture: Capture


def protection_figures(bars: Bars, paths: Paths, inventory: float) -> ProtectionFigures:
    """Every figure of a run; a figure that it cannot carry has a reason."""
    return ProtectionFigures(
        downside_hour=semi_variance(bars, paths, inventory, HOUR_MS),
        downside_day=semi_variance(bars, paths, inventory, DAY_MS),
        worst_decile=worst_decile(bars, paths, inventory),
        capture=capture(bars, paths),
    )


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


def worst_decile(bars: Bars, paths: Paths, inventory: float) -> WorstDecile:
    """The worst tenth of the 30-day windows, side by side."""
    windows = sum(1 for _ in window_ends(bars.ts_ms.tolist()))
    if inventory == 0 or not windows:
        none = Figure(None, _NO_INVENTORY if inventory == 0 else f"the run is shorter than {WINDOW_DAYS} days")
        return WorstDecile(none, none, none, 0 if inventory == 0 else windows)
    hedged, unhedged, static = (
        Figure(protection(path, paths, bars, inventory).worst_decile) for path in (paths.hedged, paths.unhedged, paths.static)
    )
    return WorstDecile(hedged, unhedged, static, windows)


def semi_variance(bars: Bars, paths: Paths, inventory: float, horizon_ms: int) -> SemiVariance:
    """Downside semi-variance of the three paths about 0 (Markowitz 1959, ch. 9)."""
    if inventory == 0:
        return _no_variance(_NO_INVENTORY)
    changes = [scaled_changes(path, bars, inventory, horizon_ms) for path in (paths.hedged, paths.unhedged, paths.static)]
    if len(changes[0]) < MIN_RETURNS:
        name = "day" if horizon_ms == DAY_MS else "hour"
        return _no_variance(f"too few whole windows of one {name}: {len(changes[0])}, where {MIN_RETURNS} are needed")
    hedged, unhedged, static = (float(np.mean((_BPS * np.minimum(change, 0)) ** 2)) for change in changes)
    if unhedged <= 0:
        never = Figure(None, "the unhedged holder never lost")
        return SemiVariance(Figure(hedged), Figure(unhedged), Figure(static), never, never)
    return SemiVariance(Figure(hedged), Figure(unhedged), Figure(static), Figure(1 - hedged / unhedged), Figure(1 - static / unhedged))


def capture(bars: Bars, paths: Paths) -> Capture:
    """Upside and downside capture of the hedged and the static path."""
    unhedged, hedged, static = (daily_returns(path, paths.start, bars) for path in (paths.unhedged, paths.hedged, paths.static))
    why = few_returns(len(unhedged), positive=min(float(paths.unhedged.min()), paths.start) > 0)
    if why or not len(unhedged) == len(hedged) == len(static):
        none = Figure(None, why or "net worth is not positive all along")
        return Capture(none, none, none, none)
    up, down = unhedged > 0, unhedged < 0
    return Capture(
        up=_captured(hedged[up], unhedged[up], "rose"),
        down=_captured(hedged[down], unhedged[down], "fell"),
        static_up=_captured(static[up], unhedged[up], "rose"),
        static_down=_captured(static[down], unhedged[down], "fell"),
    )


def _captured(path: FloatArray, unhedged: FloatArray, what: str) -> Figure:
    if not len(path):
        return Figure(None, f"the unhedged net worth never {what} over a day")
    return Figure(geometric_mean(path) / geometric_mean(unhedged))


def geometric_mean(returns: FloatArray) -> float:
    """The constant return that compounds to the same."""
    return float(np.expm1(np.log1p(returns).mean()))


def _no_variance(reason: str) -> SemiVariance:
    none = Figure(None, reason)
    return SemiVariance(none, none, none, none, none)
