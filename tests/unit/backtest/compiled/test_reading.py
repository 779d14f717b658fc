"""The fast reading of a market leaves the very bars that the bot itself would have seen, bit by bit."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest

from alpha_pulse.backtest.compiled.build import INTERPRETED, Kernels
from alpha_pulse.backtest.compiled.market import Market, market_of
from alpha_pulse.backtest.compiled.sizing import long_readings
from alpha_pulse.backtest.compiled.values import BAR
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.market.columns import has_columns
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.simulated import SimulatedFeed
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.feed import StoredFeed
from alpha_pulse.market.store.series import Market as Kind
from alpha_pulse.market.store.series import Rows, Series, series_of
from alpha_pulse.testing import FakeFeed
from tests.unit.backtest.compiled.hostile import Market as HostileMarket
from tests.unit.backtest.compiled.slow_reading import InColumns, SlowReading, WarmFeed, read_slowly

MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS


def read(feed: MarketFeed, symbol: str = "BTCUSDT", kernels: Kernels | None = None, hours: float = 24.0) -> Market:
    return asyncio.run(market_of(feed, symbol, anchor_ema_hours=hours, kernels=kernels))


def assert_same(fast: Market, slow: SlowReading | FeedProblem) -> None:
    """Every column to the last bit, and the sets of levels under their numbers."""
    assert isinstance(slow, SlowReading)
    bars = fast.columns.bars
    assert len(bars) == len(slow.bars) > 0
    for name in BAR.names or ():
        assert np.ascontiguousarray(bars[name]).tobytes() == np.ascontiguousarray(slow.bars[name]).tobytes(), name
    assert fast.funding_interval_h.tolist() == np.float32(slow.intervals).tolist()
    long = [reading[:3] for reading in long_readings(fast)]
    assert [long[hours] for hours in fast.mood.closed.tolist()] == slow.moods
    assert [tuple(known.price[: known["count"]].tolist()) for known in fast.columns.level_sets] == slow.levels


def both(make: type[WarmFeed], updates: list[MarketUpdate | FeedProblem], past: list[MarketUpdate] | None = None) -> SlowReading:
    """Read both ways; the slow one for what it saw."""
    slow = asyncio.run(read_slowly(make(updates, past or []), "BTCUSDT", 5.0))
    assert_same(read(make(updates, past or []), hours=5.0), slow)
    assert isinstance(slow, SlowReading)
    return slow


@pytest.mark.parametrize(("symbol", "days", "hours"), [("BTCUSDT", 20, 24.0), ("ETHUSDT", 2.3, 2.0), ("PEPEUSDT", 3, 24.0)])
def test_a_simulated_market_is_read_as_the_bot_reads_it(symbol, days, hours):
    slow = asyncio.run(read_slowly(SimulatedFeed(5, days=days), symbol, hours))
    assert_same(read(SimulatedFeed(5, days=days), symbol, hours=hours), slow)
    assert isinstance(slow, SlowReading)
    assert len(slow.levels) > 1
    assert len(set(slow.bars.volume_ratio.tolist())) > 1


@pytest.mark.parametrize("make", [WarmFeed, InColumns])
def test_hostile_markets_are_read_as_the_bot_reads_them(make):
    """Missing bars, crashes, thin volume, spot outages, books, depths, marks, settlements at odd times; with a past and without."""
    outages = settlements = depths = gaps = 0
    for seed in range(8):
        updates = HostileMarket(seed).bars(3000)
        past, rest = (updates[:1111], updates[1111:]) if seed % 2 else ([], updates)
        slow = both(make, list(rest), past)
        outages += sum(update.spot is None for update in rest)
        settlements += int((~np.isnan(slow.bars.settled)).sum())
        depths += int((slow.bars.bid_depth > 0.0).sum())
        gaps += int((np.diff(slow.bars.open_ms) > 60 * MINUTE_MS).sum())
    assert min(outages, settlements, depths, gaps) > 0


@pytest.mark.parametrize("make", [WarmFeed, InColumns])
def test_bars_of_other_lengths_are_read_as_the_bot_reads_them(make):
    """Quotes that come faster than they are sampled, bars that end within an hour, bars longer than one; rates of 0 with either sign."""
    updates = HostileMarket(3).bars(900)
    at, restless = updates[0].open_ms, []
    random = np.random.default_rng(2)
    for update in updates:
        step = int(random.choice([7_000, 20_000, 60_000, 61_000, 2_400_000, 3_600_000, 9_000_000]))
        rate = float(random.choice([0.0, -0.0, update.funding_rate]))
        restless.append(update._replace(open_ms=at, close_ms=at + step, funding_rate=rate))
        at += step + int(random.choice([0, 0, 0, 1, 5_000_000]))
    both(make, list(restless))


@pytest.mark.parametrize("make", [WarmFeed, InColumns])
def test_a_past_with_unusable_bars_warms_up_like_the_bots(make):
    updates = HostileMarket(1).bars(2000)
    past = updates[:1000]
    past[100] = past[100]._replace(bid=math.nan)
    past[400] = past[300]
    past[999] = past[999]._replace(perp=Bar(1.0, 0.5, 2.0, 1.0, 1.0))
    both(make, list(updates[1000:]), past)


def test_the_interpreted_kernel_reads_the_same():
    updates = HostileMarket(4).bars(400)
    compiled, interpreted = read(FakeFeed(updates)), read(FakeFeed(updates), kernels=INTERPRETED)
    assert compiled.columns.bars.tobytes() == interpreted.columns.bars.tobytes()
    assert compiled.columns.level_sets.tobytes() == interpreted.columns.level_sets.tobytes()


BROKEN = {
    "a crossed book": {"bid": 200_000.0},
    "no price": {"perp": Bar(math.nan, math.nan, math.nan, math.nan, 0.0)},
    "a volume below zero": {"perp": Bar(1.0, 1.0, 1.0, 1.0, -1.0)},
    "a mark of zero": {"mark": Bar(0.0, 0.0, 0.0, 0.0)},
    "a spot whose low is above its close": {"spot": Bar(100.0, 110.0, 105.0, 101.0, 1.0)},
    "an index without end": {"index_price": math.inf},
    "a rate that is none": {"funding_rate": 1.5},
    "a settled rate that is none": {"settled_rate": -2.0},
    "a late bar": {"close_ms": 1_735_689_660_000},
}
ONLY_OBJECTS = {"a spot without a price": {"spot": Bar(math.nan, 1.0, 1.0, 1.0, 1.0)}, "a settled NaN": {"settled_rate": math.nan}}


@pytest.mark.parametrize(
    ("make", "name"), [*((kind, name) for kind in (WarmFeed, InColumns) for name in BROKEN), *((WarmFeed, name) for name in ONLY_OBJECTS)]
)
def test_what_the_bot_would_not_act_upon_is_refused_in_its_words(make, name):
    updates = HostileMarket(2).bars(300)
    updates[200] = updates[200]._replace(**{**BROKEN, **ONLY_OBJECTS}[name])
    problem = asyncio.run(read_slowly(make(updates, []), "BTCUSDT"))
    assert isinstance(problem, FeedProblem)
    with pytest.raises(ConfigError) as refused:
        read(make(updates, []))
    assert f"at {problem.ts_ms} ms: {problem.reason}." in str(refused.value)


def test_the_first_of_several_problems_is_named():
    updates = [*HostileMarket(2).bars(300)]
    updates[100] = updates[99]
    with pytest.raises(ConfigError, match="came again or late"):
        read(FakeFeed([*updates, FeedProblem(updates[-1].close_ms + 1, "no answer")]))
    with pytest.raises(ConfigError, match="no answer"):
        read(FakeFeed([*updates[:50], FeedProblem(updates[-1].close_ms + 1, "no answer")]))


class Dearer(SimulatedFeed):
    """A user's own feed: the index of every bar doubled."""

    async def next(self, symbol: str) -> MarketUpdate | None:
        update = await super().next(symbol)
        return None if update is None else update._replace(spot=None, index_price=2.0 * update.index_price)


