"""The last two weeks of hourly candles and what is read from them, brought up to date once an hour."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.market.indicators import HOURS_PER_DAY, ema, trend_strength, true_range, volume_ratio, wilder, yang_zhang
from alpha_pulse.market.levels import bin_price, cluster, is_swing_high, is_swing_low, price_bin, volume_peaks

HOUR_MS: Final = 3_600_000
WINDOW_HOURS: Final = 14 * 24
_CAPACITY: Final = WINDOW_HOURS + 1  # Yang-Zhang needs one close before the window
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


class Window:
    """The last ``capacity`` entries of some rows of numbers, as one array that slides: moved back to the front when its end is reached."""

    def __init__(self, rows: int, capacity: int) -> None:
        self._capacity = capacity
        self._kept: NDArray[np.float64] = np.empty((rows, 4 * capacity))
        self._end = 0

    def add(self, *values: float) -> NDArray[np.float64]:
        """Take one more entry, a value for each row; what is kept after it, shape (rows, n)."""
        if self._end == self._kept.shape[1]:
            self._kept[:, : self._capacity] = self._kept[:, -self._capacity :]
            self._end = self._capacity
        self._kept[:, self._end] = values
        self._end += 1
        return self._kept[:, max(0, self._end - self._capacity) : self._end]


class HourlyVolumes:
    """The volumes of the window's candles."""

    def __init__(self) -> None:
        self._window = Window(1, _CAPACITY)
        self._recent: deque[float] = deque(maxlen=_RECENT_HOURS)

    def add(self, volume: float) -> tuple[float, float]:
        """Take a closed candle's volume [base units]. (``volume_ratio``, ``volume_day``), 1 and 0 until there is enough."""
        volumes = self._window.add(volume)[0]
        self._recent.append(volume)
        count = len(volumes)
        if count <= _ENOUGH_HOURS:
            return 1.0, 0.0
        total = float(volumes.sum())
        return volume_ratio(math.fsum(self._recent), len(self._recent), total, count), total / count * HOURS_PER_DAY


class HourlyLevels:
    """Supports and resistances from the swings of the window's candles and from the volume that each price saw."""

    def __init__(self) -> None:
        self._count = 0
        self._highs: deque[float] = deque(maxlen=2 * _WING + 1)
        self._lows: deque[float] = deque(maxlen=2 * _WING + 1)
        self._swings: deque[tuple[int, float]] = deque()  # (candle number, price)
        self._profile: dict[int, float] = {}  # volume at price, by logarithmic bin
        self._traded: deque[tuple[int, float]] = deque()  # (bin, volume) of each candle in the window

    def add(self, high: float, low: float, close: float, volume: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Take a closed candle. Supports below and resistances above its close, nearest first."""
        self._count += 1
        self._count_volume((high + low + close) / 3.0, volume)
        self._find_swings(high, low)
        return self._levels(close)

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
                self._swings.append((self._count, self._highs[_WING]))
            if is_swing_low(self._lows, _WING, _WING):
                self._swings.append((self._count, self._lows[_WING]))
        while self._swings and self._swings[0][0] <= self._count - WINDOW_HOURS:
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


class HourlyCandles:
    """A sliding window of closed hourly candles. ``add`` costs some 100 µs, once an hour; what can be carried forward is.

    Hours in which nothing was delivered have no candle: the window is the last ``WINDOW_HOURS`` candles seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._window = Window(4, _CAPACITY)
        self._volumes = HourlyVolumes()
        self._levels = HourlyLevels()
        self._atr = 0.0
        self._fast = 0.0
        self._slow = 0.0
        self._close = 0.0

    def add(self, opened: float, high: float, low: float, close: float, volume: float, volatility_day: float) -> HourlyReading:
        """Take a closed candle (quote units; volume in base units) and read the window. ``volatility_day`` scales the trend."""
        self._average(high, low, close)
        window = self._window.add(opened, high, low, close)
        self.count += 1
        ratio, volume_day = self._volumes.add(volume)
        supports, resistances = self._levels.add(high, low, close, volume)
        variance = yang_zhang(window[0], window[1], window[2], window[3]) if self.count > _ENOUGH_HOURS else 0.0
        return HourlyReading(
            volatility_day_range=math.sqrt(max(0.0, variance) * HOURS_PER_DAY),
            atr=self._atr if self.count > _ATR_PERIOD else 0.0,
            volume_ratio=ratio,
            trend=trend_strength(self._fast, self._slow, volatility_day, _TREND_LAG_DAYS),
            supports=supports,
            resistances=resistances,
            volume_day=volume_day,
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
