"""The broker for real exchanges keeps the same contract as the others, on the fake exchange over real sockets."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from alpha_pulse.execution.broker_factory import live_account
from alpha_pulse.execution.ccxt_broker import CcxtBroker
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, QUICK
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.market.ccxt_feed import CcxtFeed, Pace
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.ids import SystemIds
from alpha_pulse.testing.broker_contract import ExecutingBrokerContract, Venue

PATHS = ((100_000,),) * 8 + ((101_000, 99_000, 100_000), (100_000,))
"""Where the price goes in each step of the contract's market."""


@dataclass(frozen=True, slots=True)
class SteppedVenue(Venue):
    """A live market that moves only when it is told to, one step at a time, each taken in before the next."""

    fake: FakeExchange = field(kw_only=True)
    taken: list[int] = field(default_factory=list, kw_only=True)

    async def step(self, count=1):
        update = None
        for _ in range(count):
            path = PATHS[len(self.taken)]
            self.taken.append(1)
            for price in path:
                self.fake.venue.set_price("BTCUSDT", price)
            update = await self._taken_in(path[-1])
        return update

    async def _taken_in(self, price):
        """The feed shows the price, and the broker has heard of everything that it brought about."""
        fills = self.fake.venue.fills()
        async with asyncio.timeout(20):
            while True:
                self.broker.feed.nudge(self.symbol)
                update = await self.broker.feed.next(self.symbol)
                await self.broker.refresh(self.symbol)
                if update.mark.close == price and len(await self.broker.fills(self.symbol)) == len(fills):
                    return update


class TestCcxtBroker(ExecutingBrokerContract):
    @pytest.fixture(autouse=True)
    async def _exchange(self):
        config = FakeConfig(symbols=(SymbolConfig(name="BTCUSDT", price=Decimal(100_000), min_notional=Decimal(5)),))
        async with contextlib.AsyncExitStack() as stack:
            self.fake = await stack.enter_async_context(FakeExchange.running(config))
            self.stack = stack
            yield

    async def venue(self):
        urls = {"rest_url": self.fake.rest_url, "ws_url": self.fake.ws_url}
        settings = ExchangeSettings(**{**QUICK, **urls})
        clock, account = SystemClock(), live_account(settings, ENVIRON)
        feed = CcxtFeed(settings.id, clock=clock, pace=Pace(update=0.0), guard=account.guard, warm_up_hours=0, **urls)
        broker = CcxtBroker(account, feed, clock, SystemIds())
        self.stack.push_async_callback(broker.close)
        return SteppedVenue(broker, fake=self.fake)
