"""What a run's market was, in words: its name for headlines and comparisons, and what its recordings lack."""

from __future__ import annotations

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.hedging.common.interfaces import MarketFeed
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.settings import Settings


def source_of(settings: Settings) -> str:
    """The market's name: a seed, a file, or a range of the store. Different ranges have different names."""
    feed = settings.feed
    if feed.source == "simulated":
        return f"simulated market, seed {feed.seed}"
    if feed.source == "stored":
        since = "" if feed.since is None else f" from {feed.since}"
        until = "" if feed.until is None else f" until {feed.until}"
        return f"recorded: {hedge_pair(settings.symbol).name} {feed.timeframe} of {feed.store}{since}{until}"
    return f"recorded: {feed.perp.name if feed.perp else ''}"


def remarks_of(feed: MarketFeed) -> tuple[str, ...]:
    """What a reader of the result must know of a feed that was opened: gaps, and what stands in for what was not given."""
    return feed.remarks if isinstance(feed, RecordedFeed) else ()
