"""Where the mode is chosen, and what is refused."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alpha_pulse.errors import AlphaPulseError, ConfigError
from alpha_pulse.execution.broker_factory import choose_mode, create_broker
from alpha_pulse.execution.ccxt_broker import CcxtBroker
from alpha_pulse.execution.config import ExchangeSettings, PaperSettings, TicketSettings
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.market.config import FeedSettings
from alpha_pulse.market.simulated import SimulatedFeed
from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds

KEYS = {"EXCHANGE_API_KEY": "planted-key", "EXCHANGE_API_SECRET": "planted-secret"}


@dataclass
class Tree:
    mode: str = "recommendation"
    feed: FeedSettings = field(default_factory=FeedSettings)
    paper: PaperSettings = field(default_factory=PaperSettings)
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)
    tickets: TicketSettings | None = None


def test_without_arguments_it_is_paper_over_a_simulated_market_in_simulated_time():
    broker = create_broker(environ={})
    assert isinstance(broker, PaperBroker)
    assert isinstance(broker.clock, SimulatedClock)
    assert broker.account == "paper"
    assert broker.capabilities.executes


def test_the_process_environment_is_asked_when_none_is_given(monkeypatch):
    monkeypatch.setenv("TRADING_MODE", "Recommendation")
    broker = create_broker()
    assert isinstance(broker, RecommendationBroker)
    assert not broker.capabilities.executes


@pytest.mark.parametrize(
    ("argument", "environ", "configured", "expected"),
    [
        ("PAPER", {"TRADING_MODE": "recommendation"}, "real", "paper"),
        (None, {"TRADING_MODE": " Recommendation "}, "real", "recommendation"),
        (None, {"TRADING_MODE": ""}, "Real", "real"),
        (None, {}, "paper", "paper"),
    ],
)
def test_the_argument_beats_the_environment_which_beats_the_settings(argument, environ, configured, expected):
    assert choose_mode(argument, environ, configured) == expected


@pytest.mark.parametrize(
    ("argument", "environ", "source"), [("live", {}, "trading_mode"), (None, {"TRADING_MODE": "papr"}, "TRADING_MODE")]
)
def test_an_unknown_mode_names_the_three_and_where_it_came_from(argument, environ, source):
    with pytest.raises(ConfigError, match="paper, recommendation, real") as caught:
        create_broker(argument, environ=environ)
    assert caught.value.field == source


def test_settings_and_parts_are_used_as_given():
    feed, clock, ids = FakeFeed([]), FakeClock(), FakeIds()
    settings = Tree(tickets=TicketSettings(cool_down_s=5), paper=PaperSettings(slippage_bps=7))
    broker = create_broker(settings=settings, feed=feed, clock=clock, ids=ids, environ={})
    assert isinstance(broker, RecommendationBroker)
    assert (broker.clock, broker.ids, broker.settings.slippage_bps) == (clock, ids, 7)


LIVE = FeedSettings(source="ccxt")


def test_real_mode_without_keys_names_the_variables():
    with pytest.raises(ConfigError, match=r"EXCHANGE_API_KEY.*EXCHANGE_API_SECRET") as caught:
        create_broker("real", Tree(feed=LIVE), environ={})
    assert "PASSWORD" not in str(caught.value)


def test_real_mode_names_only_what_is_missing_and_the_password_where_the_venue_wants_one():
    settings = Tree(exchange=ExchangeSettings(id="okx"), feed=LIVE)
    with pytest.raises(ConfigError, match="EXCHANGE_API_PASSWORD") as caught:
        create_broker("real", settings, environ=KEYS)
    assert "EXCHANGE_API_SECRET" not in str(caught.value)


def test_real_mode_on_a_market_that_is_not_real_is_refused():
    with pytest.raises(ConfigError, match=r"Fix: set feed\.source to ccxt") as caught:
        create_broker("real", environ=KEYS)
    assert caught.value.field == "feed.source"


async def test_real_mode_with_keys_is_a_broker_that_shows_them_to_nobody():
    broker = create_broker("real", Tree(feed=LIVE), environ=KEYS)
    assert isinstance(broker, CcxtBroker)
    assert broker.account == "binanceusdm"
    shown = repr(vars(broker)) + repr(vars(broker.live)) + repr(vars(broker.live.connection))
    assert KEYS["EXCHANGE_API_KEY"] not in shown
    assert KEYS["EXCHANGE_API_SECRET"] not in shown
    await broker.close()


def test_the_feed_is_the_one_that_the_settings_name():
    assert isinstance(create_feed(FeedSettings(seed=3, days=1), ExchangeSettings()), SimulatedFeed)


@pytest.mark.parametrize("missing", ["spot", "perp"])
def test_a_recorded_feed_without_its_files_is_refused_by_name(missing):
    files = {"spot": Path("s.csv"), "perp": Path("p.csv")}
    del files[missing]
    with pytest.raises(ConfigError, match=f"feed.{missing}"):
        create_feed(FeedSettings(source="recorded", **files), ExchangeSettings())


def test_a_recorded_feed_gets_its_files():
    settings = FeedSettings(source="recorded", spot=Path("no/s.csv"), perp=Path("no/p.csv"))
    try:
        feed = create_feed(settings, ExchangeSettings())
    except AlphaPulseError as error:
        assert "no/" in str(error)  # noqa: PT017 - reading the files may wait until the feed is opened
    else:
        assert type(feed).__name__ == "RecordedFeed"


def test_a_live_feed_runs_on_the_systems_clock():
    broker = create_broker(settings=Tree(mode="paper", feed=FeedSettings(source="ccxt")), environ={})
    assert isinstance(broker.clock, SystemClock)
