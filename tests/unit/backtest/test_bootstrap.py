from __future__ import annotations

import math

import numpy as np
import pytest

from alpha_pulse.backtest.bootstrap import bootstrap_market, circular_rows, optimal_block_length, resample_rows, stationary_rows
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.files import read_candles


def autoregressive(rho, count, seed):
    shocks = np.random.default_rng(seed).standard_normal(count + 200)
    values = np.zeros(count + 200)
    for t in range(1, count + 200):
        values[t] = rho * values[t - 1] + shocks[t]
    return values[200:]


def candles(count, seed=1):
    """Bars with gaps between close and open, and volatility that comes in waves."""
    random = np.random.default_rng(seed)
    wave = 0.01 * (1.2 + np.sin(np.arange(count) / 15.0))
    close = 100.0 * np.exp(np.cumsum(wave * random.standard_normal(count)))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(0.001 * random.standard_normal(count))
    high = np.maximum(opened, close) * (1.0 + 0.005 * random.random(count))
    low = np.minimum(opened, close) * (1.0 - 0.005 * random.random(count))
    return np.column_stack([opened, high, low, close])


@pytest.mark.parametrize(("rho", "count"), [(0.1, 800), (0.5, 800), (0.7, 800), (0.7, 3000)])
def test_the_block_length_of_an_autoregression_is_near_the_theory(rho, count):
    """Politis and White (2004), corrected by Patton, Politis and White (2009), give the optimum of an AR(1): G/g = 2ρ/(1 − ρ²), so that
    the lengths are (2ρ/(1 − ρ²))^⅔·n^⅓ for the stationary bootstrap and 1.5^⅓ times that for the circular one."""
    found = [optimal_block_length(autoregressive(rho, count, seed)) for seed in range(30)]
    optimum = (2 * rho / (1 - rho**2)) ** (2 / 3) * count ** (1 / 3)
    assert np.mean([one.stationary for one in found]) == pytest.approx(optimum, rel=0.2)
    assert np.mean([one.circular for one in found]) == pytest.approx(1.5 ** (1 / 3) * optimum, rel=0.2)


@pytest.mark.parametrize(
    ("rho", "count", "stationary", "circular"),
    [
        (0.5, 200, 4.2377, 4.8510),
        (0.7, 800, 16.1097, 18.4410),
        (0.9, 5000, 92.7226, 106.1409),
        (-0.4, 200, 10.3451, 11.8422),
        (0.1, 800, 2.7202, 3.1138),
    ],
)
def test_the_block_length_is_that_of_another_implementation(rho, count, stationary, circular):
    """The figures were computed with arch 8.0.0, ``arch.bootstrap.optimal_block_length``, on the same series."""
    found = optimal_block_length(autoregressive(rho, count, seed=0))
    assert (found.stationary, found.circular) == (pytest.approx(stationary, abs=1e-4), pytest.approx(circular, abs=1e-4))
    assert found.of("stationary") == found.stationary
    assert found.of("circular") == found.circular


def test_what_has_no_memory_needs_no_blocks():
    assert optimal_block_length(np.random.default_rng(5).standard_normal(2000)).stationary < 3.0
    assert optimal_block_length(np.full(50, 0.1)) == (optimal_block_length([7.0] * 20))
    assert optimal_block_length(np.full(50, 0.1)).stationary == 1.0


def test_stationary_blocks_are_geometric_with_the_mean_that_was_asked_for():
    rows = stationary_rows(1000, 200_000, 8.0, 1, np.random.default_rng(1))[0]
    breaks = np.flatnonzero((rows[1:] - rows[:-1]) % 1000 != 1) + 1
    lengths = np.diff(breaks)
    assert lengths.mean() == pytest.approx(8.0, rel=0.03)
    assert np.mean(lengths == 1) == pytest.approx(1 / 8, abs=0.01)
    assert np.bincount(rows, minlength=1000).std() / 200 < 0.3, "every row is as likely: blocks wrap round"


@pytest.mark.parametrize("block", [1.0, 3.0, 12.0])
def test_the_mean_of_a_stationary_resample_has_the_papers_variance(block):
    """Politis and Romano (1994), Lemma 1: n·Var = R(0) + 2·Σ ((1 − i/n)(1 − p)^i + (i/n)(1 − p)^(n − i))·R(i), R the sample's
    autocovariances, p one over the mean length of a block."""
    values = autoregressive(0.6, 60, seed=2)
    away, count, p = values - values.mean(), len(values), 1.0 / block
    expected = float(away @ away) / count
    for lag in range(1, count):
        weight = (1 - lag / count) * (1 - p) ** lag + (lag / count) * (1 - p) ** (count - lag)
        expected += 2 * weight * float(away[lag:] @ away[: count - lag]) / count
    means = values[stationary_rows(count, count, block, 60_000, np.random.default_rng(1))].mean(axis=1)
    assert means.var() * count == pytest.approx(expected, rel=0.03)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * math.sqrt(expected / count / 60_000))


