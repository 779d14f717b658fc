"""One account without a bot: what the venue lists no more, what ends by itself, and what it calls for."""

import asyncio
import contextlib
import math
from types import SimpleNamespace

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.broker_factory import live_account
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.live.rules import rules_now
from alpha_pulse.execution.live.voice import Voice
from alpha_pulse.fake_exchange.config import DEFAULT_KEY
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, QUICK
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.testing import FakeClock
from tests.integration.market.loopback_exchange import eventually

BTC, ETH = hedge_pair("BTCUSDT"), hedge_pair("ETHUSDT")
EAGER = {**QUICK, "reconcile_s": 0.05, "dead_man_switch_s": 0}


@pytest.fixture
async def venue():
    async with FakeExchange.running() as running:
        yield running


@contextlib.asynccontextmanager
async def opened(venue, *pairs, **settings):
    """An account on which these pairs are open; at the end all of them leave."""
    given = {**EAGER, "rest_url": venue.rest_url, "ws_url": venue.ws_url, **settings}
    account = live_account(ExchangeSettings(**given), ENVIRON, pairs=len(pairs))
    try:
        for pair in pairs:
            await account.open(pair)
        yield account
    finally:
        for pair in pairs:
            await account.leave(pair.perpetual)


class Desk:
    """As much of a pair's desk as the account touches; ``failures`` are what its next readings raise, after the first."""

    def __init__(self, pair, *failures):
        self.symbol = pair.perpetual
        self.voice = Voice(self.symbol, FakeClock(), lambda: None)
        self.wanted = asyncio.Event()
        self.trades = SimpleNamespace(missed=0)
        self.orders = SimpleNamespace(may_rest=lambda: False)
        self.readings = 0
        self._failures = [None, *failures]

    async def load(self):
        pass

    async def close(self):
        pass

    async def reconcile(self, *, share_s=0.0):
        del share_s
        self.readings += 1
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        return True


# --- contracts that are listed no more ------------------------------------------------------------------------------------------
async def rules(account, pair):
    return await rules_now(account.connection, pair, builtin_instrument(pair), price=100.0, after=math.inf)


async def test_a_contract_that_is_listed_no_more_is_told_of_to_its_own_pair_alone(venue):
    async with opened(venue, BTC, ETH) as account:
        del venue.venue.markets["ETHUSDT"]
        for _ in range(2):  # as often as is looked
            assert (await rules(account, BTC)).symbol == BTC.perpetual
            with pytest.raises(ConfigError, match="not trading"):
                await rules(account, ETH)


async def test_orders_and_trades_of_a_contract_that_is_listed_no_more_are_still_read(venue):
    async with opened(venue, BTC, ETH) as account:
        del venue.venue.markets["ETHUSDT"]
        await rules(account, BTC)
        for exchange in (account.connection.rest, account.connection.stream):
            assert exchange.market(ETH.perpetual)["id"] == "ETHUSDT"
            assert exchange.safe_market("ETHUSDT")["symbol"] == ETH.perpetual


async def test_the_private_stream_is_rebuilt_though_a_contract_is_listed_no_more(venue):
    async with opened(venue, BTC, ETH) as account:
        del venue.venue.markets["ETHUSDT"]
        await rules(account, BTC)
        account.stream.start()
        await venue.hub.subscribed("user/*")
        dialled = venue.hub.connections
        account.stream.rebuild("the listen key has expired")
        await eventually(lambda: venue.hub.connections > dialled)
        assert account.stream.rebuilt == 1


async def test_a_pair_that_has_left_is_neither_kept_nor_asked_for(venue):
    async with opened(venue, BTC, ETH) as account:
        await account.leave(ETH.perpetual)
        del venue.venue.markets["ETHUSDT"]
        await rules(account, BTC)
        assert ETH.perpetual not in account.connection.rest.markets
        await account.connection.position(BTC.perpetual)
        assert venue.venue.requests("GET", "/fapi/v3/positionRisk")[-1].params["symbol"] == "BTCUSDT"


async def test_a_contract_that_has_our_name_besides_the_venues_is_still_one_contract_after_a_rebuild(venue):
    async with opened(venue, BTC) as account:
        markets = account.connection.rest.markets
        markets["1000BTC/USDT:USDT"] = markets[BTC.perpetual]
        await account.connection.renew_stream().close()
        assert account.connection.stream.safe_market("BTCUSDT")["symbol"] == BTC.perpetual


# --- what ends by itself --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("failure", [RuntimeError("nobody foresaw this"), asyncio.CancelledError()], ids=["an error", "a cancel"])
async def test_a_pair_whose_account_is_read_no_more_is_halted_and_the_other_goes_on(venue, failure):
    async with opened(venue, BTC, ETH) as account:
        btc, eth = Desk(BTC), Desk(ETH, failure)
        for desk in (btc, eth):
            await account.join(desk)
        await eventually(lambda: eth.voice.halted)
        assert "the reading of the account stopped" in eth.voice.halted
        read = btc.readings
        await eventually(lambda: btc.readings > read)
        await account.leave(BTC.perpetual)
        assert not btc.voice.halted


async def test_an_answer_that_nobody_foresaw_is_asked_for_again(venue):
    async with opened(venue, BTC) as account:
        desk = Desk(BTC, KeyError("contracts"))
        await account.join(desk)
        await eventually(lambda: desk.readings >= 4)
        assert not desk.voice.halted


# --- the listen key -------------------------------------------------------------------------------------------------------------
def renewals(venue):
    return len(venue.venue.requests("PUT", "/fapi/v1/listenKey"))


async def test_the_listen_key_of_a_quiet_account_is_renewed_again_and_again(venue):
    async with opened(venue, BTC, options={"listenKeyRefreshRate": 200}) as account:
        account.stream.start()
        began = asyncio.get_running_loop().time()
        await eventually(lambda: renewals(venue) >= 4)
        assert asyncio.get_running_loop().time() - began > 0.7, "once at a time"


async def test_a_stream_that_was_replaced_renews_nothing_and_opens_nothing(venue):
    async with opened(venue, BTC, options={"listenKeyRefreshRate": 200}) as account:
        account.stream.start()
        await venue.hub.subscribed("user/*")
        await account.stream.close()
        old = account.connection.renew_stream()
        await old.close()
        renewed = renewals(venue)
        await asyncio.sleep(0.3)  # its timer ends by then
        assert renewals(venue) == renewed
        assert old.session is None


# --- what the venue calls for ---------------------------------------------------------------------------------------------------
async def test_a_call_for_margin_is_told_again_an_hour_later(venue):
    async with opened(venue, BTC, reconcile_s=600.0) as account:  # what is read is read because of a call
        desk = Desk(BTC)
        await account.join(desk)
        await venue.hub.subscribed("user/*")
        for pause_s, told in ((0, 1), (60, 0), (3540, 1)):
            await desk.voice._clock.sleep(pause_s)
            read = desk.readings
            venue.venue.announce.publisher.private(DEFAULT_KEY, {"e": "MARGIN_CALL", "E": 1, "cw": "1", "p": []})
            await eventually(lambda before=read: desk.readings > before)
            assert [event.payload["level"] for event in desk.voice.drain()] == ["critical"] * told
