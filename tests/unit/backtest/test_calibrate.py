from __future__ import annotations

import math
import sys

import numpy as np
import optuna
import pytest

from alpha_pulse.backtest.calibrate import DEFAULT_SIGNALS, MIN_BARS, calibrate_weights, compare_weights
from alpha_pulse.backtest.signals import Backtest, BacktestConfig, mean_reversion_signal, momentum_signal
from alpha_pulse.errors import ConfigError

DAY = 86_400


def days(count):
    return 1_600_000_000 + DAY * np.arange(count)


def walk(bars, seed=1, drift=0.0):
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(drift, 0.03, bars)))


def returning(bars):
    """A price that comes back to 100 within a few bars: mean reversion earns, momentum loses."""
    shocks = 0.03 * np.random.default_rng(1).standard_normal(bars)
    away = np.zeros(bars)
    for i in range(1, bars):
        away[i] = 0.6 * away[i - 1] + shocks[i]
    return 100.0 * np.exp(away)


def calibrate(prices, **settings):
    return calibrate_weights(prices, days(len(prices)), **({"n_trials": 12, "verbose": False} | settings))


def test_the_default_signals_are_the_four():
    assert list(DEFAULT_SIGNALS) == ["momentum", "volatility_regime", "mean_reversion", "trend_following"]


def test_equal_seeds_give_equal_weights_and_another_seed_tries_others():
    prices = walk(300)
    first, again, other = (calibrate(prices, seed=seed) for seed in (1, 1, 2))
    assert first.trials == again.trials
    assert first.weights == again.weights
    assert first.summary() == again.summary()
    assert first.trials != other.trials


def test_the_first_trial_is_equal_weights_so_that_training_is_never_worse():
    found = calibrate(walk(300), max_weight=0.8)
    weights, score = found.trials[0]
    assert dict(weights) == dict.fromkeys(DEFAULT_SIGNALS, 0.8)
    assert score == found.equal_train.scores["sharpe"]
    assert found.train_score == max(score for _, score in found.trials) >= score


def test_every_weight_stays_within_its_bounds():
    found = calibrate(walk(300), min_weight=0.3, max_weight=0.5, n_trials=20)
    assert len(found.trials) == 20
    assert all(0.3 <= weight <= 0.5 for weights, _ in found.trials for weight in weights.values())
    fixed = calibrate(walk(300), min_weight=0.5, max_weight=0.5, n_trials=3)
    assert set(fixed.weights.values()) == {0.5}
    assert sum(fixed.shares.values()) == pytest.approx(1.0)


def test_the_search_finds_the_signal_that_earns():
    found = calibrate(returning(1500), signals={"momentum": momentum_signal, "reversion": mean_reversion_signal}, n_trials=30)
    assert found.shares["reversion"] > 0.7
    assert found.test_score > found.equal_test.scores["sharpe"]
    assert found.survives
    assert "the calibration survives" in found.verdict


def test_holding_stands_beside_it_and_is_named_where_it_did_as_well():
    rising = 100.0 * np.exp(0.01 * np.arange(400) + 0.002 * np.sin(np.arange(400)))
    found = calibrate(rising, signals={"reversion": mean_reversion_signal, "momentum": momentum_signal}, n_trials=5)
    assert found.hold_test.num_trades == 1
    assert found.hold_test.scores["sharpe"] > found.test_score
    assert "Holding did as well or better there." in found.verdict
    assert "\nholding, test" in found.summary()


def test_what_was_found_in_noise_does_not_survive():
    found = calibrate(walk(600, seed=11), n_trials=30)
    assert not found.survives
    assert "does not survive" in found.verdict


def test_the_test_part_has_no_part_in_the_choice():
    prices = walk(400)
    changed = prices.copy()
    changed[240:] *= np.exp(np.cumsum(np.random.default_rng(9).normal(0.0, 0.05, 160)))
    one, other = calibrate(prices), calibrate(changed)
    assert one.trials == other.trials
    assert one.test_score != other.test_score


@pytest.mark.parametrize("metric", ["sharpe", "sortino", "calmar", "return"])
def test_the_metric_that_was_asked_for_is_the_one_that_was_searched(metric):
    found = calibrate(walk(300, seed=3), metric=metric)
    assert found.train_score == pytest.approx(max(score for _, score in found.trials))
    assert f"Weights by {metric}, best of 12 trials (seed 42)" in found.summary()


def test_the_training_part_is_a_backtest_of_its_own():
    prices = walk(400, seed=4)
    config = BacktestConfig(transaction_cost_bps=20, rebalance_threshold=0.2)
    found = compare_weights(prices, days(400), {"mixed": {"momentum": 0.4, "mean_reversion": 0.6}}, config=config).rows[0]
    alone = Backtest(prices[:240], days(240), config)
    alone.add_signal("momentum", momentum_signal, 0.4)
    alone.add_signal("reversion", mean_reversion_signal, 0.6)
    result = alone.run()
    assert found.train.scores["sharpe"] == result.sharpe_ratio
    assert found.train.scores["calmar"] == result.calmar_ratio
    assert (found.train.num_trades, found.train.total_costs) == (result.num_trades, result.total_costs)
    assert (found.train.bars, found.test.bars) == (240, 160)
    assert found.train.returns.tolist() == result.returns.tolist()


