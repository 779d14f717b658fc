"""What the twin does not support is refused by name, never ignored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from alpha_pulse.backtest.compiled.market import market_of, read_market
from alpha_pulse.backtest.compiled.support import READ, SECTIONS_HANDED_ON, SECTIONS_WITHOUT_EFFECT, WITHOUT_EFFECT, params_of, supported
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.settings import Settings
from alpha_pulse.testing import FakeFeed, updates_from_prices
from tests.unit.backtest.compiled.hostile import CHOICES, PLAIN

REFUSED: dict[str, dict[str, Any]] = {
    "mode": {"mode": "recommendation"},
    "pairs": {"pairs": [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]},
    "feed.source": {"feed": {"source": "ccxt"}},
    "hedge.sizer": {"hedge": {"sizer": "tests.unit.backtest.compiled.own_grids:OwnSizer"}},
    "llm.enabled": {"llm": {"enabled": True, "model": "any"}},
    "grid.calculator": {"grid": {"calculator": "tests.unit.backtest.compiled.own_grids:WithoutLadder"}},
    "risk.var_method": {"risk": {"var_method": "filtered_historical"}},
    "inventory.source": {"inventory": {"source": "exchange"}},
    "inventory.quantity": {"inventory": {"quantity": 0}, "risk": {"max_position_size": 1}, "paper": {"quote_balance": 1000}},
}


@pytest.mark.parametrize("field", REFUSED)
def test_what_is_not_supported_is_refused_by_its_name(field):
    with pytest.raises(ConfigError) as caught:
        supported(Settings.read({**PLAIN, **REFUSED[field]}))
    assert caught.value.field == field
    assert "compiled backtest" in str(caught.value)


def test_everything_that_is_wrong_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        supported(Settings.read({"inventory": {"source": "exchange"}, "risk": {"var_method": "cornish_fisher"}}))
    assert all(name in str(caught.value) for name in ("inventory.source", "risk.var_method"))


def test_every_setting_is_read_refused_or_known_to_have_no_effect():
    names = set()
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= {f"{name}.{key}" for key in kind.model_fields}
        else:
            names.add(name)
    known = READ | set(WITHOUT_EFFECT)
    whole = set(SECTIONS_HANDED_ON) | set(SECTIONS_WITHOUT_EFFECT)
    unknown = {name for name in names if name not in known and name.split(".")[0] not in whole}
    assert unknown == set(), "say in alpha_pulse/backtest/compiled/support.py what the twin does with it"
    assert known <= names


def test_every_setting_that_decides_is_varied_by_the_differential_tests():
    varied = {f"{section}.{name}" for section, fields in CHOICES.items() for name in fields}
    held = {
        "symbol",
        "mode",
        "pairs",
        "hedge.sizer",
        "risk.var_confidence",
        "risk.no_increase_distance",
        "risk.cut_distance",
        "execution.rebalance_interval",
    }
    refused = {
        "grid.calculator",
        "risk.var_method",
        "inventory.source",
        "inventory.sources",
        "llm.enabled",
    }
    assert {name for name in READ if not name.startswith("feed.")} - varied - held - refused == set()


def market(updates=None, **changes):
    return asyncio.run(market_of(FakeFeed(updates or updates_from_prices([60_000.0] * 5)), "BTCUSDT", **changes))


def test_a_tick_interval_longer_than_a_bar_is_refused():
    with pytest.raises(ConfigError, match="rebalance_interval"):
        params_of(Settings.read({**PLAIN, "execution": {"rebalance_interval": 61}}), market())


def test_an_average_of_another_length_than_the_markets_is_refused():
    settings = Settings.read({**PLAIN, "grid": {"anchor": "ema", "anchor_ema_hours": 5}})
    with pytest.raises(ConfigError, match="anchor_ema_hours"):
        params_of(settings, market())
    assert params_of(settings, market(anchor_ema_hours=5.0)).inventory == 1.0


def test_a_market_of_another_pair_is_refused():
    with pytest.raises(ConfigError, match="the market is of BTCUSDT"):
        params_of(Settings.read({**PLAIN, "symbol": "ETHUSDT"}), market())


def test_what_cannot_be_traded_is_refused_as_by_the_bot():
    with pytest.raises(ConfigError, match=r"grid\.grid_spacing_pct"):
        params_of(Settings.read({**PLAIN, "grid": {"grid_spacing_pct": "0.000001"}}), market())


def test_an_inventory_of_absurd_precision_is_refused():
    with pytest.raises(ConfigError, match=r"inventory\.quantity"):
        params_of(Settings.read({**PLAIN, "inventory": {"quantity": "1.00000000000000000001"}}), market())


def test_a_market_with_a_bar_that_nobody_acts_upon_is_refused():
    updates = updates_from_prices([60_000.0] * 3)
    with pytest.raises(ConfigError, match="nobody acts upon"):
        market([*updates, FeedProblem(updates[-1].close_ms + 60_000, "the venue is down")])


def test_an_empty_market_is_refused():
    with pytest.raises(ConfigError, match="no usable bar"):
        asyncio.run(market_of(FakeFeed([]), "BTCUSDT"))


@pytest.mark.parametrize("feed", [{"source": "simulated"}, {"source": "ccxt"}])
def test_an_endless_market_is_refused(feed):
    with pytest.raises(ConfigError, match="endless"):
        asyncio.run(read_market(Settings.read({**PLAIN, "feed": feed})))
