"""The last two weeks of hourly candles and what is read from them, brought up to date once an hour."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

import numpy as np

from alpha_pulse.market.indicators import HOURS_PER_DAY, ema, trend_strength, true_range, volume_ratio, wilder, yang_zhang
from alpha_pulse.market.levels import bin_price, cluster, is_swing_high, is_swing_low, price_bin, volume_peaks

HOUR_MS: Final = 3_600_000
WINDOW_HOURS: Final = 14 * 24
_ENOUGH_HOURS: Final = 24  # fewer candles say too little about a day's volatility
_ATR_PERIOD: Final = 14  # Wilder's own choice
_RECENT_HOURS: Final = 6  # "last hours" of the volume ratio
_FAST_SPAN: Final = 12  # of the trend's averages, hours
_SLOW_SPAN: Final = 48
_TREND_LAG_DAYS: Final = (_SLOW_SPAN - _FAST_SPAN) / 2.0 / HOURS_PER_DAY  # the mean age of an EMA of span N is (N − 1)/2 bars
_WING: Final = 3  # candles on each side of a swing
_TOLERANCE: Final = 0.003  # prices this close are one level
_REACH: Final = 0.1  # levels farther away than this share of price are of no use to a grid
_PEAK: Final = 1.5  # a volume peak stands out by this much over the mean bin
_NEAREST: Final = 6  # levels kept on each side


class HourlyReading(NamedTuple):
    """What the hourly candles say. Units as in ``Indicators``."""

    volatility_day_range: float = 0.0
    atr: float = 0.0
    volume_ratio: float = 1.0
    trend: float = 0.0
    supports: tuple[float, ...] = ()
    resistances: tuple[float, ...] = ()
    volume_day: float = 0.0


class HourlyCandles:
    """A sliding window of closed hourly candles. ``add`` costs some 100 µs, once an hour; what can be carried forward is.

    Hours in which nothing was delivered have no candle: the window is the last ``WINDOW_HOURS`` candles seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._capacity = WINDOW_HOURS + 1  # Yang-Zhang needs one close before the window
        self._rows = np.empty((5, 4 * self._capacity))  # slides: moved back to the front when its end is reached
        self._end = 0
        self._highs: deque[float] = deque(maxlen=2 * _WING + 1)
        self._lows: deque[float] = deque(maxlen=2 * _WING + 1)
        self._swings: deque[tuple[int, float]] = deque()  # (candle number, price)
        self._profile: dict[int, float] = {}  # volume at price, by logarithmic bin
        self._traded: deque[tuple[int, float]] = deque()  # (bin, volume) of each candle in the window
        self._recent: deque[float] = deque(maxlen=_RECENT_HOURS)
        self._atr = 0.0
        self._fast = 0.0
        self._slow = 0.0
        self._close = 0.0

    def add(self, opened: float, high: float, low: float, close: float, volume: float, volatility_day: float) -> HourlyReading:
        """Take a closed candle (quote units; volume in base units) and read the window. ``volatility_day`` scales the trend."""
        self._average(high, low, close)
        self._store(opened, high, low, close, volume)
        self._count_volume((high + low + close) / 3.0, volume)
        self._find_swings(high, low)
        supports, resistances = self._levels(close)
        window = self._rows[:, max(0, self._end - self._capacity) : self._end]
        enough = self.count > _ENOUGH_HOURS
        variance = yang_zhang(window[0], window[1], window[2], window[3]) if enough else 0.0
        return HourlyReading(
            volatility_day_range=math.sqrt(max(0.0, variance) * HOURS_PER_DAY),
            atr=self._atr if self.count > _ATR_PERIOD else 0.0,
            volume_ratio=volume_ratio(math.fsum(self._recent), len(self._recent), float(window[4].sum()), window.shape[1])
            if enough
            else 1.0,
            trend=trend_strength(self._fast, self._slow, volatility_day, _TREND_LAG_DAYS),
            supports=supports,
            resistances=resistances,
            volume_day=float(window[4].sum()) / window.shape[1] * HOURS_PER_DAY if enough else 0.0,
        )

    def _average(self, high: float, low: float, close: float) -> None:
        """Carry the ATR and the trend's averages forward by one candle."""
        if self.count == 0:
            self._fast = self._slow = close
        else:
            span = true_range(high, low, self._close)
            # The first value of Wilder's smoothing is the plain mean of the first period.
            self._atr = self._atr + span / _ATR_PERIOD if self.count <= _ATR_PERIOD else wilder(self._atr, span, _ATR_PERIOD)
            self._fast = ema(self._fast, close, 1.0 - 2.0 / (_FAST_SPAN + 1.0))
            self._slow = ema(self._slow, close, 1.0 - 2.0 / (_SLOW_SPAN + 1.0))
        self._close = close

    def _store(self, opened: float, high: float, low: float, close: float, volume: float) -> None:
        if self._end == self._rows.shape[1]:
            self._rows[:, : self._capacity] = self._rows[:, -self._capacity :]
            self._end = self._capacity
        self._rows[:, self._end] = (opened, high, low, close, volume)
        self._end += 1
        self.count += 1
        self._recent.append(volume)

    def _count_volume(self, typical: float, volume: float) -> None:
        """Book the candle's volume at its typical price, and take the oldest candle's back."""
        place = price_bin(typical, _TOLERANCE)
        self._profile[place] = self._profile.get(place, 0.0) + volume
        self._traded.append((place, volume))
        if len(self._traded) > WINDOW_HOURS:
            place, volume = self._traded.popleft()
            left = self._profile[place] - volume
            if left > 0.0:
                self._profile[place] = left
            else:
                del self._profile[place]

    def _find_swings(self, high: float, low: float) -> None:
        """A swing is known once ``_WING`` candles have followed it."""
        self._highs.append(high)
        self._lows.append(low)
        if len(self._highs) > 2 * _WING:
            if is_swing_high(self._highs, _WING, _WING):
                self._swings.append((self.count, self._highs[_WING]))
            if is_swing_low(self._lows, _WING, _WING):
                self._swings.append((self.count, self._lows[_WING]))
        while self._swings and self._swings[0][0] <= self.count - WINDOW_HOURS:
            self._swings.popleft()

    def _levels(self, price: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Supports below and resistances above ``price``, nearest first: at least two swings or peaks within the tolerance."""
        nearest, farthest = price * (1.0 - _REACH), price * (1.0 + _REACH)
        first = price_bin(nearest, _TOLERANCE)
        profile = [self._profile.get(place, 0.0) for place in range(first, price_bin(farthest, _TOLERANCE) + 1)]
        touched = [bin_price(first + i, _TOLERANCE) for i in volume_peaks(profile, _PEAK)]
        touched += [swing for _, swing in self._swings if nearest < swing < farthest]
        touched.sort()
        levels = cluster(touched, _TOLERANCE, 2)
        supports = [level for level in levels if level < price]
        resistances = [level for level in levels if level > price]
        return tuple(supports[: -_NEAREST - 1 : -1]), tuple(resistances[:_NEAREST])
