"""The run again on markets that might have been: the recorded one cut into blocks and put together anew.

Prices follow ``bootstrap_market``; spot, mark, index, bid and ask keep their recorded distance from the perpetual in every bar. Times and
settlements stay where they were: a settlement pays the rate that was known at the bar put there. What lies before the first bar only warms
indicators up, and is left as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alpha_pulse.backtest.attribution import attribute
from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.block_length import optimal_block_length
from alpha_pulse.backtest.bootstrap import bootstrap_market
from alpha_pulse.backtest.engines import Progress
from alpha_pulse.backtest.metrics import DAY_MS, drawdown
from alpha_pulse.backtest.monte_carlo_result import MonteCarlo, PathFigures
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.result import paths_of
from alpha_pulse.backtest.search.engine import Engine
from alpha_pulse.backtest.search.market_data import MarketData, Part, read_data
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.ticks import TickGrid
from alpha_pulse.settings import Settings

MOST_PATHS: Final = 10_000
_LEAST_BARS: Final = 10
_LEAST_DAYS: Final = 20  # of which a block's length in days is estimated
_LONGEST: Final = 0.25  # of the record: longer blocks would give the record again
# columns of ``MarketData.table``
_PERP, _SPREAD = slice(2, 6), (18, 19)
_PRICES: Final = np.r_[2:6, 7:11, 12:16, 17:20]
_PERP_CLOSE, _RATE, _SETTLED, _INTERVAL = 5, 20, 23, 21
_CALENDAR: Final = (0, 1, 21, 22)  # open, close, interval and next settlement


@dataclass(frozen=True, slots=True)
class MonteCarloPlan:
    """How many markets to make, and how. ``block_days`` is the mean length of a block; ``default_block`` chooses where it is None."""

    paths: int
    block_days: float | None = None
    seed: int = 42

    def check(self) -> None:
        """Refuse numbers that cannot be run.

        Raises:
            ConfigError: as said.
        """
        if not 1 <= self.paths <= MOST_PATHS:
            raise ConfigError(f"must lie within 1 … {MOST_PATHS:,}.", field="--monte-carlo", value=self.paths, fix="200 are a fair start")
        if self.block_days is not None and not 0.0 < self.block_days < float("inf"):
            raise ConfigError("must be above 0.", field="--block-days", value=self.block_days, fix="leave it out to have it chosen")
        if self.seed < 0:
            raise ConfigError("cannot be negative.", field="--monte-carlo-seed", value=self.seed, fix="42 is the default")


def run_monte_carlo(settings: Settings, record: RunRecord, plan: MonteCarloPlan, progress: Progress | None = None) -> MonteCarlo:
    """Run the settings on resampled markets, by the compiled twin where it can, else by the bot itself. Equal plans, equal markets.

    Args:
        settings: of one pair, on a market that ends.
        record: of the same run on the market as it was.
        plan: how many markets.
        progress: is told the share that is done, 0 … 1.

    Raises:
        ConfigError: a number out of its range, or the market cannot be read whole.
    """
    plan.check()
    data = asyncio.run(read_data(settings))
    if data.bars < _LEAST_BARS:
        fix = f"{_LEAST_BARS} are needed"
        raise ConfigError(f"cannot resample {data.bars} bars.", field="--monte-carlo", value=plan.paths, fix=fix)
    day = DAY_MS / _bar_ms(data)
    block = default_block(data) if plan.block_days is None else max(1.0, plan.block_days * day)
    found, run = [], None
    for number, market in enumerate(resampled(data, paths=plan.paths, block=block, seed=plan.seed), 1):
        run = Engine(market).run(settings, Part(0, market.bars))
        found.append(figures_of_path(run.record))
        if progress is not None:
            progress(number / plan.paths)
    return MonteCarlo(
        paths=tuple(found),
        recorded=figures_of_path(record),
        block_bars=block,
        block_days=block / day,
        seed=plan.seed,
        engine="" if run is None else run.engine,
        note="" if run is None else run.note,
        hedges=record.inventory != 0,
    )


def default_block(data: MarketData) -> float:
    """Mean length of a block [bars]: what ``optimal_block_length`` finds for returns and for their squares, by bar and by day.

    The longer of both: minutes forget each other within hours, but days on which prices are rough follow one another, and a hedge lives on
    days. At most a quarter of the record.
    """
    closes = data.table[data.first :, _PERP_CLOSE]
    whole = closes[_last_of_days(data)]
    series = [closes] if len(whole) < _LEAST_DAYS else [closes, whole]
    lengths = []
    for prices, bars in zip(series, (1.0, DAY_MS / _bar_ms(data)), strict=False):
        moves = np.diff(np.log(prices))
        if len(moves) >= _LEAST_BARS:
            lengths += [bars * optimal_block_length(values).stationary for values in (moves, moves**2)]
    return max(1.0, min(_LONGEST * len(closes), max(lengths, default=1.0)))


def resampled(data: MarketData, *, paths: int, block: float, seed: int) -> Iterator[MarketData]:
    """The markets, one after the other: a year of minutes is too large to hold many."""
    instrument = data.instrument or builtin_instrument(hedge_pair(data.symbol))
    ticks = TickGrid(instrument.tick_size)
    for own in np.random.SeedSequence(seed).generate_state(paths).tolist():
        yield replace(data, table=_table(data, ticks, block, own))


def figures_of_path(record: RunRecord) -> PathFigures:
    """The figures of one run."""
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    attribution = attribute(record, bars)
    unhedged, hedged, static = paths.unhedged, paths.hedged, paths.static
    return PathFigures(
        float(bars.spot[-1] / bars.spot[0] - 1.0),
        attribution.hedge_pnl,
        attribution.timing,
        *(float(path[-1]) - paths.start for path in (unhedged, hedged, static)),
        *(float(drawdown(path, paths.start).max()) for path in (unhedged, hedged, static)),
    )


def _table(data: MarketData, ticks: TickGrid, block: float, seed: int) -> FloatArray:
    live = data.table[data.first :]
    (path,) = bootstrap_market(live[:, _PERP], paths=1, block=block, seed=seed)
    rows = path.rows
    made = live[rows]
    made[:, _PRICES] *= (path.bars["market"][:, 3] / live[rows, _PERP_CLOSE])[:, None]
    made[:, _PERP] = ticks.nearest(made[:, _PERP])
    bid, ask = _SPREAD
    made[:, bid] = np.maximum(ticks.down(made[:, bid]), ticks.smallest)
    made[:, ask] = ticks.up(made[:, ask])
    made[:, _RATE] *= live[:, _INTERVAL] / live[rows, _INTERVAL]  # a rate of eight hours is half of it where settlements come every four
    made[:, _CALENDAR] = live[:, _CALENDAR]
    made[:, _SETTLED] = np.where(np.isnan(live[:, _SETTLED]), np.nan, made[:, _RATE])
    table: FloatArray = np.concatenate([data.table[: data.first], made])
    return table


def _bar_ms(data: MarketData) -> float:
    return float(np.median(data.table[data.first :, 1] - data.table[data.first :, 0]))


def _last_of_days(data: MarketData) -> FloatArray:
    """Rows of the last bar of each day."""
    days = (data.close_ms - 1) // DAY_MS
    return np.append(np.flatnonzero(np.diff(days)), len(days) - 1)
