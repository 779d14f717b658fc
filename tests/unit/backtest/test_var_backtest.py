from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner

from alpha_pulse.backtest.var_backtest import (
    CloseSeries,
    backtest_var,
    bot_volatility,
    christoffersen_test,
    daily_closes,
    forecasts,
    kupiec_test,
    read_closes,
)
from alpha_pulse.backtest.var_table import render
from alpha_pulse.cli.var import var_backtest
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.tail import MIN_RESIDUALS, VarMethod
from alpha_pulse.market.provider import FeedDataProvider
from tests.unit.market.market_fakes import START, SYMBOL, MovableClock, ScriptedFeed, update

HOUR, DAY = 3_600_000, 86_400_000


def series_of(closes, *, step=DAY, first_close=START + DAY, name="walk"):
    closes = np.asarray(closes, dtype=np.float64)
    return CloseSeries(name, step, first_close + step * np.arange(len(closes), dtype=np.int64), closes)


def walk(days, *, seed=1, per_day=1, sigma=0.03):
    steps = np.random.default_rng(seed).standard_t(4, days * per_day) / math.sqrt(2.0) * sigma / math.sqrt(per_day)
    return 100.0 * np.exp(np.cumsum(steps))


def markov_likelihood(hits, after_quiet, after_hit):
    """Probability of the hits after the first, one by one."""
    product = 1.0
    for before, now in pairwise(hits):
        chance = after_hit if before else after_quiet
        product *= chance if now else 1.0 - chance
    return product


def hits_of(text):
    return [letter == "x" for letter in text]


@pytest.mark.parametrize(("exceedances", "days"), [(1, 255), (4, 446), (14, 446), (20, 600)])
def test_kupiec_is_twice_the_log_of_two_binomial_probabilities(exceedances, days):
    best, claimed = (stats.binom.logpmf(exceedances, days, share) for share in (exceedances / days, 0.01))
    found = kupiec_test(exceedances, days, 0.99)
    assert found.statistic == pytest.approx(2.0 * (best - claimed), rel=1e-8)
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-10)


def test_kupiec_accepts_what_his_table_accepts():
    """Kupiec 1995, reprinted in Jorion, Value at Risk, ch. 6: at p = 0.01 accept N < 7 of 255, 1 < N < 11 of 510, 4 < N < 17 of 1000."""
    accepted = {days: [n for n in range(40) if kupiec_test(n, days, 0.99).p >= 0.05] for days in (255, 510, 1000)}
    assert max(accepted[255]) == 6
    assert (min(accepted[510]), max(accepted[510])) == (2, 10)
    assert (min(accepted[1000]), max(accepted[1000])) == (5, 16)


def test_kupiec_of_no_exceedance_and_of_nothing_but_exceedances():
    assert kupiec_test(0, 250, 0.99).statistic == pytest.approx(-500.0 * math.log(0.99))
    assert kupiec_test(10, 10, 0.99).statistic == pytest.approx(-20.0 * math.log(0.01))
    assert kupiec_test(0, 0, 0.99) == (0.0, 1.0)


@pytest.mark.parametrize("text", ["..x...xx....x.xxx....", "x..x..x..", "....xxxx", "xx", ".x", "x.", "..........x"])
def test_christoffersen_compares_the_best_chain_with_the_best_constant(text):
    hits = hits_of(text)
    moves = list(pairwise(hits))

    def share(pairs):
        return sum(now for _, now in pairs) / len(pairs) if pairs else 0.0

    constant = share(moves)
    chain = markov_likelihood(hits, share([m for m in moves if not m[0]]), share([m for m in moves if m[0]]))
    found = christoffersen_test(hits)
    assert found.statistic == pytest.approx(2.0 * math.log(chain / markov_likelihood(hits, constant, constant)), abs=1e-9)
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-6)


def test_exceedances_in_a_row_are_rejected_and_scattered_ones_are_not():
    assert christoffersen_test(hits_of("." * 200 + "xxxxx" + "." * 200)).p < 1e-6
    assert christoffersen_test(hits_of(("." * 79 + "x") * 5)).p > 0.5


