"""A search from the settings to the verdict: read the market, divide it, search each training, test each choice."""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from alpha_pulse.backtest.search.candidate import candidate, given_values, params_at
from alpha_pulse.backtest.search.engine import ENGINE_CHOICES
from alpha_pulse.backtest.search.evaluate import Job, Outcome
from alpha_pulse.backtest.search.folds import Fold, folds_of
from alpha_pulse.backtest.search.front import knee, pareto_front
from alpha_pulse.backtest.search.importance import importances
from alpha_pulse.backtest.search.market_data import MarketData, read_data
from alpha_pulse.backtest.search.result import Choice, FoldResult, SearchOptions, SearchResult
from alpha_pulse.backtest.search.storage import open_storage
from alpha_pulse.backtest.search.study import TrialLoop, finished, open_study
from alpha_pulse.backtest.search.trials import Trial
from alpha_pulse.backtest.search.verdict import judge
from alpha_pulse.backtest.search.workers import Pool, open_pool
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_MOST_TESTED: Final = 24  # points of a front that are run out of sample


Told = Callable[[int, int, str], None]
"""Is told the trials that ended, those planned, and what is best so far."""


def run_search(options: SearchOptions, told: Told | None = None, *, said: Callable[[str], None] | None = None) -> SearchResult:
    """Search, choose and judge. What was found so far is judged if the search is interrupted.

    Args:
        options: what to search.
        told: progress.
        said: sentences for a person, as they come up.

    Raises:
        ConfigError: an option, the settings or the data cannot be used, or no trial could be run.
    """
    options.plan.check()
    if options.engine not in ENGINE_CHOICES:
        raise ConfigError("is no engine.", field="--engine", value=options.engine, fix=f"use {', '.join(ENGINE_CHOICES)}")
    data = asyncio.run(read_data(options.settings))
    folds = folds_of(data.close_ms, options.division)
    pool = open_pool(data, options.engine, workers=options.workers, ray=options.ray)
    with closing(pool), open_storage(options.storage, options.out) as storage:
        search = _Search(options, data, pool, storage, told)
        baseline = search.baseline(folds[-1], said)
        found: list[FoldResult] = []
        for fold in folds:
            result = search.fold(fold, len(folds))
            if result is not None:
                found.append(result)
            if search.interrupted:
                break
        if not found:
            raise search.nothing_found()
        verdict = judge(
            found[-1].trials,
            found[-1].chosen.trial,
            [one.chosen.test.daily for one in found],
            account=options.plan.objectives[0].account,
            seed=options.plan.seed,
            still=search.is_still(found[-1].chosen.trial),
        )
        return SearchResult(options, data, tuple(found), baseline, verdict, search.interrupted, pool.rerun)


