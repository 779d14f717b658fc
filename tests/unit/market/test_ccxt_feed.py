"""How long a source of the live feed is tried, without an exchange."""

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.market.ccxt_feed import CcxtFeed
from alpha_pulse.market.live import LivePair
from alpha_pulse.testing import FakeClock

BTC = hedge_pair("BTCUSDT")
PAUSES = 1100  # five hours of them


class EnoughError(Exception):
    """The test has seen what it wanted to see."""


class CountingClock(FakeClock):
    def __init__(self):
        super().__init__()
        self.pauses = []

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        if len(self.pauses) == PAUSES:
            raise EnoughError


async def _read_spot(live):
    raise OSError(f"the spot market of {live.pair.name} is down")


async def test_a_source_that_is_away_for_hours_is_asked_again_and_again():
    clock = CountingClock()
    feed = CcxtFeed("binanceusdm", clock=clock)
    with pytest.raises(EnoughError):
        await feed._keep_reading(LivePair(BTC, builtin_instrument(BTC)), _read_spot, 3.0)
    assert clock.pauses[:4] == [6.0, 12.0, 16.0, 16.0]
    assert clock.pauses[-1] == 16.0
