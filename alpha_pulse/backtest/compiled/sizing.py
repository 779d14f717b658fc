"""What a sizer says at every bar, asked of the sizer itself: once for a market, wherever something that it reads has changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeGuard

import numpy as np

from alpha_pulse.backtest.compiled.market import Market
from alpha_pulse.backtest.compiled.values import Floats, Ints
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.hedging.common.types import Indicators, MarketState
from alpha_pulse.hedging.grid.parts import sizer_for
from alpha_pulse.hedging.risk.sizing import BlendSizer, ConstantSizer, MarketSizer, SignalSizer, Sizer, SplineSizer
from alpha_pulse.market.candles import HOUR_MS
from alpha_pulse.market.longterm import LongReading, LongTerm
from alpha_pulse.settings import Settings

Progress = Callable[[float], None]

_KEPT = 4  # sizers whose answers a market keeps
_TOLD = 8192  # answers between two words on progress
_NOWHERE = Bar(math.nan, math.nan, math.nan, math.nan, math.nan)


def can_size(sizer: Sizer) -> TypeGuard[MarketSizer]:
    """Whether it is one of ours: of those it is known what they read."""
    return isinstance(sizer, ConstantSizer | SplineSizer | SignalSizer | BlendSizer)


def sized_by(settings: Settings, market: Market, progress: Progress | None = None) -> Floats | None:
    """The ratio that the settings' sizer gives at each bar, before tilt, bounds and steps; None where it is a constant.

    The spline reads funding and what the hours say; the signal engine every bar, and takes some seconds for a year of minutes. The market
    keeps the last answers, so that settings which differ in nothing that a sizer reads share them. ``progress`` is told the share done.
    """
    sizer = sizer_for(settings.bot_config)
    if not can_size(sizer) or isinstance(sizer, ConstantSizer):
        return None
    inventory = float(settings.inventory.stated_coins() / market.pair.multiplier)
    hedge = settings.hedge
    key = f"{hedge.sizer} {hedge.ratio} {hedge.max_ratio} {inventory!r} {settings.sizers.model_dump_json()}"
    kept = market.sized.get(key)
    if kept is None:
        rows = _rows(sizer, market)
        said = _ask(sizer, market, inventory, rows, progress)
        kept = market.sized[key] = np.repeat(said, np.diff(np.append(rows, market.bars)))
        while len(market.sized) > _KEPT:
            market.sized.pop(next(iter(market.sized)), None)
    return kept


def _rows(sizer: MarketSizer, market: Market) -> Ints:
    """Where a sizer may say something new."""
    if _reads_every_bar(sizer):
        return np.arange(market.bars)
    mood = market.mood
    read = np.column_stack([mood.closed, mood.rates.view(np.int64), mood.intervals.view(np.int32)])
    return np.flatnonzero(np.append(True, np.any(np.diff(read, axis=0) != 0, axis=1)))


def _reads_every_bar(sizer: MarketSizer) -> bool:
    """Whether it reads prices, volatility or depth, which move with each bar."""
    if isinstance(sizer, BlendSizer):
        return any(_reads_every_bar(part) for _, _, part in sizer.parts)
    return isinstance(sizer, SignalSizer)


def _ask(sizer: MarketSizer, market: Market, inventory: float, rows: Ints, progress: Progress | None) -> Floats:
    """The sizer's answers at these rows."""
    readings, mood, bars = long_readings(market), market.mood, market.columns.bars
    said = np.empty(len(rows))
    columns = (
        mood.closed[rows].tolist(),
        mood.rates[rows].tolist(),
        mood.intervals[rows].astype(np.float64).tolist(),
        *(bars[name][rows].tolist() for name in ("volatility", "reference", "bid_depth", "ask_depth")),
    )
    for k, (closed, rate, interval, volatility, reference, bids, asks) in enumerate(zip(*columns, strict=True)):
        raw = MarketUpdate(
            0, 0, _NOWHERE, _NOWHERE, None, reference, math.nan, math.nan, rate, interval, 0, None, bids, asks
        )  # the price of the inventory is the index where there is no spot
        long = readings[closed]
        indicators = Indicators(
            volatility, 0.0, 0.0, 1.0, 0.0, 0.0, momentum=long.momentum, zscore=long.zscore, volatility_rank=long.volatility_rank
        )
        if progress is not None and k % _TOLD == 0:
            progress(k / len(rows))
        said[k] = sizer.ratio_on(MarketState(market.pair.perpetual, raw, indicators), inventory)
    return said


def long_readings(market: Market) -> list[LongReading]:
    """What weeks and months say after so many closed hours, none at first, by the live path's own code."""
    term = LongTerm()
    hours = market.mood.hours[["end_ms", "close", "volatility", "rate", "interval"]].tolist()
    return [LongReading(), *(term.add(int(end) // HOUR_MS, *rest) for end, *rest in hours)]
