"""Several pairs in one file: what is common, what differs, and how each slip in an entry is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings, each_pair, load_settings, one_pair

TWO = "pairs:\n  - symbol: BTCUSDT\n  - symbol: ETHUSDT\n    inventory: {quantity: 20}\n"


def load(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **options: Any) -> Settings:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ=environ or {}, **options).settings


def pairs(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **options: Any) -> dict[str, Settings]:
    return {one.symbol: one for one in each_pair(load(text, tmp_path, environ, **options))}


def refusal(text: str, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_without_a_list_the_settings_are_the_one_pair():
    settings = load_settings(None, environ={}).settings
    assert each_pair(settings) == (settings,)
    assert one_pair(settings) is settings


def test_each_entry_lays_its_own_sections_over_the_common_ones_key_by_key(tmp_path):
    text = """
hedge: {ratio: 0.4, amplitude: 0.2}
grid: {num_levels: 6}
max_drawdown: 0.3
inventory: {quantity: 2}
pairs:
  - symbol: BTCUSDT
  - symbol: eth/usdt
    hedge: {ratio: 0.7}
    inventory: {quantity: 30}
    num_levels: 4
    risk.var_limit_pct: 0.05
"""
    first, second = each_pair(load(text, tmp_path))
    assert (first.symbol, first.hedge.ratio, first.hedge.amplitude, first.grid.num_levels) == ("BTCUSDT", 0.4, 0.2, 6)
    assert (first.inventory.quantity, first.risk.max_drawdown, first.risk.var_limit_pct) == (Decimal(2), Decimal("0.3"), Decimal("0.06"))
    assert (second.symbol, second.hedge.ratio, second.hedge.amplitude, second.grid.num_levels) == ("eth/usdt", 0.7, 0.2, 4)
    assert (second.inventory.quantity, second.risk.max_drawdown, second.risk.var_limit_pct) == (
        Decimal(30),
        Decimal("0.3"),
        Decimal("0.05"),
    )
    assert first.pairs == second.pairs == ()


def test_an_entry_may_take_a_common_value_back_to_none(tmp_path):
    found = pairs("inventory: {entry_price: 5}\npairs:\n  - {symbol: BTCUSDT, inventory: {entry_price: null}}\n", tmp_path)
    assert found["BTCUSDT"].inventory.entry_price is None


def test_a_number_in_an_entry_stays_exact(tmp_path):
    found = pairs("pairs:\n  - {symbol: BTCUSDT, inventory: {quantity: 0.1234567890123456789}}\n", tmp_path)
    assert found["BTCUSDT"].inventory.quantity == Decimal("0.1234567890123456789")


def test_what_is_common_travels_to_every_pair(tmp_path):
    text = "store: {url: 'sqlite:///x.db'}\nmode: recommendation\nlogging: {json: true}\nportfolio: {max_drawdown: 0.1}\n" + TWO
    for one in each_pair(load(text, tmp_path)):
        assert (one.store.url, one.mode, one.logging.json_format) == ("sqlite:///x.db", "recommendation", True)
        assert one.portfolio.max_drawdown == Decimal("0.1")


def test_sections_with_names_aliases_dates_and_curves_survive_the_way_into_an_entry(tmp_path):
    text = """
