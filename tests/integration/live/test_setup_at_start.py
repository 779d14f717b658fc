"""What a start asks of the account, and what it refuses to start on."""

import json
from decimal import Decimal

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.runtime.logging import logger


def an_account(**fields):
    return FakeConfig(accounts=(AccountConfig(**fields),))


async def refusal(rehearsal) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        await rehearsal.start()
    assert rehearsal.fake.venue.orders() == []
    assert rehearsal.fake.venue.algo_orders() == []
    return caught.value


async def test_leverage_margin_mode_and_position_mode_are_set_and_read_back(tmp_path):
    async with Rehearsal.running(tmp_path, fake=an_account(leverage=20, margin_type="ISOLATED", dual_side=True)) as rehearsal:
        await rehearsal.quiet()
        account = rehearsal.fake.venue.account()
        assert (account.leverage_of("BTCUSDT"), account.margin_type_of("BTCUSDT"), account.dual) == (3, "CROSSED", False)
        log = [f"{r.method} {r.path}" for r in rehearsal.fake.venue.log]
        assert "GET /fapi/v1/symbolConfig" in log[log.index("POST /fapi/v1/leverage") :]
        assert log.index("POST /fapi/v1/leverage") < log.index("POST /fapi/v1/algoOrder")


async def test_an_account_that_is_set_as_wanted_is_left_alone(tmp_path):
    async with Rehearsal.running(tmp_path, fake=an_account(leverage=3)) as rehearsal:
        await rehearsal.quiet()
        for route in ("leverage", "marginType", "positionSide/dual"):
            assert rehearsal.asked(f"POST /fapi/v1/{route}") == []


@pytest.mark.parametrize(
    ("route", "reply", "field", "account"),
    [
        ("leverage", {"symbol": "BTCUSDT", "leverage": 3, "maxNotionalValue": "1000000"}, "exchange.leverage", {"leverage": 20}),
        ("marginType", {"code": 200, "msg": "success"}, "exchange.margin_mode", {"margin_type": "ISOLATED"}),
        ("positionSide/dual", {"code": 200, "msg": "success"}, "exchange.position_mode", {"dual_side": True}),
    ],
)
async def test_a_venue_that_says_yes_and_does_otherwise_stops_the_start(tmp_path, route, reply, field, account):
    async with Rehearsal.running(tmp_path, fake=an_account(**account), start=False) as rehearsal:
        rehearsal.fake.faults.add(f"POST /fapi/v1/{route}", "status", times=None, status=200, body=json.dumps(reply))
        error = await refusal(rehearsal)
        assert error.field == field
        assert error.fix
        rehearsal.fake.faults.clear()  # the same database and account start well afterwards
        await rehearsal.start()
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


async def test_leverage_over_the_limit_is_never_asked_for(tmp_path):
    settings = {"exchange": {"leverage": 10, "max_leverage": 5}}
    async with Rehearsal.running(tmp_path, settings, start=False) as rehearsal:
        assert (await refusal(rehearsal)).field == "exchange.leverage"
        assert rehearsal.asked("POST /fapi/v1/leverage") == []


async def test_a_position_mode_that_cannot_change_under_an_open_position_is_a_refusal_with_a_way_out(tmp_path):
    async with Rehearsal.running(tmp_path, fake=an_account(dual_side=True), start=False) as rehearsal:
        rehearsal.fake.venue.trade_outside(None, "ETHUSDT", "SELL", "0.1")
        with pytest.raises(ConfigError) as caught:
            await rehearsal.start()
        assert "position_mode" in str(caught.value) or caught.value.field == "exchange.position_mode"


async def test_a_key_that_cannot_trade_is_refused_by_name(tmp_path):
    async with Rehearsal.running(tmp_path, fake=an_account(can_trade=False), start=False) as rehearsal:
        error = await refusal(rehearsal)
        assert error.field == "exchange.api_key_env"
        assert "trade" in str(error)


async def test_a_key_that_can_withdraw_is_a_warning_and_no_more(tmp_path):
    said = []
    sink = logger.add(lambda message: said.append(str(message)), level="WARNING")
    try:
        async with Rehearsal.running(tmp_path, fake=an_account(can_withdraw=True)) as rehearsal:
            await rehearsal.quiet()
            assert rehearsal.open_orders()
    finally:
        logger.remove(sink)
    assert any("withdraw" in text for text in said)


async def test_the_fees_and_margin_brackets_are_the_accounts_own(tmp_path):
    fees = {"maker_fee": Decimal("0.00012"), "taker_fee": Decimal("0.00031")}
    async with Rehearsal.running(tmp_path, fake=an_account(**fees)) as rehearsal:
        await rehearsal.quiet()
        instrument = rehearsal.live.last[0].instrument
        assert (instrument.maker_fee, instrument.taker_fee) == tuple(fees.values())
        listed = rehearsal.fake.venue.market("BTCUSDT").listed.margin_tiers
        assert instrument.margin_tiers == listed


async def test_a_wrong_secret_is_refused_and_nothing_is_left_open(tmp_path):
    environ = {"EXCHANGE_API_KEY": "rehearsal-key", "EXCHANGE_API_SECRET": "another"}
    async with Rehearsal.running(tmp_path, environ=environ, start=False) as rehearsal:
        with pytest.raises(Exception, match=r"(?i)signature|refus|key") as caught:
            await rehearsal.start()
        assert type(caught.value).__name__ in {"Fatal", "ConfigError"}
        assert "another" not in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e309", "0"])
async def test_numbers_that_are_none_are_refused_before_anything_is_asked(tmp_path, value):
    for section, name in (("exchange", "leverage"), ("risk", "stop_loss_pct"), ("grid", "grid_spacing_pct"), ("grid", "num_levels")):
        with pytest.raises(ConfigError) as caught:
            async with Rehearsal.running(tmp_path, {section: {name: value}}, start=False):
                pytest.fail("it started")
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"grid": {"grid_spacing_pct": "1"}}, "grid_spacing_pct"),  # a percentage for a fraction
        ({"hedge": {"min_ratio": 0.8, "max_ratio": 0.3}}, "min_ratio"),
        ({"grid": {"num_levls": 5}}, "num_levels"),  # an unknown key names what was meant
        ({"exchange": {"levrage": 5}}, "leverage"),
    ],
)
async def test_settings_that_cannot_be_are_refused_by_name(tmp_path, settings, names):
    with pytest.raises(ConfigError, match=names):
        async with Rehearsal.running(tmp_path, settings, start=False):
            pytest.fail("it started")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"grid": {"grid_spacing_pct": "0.000001", "volatility_multiple": 0}}, "grid.grid_spacing_pct"),  # a step under a tick
        ({"inventory": {"quantity": "0.01"}, "grid": {"num_levels": 100}}, "hedge.amplitude"),  # nodes under the minimum notional
        ({"inventory": {"quantity": "0.0001"}}, "inventory.quantity"),
    ],
)
async def test_what_the_venue_cannot_trade_ends_the_run_at_its_first_prices_with_nothing_sent(tmp_path, settings, field):
    async with Rehearsal.running(tmp_path, settings, start=False) as rehearsal:
        await rehearsal.start()
        run, rehearsal._run = rehearsal._run, None
        with pytest.raises(ConfigError) as caught:
            await run
        assert field in str(caught.value)
        assert rehearsal.live.exit_code == 2
        assert rehearsal.fake.venue.orders() == []
