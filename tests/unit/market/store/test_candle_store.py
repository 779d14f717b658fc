import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.store.candle_store import CandleStore, Written
from alpha_pulse.market.store.series import Market, Rows, Series, month_end, month_of, month_start, series_of
from tests.unit.market.store.recordings import DAY, FEB, FUNDING, HOUR, JAN, MARK, MINUTE, PERP, QUOTES, TRADES, bars, rates


@pytest.fixture
def store(tmp_path):
    return CandleStore(tmp_path / "data")


def same(a, b):
    return np.array_equal(a.time_ms, b.time_ms) and np.array_equal(a.columns, b.columns, equal_nan=True)


@pytest.mark.parametrize(("series", "rows"), [(PERP, bars()), (MARK, bars(volume=False)), (FUNDING, rates())])
def test_what_is_written_is_read_back(store, series, rows):
    assert store.write(series, rows) == Written(added=len(rows.time_ms), files=1)
    assert same(store.read(series), rows)


def test_a_month_is_one_file_and_a_pair_market_and_timeframe_one_folder(store):
    store.write(PERP, bars(120, start=FEB - HOUR))
    assert store.months(PERP) == ["2024-01", "2024-02"]
    assert store.file(PERP, "2024-02") == store.root / "BTCUSDT" / "perp" / "1m" / "2024-02.parquet"
    assert [len(store.month(PERP, month).time_ms) for month in store.months(PERP)] == [60, 60]
    assert same(store.read(PERP), bars(120, start=FEB - HOUR))


def test_the_file_says_its_units_and_where_it_comes_from(store):
    store.write(PERP, bars(), exchange="binanceusdm")
    schema = pq.read_schema(store.file(PERP, "2024-01"))
    assert {name: schema.field(name).metadata[b"unit"].decode() for name in ("timestamp", "open", "volume")} == {
        "timestamp": "milliseconds since the epoch, UTC, at which the bar opens",
        "open": "quote units per base unit",
        "volume": "base units",
    }
    about = {"schema": 1, "pair": "BTCUSDT", "market": "perp", "timeframe": "1m", "exchange": "binanceusdm"}
    assert json.loads(schema.metadata[b"alpha_pulse"]) == about


def test_a_later_write_wins_and_says_so(store):
    store.write(PERP, bars(10))
    other = bars(10, start=JAN + 5 * MINUTE, price=200.0)
    assert store.write(PERP, other) == Written(added=5, replaced=5, changed=5, files=1)
    assert same(store.read(PERP, JAN + 5 * MINUTE), other)
    assert str(store.write(PERP, other)) == "0 rows new, 10 written again (0 with other values)"


def test_writing_the_same_again_leaves_the_file_alone(store):
    store.write(PERP, bars())
    before = store.file(PERP, "2024-01").stat()
    assert store.write(PERP, bars()) == Written(replaced=10)
    assert store.file(PERP, "2024-01").stat().st_ino == before.st_ino


def test_rows_are_sorted_and_of_two_of_one_time_the_later_is_kept(store):
    rows = bars(4)
    shuffled = Rows(rows.time_ms[[2, 0, 3, 1, 0]], rows.columns[:, [2, 3, 3, 1, 0]])
    assert store.write(PERP, shuffled) == Written(added=4, duplicates=1, files=1)
    assert same(store.read(PERP), rows)


def test_several_trades_of_one_millisecond_are_all_kept_in_their_order(store):
    rows = Rows(np.array([JAN, JAN, JAN + 1]), np.array([[100.0, 100.1, 100.2], [1.0, 2.0, 3.0], [1.0, 0.0, np.nan]]))
    assert store.write(TRADES, rows) == Written(added=3, files=1)
    assert store.write(TRADES, rows) == Written(replaced=3)
    assert same(store.read(TRADES), rows)


def test_a_quantity_that_is_not_known_is_null_in_the_file_and_nan_in_memory(store):
    rows = Rows(np.array([JAN, JAN + 1]), np.array([[100.0, 100.1], [np.nan, 1.0], [100.2, 100.3], [2.0, np.nan]]))
    store.write(QUOTES, rows)
    assert pq.read_table(store.file(QUOTES, "2024-01")).column("bid_quantity").to_pylist() == [None, 1.0]
    assert same(store.read(QUOTES), rows)


