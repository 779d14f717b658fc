from decimal import Decimal

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, builtin_start_price, hedge_pair, on_venue
from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import ConfigError


@pytest.mark.parametrize("name", ["BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "btcusdt", "btc/usdt:usdt", "  BtcUsdt "])
def test_every_spelling_names_the_same_pair(name):
    assert hedge_pair(name) == HedgePair("BTC/USDT", "BTC/USDT:USDT", "BTC", "USDT", 1)
    assert hedge_pair(name).name == "BTCUSDT"


@pytest.mark.parametrize(
    ("name", "spot", "perpetual"),
    [
        ("BTCUSDC", "BTC/USDC", "BTC/USDC:USDC"),
        ("BTC/USDC", "BTC/USDC", "BTC/USDC:USDC"),
        ("BTC/USD:USD", "BTC/USD", "BTC/USD:USD"),
        ("BTCUSD", "BTC/USD", "BTC/USD:USD"),
        ("1INCHUSDT", "1INCH/USDT", "1INCH/USDT:USDT"),
        ("1000SATSUSDT", "1000SATS/USDT", "1000SATS/USDT:USDT"),
    ],
)
def test_quotes_are_kept_apart(name, spot, perpetual):
    pair = hedge_pair(name)
    assert (pair.spot, pair.perpetual, pair.multiplier) == (spot, perpetual, 1)
    assert hedge_pair(pair.name) == pair


@pytest.mark.parametrize("name", ["PEPEUSDT", "1000PEPEUSDT", "pepe/usdt", "1000PEPE/USDT:USDT", "PEPE/USDT:USDT"])
def test_a_thousand_multiplied_coin_is_recognised_with_and_without_its_multiplier(name):
    assert hedge_pair(name) == HedgePair("PEPE/USDT", "1000PEPE/USDT:USDT", "PEPE", "USDT", 1000)
    assert hedge_pair(name).name == "1000PEPEUSDT"


@pytest.mark.parametrize("name", ["BTC/USD:BTC", "BTCUSD_PERP", "btcusd_perp"])
def test_inverse_contracts_are_refused_by_name(name):
    with pytest.raises(ConfigError, match="inverse") as caught:
        hedge_pair(name)
    assert caught.value.value == name
    assert "perpetual" in caught.value.fix


@pytest.mark.parametrize("name", ["BTC/USDT:USDT-250627", "BTCUSDT_250627", "BTC/USDT:USDT-250627-100000-C"])
def test_dated_contracts_are_refused_by_name(name):
    with pytest.raises(ConfigError, match="dated"):
        hedge_pair(name)


def test_a_contract_that_settles_in_a_third_currency_is_refused():
    with pytest.raises(ConfigError, match="settles in USDC"):
        hedge_pair("BTC/USDT:USDC")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "USDT",
        "BTC",
        "/",
        "BTC/",
        "BTC/USDT:",
        "/USDT",
        "USDT/USDT",
        "1000USDT",
        "B-T/USDT",
        "BTC/USDT/USDT",
        "₿/USDT",
        "x" * 40 + "USDT",
    ],
)
def test_nonsense_is_refused_with_the_forms_that_are_taken(name):
    with pytest.raises(ConfigError) as caught:
        hedge_pair(name)
    assert "BTC/USDT:USDT" in str(caught.value)


@pytest.mark.parametrize("name", ["BTC/EUR", "BTCFDUSD", "ETHBUSD", "ETH/BTC", "BTCTUSD"])
def test_a_quote_that_no_linear_perpetual_uses_is_refused(name):
    with pytest.raises(ConfigError, match="quote"):
        hedge_pair(name)


def test_the_bitcoin_brackets_carry_the_cumulative_amounts_that_binance_publishes():
    tiers = builtin_instrument(hedge_pair("BTCUSDT")).margin_tiers
    amounts = [int(tier.maintenance_amount) for tier in tiers]
    assert amounts == [0, 50, 950, 11_450, 131_450, 481_450, 2_981_450, 14_481_450, 26_481_450, 41_481_450, 121_481_450, 421_481_450]


