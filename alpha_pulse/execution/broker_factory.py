"""The one place where the trading mode is chosen. Nobody else asks which mode it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import ExchangeSettings, PaperSettings, TicketSettings
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.execution.journal import PaperJournal
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.hedging.common.interfaces import Broker, Clock, IdSource, MarketFeed
from alpha_pulse.market.config import FeedSettings
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.runtime.ids import SeededIds, SystemIds

if TYPE_CHECKING:
    from alpha_pulse.execution.live.account import LiveAccount

MODES: Final = ("paper", "recommendation", "real")
MODE_VARIABLE: Final = "TRADING_MODE"
WITH_PASSWORD: Final = frozenset({"okx", "kucoin", "kucoinfutures", "bitget", "blofin", "coinbaseinternational"})
"""Venues (ccxt ids) whose keys come with a passphrase."""


class BrokerSettings(Protocol):
    """What the factory reads of the settings tree, which lies above this layer. A ``tickets`` section is used where there is one."""

    @property
    def mode(self) -> str:
        """paper, recommendation or real."""
        ...

    @property
    def feed(self) -> FeedSettings:
        """Where prices come from."""
        ...

    @property
    def paper(self) -> PaperSettings:
        """The simulated venue."""
        ...

    @property
    def exchange(self) -> ExchangeSettings:
        """The live venue."""
        ...


@dataclass(frozen=True, slots=True)
class DefaultBrokerSettings:
    """What ``create_broker()`` runs on: paper, over the simulated market."""

    mode: str = "paper"
    feed: FeedSettings = field(default_factory=FeedSettings)
    paper: PaperSettings = field(default_factory=PaperSettings)
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)


def create_broker(
    trading_mode: str | None = None,
    settings: BrokerSettings | None = None,
    *,
    feed: MarketFeed | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    journal: PaperJournal | None = None,
    environ: Mapping[str, str] | None = None,
    live: LiveAccount | None = None,
) -> Broker:
    """A broker for a trading mode, case-insensitive: the argument, else TRADING_MODE, else the settings, else paper.

    Without a clock, made-up and recorded markets get a simulated one and live markets the system's; a feed handed in without a clock
    counts as made up. ``journal`` lets the venue, and in real mode the record of what was traded there, survive the process. ``live`` is
    the account that several pairs share in real mode.

    Raises:
        ConfigError: an unknown mode; real mode without keys, or on a market that is not live.
    """
    environ = os.environ if environ is None else environ
    settings = settings if settings is not None else DefaultBrokerSettings()
    mode = choose_mode(trading_mode, environ, settings.mode)
    if mode == "real":
        return _real(settings, environ, feed=feed, clock=clock, ids=ids, journal=journal, live=live)
    is_live = feed is None and settings.feed.source == "ccxt"
    if clock is None:
        clock = SystemClock() if is_live else SimulatedClock()
    if ids is None:
        ids = SystemIds() if is_live else SeededIds(settings.feed.seed)
    if feed is None:
        feed = create_feed(settings.feed, settings.exchange, clock)
    if mode == "recommendation":
        tickets = getattr(settings, "tickets", None)
        tickets = tickets if isinstance(tickets, TicketSettings) else None
        return RecommendationBroker(settings.paper, feed, clock, ids, tickets=tickets, journal=journal)
    return PaperBroker(settings.paper, feed, clock, ids, journal=journal)


def choose_mode(argument: str | None, environ: Mapping[str, str], configured: str = "paper") -> str:
    """The trading mode, lower case. Raises ``ConfigError`` naming the three there are and where the wrong one came from."""
    variable = environ.get(MODE_VARIABLE, "").strip()
    if argument is not None:
        source, text = "trading_mode", argument
    elif variable:
        source, text = MODE_VARIABLE, variable
    else:
        source, text = "mode", configured
    mode = text.strip().lower()
    if mode not in MODES:
        raise ConfigError("unknown trading mode", field=source, value=text, fix=f"use one of {', '.join(MODES)}")
    return mode


def live_account(
    exchange: ExchangeSettings, environ: Mapping[str, str] | None = None, *, guard: RequestGuard | None = None, pairs: int = 1
) -> LiveAccount:
    """The account that the settings name, not connected yet. ``pairs``: how many of one quote currency share its wallet.

    Raises:
        ConfigError: a key is missing; the message names every variable that is not set.
    """
    from alpha_pulse.execution.live.account import LiveAccount  # noqa: PLC0415 - real mode alone needs it
    from alpha_pulse.runtime.secrets import read_keys  # noqa: PLC0415 - as above

    keys = read_keys(
        exchange.api_key_env,
        exchange.api_secret_env,
        exchange.api_password_env,
        exchange.id in WITH_PASSWORD,
        os.environ if environ is None else environ,
    )
    return LiveAccount(exchange, keys, guard=guard, pairs=pairs)


def _real(
    settings: BrokerSettings,
    environ: Mapping[str, str],
    *,
    feed: MarketFeed | None,
    clock: Clock | None,
    ids: IdSource | None,
    journal: PaperJournal | None,
    live: LiveAccount | None,
) -> Broker:
    """Orders reach an exchange from here on."""
    from alpha_pulse.execution.ccxt_broker import CcxtBroker  # noqa: PLC0415 - real mode alone needs it

    live = live or live_account(settings.exchange, environ)
    if feed is None and settings.feed.source != "ccxt":
        raise ConfigError(
            "real orders on a market that is not real would be gambling.",
            field="feed.source",
            value=settings.feed.source,
            fix="set feed.source to ccxt, or mode to paper",
        )
    clock = clock or SystemClock()
    feed = feed or create_feed(settings.feed, settings.exchange, clock, live.guard)
    return CcxtBroker(live, feed, clock, ids or SystemIds(), journal=journal)
