import math

import numpy as np
import pytest

from alpha_pulse.cli.data_tables import verdict
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.checking import Finding, Problem, check_file, check_stored, examine
from alpha_pulse.market.store.month_files import write_rows
from alpha_pulse.market.store.series import Market, Rows
from tests.unit.market.store.recordings import DAY, FEB, FUNDING, HOUR, JAN, MINUTE, PERP, bars, csv_of, rates


def at(number):
    return JAN + number * MINUTE


def findings(rows, *, market=Market.PERP, step=MINUTE, jump=0.1):
    return list(examine("it", market, step, rows.time_ms.astype(float), rows.columns, jump=jump).findings)


def broken(column, value, *numbers, count=10):
    rows = bars(count)
    rows.columns[column, list(numbers)] = value
    return rows


def test_sound_bars_have_no_findings():
    assert findings(bars(100)) == []


def test_gaps_are_listed_with_their_range_and_count_and_not_repaired(tmp_path):
    rows = bars(20)
    kept = Rows(np.delete(rows.time_ms, [3, 4, 5, 11]), np.delete(rows.columns, [3, 4, 5, 11], axis=1))
    assert findings(kept) == [Finding(Problem.GAP, at(3), at(5), 3), Finding(Problem.GAP, at(11), at(11), 1)]
    store = CandleStore(tmp_path)
    store.write(PERP, kept)
    examined = check_stored(store, PERP)
    assert (examined.count(Problem.GAP), examined.refused, examined.rows) == (4, False, 16)
    assert np.array_equal(store.read(PERP).columns, kept.columns)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (broken(1, 99.0, 4), [Finding(Problem.HIGH_BELOW_LOW, at(4), at(4), 1)]),
        (broken(1, 100.0, 4), [Finding(Problem.OUTSIDE, at(4), at(4), 1)]),
        (broken(2, 100.3, 4, 5), [Finding(Problem.OUTSIDE, at(4), at(5), 2)]),
        (broken(3, math.nan, 4), [Finding(Problem.NOT_FINITE, at(4), at(4), 1)]),
        (broken(4, math.inf, 4), [Finding(Problem.NOT_FINITE, at(4), at(4), 1)]),
        (broken(4, -1.0, 4), [Finding(Problem.NEGATIVE_VOLUME, at(4), at(4), 1)]),
        (broken(4, 0.0, 1, 2, 6), [Finding(Problem.ZERO_VOLUME, at(1), at(2), 2), Finding(Problem.ZERO_VOLUME, at(6), at(6), 1)]),
    ],
)
def test_bars_that_cannot_be_are_listed_run_by_run(rows, found):
    assert findings(rows) == found


def test_a_price_that_is_not_above_zero_is_listed():
    found = {one.problem for one in findings(broken(2, 0.0, 4))}
    assert found == {Problem.NOT_POSITIVE}
    assert Problem.NOT_POSITIVE in {one.problem for one in findings(broken(slice(0, 4), -5.0, 4))}


def test_volume_that_is_zero_on_every_bar_is_listed_and_mark_prices_have_none():
    assert findings(broken(4, 0.0, *range(10))) == [Finding(Problem.ZERO_VOLUME, at(0), at(9), 10)]
    assert findings(bars(volume=False), market=Market.MARK) == []


@pytest.mark.parametrize(
    ("step", "unfit"), [(3 * MINUTE, ""), (HOUR, ""), (4 * HOUR, "240 minutes"), (DAY, "1440"), (7 * MINUTE, "7 minutes")]
)
def test_bars_of_a_length_that_the_bot_does_not_run_on_are_said_to_be(tmp_path, step, unfit):
    examined = check_file(csv_of(bars(20, step=step), tmp_path / "BTCUSDT-perp.csv"))
    assert (examined.findings, examined.refused) == ((), bool(unfit))
    assert unfit in examined.unfit
    assert bool(unfit) == ("the bot cannot run on bars of" in verdict(examined))


