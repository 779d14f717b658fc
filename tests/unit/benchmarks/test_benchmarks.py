"""The benchmarks run and report; nothing here says how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import runs
from benchmarks.figures import AGAINST, COMPILING, DEMO, FIGURES, PEERS, REPLAY_MEMORY, REPLAY_RECORDED, SEARCH, Reading
from benchmarks.install import core_names, core_size, required
from benchmarks.latency import summary
from benchmarks.report import as_json, machine, machine_line, number, table


def test_a_quick_run_yields_every_figure(tmp_path: Path):
    file = tmp_path / "new" / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)]
    environment = {**os.environ, "ALPHA_PULSE_PEERS": str(tmp_path)}  # no peer is there
    done = subprocess.run(command, cwd=runs.ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    assert f"JSON: {file}" in done.stdout

    document = json.loads(file.read_text())
    assert document["quick"] is True
    assert document["machine"]["cores"] > 0
    rows = {row["name"]: row for row in document["figures"]}
    assert list(rows) == [figure.name for figure in FIGURES]
    peers = {figure.name for figure in (*PEERS.values(), *AGAINST.values())}
    for name, row in rows.items():
        assert name in done.stdout
        assert row["met"] is None, "a quick run judges nothing"
        if name == REPLAY_RECORDED.name and not runs.DATA.is_dir():
            assert row["not_measured"]
        elif name in peers:
            assert row["not_measured"].startswith("not installed")
        elif name in (COMPILING.name, SEARCH.name):
            assert row["not_measured"] == runs.ONLY_WHOLE
        elif "fill" not in name:  # two days of market may pass without one
            assert row["value"] > 0
            assert row["includes"]


def test_only_the_figures_that_were_asked_for_are_measured(tmp_path: Path):
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "core on", "--json", str(file)]
    subprocess.run(command, cwd=runs.ROOT, capture_output=True, timeout=60, check=True)  # noqa: S603 - our own
    rows = json.loads(file.read_text())["figures"]
    assert [row["name"] for row in rows] == ["core on disk"]
    assert rows[0]["met"] is (rows[0]["value"] <= rows[0]["goal"])


@pytest.mark.parametrize(
    ("values", "met", "shown"),
    [((70_000, 61_000, 50_000), True, "yes"), ((59_999,), False, "no (≥ 10,000)"), ((9_000,), False, "no"), ((), None, "no file")],
)
def test_more_is_better_for_speed_and_the_median_decides(values: tuple[float, ...], met: bool | None, shown: str):
    reading = Reading(REPLAY_MEMORY, values, "" if values else "no file")
    assert reading.met is met
    printed = StringIO()
    Console(width=160, file=printed).print(table([reading], quick=False))
    assert shown in printed.getvalue()


def test_less_is_better_for_time_and_without_a_goal_nothing_is_judged():
    assert Reading(DEMO, (60.0,)).met is True
    assert Reading(DEMO, (60.1,)).met is False
    assert Reading(replace(DEMO, goal=None), (1.0,)).met is None


def test_what_could_not_be_measured_says_why_in_the_json():
    row = as_json([Reading(DEMO, (), "no disk")], machine(), quick=False)["figures"][0]
    assert (row["value"], row["met"], row["repeats"], row["not_measured"]) == (None, None, [], "no disk")
    assert as_json([Reading(DEMO, (2.0, 1.0, 4.0))], {}, quick=False)["figures"][0]["value"] == 2.0


def test_a_measurement_whose_data_is_missing_is_not_run():
    def run(_: runs.Scale) -> runs.Measured:
        pytest.fail("it was run")

    readings = runs.Measurement((DEMO,), run, lambda: "no data").readings(runs.QUICK)
    assert [(reading.value, reading.missing) for reading in readings] == [(None, "no data")]


def test_each_peer_has_its_speed_and_how_many_times_as_fast_ours_is_or_why_not():
    measured = runs.against({"fixed spacing": 60e6, "fixed spacing, both sides": 30e6}, {"vectorbt": 3e6, "hftbacktest": "not installed"})
    assert measured == {
        PEERS["vectorbt"]: (3.0,),
        AGAINST["vectorbt", "fixed spacing"]: (20.0,),
        AGAINST["vectorbt", "fixed spacing, both sides"]: (10.0,),
        PEERS["hftbacktest"]: "not installed",
        AGAINST["hftbacktest", "fixed spacing"]: "not installed",
        AGAINST["hftbacktest", "fixed spacing, both sides"]: "not installed",
    }


def test_a_figure_that_one_run_lacks_says_why_beside_those_it_has():
    speed, ratio = PEERS["vectorbt"], AGAINST["vectorbt", "fixed spacing"]
    measurement = runs.Measurement((DEMO, speed, ratio), lambda _: {DEMO: (1.0,), speed: "not installed"})
    readings = measurement.readings(runs.QUICK)
    assert [(reading.value, reading.missing) for reading in readings] == [
        (1.0, ""),
        (None, "not installed"),
        (None, "it did not happen in this run"),
    ]
    printed = StringIO()
    Console(width=160, file=printed).print(table(readings, quick=False))
    assert "not installed" in printed.getvalue()


def test_the_machine_is_told_in_one_line():
    assert (
        machine_line({"cpu": "Z80", "cores": 1, "python": "3.11.0", "system": "CP/M", "load_before": None})
        == "Z80, 1 cores, Python 3.11.0, CP/M"
    )
    assert "\n" not in machine_line(machine())


@pytest.mark.parametrize(("value", "text"), [(61234.4, "61,234"), (99.96, "100.0"), (5.816, "5.82"), (0.0, "0.00"), (None, "")])
def test_numbers_show_three_digits(value: float | None, text: str):
    assert number(value) == text


def test_percentiles_are_values_that_occurred():
    assert summary([3000, 1000, 2000]) == {"count": 3, "median": 2.0, "p99": 3.0}
    assert summary(list(range(1000, 101_000, 1000))) == {"count": 100, "median": 50.0, "p99": 99.0}
    assert summary([]) == {"count": 0}


def test_the_core_is_what_is_required_without_extras():
    lines = ["numpy>=2", 'pyarrow; extra == "backtest"', 'greenlet; extra == "asyncio"', 'old; python_version < "3"']
    assert [need.name for need in required(lines, ())] == ["numpy"]
    assert [need.name for need in required(lines, ["asyncio"])] == ["numpy", "greenlet"]
    assert {"alpha-pulse", "numpy", "ccxt", "greenlet", "aiosqlite"} <= core_names()
    assert not {"pyarrow", "plotly", "pytest"} & core_names()
    assert core_size() > 50e6
