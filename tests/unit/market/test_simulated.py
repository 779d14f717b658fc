import asyncio
import math
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.sanity import problem_with
from alpha_pulse.market.simulated import START_MS, SimulatedFeed

BTC = hedge_pair("BTCUSDT")
PEPE = hedge_pair("PEPEUSDT")
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


async def opened(pair=BTC, *, seed=7, resume_after_ms=0, **settings):
    feed = SimulatedFeed(seed, **settings)
    await feed.open(pair, builtin_instrument(pair), resume_after_ms=resume_after_ms)
    return feed


async def take(feed, count, symbol="BTCUSDT"):
    return [await feed.next(symbol) for _ in range(count)]


async def test_the_same_seed_makes_the_same_market_and_another_seed_another():
    first, again, other = [await take(await opened(seed=seed), 3000) for seed in (7, 7, 8)]
    assert first == again
    assert first != other


async def test_a_pair_has_its_own_stream_whatever_else_is_open():
    alone = await take(await opened(), 100)
    feed = await opened(PEPE)
    await feed.open(BTC, builtin_instrument(BTC))
    mixed = []
    for _ in range(100):
        await feed.next("PEPEUSDT")
        mixed.append(await feed.next("BTC/USDT"))
    assert mixed == alone


@pytest.mark.parametrize("bars", [1, 100, 1440, 1441, 4000])
async def test_a_resumed_market_equals_an_uninterrupted_one_bit_for_bit(bars):
    whole = await take(await opened(), bars + 200)
    feed = await opened(resume_after_ms=whole[bars - 1].close_ms)
    assert list(feed.history("BTCUSDT")) == whole[:bars]
    assert await take(feed, 200) == whole[bars:]
    assert list(feed.history("BTCUSDT")) == whole[:bars]


async def test_a_market_that_was_not_resumed_has_no_history():
    assert list((await opened()).history("BTCUSDT")) == []


async def test_days_end_the_market_and_the_end_stays_the_end():
    feed = await opened(days=1.5)
    bars = await take(feed, 2160)
    assert await feed.next("BTCUSDT") is None
    assert await feed.next("BTCUSDT") is None
    assert bars[-1].close_ms == START_MS + DAY_MS * 3 // 2
    assert feed.latest("BTCUSDT") == bars[-1]
    resumed = await opened(days=1.5, resume_after_ms=bars[-1].close_ms)
    assert await resumed.next("BTCUSDT") is None


async def test_bars_follow_each_other_without_a_hole():
    bars = await take(await opened(), 3000)
    assert bars[0].open_ms == START_MS
    for before, after in pairwise(bars):
        assert after.open_ms == before.close_ms == before.open_ms + 60_000
        assert after.perp.open == before.perp.close
        assert after.mark.open == before.mark.close
        assert after.spot.open == before.spot.close


@pytest.mark.parametrize("name", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "PEPEUSDT"])
async def test_every_bar_is_sound_and_every_price_lies_on_a_tick(name):
    pair = hedge_pair(name)
    tick = builtin_instrument(pair).tick_size
    for bar in await take(await opened(pair), 2000, name):
        assert problem_with(bar) == ""
        assert bar.bid < bar.ask
        assert bar.bid <= bar.perp.close <= bar.ask
        prices = (*bar.perp[:4], *bar.mark[:4], *bar.spot[:4], bar.bid, bar.ask, bar.index_price)
        assert all(Decimal(repr(price)) % tick == 0 for price in prices)
        assert bar.bid_depth > 0
        assert bar.ask_depth > 0


async def test_funding_settles_every_eight_hours_at_the_rate_that_was_expected():
    bars = await take(await opened(), 5 * 1440)
    settled = [(i, bar) for i, bar in enumerate(bars) if bar.settled_rate is not None]
    assert [bar.open_ms % (8 * HOUR_MS) for _, bar in settled] == [0] * 15
    for i, bar in settled[1:]:
        assert bar.settled_rate == bars[i - 1].funding_rate
        assert bars[i - 1].next_funding_ms == bar.open_ms
    assert all(0 <= bar.next_funding_ms - bar.close_ms < 8 * HOUR_MS for bar in bars)
    assert {bar.funding_interval_h for bar in bars} == {8.0}


