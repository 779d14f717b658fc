"""``alpha-pulse doctor`` on a real account: what it reads there, and that it only reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.examination import Examination, examination
from alpha_pulse.cli.main import app
from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, DEFAULT_SECRET
from alpha_pulse.hedging.common.order_ids import OrderName, bot_tag, order_id
from alpha_pulse.hedging.risk.checkup import Finding, Severity
from alpha_pulse.market.ccxt_mapping import make_exchange
from alpha_pulse.settings import Settings

KEYS = {"EXCHANGE_API_KEY": DEFAULT_KEY, "EXCHANGE_API_SECRET": DEFAULT_SECRET}
PERPETUAL = "BTC/USDT:USDT"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def account() -> dict[str, Any]:
    return {"leverage": 3}


@pytest.fixture
async def fake(account: dict[str, Any]) -> AsyncIterator[FakeExchange]:
    async with FakeExchange.running(FakeConfig(accounts=(AccountConfig(**account),))) as running:
        yield running


def settings_for(fake: FakeExchange, **sections: Any) -> dict[str, Any]:
    exchange = {"rest_url": fake.rest_url, "ws_url": fake.ws_url, "request_timeout_s": 1} | sections.pop("exchange", {})
    return {"mode": "real", "feed": {"source": "ccxt"}, "inventory": {"source": "exchange"}, "exchange": exchange} | sections


async def examined(fake: FakeExchange, environ: dict[str, str] = KEYS, **sections: Any) -> Examination:
    """As the command does, in a thread: the exchange runs in this one."""
    settings = Settings.read(settings_for(fake, **sections))
    return await asyncio.to_thread(examination, settings, environ=environ, online=True)


def of(found: Examination, topic: str) -> Finding:
    return next(finding for finding in found.findings if finding.topic == topic)


async def test_a_sound_account_is_described_and_has_no_errors(fake):
    found = await examined(fake)
    assert [finding for finding in found.findings if finding.severity is Severity.ERROR] == []
    for topic, words in {
        "clock offset": " ms ",
        "key": "may trade futures",
        "position mode": "one_way, as in the settings",
        "margin mode": "cross, as in the settings",
        "leverage": "3, as in the settings",
        "wallet": "100,000 USDT",
        "position": "none",
        "open orders": "none of this bot",
        "market data": "mark 95,000.0 USDT",
        "fees": "maker 0.0200%, taker 0.0500%",
        "filters": "tick 0.1, lot 0.001, minimum notional 100 USDT, least order 0.002 BTC",
        "margin brackets": "12; the first demands 0.40% of notional up to 50,000 USDT",
        "dead-man switch": "after 120 s of silence, and spares the stop",
        "inventory": "1 BTC, found by source exchange",
    }.items():
        assert words in of(found, topic).what, topic
    assert found.shocks is not None


async def test_the_risk_is_examined_with_what_was_found(fake):
    fake.venue.set_price("BTCUSDT", 50_000)
    fake.venue.transfer(None, "BTC", 1, wallet="spot")
    found = await examined(fake)
    assert found.shocks is not None
    assert found.shocks.price == 50_000
    assert "2 BTC" in of(found, "inventory").what
    assert "50,000.00 USDT" in of(found, "sizes").what


async def test_a_coin_without_built_in_rules_is_examined_by_the_exchanges_own(fake):
    found = await examined(fake, symbol="1000PEPEUSDT", inventory={"source": "sum", "sources": [{"source": "exchange"}, {"quantity": 500}]})
    assert "10,000,500 PEPE, found by source sum" in of(found, "inventory").what


async def test_nothing_is_changed_at_the_venue(fake):
    fake.venue.set_leverage_outside(None, "BTCUSDT", 20)
    found = await examined(fake, exchange={"margin_mode": "isolated"})
    assert of(found, "leverage") == Finding(
        Severity.WARNING, "leverage", "20, not 3: the bot changes it when it starts", "nothing, or write exchange.leverage: 20"
    )
    assert of(found, "margin mode").severity is Severity.WARNING
    assert {request.method for request in fake.venue.log} == {"GET"}


@pytest.mark.parametrize("account", [{"can_withdraw": True, "can_trade": False, "dual_side": True, "usdt": 0, "spot": {"USDT": 1}}])
async def test_what_is_wrong_with_key_modes_and_wallets_is_said(fake):
    found = await examined(fake)
    said = {(finding.severity, finding.topic): finding.what for finding in found.findings}
    assert "may not trade" in said[Severity.ERROR, "key"]
    assert "may withdraw" in said[Severity.WARNING, "key"]
    assert "hedge, not one_way" in said[Severity.WARNING, "position mode"]
    assert said[Severity.ERROR, "wallet"] == "0 USDT"
    assert said[Severity.ERROR, "inventory"] == "no BTC found: the bot would not start"
    assert found.no_shocks == "the coins are not known"


async def test_orders_of_ours_and_of_strangers_and_a_position_are_counted(fake):
    exchange = make_exchange("binanceusdm", rest_url=fake.rest_url, ws_url=fake.ws_url)
    exchange.apiKey, exchange.secret, exchange.timeout_on_exit = DEFAULT_KEY, DEFAULT_SECRET, 0
    ours = order_id(bot_tag("binanceusdm", PERPETUAL), OrderName(Purpose.GRID, Side.BUY, 1, 1))
    stop = order_id(bot_tag("binanceusdm", PERPETUAL), OrderName(Purpose.STOP, Side.SELL, 0, 2))
    await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, 90_000, {"clientOrderId": ours})
    await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, 89_000, {"clientOrderId": "by-hand"})
    await exchange.create_order(
        PERPETUAL, "market", "sell", 0.01, None, {"triggerPrice": 80_000, "workingType": "MARK_PRICE", "clientOrderId": stop}
    )
    await exchange.close()
    fake.venue.trade_outside(None, "BTCUSDT", "BUY", "0.5")
    found = await examined(fake, exchange={"margin_mode": "isolated"})
    orders = [finding.what for finding in found.findings if finding.topic == "open orders"]
    assert orders == ["2 of this bot, 1 of them stops", "1 of somebody else in this contract; the bot leaves them alone"]
    assert "+0.5 BTC from 95,0" in of(found, "position").what
    assert of(found, "position").severity is Severity.WARNING
    assert of(found, "margin mode").severity is Severity.ERROR


async def test_a_venue_that_cannot_be_reached_is_an_error_with_a_fix(fake):
    fake.faults.make_unreachable(60)
    found = await examined(fake)
    connection = of(found, "connection")
    assert connection.severity is Severity.ERROR
    assert "--offline" in connection.fix
    assert of(found, "inventory").severity is Severity.ERROR


async def test_a_key_that_the_venue_refuses_is_an_error_with_a_fix(fake):
    fake.venue.revoke_key(DEFAULT_KEY)
    found = await examined(fake)
    errors = [finding for finding in found.findings if finding.severity is Severity.ERROR]
    assert {finding.topic for finding in errors} == {"key", "inventory"}
    assert all("AuthenticationError" in finding.what and "rights" in finding.fix for finding in errors)


async def test_a_mangled_answer_costs_its_own_finding_alone(fake):
    faults = {
        "setup": ("GET /fapi/v1/positionSide/dual", "html"),
        "wallet": ("GET /fapi/v?/account", "nulls"),
        "position": ("GET /fapi/v3/positionRisk", "empty"),
        "open orders": ("GET /fapi/v1/openOrders", "drop_before"),
        "market data": ("GET /fapi/v1/premiumIndex", "nan"),
        "inventory": ("GET /api/v3/account", "nulls"),
    }
    for route, kind in faults.values():
        fake.faults.add(route, kind, times=None)
    found = await examined(fake)
    assert {finding.topic for finding in found.findings if finding.severity is Severity.ERROR} == set(faults)
    assert "may trade" in of(found, "key").what
    assert of(found, "fees").severity is Severity.OK


async def test_a_contract_that_is_not_listed_is_an_error(fake):
    found = await examined(fake, symbol="DOGEUSDT")
    assert "lists no such perpetual" in of(found, "connection").what


async def test_a_clock_that_is_off_is_said(fake):
    fake.venue.offset_ms = -5_000
    offset = of(await examined(fake), "clock offset")
    assert offset.severity is Severity.WARNING
    assert "ahead of binanceusdm" in offset.what


async def test_settings_that_ask_for_too_much_leverage_are_an_error(fake):
    found = await examined(fake, exchange={"leverage": 10})
    assert "above exchange.max_leverage 5" in next(f.what for f in found.findings if f.severity is Severity.ERROR)


async def test_without_keys_nothing_is_asked(fake):
    found = await examined(fake, {}, inventory={"quantity": 1})
    assert of(found, "keys").severity is Severity.ERROR
    assert fake.venue.log == []


async def test_paper_mode_reads_the_coins_and_no_futures_account(fake):
    found = await examined(fake, mode="paper", feed={})
    assert "1 BTC" in of(found, "inventory").what
    assert {request.path for request in fake.venue.log if request.path.startswith("/fapi")} == set()


async def test_the_command_asks_unless_it_is_told_not_to(fake, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(settings_for(fake)))
    runner = CliRunner()

    def doctor(*arguments: str) -> tuple[int, dict[str, Any]]:
        result = runner.invoke(app, ["doctor", "--config", str(file), "--json", *arguments], env=KEYS)
        return result.exit_code, json.loads(result.stdout)

    code, offline = await asyncio.to_thread(doctor, "--offline")
    assert (code, fake.venue.log) == (0, [])
    assert "wallet" not in {finding["topic"] for finding in offline["findings"]}
    assert offline["shocks_unavailable"] == "the coins are not known"
    code, online = await asyncio.to_thread(doctor)
    assert code == 0, online
    assert "wallet" in {finding["topic"] for finding in online["findings"]}
    assert Decimal(str(online["shocks"]["price"])) == 95_000
