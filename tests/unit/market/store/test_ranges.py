import numpy as np
import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import read_candles, read_funding
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.feed import StoredFeed
from alpha_pulse.market.store.ranges import StoredRange, stored_feed, stored_ranges
from alpha_pulse.market.store.series import Market, Rows, Series, series_of
from tests.unit.market.store.recordings import DAY, FEB, FUNDING, HOUR, JAN, MARK, MINUTE, PERP, SPOT, bars, rates

BTC = hedge_pair("BTCUSDT")
START = FEB - 2 * HOUR


@pytest.fixture
def store(tmp_path):
    store = CandleStore(tmp_path / "data")
    for series in (SPOT, PERP):
        store.write(series, bars(300, start=START))
    store.write(FUNDING, rates(6, start=FEB - 16 * HOUR))
    return store


async def updates(feed, pair=BTC):
    await feed.open(pair, builtin_instrument(pair))
    found = []
    while (update := await feed.next(pair.name)) is not None:
        found.append(update)
    return found


async def test_a_stored_pair_is_a_feed_over_a_range_of_dates(store):
    store.write(MARK, bars(300, start=START, price=99.0, volume=False))
    feed = stored_feed(store, "btc/usdt", "1m", start_ms=FEB - 10 * MINUTE, end_ms=FEB + 10 * MINUTE, warm_up_ms=HOUR)
    found = await updates(feed)
    assert [update.open_ms for update in found] == [FEB + n * MINUTE for n in range(-10, 10)]
    assert [update.open_ms for update in found if update.settled_rate] == [FEB]
    assert found[0].funding_rate == 0.0001  # settled eight hours before the first bar
    assert found[0].mark.close < found[0].perp.close
    assert len(list(feed.history("BTCUSDT"))) == 60
    assert feed.gaps == ()


async def test_it_delivers_what_the_files_themselves_would(store, tmp_path):
    spot, perp, funding = (store.folder(series) for series in (SPOT, PERP, FUNDING))
    assert await updates(stored_feed(store, "BTCUSDT", "1m")) == await updates(RecordedFeed(spot, perp, funding))


async def test_other_months_are_not_even_opened(store):
    store.file(PERP, "2024-01").write_bytes(b"broken")
    store.file(SPOT, "2024-01").write_bytes(b"broken")
    store.file(FUNDING, "2024-02").unlink()
    store.write(FUNDING, rates(6, start=FEB))
    start = FEB + 30 * MINUTE
    assert len(await updates(stored_feed(store, "BTCUSDT", "1m", start_ms=start, end_ms=start + HOUR, warm_up_ms=0))) == 60


def test_a_folder_of_the_store_is_read_like_a_file(store):
    assert len(read_candles(store.folder(PERP)).open_ms) == 300
    assert len(read_funding(store.folder(FUNDING)).rates) == 6


def test_mark_prices_of_the_store_have_volume_zero(store):
    store.write(MARK, bars(10, volume=False))
    assert read_candles(StoredRange(store, MARK), volume=False).columns[4].tolist() == [0.0] * 10


def test_a_bar_that_cannot_be_is_named_by_its_time(store):
    rows = bars(10, start=START)
    rows.columns[1, 3] = 1.0
    store.write(PERP, rows)
    with pytest.raises(DataError, match=r"its high is below its open or close \(at 2024-01-31 22:03\).*alpha-pulse data check BTCUSDT"):
        read_candles(StoredRange(store, PERP))


def test_gaps_of_the_store_are_reported_and_not_filled(tmp_path):
    store = CandleStore(tmp_path)
    rows = bars(10)
    store.write(PERP, Rows(np.delete(rows.time_ms, 4), np.delete(rows.columns, 4, axis=1)))
    (gap,) = read_candles(StoredRange(store, PERP)).gaps
    assert gap == (str(store.folder(PERP)), JAN + 4 * MINUTE, JAN + 4 * MINUTE, 1)


