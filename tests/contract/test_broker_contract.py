"""Every broker passes the same suite."""

from decimal import Decimal

from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.journal import MemoryJournal
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds, updates_from_prices
from alpha_pulse.testing.broker_contract import BrokerContract, ExecutingBrokerContract, Venue

PRICES = [100_000] * 8 + [(100_000, 101_000, 99_000, 100_000), 100_000]


def a_feed(clock):
    return FakeFeed(updates_from_prices(PRICES), clock=clock)


class TestPaperBroker(ExecutingBrokerContract):
    async def venue(self):
        clock = FakeClock()
        return Venue(PaperBroker(PaperSettings(), a_feed(clock), clock, FakeIds()))


class TestPaperBrokerWithAJournal(ExecutingBrokerContract):
    async def venue(self):
        clock = FakeClock()
        settings = PaperSettings(quote_balance=Decimal(100_000))
        return Venue(PaperBroker(settings, a_feed(clock), clock, FakeIds(), journal=MemoryJournal()))


class TestRecommendationBroker(BrokerContract):
    async def venue(self):
        clock = FakeClock()
        return Venue(RecommendationBroker(PaperSettings(), a_feed(clock), clock, FakeIds(), journal=MemoryJournal()))
