import inspect
from decimal import Decimal, getcontext, localcontext

import ccxt
import pytest

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.market.ccxt_mapping import instrument_of, make_exchange, redirect, spot_exchange_id, translate_read

BTC = hedge_pair("BTCUSDT")
DOGE = hedge_pair("DOGEUSDT")
EVERY_ERROR = [kind for _, kind in inspect.getmembers(ccxt, inspect.isclass) if issubclass(kind, ccxt.BaseError)]
FATAL = {
    "AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended", "ArgumentsRequired", "BadSymbol",
    "RestrictedLocation", "ManualInteractionNeeded", "NotSupported", "InvalidProxySettings", "ContractUnavailable",
}  # fmt: skip


def market(**changes):
    return {
        "base": "BTC",
        "quote": "USDT",
        "swap": True,
        "inverse": False,
        "active": True,
        "contractSize": 1.0,
        "precision": {"price": 0.1, "amount": 0.001},
        "limits": {"amount": {"min": 0.001}, "cost": {"min": 100.0}},
        "maker": 0.0002,
        "taker": 0.0004,
    } | changes


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_ccxt_error_has_a_reaction(kind):
    reaction = translate_read(kind("why"))
    assert type(reaction) is (Fatal if kind.__name__ in FATAL else Transient)
    assert kind.__name__ in str(reaction)


@pytest.mark.parametrize("error", [ValueError("nan"), KeyError("bids"), TypeError("None"), OSError("reset")])
def test_what_parsers_raise_on_garbage_is_transient(error):
    assert type(translate_read(error)) is Transient


def test_an_error_of_the_same_name_from_elsewhere_is_not_taken_for_ccxts():
    class BadSymbol(Exception):  # noqa: N818 - named like ccxt's
        pass

    assert type(translate_read(BadSymbol())) is Transient


def test_a_page_of_html_is_cut_short_in_the_message():
    assert len(str(translate_read(ccxt.ExchangeError("<html>\n" * 1000)))) < 250


def test_instrument_rules_come_from_tick_sizes():
    rules = instrument_of(BTC, market(), ccxt.TICK_SIZE, 95_000.0)
    assert (rules.tick_size, rules.lot_size, rules.min_quantity) == (Decimal("0.1"), Decimal("0.001"), Decimal("0.001"))
    assert (rules.min_notional, rules.maker_fee, rules.taker_fee) == (Decimal("100.0"), Decimal("0.0002"), Decimal("0.0004"))
    assert rules.symbol == "BTC/USDT:USDT"
    assert len(rules.margin_tiers) == 12


def test_instrument_rules_come_from_decimal_places():
    rules = instrument_of(BTC, market(precision={"price": 1, "amount": 3}), ccxt.DECIMAL_PLACES, 95_000.0)
    assert (rules.tick_size, rules.lot_size) == (Decimal("0.1"), Decimal("0.001"))


def test_instrument_rules_come_from_significant_digits():
    rules = instrument_of(BTC, market(precision={"price": 5, "amount": 2}), ccxt.SIGNIFICANT_DIGITS, 95_000.0)
    assert rules.tick_size == Decimal(1)
    assert instrument_of(BTC, market(precision={"price": 5, "amount": 2}), ccxt.SIGNIFICANT_DIGITS, 0.123).tick_size == Decimal("0.00001")


def test_a_contract_of_ten_coins_is_brought_to_base_units():
    rules = instrument_of(DOGE, market(contractSize=10.0, precision={"price": 0.00001, "amount": 1}), ccxt.TICK_SIZE, 0.2)
    assert (rules.lot_size, rules.min_quantity, rules.contract_size) == (Decimal(10), Decimal(10), Decimal(10))
    assert [tier.maintenance_rate for tier in rules.margin_tiers] == [Decimal("0.025")]


def test_a_step_of_a_thousand_that_ccxt_cuts_to_one_is_restored():
    rules = instrument_of(DOGE, market(precision={"price": 0.00001, "amount": 1.0}, info={"sizeMultiplier": "1000"}), ccxt.TICK_SIZE, 0.2)
    assert rules.lot_size == Decimal(1000)


def test_missing_limits_do_no_harm():
    rules = instrument_of(BTC, market(limits={}, maker=None, taker=float("nan"), contractSize=None), ccxt.TICK_SIZE, 1.0)
    assert (rules.min_quantity, rules.min_notional, rules.taker_fee) == (Decimal("0.001"), Decimal(0), Decimal("0.0005"))


def test_a_market_without_a_usable_tick_is_refused():
    with pytest.raises(ConfigError, match="tick_size"):
        instrument_of(BTC, market(precision={"price": None, "amount": "rubbish"}), ccxt.TICK_SIZE, 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inverse": True}, "inverse"),
        ({"swap": False}, "no perpetual"),
        ({"active": False}, "halted"),
        ({"settle": "USDC"}, "settles in USDC"),
    ],
)
def test_contracts_that_cannot_hedge_are_refused_by_name(changes, words):
    with pytest.raises(ConfigError, match=words):
        instrument_of(BTC, market(**changes), ccxt.TICK_SIZE, 1.0)


def test_every_url_is_sent_elsewhere_and_keeps_its_path():
    urls = {
        "public": "https://api.{hostname}/v5",
        "ws": {"linear": "wss://fstream.binance.com/ws", "deep": {"x": "wss://a.b:9443/c"}},
        "n": None,
    }
    assert redirect(urls, "http://127.0.0.1:8000/", "ws://127.0.0.1:8001") == {
        "public": "http://127.0.0.1:8000/v5",
        "ws": {"linear": "ws://127.0.0.1:8001/ws", "deep": {"x": "ws://127.0.0.1:8001/c"}},
        "n": None,
    }
    assert redirect(urls, None, None) == urls


@pytest.mark.parametrize("exchange_id", ["binanceusdm", "bybit", "okx", "coinmate"])
async def test_an_exchange_notices_dead_sockets_soon(exchange_id):
    exchange = make_exchange(exchange_id, rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9")
    assert exchange.streaming["keepAlive"] <= 10_000
    assert "binance.com" not in str(exchange.urls["api"])
    await exchange.close()


def test_an_unknown_exchange_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean bybit"):
        make_exchange("bybitt")
    with pytest.raises(ConfigError, match=r"docs\.ccxt\.com"):
        make_exchange("qqqqqqqq")


def test_the_spot_market_of_a_derivatives_only_exchange_is_elsewhere():
    assert spot_exchange_id("binanceusdm") == "binance"
    assert spot_exchange_id("bybit") == "bybit"


async def test_ccxt_does_not_change_how_we_round():
    exchange = make_exchange("binanceusdm")
    with localcontext():
        before = getcontext().rounding, dict(getcontext().traps)
        assert exchange.decimal_to_precision("1.23456", 1, 3) == "1.235"
        assert exchange.decimal_to_precision("1.23456", 0, 3) == "1.234"
        assert (getcontext().rounding, dict(getcontext().traps)) == before
    await exchange.close()
