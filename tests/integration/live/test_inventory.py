"""Coins read from a spot account: by sockets, from an exchange that answers, falls silent, and answers nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from alpha_pulse.bootstrap import Together, build_bot
from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.execution.inventory_factory import SpotAccounts, create_inventory
from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange
from alpha_pulse.hedging.common.interfaces import PositionFetcher
from alpha_pulse.hedging.execution.position_fetcher import release
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.settings import Settings

KEYS = {"EXCHANGE_API_KEY": "main", "EXCHANGE_API_SECRET": "s1", "VAULT_API_KEY": "vault", "VAULT_API_SECRET": "s2"}
BALANCES = {"main": ("s1", {"BTC": "1.25", "PEPE": "2500000", "SOL": "40", "USDT": "9"}), "vault": ("s2", {"BTC": "0.5"})}
ACCOUNTS = tuple(AccountConfig.model_validate({"key": key, "secret": secret, "spot": spot}) for key, (secret, spot) in BALANCES.items())
ACCOUNT = "GET /api/v3/account"


@pytest.fixture
async def fake() -> AsyncIterator[FakeExchange]:
    async with FakeExchange.running(FakeConfig(accounts=ACCOUNTS)) as running:
        yield running


def settings_for(fake: FakeExchange, inventory: dict[str, Any], **others: Any) -> Settings:
    exchange = {"rest_url": fake.rest_url, "ws_url": fake.ws_url, "request_timeout_s": 0.5, **others.pop("exchange", {})}
    return Settings.read({"inventory": {"refresh_s": 0.05, **inventory}, "exchange": exchange, **others})


def fetcher_for(fake: FakeExchange, inventory: dict[str, Any], symbol: str = "BTCUSDT", accounts: SpotAccounts | None = None) -> Any:
    settings = settings_for(fake, inventory)
    return create_inventory(settings.inventory, settings.exchange, hedge_pair(symbol), KEYS, accounts=accounts)


@asynccontextmanager
async def reading(fetcher: PositionFetcher) -> AsyncIterator[Callable[[], Any]]:
    try:
        yield lambda: fetcher.fetch_inventory("")
    finally:
        await release(fetcher)


async def until(ask: Callable[[], Any], wanted: Decimal) -> None:
    for _ in range(300):
        if await ask() == wanted:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def reads(fake: FakeExchange, more: int) -> None:
    """Wait until the account was asked for so many times more."""
    goal = len(fake.venue.requests("GET", "/api/v3/account")) + more
    for _ in range(300):
        if len(fake.venue.requests("GET", "/api/v3/account")) >= goal:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


# --- what is counted --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("symbol", "units"), [("BTCUSDT", "1.25"), ("BTCUSDC", "1.25"), ("1000PEPEUSDT", "2500"), ("SOLUSDC", "40")])
async def test_the_base_coin_counts_in_base_units_of_the_perpetual(fake, symbol, units):
    async with reading(fetcher_for(fake, {"source": "exchange"}, symbol)) as ask:
        assert await ask() == Decimal(units)


async def test_coins_in_open_orders_count(fake):
    fake.venue.account("main").spot.locked["BTC"] = Decimal(1)
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        assert await ask() == Decimal("1.25")


async def test_a_coin_that_the_account_does_not_hold_counts_as_none(fake):
    async with reading(fetcher_for(fake, {"source": "exchange"}, "ETHUSDT")) as ask:
        assert await ask() == 0


async def test_a_sum_adds_accounts_and_a_cold_wallet(fake):
    vault = {"api_key_env": "VAULT_API_KEY", "api_secret_env": "VAULT_API_SECRET"}
    sources = [{"source": "exchange"}, {"source": "exchange", "exchange": vault}, {"source": "fixed", "quantity": "10"}]
    async with reading(fetcher_for(fake, {"source": "sum", "sources": sources})) as ask:
        first = await ask()
        assert first == Decimal("11.75")
        assert await ask() is first
        fake.venue.transfer("vault", "BTC", 1, wallet="spot")
        await until(ask, Decimal("12.75"))


async def test_a_sum_divides_the_cold_wallet_by_the_multiplier_too(fake):
    sources = [{"source": "exchange"}, {"quantity": "1500000"}]
    async with reading(fetcher_for(fake, {"source": "sum", "sources": sources}, "PEPEUSDT")) as ask:
        assert await ask() == 4000


async def test_an_account_at_another_exchange_is_read_with_its_own_keys(fake):
    vault = {"id": "binanceus", "rest_url": fake.rest_url, "api_key_env": "VAULT_API_KEY", "api_secret_env": "VAULT_API_SECRET"}
    async with reading(fetcher_for(fake, {"source": "exchange", "exchange": vault})) as ask:
        assert await ask() == Decimal("0.5")


# --- when it is read --------------------------------------------------------------------------------------------------
async def test_a_tick_does_not_wait_for_the_exchange_and_gets_the_same_object_until_it_changed(fake):
    async with reading(fetcher_for(fake, {"source": "exchange", "refresh_s": 60})) as ask:
        first = await ask()
        before = len(fake.venue.log)
        assert all([await ask() is first for _ in range(1000)])
        assert len(fake.venue.log) == before


async def test_coins_that_move_are_seen_in_the_background(fake):
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        first = await ask()
        await reads(fake, 2)
        assert await ask() is first
        fake.venue.transfer("main", "BTC", "-0.25", wallet="spot")
        await until(ask, Decimal(1))


async def test_pairs_on_one_account_share_one_connection_and_the_last_one_closes_it(fake):
    shared = SpotAccounts()
    btc, pepe = (fetcher_for(fake, {"source": "exchange", "refresh_s": 60}, name, shared) for name in ("BTCUSDT", "PEPEUSDT"))
    assert await asyncio.gather(btc.fetch_inventory(""), pepe.fetch_inventory("")) == [Decimal("1.25"), 2500]
    assert len(fake.venue.requests("GET", "/api/v3/account")) == 1
    await btc.close()
    assert await pepe.fetch_inventory("") == 2500
    await pepe.close()
    await pepe.close()
    assert await btc.fetch_inventory("") == Decimal("1.25")  # and may come back
    await btc.close()


# --- what is not believed ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["html", "empty", "nulls", "nan", "truncate", "drop_after", "timeout_after"])
async def test_a_mangled_balance_is_never_no_coins(fake, kind):
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        first = await ask()
        fake.faults.add(ACCOUNT, kind, times=2)
        await reads(fake, 2)
        assert await ask() is first
        fake.faults.clear()
        fake.venue.transfer("main", "BTC", 1, wallet="spot")
        await until(ask, Decimal("2.25"))


@pytest.mark.parametrize("kind", ["html", "nulls", "drop_before"])
async def test_a_start_without_a_believable_balance_is_refused_and_leaves_nothing_open(fake, kind):
    fake.faults.add(ACCOUNT, kind, times=5)
    fetcher = fetcher_for(fake, {"source": "exchange"})
    with pytest.raises(Transient):
        await fetcher.fetch_inventory("")
    fake.faults.clear()
    async with reading(fetcher) as ask:
        assert await ask() == Decimal("1.25")


async def test_a_sum_that_cannot_start_closes_the_parts_that_could(fake):
    fake.venue.revoke_key("vault")
    vault = {"api_key_env": "VAULT_API_KEY", "api_secret_env": "VAULT_API_SECRET"}
    fetcher = fetcher_for(fake, {"source": "sum", "sources": [{"source": "exchange"}, {"source": "exchange", "exchange": vault}]})
    with pytest.raises(Fatal):
        await fetcher.fetch_inventory("")


async def test_coins_unread_for_too_long_stop_the_ticks_until_they_are_read_again(fake):
    async with reading(fetcher_for(fake, {"source": "exchange", "stale_after_s": 0.4})) as ask:
        first = await ask()
        fake.faults.add(ACCOUNT, "html", times=None)
        await reads(fake, 2)
        assert await ask() is first
        with pytest.raises(Transient, match="the coins at binance were last read"):
            await until(ask, Decimal(-1))
        fake.faults.clear()
        async with asyncio.timeout(3):
            while True:
                try:
                    assert await ask() is first
                    break
                except Transient:
                    await asyncio.sleep(0.01)


async def test_a_key_that_is_refused_calls_for_a_person(fake):
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        await ask()
        fake.faults.add(ACCOUNT, "status", status=401, body='{"code":-2014,"msg":"API-key format invalid."}')
        with pytest.raises(Fatal, match="AuthenticationError"):
            await until(ask, Decimal(-1))


async def test_a_clock_that_drifts_is_measured_again(fake):
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        await ask()
        fake.venue.offset_ms = 60_000
        fake.venue.transfer("main", "BTC", 1, wallet="spot")
        await until(ask, Decimal("2.25"))


async def test_an_outage_of_the_spot_market_changes_no_inventory(fake):
    async with reading(fetcher_for(fake, {"source": "exchange"})) as ask:
        first = await ask()
        fake.venue.halt_spot("BTCUSDT")
        await reads(fake, 3)
        assert await ask() is first
        fake.faults.make_unreachable(0.3)
        await asyncio.sleep(0.2)
        assert await ask() is first


# --- the bot ----------------------------------------------------------------------------------------------------------
def paper_bot(fake: FakeExchange, inventory: dict[str, Any], together: Together | None = None, **others: Any) -> GridHedgeBot:
    return build_bot(settings_for(fake, inventory, **others), environ=KEYS, together=together)


async def test_a_paper_bot_hedges_real_coins(fake):
    bot = paper_bot(fake, {"source": "exchange", "refresh_s": 60})
    await bot.start()
    try:
        for _ in range(3):
            await bot.step()
        assert bot.last is not None
        assert bot.last[0].inventory == Decimal("1.25")
        assert {request.method for request in fake.venue.log} == {"GET"}
    finally:
        await bot.stop()


async def test_a_bot_without_coins_is_refused_at_its_first_tick(fake):
    bot = paper_bot(fake, {"source": "exchange"}, symbol="ETHUSDT", paper={"quote_balance": "1000"}, risk={"max_position_size": "1"})
    await bot.start()
    try:
        with pytest.raises(ConfigError, match=r"inventory.source = 'exchange': no coins were found"):
            await bot.step()
    finally:
        await bot.stop()


async def test_what_needs_the_number_of_coins_is_checked_when_it_is_known(fake):
    unwinding = {"ratio": 0.5, "min_ratio": 0.2, "amplitude_adverse": 0.3, "amplitude": 0.3}
    bot = paper_bot(fake, {"source": "exchange"}, hedge=unwinding, risk={"stop_loss_pct": "0.05"})
    await bot.start()
    try:
        with pytest.raises(ConfigError, match="the stop lies inside the 10 unwinding nodes"):
            await bot.step()
    finally:
        await bot.stop()


async def test_a_start_that_fails_at_the_broker_closes_the_inventory(fake):
    bot = paper_bot(fake, {"source": "exchange"}, symbol="ETHUSDT")
    with pytest.raises(ConfigError, match="nothing to derive the wallet from"):
        await bot.start()


async def test_missing_keys_are_named_before_anything_starts(fake):
    with pytest.raises(ConfigError, match="EXCHANGE_API_KEY, EXCHANGE_API_SECRET"):
        build_bot(settings_for(fake, {"source": "exchange"}), environ={})