def test_the_step_is_the_stored_one_even_where_most_bars_are_missing(tmp_path):
    store = CandleStore(tmp_path)
    rows = bars(10)
    store.write(PERP, Rows(rows.time_ms[::2], rows.columns[:, ::2]))
    assert read_candles(StoredRange(store, PERP)).step_ms == MINUTE


@pytest.mark.parametrize(
    ("timeframe", "missing", "words"),
    [("5m", "spot", r"holds no BTCUSDT spot 5m.*data download BTCUSDT --timeframe 5m"), ("1m", "perp", "holds no BTCUSDT perp 1m")],
)
def test_a_pair_that_is_not_stored_names_the_command_that_fetches_it(store, timeframe, missing, words):
    if missing == "perp":
        store.file(PERP, "2024-01").unlink()
        store.file(PERP, "2024-02").unlink()
    with pytest.raises(ConfigError, match=words):
        stored_feed(store.root, "BTCUSDT", timeframe)


async def test_a_range_that_is_empty_or_one_bar_long_gets_a_clear_error(store):
    with pytest.raises(ConfigError, match="ends before it starts"):
        stored_feed(store, "BTCUSDT", "1m", start_ms=FEB, end_ms=FEB)
    later = FEB + DAY
    with pytest.raises(ConfigError, match="holds no BTCUSDT perp 1m from 2024-02-02 00:00 until 2024-02-02 01:00"):
        await updates(stored_feed(store, "BTCUSDT", "1m", start_ms=later, end_ms=later + HOUR, warm_up_ms=0))
    feed = StoredFeed(store.root, "1m", start_ms=later)  # whose warm-up there would be
    with pytest.raises(ConfigError, match=r"no BTCUSDT perp 1m from 2024-02-02 00:00, only 2024-01-31 22:00 \.\. 2024-02-01 02:59"):
        await updates(feed)
    with pytest.raises(ConfigError, match=r"no BTCUSDT spot 1m from 2025-02-01 00:00, only 2024-01-31 22:00 \.\. 2024-02-01 02:59"):
        stored_feed(store, "BTCUSDT", "1m", start_ms=FEB + 366 * DAY)
    with pytest.raises(DataError, match="fewer than two rows"):
        await updates(stored_feed(store, "BTCUSDT", "1m", start_ms=FEB, end_ms=FEB + MINUTE, warm_up_ms=0))


def test_bars_longer_than_an_hour_are_stored_and_no_feed(tmp_path):
    store = CandleStore(tmp_path)
    daily = series_of("BTCUSDT", Market.PERP, "1d")
    store.write(daily, bars(10, step=DAY))
    with pytest.raises(DataError, match="1440 minutes apart"):
        read_candles(StoredRange(store, daily))


def test_only_what_is_there_is_offered(store):
    ranges = stored_ranges(store, "BTCUSDT", "1m", FEB, FEB + HOUR)
    assert set(ranges) == {Market.SPOT, Market.PERP, Market.FUNDING}
    assert ranges[Market.FUNDING].since_ms == FEB - DAY
    assert stored_ranges(store, "ETHUSDT", "1m") == {}
    assert ranges[Market.PERP].series == Series("BTCUSDT", Market.PERP, "1m")


async def test_recorded_data_pass_through_the_store_unchanged(market_data, tmp_path):
    store = CandleStore(tmp_path)
    files = {series: market_data / f"binance_{series.market}_BTCUSDT_1m_2025-05-20_2025-06-24.parquet" for series in (SPOT, PERP)}
    for series, path in files.items():
        candles = read_candles(path)
        store.write(series, Rows(candles.open_ms, candles.columns))
    start, end = 1_748_736_000_000, 1_748_736_000_000 + 6 * HOUR
    stored = await updates(stored_feed(store, "BTCUSDT", "1m", start_ms=start, end_ms=end))
    assert stored == await updates(RecordedFeed(files[SPOT], files[PERP], start_ms=start, end_ms=end))
    assert len(stored) == 360
