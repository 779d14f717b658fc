"""What must hold for any prices and any signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.backtest.calibrate import DEFAULT_SIGNALS
from alpha_pulse.backtest.signals import Backtest, BacktestConfig, signal_path

EXAMPLES = settings(max_examples=60, deadline=None)
START = 1_600_000_000


@st.composite
def markets(draw, least=2, most=60):
    count = draw(st.integers(least, most))
    steps = draw(st.lists(st.floats(-0.4, 0.4), min_size=count, max_size=count))
    return draw(st.floats(1e-6, 1e6)) * np.exp(np.cumsum(steps))


CONFIGS = st.builds(
    BacktestConfig,
    initial_capital=st.floats(100.0, 1e7),
    position_size_pct=st.floats(0.01, 1.0),
    transaction_cost_bps=st.floats(0.0, 100.0),
    slippage_bps=st.floats(0.0, 100.0),
    rebalance_threshold=st.floats(0.0, 1.0),
    execution=st.sampled_from(["next", "close"]),
)
SCRIPTS = st.lists(st.floats(-1.0, 1.0) | st.sampled_from([0.0, 1.0, -1.0]), min_size=60, max_size=60)


def run(prices, script, config):
    backtest = Backtest(prices, START + 3600 * np.arange(len(prices)), config)
    backtest.add_signal("script", lambda _, i: script[i])
    return backtest.run()


@EXAMPLES
@given(markets(), SCRIPTS, CONFIGS)
def test_the_equity_curve_is_what_the_trades_say_to_the_cent(prices, script, config):
    result = run(prices, script, config)
    for bar in range(len(prices)):
        done = [trade for trade in result.trades if trade.bar <= bar]
        cash = config.initial_capital - sum(trade.quantity * trade.price + trade.fee for trade in done)
        position = sum(trade.quantity for trade in done)
        scale = config.initial_capital + sum(abs(trade.quantity * trade.price) for trade in done)
        assert result.equity_curve[bar] == pytest.approx(cash + position * prices[bar], abs=max(0.005, 1e-9 * scale))
        assert result.positions[bar] == (done[-1].position if done else 0.0)
    pnl = result.equity_curve[-1] - config.initial_capital
    moved = sum(abs(trade.quantity * trade.price) for trade in result.trades) + config.initial_capital
    assert sum(trip.pnl for trip in result.round_trips) == pytest.approx(pnl, abs=max(0.005, 1e-9 * moved))


@EXAMPLES
@given(markets(), SCRIPTS, CONFIGS)
def test_every_trade_pays_and_none_acts_before_it_was_decided(prices, script, config):
    result = run(prices, script, config)
    delay = 1 if config.execution == "next" else 0
    for trade in result.trades:
        assert trade.fee >= 0.0
        assert trade.slippage >= 0.0
        assert trade.bar - trade.decided == delay or (result.ruined and trade.position == 0.0)
        assert (trade.price - trade.reference_price) * trade.quantity >= 0.0
    assert result.total_costs == pytest.approx(sum(trade.fee + trade.slippage for trade in result.trades))
    assert result.max_drawdown >= 0.0
    assert np.isfinite(result.equity_curve).all()


@EXAMPLES
@given(markets(least=3), SCRIPTS, CONFIGS, st.data())
def test_what_comes_later_changes_nothing_of_what_was_before(prices, script, config, data):
    cut = data.draw(st.integers(2, len(prices)))
    whole, part = run(prices, script, config), run(prices[:cut], script, config)
    assert whole.equity_curve[:cut].tolist() == part.equity_curve.tolist()
    assert whole.positions[:cut].tolist() == part.positions.tolist()
    assert [trade for trade in whole.trades if trade.bar < cut] == list(part.trades)


@EXAMPLES
@given(markets(), SCRIPTS, CONFIGS)
def test_costs_are_all_that_is_between_the_curve_and_the_moves_of_what_was_held(prices, script, config):
    result = run(prices, script, config)
    paid = np.array([sum(trade.cost for trade in result.trades if trade.bar <= bar) for bar in range(len(prices))])
    if not result.ruined:
        moves = np.concatenate(([0.0], result.positions[:-1] * np.diff(prices)))
        free = config.initial_capital + np.cumsum(moves)
        assert result.equity_curve == pytest.approx(free - paid, rel=1e-9, abs=1e-6)


@EXAMPLES
@given(markets(most=120), st.integers(2, 25), st.sampled_from(sorted(DEFAULT_SIGNALS)), st.data())
def test_a_signal_is_bounded_and_knows_nothing_of_the_future(prices, lookback, name, data):
    signal = DEFAULT_SIGNALS[name]
    path = signal_path(signal, prices, lookback)
    assert (np.abs(path) <= 1.0).all()
    i = data.draw(st.integers(0, len(prices) - 1))
    assert path[i] == signal_path(signal, prices[: i + 1], lookback)[i] == signal(prices.tolist(), i, lookback)


@EXAMPLES
@given(markets(least=40, most=60), st.floats(0.01, 100.0), st.sampled_from(["momentum", "mean_reversion", "trend_following"]))
def test_the_unit_of_the_price_does_not_matter(prices, scale, name):
    one, other = signal_path(DEFAULT_SIGNALS[name], prices), signal_path(DEFAULT_SIGNALS[name], scale * prices)
    assert one == pytest.approx(other, abs=1e-6)