def test_a_feed_that_changes_what_it_inherits_is_read_by_what_it_delivers():
    assert not has_columns(Dearer(5, days=0.1))
    plain, dearer = (read(kind(5, days=0.1)).columns.reference for kind in (SimulatedFeed, Dearer))
    assert dearer.tolist() == (2.0 * plain).tolist()


def test_a_stored_market_with_holes_and_a_past_is_read_as_the_bot_reads_it(tmp_path):
    asyncio.run(store_market(tmp_path))

    def feed() -> StoredFeed:
        return StoredFeed(tmp_path, "1m", start_ms=int(START_MS + 3 * DAY_MS))

    slow = asyncio.run(read_slowly(feed(), "BTCUSDT"))
    assert_same(read(feed()), slow)
    assert isinstance(slow, SlowReading)
    assert (np.diff(slow.bars.open_ms) > MINUTE_MS).any()
    assert not np.isnan(slow.bars.settled).all()
    assert (slow.bars.mark_close != slow.bars.close).any()


START_MS = 1_735_689_600_000


async def store_market(root: Path) -> None:
    """Six simulated days, each file with holes of its own."""
    pair = hedge_pair("BTCUSDT")
    feed = SimulatedFeed(9, days=6)
    await feed.open(pair, builtin_instrument(pair))
    days = list(feed.columns("BTCUSDT"))
    store, random = CandleStore(root), np.random.default_rng(1)

    def whole(name: str) -> np.ndarray:
        return np.concatenate([getattr(day, name) for day in days], axis=-1)

    opens = whole("open_ms")
    for kind, name in ((Kind.SPOT, "spot"), (Kind.PERP, "perp"), (Kind.MARK, "mark")):
        kept = random.random(len(opens)) > 0.002
        kept[5000:5200] &= kind is Kind.MARK
        rows = whole(name)[:, kept]
        store.write(series_of("BTCUSDT", kind, "1m"), Rows(opens[kept], rows[:4] if kind is Kind.MARK else rows))
    settles = ~np.isnan(whole("settled_rate"))
    store.write(Series("BTCUSDT", Kind.FUNDING), Rows(opens[settles], whole("settled_rate")[None, settles]))


RECORDED = {
    "one minute": ("BTCUSDT", "1m_2025-05-20_2025-06-24", "2025-05-20_2025-06-24", None),
    "five minutes": ("ETHUSDT", "5m_2024-01-01_2024-05-14", "2023-01_2024-06", None),
    "one hour with marks": ("ETHUSDT", "1h_2023-01_2024-06", "2023-01_2024-06", "1h_2023-01_2024-06"),
}


@pytest.mark.market_data
@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_market_is_read_as_the_bot_reads_it(market_data, name):
    symbol, span, funding, mark = RECORDED[name]

    def feed() -> RecordedFeed:
        return RecordedFeed(
            market_data / f"binance_spot_{symbol}_{span}.parquet",
            market_data / f"binance_perp_{symbol}_{span}.parquet",
            market_data / f"binance_funding_{symbol}_{funding}.parquet",
            None if mark is None else market_data / f"binance_mark_{symbol}_{mark}.parquet",
        )

    assert_same(read(feed(), symbol), asyncio.run(read_slowly(feed(), symbol)))
