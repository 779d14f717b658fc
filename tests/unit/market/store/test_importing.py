import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.store.candle_store import CandleStore, Written
from alpha_pulse.market.store.checking import Finding, Problem
from alpha_pulse.market.store.guessing import guess
from alpha_pulse.market.store.importing import propose, store_proposal
from alpha_pulse.market.store.series import Kind, Market, Rows, Series
from tests.unit.market.store.recordings import FUNDING, JAN, MINUTE, PERP, QUOTES, TRADES, bars, csv_of, rates


@pytest.fixture
def store(tmp_path):
    return CandleStore(tmp_path / "data")


def feather_of(rows, path):
    columns = {"date": pa.array(rows.time_ms, pa.timestamp("ms", tz="UTC"))}
    columns |= dict(zip(("open", "high", "low", "close", "volume"), map(pa.array, rows.columns), strict=True))
    feather.write_feather(pa.table(columns), path)
    return path


def test_csv_parquet_and_feather_store_the_same(store, tmp_path):
    rows = bars(100)
    text = csv_of(rows, tmp_path / "BTCUSDT_perp_1m.csv")
    binary = feather_of(rows, tmp_path / "BTC_USDT_USDT-1m-futures.feather")
    table = feather.read_table(binary)
    pq.write_table(table, tmp_path / "perp-BTCUSDT.parquet")
    for path in (text, binary, tmp_path / "perp-BTCUSDT.parquet"):
        proposal = propose(path)
        assert proposal.series == PERP
        assert np.array_equal(proposal.rows.time_ms, rows.time_ms)
        assert np.array_equal(proposal.rows.columns, rows.columns)
    assert store_proposal(store, propose(text)) == Written(added=100, files=1)
    assert store_proposal(store, propose(binary)) == Written(replaced=100)


@pytest.mark.parametrize(
    ("name", "pair", "market"),
    [
        ("BTC_USDT-1m.feather", "BTCUSDT", None),
        ("BTC_USDT_USDT-1h-mark", "BTCUSDT", Market.MARK),
        ("ETH_USDT_USDT-1m-futures", "ETHUSDT", Market.PERP),
        ("binance_spot_SOLUSDC_1m_2025-05-20", "SOLUSDC", Market.SPOT),
        ("1000PEPEUSDT-swap", "1000PEPEUSDT", Market.PERP),
        ("candles", None, None),
    ],
)
def test_pair_and_market_are_read_from_the_files_name(tmp_path, name, pair, market):
    guessed = guess(csv_of(bars(3), tmp_path / f"{name}.csv"))
    assert (guessed.pair, guessed.market, guessed.kind) == (pair, market, Kind.CANDLES)


@pytest.mark.parametrize(
    "header", ["date,o,h,l,c,vol", "Open Time,Open,High,Low,Close,Volume", "unix,open_price,high_price,low_price,close_price,v"]
)
def test_columns_go_by_many_names(tmp_path, header):
    proposal = propose(csv_of(bars(), tmp_path / "BTCUSDT-spot.csv", header))
    assert list(proposal.columns.values()) == header.split(",")
    assert proposal.guessed == ("timestamp", "open", "high", "low", "close", "volume")


def test_a_column_that_is_named_is_not_guessed(tmp_path):
    path = csv_of(bars(), tmp_path / "BTCUSDT-perp.csv", "timestamp,open,high,low,last,volume")
    with pytest.raises(DataError, match=r"no column 'close'.*--column close=NAME|holds nothing that is known"):
        propose(path)
    proposal = propose(path, named={"close": "last", "open": "open"})
    assert proposal.columns["close"] == "last"
    assert proposal.guessed == ("timestamp", "high", "low", "volume")


@pytest.mark.parametrize(("named", "words"), [({"opened": "open"}, "is no column of ours"), ({"open": "Opened"}, "has no such column")])
def test_a_column_that_is_named_wrongly_is_refused(tmp_path, named, words):
    with pytest.raises(ConfigError, match=words):
        propose(csv_of(bars(), tmp_path / "BTCUSDT-perp.csv"), named=named)


def test_a_file_that_does_not_say_what_it_is_must_be_told(tmp_path):
    path = csv_of(bars(), tmp_path / "mine.csv")
    with pytest.raises(ConfigError, match="does not say which pair"):
        propose(path)
    with pytest.raises(ConfigError, match="--market spot, --market perp"):
        propose(path, pair="btc/usdt")
    assert propose(path, pair="btc/usdt", market=Market.PERP).series == PERP
    with pytest.raises(ConfigError, match="is not a pair"):
        propose(path, pair="XXX")


def test_the_timeframe_is_read_from_the_rows(tmp_path):
    assert propose(csv_of(bars(step=5 * MINUTE), tmp_path / "BTCUSDT-perp.csv")).series.timeframe == "5m"
    with pytest.raises(DataError, match=r"rows are 7 minutes apart.*give bars of 1m"):
        propose(csv_of(bars(step=7 * MINUTE), tmp_path / "BTCUSDT-perp.csv"))


def test_funding_is_recognised_and_rounded_to_the_minute(store, tmp_path):
    jittered = Rows(rates().time_ms + 7, rates().columns)
    proposal = propose(csv_of(jittered, tmp_path / "BTCUSDT.csv", "calc_time,last_funding_rate"))
    assert (proposal.series, proposal.rows.time_ms.tolist()) == (FUNDING, rates().time_ms.tolist())


