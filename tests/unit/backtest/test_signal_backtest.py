from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import empyrical
import numpy as np
import pytest

from alpha_pulse.backtest.ratios import sharpe_ratio, sortino_ratio
from alpha_pulse.backtest.signals import Backtest, BacktestConfig, mean_reversion_signal, momentum_signal, trend_following_signal
from alpha_pulse.backtest.signals.evaluate import CHECK_ALL, combine, evaluate
from alpha_pulse.backtest.signals.figures import annual_return, calmar_ratio, max_drawdown, returns_of
from alpha_pulse.backtest.signals.series import PriceSeries
from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError

DAY = 86_400
START = 1_600_000_000


def days(count, step=DAY):
    return START + step * np.arange(count)


def scripted(*values):
    """A signal that follows a script and knows nothing of prices."""
    return lambda prices, i: values[i]


def run(prices, signal, **settings):
    backtest = Backtest(prices, days(len(prices)), BacktestConfig(**settings))
    backtest.add_signal("scripted", signal)
    return backtest.run()


def walk(bars, seed=1, sigma=0.03):
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, sigma, bars)))


def by_hand(prices, signal, config):
    """The rules again, bar by bar, the slow way: equity after every bar, position after every bar, number of trades, costs."""
    cash, position, last, pending = config.initial_capital, 0.0, 0.0, None
    equity, positions, trades, costs = [], [], 0, 0.0

    def fill(target, price):
        nonlocal cash, position, trades, costs
        quantity = target - position
        if quantity == 0.0:
            return
        worse = price * (1 + config.slippage_bps / 10_000) if quantity > 0 else price * (1 - config.slippage_bps / 10_000)
        fee = abs(quantity) * worse * config.transaction_cost_bps / 10_000
        cash -= quantity * worse + fee
        position, trades, costs = target, trades + 1, costs + fee + abs(quantity) * abs(worse - price)

    for i, price in enumerate(prices):
        if pending is not None:
            fill(pending, price)
            pending = None
        if abs(signal[i] - last) >= config.rebalance_threshold - 1e-12:
            last = signal[i]
            pending = last * config.position_size_pct * (cash + position * price) / price
            if config.execution == "close":
                fill(pending, price)
                pending = None
        equity.append(cash + position * price)
        positions.append(position)
    return equity, positions, trades, costs


def test_a_decision_trades_at_the_next_bar_and_pays_fee_and_slippage():
    result = run([100.0, 110.0, 121.0], scripted(1.0, 1.0, 1.0))
    (trade,) = result.trades
    quantity = 0.5 * 100_000 / 100  # what half of the equity buys at the price that the decision knew
    assert (trade.decided, trade.bar, trade.side) == (0, 1, Side.BUY)
    assert trade.quantity == pytest.approx(quantity)
    assert trade.price == pytest.approx(110 * 1.0005)
    assert trade.fee == pytest.approx(quantity * 110 * 1.0005 * 0.001)
    assert trade.slippage == pytest.approx(quantity * 110 * 0.0005)
    assert result.total_costs == pytest.approx(trade.fee + trade.slippage)
    assert result.positions.tolist() == pytest.approx([0.0, quantity, quantity])
    assert result.equity_curve.tolist() == pytest.approx([100_000, 100_000 - trade.cost, 100_000 - trade.cost + quantity * 11])


def test_execution_at_the_close_is_the_optimistic_form():
    settings = {"transaction_cost_bps": 0.0, "slippage_bps": 0.0}
    honest = run([100.0, 110.0, 121.0], scripted(1.0, 1.0, 1.0), **settings)
    hopeful = run([100.0, 110.0, 121.0], scripted(1.0, 1.0, 1.0), execution="close", **settings)
    assert hopeful.trades[0].bar == 0
    assert hopeful.total_return == pytest.approx(0.5 * 0.21)
    assert honest.total_return == pytest.approx(0.5 * 0.11)
    assert "optimistic" in hopeful.summary()


def test_what_is_decided_on_the_last_bar_trades_no_more():
    assert run([100.0, 101.0, 102.0], scripted(0.0, 0.0, 1.0)).num_trades == 0
    assert run([100.0, 101.0, 102.0], scripted(0.0, 0.0, 1.0), execution="close").num_trades == 1


def test_a_trade_follows_when_the_signal_has_moved_by_a_tenth_since_the_last_one():
    result = run([100.0] * 8, scripted(0.05, 0.1, 0.15, 0.19, 0.2, 0.25, 0.3, 0.3))
    assert [trade.decided for trade in result.trades] == [1, 4, 6]
    assert [trade.signal for trade in result.trades] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("execution", ["next", "close"])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.7])
