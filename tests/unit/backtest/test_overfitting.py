from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from alpha_pulse.backtest.overfitting import (
    SharpeEstimate,
    deflate,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    per_period,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from alpha_pulse.errors import ConfigError

FUND = SharpeEstimate(0.458, 24, -2.448, 10.164)
"""The hedge fund of Bailey and López de Prado (2012): 24 monthly returns, an annualised Sharpe ratio of 1.59."""


def noise(periods, trials, seed=1):
    return np.random.default_rng(seed).normal(0.0, 1.0, (periods, trials))


def by_brute_force(matrix, blocks, measure):
    """CSCV as the paper writes it, one split after the other: probability, logits, slope of test on training, share of losses."""
    size = len(matrix) // blocks
    pieces = [matrix[len(matrix) - size * blocks + k * size :][:size] for k in range(blocks)]
    logits, pairs = [], []
    for chosen in combinations(range(blocks), blocks // 2):
        train = np.concatenate([pieces[k] for k in chosen])
        test = np.concatenate([pieces[k] for k in range(blocks) if k not in chosen])
        scores = [part.mean(axis=0) / (part.std(axis=0, ddof=1) if measure == "sharpe" else 1.0) for part in (train, test)]
        rank = stats.rankdata(scores[1])[np.argmax(scores[0])] / (matrix.shape[1] + 1)
        logits.append(math.log(rank / (1 - rank)))
        pairs.append((scores[0].max(), scores[1][np.argmax(scores[0])]))
    trained, tested = np.array(pairs).T
    return np.mean([logit <= 0 for logit in logits]), logits, stats.linregress(trained, tested).slope, np.mean(tested < 0)


def test_the_hedge_fund_of_the_paper_has_the_papers_probabilities():
    """Bailey and López de Prado (2012), "The Sharpe ratio efficient frontier", numerical example: 0.982 as if normal, 0.913 with the
    skew and kurtosis that it has, and 0.953 had it kept that up for three years."""
    assert probabilistic_sharpe(SharpeEstimate(0.458, 24)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(FUND) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic_sharpe(SharpeEstimate(0.458, 36, -2.448, 10.164)) == pytest.approx(0.953, abs=6e-4)


@pytest.mark.parametrize(("periods_per_year", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_the_minimum_track_record_is_the_papers(periods_per_year, years):
    """The same paper: to tell an annualised Sharpe ratio of 2 from 1 at 95 %, with normal returns, takes 2.73 years of daily, 2.83 of
    weekly and 3.24 of monthly observations."""
    estimate = SharpeEstimate(per_period(2.0, periods_per_year), 100)
    found = minimum_track_record(estimate, per_period(1.0, periods_per_year))
    assert found / periods_per_year == pytest.approx(years, abs=0.005)


def test_at_its_minimum_length_a_track_record_is_just_enough():
    need = minimum_track_record(FUND)
    assert probabilistic_sharpe(SharpeEstimate(FUND.sharpe, math.ceil(need), FUND.skew, FUND.kurtosis)) >= 0.95
    assert probabilistic_sharpe(SharpeEstimate(FUND.sharpe, math.floor(need), FUND.skew, FUND.kurtosis)) < 0.95
    assert minimum_track_record(FUND, benchmark=0.458) == math.inf


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "probability"), [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)]
)
def test_the_deflated_sharpe_ratio_is_the_papers(trials, skew, kurtosis, probability):
    """Bailey and López de Prado (2014), "The deflated Sharpe ratio", numerical example: annualised Sharpe 2.5, five years of 250 days,
    variance of the trials' annualised ratios 1/2. After 100 trials 0.9004; after 46 it would have been 0.9505; with normal returns 88
    trials would have been allowed."""
    estimate = SharpeEstimate(per_period(2.5, 250), 1250, skew, kurtosis)
    found = deflated_sharpe(estimate, trials, variance=0.5 / 250)
    assert found.probability == pytest.approx(probability, abs=5e-5)
    if trials == 100:
        assert found.benchmark == pytest.approx(0.1132, abs=5e-5)
        assert "best of 100: luck alone would have brought 0.1132" in found.verdict
        assert "90.0%. It does not survive" in found.verdict
    else:
        assert found.survives
        assert found.verdict.endswith("It survives.")


@pytest.mark.parametrize(("trials", "off"), [(5, 0.05), (20, 0.03), (200, 0.02)])
def test_the_best_of_many_without_skill_is_as_good_as_expected(trials, off):
    """The formula holds for many trials; of few it asks a little too much."""
    best = noise(10_000, trials).max(axis=1).mean()
    assert expected_maximum_sharpe(trials, 1.0) == pytest.approx(best, rel=off)
    assert expected_maximum_sharpe(trials, 0.04) == pytest.approx(0.2 * expected_maximum_sharpe(trials, 1.0))


def test_five_years_allow_forty_five_trials():
    """Bailey, Borwein, López de Prado and Zhu (2014), "Pseudo-mathematics and financial charlatanism": the best of 10 without skill has an
    expected Sharpe ratio of 1.57; and with five years of data no more than 45 may be tried, or a ratio of 1 is to be expected of luck."""
    assert expected_maximum_sharpe(10, 1.0) == pytest.approx(1.57, abs=0.005)
    of_five_years = 1 / 5  # variance of an annualised Sharpe ratio that is truly 0
    assert expected_maximum_sharpe(45, of_five_years) < 1.0 < expected_maximum_sharpe(46, of_five_years)


def test_sixteen_blocks_make_the_papers_number_of_splits():
    """C(16, 8), the example of the paper for S = 16."""
    assert len(probability_of_overfitting(noise(64, 3)).logits) == math.comb(16, 8) == 12_870


def test_an_estimate_without_any_error_is_certain():
    exact = SharpeEstimate(0.5, 10, skew=4.0, kurtosis=17.0)  # 1 − 4·½ + 16/4·¼ = 0
    assert exact.deviation == 0.0
    assert [probabilistic_sharpe(exact, benchmark) for benchmark in (0.4, 0.5, 0.6)] == [1.0, 0.5, 0.0]


def test_of_one_trial_nothing_was_chosen():
    assert expected_maximum_sharpe(1, 1.0) == 0.0
    one = noise(300, 1) + 0.1
    assert deflate(one).probability == probabilistic_sharpe(SharpeEstimate.of(one[:, 0]))


def test_an_estimate_is_the_moments_of_the_sample():
    sample = np.random.default_rng(3).standard_t(5, 500) + 0.1
    found = SharpeEstimate.of(sample)
    assert found.sharpe == pytest.approx(sample.mean() / sample.std(ddof=1))
    assert (found.periods, found.skew) == (500, pytest.approx(stats.skew(sample)))
    assert found.kurtosis == pytest.approx(stats.kurtosis(sample, fisher=False))


def test_copies_of_a_trial_are_one_trial_and_independent_ones_are_as_many_as_they_are():
    one = noise(2000, 1)
    assert effective_trials(np.repeat(one, 50, axis=1)) == pytest.approx(1.0)
    assert effective_trials(noise(2000, 50)) == pytest.approx(50, rel=0.01)
    shared = noise(5000, 50) + noise(5000, 1, seed=2)  # correlation 1/2: half of 50, and a half
    assert effective_trials(shared) == pytest.approx(25.5, rel=0.05)
    assert effective_trials(one) == 1.0


def test_the_best_of_noise_does_not_survive_and_an_edge_does():
    assert not deflate(noise(1000, 200)).survives
    edge = noise(1000, 200)
    edge[:, 7] += 0.25
    assert deflate(edge).survives
    assert deflate(edge, independent=True).survives


def test_trials_that_all_have_the_same_sharpe_ratio_are_certainly_overfit():
    """Bailey, Borwein, López de Prado and Zhu (2017), accuracy of CSCV: with every trial recentred to a Sharpe ratio of 0 over the whole
    sample, what is gained in one half is lost in the other, and the probability is 1."""
    for measure in ("sharpe", "mean"):
        matrix = noise(1000, 100)
        found = probability_of_overfitting(matrix - matrix.mean(axis=0), blocks=10, measure=measure)
        assert found.probability == 1.0
        assert found.probability_of_loss == 1.0
        assert found.degradation == pytest.approx(-1.0, abs=0.1)
        assert "worth no more than drawing lots" in found.verdict


def test_four_blocks_and_two_trials_by_hand():
    """A earns in the first half of time, B in the second. Of six splits two choose the loser of the other half: relative rank 1/3. In the
    other four both have earned nothing and tie: rank 1½ of 2, relative rank ½, logit 0, which counts as overfit."""
    a = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    found = probability_of_overfitting(np.column_stack([a, -a]), blocks=4, measure="mean")
    assert sorted(found.logits.tolist()) == pytest.approx([math.log(0.5)] * 2 + [0.0] * 4)
    assert found.probability == 1.0
    assert found.probability_of_loss == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", ["sharpe", "mean"])
@pytest.mark.parametrize(("blocks", "periods", "trials"), [(4, 40, 3), (6, 67, 12), (8, 200, 30)])
def test_all_splits_at_once_are_split_by_split(measure, blocks, periods, trials):
    matrix = noise(periods, trials, seed=blocks) + 0.05 * np.arange(trials)
    probability, logits, slope, losses = by_brute_force(matrix, blocks, measure)
    found = probability_of_overfitting(matrix, blocks, measure)
    assert found.probability == pytest.approx(probability)
    assert found.logits.tolist() == pytest.approx(logits)
    assert (found.degradation, found.probability_of_loss) == (pytest.approx(slope), pytest.approx(losses))
    assert (found.trials, found.blocks) == (trials, blocks)


def test_an_edge_survives_and_noise_is_a_coin_toss():
    tosses = [probability_of_overfitting(noise(800, 40, seed), blocks=10) for seed in range(20)]
    assert np.mean([toss.probability for toss in tosses]) == pytest.approx(0.5, abs=0.1)
    assert not any(toss.survives for toss in tosses)
    matrix = noise(800, 40)
    matrix[:, 5] += 0.3
    edge = probability_of_overfitting(matrix, blocks=10)
    assert edge.probability == 0.0
    assert edge.survives
    assert "The selection survives" in edge.verdict


def test_the_best_of_losers_does_not_survive():
    matrix = noise(800, 20) - 1.0
    matrix[:, 5] += 0.5
    found = probability_of_overfitting(matrix, blocks=8)
    assert found.probability == 0.0
    assert found.probability_of_loss == 1.0
    assert found.verdict.endswith("It does not survive: the best stays the best, but does not earn.")


def test_a_weak_edge_is_named_unreliable():
    matrix = noise(800, 40, seed=4)
    matrix[:, 5] += 0.15
    found = probability_of_overfitting(matrix, blocks=10)
    assert 0.05 < found.probability < 0.4
    assert found.verdict.endswith("is not reliable.")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SharpeEstimate(math.nan, 10), "sharpe = nan"),
        (lambda: SharpeEstimate(0.1, 1), "periods = 1"),
        (lambda: SharpeEstimate(0.1, 10, 0.0, 0.0), "not the excess"),
        (lambda: SharpeEstimate.of([0.1, 0.1, 0.1, 0.1]), "all alike"),
        (lambda: SharpeEstimate.of([0.1, 0.2]), "2 periods are too few"),
        (lambda: SharpeEstimate.of([[0.1, 0.2]]), "2 dimensions"),
        (lambda: SharpeEstimate.of([0.1, 0.2, math.nan, 0.3]), r"returns\[2\]: One is not finite"),
        (lambda: minimum_track_record(FUND, confidence=95), "confidence = 95"),
        (lambda: expected_maximum_sharpe(0, 1.0), "trials = 0"),
        (lambda: expected_maximum_sharpe(5, -1.0), "variance = -1.0"),
        (lambda: deflate(np.ones(5)), r"shape \(5,\)"),
        (lambda: deflate(np.ones((2, 2))), "2 periods are too few"),
        (lambda: deflate(np.column_stack([np.arange(9.0), np.ones(9)])), r"trials\[:, 1\].*never traded"),
        (lambda: deflate(np.array([[1.0, 2.0], [2.0, math.inf], [0.0, 1.0], [1.0, 1.0]])), r"trials\[1, 1\]"),
        (lambda: probability_of_overfitting(noise(100, 5), blocks=5), "blocks = 5"),
        (lambda: probability_of_overfitting(noise(100, 5), blocks=40), "blocks = 40"),
        (lambda: probability_of_overfitting(noise(20, 5)), "20 periods are too few.*at least 32"),
        (lambda: probability_of_overfitting(noise(100, 1)), "One trial is no choice"),
        (lambda: probability_of_overfitting(noise(100, 3), measure="luck"), "no such measure"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
