"""The search itself: Optuna proposes, workers run, the study keeps. Nothing here knows which market or which worker."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from alpha_pulse.backtest.search.candidate import Params, candidate
from alpha_pulse.backtest.search.evaluate import Job, Outcome
from alpha_pulse.backtest.search.market_data import Part
from alpha_pulse.backtest.search.objectives import Objective
from alpha_pulse.backtest.search.space import Dimension, Range
from alpha_pulse.backtest.search.storage import optuna_quietly
from alpha_pulse.backtest.search.trials import ATTRIBUTE, Trial, kept_of, key_of_params, trial_of
from alpha_pulse.backtest.search.workers import Pool
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage

SamplerName = Literal["auto", "tpe", "nsga2"]
SAMPLERS: Final[tuple[SamplerName, ...]] = ("auto", "tpe", "nsga2")
THIRDS: Final = 3
_RUNGS: Final = (1, 3, 9)  # ninths of the training that a trial is run on, one after the other
_STARTUP: Final = 10  # trials at random before TPE has anything to learn from
_POPULATION: Final = (8, 50)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to search. ``trials`` counts every trial that ends, refused and stopped ones too, those of an earlier start included."""

    space: tuple[Dimension, ...]
    objectives: tuple[Objective, ...]
    trials: int = 100
    seed: int = 42
    sampler: SamplerName = "auto"
    prune: bool = False

    def check(self) -> None:
        """Refuse what cannot be searched.

        Raises:
            ConfigError: a number out of its range, or pruning with several objectives.
        """
        if self.trials < 1:
            raise ConfigError("must be 1 at least.", field="--trials", value=self.trials, fix="100 are a fair start")
        if not 0 <= self.seed < 2**32:
            raise ConfigError("must lie within 0 … 2³² − 1.", field="--seed", value=self.seed, fix="42 is the default")
        if self.sampler not in SAMPLERS:
            raise ConfigError("is no sampler.", field="--sampler", value=self.sampler, fix=f"use {', '.join(SAMPLERS)}")
        if self.prune and len(self.objectives) > 1:
            fix = "leave --prune out, or search for one objective"
            raise ConfigError("needs a single objective: of several, none says which trial is worse.", field="--prune", fix=fix)


def open_study(storage: RDBStorage, name: str, plan: Plan, about: Mapping[str, Any]) -> Study:
    """The study of this name, new or taken up again. ``about``: what must be the same then, JSON values.

    Raises:
        ConfigError: a study of this name searches for something else.
    """
    optuna = optuna_quietly()
    about = {
        **about,
        "space": {one.key: one.text() for one in plan.space},
        "objectives": {one.path: one.direction for one in plan.objectives},
        "prune": plan.prune,
    }
    if name in optuna.get_all_study_names(storage):
        study: Study = optuna.load_study(study_name=name, storage=storage)
        known = study.user_attrs.get(ATTRIBUTE, {})
        other = sorted(key for key in about if known.get(key) != json.loads(json.dumps(about[key])))
        if other:
            fix = "give another --study, another --out, or what it was begun with"
            raise ConfigError(f"was begun with another {', another '.join(other)}.", field="--study", value=name, fix=fix)
        for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)  # whoever ran it is gone
        return study
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=_RUNGS[0], reduction_factor=THIRDS)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=[one.direction for one in plan.objectives], pruner=pruner if plan.prune else None
    )
    study.set_user_attr(ATTRIBUTE, about)
    return study


def finished(study: Study) -> list[Trial]:
    """Every trial that ended, in the order of trying; interrupted ones are not among them."""
    state = optuna_quietly().trial.TrialState
    return [trial_of(frozen) for frozen in study.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED))]


@dataclass(slots=True)
class _Running:
    trial: Any
    params: Params
    settings: Settings
    rung: int


