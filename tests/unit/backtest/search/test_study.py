"""The loop that asks and tells, with a pool that computes nothing: repeatable, resumable, and honest about what it did not run."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
import pytest

from alpha_pulse.backtest.search.candidate import given_values, params_at
from alpha_pulse.backtest.search.evaluate import Daily, Job, Outcome
from alpha_pulse.backtest.search.importance import importances
from alpha_pulse.backtest.search.market_data import Part
from alpha_pulse.backtest.search.objectives import Figures
from alpha_pulse.backtest.search.storage import open_storage
from alpha_pulse.backtest.search.study import Plan, TrialLoop, finished, open_study
from alpha_pulse.backtest.search.trials import Trial
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings
from tests.unit.backtest.search.searching import plan

SETTINGS = Settings()
PART = Part(0, 900)
ABOUT = {"data": "these"}


class Bowl:
    """A pool whose runs are a formula: effectiveness rises with the ratio, cost with the amplitude; ``dies_after`` is a Ctrl-C."""

    def __init__(self, size: int = 1, dies_after: int | None = None) -> None:
        self.size = size
        self.rerun = 0
        self.jobs: list[Job] = []
        self._waiting: deque[Job] = deque()
        self._left = dies_after

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._waiting.append(job)

    def take(self) -> tuple[Job, Outcome]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        job = self._waiting.popleft()
        hedge = job.settings.hedge
        if hedge.band_over > 0.15:
            return job, Outcome(error="this cannot be run")
        values = {"hedge_effectiveness.1d": 1 - (1 - hedge.ratio) ** 2 - hedge.amplitude**2}
        if hedge.band_under < 0.09:
            values["cost_per_month_fraction"] = hedge.ratio + hedge.amplitude
        figures = Figures(values, {"cost_per_month_fraction": "there is none"})
        return job, Outcome(figures, Daily(timing=np.arange(3.0) * hedge.ratio), "replay", "")

    def close(self) -> None:
        self._waiting.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def search(folder: Path, chosen: Plan, pool: Bowl | None = None, name: str = "a") -> tuple[list[Trial], bool, list[Trial]]:
    told: list[Trial] = []
    with open_storage(None, folder) as storage:
        study = open_study(storage, name, chosen, ABOUT)
        loop = TrialLoop(study, chosen, given_values(SETTINGS), PART, pool or Bowl())
        whole = loop.run(told.append, params_at(SETTINGS, chosen.space))
        return finished(study), whole, told


def shape(trials: list[Trial]) -> list[tuple[object, ...]]:
    return [(t.key, t.fate, t.values) for t in trials]


@pytest.mark.parametrize("chosen", [plan(), plan(objectives=["effectiveness"], trials=14), plan(sampler="tpe")])
def test_equal_seeds_give_equal_trials_and_other_seeds_others(folder, chosen):
    first, again = search(folder, chosen, name="a")[0], search(folder, chosen, name="b")[0]
    other = search(folder, plan(objectives=[o.name for o in chosen.objectives], seed=8), name="c")[0]
    assert shape(first) == shape(again)
    assert len(first) == chosen.trials
    assert shape(other) != shape(first)[: len(other)]


@pytest.mark.parametrize("chosen", [plan(trials=14), plan(objectives=["effectiveness"], trials=14)])
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(folder, chosen):
    whole = search(folder, chosen, name="whole")[0]
    part, complete, _ = search(folder, chosen, Bowl(dies_after=7), name="cut")
    assert not complete
    assert 0 < len(part) < 14
    resumed, complete, told = search(folder, chosen, name="cut")
    assert complete
    assert shape(resumed) == shape(whole)
    assert len(told) == 14 - len(part)


def test_the_configuration_itself_is_tried_first_where_it_lies_in_the_space(folder):
    trials, _, told = search(folder, plan(["hedge.amplitude=0..0.5", "hedge.ratio=0.2..0.9"]))
    assert trials[0].params == {"hedge.amplitude": 0.25, "hedge.ratio": 0.5}
    assert [t.number for t in told] == list(range(12))


def test_an_invalid_combination_is_refused_with_its_reason_and_counts(folder):
    pool = Bowl()
    trials = search(folder, plan(["hedge.ratio=0.2..0.9", "hedge.max_ratio=0.5,1"], trials=30), pool)[0]
    refused = [t for t in trials if t.fate == "refused"]
    assert len(trials) == 30
    assert refused
    assert all("outside min_ratio" in t.reason and not t.values for t in refused)
    assert len(pool.jobs) == 30 - len(refused) - sum(t.same_as is not None for t in trials)


def test_a_run_that_fails_or_lacks_a_figure_is_refused_with_its_reason(folder):
    trials = search(folder, plan(["hedge.band_over=0.1,0.2", "hedge.band_under=0.05,0.09"], trials=16))[0]
    reasons = {t.reason for t in trials if t.fate == "refused"}
    assert reasons == {"this cannot be run", "no cost: there is none"}


def test_settings_that_were_run_are_not_run_again(folder):
    pool = Bowl()
    trials = search(folder, plan(["hedge.amplitude=0,0.25", "hedge.ratio=0.4,0.5"], trials=20), pool)[0]
    assert len(pool.jobs) == len({t.key for t in trials}) <= 4
    for trial in (t for t in trials if t.same_as is not None):
        assert trial.values == trials[trial.same_as].values
    more = Bowl()
    search(folder, plan(["hedge.amplitude=0,0.25", "hedge.ratio=0.4,0.5"], trials=30), more)
    assert len(more.jobs) + len(pool.jobs) <= 4


def test_several_workers_are_kept_busy_and_every_trial_comes_back_once(folder):
    pool = Bowl(size=4)
    trials = search(folder, plan(trials=25), pool)[0]
    assert sorted(t.number for t in trials) == list(range(25))


def test_with_pruning_only_the_best_third_goes_on_and_the_best_is_not_stopped(folder):
    pool = Bowl()
    trials = search(folder, plan(["hedge.ratio=0.2..1"], ["effectiveness"], trials=27, prune=True), pool)[0]
    stopped, done = ([t for t in trials if t.fate == fate] for fate in ("stopped", "done"))
    assert len(stopped) > len(done) > 0
    assert {job.part for job in pool.jobs} == {Part(0, 100), Part(0, 300), Part(0, 900)}
    assert sum(job.part.bars for job in pool.jobs) < 0.6 * 27 * 900
    best = max(t.values[0] for t in done)
    assert all(1 - (1 - float(str(t.params["hedge.ratio"]))) ** 2 - 0.0625 <= best for t in stopped)
    assert all(t.reason.startswith("after ") for t in stopped)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prune": True}, "single objective"),
        ({"trials": 0}, "1 at least"),
        ({"seed": -1}, "within 0"),
        ({"sampler": "grid"}, "no sampler"),
    ],
)
def test_what_cannot_be_searched_is_refused(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        plan(**changes).check()


def test_a_study_is_not_taken_up_for_something_else(folder):
    search(folder, plan(trials=2))
    with open_storage(None, folder) as storage:
        for other, about, what in ((plan(["hedge.ratio=0..1"]), ABOUT, "space"), (plan(), {"data": "others"}, "data")):
            with pytest.raises(ConfigError, match=f"was begun with another {what}"):
                open_study(storage, "a", other, about)


def test_trials_of_a_search_that_was_killed_are_given_up(folder):
    with open_storage(None, folder) as storage:
        study = open_study(storage, "a", plan(), ABOUT)
        study.ask()
    trials, whole, _ = search(folder, plan())
    assert (len(trials), whole) == (12, True)
    assert [t.number for t in trials] == list(range(1, 13))


@pytest.mark.parametrize(
    ("url", "problem"),
    [("mysql://x", "no address"), ("study.db", "no address"), ("sqlite:////no/such/folder/study.db", "cannot be used")],
)
def test_a_storage_that_is_none_is_refused(folder, url, problem):
    with pytest.raises(ConfigError, match=problem), open_storage(url, folder):
        pass


def test_the_field_that_matters_is_the_important_one(folder):
    chosen = plan(["hedge.ratio=0.2..0.9", "hedge.escalate_after_s=10..60"], ["effectiveness"], trials=25)
    search(folder, chosen)
    with open_storage(None, folder) as storage:
        found = importances(open_study(storage, "a", chosen, ABOUT), chosen.objectives)["effectiveness"]
    assert found["hedge.ratio"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)
