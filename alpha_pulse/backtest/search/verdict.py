"""Whether what a search found is more than luck, in figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.backtest.block_length import optimal_block_length
from alpha_pulse.backtest.bootstrap import stationary_rows
from alpha_pulse.backtest.gate import Gate, static_gate
from alpha_pulse.backtest.overfitting import Overfitting, probability_of_overfitting
from alpha_pulse.backtest.search.evaluate import Daily
from alpha_pulse.backtest.search.trials import Trial
from alpha_pulse.backtest.sharpe import DeflatedSharpe, SharpeEstimate, deflated_sharpe, effective_trials
from alpha_pulse.errors import ConfigError

_LEAST_DAYS: Final = 10
_RESAMPLES: Final = 2000
_MOST_BLOCKS: Final = 16
_LEAST_BLOCKS: Final = 4
_DAYS_PER_BLOCK: Final = 4
_NO_SPREAD: Final = 1e-14


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the 90 % interval of a block bootstrap of its days."""

    name: str
    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.name}: {self.value:+.4g}, 90 % interval {self.low:+.4g} … {self.high:+.4g}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests say; a test that cannot be made has None and the reason in ``words``."""

    gate: Gate | None
    deflated: DeflatedSharpe | None
    overfitting: Overfitting | None
    intervals: tuple[Interval, ...]
    words: tuple[tuple[str, str], ...]  # the test, and what it says
    still: bool = False  # the choice has no amplitude: only floors, the ratio's own steps and the stop move its hedge

    @property
    def survives(self) -> bool:
        """Whether every test was made and none objects."""
        gate = self.gate is None or (self.gate.tested and not self.gate.negative)
        tests = (self.deflated, self.overfitting)
        return gate and all(test is not None and test.survives for test in tests)

    @property
    def recommends_no_amplitude(self) -> bool:
        """Whether timing was significantly negative out of sample, and there is an amplitude to take away."""
        return self.gate is not None and self.gate.negative and not self.still

    @property
    def headline(self) -> str:
        """In one sentence."""
        if self.recommends_no_amplitude:
            return "Set hedge.amplitude to 0: moving the hedge cost significantly more than leaving it alone, out of sample."
        if self.gate is not None and self.gate.negative:
            return (
                "Floors, steps of the ratio and the stop cost significantly more than a static hedge, out of sample; there is no amplitude."
            )
        if self.survives:
            return "The choice survives every test: what was best in training held out of sample, beyond luck."
        return "The choice does not survive every test: take it as one of many that would do, not as the best."


def judge(trials: Sequence[Trial], chosen: Trial, tests: Sequence[Daily], *, account: bool, seed: int, still: bool = False) -> Verdict:
    """Test a choice.

    Args:
        trials: of the training that made the choice, each with its daily results.
        chosen: one of them.
        tests: the days of every test of the choice, in the order of time.
        account: whether the daily results are the account's returns; otherwise what moving the hedge adds to a static one.
        seed: of the bootstraps.
        still: whether the choice has no amplitude.
    """
    what = "the account's daily return" if account else "what moving the hedge added a day"
    words: list[tuple[str, str]] = []
    timing = np.concatenate([test.timing for test in tests])
    gate = None
    if len(timing):
        gate = static_gate(timing, seed=seed)
        words.append(("Static benchmark", f"Periods are days, in fractions of the coins' value. {gate.verdict}"))
    else:
        words.append(("Static benchmark", "Without inventory there is no static hedge to compare with."))
    matrix, own = _matrix(trials, chosen)
    deflated: DeflatedSharpe | None = None
    overfitting: Overfitting | None = None
    try:
        deflated = _deflated(matrix, own, sum(one.fate == "stopped" for one in trials))
        words.append(("Deflated Sharpe ratio", f"Of {what}, in training. {deflated.verdict}"))
    except ConfigError as error:
        words.append(("Deflated Sharpe ratio", f"Not computed: {error}"))
    try:
        overfitting = _overfitting(matrix)
        words.append(("Overfitting (CSCV)", f"Of {what}, in training. {overfitting.verdict}"))
    except ConfigError as error:
        words.append(("Overfitting (CSCV)", f"Not computed: {error}"))
    intervals = _intervals(tests, seed)
    words.extend(("Block bootstrap", one.text) for one in intervals)
    return Verdict(gate, deflated, overfitting, intervals, tuple(words), still)


def _matrix(trials: Sequence[Trial], chosen: Trial) -> tuple[FloatArray, FloatArray]:
    """Daily results of every trial that differs from the others and moved at all, shape (days, trials), and those of the chosen one."""
    source = next((one for one in trials if one.number == (chosen.number if chosen.same_as is None else chosen.same_as)), chosen)
    done = [one for one in trials if one.fate == "done" and one.same_as is None and len(one.daily) == len(source.daily)]
    columns = [one.daily for one in done if len(one.daily) and np.ptp(one.daily) > _NO_SPREAD]
    return (np.stack(columns, axis=1) if columns else np.zeros((0, 0))), source.daily


def _deflated(matrix: FloatArray, own: FloatArray, stopped: int) -> DeflatedSharpe:
    """Against the best of all that were looked at: those that were stopped early count as much as those that were not."""
    estimate = SharpeEstimate.of(own)
    ratios = matrix.mean(axis=0) / matrix.std(axis=0, ddof=1)
    tried = effective_trials(matrix) * (1.0 + stopped / matrix.shape[1])
    return deflated_sharpe(estimate, tried, float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0)


def _overfitting(matrix: FloatArray) -> Overfitting:
    blocks = min(_MOST_BLOCKS, len(matrix) // _DAYS_PER_BLOCK // 2 * 2)
    if blocks < _LEAST_BLOCKS:
        needed = _LEAST_BLOCKS * _DAYS_PER_BLOCK
        raise ConfigError(f"{len(matrix)} days of results are too few", fix=f"{needed} are needed, and trials that differ")
    return probability_of_overfitting(matrix, blocks)


def _intervals(tests: Sequence[Daily], seed: int) -> tuple[Interval, ...]:
    """Effectiveness and mean return of the tests' days, resampled in blocks (Politis and Romano 1994)."""
    hedged, unhedged, account = (np.concatenate([getattr(test, name) for test in tests]) for name in ("hedged", "unhedged", "account"))
    found = []
    random = np.random.default_rng(seed)
    if len(hedged) >= _LEAST_DAYS and float(unhedged.var()) > 0.0:
        rows = _blocks(random, hedged, unhedged, unhedged**2)
        removed = 1.0 - hedged[rows].var(axis=1) / np.maximum(unhedged[rows].var(axis=1), np.finfo(np.float64).tiny)
        found.append(_interval("Share of the daily variance removed, out of sample", 1.0 - float(hedged.var() / unhedged.var()), removed))
    if len(account) >= _LEAST_DAYS and float(account.var()) > 0.0:
        means = account[_blocks(random, account)].mean(axis=1)
        found.append(_interval("Mean daily return of net worth, out of sample", float(account.mean()), means))
    return tuple(found)


def _blocks(random: np.random.Generator, *series: FloatArray) -> IntArray:
    """Rows of resampled series, in blocks as long as the one that remembers longest needs."""
    block = max(optimal_block_length(one).stationary for one in series)
    return stationary_rows(len(series[0]), len(series[0]), block, _RESAMPLES, random)


def _interval(name: str, value: float, resampled: FloatArray) -> Interval:
    low, high = np.quantile(resampled, (0.05, 0.95))
    return Interval(name, value, float(low), float(high))
