"""One target's queue and the thread that empties it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from loguru import logger

from alpha_pulse.runtime.notify.config import Severity
from alpha_pulse.runtime.notify.targets import SendFailed


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    title: str
    body: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts, seconds: they double from ``initial_s`` to ``longest_s``, plus a random part of up to ``jitter_s``."""

    initial_s: float = 2.0
    longest_s: float = 60.0
    jitter_s: float = 2.0


class Sender(Protocol):
    """Something that sends one message and raises ``SendFailed``."""

    @property
    def label(self) -> str:
        """What it is called in the log."""
        ...

    def send(self, title: str, body: str, severity: Severity) -> None:
        """Send and wait."""
        ...


_NAME: Final = "alpha-pulse-notify"


class Channel:
    """Sends messages one after another, in order, in a thread of its own, so that a slow target holds up neither the bot nor another.

    ``dropped`` counts messages that found no room, ``lost`` those that no attempt got through.
    """

    def __init__(self, sender: Sender, *, size: int, attempts: int, backoff: Backoff) -> None:
        self.sender = sender
        self.dropped = 0
        self.lost = 0
        self._size = size
        self._attempts = attempts
        self._backoff = backoff
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._deadline = math.inf  # monotonic seconds; finite once closing
        self._sending = False
        self._failing = False
        # A daemon: the end of the process does not wait for a mail server.
        self._thread = threading.Thread(target=self._work, name=_NAME, daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Queue a message. Never waits: where there is no room the oldest one that is not critical goes."""
        with self._changed:
            if self._deadline < math.inf:
                self.dropped += 1
                return
            self._waiting.append(message)
            if len(self._waiting) > self._size:
                oldest = next((one for one in self._waiting if one.severity is not Severity.CRITICAL), self._waiting[0])
                self._waiting.remove(oldest)
                self.dropped += 1
            self._changed.notify_all()

    def close(self, deadline: float) -> int:
        """Send what waits, until ``deadline`` (monotonic seconds) at the latest. Returns how many messages were left unsent."""
        with self._changed:
            self._deadline = deadline
            self._changed.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            left = len(self._waiting) + self._sending
            self._waiting.clear()
        return left

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and self._deadline == math.inf:
                    self._changed.wait()
                if not self._waiting:
                    return
                message = self._waiting.popleft()
                self._sending = True
            try:
                self._deliver(message)
            finally:
                with self._changed:
                    self._sending = False

    def _deliver(self, message: Message) -> None:
        """Send with retries; what does not get through is logged once, until something does again."""
        import stamina  # noqa: PLC0415 - an extra, for those who want alerts

        try:
            for attempt in stamina.retry_context(
                on=self._again,
                attempts=self._attempts,
                timeout=None,
                wait_initial=self._backoff.initial_s,
                wait_max=self._backoff.longest_s,
                wait_jitter=self._backoff.jitter_s,
            ):
                with attempt:
                    self.sender.send(message.title, message.body, message.severity)
        except SendFailed as failure:
            self.lost += 1
            if not self._failing:
                logger.error("No notification reaches {}: {}. Further failures are not logged", self.sender.label, failure)
            self._failing = True
            return
        if self._failing:
            logger.info("Notifications reach {} again; {} were lost so far", self.sender.label, self.lost)
        self._failing = False

    def _again(self, error: Exception) -> bool:
        """Whether another attempt may help and is still wanted."""
        return isinstance(error, SendFailed) and error.again and time.monotonic() < self._deadline
