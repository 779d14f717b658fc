"""Fill by fill, the compiled twin does what the bot does: on simulated, hostile and recorded markets."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.compiled.build import INTERPRETED
from alpha_pulse.backtest.compiled.market import read_market
from alpha_pulse.backtest.compiled.record import run_compiled
from alpha_pulse.backtest.compiled.twin import run_twin
from alpha_pulse.backtest.metrics import equity, equity_paths
from alpha_pulse.backtest.replay import replay
from alpha_pulse.domain.market import Bar
from alpha_pulse.settings import Settings
from alpha_pulse.testing.markets import update
from tests.unit.backtest.compiled.both import assert_same, run_bot, trades, twin_on, twin_trades
from tests.unit.backtest.compiled.hostile import PLAIN, Market, some_settings

SYMMETRIC = {"hedge": {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.5, "amplitude_adverse": 0.5}}
EVENTS = (
    "partial_fills",
    "recentres",
    "floors",
    "stops_fired",
    "stops_latched",
    "drawdowns_latched",
    "liquidations",
    "cuts",
    "rejected",
    "refused",
)

EVENTFUL = (100, 115, 119, 163, 281, 297, 314)
"""Seeds whose runs fire stops, latch, liquidate, and send what the venue rejects."""

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "symmetric and fixed": SYMMETRIC
    | {
        "grid": {"grid_spacing_pct": "0.005", "anchor": "fixed", "volatility_multiple": 0},
        "risk": {"stop_loss_pct": None, "max_drawdown": None},
    },
    "a near stop and a near drawdown limit": {"risk": {"stop_loss_pct": "0.03", "stop_volatility_multiple": 0, "max_drawdown": "0.04"}},
    "narrow nodes that recentre often": SYMMETRIC | {"grid": {"grid_spacing_pct": "0.001", "num_levels": 3, "volatility_multiple": 0}},
    "a floor that moves": {"risk": {"var_limit_pct": "0.045", "floor_half_life_hours": 3}},
    "an absolute limit": {"risk": {"var_limit": 4500, "floor_half_life_hours": 3}},
    "funding that tilts": {"hedge": {"funding_tilt": 0.3, "funding_tilt_full": 0.1}},
    "a cap that binds": {"risk": {"max_effective_leverage": "0.6"}},
    "a short inventory": {"inventory": {"quantity": -1}, "hedge": {"amplitude_adverse": 0.2, "min_ratio": 0.1}},
    "an average anchor": {"grid": {"anchor": "ema", "anchor_ema_hours": 3}},
    "arithmetic nodes and few orders": {"grid": {"spacing": "arithmetic", "num_levels": 20}, "execution": {"max_active_orders": 3}},
    "an assessor on the edge": {
        "inventory_risk": {"enabled": True, "reduce_score": 18, "partial_score": 20, "full_score": 22, "liquidate_score": 24}
    },
    "coins that age": {
        "inventory": {"acquired_at": "2024-12-30T00:00:00Z"},
        "inventory_risk": {"enabled": True, "max_hold_minutes": 10_000},
        "risk": {"floor_half_life_hours": 2},
    },
    "coins with a loss": {"inventory": {"entry_price": "97500"}, "inventory_risk": {"enabled": True}},
    "fills by touch": {"paper": {"fill_rule": "touch"}, "grid": {"grid_spacing_pct": "0.003", "volatility_multiple": 0}} | SYMMETRIC,
    "fills by queue": {"paper": {"fill_rule": "queue", "queue_share": 0.0005}, "grid": {"grid_spacing_pct": "0.003"}} | SYMMETRIC,
}


def settings_of(changes: dict[str, Any], **feed: Any) -> Settings:
    return Settings.read({**PLAIN, **changes, "feed": feed})


@pytest.mark.parametrize("name", CASES)
def test_on_a_simulated_market_the_records_are_the_same(name):
    settings = settings_of(CASES[name], source="simulated", days=2, seed=19)
    bot, twin = asyncio.run(replay(settings)), asyncio.run(run_compiled(settings))
    assert trades(twin.fills) == trades(bot.fills)
    assert len(twin.fills) > 0
    assert [f.fee for f in twin.fills] == [f.fee for f in bot.fills]
    assert [f.reference_price for f in twin.fills] == [f.reference_price for f in bot.fills]
    assert [f.node for f in twin.fills] == [f.node for f in bot.fills]
    assert [(p.ts_ms, p.amount, p.interval_h) for p in twin.funding] == [(p.ts_ms, p.amount, p.interval_h) for p in bot.funding]
    for column in ("ts_ms", "spot", "mark", "last", "position", "target", "ratio", "floor", "anchor", "spacing", "cap", "posture"):
        np.testing.assert_allclose(getattr(twin, column), getattr(bot, column), rtol=1e-12, err_msg=column)
    np.testing.assert_allclose(twin.wallet, bot.wallet, rtol=1e-9)
    np.testing.assert_allclose(twin.unrealized, bot.unrealized, rtol=1e-9, atol=1e-6)
    assert {name: (sent.orders, sent.quantity) for name, sent in twin.sent.items()} == {
        name: (sent.orders, sent.quantity) for name, sent in bot.sent.items()
    }
    assert [(m.ts_ms, m.ratio, m.floor) for m in twin.moves] == [(m.ts_ms, m.ratio, m.floor) for m in bot.moves]


SIZERS: dict[str, dict[str, Any]] = {
    "spline": {"hedge": {"sizer": "spline", "lower_after_hours": 2, "max_cost_share": 5}},
    "spline that is tilted": {"hedge": {"sizer": "spline", "funding_tilt": 0.3, "funding_tilt_full": 0.1, "max_cost_share": 0.05}},
    "signal": {"hedge": {"sizer": "signal", "ratio": 0.4, "max_cost_share": 5}},
    "blend": {"hedge": {"sizer": "blend", "min_ratio": 0.2}, "sizers": {"sentiment": 0.5}},
    "spline of coins owed": {"inventory": {"quantity": -1}, "hedge": {"sizer": "spline"}},
}


@pytest.mark.parametrize("name", SIZERS)
def test_with_every_sizer_the_ratio_moves_alike(name):
    settings = settings_of(SIZERS[name], source="simulated", days=6, seed=19)
    bot, twin = asyncio.run(replay(settings)), asyncio.run(run_compiled(settings))
    assert trades(twin.fills) == trades(bot.fills)
    assert list(twin.ratio) == list(bot.ratio)
    assert len(set(twin.ratio)) > 2
    np.testing.assert_allclose(twin.wallet, bot.wallet, rtol=1e-9)
    market = asyncio.run(read_market(settings))
    every_bar = run_twin(settings, market, skips=False)
    assert int(run_twin(settings, market).state.ticks) < int(every_bar.state.ticks)
    assert every_bar.path.tolist() == run_twin(settings, market).path.tolist()


def test_the_path_and_its_drawdown_are_those_of_the_record():
    settings = settings_of(SYMMETRIC, source="simulated", days=4, seed=3)
    record, market = asyncio.run(replay(settings)), asyncio.run(read_market(settings))
    twin = run_twin(settings, market)
    paths = equity_paths(record, Bars.of(record), float(settings.paper.taker_fee))
    figures = equity(paths.hedged, paths.start)
    np.testing.assert_allclose(twin.path, paths.hedged, rtol=1e-12)
    assert float(twin.state.nav_start) == pytest.approx(paths.start, rel=1e-12)
    assert float(twin.state.max_drawdown) == pytest.approx(figures.max_drawdown.value, rel=1e-9)
    assert float(twin.state.max_drawdown_quote) == pytest.approx(figures.max_drawdown_quote, rel=1e-9)


def test_on_hostile_markets_every_event_happens_and_nothing_differs():
    counted, runs = Counter(), 0
    for seed in (*range(18), *EVENTFUL):
        settings = some_settings(seed)
        if settings is None:
            continue
        updates = Market(seed // 3).bars(500)
        bot = asyncio.run(run_bot(settings, updates))
        if bot is None:
            continue
        twin = twin_on(settings, updates)
        assert_same(bot, twin)
        runs += 1
        counted.update({name: int(twin.state[name]) for name in EVENTS})
    assert runs > 15
    assert all(counted[name] > 0 for name in EVENTS), counted


def test_a_thin_book_after_one_of_unknown_depth_is_looked_at():
    """The assessor asks for more the thinner the book; where none is known it asks for least."""
    scores = {"max_hold_minutes": 480, "reduce_score": 12, "partial_score": 36, "full_score": 46, "liquidate_score": 61}
    changes = {
        "inventory": {"acquired_at": "2024-12-31T12:00:00Z"},
        "inventory_risk": {"enabled": True, **scores},
        "hedge": {"ratio": "0.3"},
    }
    settings = settings_of(changes, source="simulated", days=1)
    still = Bar(60_000.0, 60_000.0, 60_000.0, 60_000.0, 0.0)
    updates = [update(k, still, bid_depth=depth, ask_depth=depth) for k, depth in enumerate([0.0] * 9 + [2e5, 0.0, 0.0])]
    bot = asyncio.run(run_bot(settings, updates))
    assert bot is not None
    assert [float(fill.quantity) for fill in bot.fills] == [0.5, 0.49]
    assert_same(bot, twin_on(settings, updates))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_hostile_markets(seed):
    settings = some_settings(seed)
    updates = Market(seed // 3).bars(1500)
    bot = None if settings is None else asyncio.run(run_bot(settings, updates))
    if settings is not None and bot is not None:
        assert_same(bot, twin_on(settings, updates))


@pytest.mark.parametrize("seed", [0, 7, 20])
def test_interpreted_compiled_and_deciding_on_every_bar_are_one(seed):
    settings = some_settings(seed)
    updates = Market(seed // 3).bars(250)
    assert settings is not None
    compiled = twin_on(settings, updates)
    for other in (twin_on(settings, updates, INTERPRETED), twin_on(settings, updates, skips=False)):
        assert twin_trades(other) == twin_trades(compiled)
        assert np.array_equal(other.path, compiled.path)
        assert float(other.state.cash) == float(compiled.state.cash)
        assert float(other.state.max_drawdown) == float(compiled.state.max_drawdown)


@pytest.mark.parametrize("seed", [1, 9])
def test_months_in_which_margin_decides_are_the_same_with_quiet_bars_passed_and_with_every_bar_decided_on(seed):
    feed = {"source": "simulated", "seed": seed, "days": 200}
    market = asyncio.run(read_market(Settings.read({"feed": feed})))
    for changes in ({}, SYMMETRIC, {"inventory": {"quantity": -1}}, {"inventory": {"quantity": 20}}):
        settings = Settings.read({"feed": feed, **changes})
        quickly, thoroughly = run_twin(settings, market), run_twin(settings, market, skips=False)
        assert quickly.state.ticks < 0.7 * thoroughly.state.ticks
        assert quickly.fills.tobytes() == thoroughly.fills.tobytes()
        assert quickly.funding.tobytes() == thoroughly.funding.tobytes()
        assert np.array_equal(quickly.path, thoroughly.path)


RECORDED = {
    "one minute": ("BTCUSDT", "1m_2025-05-20_2025-06-24", "2025-05-20_2025-06-24", None, 6.0),
    "one minute, thin": ("ETHUSDT", "1m_2025-05-20_2025-06-24", "2025-05-20_2025-06-24", None, 4.0),
    "one hour with marks": ("ETHUSDT", "1h_2023-01_2024-06", "2023-01_2024-06", "1h_2023-01_2024-06", 45.0),
}


@pytest.mark.market_data
@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("rule", ["touch", "through", "queue"])
def test_on_recorded_markets_the_fills_are_the_same(market_data, name, rule):
    symbol, span, funding, mark, days = RECORDED[name]
    feed: dict[str, Any] = {
        "source": "recorded",
        "spot": market_data / f"binance_spot_{symbol}_{span}.parquet",
        "perp": market_data / f"binance_perp_{symbol}_{span}.parquet",
        "funding": market_data / f"binance_funding_{symbol}_{funding}.parquet",
        "mark": None if mark is None else market_data / f"binance_mark_{symbol}_{mark}.parquet",
        "days": days,
    }
    changes = {
        "symbol": symbol,
        "paper": {"fill_rule": rule, "queue_share": 0.001},
        "risk": {"stop_loss_pct": "0.08"},
        "grid": {"num_levels": 5},
    }
    settings = settings_of(changes | SYMMETRIC, **feed)
    bot, market = asyncio.run(replay(settings)), asyncio.run(read_market(settings))
    twin = run_twin(settings, market)
    assert twin_trades(twin) == trades(bot.fills)
    assert len(twin.fills) > 10
    assert float(twin.state.cash) == pytest.approx(float(bot.wallet[-1]), rel=1e-9)
