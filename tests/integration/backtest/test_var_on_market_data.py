"""Every long series of the recorded market data through the VaR backtest, recounted by other means."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy import stats

from alpha_pulse.backtest.var_backtest import backtest_var, read_closes
from alpha_pulse.backtest.var_table import render
from alpha_pulse.hedging.risk.tail import VarMethod

DAY = 86_400_000
PERIOD = "1h_2023-01_2024-06"
NAMES = [f"binance_{kind}_{coin}USDT_{PERIOD}" for kind in ("spot", "perp", "mark") for coin in ("BTC", "ETH")]
NORMAL = stats.norm.ppf(0.99)
pytestmark = pytest.mark.market_data


def evenings(path):
    """Price and EWMA volatility at every 00:00 UTC: squared hourly returns weighted by age (of 70 days, 2^-70 is left), from 3 % a day."""
    table = pq.read_table(path, columns=["timestamp", "close"])
    close_ms = table["timestamp"].to_numpy() + 3_600_000
    log_price = np.log(table["close"].to_numpy())
    elapsed = np.diff(close_ms) / DAY
    squares = np.diff(log_price) ** 2 / elapsed
    at = np.flatnonzero(close_ms % DAY == 0)
    sigmas = []
    for i in at:
        first = max(0, i - 70 * 24)
        age = (close_ms[i] - close_ms[first + 1 : i + 1]) / DAY
        weights = 2.0**-age * (1.0 - 2.0 ** -elapsed[first:i])
        start = 2.0 ** -((close_ms[i] - close_ms[0]) / DAY)
        sigmas.append(math.sqrt(start * 0.03**2 + float(weights @ squares[first:i])))
    return np.exp(log_price[at]), np.array(sigmas)


def quantile(method, losses):
    """The multiplier of σ at 99 %."""
    z = NORMAL
    empirical = np.sort(losses)[-1 - math.floor(0.01 * len(losses) + 1e-9)]
    if method == VarMethod.PARAMETRIC:
        return z
    if method == VarMethod.FILTERED_HISTORICAL:
        return empirical
    scaled = (losses - losses.mean()) / losses.std()
    square = scaled * scaled
    skew, kurtosis = (square * scaled).mean(), (square * square).mean() - 3.0
    grid = np.linspace(-60.0, 60.0, 401)
    curve = grid + (grid**2 - 1) * skew / 6 + (grid**3 - 3 * grid) * kurtosis / 24 - (2 * grid**3 - 5 * grid) * skew**2 / 36
    if (np.diff(curve) < 0.0).any():
        return max(z, empirical)
    return z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skew**2 / 36


def recount(price, sigma, side, method):
    """Days tested and days lost more than VaR."""
    returns = price[1:] / price[:-1] - 1.0
    known = returns / sigma[:-1]
    hits = [-side * returns[t] > quantile(method, -side * known[max(0, t - 500) : t]) * sigma[t] for t in range(100, len(returns))]
    return len(hits), sum(hits)


@pytest.fixture(scope="module")
def tests(market_data):
    """Printed whole: run with -s to see it."""
    found = [test for name in NAMES for test in backtest_var(read_closes(market_data / f"{name}.parquet"))]
    render(found, Console(width=200), 0.99)
    return found


def test_no_series_long_enough_is_left_out(market_data):
    long = []
    for path in market_data.glob("*.parquet"):
        if path.name.split("_")[0] == "binance" and "funding" not in path.name:
            stamps = pq.read_table(path, columns=["timestamp"])["timestamp"].to_numpy()
            long += [path.stem] if stamps[-1] - stamps[0] >= 250 * DAY else []
    assert sorted(long) == sorted(NAMES)


def test_the_table_has_every_series_side_and_method_once(tests):
    rows = [(test.series, test.side, test.method) for test in tests]
    assert rows == [(name, side, method) for name in NAMES for side in (1, -1) for method in VarMethod]
    for test in tests:
        assert test.expected == pytest.approx(0.01 * test.days)
        assert all(0.0 <= ratio.p <= 1.0 and ratio.statistic >= 0.0 for ratio in (test.kupiec, test.christoffersen, test.joint))
        assert test.kupiec.p == pytest.approx(stats.chi2.sf(test.kupiec.statistic, 1))
        assert test.joint.p == pytest.approx(stats.chi2.sf(test.joint.statistic, 2))


@pytest.mark.parametrize("name", NAMES)
def test_the_exceedances_are_those_of_a_recount(tests, market_data, name):
    price, sigma = evenings(market_data / f"{name}.parquet")
    for test in tests:
        if test.series == name:
            assert (test.days, test.exceedances) == recount(price, sigma, test.side, test.method), test.method
