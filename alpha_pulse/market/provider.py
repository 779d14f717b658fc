"""Turns a feed into market states: remembers indicators, refuses broken updates, judges staleness.

``advance`` runs for every bar of a replay, so a bar costs only what changes with every bar: a sanity check, the EWMA of
variance, the anchor's average and the running hourly candle. All else is read once an hour (``candles``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.hedging.common.interfaces import Clock, FeedProblem, MarketFeed
from alpha_pulse.hedging.common.types import Indicators, MarketState
from alpha_pulse.market.candles import HOUR_MS, HourlyCandles, HourlyReading
from alpha_pulse.market.indicators import decay, ema, ewma_variance
from alpha_pulse.market.longterm import LongReading, LongTerm
from alpha_pulse.market.sanity import Prices, is_sound, late, problem_with

DAY_MS: Final = 86_400_000
PRIOR_VOLATILITY_DAY: Final = 0.03  # a usual day of BTC; half forgotten after VOLATILITY_HALF_LIFE_MS
VOLATILITY_HALF_LIFE_MS: Final = DAY_MS
READY_AFTER_MS: Final = DAY_MS
_SAMPLE_MS: Final = 60_000  # quotes that come faster are not sampled: bid-ask bounce is no volatility


@dataclass(slots=True)
class Running:
    """What is carried from bar to bar: the averages and the hourly candle that runs. Prices in quote units, volume in base units."""

    ema_ms: float  # time constant of ``ema``
    variance: float = PRIOR_VOLATILITY_DAY**2  # of log returns, per day
    ema: float = 0.0
    sampled: float = 0.0  # the last close that was sampled
    sampled_ms: int = 0
    since_ms: int = 0  # when the first sampled bar opened
    close_ms: int = 0  # of the last bar
    step_ms: int = 0  # the elapsed time that the three weights below belong to
    step_days: float = 0.0
    kept: float = 0.0
    anchor_kept: float = 0.0
    hour_end: int = 0  # 0: no hourly candle is running
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0


def take_bar(running: Running, open_ms: int, close_ms: int, bar: Prices) -> bool:
    """Take a bar into the averages and into the candle of its hour; False where it is too soon after the last one for the averages.

    The caller has taken the candle of an earlier hour away, which ``hour_end`` = 0 says.
    """
    opened, high, low, close, volume = bar
    running.close_ms = close_ms
    if running.hour_end == 0:
        running.hour_end = open_ms - open_ms % HOUR_MS + HOUR_MS
        running.open = opened
        running.high = high
        running.low = low
        running.volume = volume
    else:
        if high > running.high:  # noqa: PLR1730 - max() would be a call more for every bar
            running.high = high
        if low < running.low:  # noqa: PLR1730 - as above
            running.low = low
        running.volume += volume
    running.close = close
    elapsed = close_ms - running.sampled_ms
    if elapsed < _SAMPLE_MS:
        return False
    if running.sampled_ms == 0:
        running.since_ms = open_ms
        running.ema = close
    else:
        if elapsed != running.step_ms:
            running.step_ms = elapsed
            running.step_days = elapsed / DAY_MS
            running.kept = decay(elapsed, VOLATILITY_HALF_LIFE_MS)
            running.anchor_kept = math.exp(-elapsed / running.ema_ms)
        running.variance = ewma_variance(running.variance, math.log(close / running.sampled), running.step_days, running.kept)
        running.ema = ema(running.ema, close, running.anchor_kept)
    running.sampled = close
    running.sampled_ms = close_ms
    return True


_indicators: Callable[..., Indicators] = partial(tuple.__new__, Indicators)  # a third of the cost of calling the class


class _Track:
    """What is remembered of one pair."""

    __slots__ = ("_candles", "_changed", "_funding", "_indicators", "_long", "_long_reading", "_reading", "_running", "state", "symbol")

    def __init__(self, symbol: str, anchor_ema_hours: float) -> None:
        self.symbol = symbol
        self.state: MarketState | None = None
        self._running = Running(anchor_ema_hours * HOUR_MS)
        self._candles = HourlyCandles()
        self._reading = HourlyReading()
        self._long = LongTerm()
        self._long_reading = LongReading()
        self._funding = (0.0, 8.0)  # expected rate and interval of the last update
        self._indicators: Indicators | None = None
        self._changed = True

    def absorb(self, update: MarketUpdate) -> str:
        """Take the update into the indicators. Returns why it cannot be used, or an empty string."""
        open_ms, close_ms, perp, mark, spot, index, bid, ask, rate, interval_h, _, settled, _, _ = update
        if not is_sound(perp, mark, spot or perp, index, bid, ask, rate, 0.0 if settled is None else settled):
            return problem_with(update)
        running = self._running
        if close_ms <= running.close_ms:
            return late(close_ms, running.close_ms)
        if 0 < running.hour_end <= open_ms:  # the hour's last bars are missing
            closed = replace(running)
            running.hour_end = 0
            self._changed = take_bar(running, open_ms, close_ms, perp) or self._changed
            self._read_hour(closed)
        elif take_bar(running, open_ms, close_ms, perp):
            self._changed = True
        self._funding = rate, interval_h
        if close_ms >= running.hour_end:
            self._read_hour(running)
            running.hour_end = 0
        return ""

    def view(self, update: MarketUpdate, stale_reason: str = "") -> MarketState:
        """The state after ``update``, which was absorbed. The indicators are the same object until one of them changed."""
        if self._changed or self._indicators is None:
            self._changed = False
            reading, running = self._reading, self._running
            self._indicators = _indicators((
                math.sqrt(running.variance), reading[0], reading[1], reading[2], reading[3], running.ema, reading[4], reading[5],
                running.close_ms - running.since_ms >= READY_AFTER_MS, *self._long_reading, reading[6],
            ))  # fmt: skip
        state = self.state = MarketState(self.symbol, update, self._indicators, stale_reason)
        return state

    def _read_hour(self, hour: Running) -> None:
        """Read what an hour that is over says, whose candle ``hour`` holds, with the variance as it is now."""
        volatility = math.sqrt(self._running.variance)
        self._reading = self._candles.add(hour.open, hour.high, hour.low, hour.close, hour.volume, volatility)
        self._long_reading = self._long.add(hour.hour_end // HOUR_MS, hour.close, volatility, *self._funding)
        self._changed = True


class FeedDataProvider:
    """Market states from any feed. Symbols may be given in every spelling of the pair.

    The first use of a symbol runs the feed's history through the same code as live updates, so that a resumed run has the
    indicators of an uninterrupted one, bit for bit. A clock that can be moved (``advance_to(ms)``, a simulated one) is moved to
    every update's ``close_ms``.

    Args:
        feed: where updates come from; it must have been opened for the pair.
        clock: judges staleness.
        stale_after_s: updates older than this are stale [s].
        anchor_ema_hours: time constant of ``Indicators.anchor_ema`` [h].
    """

    def __init__(self, feed: MarketFeed, clock: Clock, *, stale_after_s: float = 180.0, anchor_ema_hours: float = 24.0) -> None:
        self._feed = feed
        self._clock = clock
        self._stale_after_ms = stale_after_s * 1000.0
        self._anchor_ema_hours = anchor_ema_hours
        self._advance_to: Callable[[int], object] | None = getattr(clock, "advance_to", None)
        self._tracks: dict[str, _Track] = {}  # by every spelling that was used

    async def get_current_price(self, symbol: str) -> Decimal:
        """Last price of the perpetual, quote units, after moving to the newest update.

        Raises:
            ConfigError: the symbol names no open pair, or the feed has ended.
            Transient: this update cannot be used; the next may.
        """
        state = await self.advance(symbol)
        if state is None:
            raise ConfigError("the market data has ended.", field="symbol", value=symbol, fix="give more data, or a longer feed.days")
        if isinstance(state, FeedProblem):
            raise Transient(f"no price of {symbol}: {state.reason}")
        return state.last

    async def advance(self, symbol: str) -> MarketState | FeedProblem | None:
        """Wait for the next update and return the state after it; None when the feed has ended.

        Raises:
            ConfigError: the symbol names no open pair.
        """
        track = self._tracks.get(symbol) or self._open(symbol)
        update = await self._feed.next(track.symbol)
        if update is None:
            return None
        if isinstance(update, FeedProblem):
            if self._advance_to is not None:
                self._advance_to(update.ts_ms)
            return update
        if self._advance_to is not None:
            self._advance_to(update[1])
            stale = ""  # time is where the data is
        else:
            stale = self._staleness(update)
        reason = track.absorb(update)
        if reason:
            return FeedProblem(update[1], reason)
        return track.view(update, stale)

    def current(self, symbol: str) -> MarketState | None:
        """The state after the last good update, judged for staleness now; None before the first.

        Raises:
            ConfigError: the symbol names no open pair.
        """
        track = self._tracks.get(symbol) or self._open(symbol)
        state = track.state
        if state is None:
            return None
        stale = self._staleness(state.raw)
        return state if stale == state.stale_reason else track.view(state.raw, stale)

    def _staleness(self, update: MarketUpdate) -> str:
        age = self._clock.now_ms() - update[1]
        return f"the market data is more than {self._stale_after_ms / 1000.0:g} s old" if age > self._stale_after_ms else ""

    def _open(self, symbol: str) -> _Track:
        perpetual = hedge_pair(symbol).perpetual
        track = self._tracks.get(perpetual)
        if track is None:
            track = _Track(perpetual, self._anchor_ema_hours)
            last: MarketUpdate | None = None
            for update in self._feed.history(perpetual):
                if not track.absorb(update):
                    last = update
            if last is not None:
                if self._advance_to is not None:
                    self._advance_to(last[1])
                track.view(last)  # the update that came last before a restart may not have been acted upon
        self._tracks[symbol] = self._tracks[perpetual] = track
        return track
