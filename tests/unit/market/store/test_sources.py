import pytest

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.market.store.series import Market, Series, series_of
from alpha_pulse.market.store.sources import Backoff, ExchangeReader
from tests.unit.market.market_fakes import FakeClock
from tests.unit.market.store.recordings import DAY, FUNDING, HOUR, JAN, MARK, MINUTE, PERP, SPOT

BTC = hedge_pair("BTCUSDT")


class Exchange:
    """As much of a ccxt exchange as is asked for: some abilities, one perpetual that traded from ``first`` on."""

    id = "somewhere"

    def __init__(self, *, first=JAN, timeframes=("1m", "1d"), **abilities):
        self.first, self.timeframes = first, dict.fromkeys(timeframes)
        self.has = {"fetchOHLCV": True} | abilities
        self.markets = {BTC.perpetual: {"symbol": BTC.perpetual, "created": None}}
        self.asked, self.error = [], None

    def feature_value(self, symbol, method, name):
        return 300

    async def fetch_ohlcv(self, symbol, timeframe, since, limit):
        self.asked.append((timeframe, since, limit))
        if self.error:
            raise self.error
        step = DAY if timeframe == "1d" else MINUTE
        start = max(since, self.first - self.first % step)
        return [[at, 1, 1, 1, 1, 1] for at in range(start, since + limit * step, step)]

    fetch_mark_ohlcv = fetch_ohlcv

    async def fetch_time(self):
        return None

    async def close(self):
        self.asked.append("closed")


async def reader(exchange, **options):
    made = ExchangeReader("somewhere", BTC, backoff=Backoff(attempts=3, first_s=0.0, longest_s=0.0), **options)
    made._exchanges["somewhere"] = exchange, RequestGuard()
    return made


async def test_a_page_is_no_longer_than_the_exchange_allows():
    exchange = Exchange()
    source = await (await reader(exchange)).source(PERP)
    assert len(await source.page(JAN)) == 300
    assert exchange.asked == [("1m", JAN, 300)]


async def test_months_before_a_listing_are_passed_over_day_by_day():
    listed = JAN + 150 * DAY + 7 * HOUR
    exchange = Exchange(first=listed)
    source = await (await reader(exchange)).source(PERP)
    assert await source.page(JAN) == []
    assert await source.skip(JAN) == JAN + 150 * DAY  # the first day that has a candle
    assert await source.skip(JAN + 150 * DAY) == JAN + 150 * DAY + 100 * MINUTE  # it trades later that day


async def test_where_there_are_no_daily_candles_only_a_page_is_passed_over():
    source = await (await reader(Exchange(first=JAN + DAY, timeframes=("1m",)))).source(PERP)
    assert await source.skip(JAN) == JAN + 100 * MINUTE


@pytest.mark.parametrize(("series", "words"), [(MARK, "somewhere has no candles of mark"), (FUNDING, "has no history of funding rates")])
async def test_what_an_exchange_has_no_record_of_is_named(series, words):
    assert words in await (await reader(Exchange())).source(series)


async def test_a_pair_or_timeframe_that_is_not_there_is_named():
    made = await reader(Exchange())
    with pytest.raises(ConfigError, match="somewhere does not list BTC/USDT"):
        await made.source(SPOT)
    with pytest.raises(ConfigError, match=r"has no such candles.*one of 1m, 1d"):
        await made.source(series_of("BTCUSDT", Market.PERP, "5m"))


@pytest.mark.parametrize("row", [[JAN, 1, 1, 1, 1], [JAN, 1, None, 1, 1, 1], [None, 1, 1, 1, 1, 1], [JAN, 1, float("nan"), 1, 1, 1]])
async def test_a_row_that_is_none_is_asked_for_again_and_then_given_up(row):
    exchange = Exchange()
    asked = []

    async def mangled(*_, **__):
        asked.append(row)
        return [row]

    exchange.fetch_ohlcv = mangled
    source = await (await reader(exchange)).source(PERP)
    with pytest.raises(Transient, match="unreadable reply"):
        await source.page(JAN)
    assert len(asked) == 3


async def test_every_request_that_is_made_again_is_told_of():
    import ccxt  # noqa: PLC0415 - slow to import, and two tests need it

    told = []
    exchange = Exchange()
    source = await (await reader(exchange, on_retry=told.append)).source(PERP)
    exchange.error = ccxt.NetworkError("nobody there")
    with pytest.raises(Transient, match="nobody there"):
        await source.page(JAN)
    assert told == ["No answer, asking again (attempt 2 of 3)", "No answer, asking again (attempt 3 of 3)"]


async def test_what_a_person_has_to_mend_is_not_asked_for_again():
    import ccxt  # noqa: PLC0415 - slow to import, and one test needs it

    exchange = Exchange()
    exchange.error = ccxt.PermissionDenied("not from your country")
    source = await (await reader(exchange)).source(PERP)
    with pytest.raises(Fatal, match="not from your country"):
        await source.page(JAN)
    assert len(exchange.asked) == 1


async def test_a_long_ban_is_not_waited_for():
    import ccxt  # noqa: PLC0415 - as above

    exchange, guard = Exchange(), RequestGuard()
    made = await reader(exchange)
    made._exchanges["somewhere"] = exchange, guard
    exchange.error = ccxt.RateLimitExceeded("banned")
    guard.banned_until = 1e12
    source = await made.source(PERP)
    with pytest.raises(Transient, match="banned"):
        await source.page(JAN)
    assert len(exchange.asked) == 1


async def test_the_exchanges_time_counts_only_where_it_tells_one():
    clock = FakeClock(JAN)
    assert await (await reader(Exchange())).time_ms(clock) == JAN
    assert await (await reader(Exchange(fetchTime=True))).time_ms(clock) == JAN


async def test_every_connection_is_closed_once():
    exchange = Exchange()
    made = await reader(exchange)
    await made.close()
    await made.close()
    assert exchange.asked == ["closed"]


def test_a_series_of_trades_has_no_step():
    assert Series("BTCUSDT", Market.TRADES).step_ms is None
