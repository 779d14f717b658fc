"""Tables of a run for other programs."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.export import EXPORT_FORMATS, check_format, export_run, figures
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.errors import ConfigError
from alpha_pulse.testing.records import wandering_record


@pytest.fixture(scope="module")
def record():
    return wandering_record(days=2, seed=3)


def exported(record, folder, form):
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    return export_run(record, summarise(record, bars, paths), bars, paths, folder, form)


def test_csv_holds_every_bar_and_figure(record, tmp_path):
    files = exported(record, tmp_path, "csv")
    assert sorted(files) == ["bars.csv", "metrics.csv"]  # fills and funding are written by every run
    with files["bars.csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record.ts_ms)
    assert rows[0]["time"] == "2025-06-01T00:01:00.000Z"
    assert float(rows[-1]["mark"]) == record.mark[-1]
    assert {"hedged", "unhedged", "static"} <= set(rows[0])
    with files["metrics.csv"].open(newline="") as file:
        metrics = {row["figure"]: row["value"] for row in csv.DictReader(file)}
    assert float(metrics["trading.fills"]) == len(record.fills)
    assert metrics["account.hedged.cagr"] == ""  # two days carry none
    assert not any(name.startswith(("settings", "notes")) for name in metrics)


def test_parquet_holds_timestamps_and_numbers(record, tmp_path):
    files = exported(record, tmp_path, "parquet")
    assert sorted(files) == ["bars.parquet", "fills.parquet", "funding.parquet", "metrics.parquet"]
    fills = pq.read_table(files["fills.parquet"])
    assert fills.num_rows == len(record.fills)
    assert str(fills.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert fills.column("price").to_pylist() == [float(f.price) for f in record.fills]
    assert set(fills.column("side").to_pylist()) <= {"buy", "sell"}
    assert pq.read_table(files["bars.parquet"]).num_rows == len(record.ts_ms)


def test_json_holds_money_exactly_as_booked(record, tmp_path):
    files = exported(record, tmp_path, "json")
    fills = json.loads(files["fills.json"].read_text())
    assert fills["fee"] == [f"{f.fee:f}" for f in record.fills]
    assert fills["time"][0].endswith("Z")
    assert len(json.loads(files["funding.json"].read_text())["amount"]) == len(record.funding)


def test_a_format_that_is_none_is_refused_by_name():
    assert [check_format(name) for name in EXPORT_FORMATS] == list(EXPORT_FORMATS)
    with pytest.raises(ConfigError, match="--export = 'xlsx': is no format"):
        check_format("xlsx")


def test_figures_are_found_by_their_path():
    body = {"a": 1, "b": {"c": 2.5, "d": "text", "e": None, "f": True}, "g": [{"h": 3}]}
    assert dict(figures(body)) == {"a": 1.0, "b.c": 2.5, "b.e": None, "g.0.h": 3.0}