@pytest.mark.parametrize("scale", [1000, 1_000_000, 1 / 1000])
def test_a_file_whose_time_stamps_change_their_unit_is_told_where_and_not_full_of_gaps(tmp_path, scale):
    rows = bars(20)
    times = np.where(np.arange(20) < 12, rows.time_ms, rows.time_ms * scale).astype(np.int64)
    examined = check_file(csv_of(Rows(times, rows.columns), tmp_path / "BTCUSDT-perp.csv"))
    assert examined.findings == (Finding(Problem.UNIT, at(12), at(19), 8),)
    assert (examined.rows, examined.refused) == (20, True)
    assert "8 × time in another unit" in verdict(examined)


def test_jumps_beyond_the_bound_are_listed_and_others_not():
    rows = bars(6)
    rows.columns[:4, 3:] *= 1.2
    assert findings(rows, jump=0.1) == [Finding(Problem.JUMP, at(3), at(3), 1)]
    assert findings(rows, jump=0.25) == []
    assert findings(broken(1, 130.0, 2), jump=0.1) == [Finding(Problem.JUMP, at(2), at(2), 1)]  # within one bar


def test_rows_out_of_order_and_times_given_twice_are_listed():
    rows = bars(6)
    turned = Rows(rows.time_ms[[0, 1, 3, 2, 4, 5]], rows.columns[:, [0, 1, 3, 2, 4, 5]])
    assert findings(turned) == [Finding(Problem.UNSORTED, at(2), at(2), 1)]
    twice = Rows(rows.time_ms[[0, 1, 1, 1, 2, 3]], rows.columns[:, [0, 1, 1, 1, 2, 3]])
    assert findings(twice) == [Finding(Problem.DUPLICATE, at(1), at(1), 2)]


def test_a_row_off_the_grid_is_listed_even_if_it_is_the_first():
    rows = bars(10)
    rows.time_ms[0] += 7_000
    assert Finding(Problem.OFF_GRID, at(0) + 7_000, at(0) + 7_000, 1) in findings(rows)


def test_a_missed_settlement_is_a_gap_and_a_changed_interval_is_none():
    rows = rates(9)
    kept = Rows(np.delete(rows.time_ms, 4), np.delete(rows.columns, 4, axis=1))
    assert findings(kept, market=Market.FUNDING, step=None) == [Finding(Problem.GAP, JAN + 32 * HOUR, JAN + 32 * HOUR, 1)]
    changed = Rows(JAN + HOUR * np.array([0, 4, 8, 12, 20, 28, 36]), np.zeros((1, 7)))
    assert findings(changed, market=Market.FUNDING, step=None) == []
    hourly = Rows(JAN + HOUR * np.array([0, 1, 2, 4, 5, 6]), np.zeros((1, 6)))
    assert findings(hourly, market=Market.FUNDING, step=None) == [Finding(Problem.GAP, JAN + 3 * HOUR, JAN + 3 * HOUR, 1)]


def test_a_rate_that_is_no_fraction_is_listed():
    assert [one.problem for one in findings(rates(rate=1.5), market=Market.FUNDING, step=None)] == [Problem.IMPOSSIBLE_RATE]


def test_crossed_quotes_and_worthless_trades_are_listed():
    times = JAN + np.arange(3)
    quotes = Rows(times, np.array([[100.0, 101.0, 100.0], [1.0] * 3, [100.1, 100.5, 100.1], [np.nan] * 3]))
    assert findings(quotes, market=Market.QUOTES, step=None) == [Finding(Problem.CROSSED, JAN + 1, JAN + 1, 1)]
    trades = Rows(times, np.array([[100.0, 100.0, 100.0], [1.0, 0.0, 1.0], [1.0, 0.0, np.nan]]))
    assert findings(trades, market=Market.TRADES, step=None) == [Finding(Problem.NOT_POSITIVE, JAN + 1, JAN + 1, 1)]


