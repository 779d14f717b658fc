"""The bot's configuration from a mapping: what is taken, and how each slip is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import ConfigErrors, problems_of
from alpha_pulse.hedging.grid.config import BotConfig, GridSettings, HedgeSettings, unwinding_nodes
from alpha_pulse.hedging.risk.config import RiskSettings

SYMMETRIC = {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.5, "amplitude_adverse": 0.5}


def refusal(config: object) -> str:
    with pytest.raises(ConfigError) as caught:
        BotConfig.from_mapping(config)
    return str(caught.value)


def test_nothing_gives_the_defaults():
    assert BotConfig.from_mapping(None) == BotConfig.from_mapping({}) == BotConfig()


def test_a_config_is_taken_as_it_is():
    config = BotConfig.from_mapping({"num_levels": 4})
    assert BotConfig.from_mapping(config) is config


def test_every_flat_key_is_taken_as_a_string_or_a_number():
    flat = {
        "grid_spacing_pct": "0.02",
        "num_levels": "5",
        "min_price_distance": 10,
        "max_position_size": "1.5",
        "max_drawdown": 0.1,
        "stop_loss_pct": ".05",
        "var_limit": "10000",
        "max_active_orders": "20",
        "rebalance_interval": "30",
    }
    config = BotConfig.from_mapping(flat)
    assert config.grid.grid_spacing_pct == Decimal("0.02")
    assert (config.grid.num_levels, config.execution.max_active_orders) == (5, 20)
    assert config.grid.min_price_distance == 10
    assert (config.risk.max_position_size, config.risk.max_drawdown) == (Decimal("1.5"), Decimal("0.1"))
    assert (config.risk.stop_loss_pct, config.risk.var_limit) == (Decimal("0.05"), 10000)
    assert config.execution.rebalance_interval == 30


@pytest.mark.parametrize(
    "config", [{"rebalance_interval_seconds": 9}, {"execution": {"rebalance_interval_seconds": 9}}, {"execution.rebalance_interval": "9"}]
)
def test_the_interval_has_a_second_name(config):
    assert BotConfig.from_mapping(config).execution.rebalance_interval == 9


def test_flat_keys_and_sections_mix():
    config = BotConfig.from_mapping({"num_levels": 4, "grid": {"spacing": "arithmetic"}, "risk": None, "hedge": HedgeSettings(ratio=0.4)})
    assert (config.grid.num_levels, config.grid.spacing, config.hedge.ratio) == (4, "arithmetic", 0.4)
    assert config.risk == RiskSettings()


@pytest.mark.parametrize(
    ("config", "fix"),
    [
        ({"grid_spacing_pct": "1"}, "write 0.01 for 1 %"),
        ({"grid_spacing_pct": 1}, "write 0.01 for 1 %"),
        ({"grid_spacing_pct": "1%"}, "write 0.01 for 1 %"),
        ({"grid_spacing_pct": " 0.5 % "}, "write 0.005 for 0.5 %"),
        ({"grid_spacing_pct": "0.5"}, "write 0.005 for 0.5 %"),
        ({"max_drawdown": 1}, "write 0.01 for 1 %"),
        ({"max_drawdown": "20"}, "write 0.2 for 20 %"),
        ({"stop_loss_pct": 15}, "write 0.15 for 15 %"),
        ({"hedge": {"ratio": 50}}, "write 0.5 for 50 %"),
        ({"hedge": {"band_under": "5"}}, "write 0.05 for 5 %"),
        ({"hedge": {"funding_tilt_full": "30"}}, "write 0.3 for 30 %"),
        ({"risk": {"var_limit_pct": 6}}, "write 0.06 for 6 %"),
        ({"risk": {"var_confidence": 99}}, "write 0.99 for 99 %"),
        ({"risk": {"alert_distance": 35}}, "write 0.35 for 35 %"),
        ({"execution": {"max_slippage": "0.5"}}, "write 0.005 for 0.5 %"),
    ],
)
def test_a_percentage_given_for_a_fraction_is_refused_with_the_fraction(config, fix):
    message = refusal(config)
    assert fix in message
    assert next(iter(config)) in message


def test_a_percent_sign_is_refused_wherever_it_stands():
    assert "without a percent sign. Fix: give a number in nodes" in refusal({"num_levels": "5%"})
    assert "write 0.01 for 1 %" in refusal({"grid_spacing_pct": "some%"})


def test_the_message_names_field_value_and_fix():
    assert refusal({"grid_spacing_pct": "1"}) == (
        "grid_spacing_pct = '1': looks like a percentage; it must be below 0.5 [fraction of price]. Fix: write 0.01 for 1 %"
    )


def test_a_whole_hedge_is_no_percentage():
    assert BotConfig.from_mapping({"hedge": {"ratio": 1, "max_ratio": "1.0"}}).hedge.ratio == 1


@pytest.mark.parametrize(
    "value",
    ["nan", "NaN", float("nan"), "inf", float("inf"), "-inf", "1e309", "-1e309", "1e400", Decimal("NaN"), Decimal("Infinity"), "sNaN"],
)
@pytest.mark.parametrize("key", ["var_limit", "max_position_size", "grid_spacing_pct", "rebalance_interval", "num_levels"])
def test_what_is_not_finite_is_refused(key, value):
    assert key in refusal({key: value})


@pytest.mark.parametrize("value", ["1e20", "1e-20", "1e-400", 10**40])
def test_absurd_sizes_are_refused(value):
    assert "beyond any sensible size" in refusal({"var_limit": value})


@pytest.mark.parametrize("value", [-1, "-0.01", 0, "0"])
@pytest.mark.parametrize("key", ["grid_spacing_pct", "max_position_size", "var_limit", "min_price_distance", "num_levels", "max_drawdown"])
def test_negative_and_zero_are_refused(key, value):
    assert key in refusal({key: value})


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(value):
    assert "is not a number" in refusal({"num_levels": value})


@pytest.mark.parametrize("value", ["5.5", 5.5, "five", "0x5", [5], {"n": 5}, None])
def test_levels_are_a_whole_number(value):
    assert "num_levels" in refusal({"num_levels": value})


def test_a_limit_that_may_be_off_says_so():
    assert "or null" in refusal({"max_drawdown": "off"})
    assert BotConfig.from_mapping({"max_drawdown": None}).risk.max_drawdown is None


@pytest.mark.parametrize(
    ("config", "fix"),
    [
        ({"grid_spacing": 0.01}, "write grid.grid_spacing_pct"),
        ({"levels": 5}, "write grid.num_levels"),
        ({"stop_loss": 5}, "write risk.stop_loss_pct"),
        ({"grid": {"num_lvels": 5}}, "write grid.num_levels"),
        ({"grid": {"num-levels": 5}}, "write grid.num_levels"),
        ({"grid": {"ratio": 0.5}}, "write hedge.ratio"),
        ({"hegde": {"ratio": 0.5}}, "write hedge"),
        ({"risk": {"zzzz": 1}}, "known here: alert_distance, cut_distance"),
        ({"zzzzzzzz": 1}, "known here: execution, grid, hedge, inventory, inventory_risk, llm, portfolio, risk, sizers"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(config, fix):
    message = refusal(config)
    assert "unknown key" in message
    assert fix in message


@pytest.mark.parametrize("key", ["apiKey", "api_secret", "password", "secret"])
def test_a_secret_is_not_repeated(key):
    message = refusal({"risk": {key: "hunter2"}})
    assert "hunter2" not in message
    assert "EXCHANGE_API_KEY" in message


def test_all_problems_are_listed_at_once():
    with pytest.raises(ConfigErrors) as caught:
        BotConfig.from_mapping({"grid_spacing_pct": 1, "num_levels": 0, "hedge": {"ratio": 2}, "oops": 1, "inventory": {"quantity": 0}})
    assert {p.field for p in caught.value.problems} == {"grid_spacing_pct", "num_levels", "hedge.ratio", "oops", "risk.max_position_size"}
    assert len(str(caught.value).splitlines()) == 5


def test_one_problem_is_a_plain_error():
    with pytest.raises(ConfigError) as caught:
        BotConfig.from_mapping({"num_levels": 0})
    assert problems_of(caught.value) == (caught.value,)
    assert caught.value.field == "num_levels"


@pytest.mark.parametrize(
    ("hedge", "words"),
    [
        ({"min_ratio": 0.8, "max_ratio": 0.7}, "min_ratio 0.8 is above max_ratio 0.7"),
        ({"ratio": 0.2, "min_ratio": 0.4}, "ratio 0.2 is outside"),
        ({"ratio": 0.9, "max_ratio": 0.8}, "ratio 0.9 is outside"),
    ],
)
def test_the_ratio_lies_within_its_bounds(hedge, words):
    assert words in refusal({"hedge": hedge})


@pytest.mark.parametrize("risk", [{"cut_distance": 0.3}, {"alert_distance": 0.2}, {"no_increase_distance": 0.15}])
def test_the_distances_rise(risk):
    assert "must rise in this order" in refusal({"risk": risk})


def test_a_key_given_twice_is_refused():
    assert "given twice: as grid.num_levels and as num_levels" in refusal({"grid": {"num_levels": 5}, "num_levels": 6})


def test_a_key_given_twice_is_listed_beside_other_problems():
    message = refusal({"grid": {"num_levels": 5, "spacing": "x"}, "num_levels": 6})
    assert "given twice" in message
    assert "is none of geometric, arithmetic" in message


@pytest.mark.parametrize("config", [{"grid": 5}, {"grid": "x"}, {"grid": [1]}, {"grid": 5, "num_levels": 5}])
def test_a_section_must_have_keys(config):
    assert "must be a section" in refusal(config)


def test_the_configuration_must_be_a_mapping():
    assert "must be a mapping" in refusal([("num_levels", 5)])


@pytest.mark.parametrize("name", ["constnt", "a.b", "a.b:", ":C", "a b:C"])
def test_a_sizer_is_built_in_or_named_by_module_and_class(name):
    assert "package.module:Class" in refusal({"hedge": {"sizer": name}})


def test_an_own_calculator_may_be_named():
    assert BotConfig.from_mapping({"grid": {"calculator": "my.grids:Mine"}}).grid.calculator == "my.grids:Mine"


def test_an_arithmetic_grid_must_end_above_zero():
    assert "at most 99 levels" in refusal({"grid": {"spacing": "arithmetic", "num_levels": 100}})


# --- the stop and the nodes that unwind -----------------------------------------------------------------------------
def test_a_stop_inside_the_unwinding_nodes_is_refused_with_the_fix():
    message = refusal({"hedge": SYMMETRIC, "grid_spacing_pct": "0.02"})  # 1.02^-10 = 0.8203
    assert "reach 0.1797 from the anchor" in message
    assert "risk.stop_loss_pct of at least 0.180" in message
    assert "at most 8 nodes" in message


def test_the_fix_of_a_stop_inside_the_nodes_is_accepted():
    for fix in ({"stop_loss_pct": "0.180"}, {"num_levels": 8}, {"stop_loss_pct": None}):
        BotConfig.from_mapping({"hedge": SYMMETRIC, "grid_spacing_pct": "0.02"} | fix)


@pytest.mark.parametrize("hedge", [{"amplitude_adverse": 0.5}, {"min_ratio": 0.0}, {"min_ratio": 0.5, "amplitude_adverse": 0.5}])
def test_without_unwinding_nodes_the_stop_may_be_anywhere(hedge):
    BotConfig.from_mapping({"hedge": hedge, "grid_spacing_pct": "0.02", "stop_loss_pct": "0.01"})


def test_arithmetic_nodes_lie_farther_down_than_geometric_ones():
    wide = {"hedge": SYMMETRIC, "grid_spacing_pct": "0.016"}  # geometric 14.7 %, arithmetic 16 %
    BotConfig.from_mapping(wide)
    assert "reach 0.1600" in refusal(wide | {"grid": {"spacing": "arithmetic"}})


def test_for_coins_owed_the_nodes_above_count():
    owed = {"hedge": SYMMETRIC, "grid_spacing_pct": "0.0145", "inventory": {"quantity": -1}}  # 1.0145^10 − 1 = 15.5 %
    assert "reach 0.15" in refusal(owed)
    BotConfig.from_mapping(owed | {"inventory": {"quantity": 1}})


def test_only_nodes_down_to_the_lower_bound_unwind():
    hedge = HedgeSettings(ratio=0.5, min_ratio=0.4, amplitude_adverse=0.5)
    assert unwinding_nodes(hedge, GridSettings(num_levels=10)) == 2


def test_a_stop_that_no_fewer_nodes_help_has_another_fix():
    message = refusal({"hedge": SYMMETRIC, "grid_spacing_pct": "0.4", "stop_loss_pct": "0.1"})
    assert "a smaller grid.grid_spacing_pct" in message
    assert "at most" not in message


def test_a_neutral_grid_needs_a_size():
    assert "market-neutral grid" in refusal({"inventory": {"quantity": 0}})
    BotConfig.from_mapping({"inventory": {"quantity": 0}, "max_position_size": 1})
