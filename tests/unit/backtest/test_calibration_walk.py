from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from alpha_pulse.backtest.calibrate import DEFAULT_SIGNALS, calibrate_weights, walk_forward_weights
from alpha_pulse.backtest.sharpe import effective_trials, expected_maximum_sharpe
from alpha_pulse.backtest.signals import Backtest, BacktestConfig, mean_reversion_signal, momentum_signal
from alpha_pulse.backtest.signals.book import keep_book
from alpha_pulse.backtest.walk_forward import Split, combinatorial_splits, walk_forward_splits
from alpha_pulse.errors import ConfigError
from tests.unit.backtest.test_calibrate import days, returning, walk


def walked(prices, **settings):
    return walk_forward_weights(prices, days(len(prices)), **({"n_trials": 8, "verbose": False} | settings))


def bounds(rows):
    return int(rows[0]), int(rows[-1])


def test_what_was_planted_survives():
    for anchored in (True, False):
        found = walked(returning(1500), anchored=anchored, n_trials=15)
        assert found.survives
        assert found.verdict.endswith("The calibration survives.")
        assert found.deflated.probability > 0.99
        assert found.overfitting.probability <= 0.05
        assert found.better_than_equal
        assert all(fold.weights["mean_reversion"] == max(fold.weights.values()) for fold in found.folds)


def test_what_was_found_in_noise_does_not_survive():
    verdicts = [walked(walk(800, seed), n_trials=6) for seed in range(12)]
    assert sum(found.survives for found in verdicts) == 0
    assert all("The calibration does not survive." in found.verdict for found in verdicts)
    assert np.mean([found.deflated.probability for found in verdicts]) < 0.5


def test_anchored_trainings_grow_and_rolling_ones_move_along():
    grown, rolled = (walked(walk(500), anchored=anchored, train_pct=0.4, splits=3, horizon=4, embargo=6) for anchored in (True, False))
    assert [bounds(fold.split.train) for fold in grown.folds] == [(0, 189), (0, 289), (0, 389)]
    assert [bounds(fold.split.train) for fold in rolled.folds] == [(0, 189), (100, 289), (200, 389)]
    for found in (grown, rolled):
        assert [bounds(fold.split.test) for fold in found.folds] == [(200, 299), (300, 399), (400, 499)]


def test_each_choice_is_what_a_calibration_of_its_training_alone_would_have_made():
    prices = walk(600, seed=5)
    found = walked(prices, splits=2, horizon=0)
    first = found.folds[0]
    known = prices[: len(first.split.train)]
    alone = calibrate_weights(
        np.concatenate([known, known]), days(2 * len(known)), n_trials=8, train_pct=0.5, verbose=False
    )  # its first half is the training
    assert dict(alone.weights) == dict(first.weights)
    assert alone.train.scores == first.train.scores


def test_no_choice_has_seen_its_test():
    prices = walk(600, seed=5)
    changed = prices.copy()
    changed[480:] *= np.exp(np.cumsum(np.random.default_rng(9).normal(0.0, 0.05, 120)))
    one, other = walked(prices, splits=3), walked(changed, splits=3)
    assert bounds(one.folds[-1].split.test) == (480, 599)
    assert [dict(fold.weights) for fold in one.folds] == [dict(fold.weights) for fold in other.folds]
    assert one.folds[-1].test.scores != other.folds[-1].test.scores


def test_the_record_is_one_book_through_all_tests():
    prices, config = walk(500, seed=3), BacktestConfig(transaction_cost_bps=20)
    found = walked(prices, signals={"momentum": momentum_signal, "reversion": mean_reversion_signal}, splits=3, config=config)
    first, last = int(found.folds[0].split.test[0]), int(found.folds[-1].split.test[-1]) + 1
    signal = np.zeros(last)
    for fold in found.folds:
        whole = Backtest(prices, days(len(prices)), config)
        whole.add_signal("momentum", momentum_signal, fold.weights["momentum"])
        whole.add_signal("reversion", mean_reversion_signal, fold.weights["reversion"])
        signal[fold.split.test] = whole.run().combined_signal[fold.split.test]
    book = keep_book(prices[first:last], signal[first:], config)
    assert found.test.total_return == pytest.approx(book.equity[-1] / config.initial_capital - 1.0, abs=1e-12)
    assert found.test.num_trades == len(book.trades)
    assert len(found.returns) == last - first - 1
    assert found.sharpe == pytest.approx(found.returns.mean() / found.returns.std(ddof=1) * math.sqrt(365), rel=1e-9)


