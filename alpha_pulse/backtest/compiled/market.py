"""A market as columns, made once and used by every run on it: the feed's own bars, with the indicators that the live path computes."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.backtest.compiled.values import BAR, BLOCK, BLOCK_OF_BARS, LEVEL_SET, WIDE, WIDEST_BLOCK, Columns, Records, records
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.market.provider import FeedDataProvider
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.settings import Settings

_CHUNK: Final = 65_536
"""Bars held as objects while they are read: what reading costs in memory beside the columns."""


@dataclass(frozen=True, slots=True)
class Market:
    """One pair's market. ``instrument`` holds the trading rules; its fees are those of each run's settings."""

    pair: HedgePair
    instrument: Instrument
    columns: Columns
    funding_interval_h: NDArray[np.float32]  # by bar
    anchor_ema_hours: float
    shortest_step_ms: int  # between two closes: a tick cannot be due more often than this
    source: str
    simulated: bool

    @property
    def bars(self) -> int:
        """How many bars it has."""
        return len(self.columns.bars.close_ms)


async def read_market(settings: Settings) -> Market:
    """The market that the settings name, read to its end.

    Raises:
        ConfigError: it is live, endless or empty, or holds a bar that a bot would not act upon.
    """
    feed = settings.feed
    if feed.source == "ccxt" or (feed.source == "simulated" and feed.days is None):
        raise ConfigError("a live or endless market cannot be run over.", field="feed", fix="give recorded files, or feed.days")
    source = f"simulated market, seed {feed.seed}" if feed.source == "simulated" else f"recorded: {feed.perp.name if feed.perp else ''}"
    return await market_of(
        create_feed(feed, settings.exchange),
        settings.symbol,
        anchor_ema_hours=settings.grid.anchor_ema_hours,
        source=source,
        simulated=feed.source == "simulated",
    )


async def market_of(feed: MarketFeed, symbol: str, *, anchor_ema_hours: float = 24.0, source: str = "", simulated: bool = False) -> Market:
    """Columns from any feed that ends. The indicators come from the live path's own provider, bar by bar.

    Raises:
        ConfigError: the feed has no bar, or one that a bot would not act upon.
    """
    pair = hedge_pair(symbol)
    instrument = await feed.instrument(pair) or builtin_instrument(pair)
    await feed.open(pair, instrument)
    provider = FeedDataProvider(feed, SimulatedClock(), anchor_ema_hours=anchor_ema_hours)
    reader = _Reader()
    try:
        while (state := await provider.advance(symbol)) is not None:
            if isinstance(state, FeedProblem):
                fix = "repair the data, or use the replay, which withdraws its orders there"
                raise ConfigError(
                    f"the market holds a bar that nobody acts upon, at {state.ts_ms} ms: {state.reason}.", field="feed", fix=fix
                )
            reader.add(state)
    finally:
        await feed.close()
    columns = reader.columns()
    steps = np.diff(columns.bars.close_ms)
    return Market(
        pair=pair,
        instrument=instrument,
        columns=columns,
        funding_interval_h=np.array(reader.intervals, dtype=np.float32),
        anchor_ema_hours=anchor_ema_hours,
        shortest_step_ms=int(steps.min(initial=np.iinfo(np.int64).max)),
        source=source,
        simulated=simulated,
    )


_FIELDS: Final = (
    "open_ms", "close_ms", "open", "high", "low", "close", "volume", "mark_open", "mark_high", "mark_low", "mark_close", "reference",
    "bid", "ask", "bid_depth", "ask_depth", "settled", "funding_annual", "volatility", "volume_ratio", "volume_day", "anchor_ema",
    "level_set",
)  # fmt: skip


class _Reader:
    """Turns market states into bars, a chunk at a time."""

    def __init__(self) -> None:
        self._chunks: list[Records] = []
        self._rows: list[tuple[float, ...]] = []
        self.intervals = array("f")
        self._sets: dict[tuple[float, ...], int] = {}
        self._levels: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
        self._set = self._set_of((), ())
        self._annual: tuple[float, float, float] = (math.nan, math.nan, 0.0)

    def _set_of(self, supports: tuple[float, ...], resistances: tuple[float, ...]) -> int:
        return self._sets.setdefault((*supports, *resistances), len(self._sets))

    def add(self, market: MarketState) -> None:
        """One bar more."""
        raw, ind = market.raw, market.indicators
        if ind.supports is not self._levels[0] or ind.resistances is not self._levels[1]:
            self._levels = ind.supports, ind.resistances
            self._set = self._set_of(*self._levels)
        rate, interval, annual = self._annual
        if raw.funding_rate != rate or raw.funding_interval_h != interval:
            annual = annualize_funding(raw.funding_rate, raw.funding_interval_h)
            self._annual = raw.funding_rate, raw.funding_interval_h, annual
        self.intervals.append(raw.funding_interval_h)
        self._rows.append((
            raw.open_ms, raw.close_ms, *raw.perp, *raw.mark[:4], market.reference, raw.bid, raw.ask, raw.bid_depth, raw.ask_depth,
            math.nan if raw.settled_rate is None else raw.settled_rate, annual, ind.volatility_day, ind.volume_ratio, ind.volume_day,
            ind.anchor_ema, self._set,
        ))  # fmt: skip
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        """Rows to records. Times and set numbers are below 2⁵³, so that they pass through floats unharmed."""
        table = np.array(self._rows, dtype=np.float64)
        chunk = records(BAR, len(table))
        for name, column in zip(_FIELDS, table.T, strict=True):
            chunk[name] = column
        self._chunks.append(chunk)
        self._rows.clear()

    def columns(self) -> Columns:
        """Everything read."""
        if self._rows:
            self._flush()
        if not self._chunks:
            raise ConfigError("the market has no usable bar.", field="feed", fix="look at the data files")
        bars = np.concatenate(self._chunks).view(np.recarray)
        bars["row"] = np.arange(len(bars))
        sets = records(LEVEL_SET, len(self._sets))
        for made, known in zip(sets, self._sets, strict=True):
            made["count"] = len(known)
            made["price"][: len(known)] = known
        blocks, wide, widest = (_blocks(bars, size) for size in (BLOCK, WIDE, WIDEST_BLOCK))
        return Columns(bars, blocks, wide, widest, sets, bars["mark_close"].copy(), bars["reference"].copy())


def _blocks(bars: Records, size: int) -> Records:
    """The extremes of every whole block of bars; bars of a last part of one are looked at singly."""
    whole = len(bars) // size

    def cut(column: NDArray[Any]) -> NDArray[Any]:
        return column[: whole * size].reshape(whole, size)

    blocks = records(BLOCK_OF_BARS, whole)
    for name in ("low", "mark_low"):
        blocks[name] = cut(bars[name]).min(axis=1)
    for name in ("high", "mark_high"):
        blocks[name] = cut(bars[name]).max(axis=1)
    pairs = {"bid": "bid", "ask": "ask", "sigma": "volatility", "volume": "volume_ratio", "annual": "funding_annual", "ema": "anchor_ema"}
    for name, column in pairs.items():
        blocks[f"{name}_low"], blocks[f"{name}_high"] = cut(bars[column]).min(axis=1), cut(bars[column]).max(axis=1)
    strain = cut(bars["volatility"] * bars["reference"])
    blocks["strain_low"], blocks["strain_high"] = strain.min(axis=1), strain.max(axis=1)
    blocks["reference_low"], blocks["reference_high"] = cut(bars["reference"]).min(axis=1), cut(bars["reference"]).max(axis=1)
    for name in ("bid_depth", "ask_depth"):  # an unknown depth, 0, is no thin one
        blocks[f"{name}_low"] = cut(np.where(bars[name] > 0.0, bars[name], math.inf)).min(axis=1)
    blocks["settlements"] = (~np.isnan(cut(bars["settled"]))).sum(axis=1)
    blocks["last_ms"] = cut(bars["close_ms"])[:, -1]
    return blocks