@pytest.mark.parametrize("text", ["", ".", "x", "." * 300])
def test_without_an_exceedance_after_the_first_day_nothing_can_be_said_of_clustering(text):
    assert christoffersen_test(hits_of(text)) == (0.0, 1.0)


async def test_volatility_is_the_bots_bit_for_bit():
    closes = walk(60, per_day=24)
    feed = FeedDataProvider(ScriptedFeed([update(i, float(close), step=HOUR) for i, close in enumerate(closes)]), MovableClock())
    bots = [(await feed.advance(SYMBOL)).indicators.volatility_day for _ in closes]
    assert bot_volatility(series_of(closes, step=HOUR, first_close=START + HOUR)) == bots


def test_daily_closes_are_the_last_at_or_before_midnight():
    stamps = np.array([1, 23, 24, 47, 49, 95, 96, 97]) * HOUR + START  # the third day has its last at 23:00, the day after is missing half
    found = daily_closes(CloseSeries("x", HOUR, stamps, np.arange(1.0, 9.0)))
    assert ((found.close_ms - START) // DAY).tolist() == [1, 2, 3, 4]
    assert found.closes.tolist() == [3.0, 4.0, 5.0, 7.0]  # the fifth day is not over


def test_a_missing_day_is_neither_tested_nor_remembered():
    whole = series_of(walk(300))
    kept = np.arange(300) != 200
    holed = whole._replace(close_ms=whole.close_ms[kept], closes=whole.closes[kept])
    days = [{f.known_ms for f in forecasts(s)} for s in (whole, holed)]
    assert days[0] - days[1] == {int(whole.close_ms[199]), int(whole.close_ms[200])}


def test_nothing_is_known_of_the_future():
    closes = walk(320, per_day=24, seed=4)
    crash = closes.copy()
    crash[280 * 24 :] *= 0.4
    calm, wild = (list(forecasts(series_of(c, step=HOUR, first_close=START + HOUR))) for c in (closes, crash))
    cut = START + 280 * DAY
    same = [[(f.known_ms, f.side, f.method, f.value_at_risk) for f in found if f.known_ms <= cut] for found in (calm, wild)]
    assert same[0] == same[1]
    crashed = [f for f in wild if f.known_ms == cut]
    assert [f.exceeded for f in crashed] == [f.side == 1 for f in crashed]
    assert [f.value_at_risk for f in calm if f.known_ms > cut] != [f.value_at_risk for f in wild if f.known_ms > cut]


def test_all_methods_are_tested_on_the_same_days_and_the_first_hundred_returns_only_fill_the_sample():
    tests = backtest_var(series_of(walk(300)))
    assert [(t.side, t.method) for t in tests] == [(side, method) for side in (1, -1) for method in VarMethod]
    assert {t.days for t in tests} == {299 - MIN_RESIDUALS}
    assert all(t.expected == pytest.approx(1.99) for t in tests)


def test_the_parametric_forecast_is_the_normal_quantile_of_the_evenings_volatility():
    closes = walk(260, seed=9)
    variance = 0.03**2
    for before, now in pairwise(closes[:250]):
        variance = 0.5 * variance + 0.5 * math.log(now / before) ** 2  # a half-life of a day, at a day's step
    series = series_of(closes)
    found = next(
        f for f in forecasts(series, 0.95) if f.known_ms == series.close_ms[249] and f.method == VarMethod.PARAMETRIC and f.side == -1
    )
    assert found.value_at_risk == pytest.approx(stats.norm.ppf(0.95) * math.sqrt(variance))
    assert found.loss == pytest.approx(closes[250] / closes[249] - 1.0)


def test_only_the_latest_500_standardised_returns_are_read():
    """Of 500 losses the 99 % quantile is the 495th: the sixth largest."""
    closes = walk(800, seed=6)
    closes[:200] = walk(200, seed=7, sigma=0.001)
    closes[1:200:2] *= 1.5  # what the first days hold is wild
    series = series_of(closes)
    standardised = (closes[1:] / closes[:-1] - 1.0) / np.array(bot_volatility(series))[:-1]
    last = [f for f in forecasts(series) if f.method == VarMethod.FILTERED_HISTORICAL and f.side == 1][-1]
    expected = np.sort(-standardised[-501:-1])[494] * bot_volatility(series)[-2]
    assert last.value_at_risk == pytest.approx(expected)


def test_a_first_evening_within_a_day_of_the_first_bar_is_not_ready():
    closes = walk(300, per_day=24)
    at_midnight, at_noon = (series_of(closes, step=HOUR, first_close=START + shift + HOUR) for shift in (0, DAY // 2))
    first = [next(forecasts(series)).known_ms for series in (at_midnight, at_noon)]
    assert [(ms - START) // DAY for ms in first] == [1 + MIN_RESIDUALS, 2 + MIN_RESIDUALS]


def test_a_price_that_never_moves_exceeds_nothing_and_is_called_too_careful():
    tests = backtest_var(series_of([100.0] * 1600))
    assert {t.exceedances for t in tests} == {0}
    assert all(t.rejected_by == ("Kupiec", "joint") for t in tests)
    assert {t.fell_back for t in tests if t.method == VarMethod.PARAMETRIC} == {0}
    assert {t.fell_back for t in tests if t.method != VarMethod.PARAMETRIC} == {1599 - MIN_RESIDUALS}


def test_the_joint_test_adds_both_with_two_degrees_of_freedom():
    for test in backtest_var(series_of(walk(600, seed=2)), 0.95):
        assert test.joint.statistic == pytest.approx(test.kupiec.statistic + test.christoffersen.statistic)
        assert test.joint.p == pytest.approx(stats.chi2.sf(test.joint.statistic, 2))


@pytest.mark.parametrize(
    ("series", "problem"),
    [
        (series_of(walk(249)), "249 daily closes"),
        (series_of([]), "0 daily closes"),
        (series_of([*walk(300), math.nan]), "no prices"),
        (series_of([*walk(300), 0.0]), "no prices"),
        (series_of(walk(300), step=-DAY), "no prices"),
    ],
)
def test_a_series_that_cannot_be_tested_is_refused(series, problem):
    with pytest.raises(ConfigError, match=problem):
        backtest_var(series)


def test_the_table_names_the_default_and_its_p_values_and_no_width_cuts_it():
    tests = backtest_var(series_of(walk(300), name="[red]odd name"))
    for width in (40, 200):
        out = io.StringIO()
        render(tests, Console(file=out, width=width), 0.99)
        printed = out.getvalue()
        assert "…" not in printed
        assert printed.count("[red]odd name") == 6 + 2
        assert "the bot's default, chosen before looking: parametric; passed" in printed
        long = tests[0]
        assert f"long: p = {long.kupiec.p:.4f} Kupiec, {long.christoffersen.p:.4f} Christoffersen, {long.joint.p:.4f} joint" in printed
        assert sum("parametric *" in line for line in printed.splitlines()) == 2


def command(*arguments):
    app = typer.Typer()
    app.command()(var_backtest)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def hourly_csv(folder: Path, days: int) -> Path:
    rows = [f"{START + i * HOUR},{c},{c},{c},{c}" for i, c in enumerate(walk(days, per_day=24).tolist())]
    path = folder / "coin.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close", *rows]))
    return path


def test_the_command_reads_candles_and_prints_every_row(tmp_path):
    path = hourly_csv(tmp_path, 260)
    assert read_closes(path).close_ms[0] == START + HOUR
    result = command(path, path, "--confidence", "0.95")
    assert result.exit_code == 0, result.output
    assert "95 %" in result.output
    assert sum(line.startswith("coin") for line in result.output.splitlines()) == 12
    assert sum(" 159 " in line for line in result.output.splitlines()) == 12  # 259 returns less the hundred that fill the sample
    daily = command(path, "--daily")
    assert daily.exit_code == 0
    assert daily.output != result.output


@pytest.mark.parametrize(
    ("arguments", "problem"), [(("none.csv",), "no such file"), (("none.csv", "--confidence", "99"), "between 0.5 and 1")]
)
def test_the_command_refuses_with_a_reason(arguments, problem):
    result = command(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert problem in str(result.exception)