@pytest.mark.parametrize("name", ["BTCUSDT", "ETHUSDC", "SOLUSDT", "PEPEUSDT"])
def test_built_in_rules_are_continuous_and_get_stricter(name):
    instrument = builtin_instrument(hedge_pair(name))
    assert instrument.symbol == hedge_pair(name).perpetual
    caps = [tier.max_notional for tier in instrument.margin_tiers]
    rates = [tier.maintenance_rate for tier in instrument.margin_tiers]
    assert caps == sorted(set(caps))
    assert rates == sorted(set(rates))
    for lower, upper in zip(instrument.margin_tiers, instrument.margin_tiers[1:], strict=False):
        cap = lower.max_notional
        assert cap * lower.maintenance_rate - lower.maintenance_amount == cap * upper.maintenance_rate - upper.maintenance_amount


def test_built_in_filters_are_those_of_the_venue():
    bitcoin = builtin_instrument(hedge_pair("BTCUSDT"))
    assert (bitcoin.tick_size, bitcoin.lot_size, bitcoin.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(100))
    pepe = builtin_instrument(hedge_pair("1000PEPEUSDT"))
    assert (pepe.base, pepe.tick_size, pepe.lot_size) == ("1000PEPE", Decimal("0.0000001"), Decimal(1))


def test_a_coin_without_built_in_rules_names_the_known_ones_and_the_fix():
    for question in (builtin_instrument, builtin_start_price):
        with pytest.raises(ConfigError) as caught:
            question(hedge_pair("DOGEUSDT"))
        for word in ("BTC", "ETH", "SOL", "1000PEPE", "ccxt", "DOGEUSDT"):
            assert word in str(caught.value)


def test_a_start_price_is_worth_many_ticks():
    for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "PEPEUSDT"):
        pair = hedge_pair(name)
        assert builtin_start_price(pair) > 1_000 * builtin_instrument(pair).tick


@pytest.mark.parametrize("name", ["KPEPEUSDT", "kPEPE/USDT", "PEPE1000USDT", "1000PEPE/USDT:USDT"])
def test_the_ways_in_which_venues_write_a_multiplied_coin_name_the_same_pair(name):
    assert hedge_pair(name) == hedge_pair("PEPEUSDT")


@pytest.mark.parametrize("name", ["KAVAUSDT", "KSMUSDT", "1000SATSUSDT"])
def test_a_coin_that_only_looks_multiplied_is_left_alone(name):
    assert hedge_pair(name).multiplier == 1
    assert hedge_pair(name).base == name.removesuffix("USDT")


@pytest.mark.parametrize(
    ("name", "listed", "perpetual", "multiplier"),
    [
        ("BTCUSDT", "BTC/USDT:USDT", "BTC/USDT:USDT", 1),
        ("BTCUSD", "BTC/USD:USD", "BTC/USD:USD", 1),
        ("PEPEUSDT", "1000PEPE/USDT:USDT", "1000PEPE/USDT:USDT", 1000),
        ("SHIBUSDT", "SHIB1000/USDT:USDT", "SHIB1000/USDT:USDT", 1000),
        ("PEPEUSDC", "KPEPE/USDC:USDC", "KPEPE/USDC:USDC", 1000),
        ("PEPEUSDT", "PEPE/USDT:USDT", "PEPE/USDT:USDT", 1),
    ],
)
def test_a_pair_is_found_under_the_name_that_the_venue_gives_it(name, listed, perpetual, multiplier):
    pair = on_venue(hedge_pair(name), {listed})
    assert (pair.perpetual, pair.multiplier) == (perpetual, multiplier)
    assert pair.spot == hedge_pair(name).spot


@pytest.mark.parametrize(
    ("name", "listed"), [("BTCUSDT", "BTC/USDC:USDC"), ("AVAUSDT", "KAVA/USDT:USDT"), ("BTCUSDT", "1000BTC/USDT:USDT")]
)
def test_another_quote_or_another_coin_is_not_taken_for_the_pair(name, listed):
    with pytest.raises(ConfigError, match="lists no such perpetual"):
        on_venue(hedge_pair(name), {listed})
