"""The public fakes keep the promises of their ports."""

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.testing import MINUTE_MS, PAIR, START_MS, SYMBOL, FakeClock, FakeFeed, FakeIds, instrument, updates_from_prices


async def test_a_fake_clock_moves_when_told_and_never_back():
    clock = FakeClock()
    await clock.sleep(1.5)
    clock.advance_to(START_MS)
    assert clock.now_ms() == START_MS + 1500


def test_fake_ids_count():
    ids = FakeIds()
    assert [ids.new_run_id(), ids.new_run_id()] == ["run-1", "run-2"]


async def test_a_fake_feed_resumes_after_the_given_time_and_keeps_the_rest_as_history():
    clock = FakeClock()
    feed = FakeFeed(updates_from_prices([1, 2, 3]), clock=clock)
    await feed.open(PAIR, instrument(), resume_after_ms=START_MS + MINUTE_MS)
    assert [u.perp.close for u in feed.history(SYMBOL)] == [1]
    assert (await feed.next(SYMBOL)).perp.close == 2
    assert clock.now_ms() == START_MS + 2 * MINUTE_MS
    assert feed.latest(SYMBOL).perp.close == 2


async def test_a_fake_feed_refuses_the_rules_of_another_pair():
    with pytest.raises(ConfigError, match="another pair"):
        await FakeFeed([]).open(PAIR, instrument(symbol="ETH/USDT:USDT"))
