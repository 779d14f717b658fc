"""The one place where the trading mode is chosen. Nobody else asks which mode it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import ExchangeSettings, PaperSettings, TicketSettings
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.execution.journal import PaperJournal
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.hedging.common.interfaces import Broker, Clock, IdSource, MarketFeed
from alpha_pulse.market.config import FeedSettings
from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.runtime.ids import SeededIds, SystemIds

MODES: Final = ("paper", "recommendation", "real")
MODE_VARIABLE: Final = "TRADING_MODE"
KEY_VARIABLES: Final = ("ALPHA_PULSE_API_KEY", "ALPHA_PULSE_API_SECRET")
PASSWORD_VARIABLE: Final = "ALPHA_PULSE_API_PASSWORD"  # noqa: S105 - the name of a variable, not what is in it
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
) -> Broker:
    """A broker for a trading mode, case-insensitive: the argument, else TRADING_MODE, else the settings, else paper.

    Without a clock, made-up and recorded markets get a simulated one and live markets the system's; a feed handed in without a clock
    counts as made up. ``journal`` lets the venue survive its process.

    Raises:
        ConfigError: an unknown mode; real mode without keys; real mode at all, which this version does not have.
    """
    environ = os.environ if environ is None else environ
    settings = settings if settings is not None else DefaultBrokerSettings()
    mode = choose_mode(trading_mode, environ, settings.mode)
    if mode == "real":
        raise _no_real_mode(settings.exchange, environ)
    live = feed is None and settings.feed.source == "ccxt"
    if clock is None:
        clock = SystemClock() if live else SimulatedClock()
    if ids is None:
        ids = SystemIds() if live else SeededIds(settings.feed.seed)
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


def _no_real_mode(exchange: ExchangeSettings, environ: Mapping[str, str]) -> ConfigError:
    wanted = (*KEY_VARIABLES, PASSWORD_VARIABLE) if exchange.id in WITH_PASSWORD else KEY_VARIABLES
    missing = [name for name in wanted if not environ.get(name)]
    if missing:
        return ConfigError(
            f"real mode needs the keys of {exchange.id}, and these environment variables are not set: {', '.join(missing)}",
            field="mode",
            value="real",
            fix=f"set {', '.join(missing)}; or use paper or recommendation",
        )
    return ConfigError(
        "real mode is not built in this version: no order can reach an exchange",
        field="mode",
        value="real",
        fix="use paper (simulated fills) or recommendation (you place the orders)",
    )
