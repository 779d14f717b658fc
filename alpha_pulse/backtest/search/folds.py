"""Which bars a search sees, and which judge what it chose: the last share of the data, or a walk through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import IntArray
from alpha_pulse.backtest.metrics import DAY_MS
from alpha_pulse.backtest.search.market_data import Part
from alpha_pulse.backtest.walk_forward import walk_forward_splits
from alpha_pulse.errors import ConfigError

LEAST_DAYS: Final = 5.0
"""A training and a test are this long at least: daily figures need five days."""
_DAYS_A_YEAR: Final = 366


@dataclass(frozen=True, slots=True)
class Fold:
    """One training and the test after it. Between them lies the embargo, which nobody runs."""

    number: int
    train: Part
    test: Part


@dataclass(frozen=True, slots=True)
class Division:
    """How the data are divided.

    Attributes:
        test: share of the data that is tested, (0, 1): its end.
        folds: into how many tests that share is cut; 1 is one training and one test.
        rolling: every training has the length of the first; otherwise it begins with the data and grows.
        embargo_days: days left out before each test.
    """

    test: float = 0.3
    folds: int = 1
    rolling: bool = False
    embargo_days: float = 1.0


def folds_of(close_ms: IntArray, division: Division) -> tuple[Fold, ...]:
    """Divide the bars that closed at ``close_ms``.

    Raises:
        ConfigError: a share or number that divides nothing, or a part that is shorter than five days.
    """
    if not 0.0 < division.test < 1.0:
        raise ConfigError("must lie between 0 and 1.", field="--test", value=division.test, fix="0.3 tests on the last 30 %")
    if division.folds < 1:
        raise ConfigError("must be 1 at least.", field="--walk-forward", value=division.folds, fix="give the number of tests, e.g. 4")
    if not 0.0 <= division.embargo_days < _DAYS_A_YEAR:
        raise ConfigError("is no number of days.", field="--embargo-days", value=division.embargo_days, fix="1 is the default")
    bars = len(close_ms)
    step = float(np.median(np.diff(close_ms))) if bars > 1 else float(DAY_MS)
    test = int(bars * division.test) // division.folds
    train, embargo = bars - test * division.folds, round(division.embargo_days * DAY_MS / step)
    for name, size in (("training", train - embargo), ("test", test)):
        days = max(0.0, size * step / DAY_MS)
        if days < LEAST_DAYS:
            raise ConfigError(
                f"of {bars * step / DAY_MS:.4g} days, {days:.3g} are left to a {name}; {LEAST_DAYS:g} are needed.",
                field="--test, --walk-forward, --embargo-days",
                fix="give more data, or divide them otherwise",
            )
    splits = walk_forward_splits(bars, train, test, anchored=not division.rolling, embargo=embargo)
    return tuple(Fold(number, _part(split.train), _part(split.test)) for number, split in enumerate(splits, 1))


def _part(rows: IntArray) -> Part:
    return Part(int(rows[0]), int(rows[-1]) + 1)
