"""Fakes for the market layer's tests: a clock that tests set, and a feed that delivers what it is told."""

from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError

MINUTE = 60_000
START = 1_735_689_600_000
SYMBOL = "BTC/USDT:USDT"


class FakeClock:
    """A real-time clock as far as anyone can tell: it cannot be moved by data."""

    def __init__(self, now_ms=START):
        self.ms = now_ms

    def now_ms(self):
        return self.ms

    async def sleep(self, seconds):
        self.ms += round(seconds * 1000)


class MovableClock(FakeClock):
    def advance_to(self, ms):
        self.ms = max(self.ms, ms)


class ScriptedFeed:
    def __init__(self, updates, past=()):
        self.queue = list(updates)
        self.past = list(past)
        self.given = None

    async def open(self, pair, instrument, *, resume_after_ms=0):
        pass

    async def next(self, symbol):
        self._check(symbol)
        if not self.queue:
            return None
        self.given = self.queue.pop(0)
        return self.given

    def latest(self, symbol):
        return self.given

    def history(self, symbol):
        self._check(symbol)
        return iter(self.past)

    async def instrument(self, pair):
        return None

    def expected(self, symbol):
        return None

    async def close(self):
        pass

    def _check(self, symbol):
        if symbol != SYMBOL:
            raise ConfigError("not open", field="symbol", value=symbol)


def update(number=0, close=100.0, *, step=MINUTE, **changes):
    """A sound bar: number ``number`` of a market that opened at START."""
    bar = Bar(close, close + 1.0, close - 1.0, close, 2.0)
    open_ms = START + number * step
    made = MarketUpdate(
        open_ms, open_ms + step, bar, bar, bar, close, close - 0.5, close + 0.5, 1e-4, 8.0, START + 8 * 3_600_000, None, 0.0, 0.0
    )
    return made._replace(**changes)