def test_a_range_is_read_without_opening_other_months(store):
    store.write(PERP, bars(120, start=FEB - HOUR))
    store.file(PERP, "2024-01").write_bytes(b"broken")
    assert store.read(PERP, FEB + MINUTE, FEB + 3 * MINUTE).time_ms.tolist() == [FEB + MINUTE, FEB + 2 * MINUTE]
    with pytest.raises(DataError, match=r"2024-01\.parquet: is no Parquet file"):
        store.read(PERP, FEB - MINUTE)


def test_nothing_is_read_where_there_is_nothing(store):
    assert store.read(PERP).columns.shape == (5, 0)
    assert store.stored(PERP) is None
    assert list(store.contents()) == []
    assert not store.root.exists()


def test_prices_of_two_exchanges_do_not_mix(store):
    store.write(PERP, bars(), exchange="binanceusdm")
    with pytest.raises(ConfigError, match="from binanceusdm: prices of two exchanges do not mix"):
        store.write(PERP, bars(), exchange="bybit")
    store.write(PERP, bars(20))  # from somewhere unknown
    assert store.stored(PERP).exchange == "binanceusdm"


def test_the_contents_are_told_from_the_footers(store):
    store.write(PERP, bars(120, start=FEB - HOUR), exchange="okx")
    store.write(PERP, bars(10, start=FEB + DAY))
    store.write(FUNDING, rates())
    (store.root / "notes.txt").write_text("not ours")
    perp, funding = store.contents("BTCUSDT")
    assert (perp.series, perp.rows, perp.files, perp.exchange) == (PERP, 130, 2, "okx")
    assert (perp.first_ms, perp.last_ms, perp.missing) == (FEB - HOUR, FEB + DAY + 9 * MINUTE, 24 * 60 - 60)
    assert (funding.series, funding.rows, funding.missing) == (FUNDING, 6, None)
    assert list(store.contents("ETHUSDT")) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_other(store):
    store.write(PERP, bars())
    folder = store.folder(PERP)
    broken = Rows(bars(20).time_ms, bars(20).columns[:3])
    with pytest.raises(ValueError, match=r"concatenation|zip"):
        store.write(PERP, broken)
    assert [path.name for path in folder.iterdir()] == ["2024-01.parquet"]
    assert same(store.read(PERP), bars())


def test_a_half_written_file_of_a_crash_is_not_read(store):
    store.write(PERP, bars())
    (store.folder(PERP) / ".2024-01-abc.tmp").write_bytes(b"half")
    (store.folder(PERP) / "readme.parquet").write_bytes(b"not a month")
    assert store.months(PERP) == ["2024-01"]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\x00" * 100])
def test_a_corrupt_file_is_named_with_what_to_do(store, damage):
    store.write(PERP, bars())
    store.file(PERP, "2024-01").write_bytes(damage)
    for read in (store.read, store.stored, lambda series: store.write(series, bars())):
        with pytest.raises(DataError, match="download or import the month again"):
            read(PERP)


def test_a_series_with_a_corrupt_file_is_told_of_and_the_others_are_listed(store):
    store.write(PERP, bars())
    store.write(FUNDING, rates())
    store.file(PERP, "2024-01").write_bytes(b"PAR1")
    corrupt = []
    assert [one.series for one in store.contents(on_corrupt=corrupt.append)] == [FUNDING]
    assert [error.path for error in corrupt] == [str(store.file(PERP, "2024-01"))]
    with pytest.raises(DataError):
        list(store.contents())


def test_a_file_of_other_columns_is_refused(store):
    store.write(FUNDING, rates())
    store.folder(PERP).mkdir(parents=True)
    store.file(FUNDING, "2024-01").rename(store.file(PERP, "2024-01"))
    with pytest.raises(DataError, match="has the columns timestamp, rate, not timestamp, open"):
        store.read(PERP)


def test_candles_need_a_timeframe_and_the_rest_has_none():
    assert series_of("BTCUSDT", Market.FUNDING, "1m") == Series("BTCUSDT", Market.FUNDING)
    assert str(PERP) == "BTCUSDT perp 1m"
    with pytest.raises(ConfigError, match=r"one of 1m, 3m"):
        series_of("BTCUSDT", Market.PERP, "7m")


def test_months_follow_each_other_without_a_hole():
    month, ends = "2023-11", []
    for _ in range(15):
        assert month_of(month_start(month)) == month
        ends.append(month_end(month))
        month = month_of(month_end(month))
    assert ends == sorted(ends)
    assert month == "2025-02"