@pytest.mark.parametrize("block", [1, 4, 15])
def test_the_mean_of_a_circular_resample_has_the_papers_variance(block):
    """Politis and Romano (1992): the blocks are drawn independently from the circle, so that n·Var is that of one block's sum over its
    length."""
    values = autoregressive(0.6, 60, seed=3)
    away = values - values.mean()
    sums = np.array([np.take(away, range(start, start + block), mode="wrap").sum() for start in range(60)])
    means = values[circular_rows(60, 60, block, 60_000, np.random.default_rng(1))].mean(axis=1)
    assert means.var() * 60 == pytest.approx(float(np.mean(sums**2)) / block, rel=0.03)


def test_circular_blocks_have_one_length_and_wrap_round():
    rows = circular_rows(10, 12, 4, 500, np.random.default_rng(1)).reshape(-1, 4)
    assert ((rows[:, 1:] - rows[:, :-1]) % 10 == 1).all()
    assert set(rows[:, 0].tolist()) == set(range(10))
    assert circular_rows(10, 7, 4, 2, np.random.default_rng(1)).shape == (2, 7)


def test_a_block_as_long_as_the_data_is_the_data_turned_round():
    bars = candles(50)
    path = bootstrap_market(bars, paths=1, block=50, scheme="circular")[0]
    assert path.rows.tolist() == [(path.rows[0] + k) % 50 for k in range(50)]
    start = (50 - path.rows[0]) % 50
    again = path.bars["market"][start:]
    assert again / again[0, 0] == pytest.approx(bars[: len(again)] / bars[0, 0], rel=1e-9)


def test_each_bar_has_the_shape_of_the_one_that_it_was_made_of():
    bars = candles(300)
    before = np.concatenate((bars[:1, 0], bars[:-1, 3]))
    (path,) = bootstrap_market(bars, paths=1, length=500, seed=3)
    market = path.bars["market"]
    previous = np.concatenate((bars[:1, 0], market[:-1, 3]))
    assert market / previous[:, None] == pytest.approx((bars / before[:, None])[path.rows], rel=1e-9)


def test_markets_beside_keep_their_distance():
    bars = candles(200)
    premium = 1.0 + 0.002 * np.sin(np.arange(200))[:, None]
    (path,) = bootstrap_market(bars, paths=1, beside={"perp": bars * premium, "mark": bars * 1.001})
    market, perp = path.bars["market"], path.bars["perp"]
    assert (perp[:, 3] / market[:, 3]) == pytest.approx(premium[path.rows, 0])
    assert (path.bars["mark"][:, 3] / market[:, 3]) == pytest.approx(np.full(200, 1.001))
    for shape in path.bars.values():
        assert (shape[:, 1] >= shape.max(axis=1) * (1 - 1e-12)).all()


def test_equal_seeds_give_equal_markets_and_others_do_not():
    bars = candles(100)
    first, again, other = (bootstrap_market(bars, paths=3, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.bars["market"], b.bars["market"]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].bars["market"], other[0].bars["market"])
    assert not np.array_equal(first[0].rows, first[1].rows)


def test_blocks_keep_calm_and_rough_stretches_that_single_bars_lose():
    bars = candles(2000)

    def clustering(path):
        moves = np.abs(np.diff(np.log(path.bars["market"][:, 3])))
        return np.corrcoef(moves[:-1], moves[1:])[0, 1]

    blocks = np.mean([clustering(path) for path in bootstrap_market(bars, paths=20)])
    single = np.mean([clustering(path) for path in bootstrap_market(bars, paths=20, block=1)])
    assert abs(single) < 0.03
    assert blocks > 0.1


def test_recorded_candles_make_paths_with_their_own_moves(market_data):
    recorded = read_candles(market_data / "binance_spot_BTCUSDT_1h_2023-01_2024-06.parquet").columns[:4].T[:3000]
    paths = bootstrap_market(recorded, paths=5, scheme="circular")
    steps = np.diff(np.log(recorded[:, 3]))
    for path in paths:
        moves = np.diff(np.log(path.bars["market"][:, 3]))
        assert moves.std() == pytest.approx(steps.std(), rel=0.25)
        assert moves.min() >= steps.min() - 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_market(np.ones((20, 3))), r"shape \(20, 3\)"),
        (lambda: bootstrap_market(np.ones((5, 4))), "5 bars are too few"),
        (lambda: bootstrap_market(np.where(np.arange(80).reshape(20, 4) == 42, math.nan, 1.0)), r"bars\[10\]: A price is not"),
        (lambda: bootstrap_market(candles(20)[:, [0, 2, 1, 3]]), "high or low does not hold"),
        (lambda: bootstrap_market(candles(20), beside={"perp": candles(19)}), "19 bars, not 20"),
        (lambda: bootstrap_market(candles(20), beside={"market": candles(20)}), "The first market has this name"),
        (lambda: bootstrap_market(candles(20), paths=0), "paths = 0"),
        (lambda: bootstrap_market(candles(20), block=0.5), "block = 0.5"),
        (lambda: bootstrap_market(candles(20), block=math.nan), "block = nan"),
        (lambda: bootstrap_market(candles(20), length=0), "length = 0"),
        (lambda: bootstrap_market(candles(20), scheme="magic"), "no such scheme"),
        (lambda: resample_rows("circular", 0, 1, 1.0, 1, np.random.default_rng(1)), "count = 0"),
        (lambda: optimal_block_length([1.0] * 9), "9 periods are too few"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
