"""From a feed to bars: as columns where the feed has its market so, else update by update."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.backtest.compiled.build import Kernels
from alpha_pulse.backtest.compiled.reading_kernel import HOUR, RUNNING
from alpha_pulse.backtest.compiled.values import BAR, LEVEL_SET, Floats, Ints, Records, records
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.market.candles import HOUR_MS, HourlyLevels, HourlyReading, HourlyVolumes
from alpha_pulse.market.columns import Gathered, UpdateColumns, as_updates
from alpha_pulse.market.provider import Running
from alpha_pulse.market.sanity import late, problem_with


class Reading(NamedTuple):
    """A market's bars, the sets of supports and resistances that they name, and what sizers read beside."""

    bars: Records
    level_sets: Records
    rates: Floats  # funding expected at the next settlement, fraction, by bar
    intervals: NDArray[np.float32]  # hours between settlements, by bar
    hours: Records  # of ``HOUR``, in order
    closed: Ints  # how many of them had closed at each bar


def read(gathered: Gathered, anchor_ema_hours: float, kernels: Kernels) -> Reading:
    """Bars with their indicators, as the live path has them.

    Raises:
        ConfigError: there is no bar, or one that a bot would not act upon.
    """
    lengths = [len(chunk.close_ms) for chunk in gathered.updates]
    bars = records(BAR, sum(lengths))
    hours = records(HOUR, len(bars) + sum(len(chunk.close_ms) for chunk in gathered.past))
    memory = records(RUNNING, 1)
    memory["interval"] = 8.0
    for name, value in asdict(Running(anchor_ema_hours * HOUR_MS)).items():
        memory[name] = value
    for chunk in gathered.past:
        _take_past(chunk, memory, hours, kernels)
    at = 0
    for chunk, length in zip(gathered.updates, lengths, strict=True):
        done = kernels.read_bars(memory, _ready(chunk), 0, bars[at : at + length], hours)
        if done < length:
            raise _refusal(_problem(chunk, done, int(memory["close_ms"][0])))
        at += length
    if gathered.problem is not None:
        raise _refusal(gathered.problem)
    if not len(bars):
        raise ConfigError("the market has no usable bar.", field="feed", fix="look at the data files")
    intervals = np.concatenate([chunk.funding_interval_h for chunk in gathered.updates])
    rates = np.concatenate([chunk.funding_rate for chunk in gathered.updates])
    bars["row"] = np.arange(len(bars))
    bars["funding_annual"] = _per_year(rates, intervals)
    closed: Ints = bars["level_set"].copy()
    hours = hours[: memory["hours"][0]].copy()
    return Reading(bars, _read_hours(bars, hours, closed), rates, intervals.astype(np.float32), hours, closed)


def _take_past(chunk: UpdateColumns, memory: Records, hours: Records, kernels: Kernels) -> None:
    """Warm indicators up; what cannot be used is passed over, as the live path does."""
    ready, unused = _ready(chunk), records(BAR, len(chunk.close_ms))
    at = 0
    while (at := kernels.read_bars(memory, ready, at, unused, hours)) < len(unused):
        at += 1


def _ready(chunk: UpdateColumns) -> UpdateColumns:
    """The same numbers in the one form that the kernel is compiled for."""
    columns: list[Any] = [np.require(column, requirements=["C", "W"]) for column in chunk]
    return UpdateColumns(*columns)


def _problem(chunk: UpdateColumns, number: int, last_ms: int) -> FeedProblem:
    """Why the kernel stopped at this update."""
    update = as_updates(chunk.part(number, number + 1))[0]
    return FeedProblem(update.close_ms, problem_with(update) or late(update.close_ms, last_ms))


def _refusal(problem: FeedProblem) -> ConfigError:
    fix = "repair the data, or use the replay, which withdraws its orders there"
    return ConfigError(f"the market holds a bar that nobody acts upon, at {problem.ts_ms} ms: {problem.reason}.", field="feed", fix=fix)


def _per_year(rates: Floats, intervals: Floats) -> Floats:
    """Expected funding per year by the live path's own function, called once for each rate that occurs."""
    annual = np.empty_like(rates)
    for interval in np.unique(intervals).tolist():
        of_interval = intervals == interval
        bits, which = np.unique(rates[of_interval].view(np.int64), return_inverse=True)  # 0 has two signs
        known = bits.view(np.float64).tolist()
        annual[of_interval] = np.array([annualize_funding(rate, interval) for rate in known])[which]
    return annual


def _read_hours(bars: Records, hours: Records, closed: Ints) -> Records:
    """Fill in what is read from hourly candles, by the live path's own code; the sets of levels, in the order in which bars have them."""
    volumes, levels, start = HourlyVolumes(), HourlyLevels(), HourlyReading()
    volume_readings = [(start.volume_ratio, start.volume_day)]
    level_readings = [(*start.supports, *start.resistances)]
    for high, low, close, volume, *_ in hours.tolist():
        volume_readings.append(volumes.add(volume))
        supports, resistances = levels.add(high, low, close, volume)
        level_readings.append((*supports, *resistances))
    bars["volume_ratio"], bars["volume_day"] = np.array(volume_readings).T[:, closed]
    numbers: dict[tuple[float, ...], int] = {(): 0}
    set_after = np.zeros(len(level_readings), np.int64)
    for hour in closed[np.flatnonzero(np.diff(closed, prepend=-1))].tolist():
        set_after[hour] = numbers.setdefault(level_readings[hour], len(numbers))
    bars["level_set"] = set_after[closed]
    sets = records(LEVEL_SET, len(numbers))
    for made, known in zip(sets, numbers, strict=True):
        made["count"] = len(known)
        made["price"][: len(known)] = known
    return sets
