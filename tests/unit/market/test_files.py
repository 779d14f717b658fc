import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import Gap, iso, read_candles, read_funding

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
MINUTE = 60_000
HEADER = "timestamp,open,high,low,close,volume"


def rows(count=5, *, step=MINUTE, start=START):
    return [[start + i * step, 100.0 + i, 102.0 + i, 99.0 + i, 101.0 + i, 5.0] for i in range(count)]


def write(path, lines, header=HEADER):
    path.write_text("\n".join([header, *(line if isinstance(line, str) else ",".join(map(str, line)) for line in lines)]) + "\n")
    return path


@pytest.fixture
def csv_file(tmp_path):
    return tmp_path / "perp.csv"


def test_a_csv_file_is_read_as_it_is(csv_file):
    candles = read_candles(write(csv_file, rows()))
    assert candles.step_ms == MINUTE
    assert candles.open_ms.tolist() == [START + i * MINUTE for i in range(5)]
    assert candles.columns[:, 1].tolist() == [101.0, 103.0, 100.0, 102.0, 5.0]
    assert candles.gaps == ()


@pytest.mark.parametrize(
    "stamp",
    [
        lambda ms: ms,
        lambda ms: ms // 1000,
        lambda ms: ms * 1000,
        lambda ms: ms * 1_000_000,
        lambda ms: iso(ms).replace(" ", "T") + ":00Z",
        iso,
        lambda ms: iso(ms) + ":00+00:00",
    ],
)
def test_time_stamps_may_come_in_every_usual_form(csv_file, stamp):
    lines = [[stamp(row[0]), *row[1:]] for row in rows()]
    assert read_candles(write(csv_file, lines)).open_ms.tolist() == [row[0] for row in rows()]


@pytest.mark.parametrize("header", ["date,o,h,l,c,vol", "open_time,Open,High,Low,Close,Volume", "\ufeffTIME,open,high,low,close,volume"])
def test_columns_may_be_called_by_their_usual_names(csv_file, header):
    assert read_candles(write(csv_file, rows(), header)).columns.shape == (5, 5)


def test_columns_may_come_in_any_order_among_others(csv_file):
    lines = [["x", row[5], row[4], row[3], row[2], row[1], row[0]] for row in rows()]
    candles = read_candles(write(csv_file, lines, "junk,volume,close,low,high,open,timestamp"))
    assert candles.columns[:, 0].tolist() == [100.0, 102.0, 99.0, 101.0, 5.0]


def test_mark_prices_need_no_volume(csv_file):
    lines = [row[:5] for row in rows()]
    assert read_candles(write(csv_file, lines, "timestamp,open,high,low,close"), volume=False).columns[4].tolist() == [0.0] * 5
    with pytest.raises(DataError, match="no column 'volume'"):
        read_candles(csv_file)


def test_blank_lines_are_no_rows(csv_file):
    lines = [rows()[0], "", *rows()[1:], "", ""]
    assert len(read_candles(write(csv_file, lines)).open_ms) == 5


def broken(row, column, value):
    lines = rows()
    lines[row - 1][column] = value
    return lines


@pytest.mark.parametrize(
    ("lines", "row", "words"),
    [
        (broken(3, 4, "nan"), 3, "close is missing or not finite"),
        (broken(3, 2, "inf"), 3, "high is missing or not finite"),
        (broken(2, 3, "0"), 2, "low is not above zero"),
        (broken(2, 1, "-5"), 2, "open is not above zero"),
        (broken(4, 2, "50"), 4, "high is below"),
        (broken(4, 3, "150"), 4, "low is above"),
        (broken(5, 5, "-1"), 5, "volume is negative"),
        (broken(5, 5, "nan"), 5, "volume is missing"),
        (broken(3, 4, "abc"), 3, "could not convert"),
        (broken(3, 4, ""), 3, "could not convert"),
        (broken(3, 0, "yesterday"), 3, "Invalid isoformat"),
        (broken(3, 0, "nan"), 3, "time stamp is missing"),
        (broken(3, 0, START), 3, "not after the row's before"),
        (broken(3, 0, START + MINUTE), 3, "not after the row's before"),
        (broken(3, 0, START + 2 * MINUTE + 1000), 3, "off the file's grid"),
        (broken(3, 0, START // 1000), 3, "outside 2009 to 2100"),
        ([*rows()[:3], "1,2"], 4, "too few columns"),
        ([[*row[:2], "1e400", *row[3:]] for row in rows()], 1, "high is missing or not finite"),
    ],
)
def test_a_corrupt_row_is_named_with_the_reason(csv_file, lines, row, words):
    with pytest.raises(DataError, match=words) as caught:
        read_candles(write(csv_file, lines))
    assert caught.value.row == row
    assert f"{csv_file}, row {row}" in str(caught.value)
    assert f"`alpha-pulse data check {csv_file}`" in caught.value.fix


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "fewer than two rows"),
        (rows(1), "fewer than two rows"),
        (rows(step=90_000), "1.5 minutes apart"),
        (rows(step=4 * 3_600_000), "240 minutes apart"),
        (rows(step=1000), "minutes apart"),
        (rows(start=START + 7000), "whole minute"),
    ],
)
def test_a_file_without_a_usable_step_is_refused(csv_file, lines, words):
    with pytest.raises(DataError, match=words):
        read_candles(write(csv_file, lines))


