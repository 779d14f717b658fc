"""Which notices are told now: by topic, severity, quiet hours, repetition and rate."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.notify.config import NotifySettings, Severity
from alpha_pulse.runtime.notify.texts import Notice

_HOUR_MS: Final = 3_600_000
_MINUTES: Final = 60
_REMEMBERED: Final = 1000  # groups; there are a few per pair


class Policy:
    """Judges notices one by one, and counts what it held back because of the hour or the rate."""

    def __init__(self, settings: NotifySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._zone = ZoneInfo(settings.timezone)
        self._last: OrderedDict[str, tuple[str, int]] = OrderedDict()  # by group: identity and time of the last notice told
        self._told: deque[int] = deque()  # times of the last hour's messages
        self._held: Counter[str] = Counter()

    def admits(self, notice: Notice) -> bool:
        """Whether it is told now. One that is counts as told."""
        now = self._clock.now_ms()
        settings = self._settings
        critical = notice.severity is Severity.CRITICAL
        if notice.topic not in settings.levels or notice.severity.rank < settings.min_level.rank or self._repeats(notice, now):
            return False
        while self._told and self._told[0] <= now - _HOUR_MS:
            self._told.popleft()
        if not critical and self._quiet(now):
            self._held["in the quiet hours"] += 1
            return False
        if not critical and len(self._told) >= settings.rate_per_hour:
            self._held[f"over {settings.rate_per_hour} an hour"] += 1
            return False
        self._last[notice.group] = (notice.identity, now)
        self._last.move_to_end(notice.group)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        if not critical:
            self._told.append(now)
        return True

    def held_back(self) -> str:
        """What was held back since the last call, for the next message; empty if nothing was."""
        text = ", ".join(f"{count} {why}" for why, count in self._held.items())
        self._held.clear()
        return f"Not told before: {text}; see alpha-pulse status and the log." if text else ""

    def _repeats(self, notice: Notice, now: int) -> bool:
        identity, told = self._last.get(notice.group, ("", 0))
        return identity == notice.identity and now - told < self._settings.dedup_s * 1000

    def _quiet(self, now: int) -> bool:
        hours = self._settings.quiet_minutes
        if hours is None:
            return False
        local = datetime.fromtimestamp(now / 1000.0, UTC).astimezone(self._zone)
        minute, (start, end) = local.hour * _MINUTES + local.minute, hours
        return start <= minute < end if start < end else minute >= start or minute < end
