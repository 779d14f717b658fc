"""Training and test sets in the order of time, and a walk through them.

A result on bar t may need bars up to t + ``horizon`` to be known (a return over ten bars has a horizon of ten). Training bars with such a
result inside a test set, or made of one, have seen it: they are *purged*. Bars just after a test set still resemble it, for markets
remember: the *embargo* leaves so many of them out of training too. López de Prado, M. (2018), Advances in Financial Machine Learning,
Wiley, ch. 7 (purging, embargo) and 12 (walk-forward, combinatorial paths).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.backtest.sharpe import CONFIDENCE, SharpeEstimate, probabilistic_sharpe
from alpha_pulse.errors import ConfigError

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of one training and its test, ascending, without any in common."""

    train: IntArray
    test: IntArray


@dataclass(frozen=True, slots=True)
class Fold(Generic[Choice]):
    """What one training chose, and how it did there and in the test: mean return per bar."""

    split: Split
    chosen: Choice
    train_mean: float
    test_mean: float


@dataclass(frozen=True, slots=True)
class WalkForward(Generic[Choice]):
    """A walk: each stretch of time was traded with what the training before it had chosen."""

    folds: tuple[Fold[Choice], ...]
    returns: FloatArray
    """Of all tests in the order of time, shape (test bars,)."""
    skill: float
    """Probability that their true Sharpe ratio is above 0; NaN where they are all alike."""

    @property
    def efficiency(self) -> float:
        """Mean test return over mean training return (Pardo's walk-forward efficiency); NaN where training did not earn."""
        trained = float(np.mean([fold.train_mean for fold in self.folds]))
        return float(np.mean([fold.test_mean for fold in self.folds])) / trained if trained > 0.0 else math.nan

    @property
    def survives(self) -> bool:
        """Whether the tests together say, at 95 %, that there is something."""
        return self.skill >= CONFIDENCE

    @property
    def verdict(self) -> str:
        """In plain words."""
        if math.isnan(self.skill):
            return "Out of sample nothing happened: it says nothing."
        earned = sum(fold.test_mean > 0.0 for fold in self.folds)
        kept = "" if math.isnan(self.efficiency) else f", and kept {self.efficiency:.0%} of what training promised"
        skill = f"The true Sharpe ratio is above 0 with a probability of {self.skill:.1%}"
        text = f"It earned in {earned} of {len(self.folds)} tests{kept}. {skill}"
        return f"{text}: it survives." if self.survives else f"{text}; {CONFIDENCE:.0%} is asked for. It does not survive."


def walk_forward_splits(
    bars: int, train: int, test: int, *, anchored: bool = False, horizon: int = 0, embargo: int = 0
) -> tuple[Split, ...]:
    """Training before test, again and again, each test right after the one before; bars left over at the end are not tested.

    Args:
        bars: length of the data.
        train: bars from the start of a training to its test, purged ones included; the first training's if ``anchored``.
        test: bars of a test.
        anchored: every training begins at bar 0 and grows; otherwise it rolls along with a fixed length.
        horizon: bars that a result reaches ahead; as many are purged from the end of each training.
        embargo: further bars left out there. No training follows its test here, so that the book's embargo has nothing to do; this one
            widens the gap, for data that remember.

    Raises:
        ConfigError: not one test fits, or purge and embargo leave no training.
    """
    _check_sizes(horizon=horizon, embargo=embargo)
    gap = horizon + embargo
    if test < 1:
        raise ConfigError("It must be one bar at least", field="test", value=test, fix="give the bars of a test")
    if train <= gap:
        fix = f"give more than {gap} bars, or a smaller horizon or embargo"
        raise ConfigError(f"Purge and embargo take {gap} bars of it", field="train", value=train, fix=fix)
    if bars < train + test:
        raise ConfigError(
            f"A training and a test take {train + test} bars", field="bars", value=bars, fix="give more data or smaller parts"
        )
    splits = []
    for start in range(train, bars - test + 1, test):
        first = 0 if anchored else start - train
        splits.append(Split(np.arange(first, start - gap), np.arange(start, start + test)))
    return tuple(splits)


