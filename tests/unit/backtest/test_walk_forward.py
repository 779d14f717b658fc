from __future__ import annotations

import math

import numpy as np
import pytest

from alpha_pulse.backtest.walk_forward import backtest_paths, combinatorial_splits, purged, walk, walk_forward_splits
from alpha_pulse.errors import ConfigError


def bounds(rows):
    return (int(rows[0]), int(rows[-1]), len(rows))


def test_a_rolling_training_moves_along_with_a_fixed_length():
    splits = walk_forward_splits(100, train=40, test=20)
    assert [(bounds(split.train), bounds(split.test)) for split in splits] == [
        ((0, 39, 40), (40, 59, 20)),
        ((20, 59, 40), (60, 79, 20)),
        ((40, 79, 40), (80, 99, 20)),
    ]


def test_an_anchored_training_grows_from_the_first_bar():
    splits = walk_forward_splits(109, train=40, test=20, anchored=True)
    assert [bounds(split.train) for split in splits] == [(0, 39, 40), (0, 59, 60), (0, 79, 80)]
    assert bounds(splits[-1].test) == (80, 99, 20)  # nine bars are left over


def test_purge_and_embargo_take_the_end_of_each_training():
    for split in walk_forward_splits(100, train=40, test=20, horizon=5, embargo=3):
        assert split.test[0] - split.train[-1] == 1 + 5 + 3
        assert len(split.train) == 32


def test_six_groups_of_which_two_are_tested_make_fifteen_splits_and_five_paths():
    """López de Prado (2018), ch. 12, the example of N = 6 and k = 2."""
    splits = combinatorial_splits(60, groups=6, test_groups=2)
    assert len(splits) == 15
    assert backtest_paths(6, 2) == 5
    tested = np.bincount(np.concatenate([split.test for split in splits]), minlength=60)
    assert set(tested.tolist()) == {5}, "every bar is tested once for each path"


def test_one_test_group_is_a_purged_fold():
    splits = combinatorial_splits(10, groups=5, test_groups=1, horizon=1, embargo=1)
    assert [split.train.tolist() for split in splits] == [
        [4, 5, 6, 7, 8, 9],
        [0, 6, 7, 8, 9],
        [0, 1, 2, 8, 9],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5, 6],
    ]
    assert [split.test.tolist() for split in splits] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_nothing_is_purged_where_nothing_reaches_ahead():
    assert purged(6, np.array([2, 3])).tolist() == [0, 1, 4, 5]
    assert purged(4, np.array([], dtype=np.int64), horizon=3).tolist() == [0, 1, 2, 3]


def test_a_walk_trades_each_test_with_what_was_chosen_before_it():
    moves = np.concatenate([np.full(50, 1.0), np.full(50, -1.0)])
    moves += 0.01 * np.arange(100)

    def trend(rows):
        return 1.0 if moves[rows].mean() > 0.0 else -1.0

    walked = walk(walk_forward_splits(100, train=20, test=10), trend, lambda side, rows: side * moves[rows])
    assert [fold.chosen for fold in walked.folds] == [1.0] * 4 + [1.0] * 1 + [-1.0] * 2 + [-1.0]
    assert walked.returns.tolist() == np.concatenate([fold.chosen * moves[fold.split.test] for fold in walked.folds]).tolist()
    assert walked.folds[0].test_mean == pytest.approx(moves[20:30].mean())


def test_what_works_out_of_sample_survives_and_noise_does_not():
    random = np.random.default_rng(2)
    offers = random.normal(0.0, 1.0, (600, 30))
    splits = walk_forward_splits(600, train=200, test=50)
    lucky = walk(splits, lambda rows: int(offers[rows].mean(axis=0).argmax()), lambda best, rows: offers[rows, best])
    assert not lucky.survives
    assert "does not survive" in lucky.verdict
    assert abs(lucky.efficiency) < 0.8
    offers[:, 4] += 0.4
    sound = walk(splits, lambda rows: int(offers[rows].mean(axis=0).argmax()), lambda best, rows: offers[rows, best])
    assert {fold.chosen for fold in sound.folds} == {4}
    assert sound.survives
    assert "It earned in 8 of 8 tests" in sound.verdict
    assert sound.verdict.endswith("it survives.")


def test_a_walk_that_never_traded_says_nothing():
    walked = walk(walk_forward_splits(50, train=20, test=10), lambda rows: None, lambda _, rows: np.zeros(len(rows)))
    assert math.isnan(walked.skill)
    assert math.isnan(walked.efficiency)
    assert not walked.survives
    assert walked.verdict == "Out of sample nothing happened: it says nothing."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: walk_forward_splits(50, 40, 20), "bars = 50: A training and a test take 60"),
        (lambda: walk_forward_splits(50, 10, 0), "test = 0"),
        (lambda: walk_forward_splits(50, 10, 5, horizon=8, embargo=2), "train = 10: Purge and embargo take 10"),
        (lambda: walk_forward_splits(50, 10, 5, horizon=-1), "horizon = -1"),
        (lambda: combinatorial_splits(50, 5, 5), "test_groups = 5"),
        (lambda: combinatorial_splits(3, 5, 1), "bars = 3"),
        (lambda: combinatorial_splits(10, 2, 1, horizon=5), "leave no training"),
        (lambda: combinatorial_splits(10, 2, 1, embargo=-5), "embargo = -5"),
        (lambda: backtest_paths(5, 0), "test_groups = 0"),
        (lambda: walk((), lambda rows: 0, lambda _, rows: rows), "There is no split"),
        (lambda: walk(walk_forward_splits(9, 5, 2), lambda rows: 0, lambda _, rows: np.zeros(3)), "5 finite numbers for 5 rows"),
        (lambda: walk(walk_forward_splits(9, 5, 2), lambda rows: 0, lambda _, rows: np.full(len(rows), np.nan)), "finite numbers"),
    ],
)
def test_what_cannot_be_split_or_walked_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
