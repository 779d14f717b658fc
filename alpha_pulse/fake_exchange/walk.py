"""Lets the prices of a fake exchange move by the project's simulated market."""

from __future__ import annotations

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.fake_exchange.venue import Venue
from alpha_pulse.market.simulated import SimulatedFeed


async def walk(venue: Venue, *, every_s: float = 1.0) -> None:
    """Move every symbol by one bar (a minute of market) each ``every_s`` seconds, until cancelled. Same seed, same market."""
    feeds: dict[str, SimulatedFeed] = {}
    for name, market in venue.markets.items():
        pair = hedge_pair(name)
        feeds[name] = SimulatedFeed(venue.config.seed, start_price=float(market.last))
        await feeds[name].open(pair, market.listed)
    while True:
        for name, feed in feeds.items():
            update = await feed.next(hedge_pair(name).perpetual)
            if isinstance(update, MarketUpdate):
                venue.feed(name, update)
        await venue.clock.sleep(every_s)
