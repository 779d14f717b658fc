"""What the fake exchange has on record from before it opened: candles of the mark price and settled funding, as ccxt reads them."""

from typing import Any

from alpha_pulse.fake_exchange import FakeExchange

HOUR = 3_600_000
BTC = "BTC/USDT:USDT"


async def test_funding_settled_before_it_opened_is_always_the_same(fake: FakeExchange, perp: Any) -> None:
    now = fake.venue.now_ms()
    rates = await perp.fetch_funding_rate_history(BTC, since=now - 72 * HOUR)
    assert [rate["timestamp"] % (8 * HOUR) for rate in rates] == [0] * 9
    assert now - 8 * HOUR < rates[-1]["timestamp"] <= now
    assert all(abs(rate["fundingRate"]) < 0.01 for rate in rates)
    assert await perp.fetch_funding_rate_history(BTC, since=now - 72 * HOUR) == rates


async def test_funding_is_paged_from_a_start_and_ends_with_the_latest_without_one(fake: FakeExchange, perp: Any) -> None:
    now = fake.venue.now_ms()
    first = await perp.fetch_funding_rate_history(BTC, since=now - 240 * HOUR, limit=5)
    following = await perp.fetch_funding_rate_history(BTC, since=first[-1]["timestamp"] + 1, limit=5)
    assert len(first) == len(following) == 5
    assert following[0]["timestamp"] - first[-1]["timestamp"] == 8 * HOUR
    latest = await perp.fetch_funding_rate_history(BTC)
    assert (len(latest), now - latest[-1]["timestamp"] < 8 * HOUR) == (100, True)


async def test_candles_of_the_mark_price_are_on_record(fake: FakeExchange, perp: Any) -> None:
    now = fake.venue.now_ms()
    rows = await perp.fetch_mark_ohlcv(BTC, "1m", since=now - now % HOUR - HOUR, limit=60)
    assert len(rows) == 60
    assert all(low <= min(opened, close) and high >= max(opened, close) for _, opened, high, low, close, _ in rows)
