import math

import pytest
from loguru import logger

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import read_candles
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.sanity import problem_with
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.ranges import StoredRange
from alpha_pulse.market.store.series import Market, Rows, series_of

BTC = hedge_pair("BTCUSDT")
START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
MINUTE = 60_000
HOUR = 3_600_000


def price_of(i):
    return 40_000.0 + 10.0 * i


def candles(path, numbers, *, shift=0.0, scale=1.0, step=MINUTE, start=START):
    lines = ["timestamp,open,high,low,close,volume"]
    for i in numbers:
        close = (price_of(i) + shift) * scale
        lines.append(f"{start + i * step},{close},{close + 5 * scale},{close - 5 * scale},{close},{3.0 / scale}")
    path.write_text("\n".join(lines) + "\n")
    return path


def rates(path, pairs):
    path.write_text("\n".join(["timestamp,rate", *(f"{ms},{rate}" for ms, rate in pairs)]) + "\n")
    return path


@pytest.fixture
def files(tmp_path):
    """Ten one-minute bars of spot (20 below the perpetual) and perpetual."""
    return {"spot": candles(tmp_path / "spot.csv", range(10), shift=-20.0), "perp": candles(tmp_path / "perp.csv", range(10))}


@pytest.fixture
def said():
    messages = []
    sink = logger.add(lambda message: messages.append(message.record), level="INFO")
    yield messages
    logger.remove(sink)


async def opened(files, *, pair=BTC, resume_after_ms=0):
    feed = RecordedFeed(**files)
    await feed.open(pair, builtin_instrument(pair), resume_after_ms=resume_after_ms)
    return feed


async def drain(feed, symbol="BTCUSDT"):
    bars = []
    while (bar := await feed.next(symbol)) is not None:
        bars.append(bar)
    return bars


async def test_bars_are_delivered_as_they_were_recorded(files):
    bars = await drain(await opened(files))
    assert len(bars) == 10
    assert all(problem_with(bar) == "" for bar in bars)
    bar = bars[3]
    assert (bar.open_ms, bar.close_ms) == (START + 3 * MINUTE, START + 4 * MINUTE)
    assert bar.perp == (40_030.0, 40_035.0, 40_025.0, 40_030.0, 3.0)
    assert bar.spot == (40_010.0, 40_015.0, 40_005.0, 40_010.0, 3.0)
    assert bar.index_price == 40_010.0
    assert bar.mark == bar.perp
    assert (bar.bid, bar.ask) == (40_030.0, 40_030.1)
    assert (bar.bid_depth, bar.ask_depth) == (0.0, 0.0)


async def test_without_funding_nothing_settles(files):
    bars = await drain(await opened(files))
    assert {bar.funding_rate for bar in bars} == {0.0}
    assert {bar.settled_rate for bar in bars} == {None}
    assert {bar.funding_interval_h for bar in bars} == {8.0}
    assert {bar.next_funding_ms for bar in bars} == {START + 8 * HOUR}


