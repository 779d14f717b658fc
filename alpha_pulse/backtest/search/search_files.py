"""What a search leaves in its folder: every trial, the study, ready configurations and the report."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from alpha_pulse.backtest.search.candidate import Params
from alpha_pulse.backtest.search.evaluate import Outcome
from alpha_pulse.backtest.search.result import FoldResult, SearchResult, without_motion
from alpha_pulse.backtest.search.search_report import render_search
from alpha_pulse.backtest.search.space import shown
from alpha_pulse.backtest.search.trials import KEPT, Trial
from alpha_pulse.backtest.search.verdict import Verdict

Template = Callable[[Params], str]
"""From a trial's values to the text of a whole configuration."""
SCHEMA: Final = 1
_DIGITS: Final = 8


def write_search(result: SearchResult, out: Path, template: Template) -> dict[str, Path]:
    """Write everything into ``out``, an existing folder; the files by name."""
    chosen = result.last.chosen.trial
    texts = {
        "trials.csv": trials_csv(result),
        "study.json": json.dumps(study_json(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "best.yaml": _comment(result, chosen) + template(chosen.params),
        "report.html": render_search(result),
    }
    if result.verdict.recommends_no_amplitude:
        texts["static.yaml"] = f"# {result.verdict.headline}\n" + template(without_motion(chosen.params))
    if len(result.options.plan.objectives) > 1:
        for trial, _ in result.last.front:
            texts[f"pareto/trial-{trial.number:04d}.yaml"] = _comment(result, trial) + template(trial.params)
    for left in (*(out / "pareto").glob("trial-*.yaml"), out / "static.yaml"):
        left.unlink(missing_ok=True)
    files = {}
    for name, text in texts.items():
        file = files[name] = out / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return files


def _comment(result: SearchResult, trial: Trial) -> str:
    """Where a configuration came from, and what is to be thought of it."""
    objectives = result.options.plan.objectives
    found = ", ".join(f"{one.name} {one.shown(value)}" for one, value in zip(objectives, trial.values, strict=True))
    test = next((outcome for one, outcome in result.last.front if one.number == trial.number), None)
    tested = "" if test is None else "; out of sample " + ", ".join(f"{one.name} {one.shown(test.figures.of(one))}" for one in objectives)
    return f"# Trial {trial.number} of a search: in training {found}{tested}.\n# {result.verdict.headline}\n"


def trials_csv(result: SearchResult) -> str:
    """A row for each trial of each fold."""
    keys = [one.key for one in result.options.plan.space]
    names = [one.name for one in result.options.plan.objectives]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fold", "trial", "fate", *keys, *names, *KEPT, "engine", "same_as", "reason", "note"])
    for fold in result.folds:
        for trial in fold.trials:
            values = [repr(value) for value in trial.values] or [""] * len(names)
            kept = [repr(trial.figures[path]) if path in trial.figures else "" for path in KEPT]
            same = "" if trial.same_as is None else trial.same_as
            params = [shown(trial.params[key]) for key in keys]
            row = [fold.fold.number, trial.number, trial.fate, *params, *values, *kept, trial.engine, same, trial.reason, trial.note]
            writer.writerow(row)
    return text.getvalue()


def study_json(result: SearchResult) -> dict[str, Any]:
    """Everything but the trials themselves, as JSON values."""
    options = result.options
    return {
        "schema": SCHEMA,
        "symbol": result.data.symbol,
        "source": result.data.source,
        "simulated": result.data.simulated,
        "data": result.data.digest,
        "bars": result.data.bars,
        "space": {one.key: one.text() for one in options.plan.space},
        "objectives": {one.path: one.direction for one in options.plan.objectives},
        "seed": options.plan.seed,
        "planned_trials": options.plan.trials,
        "interrupted": result.interrupted,
        "trials": result.fates,
        "refusals": dict(result.reasons),
        "run_again": result.rerun,
        "folds": [_fold(result, fold) for fold in result.folds],
        "as_configured": {"in_sample": _figures(result, result.baseline[0]), "out_of_sample": _figures(result, result.baseline[1])},
        "verdict": _verdict(result.verdict),
    }


def _fold(result: SearchResult, fold: FoldResult) -> dict[str, Any]:
    front = [
        {"trial": trial.number, "params": _params(trial.params), "in_sample": list(trial.values), "out_of_sample": _figures(result, test)}
        for trial, test in fold.front
    ]
    return {
        "study": fold.study,
        "train": [fold.fold.train.start, fold.fold.train.stop],
        "test": [fold.fold.test.start, fold.fold.test.stop],
        "chosen": {"trial": fold.chosen.trial.number, "params": _params(fold.chosen.trial.params)},
        "in_sample": _figures(result, fold.chosen.train),
        "out_of_sample": _figures(result, fold.chosen.test),
        "front": front,
        "importance": {name: {key: _number(w) for key, w in weights.items()} for name, weights in fold.importances.items()},
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "survives": verdict.survives,
        "headline": verdict.headline,
        "recommended_amplitude": 0.0 if verdict.recommends_no_amplitude else None,
        "timing_p_value": None if verdict.gate is None else _number(verdict.gate.p_value),
        "deflated_sharpe_probability": None if verdict.deflated is None else _number(verdict.deflated.probability),
        "overfitting_probability": None if verdict.overfitting is None else _number(verdict.overfitting.probability),
        "words": [f"{test}: {says}" for test, says in verdict.words],
    }


def _figures(result: SearchResult, outcome: Outcome) -> dict[str, float | None]:
    return {one.name: outcome.figures.of(one) for one in result.options.plan.objectives}


def _params(params: Params) -> Mapping[str, Any]:
    return {key: float(shown(value)) if isinstance(value, float) else value for key, value in params.items()}


def _number(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None
