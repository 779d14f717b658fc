"""Chooses the market feed. Heavy imports wait until their feed is asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.hedging.common.interfaces import Clock, MarketFeed
from alpha_pulse.market.config import FeedSettings
from alpha_pulse.market.guard import RequestGuard

if TYPE_CHECKING:
    from alpha_pulse.market.ccxt_feed import CcxtFeed


_DEPTH_EVERY_S: Final = 30.0
_FEW_PAIRS: Final = 5  # whose books the request budget carries at that pace


def create_feed(
    settings: FeedSettings, exchange: ExchangeSettings, clock: Clock | None = None, guard: RequestGuard | None = None
) -> MarketFeed:
    """The feed that the settings name. Only the live one (ccxt) needs a ``clock``, and the ``guard`` of the account it shares.

    Raises:
        ConfigError: a recorded feed without files, or what the feed itself refuses.
    """
    if settings.source == "simulated":
        from alpha_pulse.market.simulated import SimulatedFeed  # noqa: PLC0415 - pulls in numpy

        return SimulatedFeed(seed=settings.seed, days=settings.days, start_price=settings.start_price)
    if settings.source == "recorded":
        from alpha_pulse.market.recorded import RecordedFeed  # noqa: PLC0415 - pulls in numpy

        spot, perp = _required("feed.spot", settings.spot), _required("feed.perp", settings.perp)
        return RecordedFeed(spot, perp, funding=settings.funding, mark=settings.mark, days=settings.days)
    if settings.source == "stored":
        from alpha_pulse.market.store.feed import StoredFeed  # noqa: PLC0415 - pulls in numpy

        start, end = (None if day is None else _midnight_ms(day) for day in (settings.since, settings.until))
        return StoredFeed(settings.store, settings.timeframe, start_ms=start, end_ms=end, days=settings.days)
    return live_feed(settings, exchange, clock, guard)


def _midnight_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)


def live_feed(
    settings: FeedSettings, exchange: ExchangeSettings, clock: Clock | None = None, guard: RequestGuard | None = None, *, pairs: int = 1
) -> CcxtFeed:
    """The exchange's own market; it can serve several ``pairs``, and of many it reads the dear depth less often.

    Raises:
        ConfigError: ccxt does not know the exchange.
    """
    from alpha_pulse.market.ccxt_feed import CcxtFeed, Pace  # noqa: PLC0415 - live markets alone need it
    from alpha_pulse.runtime.clock import SystemClock  # noqa: PLC0415 - as above

    return CcxtFeed(
        exchange.id,
        spot_id=exchange.spot_id,
        rest_url=exchange.rest_url,
        ws_url=exchange.ws_url,
        clock=clock or SystemClock(),
        pace=Pace(update=settings.update_interval_s, depth=_DEPTH_EVERY_S * max(1.0, pairs / _FEW_PAIRS)),
        guard=guard or RequestGuard(weight_per_minute=exchange.budget()),
    )


def _required(name: str, path: Path | None) -> Path:
    if path is None:
        raise ConfigError("a recorded feed needs this file", field=name, fix=f"give {name}, a CSV or Parquet file of candles")
    return path