execution: {rebalance_interval_seconds: 17}
inventory: {acquired_at: "2024-05-01"}
sizers: {curves: {momentum: {knots: [{score: 0, hedge: 0.1}, {score: 1, hedge: 0.9}]}}}
pairs: [{symbol: BTCUSDT}, {symbol: ETHUSDT, execution: {rebalance_interval: 30}}]
"""
    settings = load(text, tmp_path)
    first, second = each_pair(settings)
    assert (first.execution, first.inventory, first.sizers) == (settings.execution, settings.inventory, settings.sizers)
    assert (first.execution.rebalance_interval, second.execution.rebalance_interval) == (17, 30)


def test_the_environment_and_the_command_line_reach_the_common_part(tmp_path):
    environ = {"ALPHA_PULSE_GRID__NUM_LEVELS": "7", "ALPHA_PULSE_HEDGE__RATIO": "0.3", "TRADING_MODE": "recommendation"}
    text = "grid: {num_levels: 5}\n" + TWO
    found = pairs(text, tmp_path, environ, overrides={"hedge.ratio": "0.6", "feed.days": "2"}, flags={"hedge.ratio": "--set"})
    assert {one.grid.num_levels for one in found.values()} == {7}
    assert {one.hedge.ratio for one in found.values()} == {0.6}
    assert {one.feed.days for one in found.values()} == {2}
    assert {one.mode for one in found.values()} == {"recommendation"}
    assert found["ETHUSDT"].inventory.quantity == 20


def test_a_pair_is_found_in_any_spelling_and_the_first_is_the_default(tmp_path):
    settings = load(TWO, tmp_path)
    assert one_pair(settings).symbol == "BTCUSDT"
    for name in ("ETHUSDT", "eth/usdt", "ETH/USDT:USDT"):
        assert one_pair(settings, name).inventory.quantity == 20
    with pytest.raises(ConfigError, match=r"is not among the pairs.*name one of BTCUSDT, ETHUSDT"):
        one_pair(settings, "SOLUSDT")


# --- slips ------------------------------------------------------------------------------------------------------
def test_everything_that_is_wrong_in_an_entry_is_named_with_the_entry(tmp_path):
    text = TWO + "    hedge: {ratio: 7, raito: 1}\n    grid:\n      num_level: 3\n"
    told = refusal(text, tmp_path)
    assert "pairs[1].hedge.ratio = '7': looks like a percentage" in told
    assert "pairs[1].hedge.raito" in told
    assert "write hedge.ratio" in told
    assert "pairs[1].grid.num_level" in told
    assert "write grid.num_levels" in told
    assert "pairs[0]" not in told


def test_what_is_wrong_in_an_entry_is_named_with_its_line(tmp_path):
    told = refusal(TWO + "    hedge:\n      ratio: 7\n", tmp_path)  # the sixth line
    assert "mine.yaml:6: pairs[1].hedge.ratio" in told


def test_slips_in_several_entries_are_told_at_once(tmp_path):
    told = refusal("pairs:\n  - {symbol: NOPE}\n  - {symbol: ETHUSDT, colour: red}\n  - {hedge: {ratio: 0.5}}\n", tmp_path)
    assert "pairs[0].symbol = 'NOPE'" in told
    assert "pairs[1].colour = 'red': unknown key" in told
    assert "pairs[2]: is no pair. Fix: write `- symbol: BTCUSDT`" in told


def test_a_check_across_sections_names_the_entry(tmp_path):
    text = (
        "risk: {stop_loss_pct: 0.05}\npairs:\n  - {symbol: BTCUSDT}\n  - {symbol: ETHUSDT, hedge: {amplitude_adverse: 0.5, min_ratio: 0}}\n"
    )
    told = refusal(text, tmp_path)
    assert "pairs[1]" in told
    assert "risk.stop_loss_pct = '0.05': the stop lies inside the 10 unwinding nodes" in told


def test_a_pair_that_is_listed_twice_is_refused_in_whatever_spelling(tmp_path):
    told = refusal("pairs:\n  - {symbol: BTCUSDT}\n  - {symbol: ETHUSDT}\n  - {symbol: btc/usdt}\n", tmp_path)
    assert "pairs: BTC/USDT:USDT is listed twice. Fix: list each pair once" in told


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("store: {url: x}", "store"),
        ("store.url: x", "store.url"),
        ("mode: real", "mode"),
        ("logging: {level: DEBUG}", "logging"),
        ("logging.level: DEBUG", "logging.level"),
        ("portfolio: {max_drawdown: 0.1}", "portfolio"),
        ("pairs: []", "pairs"),
    ],
)
def test_what_is_common_to_all_pairs_is_refused_in_an_entry(tmp_path, line, name):
    told = refusal(f"{TWO}    {line}\n", tmp_path)
    assert f"pairs[1].{name}: is common to all pairs. Fix: give it at the top level" in told


def test_live_and_made_up_markets_do_not_mix(tmp_path):
    told = refusal(TWO + "    feed: {source: ccxt}\n", tmp_path)
    assert "pairs: live and made-up markets have no time in common. Fix: give all pairs feed.source ccxt, or none" in told


def test_a_key_that_is_given_twice_in_an_entry_is_refused(tmp_path):
    told = refusal(TWO + "    num_levels: 3\n    grid: {num_levels: 4}\n", tmp_path)
    assert "pairs[1].grid.num_levels: given twice: as num_levels and as grid.num_levels. Fix: keep one of them" in told


def test_a_secret_in_an_entry_is_refused_and_not_repeated(tmp_path):
    told = refusal(TWO + "    exchange: {api_key: hunter2}\n", tmp_path)
    assert "pairs[1].exchange.api_key: credentials do not belong in a configuration" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("text", ["pairs: [BTCUSDT, ETHUSDT]\n", "pairs:\n  -\n", "pairs: BTCUSDT\n", "pairs: {symbol: BTCUSDT}\n"])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    assert "pairs" in refusal(text, tmp_path)


def test_a_list_of_bare_names_is_told_how_to_write_an_entry(tmp_path):
    told = refusal("pairs: [BTCUSDT, ETHUSDT]\n", tmp_path)
    assert "pairs" in told
    assert "symbol: BTCUSDT" in told


def test_an_empty_list_means_the_one_symbol(tmp_path):
    assert load("pairs:\nsymbol: ETHUSDT\n", tmp_path).symbol == "ETHUSDT"


# --- what only the entries can complete -------------------------------------------------------------------------
def test_a_common_recorded_feed_may_leave_its_files_to_the_entries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("btc.csv", "eth.csv"):
        Path(name).write_text("timestamp,open,high,low,close,volume\n")
    text = """