def combinatorial_splits(bars: int, groups: int, test_groups: int, *, horizon: int = 0, embargo: int = 0) -> tuple[Split, ...]:
    """Combinatorial purged cross-validation: every choice of ``test_groups`` of the ``groups`` is a test, the rest its training.

    Training on what came after a test is what this adds to a walk forward; each group is tested in several splits, which make
    ``backtest_paths`` whole paths. One test group is purged k-fold cross-validation.

    Args:
        bars: length of the data.
        groups: N stretches of time, of equal length to within a bar.
        test_groups: k of them are the test.
        horizon: bars that a result reaches ahead; so many are purged on both sides of each test.
        embargo: bars left out after each test, beyond the purged ones.

    Raises:
        ConfigError: fewer than one test group or than one training group, fewer bars than groups, or a training is left empty.
    """
    _check_sizes(horizon=horizon, embargo=embargo)
    _check_groups(groups, test_groups)
    if bars < groups:
        raise ConfigError(f"{groups} groups need as many bars", field="bars", value=bars, fix="give more data or fewer groups")
    edges = [bars * group // groups for group in range(groups + 1)]
    splits = []
    for chosen in combinations(range(groups), test_groups):
        test = np.concatenate([np.arange(edges[group], edges[group + 1]) for group in chosen])
        train = purged(bars, test, horizon=horizon, embargo=embargo)
        if not len(train):
            raise ConfigError("Purge and embargo leave no training", field="horizon", value=horizon, fix="give fewer groups or more data")
        splits.append(Split(train, test))
    return tuple(splits)


def backtest_paths(groups: int, test_groups: int) -> int:
    """Whole paths that combinatorial splits make: C(N, k)·k/N (2018, ch. 12).

    Raises:
        ConfigError: fewer than one test group or than one training group.
    """
    _check_groups(groups, test_groups)
    return math.comb(groups, test_groups) * test_groups // groups


def purged(bars: int, test: IntArray, *, horizon: int = 0, embargo: int = 0) -> IntArray:
    """The bars that may be trained on beside a test: none whose result t … t + ``horizon`` shares a bar with a test's, none embargoed."""
    free = np.ones(bars, dtype=np.bool_)
    for block in np.split(test, np.flatnonzero(np.diff(test) > 1) + 1):
        if len(block):
            free[max(0, int(block[0]) - horizon) : int(block[-1]) + 1 + horizon + embargo] = False
    return np.flatnonzero(free).astype(np.int64)


def walk(
    splits: Sequence[Split], fit: Callable[[IntArray], Choice], returns: Callable[[Choice, IntArray], FloatArray]
) -> WalkForward[Choice]:
    """Choose on each training, trade each test with the choice, and judge the tests as one series.

    Args:
        splits: as ``walk_forward_splits`` makes them.
        fit: the rows of a training give a choice.
        returns: a choice and rows give its return per row, shape (rows,).

    Raises:
        ConfigError: no split, or returns that are not finite or not one a row.
    """
    folds, tested = [], []
    for split, chosen in _choices(splits, fit):
        own = [_checked(returns(chosen, rows), rows) for rows in (split.train, split.test)]
        folds.append(Fold(split, chosen, float(own[0].mean()), float(own[1].mean())))
        tested.append(own[1])
    together = np.concatenate(tested)
    try:
        skill = probabilistic_sharpe(SharpeEstimate.of(together))
    except ConfigError:  # too few, or all alike: nothing was traded
        skill = math.nan
    return WalkForward(tuple(folds), together, skill)


def _choices(splits: Sequence[Split], fit: Callable[[IntArray], Choice]) -> Iterator[tuple[Split, Choice]]:
    if not splits:
        raise ConfigError("There is no split", field="splits", fix="make some with walk_forward_splits")
    for split in splits:
        yield split, fit(split.train)


def _checked(found: FloatArray, rows: IntArray) -> FloatArray:
    if np.shape(found) != rows.shape or not bool(np.isfinite(found).all()):
        raise ConfigError(f"It must give {len(rows)} finite numbers for {len(rows)} rows", field="returns", fix="give 0 where it is flat")
    return np.asarray(found, dtype=np.float64)


def _check_sizes(**sizes: int) -> None:
    for field, value in sizes.items():
        if value < 0:
            raise ConfigError("It cannot be negative", field=field, value=value, fix="0 leaves nothing out")


def _check_groups(groups: int, test_groups: int) -> None:
    if not 1 <= test_groups < groups:
        raise ConfigError("It must leave a group to train on", field="test_groups", value=test_groups, fix=f"give 1 … {groups - 1}")
