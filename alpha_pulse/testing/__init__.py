"""Public fakes, builders and the broker contract suite. Only tests import it."""

from alpha_pulse.testing.fakes import FakeClock, FakeFeed, FakeIds
from alpha_pulse.testing.markets import (
    MINUTE_MS,
    PAIR,
    START_MS,
    SYMBOL,
    approved,
    bar,
    instrument,
    limit,
    market,
    stop,
    update,
    updates_from_prices,
)

__all__ = [
    "MINUTE_MS",
    "PAIR",
    "START_MS",
    "SYMBOL",
    "FakeClock",
    "FakeFeed",
    "FakeIds",
    "approved",
    "bar",
    "instrument",
    "limit",
    "market",
    "stop",
    "update",
    "updates_from_prices",
]
