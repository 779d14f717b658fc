"""A whole search on a short market, and what it leaves."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from alpha_pulse.backtest.search.candidate import candidate, given_values
from alpha_pulse.backtest.search.folds import Division
from alpha_pulse.backtest.search.result import SearchResult
from alpha_pulse.backtest.search.run import run_search
from alpha_pulse.backtest.search.search_console import render as show
from alpha_pulse.backtest.search.search_files import write_search
from alpha_pulse.backtest.search.search_grids import figures_grid, search_grids
from alpha_pulse.cli.template import render
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import load_settings
from tests.unit.backtest.search.searching import market_file, options, plan, settings_on

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def found(folder) -> SearchResult:
    settings = settings_on(market_file(folder))
    chosen = plan([*("hedge.amplitude=0,0.25,0.5", "hedge.ratio=0.2..0.9"), "hedge.max_ratio=0.6,1"])
    return run_search(options(settings, folder, chosen))


def template(found: SearchResult):
    base = given_values(found.options.settings)
    return lambda params: render(candidate(base, params))


def test_the_search_and_its_test_share_no_bar(found):
    fold = found.last.fold
    assert fold.train.stop + 24 == fold.test.start
    assert found.last.chosen.test.figures != found.last.chosen.train.figures
    assert len(found.last.chosen.test.daily.timing) == pytest.approx(19, abs=1)


def test_the_chosen_trial_runs_again_as_it_ran_in_the_search(found):
    chosen = found.last.chosen
    values = tuple(chosen.train.figures.of(one) for one in found.options.plan.objectives)
    assert values == chosen.trial.values
    assert chosen.trial in [trial for trial, _ in found.last.front]


def test_every_trial_is_accounted_for(found):
    fates = found.fates
    assert sum(fates.values()) == 12
    assert fates["refused"] == sum(count for _, count in found.reasons) > 0


def test_the_files_hold_ready_configurations_and_every_trial(found, folder):
    files = write_search(found, folder, template(found))
    best = load_settings(files["best.yaml"], environ={}).settings
    assert best.hedge.ratio == pytest.approx(float(str(found.last.chosen.trial.params["hedge.ratio"])), rel=1e-5)
    assert best.inventory.quantity == 2
    front = [load_settings(file, environ={}).settings for name, file in files.items() if name.startswith("pareto/")]
    assert len(front) == len(found.last.front)
    rows = list(csv.DictReader(files["trials.csv"].read_text().splitlines()))
    assert [row["fate"] for row in rows] == [trial.fate for trial in found.last.trials]
    assert all(row["reason"] for row in rows if row["fate"] == "refused")
    study = json.loads(files["study.json"].read_text())
    assert study["folds"][0]["chosen"]["trial"] == found.last.chosen.trial.number
    assert study["verdict"]["survives"] is found.verdict.survives


def test_old_configurations_of_the_front_do_not_stay_beside_new_ones(found, folder):
    stale = folder / "pareto" / "trial-9999.yaml"
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("old")
    write_search(found, folder, template(found))
    assert not stale.exists()


def test_timing_that_costs_leaves_a_configuration_that_does_not_move(found, folder):
    gate = found.verdict.gate
    assert gate is not None
    costly = replace(found, verdict=replace(found.verdict, gate=replace(gate, p_value=0.001), still=False))
    files = write_search(costly, folder, template(found))
    still = load_settings(files["static.yaml"], environ={}).settings
    assert (still.hedge.amplitude, still.hedge.amplitude_adverse) == (0.0, 0.0)
    assert "Set hedge.amplitude to 0" in files["best.yaml"].read_text()
    assert "Set hedge.amplitude to 0" in files["report.html"].read_text()
    assert "static.yaml" not in write_search(found, folder, template(found))


def test_the_report_stands_alone_and_escapes_what_it_is_given(found, folder):
    strange = replace(found, data=replace(found.data, source=HOSTILE))
    page = write_search(strange, folder, template(found))["report.html"].read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<svg" in page
    for grid in search_grids(found):
        assert grid.title in page


def test_the_assumptions_stand_above_what_was_found(found, folder):
    page = write_search(found, folder, template(found))["report.html"].read_text()
    assert page.index("What these figures assume") < page.index("Does it survive?")
    console = Console(file=io.StringIO(), width=200, color_system=None)
    show(found, {}, console)
    shown = console.file.getvalue()
    assert shown.startswith("Assumptions\nfill rule")
    assert "the perpetual's own price stands in" in shown
    assert "none was paid or received" in shown


def test_the_static_hedge_stands_beside_the_choice_in_every_figure_that_it_has(found):
    table = {row[0].removesuffix(" (searched for)"): row[-1] for row in figures_grid(found).rows}
    assert all(table[name] for name in ("effectiveness", "max_drawdown", "return", "sharpe"))
    assert table["timing"] == "0"


def test_a_walk_searches_each_training_and_tests_the_next_stretch(folder):
    settings = settings_on(market_file(folder))
    chosen = plan(objectives=["sharpe"], trials=4)
    division = Division(test=0.4, folds=2, rolling=True)
    walk = run_search(options(settings, folder, chosen, study="walk", division=division))
    assert [fold.study for fold in walk.folds] == ["walk-1-of-2", "walk-2-of-2"]
    assert walk.folds[0].fold.test.stop == walk.folds[1].fold.test.start
    assert walk.verdict.gate is not None
    assert walk.verdict.gate.periods == sum(len(fold.chosen.test.daily.timing) for fold in walk.folds)
    titles = [grid.title for grid in search_grids(walk)]
    assert "Walk-forward" in titles
    assert "Pareto front" not in titles
    assert "sharpe by trial" in write_search(walk, folder, template(walk))["report.html"].read_text()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"engine": "fast"}, "no engine"),
        ({"chosen": plan(objectives=["worst_decile"])}, "shorter than 30 days"),
        ({"chosen": plan(objectives=["hedge_effectivenes.1d:max"])}, r"write hedge_effectiveness\.1d"),
        ({"chosen": plan(["hedge.max_ratio=0.3,0.4"])}, "no trial could be run"),
    ],
)
def test_what_cannot_be_searched_on_this_market_is_refused_in_words(folder, changes, problem):
    settings = settings_on(market_file(folder))
    chosen = changes.pop("chosen", plan())
    with pytest.raises(ConfigError, match=problem):
        run_search(options(settings, folder, chosen, study=problem, **changes))
