import asyncio
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import Bar
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.market.indicators import trend_strength, yang_zhang
from alpha_pulse.market.levels import cluster
from alpha_pulse.market.provider import FeedDataProvider
from alpha_pulse.market.sanity import problem_with
from alpha_pulse.market.simulated import SimulatedFeed
from tests.unit.market.market_fakes import SYMBOL, MovableClock, ScriptedFeed, update

prices = st.floats(1e-6, 1e6)
anything = st.floats(allow_nan=True, allow_infinity=True)


@given(st.text(max_size=30))
def test_any_text_is_a_pair_or_a_config_error(text):
    try:
        pair = hedge_pair(text)
    except ConfigError:
        return
    assert hedge_pair(pair.name) == hedge_pair(pair.spot) == hedge_pair(pair.perpetual) == pair


@given(st.lists(anything, min_size=5, max_size=5), anything, anything, anything)
def test_an_update_is_sound_only_if_every_price_is_finite_positive_and_in_order(bar, index, bid, ask):
    candidate = update(perp=Bar(*bar), index_price=index, bid=bid, ask=ask)
    sound = problem_with(candidate) == ""
    finite = all(math.isfinite(value) and value > 0.0 for value in (*bar[:4], index, bid, ask)) and 0.0 <= bar[4] < math.inf
    consistent = bar[2] <= min(bar[0], bar[3]) and bar[1] >= max(bar[0], bar[3]) and bid <= ask
    assert sound == (finite and consistent)


@given(st.integers(0, 2**63), st.integers(1, 3000), st.sampled_from(["BTCUSDT", "SOLUSDT", "PEPEUSDT"]))
@settings(max_examples=15, deadline=None)
def test_a_simulated_market_is_sound_and_resumes_anywhere(seed, bars, name):
    async def run():
        pair = hedge_pair(name)
        feed, resumed = SimulatedFeed(seed), SimulatedFeed(seed)
        await feed.open(pair, builtin_instrument(pair))
        whole = [await feed.next(name) for _ in range(bars + 10)]
        await resumed.open(pair, builtin_instrument(pair), resume_after_ms=whole[bars - 1].close_ms)
        return whole, [await resumed.next(name) for _ in range(10)]

    whole, rest = asyncio.run(run())
    assert rest == whole[bars:]
    assert all(problem_with(bar) == "" for bar in whole)


@given(st.lists(st.tuples(prices, st.booleans()), min_size=1, max_size=200), st.sampled_from([1_000, 60_000, 300_000, 3_600_000]))
@settings(max_examples=30, deadline=None)
def test_indicators_stay_finite_and_in_range_whatever_the_market_does(path, step):
    updates = [update(i, 2.0 + price, step=step) if good else update(i, math.nan, step=step) for i, (price, good) in enumerate(path)]

    async def run():
        provider = FeedDataProvider(ScriptedFeed(updates), MovableClock())
        return [await provider.advance(SYMBOL) for _ in updates]

    for (_, good), state in zip(path, asyncio.run(run()), strict=True):
        assert isinstance(state, FeedProblem) != good
        if good:
            read = state.indicators
            numbers = (read.volatility_day, read.volatility_day_range, read.atr, read.volume_ratio, read.trend, read.anchor_ema)
            assert all(math.isfinite(value) for value in numbers)
            assert min(read.volatility_day, read.volatility_day_range, read.atr, read.volume_ratio) >= 0.0
            assert -1.0 <= read.trend <= 1.0
            assert read.anchor_ema > 0.0


@given(st.lists(st.tuples(prices, prices, prices, prices), min_size=3, max_size=50), st.floats(0.1, 10.0))
def test_yang_zhang_is_never_negative_and_blind_to_the_unit_of_price(bars, unit):
    opened, _a, _b, close = np.array(bars).T
    high, low = np.array(bars).max(axis=1), np.array(bars).min(axis=1)
    variance = yang_zhang(opened, high, low, close)
    assert variance >= 0.0
    assert math.isclose(variance, yang_zhang(opened * unit, high * unit, low * unit, close * unit), rel_tol=1e-6, abs_tol=1e-9)


@given(prices, prices, st.floats(0.0, 10.0))
def test_a_trend_mirrors(fast, slow, volatility):
    assert trend_strength(fast, slow, volatility, 0.75) == -trend_strength(slow, fast, volatility, 0.75) or math.isclose(
        trend_strength(fast, slow, volatility, 0.75), -trend_strength(slow, fast, volatility, 0.75), rel_tol=1e-6
    )


@given(st.lists(prices, max_size=60).map(sorted), st.floats(1e-4, 0.05), st.integers(1, 3))
def test_levels_are_ascending_and_lie_within_the_prices(touched, tolerance, least):
    levels = cluster(touched, tolerance, least)
    assert levels == sorted(levels)
    assert len(levels) * least <= len(touched)
    assert all(touched[0] * (1 - 1e-9) <= level <= touched[-1] * (1 + 1e-9) for level in levels)