class TrialLoop:
    """Asks, runs and tells until the plan's trials have ended. With one worker, equal plans give equal trials, interrupted or not."""

    def __init__(self, study: Study, plan: Plan, base: Mapping[str, Any], part: Part, pool: Pool) -> None:
        self._optuna = optuna_quietly()
        self._study = study
        self._plan = plan
        self._base = base
        self._part = part
        self._pool = pool
        self._space = {one.key: self._distribution(one) for one in plan.space}
        self._running: dict[int, _Running] = {}
        known = finished(study)
        self._asked = len(known)
        self._known = {one.key: one for one in known if one.fate == "done" and one.same_as is None}
        if plan.prune:  # a study that was taken up again knows its pruner no more
            study.pruner = self._optuna.pruners.SuccessiveHalvingPruner(min_resource=_RUNGS[0], reduction_factor=THIRDS)

    def run(self, told: Callable[[Trial], None], first: Params | None = None) -> bool:
        """Search on. ``told`` is given every trial as it ends; ``first`` is tried first in a new study. False: interrupted."""
        if first is not None and not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(dict(first))
        try:
            with _quiet():
                while True:
                    while len(self._running) < self._pool.size and self._asked < self._plan.trials:
                        ended = self._ask()
                        if ended is not None:
                            told(ended)
                    if not self._running:
                        return True
                    ended = self._tell(*self._pool.take())
                    if ended is not None:
                        told(ended)
        except KeyboardInterrupt:
            for one in self._running.values():
                self._study.tell(one.trial, state=self._optuna.trial.TrialState.FAIL)
            return False

    def _ask(self) -> Trial | None:
        """Begin a trial; what needs no run ends at once."""
        self._study.sampler = self._sampler(self._asked)
        trial = self._study.ask(self._space)
        self._asked += 1
        try:
            settings = candidate(self._base, trial.params)
        except ConfigError as error:
            return self._refuse(trial, str(error))
        same = self._known.get(key_of_params(trial.params))
        if same is not None:
            return self._repeat(trial, same)
        running = _Running(trial, dict(trial.params), settings, 0 if self._plan.prune else len(_RUNGS) - 1)
        self._running[trial.number] = running
        self._submit(running)
        return None

    def _submit(self, one: _Running) -> None:
        part = self._part.head(_RUNGS[one.rung] / _RUNGS[-1])
        self._pool.submit(Job(one.trial.number, one.settings, part))

    def _tell(self, job: Job, outcome: Outcome) -> Trial | None:
        """End a trial, or run it on more of the data."""
        one = self._running[job.number]
        last = one.rung == len(_RUNGS) - 1
        reason = outcome.error or (outcome.figures.missing(self._plan.objectives) if last else "")
        if reason:
            del self._running[job.number]
            return self._refuse(one.trial, reason)
        if not last:
            if self._falls_behind(one, outcome):
                del self._running[job.number]
                return self._ended(one.trial, "stopped", f"after {_RUNGS[one.rung]} of {_RUNGS[-1]} parts of the training")
            one.rung += 1
            self._submit(one)
            return None
        del self._running[job.number]
        return self._done(one, outcome)

    def _falls_behind(self, one: _Running, outcome: Outcome) -> bool:
        """Whether it is not in the best third of those that came so far. A figure that so few bars do not carry stops nobody."""
        value = outcome.figures.of(self._plan.objectives[0])
        if value is None:
            return False
        one.trial.report(value, _RUNGS[one.rung])
        return bool(one.trial.should_prune())

    def _done(self, one: _Running, outcome: Outcome) -> Trial:
        one.trial.set_user_attr(ATTRIBUTE, kept_of(outcome, self._plan.objectives))
        values = [outcome.figures.values[objective.path] for objective in self._plan.objectives]
        ended = trial_of(self._study.tell(one.trial, values))
        self._known[ended.key] = ended
        return ended

    def _repeat(self, trial: Any, same: Trial) -> Trial:
        """A trial of settings that were run before: the result is known."""
        trial.set_user_attr(ATTRIBUTE, {"same_as": same.number, "figures": dict(same.figures)})
        return trial_of(self._study.tell(trial, list(same.values)))

    def _refuse(self, trial: Any, reason: str) -> Trial:
        return self._ended(trial, "refused", reason)

    def _ended(self, trial: Any, fate: str, reason: str) -> Trial:
        trial.set_user_attr(ATTRIBUTE, {"fate": fate, "reason": reason})
        return trial_of(self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED))

    def _sampler(self, asked: int) -> Any:
        """Seeded anew for each trial, by how many came before: so a search that was interrupted goes on as if it had not been."""
        seed = int(np.random.SeedSequence([self._plan.seed, asked]).generate_state(1)[0])
        samplers, plan = self._optuna.samplers, self._plan
        if plan.sampler == "nsga2" or (plan.sampler == "auto" and len(plan.objectives) > 1):
            return samplers.NSGAIISampler(seed=seed, population_size=min(max(plan.trials // 5, _POPULATION[0]), _POPULATION[1]))
        return samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, constant_liar=self._pool.size > 1)

    def _distribution(self, one: Dimension) -> Any:
        kinds = self._optuna.distributions
        if not isinstance(one, Range):
            return kinds.CategoricalDistribution(one.values)
        if one.whole:
            return kinds.IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
        return kinds.FloatDistribution(one.low, one.high, log=one.log, step=one.step)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna warns of what it calls experimental, and of a range whose end its step does not reach."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"optuna(\..*)?")
        optuna = optuna_quietly()
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
