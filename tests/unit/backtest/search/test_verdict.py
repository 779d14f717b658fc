"""What the tests say of a choice, in words."""

from __future__ import annotations

import numpy as np

from alpha_pulse.backtest.search.evaluate import Daily
from alpha_pulse.backtest.search.trials import Trial
from alpha_pulse.backtest.search.verdict import Verdict, judge

RANDOM = np.random.default_rng(5)


def noise(trials: int = 10, days: int = 200, skill: float = 0.0) -> list[Trial]:
    """Trials without skill, but for the first."""
    made = [RANDOM.normal(0.0, 0.01, days) for _ in range(trials)]
    made[0] = made[0] + skill
    return [Trial(number, {"hedge.ratio": 0.1 * number}, "done", (0.0,), daily=daily) for number, daily in enumerate(made)]


def out_of_sample(timing: float, days: int = 120) -> Daily:
    """A test whose timing is so much a day, on days that fall and rise."""
    unhedged, moved = RANDOM.normal(0.0, 0.03, days), RANDOM.normal(timing, 0.002, days)
    static = 0.5 * unhedged
    return Daily(moved, static + moved, static + moved, unhedged, static)


def words(verdict: Verdict) -> str:
    return " ".join(says for _, says in verdict.words)


def test_timing_that_costs_out_of_sample_is_told_and_no_amplitude_recommended():
    trials = noise()
    found = judge(trials, trials[0], [out_of_sample(-0.001)], account=False, seed=1)
    assert found.recommends_no_amplitude
    assert not found.survives
    assert found.headline.startswith("Set hedge.amplitude to 0")
    assert "Set the amplitude to 0." in words(found)


def test_a_hedge_without_amplitude_is_not_told_to_give_it_up():
    trials = noise()
    found = judge(trials, trials[0], [out_of_sample(-0.001)], account=False, seed=1, still=True)
    assert not found.recommends_no_amplitude
    assert not found.survives
    assert "there is no amplitude" in found.headline


def test_a_choice_among_noise_does_not_survive():
    trials = noise()
    best = max(trials, key=lambda trial: float(trial.daily.mean()))
    found = judge(trials, best, [out_of_sample(0.0)], account=False, seed=1)
    assert not found.recommends_no_amplitude
    assert not found.survives
    assert "does not survive" in found.headline
    assert words(found).count("It does not survive") == 2


def test_real_skill_survives_every_test():
    trials = noise(skill=0.008)
    found = judge(trials, trials[0], [out_of_sample(0.001)], account=False, seed=1)
    assert found.survives
    assert found.headline.startswith("The choice survives every test")


def test_trials_that_were_stopped_early_count_as_looked_at():
    trials = noise()
    stopped = [Trial(100 + n, {}, "stopped") for n in range(90)]
    few, many = (judge(all_of_them, trials[0], [out_of_sample(0.0)], account=False, seed=1) for all_of_them in (trials, trials + stopped))
    assert few.deflated is not None
    assert many.deflated is not None
    assert many.deflated.trials > 5 * few.deflated.trials
    assert many.deflated.probability < few.deflated.probability


def test_trials_that_never_moved_are_no_trials_and_the_reason_is_told():
    flat = [Trial(number, {}, "done", (0.0,), daily=np.zeros(100)) for number in range(3)]
    found = judge(flat, flat[0], [Daily(timing=np.zeros(50))], account=False, seed=1)
    assert (found.deflated, found.overfitting, found.intervals, found.survives) == (None, None, (), False)
    assert "never differed from a static hedge" in words(found)
    assert words(found).count("Not computed") == 2


def test_without_inventory_there_is_no_static_benchmark():
    trials = noise()
    account = Daily(account=RANDOM.normal(0.0, 0.01, 60))
    found = judge(trials, trials[0], [account], account=True, seed=1)
    assert found.gate is None
    assert "Without inventory" in words(found)
    assert [one.name for one in found.intervals] == ["Mean daily return of net worth, out of sample"]


def test_the_interval_holds_the_figure():
    trials = noise()
    for one in judge(trials, trials[0], [out_of_sample(0.0), out_of_sample(0.0)], account=False, seed=1).intervals:
        assert one.low <= one.value <= one.high
