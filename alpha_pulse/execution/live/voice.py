"""What a pair has to tell a person: alerts, each once a day while it lasts, and the one word that ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.hedging.common.interfaces import Clock

_MOST: Final = 50  # alerts that wait for the bot
_DAY_S: Final = 86_400.0


class Voice:
    """Alerts of one pair, as events that the bot stores. ``nudge`` wakes the bot."""

    def __init__(self, symbol: str, clock: Clock, nudge: Callable[[], None]) -> None:
        self.halted = ""  # why nothing goes on until a person has looked; empty while it does
        self.nudge = nudge
        self._symbol = symbol
        self._clock = clock
        self._said: list[Event] = []
        self._told: dict[str, int] = {}  # until when what was said need not be said again [ms UTC]

    def drain(self) -> list[Event]:
        """What was said since the last call."""
        said, self._said = self._said, []
        return said

    def say(self, key: str, text: str, level: str = "warning", *, again_s: float = _DAY_S) -> None:
        """Raise an alert, once in ``again_s`` [s] until ``unsay``: weeks later the same words may tell of another event.

        ``level``: info, warning or critical; a critical one wakes people.
        """
        now = self._clock.now_ms()
        if now < self._told.get(key, 0):
            return
        self._told[key] = now + round(again_s * 1000)
        logger.bind(symbol=self._symbol).warning(text)
        self._said = [*self._said, Event(EventKind.ALERT, now, format(now, "x"), {"key": key, "text": text, "level": level})][-_MOST:]

    def unsay(self, key: str) -> None:
        """What was raised is over; it may be raised again."""
        self._told.pop(key, None)

    def halt(self, reason: str) -> None:
        """Nothing goes on for this pair until a person has looked."""
        if not self.halted:
            self.halted = f"{self._symbol}: {reason}"
            self.say("halted", self.halted, "critical")
            self.nudge()