def test_the_record_is_held_against_the_luck_of_all_weights_that_were_tried():
    found = walked(walk(700, seed=2), n_trials=10)
    periods = len(found.returns)
    assert found.deflated.estimate.periods == periods
    assert found.deflated.benchmark == pytest.approx(expected_maximum_sharpe(found.deflated.trials, 1.0 / (periods - 1)))
    assert 1.0 < found.deflated.trials <= found.overfitting.trials <= 51
    more = walked(walk(700, seed=2), n_trials=40)
    assert more.overfitting.trials > found.overfitting.trials


def test_near_copies_of_one_set_of_weights_count_once():
    signals = {"reversion": mean_reversion_signal, "again": mean_reversion_signal}
    found = walked(returning(400), signals=signals, splits=2)
    assert found.overfitting is None
    assert any("One trial is no choice" in reason for reason in found.reasons)
    assert not found.survives
    assert "A test could not be made." in found.verdict
    assert effective_trials(found.returns[:, None]) == found.deflated.trials == 1.0


def test_a_long_record_is_judged_in_periods_of_several_bars():
    prices = walk(14_000, seed=4)
    found = walked(prices, signals={"momentum": momentum_signal, "reversion": mean_reversion_signal}, splits=2, n_trials=2)
    assert len(found.returns) == 8_399
    assert found.deflated.estimate.periods == 4_199
    compounded = np.prod(1.0 + found.returns[1:].reshape(-1, 2), axis=1) - 1.0
    assert found.deflated.estimate.sharpe == pytest.approx(compounded.mean() / compounded.std(ddof=1))


def test_equal_weights_and_holding_stand_beside_it_on_the_same_bars():
    found = walked(walk(500), splits=3)
    assert (found.equal.bars, found.hold.bars) == (found.test.bars, found.test.bars)
    assert found.hold.num_trades == 1
    text = found.summary()
    for words in ("3 calibrations by sharpe, each the best of 8 trials (seed 42)", "3, training", "3, test", "equal weights", "holding"):
        assert words in text
    assert text.endswith(found.verdict)
    assert text.count("%  ") > 3


def test_a_walk_that_equal_weights_match_or_a_test_refuses_does_not_survive():
    found = walked(returning(1500), n_trials=15)
    assert found.survives
    matched = replace(found, equal=found.test)
    assert not matched.survives
    assert "Equal weights did as well or better. The calibration does not survive." in matched.verdict
    lucky = replace(found, deflated=replace(found.deflated, probability=0.9))
    assert not lucky.survives
    assert "After all that was tried that is worth 90.0%, and 95% is asked for." in lucky.verdict
    lots = replace(found, overfitting=replace(found.overfitting, probability=0.5))
    assert not lots.survives
    assert "Choosing among these weights failed in 50.0%" in lots.verdict


def test_equal_arguments_give_equal_results():
    one, again, other = (walked(walk(400), splits=2, seed=seed) for seed in (1, 1, 2))
    assert one.summary() == again.summary()
    assert [dict(fold.weights) for fold in one.folds] != [dict(fold.weights) for fold in other.folds]


def test_splits_of_your_own_are_walked():
    mine = walk_forward_splits(400, train=150, test=50, horizon=2)
    found = walked(walk(400), splits=mine)
    assert [fold.split for fold in found.folds] == list(mine)


def test_signals_that_never_trade_say_nothing():
    found = walked(walk(300), signals={"flat": lambda prices, i: 0.0}, splits=2)
    assert found.verdict == "Out of sample nothing was traded: it says nothing."
    assert (found.deflated, found.overfitting, found.survives) == (None, None, False)
    assert math.isnan(found.efficiency)


def rows(first, last):
    return np.arange(first, last)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": 0}, "splits = 0"),
        ({"splits": 30}, "It leaves 6 bars to a test; 10 are needed"),
        ({"train_pct": 0.1}, r"splits\[0\]: Its training has 28 bars; 50 are needed"),
        ({"horizon": 200}, "Purge and embargo take 200 bars"),
        ({"n_trials": 0}, "n_trials = 0"),
        ({"signals": {}}, "There is no signal"),
        ({"splits": ()}, "There is no split"),
        ({"splits": combinatorial_splits(300, 3, 1)}, "does not end before its test"),
        ({"splits": [Split(np.delete(rows(0, 90), 40), rows(90, 120))]}, "training is no unbroken stretch"),
        ({"splits": [Split(rows(0, 90), rows(290, 310))]}, "test is no unbroken stretch of the 300 bars"),
        ({"splits": [Split(rows(0, 90), rows(90, 120)), Split(rows(0, 120), rows(130, 150))]}, r"splits\[1\].*does not follow"),
    ],
)
def test_what_cannot_be_walked_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        walked(walk(300), **settings)


def test_the_default_signals_are_walked():
    assert set(walked(walk(400), splits=2).folds[0].weights) == set(DEFAULT_SIGNALS)
