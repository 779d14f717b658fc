"""A market as columns, made once and used by every run on it: the feed's own bars, with the indicators of the live path."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.backtest.compiled.blocks import columns_of
from alpha_pulse.backtest.compiled.build import Kernels, compiled
from alpha_pulse.backtest.compiled.reading import read
from alpha_pulse.backtest.compiled.values import Columns, Floats, Ints, Records
from alpha_pulse.backtest.source import remarks_of, source_of
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.hedging.common.interfaces import MarketFeed
from alpha_pulse.market.columns import gather
from alpha_pulse.settings import Settings


class Mood(NamedTuple):
    """Funding by bar, and what was known when each hour closed (``reading_kernel.HOUR``): a sizer's weeks and months are read from it."""

    rates: Floats
    intervals: NDArray[np.float32]
    hours: Records
    closed: Ints  # how many hours had closed at each bar


@dataclass(frozen=True, slots=True)
class Market:
    """One pair's market. ``instrument`` holds the trading rules; its fees are those of each run's settings."""

    pair: HedgePair
    instrument: Instrument
    columns: Columns
    mood: Mood  # what sizers read beside the bars
    anchor_ema_hours: float
    shortest_step_ms: int  # between two closes: a tick cannot be due more often than this
    source: str
    simulated: bool
    remarks: tuple[str, ...] = ()  # what its recordings lack
    sized: dict[str, Floats] = field(default_factory=dict, compare=False, repr=False)
    """What sizers said on it, by their settings; see ``sizing.sized_by``."""

    @property
    def funding_interval_h(self) -> NDArray[np.float32]:
        """Hours between settlements, by bar."""
        return self.mood.intervals

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
    opened = create_feed(feed, settings.exchange)
    market = await market_of(
        opened,
        settings.symbol,
        anchor_ema_hours=settings.grid.anchor_ema_hours,
        source=source_of(settings),
        simulated=feed.source == "simulated",
    )
    return replace(market, remarks=remarks_of(opened))


async def market_of(
    feed: MarketFeed,
    symbol: str,
    *,
    anchor_ema_hours: float = 24.0,
    source: str = "",
    simulated: bool = False,
    kernels: Kernels | None = None,
) -> Market:
    """Columns from any feed that ends. The indicators come from the functions of the live path, compiled unless ``kernels`` are given.

    Raises:
        ConfigError: the feed has no bar, or one that a bot would not act upon, or numba is not installed.
    """
    pair = hedge_pair(symbol)
    instrument = await feed.instrument(pair) or builtin_instrument(pair)
    await feed.open(pair, instrument)
    try:
        gathered = await gather(feed, pair.perpetual)
    finally:
        await feed.close()
    reading = read(gathered, anchor_ema_hours, compiled() if kernels is None else kernels)
    steps = np.diff(reading.bars.close_ms)
    return Market(
        pair=pair,
        instrument=instrument,
        columns=columns_of(reading.bars, reading.level_sets),
        mood=Mood(reading.rates, reading.intervals, reading.hours, reading.closed),
        anchor_ema_hours=anchor_ema_hours,
        shortest_step_ms=int(steps.min(initial=np.iinfo(np.int64).max)),
        source=source,
        simulated=simulated,
    )