def test_sets_of_weights_are_compared_in_the_order_given():
    sets = {"momentum": {"momentum": 1.0}, "nothing": {}, "all": dict.fromkeys(DEFAULT_SIGNALS, 1.0)}
    found = compare_weights(walk(300), days(300), sets)
    assert [row.label for row in found.rows] == ["momentum", "nothing", "all"]
    assert found.rows[1].train.num_trades == 0
    assert math.isnan(found.rows[1].test.skill)
    assert found.best().train.scores["sharpe"] == max(row.train.scores["sharpe"] for row in found.rows if row.train.num_trades)
    lines = found.summary().splitlines()
    assert [line.split("  ")[0] for line in lines[1:3]] == ["momentum, training", "momentum, test"]
    assert "n/a" in lines[3]


def test_a_test_without_a_trade_says_nothing():
    found = calibrate(walk(300), signals={"flat": lambda prices, i: 0.0})
    assert not found.survives
    assert found.verdict == "On the test part nothing was traded: it says nothing."
    assert found.trials[0][1] == 0.0


def test_the_summary_has_training_beside_test():
    text = calibrate(walk(300)).summary()
    for label in ("training ", "test ", "equal, training", "equal, test", "mean_reversion"):
        assert f"\n  {label}" in text or f"\n{label}" in text
    assert "2020-09-13 to 2021-03-11" in text


def test_optunas_own_lines_stay_away_and_its_setting_is_as_it_was(capfd):
    before = optuna.logging.get_verbosity()
    calibrate_weights(walk(150), days(150), n_trials=2)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", ""), "a progress bar is for terminals"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": 0}, "n_trials = 0"),
        ({"metric": "luck"}, "metric = 'luck': There is no such metric.*sharpe, sortino, calmar, return"),
        ({"min_weight": -0.1}, "min_weight = -0.1"),
        ({"min_weight": 0.9, "max_weight": 0.5}, "min_weight = 0.9"),
        ({"max_weight": 0.0}, "max_weight = 0.0"),
        ({"max_weight": math.nan}, "max_weight = nan"),
        ({"seed": -1}, "seed = -1"),
        ({"train_pct": 0.0}, "train_pct = 0.0"),
        ({"train_pct": 0.95}, r"train_pct = 0.95: Of 300 bars it leaves 15 to the test; 50 are needed"),
        ({"train_pct": 0.05}, "leaves 15 to the training"),
        ({"signals": {}}, "There is no signal"),
        ({"signals": {"peek": lambda prices, i: float(prices[-1] > prices[i])}}, "signal peek: The signal looks ahead"),
    ],
)
def test_what_cannot_be_searched_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        calibrate(walk(300), **settings)


def test_too_few_bars_prices_that_are_none_and_unsorted_times_are_refused():
    with pytest.raises(ConfigError, match=f"{2 * MIN_BARS - 1} bars are too few.*at least {2 * MIN_BARS}"):
        calibrate(walk(2 * MIN_BARS - 1))
    broken = walk(200)
    broken[7] = math.nan
    with pytest.raises(ConfigError, match=r"prices\[7\] = nan"):
        calibrate(broken)
    with pytest.raises(ConfigError, match="Bar 1 is not later than bar 0"):
        calibrate_weights(walk(200), days(200)[::-1])
    with pytest.raises(ConfigError, match="200 prices, but 199 timestamps"):
        compare_weights(walk(200), days(199), {"all": {}})


def test_sets_that_name_what_is_not_there_are_refused():
    with pytest.raises(ConfigError, match="There is nothing to compare"):
        compare_weights(walk(200), days(200), {})
    with pytest.raises(ConfigError, match=r"no such signal.*momentum, volatility_regime"):
        compare_weights(walk(200), days(200), {"mine": {"momentom": 1.0}})
    with pytest.raises(ConfigError, match=r"mine\.momentum\.weight = -1"):
        compare_weights(walk(200), days(200), {"mine": {"momentum": -1.0}})


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # what Python itself takes for "not there"
    with pytest.raises(ConfigError, match=r'Optuna is not installed.*pip install "alpha-pulse\[backtest\]"'):
        calibrate(walk(200))


def test_on_a_terminal_a_bar_shows_the_progress_unless_it_is_not_wanted(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    calibrate(walk(150), n_trials=2, verbose=False)
    assert capfd.readouterr().err == ""
    calibrate(walk(150), n_trials=2, verbose=True)
    assert "Calibrating weights" in capfd.readouterr().err
