import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import read_candles, read_funding
from alpha_pulse.market.tables import plain, read_header, read_table

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
MINUTE = 60_000
NAMES = ("timestamp", "open", "high", "low", "close", "volume")


def table(count=4, start=START):
    at = np.arange(count, dtype=np.float64)
    return dict(zip(NAMES, (start + at * MINUTE, 100 + at, 102 + at, 99 + at, 101 + at, at + 1), strict=True))


def arrow(count=4, start=START):
    return pa.table({name: values.astype(np.int64) if name == "timestamp" else values for name, values in table(count, start).items()})


def test_feather_says_the_same_as_parquet(tmp_path):
    feather.write_feather(arrow(), tmp_path / "perp.feather")
    pq.write_table(arrow(), tmp_path / "perp.parquet")
    one, other = (read_candles(tmp_path / f"perp.{suffix}") for suffix in ("feather", "parquet"))
    assert np.array_equal(one.columns, other.columns)
    assert np.array_equal(one.open_ms, other.open_ms)


def test_a_folder_of_parquet_files_is_read_as_one_in_the_order_of_their_names(tmp_path):
    pq.write_table(arrow(3, START + 4 * MINUTE), tmp_path / "2024-02.parquet")
    pq.write_table(arrow(4), tmp_path / "2024-01.parquet")
    (tmp_path / ".half.parquet").write_bytes(b"")
    candles = read_candles(tmp_path)
    assert candles.open_ms.tolist() == [START + n * MINUTE for n in range(7)]
    assert candles.path == str(tmp_path)


def test_a_month_with_one_row_in_a_folder_is_no_reason_to_refuse_it(tmp_path):
    for name, start in (("2024-01", START), ("2024-02", START + 8 * 3_600_000)):
        pq.write_table(pa.table({"timestamp": [start], "rate": [0.0001]}), tmp_path / f"{name}.parquet")
    assert len(read_funding(tmp_path).rates) == 2


def test_columns_are_found_under_the_names_that_are_given(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("When,Open,open\n1,2,3\n4,5,6\n")
    assert read_header(path) == ["When", "Open", "open"]
    found = read_table(path, ("timestamp", "open"), named={"timestamp": "When", "open": "open"})
    assert found.tolist() == [[1.0, 4.0], [3.0, 6.0]]
    with pytest.raises(DataError, match="no column 'Shut'"):
        read_table(path, ("close",), named={"close": "Shut"})


CSV = {
    "plain": "timestamp,price\n1704067200000,0.1\n1704067260000,123456.789012345678\n",
    "with a mark, blanks and other line ends": "\ufefftimestamp, price \r\n 1704067200000 , 1e-7\r\n\r\n1704067260000,+.5\r\n\r\n",
    "quoted": '"timestamp","note","price"\n"1704067200000","a, b","7"\n1704067260000,"say ""c""",8\n',
    "with rows of more columns": "timestamp,price\n1704067200000,1,2\n1704067260000,3\n1704067320000,4,5,6\n",
    "with days among numbers": "timestamp,price\n1704067200000,1\n2024-01-01T00:01:00,2\n",
    "with digits in groups": "timestamp,price\n1704067200000,1\n1704067260000,1_000\n",
    "with a price that is none": "timestamp,price\n1704067200000,nan\n1704067260000,-inf\n",
    "with a header alone": "timestamp,price\n\n",
}


@pytest.mark.parametrize("name", CSV)
def test_numbers_read_in_bulk_are_those_read_cell_by_cell(tmp_path, name):
    path = tmp_path / "it.csv"
    path.write_text(CSV[name], encoding="utf-8", newline="")
    bulk, cells = (read_table(path, ("timestamp", "price"), lenient=lenient) for lenient in (False, True))
    assert bulk.tobytes() == cells.tobytes()
    assert bulk.shape == cells.shape


def test_the_row_that_is_no_number_is_named_however_many_were_read_in_bulk(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("timestamp,price\n" + "1704067200000,1\n" * 9_000 + "1704067200000,#2\n")
    with pytest.raises(DataError) as refused:
        read_table(path, ("timestamp", "price"))
    assert refused.value.row == 9_001


def test_a_lenient_reading_makes_nan_of_what_is_no_number(tmp_path):
    path = tmp_path / "it.csv"
    path.write_text("timestamp,open\n1,2\nx,y\n3\n")
    found = read_table(path, ("timestamp", "open"), lenient=True)
    assert np.array_equal(found, [[1.0, math.nan, 3.0], [2.0, math.nan, math.nan]], equal_nan=True)
    pq.write_table(pa.table({"timestamp": [1, None], "open": [None, 2.5]}), tmp_path / "it.parquet")
    found = read_table(tmp_path / "it.parquet", ("timestamp", "open"), lenient=True)
    assert np.array_equal(found, [[1.0, math.nan], [math.nan, 2.5]], equal_nan=True)
    with pytest.raises(DataError, match="row 2: a value is missing"):
        read_table(tmp_path / "it.parquet", ("timestamp", "open"))


@pytest.mark.parametrize("values", [[True, False], ["sell", "BUY"], [1.0, 0.0]])
def test_who_made_is_read_from_a_flag_or_the_side_that_took(tmp_path, values):
    pq.write_table(pa.table({"side": values}), tmp_path / "it.parquet")
    assert read_table(tmp_path / "it.parquet", ("buyer_is_maker",)).tolist() == [[1.0, 0.0]]


def test_a_column_of_words_is_no_price(tmp_path):
    pq.write_table(pa.table({"open": ["1", "2"]}), tmp_path / "it.parquet")
    with pytest.raises(DataError, match="its open is no number"):
        read_table(tmp_path / "it.parquet", ("open",))


def test_a_feather_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "it.feather").write_bytes(b"ARROW1 not really")
    for read in (read_header, read_candles):
        with pytest.raises(DataError, match="is no Feather file"):
            read(tmp_path / "it.feather")
    with pytest.raises(ConfigError, match="no such file"):
        read_header(tmp_path / "absent.feather")


def test_names_are_compared_without_case_blanks_and_hyphens():
    assert plain(" \ufeffOpen-Time ") == "open_time"
