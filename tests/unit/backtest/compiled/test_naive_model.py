"""Bot and twin against a third implementation that shares no line with either."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from alpha_pulse.settings import Settings
from alpha_pulse.testing.markets import updates_from_prices
from tests.unit.backtest.compiled.both import run_bot, trades, twin_on, twin_trades
from tests.unit.backtest.compiled.hostile import PLAIN, on_tick
from tests.unit.backtest.compiled.naive import NaiveGrid, Rules

OFF: dict[str, Any] = {
    "risk": {
        "stop_loss_pct": None,
        "max_drawdown": None,
        "var_limit_pct": None,
        "max_effective_leverage": 20,
        "alert_distance": 0.03,
        "no_increase_distance": 0.02,
        "cut_distance": 0.01,
    },
    "execution": {"tolerance_ticks": 0, "max_slippage": 0.05, "max_active_orders": 500},
}
GRIDS: dict[str, dict[str, Any]] = {
    "one-sided": {"ratio": 0.5, "amplitude": 0.25},
    "symmetric": {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.5, "amplitude_adverse": 0.5},
    "bounded": {"ratio": 0.6, "min_ratio": 0.4, "max_ratio": 0.8, "amplitude": 0.4, "amplitude_adverse": 0.4},
}


def market(seed: int, bars: int = 700) -> list[Any]:
    """A walk with jumps and with funding, in the open, high, low, close that a test writes down."""
    random = np.random.default_rng(seed)
    price, made = 60_000.0, []
    for _ in range(bars):
        opened = on_tick(price * float(np.exp(random.normal(0.0, 0.02)))) if random.random() < 0.01 else price
        price = on_tick(opened * float(np.exp(random.normal(0.0, 0.002))))
        reach = abs(random.normal(0.0, 0.001, 2))
        high, low = on_tick(max(opened, price) * (1 + float(reach[0]))), on_tick(min(opened, price) * (1 - float(reach[1])))
        made.append((opened, max(high, opened, price), min(low, opened, price), price))
    updates = updates_from_prices(made)
    return [u._replace(settled_rate=float(random.normal(0, 0.001)) if k % 97 == 5 else None) for k, u in enumerate(updates)]


@pytest.mark.parametrize("rule", ["touch", "through"])
@pytest.mark.parametrize("anchor", ["fixed", "recentre"])
@pytest.mark.parametrize("grid", GRIDS)
def test_three_implementations_trade_alike(grid, anchor, rule):
    hedge = GRIDS[grid]
    settings = Settings.read({
        **PLAIN,
        **OFF,
        "inventory": {"quantity": "1.5"},
        "hedge": {**hedge, "funding_tilt": 0, "max_cost_share": 10},
        "grid": {"grid_spacing_pct": "0.004", "num_levels": 5, "volatility_multiple": 0, "snap": 0, "anchor": anchor},
        "paper": {"quote_balance": 2_000_000, "fill_rule": rule, "leverage": 20},
    })  # fmt: skip
    rules = Rules(
        coins=Fraction("1.5"),
        ratio=hedge["ratio"],
        min_ratio=hedge.get("min_ratio", hedge["ratio"]),
        max_ratio=hedge.get("max_ratio", 1.0),
        favourable=hedge["amplitude"],
        adverse=hedge.get("amplitude_adverse", 0.0),
        spacing=0.004,
        nodes=5,
        is_fixed=anchor == "fixed",
        band_under=0.05,
        band_over=0.10,
        tick=Fraction("0.1"),
        lot=Fraction("0.001"),
        least_value=100.0,
        maker_fee=Fraction("0.0002"),
        taker_fee=Fraction("0.0005"),
        slippage=1e-4,
        most_slippage=0.05,
        through=rule == "through",
    )
    for seed in range(2):
        updates = market(seed)
        naive = NaiveGrid(rules, Fraction(2_000_000))
        naive.run(updates)
        bot, twin = asyncio.run(run_bot(settings, updates)), twin_on(settings, updates)
        assert bot is not None
        expected = sorted(naive.trades)
        assert sorted(trade[:4] for trade in trades(bot.fills)) == expected
        assert sorted(trade[:4] for trade in twin_trades(twin)) == expected
        assert len(expected) > 20
        last = updates[-1].mark.close
        worth = float(naive.cash) + float(naive.lots * rules.lot) * last
        assert float(twin.path[-1]) - 1.5 * last == pytest.approx(worth, rel=1e-11)
