"""Where the inventory comes from, as a user writes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.inventory_factory import accounts_of, create_inventory
from alpha_pulse.hedging.execution.position_fetcher import FixedInventory
from alpha_pulse.settings import Settings, check_against_instrument, each_pair

VAULT = {"api_key_env": "VAULT_KEY", "api_secret_env": "VAULT_SECRET"}


def read(inventory: dict[str, Any], **others: Any) -> Settings:
    return Settings.read({"inventory": inventory, **others})


def test_a_number_is_the_default_and_an_exchange_takes_its_place():
    assert read({}).inventory.coins == 1
    assert read({"source": "exchange"}).inventory.coins is None
    assert read({"source": "exchange", "quantity": None}).inventory.quantity is None


def test_a_sum_of_numbers_is_known_before_anything_is_asked():
    inventory = read({"source": "sum", "sources": [{"quantity": "1.5"}, {"source": "fixed", "quantity": "-0.25"}]}).inventory
    assert inventory.coins == Decimal("1.25")
    assert read({"source": "sum", "sources": [{"quantity": 1}, {"source": "exchange"}]}).inventory.coins is None


@pytest.mark.parametrize(
    ("inventory", "words"),
    [
        ({"source": "exchange", "quantity": 2}, "inventory.quantity: with source exchange .* Fix: remove it, or set source to fixed"),
        ({"source": "sum", "quantity": 2, "sources": [{"quantity": 1}]}, "inventory.quantity: with source sum"),
        ({"source": "fixed", "quantity": None}, "inventory.quantity: source fixed needs the number of coins"),
        ({"source": "fixed", "exchange": {"id": "okx"}}, "inventory.exchange: source fixed reads no account"),
        ({"source": "sum"}, "inventory.sources: a sum needs something to add up. Fix: list its entries"),
        ({"source": "sum", "sources": []}, "inventory.sources: a sum needs something"),
        ({"sources": [{"quantity": 1}]}, "inventory.sources: source fixed has no list of sources. Fix: set inventory.source to sum"),
        ({"source": "sum", "sources": [{"source": "sum", "sources": []}]}, "inventory.sources.0.source: is a sum within a sum. Fix: list"),
        ({"source": "sum", "sources": [{"source": "fixed"}]}, "inventory.sources.0.quantity: source fixed needs"),
        ({"source": "sum", "sources": [{"source": "exchange", "quantity": 1}]}, "inventory.sources.0.quantity: with source exchange"),
        ({"source": "sum", "sources": [{"quantty": 1}]}, "inventory.sources.0.quantty: unknown key. Fix: write quantity"),
        ({"source": "sum", "sources": "all"}, "inventory.sources = 'all': must be a list"),
        ({"source": "sum", "sources": ["cold"]}, "inventory.sources.0 = 'cold': must be a section"),
        ({"source": "sum", "sources": [{"quantity": "NaN"}]}, "inventory.sources.0.quantity = 'NaN': must be a finite number"),
        ({"source": "exchange", "exchange": {"apikey": "x7"}}, "inventory.exchange.apikey: credentials do not belong"),
        ({"source": "exchange", "exchange": {"idd": "okx"}}, "inventory.exchange.idd: unknown key. Fix: write id"),
        ({"source": "exchnge"}, "inventory.source = 'exchnge': is none of fixed, exchange, sum. Fix: write exchange"),
        (
            {"source": "exchange", "exchange": {"id": "okx"}},
            "inventory.exchange = 'okx': another exchange than binance needs keys of its own",
        ),
        ({"source": "sum", "sources": [{"source": "exchange"}] * 2}, "inventory.sources.1.exchange = 'binance': is listed twice"),
    ],
)
def test_a_wrong_combination_is_refused_with_field_and_fix(inventory, words):
    with pytest.raises(ConfigError, match=words) as refusal:
        read(inventory)
    assert "Fix: " in str(refusal.value)
    assert "x7" not in str(refusal.value)


def test_the_spot_account_of_the_perpetuals_exchange_is_meant_unless_another_is_named():
    exchange = {"rest_url": "http://mirror", "api_key_env": "K", "api_secret_env": "S", "options": {"recvWindow": "5000"}}
    home, vault, okx = (
        accounts_of(settings.inventory, settings.exchange)[0]
        for settings in (
            read({"source": "exchange"}, exchange=exchange),
            read({"source": "exchange", "exchange": VAULT}, exchange=exchange),
            read({"source": "exchange", "exchange": {"id": "okx", **VAULT}}, exchange=exchange),
        )
    )
    assert (home.id, home.rest_url, home.api_key_env, home.options) == ("binance", "http://mirror", "K", {"recvWindow": 5000})
    assert (vault.id, vault.rest_url, vault.api_key_env) == ("binance", "http://mirror", "VAULT_KEY")
    assert (okx.id, okx.rest_url, okx.api_key_env, okx.api_password_env, okx.options) == ("okx", None, "VAULT_KEY", "", {})


def test_a_pair_may_have_another_source_than_the_rest():
    pairs = [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT", "inventory": {"source": "fixed", "quantity": 20}}]
    settings = read({"source": "exchange"}, mode="real", feed={"source": "ccxt"}, pairs=pairs)
    assert [one.inventory.coins for one in each_pair(settings)] == [None, 20]


def test_real_mode_takes_an_exchange_for_an_inventory():
    assert read({"source": "exchange"}, mode="real", feed={"source": "ccxt"}).inventory.coins is None
    with pytest.raises(ConfigError, match=r"or inventory: \{source: exchange\}"):
        Settings.read({"mode": "real", "feed": {"source": "ccxt"}})


def test_checks_that_need_the_coins_wait_for_them():
    unwinding = {"ratio": 0.5, "min_ratio": 0.2, "amplitude_adverse": 0.3, "amplitude": 0.3}
    hasty = {"hedge": unwinding, "risk": {"stop_loss_pct": "0.05"}}
    with pytest.raises(ConfigError, match="the stop lies inside"):
        read({"quantity": 1}, **hasty)
    check_against_instrument(read({"source": "exchange"}, **hasty), builtin_instrument(hedge_pair("BTCUSDT")), 95_000.0)


def test_what_asks_no_exchange_refuses_to_guess():
    settings = read({"source": "exchange"})
    with pytest.raises(ConfigError, match=r"inventory.source = 'exchange': .* Fix: give inventory.source fixed"):
        FixedInventory(settings.inventory, hedge_pair(settings.symbol))


async def test_numbers_alone_need_no_keys():
    settings = read({"source": "sum", "sources": [{"quantity": 1_000_000}, {"quantity": 1_500_000}]}, symbol="PEPEUSDT")
    fetcher = create_inventory(settings.inventory, settings.exchange, hedge_pair(settings.symbol), {})
    assert await fetcher.fetch_inventory("") == 2500
