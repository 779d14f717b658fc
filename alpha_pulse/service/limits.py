"""How often who may ask: token buckets, and a short memory of refused log-ins. Pure: the caller says what time it is."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST_ADDRESSES: Final = 4096  # remembered; the oldest are forgotten first, so that nobody can fill the memory
_MINUTE_S: Final = 60.0


class Bucket:
    """Lets ``rate`` events a second through, in bursts of up to ``burst``.

    Args:
        rate: events a second; 0 lets everything through.
        burst: events at once.
    """

    __slots__ = ("_burst", "_last_s", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._level = self._burst
        self._last_s = 0.0

    def take(self, now_s: float) -> float:
        """0.0 if one may pass now, else after how many seconds. ``now_s`` is monotonic."""
        if not self._rate:
            return 0.0
        level = min(self._burst, self._level + (now_s - self._last_s) * self._rate)
        self._last_s = now_s
        if level < 1.0:
            self._level = level
            return (1.0 - level) / self._rate
        self._level = level - 1.0
        return 0.0


class Limits:
    """One bucket for each token, and one for the refused log-ins of each address.

    Args:
        rate_per_s: requests a second of one token; 0 = no limit.
        refused_per_min: refused log-ins a minute of one address.
    """

    def __init__(self, rate_per_s: float, refused_per_min: int) -> None:
        self._rate_per_s = rate_per_s
        self._refused_per_min = refused_per_min
        self._clients: dict[str, Bucket] = {}
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()

    def ask(self, client: str, now_s: float) -> float:
        """0.0 if a known client may ask now, else after how many seconds."""
        bucket = self._clients.get(client)
        if bucket is None:
            bucket = self._clients[client] = Bucket(self._rate_per_s, self._rate_per_s)
        return bucket.take(now_s)

    def refuse(self, address: str, now_s: float) -> float:
        """Count a refused log-in: 0.0 if it may be answered, else after how many seconds the next one will be."""
        bucket = self._addresses.pop(address, None) or Bucket(self._refused_per_min / _MINUTE_S, self._refused_per_min)
        self._addresses[address] = bucket
        if len(self._addresses) > _MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        return bucket.take(now_s)