async def _eight_months():
    columns, rates = [], []
    feed = await opened(days=240)
    while (bar := await feed.next("BTCUSDT")) is not None:
        perp = bar.perp
        columns.append((perp.close, bar.spot.close, bar.mark.close, perp.high, perp.low, perp.volume, bar.ask - bar.bid, bar.bid_depth))
        if bar.settled_rate is not None:
            rates.append(bar.settled_rate)
    return np.array(columns).T, np.array(rates)


@pytest.fixture(scope="module")
def long_market():
    return asyncio.run(_eight_months())


@pytest.fixture
def months(long_market):
    return long_market[0]


def test_the_market_moves_like_a_coin(months):
    returns = np.diff(np.log(months[0]))
    volatility = returns.std() * math.sqrt(525_600)
    assert 0.45 < volatility < 0.68
    assert ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2 > 5.0
    blocks = np.abs(returns[: len(returns) // 60 * 60]).reshape(-1, 60).mean(axis=1)
    assert np.corrcoef(blocks[1:], blocks[:-1])[0, 1] > 0.5  # volatility clusters
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.05  # direction does not
    swing = np.log(months[3] / months[4]).mean() / np.abs(returns).mean()
    assert 1.6 < swing < 2.4  # a random walk's range is twice its mean absolute move


def test_the_perpetual_stays_near_spot_and_mark_nearer_than_the_last_price(months):
    basis = np.log(months[0] / months[1])
    mark = np.log(months[2] / months[1])
    assert abs(basis.mean()) < 1e-3
    assert np.abs(basis).max() < 0.01
    assert mark.std() < basis.std()
    assert np.abs(mark).mean() < np.abs(basis).mean()


def test_loud_bars_trade_more_and_stressed_books_are_thin(months):
    moved = np.abs(np.diff(np.log(months[0])))
    assert np.corrcoef(moved, months[5][1:])[0, 1] > 0.2
    assert np.corrcoef(months[6] / months[0], months[7])[0, 1] < -0.2


def test_funding_has_memory_and_pays_the_short_a_little(long_market):
    rates = long_market[1]
    assert 0.03 < rates.mean() * 3 * 365 < 0.20
    assert rates.min() < 0.0
    assert np.abs(rates).max() <= 0.003
    assert np.corrcoef(rates[1:], rates[:-1])[0, 1] > 0.4


async def test_a_start_price_is_where_the_market_starts():
    (bar,) = await take(await opened(start_price=50_000.0), 1)
    assert bar.perp.open == 50_000.0


async def test_a_coin_without_a_usual_price_needs_one():
    doge = hedge_pair("DOGEUSDT")
    with pytest.raises(ConfigError, match="BTC, ETH, SOL"):
        await SimulatedFeed(7).open(doge, builtin_instrument(BTC))
    feed = SimulatedFeed(7, start_price=100.0)
    await feed.open(doge, builtin_instrument(BTC))
    assert problem_with(await feed.next("DOGEUSDT")) == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": -1}, "feed.seed"),
        ({"seed": 1, "days": 0.0}, "feed.days"),
        ({"seed": 1, "days": math.nan}, "feed.days"),
        ({"seed": 1, "days": math.inf}, "feed.days"),
        ({"seed": 1, "start_price": 0.0}, "feed.start_price"),
        ({"seed": 1, "start_price": math.nan}, "feed.start_price"),
        ({"seed": 1, "start_ms": START_MS + 1}, "start_ms"),
    ],
)
def test_what_no_market_can_have_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        SimulatedFeed(**settings)


async def test_a_start_price_under_a_tick_is_refused():
    with pytest.raises(ConfigError, match="tick"):
        await opened(start_price=0.05)


async def test_a_pair_that_is_not_open_is_named():
    feed = await opened()
    assert await feed.instrument(BTC) is None
    assert feed.latest("BTCUSDT") is None
    with pytest.raises(ConfigError, match="BTC/USDT:USDT"):
        await feed.next("ETHUSDT")
    await feed.close()
    await feed.close()
    with pytest.raises(ConfigError, match="none"):
        await feed.next("BTCUSDT")
