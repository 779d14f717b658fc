"""What an instrument cannot trade is refused before anything starts."""

from __future__ import annotations

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.preflight import check_against_instrument
from alpha_pulse.settings import Settings
from alpha_pulse.settings import check_against_instrument as check_settings

BTC = builtin_instrument(hedge_pair("BTCUSDT"))  # tick 0.1, lot 0.001, minimum notional 100
PRICE = 95_000.0  # the least order is 0.002


def refusal(**config: object) -> str:
    with pytest.raises(ConfigError) as caught:
        check_against_instrument(BotConfig.from_mapping(config), BTC, PRICE)
    return str(caught.value)


def test_the_defaults_can_be_traded():
    check_against_instrument(BotConfig(), BTC, PRICE)


def test_a_step_under_a_tick_is_refused():
    message = refusal(grid_spacing_pct="0.000001")
    assert message.startswith("grid.grid_spacing_pct = '0.000001'")
    assert "less than one tick of 0.1" in message
    assert "Fix: at least 0.0000011" in message
    check_against_instrument(BotConfig.from_mapping({"grid_spacing_pct": "0.0000011"}), BTC, PRICE)


def test_an_inventory_under_the_least_order_is_refused():
    message = refusal(inventory={"quantity": "0.001"})
    assert message.startswith("inventory.quantity = '0.001'")
    assert "minimum notional 100 USDT" in message
    assert "at least 0.002 coins" in message


def test_a_cap_under_the_least_order_is_refused():
    assert refusal(max_position_size="0.0001").startswith("risk.max_position_size = '0.0001'")


def test_a_node_under_the_least_order_is_refused_with_what_would_fit():
    message = refusal(inventory={"quantity": "0.05"})  # 0.05·0.25/10 = 0.00125 a node
    assert "a node trades 0.00125 BTC" in message
    assert "grid.num_levels of at most 6" in message
    assert "hedge.amplitude of at least 0.4" in message
    check_against_instrument(BotConfig.from_mapping({"inventory": {"quantity": "0.05"}, "num_levels": 6}), BTC, PRICE)
    check_against_instrument(BotConfig.from_mapping({"inventory": {"quantity": "0.05"}, "hedge": {"amplitude": 0.4}}), BTC, PRICE)


def test_a_node_that_nothing_enlarges_has_the_amplitude_switched_off():
    message = refusal(inventory={"quantity": "0.003"})
    assert message.endswith("Fix: hedge.amplitude 0")
    check_against_instrument(BotConfig.from_mapping({"inventory": {"quantity": "0.003"}, "hedge": {"amplitude": 0}}), BTC, PRICE)


def test_unwinding_nodes_are_examined_only_where_they_exist():
    config = {"inventory": {"quantity": "0.1"}, "hedge": {"amplitude_adverse": 0.1}}
    check_against_instrument(BotConfig.from_mapping(config), BTC, PRICE)
    assert "hedge.amplitude_adverse" in refusal(inventory={"quantity": "0.1"}, hedge={"amplitude_adverse": 0.1, "min_ratio": 0})


def test_a_neutral_grid_is_measured_by_its_size():
    check_against_instrument(BotConfig.from_mapping({"inventory": {"quantity": 0}, "max_position_size": 1}), BTC, PRICE)
    assert "a node trades" in refusal(inventory={"quantity": 0}, max_position_size="0.01")
    assert refusal(inventory={"quantity": 0}, max_position_size="0.001").startswith("risk.max_position_size")


def test_coins_of_a_multiplied_contract_are_converted():
    pepe = builtin_instrument(hedge_pair("PEPEUSDT"))
    settings = Settings.read({"symbol": "PEPEUSDT", "inventory": {"quantity": 20_000}})  # 20 contracts units at 0.02: 0.4 USDT
    with pytest.raises(ConfigError, match=r"at least 250000 coins"):
        check_settings(settings, pepe, 0.02)


def test_everything_is_listed_at_once():
    assert len(refusal(grid_spacing_pct="0.0000001", max_position_size="0.0001", inventory={"quantity": "0.001"}).splitlines()) == 3
