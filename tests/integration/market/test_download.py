"""Downloads from the project's own exchange, over real sockets, with unmodified ccxt."""

import asyncio

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.fake_exchange import FakeExchange
from alpha_pulse.market.store.candle_store import CandleStore, Written
from alpha_pulse.market.store.checking import Problem, check_stored
from alpha_pulse.market.store.downloading import DownloadRequest
from alpha_pulse.market.store.downloading import download as download_whole
from alpha_pulse.market.store.ranges import stored_feed
from alpha_pulse.market.store.series import Market, Series, series_of
from alpha_pulse.market.store.sources import Backoff

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FEB = 1_706_745_600_000  # 2024-02-01 00:00 UTC
NOW = FEB + 10 * HOUR + 17 * MINUTE + 30_000
SINCE = FEB - 20 * HOUR
BTC = hedge_pair("BTCUSDT")
QUICK = Backoff(attempts=4, first_s=0.01, longest_s=0.02)
PERP = series_of("BTCUSDT", Market.PERP, "1m")


class StandingClock:
    """Stands still, so that the exchange makes up the same candles each time; the exchange's loop and ours wait as usual."""

    def __init__(self, ms):
        self.ms = ms

    def now_ms(self):
        return self.ms

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


@pytest.fixture
def clock():
    return StandingClock(NOW)


@pytest.fixture
async def fake(clock):
    async with FakeExchange.running(clock=clock) as running:
        yield running


@pytest.fixture
def store(tmp_path):
    return CandleStore(tmp_path / "data")


async def download(store, request, clock, **options):
    return await download_whole(store, request, clock, **({"backoff": QUICK} | options))


def request_of(fake, **changes):
    return DownloadRequest(**({"pair": BTC, "timeframe": "1m", "since_ms": SINCE, "rest_url": fake.rest_url} | changes))


async def test_spot_perp_mark_and_funding_are_stored_whole_without_the_running_bar(fake, store, clock):
    shares = {}
    fetched = await download(store, request_of(fake), clock, on_progress=lambda series, share: shares.setdefault(series, []).append(share))
    bars = (NOW - SINCE) // MINUTE
    assert {one.series.market: one.written.added for one in fetched} == {
        Market.SPOT: bars,
        Market.PERP: bars,
        Market.MARK: bars,
        Market.FUNDING: 4,  # 08:00, 16:00, 00:00, 08:00
    }
    for one in fetched:
        assert check_stored(store, one.series).findings == ()
        assert shares[one.series] == sorted(shares[one.series])
        assert shares[one.series][-1] == 1.0
    assert store.months(PERP) == ["2024-01", "2024-02"]
    stored = store.stored(PERP)
    assert (stored.first_ms, stored.last_ms, stored.exchange) == (SINCE, NOW - 30_000 - MINUTE, "binanceusdm")
    assert store.stored(series_of("BTCUSDT", Market.SPOT, "1m")).exchange == "binance"
    assert fake.door.counts["GET /fapi/v1/klines"] > 1  # in pages


async def test_a_second_run_goes_on_after_the_last_bar_and_reads_only_the_months_tail_again(fake, store, clock):
    await download(store, request_of(fake), clock)
    asked = fake.door.counts["GET /fapi/v1/klines"]
    clock.ms += 2 * HOUR
    (again,) = await download(store, request_of(fake, markets=(Market.PERP,)), clock)
    assert again.written == Written(added=120, replaced=10 * 60 + 17, files=1)  # February until the last bar; January was complete
    assert fake.door.counts["GET /fapi/v1/klines"] - asked == 2
    assert check_stored(store, PERP).findings == ()


async def test_nothing_new_adds_nothing(fake, store, clock):
    await download(store, request_of(fake), clock)
    again = await download(store, request_of(fake), clock)
    assert [(one.written.added, one.written.changed, one.written.files) for one in again] == [(0, 0, 0)] * 4


async def test_what_is_stored_is_a_feed_at_once(fake, store, clock):
    await download(store, request_of(fake), clock)
    feed = stored_feed(store, "BTCUSDT", "1m", start_ms=FEB, warm_up_ms=HOUR)
    await feed.open(BTC, builtin_instrument(BTC))
    assert feed.expected("BTCUSDT") == 10 * 60 + 17
    assert (await feed.next("BTCUSDT")).settled_rate is not None
    assert feed.gaps == ()


async def test_an_earlier_start_fetches_only_what_is_missing_in_front(fake, store, clock):
    await download(store, request_of(fake, since_ms=FEB, until_ms=FEB + HOUR, markets=(Market.PERP,)), clock)
    (front,) = await download(store, request_of(fake, since_ms=FEB - HOUR, until_ms=FEB + HOUR, markets=(Market.PERP,)), clock)
    assert front.written == Written(added=60, files=1)


