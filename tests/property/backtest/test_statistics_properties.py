"""What must hold for any sample, any split and any resampled market."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alpha_pulse.backtest.bootstrap import bootstrap_market, optimal_block_length, resample_rows
from alpha_pulse.backtest.gate import static_gate
from alpha_pulse.backtest.overfitting import (
    SharpeEstimate,
    deflate,
    effective_trials,
    minimum_track_record,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from alpha_pulse.backtest.walk_forward import combinatorial_splits, walk_forward_splits
from alpha_pulse.errors import ConfigError

EXAMPLES = settings(max_examples=60, deadline=None)
SCHEMES = st.sampled_from(["stationary", "circular"])
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def estimates(draw):
    skew = draw(st.floats(-3.0, 3.0))
    return SharpeEstimate(draw(st.floats(-0.5, 0.5)), draw(st.integers(4, 5000)), skew, 1.0 + skew**2 + draw(st.floats(0.5, 20.0)))


@st.composite
def samples(draw, least=10, most=120):
    random = np.random.default_rng(draw(SEEDS))
    count = draw(st.integers(least, most))
    return draw(st.floats(-0.5, 0.5)) + draw(st.floats(0.01, 10.0)) * random.standard_t(4, count)


@EXAMPLES
@given(estimates(), st.floats(-0.5, 0.5), st.floats(0.0, 0.5))
def test_a_higher_benchmark_is_never_easier_to_beat(estimate, benchmark, more):
    easy, hard = probabilistic_sharpe(estimate, benchmark), probabilistic_sharpe(estimate, benchmark + more)
    assert 0.0 <= hard <= easy <= 1.0
    assert minimum_track_record(estimate, benchmark) <= minimum_track_record(estimate, benchmark + more)


@EXAMPLES
@given(estimates())
def test_the_minimum_length_is_where_the_probability_reaches_95_per_cent(estimate):
    need = minimum_track_record(estimate)
    assume(4 < need < 1e12)
    longer = SharpeEstimate(estimate.sharpe, math.ceil(need) + 1, estimate.skew, estimate.kurtosis)
    shorter = SharpeEstimate(estimate.sharpe, math.floor(need) - 1, estimate.skew, estimate.kurtosis)
    assert probabilistic_sharpe(shorter) < 0.95 <= probabilistic_sharpe(longer)


@EXAMPLES
@given(SEEDS, st.integers(2, 12), st.floats(0.1, 50.0))
def test_the_statistics_of_trials_do_not_depend_on_their_unit_or_order(seed, trials, scale):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((64, trials))
    shuffled = scale * matrix[:, random.permutation(trials)]
    assert 1.0 <= effective_trials(matrix) <= trials
    assert effective_trials(shuffled) == pytest.approx(effective_trials(matrix))
    assert deflate(shuffled).probability == pytest.approx(deflate(matrix).probability)
    assert deflate(matrix, independent=True).probability <= deflate(matrix).probability + 1e-12
    one, other = probability_of_overfitting(matrix, 6), probability_of_overfitting(shuffled, 6)
    assert one.probability == pytest.approx(other.probability)
    assert 0.0 <= one.probability <= 1.0
    assert len(one.logits) == math.comb(6, 3)


@EXAMPLES
@given(st.integers(4, 200), st.integers(1, 80), st.integers(1, 40), st.booleans(), st.integers(0, 10), st.integers(0, 10))
def test_a_walk_never_trains_on_what_its_test_will_show(bars, train, test, anchored, horizon, embargo):
    try:
        splits = walk_forward_splits(bars, train, test, anchored=anchored, horizon=horizon, embargo=embargo)
    except ConfigError:
        assert bars < train + test or train <= horizon + embargo
        return
    tested = np.concatenate([split.test for split in splits])
    assert tested.tolist() == list(range(train, train + len(splits) * test))
    assert bars - test < int(tested[-1]) + 1 <= bars
    for split in splits:
        assert len(split.train) > 0
        assert split.train[0] == (0 if anchored else split.test[0] - train)
        assert split.train[-1] + horizon + embargo < split.test[0]


@EXAMPLES
@given(st.integers(10, 60), st.integers(2, 6), st.data(), st.integers(0, 4), st.integers(0, 4))
def test_no_training_bar_shares_a_result_with_a_test_bar(bars, groups, data, horizon, embargo):
    test_groups = data.draw(st.integers(1, groups - 1))
    try:
        splits = combinatorial_splits(bars, groups, test_groups, horizon=horizon, embargo=embargo)
    except ConfigError as error:
        assert "leave no training" in str(error)  # noqa: PT017 - only some settings are refused
        return
    for split in splits:
        tested = set(split.test.tolist())
        for bar in range(bars):
            overlaps = any(abs(bar - other) <= horizon for other in tested)
            embargoed = any(0 < bar - other <= horizon + embargo for other in tested)
            assert (bar in split.train) == (not overlaps and not embargoed and bar not in tested)


@EXAMPLES
@given(st.integers(1, 50), st.integers(1, 80), st.integers(1, 60), st.integers(1, 5), SCHEMES, SEEDS)
def test_resampled_rows_are_rows_of_the_data(count, length, block, paths, scheme, seed):
    rows = resample_rows(scheme, count, length, block, paths, np.random.default_rng(seed))
    assert rows.shape == (paths, length)
    assert 0 <= rows.min() <= rows.max() < count


@EXAMPLES
@given(samples())
def test_a_block_is_at_least_a_row_and_at_most_a_share_of_the_data(sample):
    found = optimal_block_length(sample)
    most = math.ceil(min(3.0 * math.sqrt(len(sample)), len(sample) / 3.0))
    assert 1.0 <= found.stationary <= found.circular <= most
    assert optimal_block_length(-3.0 * sample + 7.0).stationary == pytest.approx(found.stationary, rel=1e-6)


@EXAMPLES
@given(SEEDS, st.integers(10, 60), SCHEMES)
def test_every_resampled_bar_is_one_that_can_be(seed, count, scheme):
    random = np.random.default_rng(seed)
    corners = np.exp(np.cumsum(random.normal(0.0, 0.05, count)))[:, None] * np.exp(random.normal(0.0, 0.02, (count, 4)))
    bars = np.column_stack([corners[:, 0], corners.max(axis=1), corners.min(axis=1), corners[:, 3]])
    for path in bootstrap_market(bars, paths=3, scheme=scheme, seed=seed, beside={"perp": 1.01 * bars}):
        for market in path.bars.values():
            assert np.isfinite(market).all()
            assert (market > 0.0).all()
            assert (market[:, 1] >= market.max(axis=1) - 1e-12).all()
            assert (market[:, 2] <= market.min(axis=1) + 1e-12).all()


@EXAMPLES
@given(samples(least=30), st.sampled_from(["bootstrap", "hac"]), st.floats(0.1, 100.0))
def test_the_gate_does_not_depend_on_the_unit_and_closes_as_timing_gets_worse(sample, method, scale):
    one, other = (static_gate(factor * sample, method=method, resamples=200) for factor in (1.0, scale))
    assert one.p_value == pytest.approx(other.p_value, abs=0.011)
    assert one.low <= one.mean <= one.high
    worse = static_gate(sample - 0.5 * sample.std(), method=method, resamples=200)
    assert worse.p_value <= one.p_value + 1e-9
    assert static_gate(sample - sample.mean() - 2.0 * sample.std(), method=method, resamples=200).negative
