"""Fakes that implement the ports: a feed of given updates, a clock that is told the time, ids that count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.testing.markets import START_MS


class FakeClock:
    """Stands still until it is told otherwise. Sleeping moves it, so that waiting code sees time pass."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time it was last told."""
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        """Move on by that much, at once."""
        self._now_ms += round(seconds * 1000)

    def advance_to(self, ms: int) -> None:
        """Move to ``ms``; never back."""
        self._now_ms = max(self._now_ms, ms)


class FakeIds:
    """run-1, run-2, ..."""

    def __init__(self) -> None:
        self._count = 0

    def new_run_id(self) -> str:
        """The next one."""
        self._count += 1
        return f"run-{self._count}"


class FakeFeed:
    """Delivers the given updates and problems to every pair that is opened, then ends.

    Resumes like a recorded feed: updates up to ``resume_after_ms`` become history. ``clock``, if given, follows the updates.
    """

    def __init__(
        self, updates: Iterable[MarketUpdate | FeedProblem], *, instrument: Instrument | None = None, clock: FakeClock | None = None
    ) -> None:
        self.updates: list[MarketUpdate | FeedProblem] = list(updates)
        self.opened: list[tuple[str, int]] = []  # (symbol, resume_after_ms) of every call of open
        self.closed = 0
        self._instrument = instrument
        self._clock = clock
        self._position: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._latest: dict[str, MarketUpdate] = {}

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Start at the first update after ``resume_after_ms``."""
        symbol = instrument.symbol
        if symbol != pair.perpetual:
            raise ConfigError("these trading rules are of another pair", field="instrument", value=symbol)
        self.opened.append((symbol, resume_after_ms))
        start = 0
        for index, item in enumerate(self.updates):
            if isinstance(item, MarketUpdate) and item.close_ms <= resume_after_ms:
                start = index + 1
        self._position[symbol] = self._first[symbol] = start

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next of the given ones."""
        index = self._position[symbol]
        if index >= len(self.updates):
            return None
        self._position[symbol] = index + 1
        item = self.updates[index]
        if isinstance(item, MarketUpdate):
            self._latest[symbol] = item
            if self._clock is not None:
                self._clock.advance_to(item.close_ms)
        return item

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last good one delivered."""
        return self._latest.get(symbol)

    def history(self, symbol: str) -> Sequence[MarketUpdate]:
        """The good ones before the first that is delivered."""
        return [item for item in self.updates[: self._first.get(symbol, 0)] if isinstance(item, MarketUpdate)]

    async def instrument(self, pair: HedgePair) -> Instrument | None:
        """The one given for this pair, if any."""
        known = self._instrument
        return known if known is not None and known.symbol == pair.perpetual else None

    def expected(self, symbol: str) -> int | None:
        """All of the given ones from the first on."""
        return len(self.updates) - self._first.get(symbol, 0)

    async def close(self) -> None:
        """Count it."""
        self.closed += 1