async def test_a_coin_in_thousands_is_stored_as_each_market_counts_it(fake, store, clock):
    pepe = hedge_pair("PEPEUSDT")
    await download(store, request_of(fake, pair=pepe, since_ms=FEB), clock)
    feed = stored_feed(store, "PEPEUSDT", "1m")
    await feed.open(pepe, builtin_instrument(pepe))
    update = await feed.next("1000PEPEUSDT")
    assert update.spot.close == pytest.approx(update.perp.close, rel=1e-3)


@pytest.mark.parametrize(
    "kind",
    ["rate_limit", "status", "truncate", "cut", "html", "empty", "drop_before", "nulls", "nan", "missing_last_row", "duplicate_rows"],
)
async def test_a_request_that_fails_for_now_is_repeated(fake, store, clock, kind):
    times = 1 if kind in {"nulls", "nan"} else 2  # of these ccxt makes an empty page, which is believed the second time
    fake.control.fault("GET /fapi/v1/klines", kind, times=times, seconds=1)
    (perp,) = await download(store, request_of(fake, markets=(Market.PERP,)), clock)
    assert perp.written.added == (NOW - SINCE) // MINUTE
    assert check_stored(store, PERP).findings == ()


async def test_what_had_come_before_an_outage_is_stored_and_the_next_run_goes_on(fake, store, clock):
    until_the_outage = []

    def outage(series, share):
        if share > 0.4 and not until_the_outage:
            until_the_outage.append(share)
            fake.control.unreachable(60)

    with pytest.raises(Transient):
        await download(store, request_of(fake, markets=(Market.PERP,)), clock, on_progress=outage)
    had = store.stored(PERP).rows
    assert 0 < had < (NOW - SINCE) // MINUTE
    fake.control.clear()
    (perp,) = await download(store, request_of(fake, markets=(Market.PERP,)), clock)
    assert perp.written.added == (NOW - SINCE) // MINUTE - had
    assert check_stored(store, PERP).findings == ()


async def test_an_exchange_whose_clock_is_behind_decides_which_bars_have_closed(fake, store, clock):
    ahead = StandingClock(NOW + 5 * MINUTE)
    await download(store, request_of(fake, markets=(Market.PERP,)), ahead)
    assert store.stored(PERP).last_ms == NOW - 30_000 - MINUTE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exchange_id": "binanceusdx"}, "ccxt knows no such exchange.*did you mean binanceusdm"),
        ({"pair": hedge_pair("DOGEUSDT")}, "the exchange lists no such perpetual|does not list DOGE/USDT"),
        ({"timeframe": "7m"}, "is no timeframe that is known here"),
        ({"since_ms": NOW + DAY}, "there is nothing yet"),
        ({"markets": (Market.TRADES,)}, "is not downloaded, only imported"),
    ],
)
async def test_what_cannot_be_downloaded_is_named(fake, store, clock, changes, words):
    with pytest.raises(ConfigError, match=words):
        await download(store, request_of(fake, **changes), clock)
    assert not store.root.exists()


async def test_a_store_of_another_exchange_is_not_mixed_with_this_one(fake, store, clock):
    await download(store, request_of(fake, markets=(Market.PERP,)), clock)
    rows = store.read(PERP)
    with pytest.raises(ConfigError, match="from binanceusdm"):
        store.write(PERP, rows, exchange="okx")


async def test_funding_of_two_years_comes_in_pages(fake, store, clock):
    (funding,) = await download(store, request_of(fake, since_ms=FEB - 730 * DAY, markets=(Market.FUNDING,)), clock)
    assert funding.written.added == 730 * 3 + 2
    assert fake.door.counts["GET /fapi/v1/fundingRate"] > 2
    assert check_stored(store, Series("BTCUSDT", Market.FUNDING)).findings == ()


async def test_two_mangled_answers_in_a_row_leave_a_gap_that_is_listed_and_can_be_filled(fake, store, clock):
    """Of a mangled answer ccxt makes an empty page. The day has candles, so that only a part of it is passed over."""
    fake.control.fault("GET /fapi/v1/klines", "nulls", times=2, after=1)
    await download(store, request_of(fake, markets=(Market.PERP,)), clock)
    (gap,) = check_stored(store, PERP).findings
    assert (gap.problem, gap.count) == (Problem.GAP, 100)
    (filled,) = await download(store, request_of(fake, markets=(Market.PERP,), until_ms=FEB, fill_gaps=True), clock)
    assert filled.written == Written(added=100, files=1)
    assert check_stored(store, PERP).findings == ()