def test_a_file_without_a_header_is_told_what_one_looks_like(csv_file):
    with pytest.raises(DataError, match="first line must be a header with timestamp, open"):
        read_candles(write(csv_file, rows()[1:], ",".join(map(str, rows()[0]))))
    csv_file.write_text("")
    with pytest.raises(DataError, match="found: nothing"):
        read_candles(csv_file)


def test_what_is_no_text_is_refused(csv_file):
    csv_file.write_bytes(b"timestamp,open\n\xff\xfe\x00\x80\x80")
    with pytest.raises(DataError, match="not text"):
        read_candles(csv_file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(ConfigError, match="no such file"):
            read_candles(path)


def test_gaps_are_listed_and_nothing_is_filled(csv_file):
    lines = [row for i, row in enumerate(rows(20)) if i not in {3, 10, 11, 12}]
    candles = read_candles(write(csv_file, lines))
    assert len(candles.open_ms) == 16
    assert candles.gaps == (
        Gap(str(csv_file), START + 3 * MINUTE, START + 3 * MINUTE, 1),
        Gap(str(csv_file), START + 10 * MINUTE, START + 12 * MINUTE, 3),
    )


def test_funding_that_jitters_is_rounded_to_the_minute(tmp_path):
    hours = [0, 8, 16]
    lines = [[START + h * 3_600_000 + jitter, 0.0001] for h, jitter in zip(hours, (3, 12_000, -2000), strict=True)]
    funding = read_funding(write(tmp_path / "funding.csv", lines, "funding_time,funding_rate"))
    assert funding.settled_ms.tolist() == [START + h * 3_600_000 for h in hours]
    assert funding.rates.tolist() == [0.0001] * 3


@pytest.mark.parametrize(
    ("lines", "row", "words"),
    [
        ([[START, 0.0001], [START + 10_000, 0.0001]], 2, "not after"),
        ([[START, 0.0001], [START + 3_600_000, "nan"]], 2, "no fraction"),
        ([[START, 1.5], [START + 3_600_000, 0.0]], 1, "no fraction"),
    ],
)
def test_corrupt_funding_is_named(tmp_path, lines, row, words):
    with pytest.raises(DataError, match=words) as caught:
        read_funding(write(tmp_path / "funding.csv", lines, "timestamp,rate"))
    assert caught.value.row == row


def parquet(path, **changes):
    names = HEADER.split(",")
    table = dict(zip(names, map(list, zip(*rows(), strict=True)), strict=True)) | changes
    pq.write_table(pa.table(table), path)
    return path


def test_parquet_says_the_same_as_csv(tmp_path, csv_file):
    text, binary = read_candles(write(csv_file, rows())), read_candles(parquet(tmp_path / "perp.parquet"))
    assert np.array_equal(text.columns, binary.columns)
    assert np.array_equal(text.open_ms, binary.open_ms)


def test_parquet_timestamps_are_understood(tmp_path):
    stamps = pa.array([row[0] * 1000 for row in rows()], pa.timestamp("us", tz="UTC"))
    assert read_candles(parquet(tmp_path / "perp.parquet", timestamp=stamps)).open_ms[0] == START


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"close": [101.0, None, 103.0, 104.0, 105.0]}, "row 2: a value is missing"),
        ({"close": [101.0, math.nan, 103.0, 104.0, 105.0]}, "row 2: its close"),
        ({"timestamp": [iso(row[0]) for row in rows()]}, "neither numbers nor timestamps"),
    ],
)
def test_corrupt_parquet_is_named(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        read_candles(parquet(tmp_path / "perp.parquet", **changes))


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "perp.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="no Parquet file"):
        read_candles(path)