def test_the_book_is_the_one_kept_by_hand(execution, threshold):
    prices = walk(400, seed=5)
    backtest = Backtest(prices, days(400), BacktestConfig(execution=execution, rebalance_threshold=threshold))
    backtest.add_signal("reversion", mean_reversion_signal, 0.7)
    backtest.add_signal("trend", trend_following_signal, 0.3)
    result = backtest.run()
    equity, positions, trades, costs = by_hand(prices, result.combined_signal.tolist(), backtest.config)
    assert result.equity_curve == pytest.approx(np.array(equity), abs=0.005)
    assert result.positions == pytest.approx(np.array(positions), rel=1e-9, abs=1e-9)
    assert (result.num_trades, result.total_costs) == (trades, pytest.approx(costs))
    assert trades > 20


def test_round_trips_split_where_the_position_changes_sides_and_add_up_to_the_pnl():
    prices = [100.0, 100.0, 110.0, 110.0, 105.0, 105.0, 120.0, 125.0]
    result = run(prices, scripted(1.0, 0.5, -1.0, -0.5, 0.0, 1.0, 1.0, 1.0))
    assert [(trip.opened, trip.closed, trip.side) for trip in result.round_trips] == [
        (1, 3, Side.BUY),
        (3, 5, Side.SELL),
        (6, None, Side.BUY),
    ]
    assert sum(trip.pnl for trip in result.round_trips) == pytest.approx(result.equity_curve[-1] - 100_000, abs=1e-6)
    assert [trip.pnl > 0 for trip in result.round_trips] == [True, True, True]
    assert result.win_rate == 1.0
    assert run(prices, scripted(1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)).win_rate == 0.5


def test_weights_count_in_proportion_to_their_sum():
    paths = {"a": np.array([1.0, 0.5]), "b": np.array([-1.0, 0.5]), "c": np.array([1.0, 1.0])}
    assert combine(paths, {"a": 3.0, "b": 1.0, "c": 0.0}).tolist() == [0.5, 0.5]
    assert combine(paths, {"a": 3e300, "b": 1e300, "c": 0.0}).tolist() == pytest.approx([0.5, 0.5])
    assert combine(paths, {"a": 0.0, "b": 0.0, "c": 0.0}).tolist() == [0.0, 0.0]


def test_signals_are_clipped_and_a_name_that_is_added_again_replaces():
    backtest = Backtest([100.0] * 3, days(3))
    backtest.add_signal("one", scripted(0.0, 0.0, 0.0), 5.0)
    backtest.add_signal("one", scripted(7.0, -7.0, 0.5), 1.0)
    result = backtest.run()
    assert list(result.signals) == ["one"]
    assert result.signals["one"].tolist() == [1.0, -1.0, 0.5]


@pytest.mark.parametrize(
    "peeking",
    [
        lambda prices, i: float(np.sign(prices[i + 1] - prices[i])) if i + 1 < len(prices) else 0.0,
        lambda prices, i: float(np.sign(prices[-1] - prices[i])),
        lambda prices, i: prices[i] / max(prices),
        lambda prices, i: 1.0 if i == 150 and prices[170] > 0.0 else 0.0,
        lambda prices, i: float(np.mean(prices[i : i + 2]) / prices[i] - 1.0),
        lambda prices, i: i / len(prices),
    ],
    ids=["next bar", "last bar", "all-time high", "one bar only", "a slice over the end", "how much there will be"],
)
def test_a_signal_that_looks_ahead_is_caught_and_named(peeking):
    backtest = Backtest(walk(200, seed=3), days(200))
    backtest.add_signal("honest", momentum_signal)
    backtest.add_signal("peeking", peeking)
    with pytest.raises(ConfigError, match=r"signal peeking: The signal looks ahead: on bar \d+ it .* once the bars after it are removed"):
        backtest.run()


def test_of_a_long_series_a_sample_is_checked_for_looking_ahead():
    prices = walk(CHECK_ALL + 1000, sigma=0.001)
    assert len(evaluate("honest", lambda prices, i: min(1.0, prices[i] / 1e9), prices)) == len(prices)
    with pytest.raises(ConfigError, match="looks ahead"):
        evaluate("peeking", lambda prices, i: 0.5 if i % 7 == 3 and i + 1 < len(prices) else 0.0, prices)