feed: {source: recorded}
pairs:
  - {symbol: BTCUSDT, feed: {spot: btc.csv, perp: btc.csv}}
  - {symbol: ETHUSDT, feed: {spot: eth.csv, perp: eth.csv}}
"""
    assert [one.feed.perp for one in each_pair(load(text, tmp_path))] == [Path("btc.csv"), Path("eth.csv")]


def test_real_mode_may_leave_the_inventory_to_the_entries(tmp_path):
    text = "mode: real\npairs:\n  - {symbol: BTCUSDT, inventory: {quantity: 1}}\n  - {symbol: ETHUSDT, inventory: {quantity: 20}}\n"
    assert [one.inventory.quantity for one in each_pair(load(text, tmp_path))] == [1, 20]


def test_neutral_grids_may_leave_their_sizes_to_the_entries(tmp_path):
    text = """
inventory: {quantity: 0}
paper: {quote_balance: 100000}
pairs:
  - {symbol: BTCUSDT, risk: {max_position_size: 1}}
  - {symbol: ETHUSDT, risk: {max_position_size: 20}}
"""
    assert [one.risk.max_position_size for one in each_pair(load(text, tmp_path))] == [1, 20]


def test_real_mode_still_assumes_no_inventory_for_an_entry_without_one(tmp_path):
    told = refusal("mode: real\npairs:\n  - {symbol: BTCUSDT, inventory: {quantity: 1}}\n  - {symbol: ETHUSDT}\n", tmp_path)
    assert "real mode does not assume an inventory" in told


# --- the language model's key -----------------------------------------------------------------------------------
def test_the_language_models_key_in_the_environment_is_no_setting():
    variable = Settings().llm.key_variable
    assert load_settings(None, environ={variable: "sk-0123456789"}).settings == Settings()
