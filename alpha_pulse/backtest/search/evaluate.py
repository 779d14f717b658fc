"""A trial's run in numbers: what comes back from a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from loguru import logger

from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.gate import daily_timing
from alpha_pulse.backtest.metrics import DAY_MS, scaled_changes
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.returns import daily_returns
from alpha_pulse.backtest.search.engine import Engine, EngineChoice
from alpha_pulse.backtest.search.market_data import MarketData, Part
from alpha_pulse.backtest.search.objectives import Figures, figures_of
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings


def _none() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Job:
    """Settings to run on a part; ``number`` tells its outcome from others."""

    number: int
    settings: Settings
    part: Part


@dataclass(frozen=True, slots=True)
class Daily:
    """A run's whole days, shape (days,) each; fractions of the coins' value then, the account's of net worth."""

    timing: FloatArray = field(default_factory=_none)  # grid less a static hedge of the same average ratio; empty without inventory
    account: FloatArray = field(default_factory=_none)
    hedged: FloatArray = field(default_factory=_none)
    unhedged: FloatArray = field(default_factory=_none)
    static: FloatArray = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. ``error`` is not empty where it could not be run; ``note`` says why the replay ran it, where the twin did not."""

    figures: Figures = field(default_factory=lambda: Figures({}, {}))
    daily: Daily = field(default_factory=Daily)
    engine: str = ""
    note: str = ""
    error: str = ""


class Evaluator:
    """Runs jobs on one market. The same job gives the same outcome, whichever process runs it."""

    def __init__(self, data: MarketData, engine: EngineChoice = "auto") -> None:
        self._engine = Engine(data, engine)

    def run(self, job: Job) -> Outcome:
        """Run a job; what the settings or the market forbid is the outcome's error."""
        try:
            with _silence():
                return self._measured(job)
        except ConfigError as error:
            return Outcome(error=str(error))

    def _measured(self, job: Job) -> Outcome:
        run = self._engine.run(job.settings, job.part)
        bars = Bars.of(run.record)
        paths = paths_of(run.record, bars)
        result = summarise(run.record, bars, paths)
        inventory = result.inventory
        account = daily_returns(paths.hedged, paths.start, bars)
        if inventory == 0:
            return Outcome(figures_of(result), Daily(account=account), run.engine, run.note)
        hedged, unhedged, static = (scaled_changes(path, bars, inventory, DAY_MS) for path in (paths.hedged, paths.unhedged, paths.static))
        daily = Daily(daily_timing(paths, bars, inventory), account, hedged, unhedged, static)
        return Outcome(figures_of(result), daily, run.engine, run.note)


@contextmanager
def _silence() -> Iterator[None]:
    """A trial's log would repeat what a thousand others say."""
    logger.disable("alpha_pulse")
    try:
        yield
    finally:
        logger.enable("alpha_pulse")