async def test_the_bid_is_rounded_down_to_a_tick(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", range(3), shift=0.07), "perp": candles(tmp_path / "p.csv", range(3), shift=0.07)}
    (bar, *_) = await drain(await opened(files))
    assert (bar.bid, bar.perp.close, bar.ask) == (40_000.0, 40_000.07, 40_000.1)


async def test_a_settlement_belongs_to_the_bar_that_it_opens_and_is_known_only_after(tmp_path):
    numbers = range(16 * 60 - 2, 16 * 60 + 3)
    settlements = [(START, 0.0001), (START + 8 * HOUR + 4, 0.0002), (START + 16 * HOUR - 3, -0.0003)]
    files = {
        "spot": candles(tmp_path / "s.csv", numbers),
        "perp": candles(tmp_path / "p.csv", numbers),
        "funding": rates(tmp_path / "f.csv", settlements),
    }
    bars = await drain(await opened(files))
    assert [bar.settled_rate for bar in bars] == [None, None, -0.0003, None, None]
    assert [bar.funding_rate for bar in bars] == [0.0002, 0.0002, -0.0003, -0.0003, -0.0003]
    assert [bar.next_funding_ms for bar in bars] == [START + 16 * HOUR] * 2 + [START + 24 * HOUR] * 3


async def test_before_the_first_settlement_the_rate_is_zero(tmp_path):
    numbers = range(3)
    files = {"spot": candles(tmp_path / "s.csv", numbers), "perp": candles(tmp_path / "p.csv", numbers)}
    files["funding"] = rates(tmp_path / "f.csv", [(START + MINUTE, 0.0001), (START + 4 * HOUR + MINUTE, 0.0002)])
    bars = await drain(await opened(files))
    assert [bar.funding_rate for bar in bars] == [0.0, 0.0001, 0.0001]
    assert [bar.settled_rate for bar in bars] == [None, 0.0001, None]
    assert bars[0].funding_interval_h == 4.0


async def test_an_interval_that_shortens_is_followed_and_a_missing_settlement_is_not_mistaken_for_one(tmp_path):
    hours = [0, 8, 16, 20, 24, 25, 26, 29]
    numbers = range(30)
    files = {"spot": candles(tmp_path / "s.csv", numbers, step=HOUR), "perp": candles(tmp_path / "p.csv", numbers, step=HOUR)}
    files["funding"] = rates(tmp_path / "f.csv", [(START + h * HOUR, 0.0001) for h in hours])
    bars = await drain(await opened(files))
    assert [bars[h].funding_interval_h for h in (0, 15, 19, 20, 24, 25, 28, 29)] == [8.0, 8.0, 8.0, 4.0, 4.0, 1.0, 1.0, 1.0]
    assert bars[20].next_funding_ms == START + 24 * HOUR
    assert [h for h in range(30) if bars[h].settled_rate is not None] == hours


async def test_a_missing_spot_bar_is_an_outage_valued_by_the_perpetuals_move(tmp_path, said):
    files = {"spot": candles(tmp_path / "s.csv", [0, 1, 4], shift=-100.0), "perp": candles(tmp_path / "p.csv", range(5))}
    feed = await opened(files)
    bars = await drain(feed)
    assert [bar.spot is None for bar in bars] == [False, False, True, True, False]
    assert bars[3].index_price == pytest.approx(39_910.0 * 40_030.0 / 40_010.0)
    assert bars[3].perp.close == 40_030.0
    (gap,) = feed.gaps
    assert (gap.first_ms, gap.last_ms, gap.missing) == (START + 2 * MINUTE, START + 3 * MINUTE, 2)
    warnings = [record["message"] for record in said if record["level"].name == "WARNING"]
    assert len(warnings) == 1
    assert "2 rows missing, 2024-01-01 00:02 .. 2024-01-01 00:03" in warnings[0]


async def test_during_an_outage_a_mark_file_gives_the_index(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", [0, 1, 3]), "perp": candles(tmp_path / "p.csv", range(4))}
    files["mark"] = candles(tmp_path / "m.csv", range(4), shift=-7.0)
    bars = await drain(await opened(files))
    assert bars[2].spot is None
    assert bars[2].index_price == bars[2].mark.close == 40_013.0
    assert bars[1].index_price == bars[1].spot.close


async def test_spot_that_starts_late_or_ends_early_is_an_outage_that_is_reported(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", [2, 3]), "perp": candles(tmp_path / "p.csv", range(6))}
    feed = await opened(files)
    bars = await drain(feed)
    assert [bar.spot is None for bar in bars] == [True, True, False, False, True, True]
    assert bars[0].index_price == bars[0].perp.close
    assert [gap.missing for gap in feed.gaps] == [2, 2]


async def test_where_the_mark_file_has_no_row_the_perpetual_stands_in(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", range(4)), "perp": candles(tmp_path / "p.csv", range(4))}
    files["mark"] = candles(tmp_path / "m.csv", [0, 1, 3], shift=-7.0)
    feed = await opened(files)
    bars = await drain(feed)
    assert [bar.mark.close - bar.perp.close for bar in bars] == [-7.0, -7.0, 0.0, -7.0]
    assert [gap.missing for gap in feed.gaps] == [1]


async def test_a_gap_in_the_perpetual_makes_the_next_update_come_later(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", range(6)), "perp": candles(tmp_path / "p.csv", [0, 1, 4, 5])}
    bars = await drain(await opened(files))
    assert [(bar.open_ms - START) // MINUTE for bar in bars] == [0, 1, 4, 5]


async def test_funding_that_settled_in_a_gap_is_paid_by_the_next_bar(tmp_path):
    numbers = [*range(7 * 60, 7 * 60 + 30), 17 * 60, 17 * 60 + 1]
    files = {"spot": candles(tmp_path / "s.csv", numbers), "perp": candles(tmp_path / "p.csv", numbers)}
    files["funding"] = rates(
        tmp_path / "f.csv", [(START, 0.5), (START + 8 * HOUR, 0.0001), (START + 16 * HOUR, 0.0002), (START + 24 * HOUR, 0.5)]
    )
    bars = await drain(await opened(files))
    assert [bar.settled_rate for bar in bars if bar.settled_rate is not None] == [pytest.approx(0.0003)]
    assert bars[30].settled_rate is not None


async def test_missing_mark_and_funding_are_said_once(files, said):
    feed = await opened(files)
    await feed.open(BTC, builtin_instrument(BTC))
    messages = [record["message"] for record in said]
    assert len([message for message in messages if "mark" in message]) == 1
    assert len([message for message in messages if "funding" in message]) == 1


async def test_many_gaps_are_counted_rather_than_listed(tmp_path, said):
    files = {"spot": candles(tmp_path / "s.csv", range(100)), "perp": candles(tmp_path / "p.csv", [i for i in range(100) if i % 4])}
    feed = await opened(files)
    assert len(feed.gaps) == 24
    assert any("24 gaps in all" in record["message"] for record in said)


@pytest.mark.parametrize("done", [0, 1, 4, 9, 10])
async def test_a_resumed_recording_goes_on_after_the_last_bar_and_knows_what_was_before(files, done):
    whole = await drain(await opened(files))
    feed = await opened(files, resume_after_ms=whole[done - 1].close_ms if done else 0)
    assert list(feed.history("BTC/USDT")) == whole[:done]
    assert await drain(feed) == whole[done:]


async def test_a_window_leaves_earlier_bars_to_warm_up_and_later_ones_out(files):
    feed = await opened(files | {"start_ms": START + 3 * MINUTE, "end_ms": START + 7 * MINUTE})
    assert [bar.open_ms for bar in feed.history("BTCUSDT")] == [START + i * MINUTE for i in range(3)]
    assert [bar.open_ms for bar in await drain(feed)] == [START + i * MINUTE for i in range(3, 7)]
    assert feed.latest("BTCUSDT").open_ms == START + 6 * MINUTE


async def test_a_window_beyond_the_data_is_empty(files):
    feed = await opened(files | {"start_ms": START + 100 * MINUTE, "end_ms": START + 2 * MINUTE})
    assert await feed.next("BTCUSDT") is None
    assert len(list(feed.history("BTCUSDT"))) == 2


async def test_chunks_join_without_a_seam(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", range(9000)), "perp": candles(tmp_path / "p.csv", range(9000))}
    bars = await drain(await opened(files))
    assert [bar.open_ms for bar in bars] == [START + i * MINUTE for i in range(9000)]


@pytest.mark.parametrize("which", ["spot", "mark"])
async def test_candles_of_another_step_are_refused_with_the_fix(files, tmp_path, which):
    files[which] = candles(tmp_path / "other.csv", range(10), step=5 * MINUTE)
    with pytest.raises(DataError, match=r"5 min, the perpetual's 1 min\. Fix: give candles of 1 min"):
        await opened(files)


async def test_spot_of_another_period_is_refused(files, tmp_path):
    files["spot"] = candles(tmp_path / "other.csv", range(10), start=START + 86_400_000)
    with pytest.raises(DataError, match="shares no time"):
        await opened(files)


async def test_mark_prices_of_another_period_are_refused(files, tmp_path):
    files["mark"] = candles(tmp_path / "mark.csv", range(10), start=START + 86_400_000)
    with pytest.raises(DataError, match=r"mark\.csv: it shares no time.*Fix: give recordings of the same period"):
        await opened(files)


async def test_mark_prices_that_the_store_has_of_another_period_are_done_without(files, tmp_path):
    store = CandleStore(tmp_path / "data")
    series = series_of("BTCUSDT", Market.MARK, "1m")
    other = read_candles(candles(tmp_path / "mark.csv", range(10), start=START + 86_400_000))
    store.write(series, Rows(other.open_ms, other.columns[:4]))
    feed = await opened(files | {"mark": StoredRange(store, series)})
    assert all(bar.mark == bar.perp for bar in await drain(feed))
    assert any(str(store.folder(series)) in remark and "10 rows missing" in remark for remark in feed.remarks)


async def test_spot_that_has_next_to_none_of_the_bars_is_refused(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", [28, 29, 30, 31]), "perp": candles(tmp_path / "p.csv", range(30))}
    with pytest.raises(DataError, match=r"s\.csv: it has 2 of the perpetual's 30 bars.*Fix: give recordings of the same period"):
        await opened(files)
    late = await opened(files | {"start_ms": START + 20 * MINUTE})  # a fifth of the bars that are delivered
    assert len(await drain(late)) == 10


async def test_remarks_say_what_the_delivered_bars_lack(tmp_path):
    files = {
        "spot": candles(tmp_path / "s.csv", [i for i in range(60) if i not in {5, 40, 41}]),
        "perp": candles(tmp_path / "p.csv", range(60)),
    }
    feed = await opened(files | {"start_ms": START + 30 * MINUTE, "end_ms": START + 120 * MINUTE})
    assert feed.remarks == (
        f"{files['spot']}: 2 rows missing, 2024-01-01 00:40 .. 2024-01-01 00:41",
        "No mark prices were given: the perpetual's own prices stand in for them",
        "No funding rates were given: no funding is paid or received",
        f"{files['perp']} ends at 2024-01-01 01:00, before the end that was asked for, 2024-01-01 02:00",
    )


async def test_spot_of_another_coin_is_refused(files, tmp_path):
    files["spot"] = candles(tmp_path / "other.csv", range(10), scale=0.05)
    with pytest.raises(DataError, match=r"0\.05 times"):
        await opened(files)


async def test_a_thousand_multiplied_coin_is_brought_to_the_perpetuals_units(tmp_path):
    pair = hedge_pair("PEPEUSDT")
    files = {"spot": candles(tmp_path / "s.csv", range(3), scale=5e-10), "perp": candles(tmp_path / "p.csv", range(3), scale=5e-7)}
    bars = await drain(await opened(files, pair=pair), "1000PEPEUSDT")
    assert bars[0].spot.close == pytest.approx(bars[0].perp.close)
    assert bars[0].spot.volume == pytest.approx(bars[0].perp.volume)
    assert bars[0].index_price == pytest.approx(0.02)
    assert math.isclose(bars[0].ask - bars[0].bid, 1e-7)


async def test_a_price_under_one_tick_is_refused(tmp_path):
    files = {"spot": candles(tmp_path / "s.csv", range(3), scale=1e-6), "perp": candles(tmp_path / "p.csv", range(3), scale=1e-6)}
    with pytest.raises(DataError, match="under one tick"):
        await opened(files)


async def test_the_same_files_serve_one_pair(files):
    feed = await opened(files)
    with pytest.raises(ConfigError, match="hold BTCUSDT"):
        await feed.open(hedge_pair("ETHUSDT"), builtin_instrument(hedge_pair("ETHUSDT")))
    with pytest.raises(ConfigError, match="open pairs: BTC/USDT:USDT"):
        await feed.next("ETHUSDT")
    assert await feed.instrument(BTC) is None
    await feed.close()
    await feed.close()
    with pytest.raises(ConfigError):
        feed.history("BTCUSDT").__next__()


@pytest.mark.market_data
async def test_real_recordings_are_delivered_whole(market_data):
    names = {kind: market_data / f"binance_{kind}_BTCUSDT_1m_2025-05-20_2025-06-24.parquet" for kind in ("spot", "perp")}
    feed = await opened(names | {"funding": market_data / "binance_funding_BTCUSDT_2025-05-20_2025-06-24.parquet"})
    bars = await drain(feed)
    assert len(bars) == 51_031
    assert feed.gaps == ()
    assert all(problem_with(bar) == "" for bar in bars)
    assert sum(bar.settled_rate is not None for bar in bars) == 106
    assert all(bar.settled_rate is None or bar.open_ms % (8 * HOUR) == 0 for bar in bars)


@pytest.mark.market_data
async def test_the_real_spot_outage_of_march_2023_is_seen_and_survived(market_data):
    names = {kind: market_data / f"binance_{kind}_BTCUSDT_1h_2023-01_2024-06.parquet" for kind in ("spot", "perp", "mark")}
    feed = await opened(names)
    out = [bar for bar in await drain(feed) if bar.spot is None]
    assert [bar.open_ms for bar in out] == [1_679_662_800_000]
    assert out[0].index_price == out[0].mark.close
    assert [gap.missing for gap in feed.gaps] == [1]