class _Search:
    """What the folds of one search share."""

    def __init__(self, options: SearchOptions, data: MarketData, pool: Pool, storage: RDBStorage, told: Told | None) -> None:
        self.options = options
        self.interrupted = False
        self._data = data
        self._pool = pool
        self._storage = storage
        self._told = told
        self._base = given_values(options.settings)
        self._done = 0
        self._planned = 0
        self._reasons: Counter[str] = Counter()

    def baseline(self, fold: Fold, said: Callable[[str], None] | None) -> tuple[Outcome, Outcome]:
        """The configuration as it is, in training and test: what it cannot do, no trial should be blamed for."""
        settings = self.options.settings
        train, test = self._outcomes([Job(0, settings, fold.train), Job(1, settings, fold.test)])
        if train.error or test.error:
            raise ConfigError(f"the configuration itself cannot be run: {train.error or test.error}", field="CONFIG", fix="mend that first")
        for one in self.options.plan.objectives:
            if one.path not in train.figures.values:
                raise _no_figure(one.path, train)
        if train.note and said is not None:
            said(train.note)
        return train, test

    def fold(self, fold: Fold, folds: int) -> FoldResult | None:
        """Search one training; None if no trial of it was done."""
        plan = self.options.plan
        name = self.options.study if folds == 1 else f"{self.options.study}-{fold.number}-of-{folds}"
        study = open_study(self._storage, name, plan, self._about(fold))
        self._planned = plan.trials * folds
        for trial in finished(study):
            self._tell(trial)
        loop = TrialLoop(study, plan, self._base, fold.train, self._pool)
        self.interrupted = not loop.run(self._tell, params_at(self.options.settings, plan.space))
        trials = tuple(finished(study))
        if not any(one.fate == "done" for one in trials):
            return None
        front, chosen = self._tested(fold, trials)
        return FoldResult(fold, name, trials, front, chosen, importances(study, plan.objectives))

    def _about(self, fold: Fold) -> dict[str, Any]:
        """What a study that is taken up again must have in common with this one."""
        settings = self.options.settings.model_dump(mode="json", by_alias=True, exclude={"store", "logging", "notify", "exchange", "feed"})
        return {"data": self._data.digest, "configuration": settings, "training": [fold.train.start, fold.train.stop]}

    def _tell(self, trial: Trial) -> None:
        self._done += 1
        if trial.fate == "refused":
            self._reasons[trial.reason] += 1
        if self._told is not None:
            values = ", ".join(f"{one.name} {value:.4g}" for one, value in zip(self.options.plan.objectives, trial.values, strict=False))
            self._told(self._done, self._planned, values or trial.fate)

    def _tested(self, fold: Fold, trials: Sequence[Trial]) -> tuple[tuple[tuple[Trial, Outcome], ...], Choice]:
        """The best of the training, each tested, and the one that is chosen."""
        objectives = self.options.plan.objectives
        done = [one for one in trials if one.fate == "done" and one.same_as is None]
        members = [done[index] for index in pareto_front([one.values for one in done], objectives)]
        if len(objectives) == 1:
            members = members[:1]
        members.sort(key=lambda one: one.values[0])
        chosen = members[knee([one.values for one in members], objectives)]
        members = _spread(members, members.index(chosen))
        settings = [candidate(self._base, one.params) for one in members]
        jobs = [Job(number, own, fold.test) for number, own in enumerate(settings)]
        train = Job(len(jobs), settings[members.index(chosen)], fold.train)
        *tests, again = self._outcomes([*jobs, train])
        return tuple(zip(members, tests, strict=True)), Choice(chosen, again, tests[members.index(chosen)])

    def _outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Outcomes in the order of the jobs. What an interrupted search left running comes back too, and is passed over."""
        for job in jobs:
            self._pool.submit(job)
        found: dict[int, Outcome] = {}
        while len(found) < len(jobs):
            done, outcome = self._pool.take()
            if any(done is job for job in jobs):
                found[done.number] = outcome
        return [found[job.number] for job in jobs]

    def is_still(self, trial: Trial) -> bool:
        """Whether a trial's hedge has no amplitude."""
        hedge = candidate(self._base, trial.params).hedge
        return hedge.amplitude == 0 and hedge.amplitude_adverse == 0

    def nothing_found(self) -> ConfigError:
        """Why there is no result."""
        if self.interrupted:
            return ConfigError("was interrupted before the first trial ended.", field="optimize", fix="start it again: it goes on")
        why = "; ".join(f"{reason} ({count} times)" for reason, count in self._reasons.most_common(3))
        return ConfigError(f"no trial could be run: {why}", field="--vary", fix="vary what the configuration allows")


def _spread(members: list[Trial], kept: int) -> list[Trial]:
    """At most ``_MOST_TESTED`` of a front, spread over it, its ends and its knee among them."""
    if len(members) <= _MOST_TESTED:
        return members
    step = (len(members) - 1) / (_MOST_TESTED - 2)
    chosen = {round(index * step) for index in range(_MOST_TESTED - 1)} | {kept}
    return [members[index] for index in sorted(chosen)]


def _no_figure(path: str, outcome: Outcome) -> ConfigError:
    reason = outcome.figures.reasons.get(path)
    if reason:
        fix = "give more data, or another objective"
        return ConfigError(f"the training carries no such figure: {reason}.", field="--objective", value=path, fix=fix)
    near = difflib.get_close_matches(path, outcome.figures.values, n=1)
    fix = f"write {near[0]}" if near else "look into a result.json"
    return ConfigError("the result has no such figure.", field="--objective", value=path, fix=fix)