def test_a_signal_that_remembers_is_no_function_of_its_arguments():
    seen = []

    def remembering(prices, i):
        seen.append(i)
        return len(seen) / 1000

    with pytest.raises(ConfigError, match=r"looks ahead: on bar 0 .*keep nothing between two calls"):
        run(walk(50), remembering)


def test_a_signal_that_is_no_number_is_named_with_its_bar():
    with pytest.raises(ConfigError, match=r"signal scripted = nan: The signal on bar 2 is no number"):
        run([100.0] * 4, scripted(0.0, 0.1, math.nan, 0.0))


@pytest.mark.parametrize("value", [None, "up", [0.1]])
def test_a_signal_that_gives_no_number_at_all_is_named_too(value):
    with pytest.raises(ConfigError, match=r"signal scripted.*: The signal on bar 1 is no number"):
        run([100.0] * 3, scripted(0.0, value, 0.0))


def test_a_signal_that_fails_by_type_without_the_later_bars_looks_ahead():
    def peeking(prices, i):
        return 0.1 if i + 1 < len(prices) else None if i < 2 else 0.0

    with pytest.raises(ConfigError, match="looks ahead: on bar 0 it fails"):
        run([100.0] * 3, peeking)


def test_ratios_are_those_of_a_known_library():
    backtest = Backtest(walk(700, seed=8), days(700))
    backtest.add_signal("trend", trend_following_signal)
    result = backtest.run()
    returns = result.returns
    assert len(returns) == 699
    assert result.periods_per_year == pytest.approx(365.0)
    assert result.sharpe_ratio == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365))
    assert result.sortino_ratio == pytest.approx(empyrical.sortino_ratio(returns, annualization=365))
    assert result.max_drawdown == pytest.approx(-empyrical.max_drawdown(returns))
    assert result.calmar_ratio == pytest.approx(empyrical.calmar_ratio(returns, annualization=365))
    assert result.annual_return == pytest.approx(empyrical.annual_return(returns, annualization=365))
    assert result.total_return == pytest.approx(empyrical.cum_returns_final(returns))
    assert (result.split, result.train_sharpe) == (420, pytest.approx(empyrical.sharpe_ratio(returns[:419], annualization=365)))
    assert result.test_sharpe == pytest.approx(empyrical.sharpe_ratio(returns[419:], annualization=365))


@pytest.mark.parametrize(("step", "expected"), [(DAY, 365), (3600, 365 * 24), (60, 365 * 24 * 60), (7 * DAY, 365 / 7)])
def test_the_year_is_365_days_of_whatever_bars_there_are(step, expected):
    assert PriceSeries.of([100.0] * 9, days(9, step)).periods_per_year == pytest.approx(expected)


def test_a_gap_counts_as_the_time_that_it_took():
    stamps = days(11)
    stamps[5:] += 10 * DAY  # eleven bars over twenty days
    assert PriceSeries.of([100.0] * 11, stamps).periods_per_year == pytest.approx(365 / 2)


def test_times_are_taken_in_any_common_form():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(days=k) for k in range(3)]
    expected = [round(moment.timestamp() * 1000) for moment in moments]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    stamps = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[ns]")
    seconds = [moment.timestamp() for moment in moments]
    for form in (moments, naive, stamps, seconds, expected, [stamp * 1000 for stamp in expected], [stamp * 10**6 for stamp in expected]):
        assert PriceSeries.of([1.0, 2.0, 3.0], form).ts_ms.tolist() == expected


@pytest.mark.parametrize(
    ("prices", "stamps", "message"),
    [
        ([100.0], [1.0], "1 bars are too few"),
        ([], [], "0 bars are too few"),
        ([100.0, 101.0], [1.0, 2.0, 3.0], "2 prices, but 3 timestamps"),
        ([100.0, math.nan, 3.0], [1.0, 2.0, 3.0], r"prices\[1\] = nan: It is not a positive number"),
        ([100.0, 0.0], [1.0, 2.0], r"prices\[1\] = 0.0"),
        ([100.0, math.inf], [1.0, 2.0], r"prices\[1\] = inf"),
        ([100.0, 101.0, 102.0], [1.0, 3.0, 2.0], "Bar 2 is not later than bar 1.*sort the bars"),
        ([100.0, 101.0], [1.0, 1.0], "Bar 1 is not later than bar 0"),
        ([[100.0, 101.0]], [1.0, 2.0], "2 dimensions"),
        ([100.0, 101.0], [[1.0, 2.0]], "2 dimensions"),
        (["dear", "cheap"], [1.0, 2.0], "not numbers"),
        ([100.0, 101.0], ["monday", "tuesday"], "no times"),
        ([100.0, 101.0], None, "no times"),
        ([100.0, 101.0], [1.0, math.nan], "A time is not finite"),
        ([100.0, 101.0], np.array(["2024-01-01", "NaT"], dtype="datetime64[s]"), "missing"),
    ],
)
def test_what_is_no_series_is_refused(prices, stamps, message):
    with pytest.raises(ConfigError, match=message):
        Backtest(prices, stamps)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("initial_capital", 0.0),
        ("initial_capital", math.nan),
        ("position_size_pct", 50.0),
        ("position_size_pct", -0.5),
        ("transaction_cost_bps", -1.0),
        ("slippage_bps", math.inf),
        ("rebalance_threshold", 3.0),
        ("train_pct", 1.0),
        ("train_pct", 60.0),
        ("execution", "now"),
    ],
)
def test_a_setting_out_of_range_is_named(field, value):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        BacktestConfig(**{field: value})


