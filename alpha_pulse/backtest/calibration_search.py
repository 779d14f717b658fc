"""The search itself: Optuna's TPE sampler over weights, and its progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from alpha_pulse.errors import ConfigError

Weights = Mapping[str, float]


def search_weights(
    objective: Callable[[Weights], float],
    equal: Weights,
    *,
    bounds: tuple[float, float],
    n_trials: int,
    seed: int,
    advance: Callable[[], None],
) -> Sequence[tuple[Weights, float]]:
    """Every trial's weights and score, in the order of trying; the first has the weights ``equal``. Equal arguments, equal trials.

    Args:
        objective: the figure to make large; finite.
        equal: the weights to begin with, by name.
        bounds: lowest and highest weight.
        n_trials: how many are tried, the first included.
        seed: of the sampler.
        advance: called after each trial.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")  # optuna's own bar, which a notebook would miss, is not used
            import optuna  # noqa: PLC0415 - slow to import, and an extra
    except ModuleNotFoundError as error:
        raise ConfigError("Optuna is not installed", field="calibration", fix='pip install "alpha-pulse[backtest]"') from error

    def tried(trial: Any) -> float:
        return objective({name: trial.suggest_float(name, *bounds) for name in equal})

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each trial is noise
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.enqueue_trial(dict(equal))
        study.optimize(tried, n_trials=n_trials, callbacks=[lambda *_: advance()])
    finally:
        optuna.logging.set_verbosity(before)
    return [({name: float(trial.params[name]) for name in equal}, float(trial.value or 0.0)) for trial in study.trials]


@contextmanager
def trial_progress(total: int, verbose: bool) -> Iterator[Callable[[], None]]:
    """What to call after each trial; draws a bar on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only who watches needs it
    from rich.progress import Progress  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (verbose and console.is_terminal)) as bar:
        task = bar.add_task("Calibrating weights", total=total)
        yield lambda: bar.advance(task)