def test_a_row_in_another_months_file_is_listed(tmp_path):
    store = CandleStore(tmp_path)
    write_rows(store.file(PERP, "2024-01"), PERP, bars(4, start=FEB - 2 * MINUTE), "")
    assert check_stored(store, PERP).findings == (Finding(Problem.ELSEWHERE, FEB, FEB + MINUTE, 2),)


def test_a_file_with_cells_that_are_no_numbers_is_looked_through_to_its_end(tmp_path):
    path = csv_of(bars(10), tmp_path / "BTCUSDT-perp.csv")
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace("100.02,", "oops,", 1)
    lines[5] = "yesterday" + lines[5][13:]
    lines[8] = lines[8].rpartition(",")[0]
    path.write_text("\n".join(lines))
    examined = check_file(path)
    assert examined.count(Problem.NOT_FINITE) == 3
    assert Finding(Problem.GAP, at(4), at(4), 1) in examined.findings  # the row without a time
    assert examined.refused


@pytest.mark.parametrize("scale", [1000, 1 / 1000, 1 / 1_000_000])
def test_a_files_time_unit_is_recognised_although_its_first_row_is_broken(tmp_path, scale):
    rows = bars(10)
    path = csv_of(Rows((rows.time_ms / scale).astype(np.int64), rows.columns), tmp_path / "BTCUSDT-perp.csv")
    lines = path.read_text().splitlines()
    lines[1] = "0" + lines[1][lines[1].index(",") :]
    path.write_text("\n".join(lines))
    assert (check_file(path).last_ms, check_file(path).rows) == (at(9), 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds nothing that is known here; its columns: none"),
        ("timestamp,open,high,low,close,volume\n", "fewer than two rows"),
        ("timestamp,open,high,low,close,volume\n1704067200000,1,1,1,1,1\n", "fewer than two rows"),
        ("timestamp,open,high,low,close,volume\nx,1,1,1,1,1\ny,1,1,1,1,1\n", "no time stamp that can be read"),
        ("x,y,z\n1,2,3\n", "holds nothing that is known here"),
    ],
)
def test_a_file_that_cannot_be_checked_gets_a_clear_error(tmp_path, text, words):
    path = tmp_path / "it.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        check_file(path)


def test_columns_of_other_names_can_be_named(tmp_path):
    path = csv_of(bars(5), tmp_path / "it.csv", "when,first,high,low,last,volume")
    with pytest.raises(DataError, match=r"--column timestamp=NAME|holds nothing"):
        check_file(path)
    assert check_file(path, Market.PERP, named={"timestamp": "when", "open": "first", "close": "last"}).findings == ()


def test_a_stored_series_that_is_not_there_gets_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="holds no BTCUSDT perp 1m"):
        check_stored(CandleStore(tmp_path), PERP)


def test_the_recorded_data_have_the_gaps_that_their_readme_lists(market_data):
    examined = check_file(market_data / "binance_spot_BTCUSDT_1h_2023-01_2024-06.parquet")
    outage = 1_679_662_800_000  # 2023-03-24 13:00
    assert [one for one in examined.findings if one.problem is Problem.GAP] == [Finding(Problem.GAP, outage, outage, 1)]
    assert (examined.count(Problem.ZERO_VOLUME), examined.refused) == (1, False)
    assert check_file(market_data / "binance_funding_BTCUSDT_2023-01_2024-06.parquet").findings == ()
    perp = check_file(market_data / "binance_perp_BTCUSDT_5m_2023-07_2023-12.parquet")
    assert perp.count(Problem.ZERO_VOLUME) == 3
    assert perp.last_ms - perp.first_ms == 184 * DAY - 5 * MINUTE


def test_funding_of_the_store_is_checked_too(tmp_path):
    store = CandleStore(tmp_path)
    store.write(FUNDING, rates())
    assert check_stored(store, FUNDING).findings == ()
