"""A fake exchange and unmodified ccxt clients pointed at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange
from alpha_pulse.market.ccxt_mapping import make_exchange


@pytest.fixture
def config() -> FakeConfig:
    return FakeConfig()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition, three seconds at most."""

    async def wait(condition: Callable[[], bool]) -> None:
        for _ in range(300):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError

    return wait


@pytest.fixture
async def fake(config: FakeConfig) -> AsyncIterator[FakeExchange]:
    async with FakeExchange.running(config) as running:
        yield running


def client(fake: FakeExchange, name: str, account: AccountConfig) -> Any:
    exchange = make_exchange(name, rest_url=fake.rest_url, ws_url=fake.ws_url, options={"warnOnFetchOpenOrdersWithoutSymbol": False})
    exchange.apiKey, exchange.secret, exchange.enableRateLimit = account.key, account.secret, False
    exchange.timeout_on_exit = 0  # ms; plain HTTP has nothing to wait for
    return exchange


@pytest.fixture
async def perp(fake: FakeExchange, config: FakeConfig) -> AsyncIterator[Any]:
    exchange = client(fake, "binanceusdm", config.accounts[0])
    await exchange.load_markets()
    yield exchange
    await exchange.close()


@pytest.fixture
async def spot(fake: FakeExchange, config: FakeConfig) -> AsyncIterator[Any]:
    exchange = client(fake, "binance", config.accounts[0])
    exchange.options["defaultType"] = "spot"
    exchange.options["fetchMarkets"] = {"types": ["spot"]}
    await exchange.load_markets()
    yield exchange
    await exchange.close()
