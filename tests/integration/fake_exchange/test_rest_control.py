"""The control endpoint mirrors the Python API, for this machine alone; the command prints how to use it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange, many_symbols
from alpha_pulse.fake_exchange.walk import walk

BTC = "BTC/USDT:USDT"


@pytest.fixture
async def http(fake: FakeExchange) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(fake.rest_url) as session:
        yield session


async def post(http: aiohttp.ClientSession, name: str, **given: Any) -> Any:
    async with http.post(f"/control/{name}", json=given) as reply:
        return reply.status, await reply.json()


async def test_prices_trades_funding_and_faults_are_scripted_over_http(fake: FakeExchange, perp: Any, http: aiohttp.ClientSession) -> None:
    await perp.create_order(BTC, "limit", "sell", 0.1, 96_000, {"clientOrderId": "g1"})
    assert (await post(http, "price", symbol="BTCUSDT", last="96100", mark="96050"))[0] == 200
    assert (await post(http, "trade", symbol="BTCUSDT", side="sell", quantity="0.2"))[0] == 200
    assert (await post(http, "funding", symbol="BTCUSDT", rate="0.001"))[0] == 200
    assert (await post(http, "leverage", account=None, symbol="BTCUSDT", leverage=5))[0] == 200
    assert (await post(http, "fault", on="POST /fapi/v1/order", kind="status", times=2))[0] == 200
    async with http.get("/control/state") as reply:
        state = await reply.json()
    account = state["accounts"]["rehearsal-key"]
    assert account["fills"][0]["client_id"] == "g1"
    assert account["positions"]["BTCUSDT/BOTH"]["quantity"] == "-0.300"
    assert account["leverage"] == {"BTCUSDT": 5}
    assert state["faults"]["active"][0]["times"] == 2
    assert state["requests"]["POST /fapi/v1/order"] == 1
    assert fake.venue.income()[-1].amount == Decimal("28.8150")


async def test_held_requests_are_listed_and_released_over_http(fake: FakeExchange, perp: Any, http: aiohttp.ClientSession) -> None:
    await post(http, "fault", on="POST /fapi/v1/order", kind="hold")
    task = asyncio.create_task(perp.create_order(BTC, "limit", "sell", 0.1, 96_000))
    await fake.control.wait_held()
    async with http.get("/control/held") as reply:
        (held,) = await reply.json()
    assert held["route"] == "POST /fapi/v1/order"
    assert (await post(http, "release", id=held["id"]))[1]["result"] == 1
    assert (await task)["status"] == "open"


async def test_what_is_wrong_is_said_and_strangers_are_refused(http: aiohttp.ClientSession) -> None:
    assert (await post(http, "price", symbol="NOPE", last=1))[0] == 400
    assert (await post(http, "price", symbol="BTCUSDT", lost=1))[0] == 400
    assert (await post(http, "nothing"))[0] == 404
    async with http.post("/control/price", json={}, headers={"Origin": "https://evil.example"}) as reply:
        assert reply.status == 403
    async with http.get("/control/state", headers={"Host": "rebound.example"}) as reply:
        assert reply.status == 403


async def test_many_symbols_walk_by_the_simulated_market(eventually: Any) -> None:
    async with FakeExchange.running(FakeConfig(symbols=many_symbols(3))) as fake:
        first = fake.venue.market("C01USDT").last
        task = asyncio.create_task(walk(fake.venue, every_s=0.01))
        await eventually(lambda: fake.venue.market("C01USDT").last != first)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_accounts_do_not_see_each_other() -> None:
    accounts = (AccountConfig(key="a"), AccountConfig(key="b", usdt=Decimal(5)))
    async with FakeExchange.running(FakeConfig(accounts=accounts)) as fake:
        fake.venue.trade_outside("a", "BTCUSDT", "SELL", "0.1")
        assert fake.venue.position("b", "BTCUSDT") == 0
        assert fake.venue.wallet("b", "USDT") == 5


def test_a_config_file_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "fake.yaml"
    path.write_text("symbols: [{name: BTC/USDT, price: 50000}]\naccounts: [{key: k, secret: s, usdt: 1000}]\n")
    assert FakeConfig.load(path).symbols[0].start_price() == 50_000
    path.write_text("symbls: []\n")
    with pytest.raises(ConfigError, match="symbls"):
        FakeConfig.load(path)


async def test_the_command_prints_its_addresses_and_ends_on_ctrl_c() -> None:
    code = "import typer; from alpha_pulse.cli.fake_exchange import fake_exchange; typer.run(fake_exchange)"
    arguments = ["--port", "0", "--symbol", "BTCUSDT", "--price", "BTCUSDT=50000", "--walk"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *arguments, stdout=-1, stderr=-1, env=environment)
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(20):
        while not any("/control/revoke" in line for line in lines):
            lines.append((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        await process.communicate()
    text = "".join(lines)
    assert "rest_url: http://127.0.0.1:" in text
    assert "ws_url: ws://127.0.0.1:" in text
    assert "BTCUSDT 50000" in text
