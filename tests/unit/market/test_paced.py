"""A paced feed takes its time and changes nothing."""

from __future__ import annotations

from alpha_pulse.market.paced import PacedFeed
from alpha_pulse.testing import PAIR, SYMBOL, FakeClock, FakeFeed, instrument, updates_from_prices


async def test_each_update_takes_the_time_that_it_covers_divided_by_the_speed():
    updates = updates_from_prices([100.0, 101.0, 102.0])
    inner, clock = FakeFeed(updates), FakeClock(0)
    feed = PacedFeed(inner, clock, 30.0)
    await feed.open(PAIR, instrument())
    assert [await feed.next(SYMBOL) for _ in range(4)] == [*updates, None]
    assert clock.now_ms() == 4000  # the first comes at once, then twice a minute in two seconds


async def test_everything_else_is_the_inner_feeds():
    inner = FakeFeed(updates_from_prices([100.0, 101.0, 102.0]), instrument=instrument())
    feed = PacedFeed(inner, FakeClock(0), 60.0)
    await feed.open(PAIR, instrument(), resume_after_ms=inner.updates[0].close_ms)
    assert feed.expected(SYMBOL) == 2
    assert list(feed.history(SYMBOL)) == inner.updates[:1]
    assert await feed.instrument(PAIR) == instrument()
    await feed.next(SYMBOL)
    assert feed.latest(SYMBOL) == inner.updates[1]
    await feed.close()
    assert inner.closed == 1
