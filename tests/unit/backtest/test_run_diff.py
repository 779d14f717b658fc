"""Two finished runs beside each other."""

from __future__ import annotations

import json

import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.run_diff import diff_runs, read_run
from alpha_pulse.backtest.run_diff_view import diff_grids, diff_html
from alpha_pulse.backtest.writers import write_run
from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.testing.records import RecordBuilder


def written(folder, *, second="101", settings=None):
    built = RecordBuilder(settings=settings or {"hedge": {"ratio": 0.5}, "store": {"url": str(folder)}})
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    built.fill(Side.SELL, "0.1", second)
    for price in (101.0, 99.0):
        built.bar(price)
    bars = Bars.of(built.record)
    write_run(built.record, summarise(built.record, bars, paths_of(built.record, bars)), folder)
    return read_run(folder)


def grids_of(diff, **options):
    return {grid.title: grid for grid in diff_grids(diff, **options)}


def test_a_run_does_not_differ_from_itself(tmp_path):
    diff = diff_runs(written(tmp_path / "a"), written(tmp_path / "b"))
    assert diff.same
    assert diff.settings == {}  # where the store lies changes no result
    assert diff.fills.common == 2
    shown = grids_of(diff)
    assert "Settings that differ" not in shown
    assert shown["Fills"].note == "The fills are the same."


def test_settings_figures_and_fills_that_differ_are_named(tmp_path):
    a = written(tmp_path / "a")
    b = written(tmp_path / "b", second="102", settings={"hedge": {"ratio": 0.6, "sizer": "blend"}})
    diff = diff_runs(a, b)
    assert not diff.same
    assert diff.settings == {"hedge.ratio": (0.5, 0.6), "hedge.sizer": (None, "blend")}
    before, after = diff.figures["hedge_pnl"]
    assert after - before == pytest.approx(0.1, abs=0.001)
    assert (diff.fills.common, len(diff.fills.only_a), len(diff.fills.only_b)) == (1, 1, 1)
    assert diff.fills.first == "2025-06-01T00:02:00.000Z"
    shown = grids_of(diff)
    assert shown["Settings that differ"].rows == (("hedge.ratio", "0.5", "0.6"), ("hedge.sizer", "null", "blend"))
    assert shown["Figures"].rows[0][3] == "+0.10"
    assert [row[-1] for row in shown["The first fills that differ"].rows] == ["a", "b"]
    assert len(grids_of(diff, everything=True)["Figures"].rows) > len(shown["Figures"].rows)
    machine = diff.as_json()
    assert machine["fills"] == {"common": 1, "only_a": 1, "only_b": 1, "first_difference": "2025-06-01T00:02:00.000Z"}
    assert "bars" not in machine["figures"]


def test_another_market_is_said_first(tmp_path):
    a, b = written(tmp_path / "a"), written(tmp_path / "b")
    other = read_run(tmp_path / "b")
    result = json.loads((tmp_path / "b" / "result.json").read_text()) | {"source": "another"}
    (tmp_path / "b" / "result.json").write_text(json.dumps(result))
    other = read_run(tmp_path / "b")
    assert diff_runs(a, b).market == {}
    assert diff_runs(a, other).market == {"source": ("a made-up path", "another")}
    assert diff_grids(diff_runs(a, other))[0].title == "Not the same market"


def test_the_page_is_self_contained_and_its_text_is_inert(tmp_path):
    a = written(tmp_path / "a")
    b = written(tmp_path / "b", settings={"hedge": {"ratio": "<script>alert(1)</script>"}})
    diff = diff_runs(a, b)
    page = diff_html(diff, diff_grids(diff))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "cannot be read"),
        ("[]", "is no result of a run"),
        ('{"schema": 99}', "written by a newer version"),
        ('{"a": 1}', "is no result"),
    ],
)
def test_a_result_that_cannot_be_trusted_is_refused(tmp_path, content, problem):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(ConfigError, match=problem):
        read_run(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no result"):
        read_run(tmp_path)
    with pytest.raises(ConfigError, match="is no folder of a run"):
        read_run(tmp_path / "nowhere")
    written(tmp_path / "a")
    (tmp_path / "a" / "fills.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ConfigError, match="holds no fills of a run"):
        read_run(tmp_path / "a")
    (tmp_path / "a" / "fills.csv").unlink()
    with pytest.raises(ConfigError, match=r"fills.csv: is missing"):
        read_run(tmp_path / "a")
