"""Contracts that are counted otherwise: a thousand coins at a time, other quote currencies; and those that cannot be hedged with."""

from decimal import Decimal

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from tests.integration.live.sudden import hedged


@pytest.mark.parametrize("symbol", ["1000PEPEUSDT", "1000PEPE/USDT:USDT"])
async def test_a_thousandfold_contract_is_sized_in_its_own_units(tmp_path, symbol):
    settings = {"symbol": symbol, "inventory": {"quantity": "2500000000"}}  # coins: 2.5 million units at 0.02
    async with Rehearsal.running(tmp_path, settings) as rehearsal:
        await hedged(rehearsal, 0.02)
        assert rehearsal.live.last[0].inventory == 2_500_000
        assert rehearsal.position == -1_250_000
        [stop] = [stop for stop in rehearsal.our_stops() if stop.is_open]
        assert stop.quantity == 1_250_000
        assert stop.trigger_price < Decimal("0.02")
        for price in (0.0202, 0.0205, 0.0203):
            rehearsal.move(price)
            await rehearsal.quiet()
        assert rehearsal.worst_exposure() <= 2_500_000
        assert await rehearsal.broken() == []
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_a_usdc_contract_is_paid_for_in_usdc(tmp_path):
    async with Rehearsal.running(tmp_path, {"symbol": "SOLUSDC", "inventory": {"quantity": "100"}}) as rehearsal:
        await hedged(rehearsal, 190)
        venue = rehearsal.fake.venue
        assert rehearsal.position == -50
        assert venue.wallet(None, "USDT") == 100_000
        assert venue.wallet(None, "USDC") < 100_000
        assert rehearsal.live.last[0].account.wallet == venue.wallet(None, "USDC")
        assert {fill.commission_asset for fill in venue.fills()} == {"USDC"}
        venue.transfer(None, "USDT", 50_000)  # another currency is not this pair's money
        rehearsal.move(192.5)
        await rehearsal.quiet()
        assert rehearsal.live.last[0].account.wallet == venue.wallet(None, "USDC")
        assert await rehearsal.broken() == []


@pytest.mark.parametrize("symbol", ["BTC/USD:BTC", "BTCUSD_PERP", "ETH/USD:ETH"])
async def test_an_inverse_contract_is_refused_by_name(tmp_path, symbol):
    with pytest.raises(ConfigError, match="inverse") as caught:
        async with Rehearsal.running(tmp_path, {"symbol": symbol}, start=False):
            pytest.fail("it started")
    assert caught.value.field == "symbol"


async def test_a_contract_that_the_exchange_does_not_list_is_refused_by_name(tmp_path):
    fake = FakeConfig(symbols=(SymbolConfig(name="ETHUSDT"),))
    async with Rehearsal.running(tmp_path, {"symbol": "ETHUSDT"}, fake=fake, start=False) as rehearsal:
        rehearsal.settings = rehearsal.settings.model_copy(update={"symbol": "DOGEUSDT"})
        with pytest.raises(ConfigError, match="DOGE"):
            await rehearsal.start()
        assert rehearsal.fake.venue.orders() == []
