"""The files of a run."""

from __future__ import annotations

import csv
import math
import time
from decimal import Decimal

import numpy as np
import pytest

from alpha_pulse.backtest import writers
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import START_MS, RecordBuilder, wandering_record


@pytest.fixture(scope="module")
def record():
    return wandering_record(days=2, seed=9)


@pytest.fixture(scope="module")
def written(record, tmp_path_factory):
    return writers.write_run(record, summarise(record), tmp_path_factory.mktemp("run") / "deep" / "out")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_file_is_written_and_nothing_temporary_is_left(written):
    assert set(written) == {"result.json", "fills.csv", "funding.csv", "equity.csv", "decisions.csv", "report.html"}
    folder = written["fills.csv"].parent
    assert sorted(p.name for p in folder.iterdir()) == sorted(written)


def test_fills_begin_with_the_promised_columns_in_their_order(written, record):
    header = written["fills.csv"].read_text().splitlines()[0]
    assert header.startswith("time,side,price,quantity,fee,liquidity,client_order_id")
    table = rows(written["fills.csv"])
    assert len(table) == len(record.fills)
    for row, fill in zip(table, record.fills, strict=True):
        assert Decimal(row["price"]) == fill.price
        assert Decimal(row["quantity"]) == fill.quantity
        assert Decimal(row["fee"]) == fill.fee
        assert row["side"] in {"buy", "sell"}
        assert row["liquidity"] in {"maker", "taker"}
    assert table[0]["time"] == "2025-06-01T00:02:00.000Z"


def test_tiny_and_huge_decimals_are_written_out_in_full():
    built = RecordBuilder()
    built.fill(Side.SELL, Decimal("1E-7"), Decimal("1E+5"))
    built.bar(100.0)
    line = writers.fills_csv(built.record.fills).splitlines()[1]
    assert ",100000,0.0000001," in line


def test_funding_is_written_as_booked(written, record):
    table = rows(written["funding.csv"])
    assert [Decimal(r["amount"]) for r in table] == [p.amount for p in record.funding]
    assert table[0]["interval_h"] == "8"


def test_equity_holds_one_row_per_bar_and_the_same_net_worth(written, record):
    table = rows(written["equity.csv"])
    assert tuple(table[0]) == writers.EQUITY_COLUMNS
    assert len(table) == len(record.ts_ms)
    last = table[-1]
    assert last["time"] == "2025-06-03T00:00:00.000Z"
    assert float(last["hedged"]) == pytest.approx(record.wallet[-1] + record.unrealized[-1] + record.spot[-1], abs=1e-7)
    worst = max(float(r["drawdown_hedged"]) for r in table)
    assert worst == pytest.approx(summarise(record).hedged.max_drawdown.value, abs=1e-8)


def test_what_is_unknown_is_empty_in_equity():
    built = RecordBuilder(inventory="-1", wallet="50")
    built.bar(100.0, target=math.nan)
    bars = Bars.of(built.record)
    row = writers.equity_csv(bars, paths_of(built.record, bars)).splitlines()[1].split(",")
    cells = dict(zip(writers.EQUITY_COLUMNS, row, strict=True))
    assert cells["target"] == ""
    assert cells["drawdown_hedged"] == ""
    assert cells["hedged"] == "-50.0"


def test_beyond_fifty_thousand_bars_equity_shows_the_last_bar_of_each_hour():
    n = 50_001
    ts = START_MS + 60_000 * np.arange(1, n + 1)
    kept = writers.equity_rows(ts)
    assert (np.diff(ts[kept])[:-1] == 3_600_000).all()
    assert ts[kept[0]] == START_MS + 3_600_000
    assert kept[-1] == n - 1
    assert len(writers.equity_rows(ts[:-1])) == n - 1


def test_the_same_run_gives_the_same_bytes(record, written, tmp_path):
    again = writers.write_run(record, summarise(record), tmp_path)
    for name, path in written.items():
        assert path.read_bytes() == again[name].read_bytes()


def test_an_older_file_is_replaced_whole(record, tmp_path):
    (tmp_path / "fills.csv").write_text("x" * 1_000_000)
    path = writers.write_run(record, summarise(record), tmp_path)["fills.csv"]
    assert path.read_text().startswith("time,")


def test_a_folder_that_cannot_be_made_is_an_error_that_leaves_nothing(record, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="file"):
        writers.write_run(record, summarise(record), blocked / "out")
    (tmp_path / "out" / "result.json").mkdir(parents=True)
    with pytest.raises(OSError, match="result"):
        writers.write_run(record, summarise(record), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["result.json"]


def test_an_empty_run_of_trades_still_writes_its_headers():
    assert writers.fills_csv([]) == ",".join(writers.FILL_COLUMNS) + "\n"
    assert writers.funding_csv([]) == ",".join(writers.FUNDING_COLUMNS) + "\n"


def test_thirty_days_of_minutes_are_formatted_quickly(record):
    bars = Bars.of(record)
    n = 43_200
    index = np.resize(np.arange(len(bars.ts_ms)), n)
    month = Bars(bars.ts_ms[0] + 60_000 * np.arange(n), **{k: getattr(bars, k)[index] for k in Bars.__slots__ if k != "ts_ms"})
    begin = time.process_time()
    text = writers.equity_csv(month, paths_of(record, month))
    assert time.process_time() - begin < 2
    assert text.count("\n") == n + 1