def test_trades_are_accepted_with_a_flag_a_side_or_neither(tmp_path):
    path = tmp_path / "BTCUSDT-trades.csv"
    path.write_text("time,price,qty,isBuyerMaker\n1704067200001,100,1,True\n1704067200001,101,2,false\n")
    assert propose(path).series == TRADES
    assert propose(path).rows.columns[2].tolist() == [1.0, 0.0]
    path.write_text("time,price,amount,side\n1704067200001,100,1,sell\n1704067200002,101,2,BUY\n")
    assert propose(path).rows.columns[2].tolist() == [1.0, 0.0]
    path.write_text("time,price,size\n1704067200001,100,1\n1704067200002,101,2\n")
    assert np.isnan(propose(path).rows.columns[2]).all()


def test_best_bid_and_ask_are_accepted_with_or_without_quantities(tmp_path):
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("ts,bid,ask\n1704067200001,100,101\n1704067200002,100,101\n")
    proposal = propose(path)
    assert proposal.series == QUOTES
    assert np.isnan(proposal.rows.columns[[1, 3]]).all()
    path.rename(tmp_path / "BTCUSDT-spot-quotes100ms.csv")
    assert propose(tmp_path / "BTCUSDT-spot-quotes100ms.csv").series == Series("BTCUSDT", Market.SPOT_QUOTES)


def test_gaps_disorder_and_duplicates_are_told_and_the_file_is_stored_sorted(store, tmp_path):
    rows = bars(8)
    order = [7, 6, 4, 3, 3, 2, 1, 0]
    proposal = propose(csv_of(Rows(rows.time_ms[order], rows.columns[:, order]), tmp_path / "BTCUSDT-perp.csv"))
    problems = {finding.problem: finding for finding in proposal.examined.findings}
    assert problems[Problem.GAP] == Finding(Problem.GAP, JAN + 5 * MINUTE, JAN + 5 * MINUTE, 1)
    assert problems[Problem.DUPLICATE].count == 1
    assert problems[Problem.UNSORTED].count == 7
    assert store_proposal(store, proposal) == Written(added=7, duplicates=1, files=1)
    assert store.read(PERP).time_ms.tolist() == np.delete(rows.time_ms, 5).tolist()


@pytest.mark.parametrize(
    ("column", "value", "words"), [(1, 90.0, "1 × high below low"), (3, 0.0, "not above zero"), (2, np.nan, "no number")]
)
def test_bars_that_cannot_be_are_refused_with_the_way_to_see_them(store, tmp_path, column, value, words):
    rows = bars()
    rows.columns[column, 4] = value
    path = csv_of(rows, tmp_path / "BTCUSDT-perp.csv")
    with pytest.raises(DataError, match=f"{words}.*2024-01-01 00:04.*alpha-pulse data check"):
        propose(path)
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds nothing that is known here"),
        ("timestamp,open,high,low,close,volume\n", "fewer than two rows"),
        ("timestamp,open,high,low,close,volume\n1704067200000,1,1,1,1,1\n", "fewer than two rows"),
        ("timestamp,open,high,low,close,volume\n1704067200000,1,1,1,x,1\n1704067260000,1,1,1,1,1\n", "row 1: cannot be read"),
        ("timestamp,open,high,low,close,volume\n5,1,1,1,1,1\n65,1,1,1,1,1\n", "row 1: its time stamp lies outside 2009 to 2100"),
        ("timestamp,open,high,low,close,volume\n1704067200000,1,1,1,1,1\n1704067200000,1,1,1,1,1\n", "0 minutes apart"),
    ],
)
def test_a_file_that_is_empty_short_or_corrupt_gets_a_clear_error(tmp_path, text, words):
    path = tmp_path / "BTCUSDT-perp.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        propose(path)


@pytest.mark.parametrize("suffix", ["parquet", "feather", "csv"])
def test_a_file_of_garbage_gets_a_clear_error(tmp_path, suffix):
    path = tmp_path / f"BTCUSDT-perp.{suffix}"
    path.write_bytes(b"\xff\xfe\x00garbage" * 20)
    with pytest.raises(DataError, match=r"is no (Parquet|Feather) file|is not text"):
        propose(path)
    with pytest.raises(ConfigError, match="no such file"):
        propose(tmp_path / f"absent.{suffix}")


def test_every_recorded_file_is_understood_by_its_name_and_columns(market_data):
    named = {"tick_binance_spot_BTCUSDT_2024-08-08T2354_quotes100ms": {"timestamp": "local_ns"}}  # spot's feed has no exchange time
    found = {}
    for path in market_data.glob("*.parquet"):
        if not path.name.startswith("l2_"):
            proposal = propose(path, named=named.get(path.stem))
            found[proposal.series.market] = found.get(proposal.series.market, 0) + 1
            assert proposal.series.pair in path.name
            assert not proposal.examined.refused
    kinds = {Market.SPOT: 6, Market.PERP: 9, Market.MARK: 2, Market.FUNDING: 5}
    ticks = dict.fromkeys((Market.TRADES, Market.QUOTES, Market.SPOT_TRADES, Market.SPOT_QUOTES), 1)
    assert found == kinds | ticks
