"""A market read as the bot itself reads it: bar by bar, by the live data provider. What the fast reading is held against."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from alpha_pulse.backtest.compiled.values import BAR, Records, records
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.market.columns import UpdateColumns, as_columns
from alpha_pulse.market.provider import FeedDataProvider
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.testing import FakeFeed

Levels = tuple[float, ...]


class SlowReading(NamedTuple):
    bars: Records
    levels: list[Levels]  # by number, in the order in which bars have them; the first is none
    intervals: list[float]
    moods: list[tuple[float, float, float]]  # momentum, stretch and rank of volatility at each bar


async def read_slowly(feed: MarketFeed, symbol: str, anchor_ema_hours: float = 24.0) -> SlowReading | FeedProblem:
    """Every bar with the live path's indicators, or the first that the live path refuses."""
    pair = hedge_pair(symbol)
    await feed.open(pair, builtin_instrument(pair))
    provider = FeedDataProvider(feed, SimulatedClock(), anchor_ema_hours=anchor_ema_hours)
    numbers: dict[Levels, int] = {(): 0}
    rows: list[dict[str, float]] = []
    intervals, moods = [], []
    while (state := await provider.advance(symbol)) is not None:
        if isinstance(state, FeedProblem):
            return state
        known = *state.supports, *state.resistances
        rows.append({**row_of(state), "row": len(rows), "level_set": numbers.setdefault(known, len(numbers))})
        intervals.append(state.raw.funding_interval_h)
        moods.append((state.indicators.momentum, state.indicators.zscore, state.indicators.volatility_rank))
    bars = records(BAR, len(rows))
    for name in BAR.names or ():
        bars[name] = [row[name] for row in rows]
    return SlowReading(bars, list(numbers), intervals, moods)


def row_of(state: MarketState) -> dict[str, float]:
    raw, said = state.raw, state.indicators
    return {
        "open_ms": raw.open_ms,
        "close_ms": raw.close_ms,
        **raw.perp._asdict(),
        **{f"mark_{name}": price for name, price in raw.mark._asdict().items()},
        "reference": state.reference,
        "bid": raw.bid,
        "ask": raw.ask,
        "bid_depth": raw.bid_depth,
        "ask_depth": raw.ask_depth,
        "settled": math.nan if raw.settled_rate is None else raw.settled_rate,
        "funding_annual": annualize_funding(raw.funding_rate, raw.funding_interval_h),
        "volatility": said.volatility_day,
        "volume_ratio": said.volume_ratio,
        "volume_day": said.volume_day,
        "anchor_ema": said.anchor_ema,
    }


class WarmFeed(FakeFeed):
    """Updates with a past, as objects alone."""

    def __init__(self, updates: list[MarketUpdate | FeedProblem], past: list[MarketUpdate]) -> None:
        super().__init__(updates)
        self.past = past

    def history(self, symbol: str) -> list[MarketUpdate]:
        return self.past


class InColumns(WarmFeed):
    """The same as columns, in chunks of uneven size."""

    def columns(self, symbol: str) -> list[UpdateColumns]:
        return in_chunks([update for update in self.updates if isinstance(update, MarketUpdate)])

    def past_columns(self, symbol: str) -> list[UpdateColumns]:
        return in_chunks(self.past)


def in_chunks(updates: list[MarketUpdate]) -> list[UpdateColumns]:
    ends = np.cumsum([1, 7, 100, 61, *[997] * (len(updates) // 997 + 1)]).tolist()
    parts = [updates[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [as_columns(part) for part in parts if part]