def test_the_defaults_are_those_that_are_documented():
    assert BacktestConfig() == BacktestConfig(100_000, 0.5, 10, 5, 0.1, 0.6, "next")


def test_a_backtest_needs_signals_with_names_and_weights():
    backtest = Backtest([100.0, 101.0], days(2))
    with pytest.raises(ConfigError, match="There is no signal"):
        backtest.run()
    with pytest.raises(ConfigError, match="needs a name"):
        backtest.add_signal("", momentum_signal)
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match=r"momentum\.weight"):
            backtest.add_signal("momentum", momentum_signal, weight)


def test_a_ruined_account_is_closed_and_stays_closed():
    settings = {"position_size_pct": 2.0, "transaction_cost_bps": 0.0, "slippage_bps": 0.0}
    result = run([100.0, 100.0, 160.0, 90.0, 300.0], scripted(-1.0, -1.0, -1.0, 1.0, 1.0), **settings)
    assert result.ruined
    assert [(trade.bar, trade.position) for trade in result.trades] == [(1, -2000.0), (2, 0.0)]
    assert result.equity_curve.tolist() == pytest.approx([100_000, 100_000, -20_000, -20_000, -20_000])
    assert result.total_return == pytest.approx(-1.2)
    assert result.annual_return == -1.0
    assert result.max_drawdown == pytest.approx(1.2)
    assert "RUINED" in result.summary()
    assert result.round_trips[0].pnl == pytest.approx(-120_000)


def test_a_ratio_that_means_nothing_is_no_number_and_the_summary_says_so():
    result = run([100.0, 101.0, 102.0], scripted(0.0, 0.0, 0.0))
    assert math.isnan(result.sharpe_ratio)
    assert math.isnan(result.sortino_ratio)
    assert math.isnan(result.calmar_ratio)
    assert math.isnan(result.win_rate)
    assert (result.total_return, result.max_drawdown, result.total_costs) == (0.0, 0.0, 0.0)
    assert "Sharpe ratio            n/a  (train n/a, test n/a)" in result.summary()
    constant = np.cumprod([1.0] + [1.001] * 50)
    assert math.isnan(sharpe_ratio(returns_of(constant[1:], 1.0), 365.0)), "the spread of equal returns is rounding"
    assert math.isnan(calmar_ratio(constant, 1.0, 1.0))
    assert math.isnan(sortino_ratio(np.array([0.01]), 365.0))


def test_figures_of_short_and_lost_series_stay_in_bounds():
    assert annual_return(5.0, 1e-6) == math.inf
    assert annual_return(-1.5, 1.0) == -1.0
    assert max_drawdown(np.array([90.0, 120.0, 60.0]), 100.0) == 0.5
    assert returns_of(np.array([-5.0, -5.0]), 10.0).tolist() == [-1.5, 0.0]


def test_the_summary_names_what_was_assumed():
    text = run([100.0, 110.0, 105.0, 120.0], scripted(1.0, 1.0, 0.0, 0.0)).summary()
    for words in (
        "4 bars, 2020-09-13 to 2020-09-16",
        "10 bp fee, 5 bp slippage",
        "at the next bar",
        "365.0 bars a year",
        "holding 50% instead",
    ):
        assert words in text


def test_curves_cannot_be_changed():
    result = run([100.0, 110.0, 105.0], scripted(1.0, 1.0, 0.0))
    for curve in (result.equity_curve, result.positions, result.combined_signal, result.signals["scripted"], result.timestamps):
        with pytest.raises(ValueError, match="read-only"):
            curve[0] = 1
