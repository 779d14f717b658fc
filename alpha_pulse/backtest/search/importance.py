"""Which of the varied fields made the difference."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from alpha_pulse.backtest.search.objectives import Objective
from alpha_pulse.backtest.search.storage import optuna_quietly

if TYPE_CHECKING:
    from optuna import Study


def importances(study: Study, objectives: tuple[Objective, ...]) -> dict[str, dict[str, float]]:
    """By objective: how much of what made the good trials good lies in each field, 0 … 1, their sum 1 (PED-ANOVA: Watanabe et al. 2023).

    Empty where too few trials were done, or they do not differ.
    """
    optuna = optuna_quietly()
    found: dict[str, dict[str, float]] = {}
    for index, one in enumerate(objectives):
        sign = -1.0 if one.direction == "maximize" else 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                weights = optuna.importance.get_param_importances(
                    study,
                    evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                    target=lambda trial, index=index, sign=sign: sign * trial.values[index],
                )
            except (ValueError, RuntimeError):  # one trial, or all alike
                continue
        if all(np.isfinite(weight) for weight in weights.values()):
            found[one.name] = {key: float(weight) for key, weight in weights.items()}
    return found
