"""Tells people what a bot records: never in the way of the bot, never before the record."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loguru import logger
from pydantic import SecretStr

from alpha_pulse.domain.events import Event
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.notify.channel import Backoff, Channel, Message, Sender
from alpha_pulse.runtime.notify.config import NotifySettings, Severity
from alpha_pulse.runtime.notify.guard import Guard, Permits, Resolve, is_public, is_public_or_own, resolved
from alpha_pulse.runtime.notify.policy import Policy
from alpha_pulse.runtime.notify.targets import SendFailed, Target, open_targets
from alpha_pulse.runtime.notify.texts import Notice, notices
from alpha_pulse.runtime.secrets import find_secret

_UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What a payload can do to the code that words it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a test message. ``problem`` is empty where it got through."""

    label: str
    problem: str = ""


class Notifier:
    """Words events, judges them by the settings, and hands messages to one channel for each target.

    ``tell`` and ``say`` return at once and never raise. One notifier serves every pair of a process.
    """

    def __init__(self, settings: NotifySettings, clock: Clock, senders: Sequence[Sender], *, backoff: Backoff | None = None) -> None:
        self._policy = Policy(settings, clock)
        self._close_timeout_s = settings.close_timeout_s
        self._closed = False
        self._channels = tuple(
            Channel(sender, size=settings.queue_size, attempts=settings.attempts, backoff=backoff or Backoff()) for sender in senders
        )

    @property
    def dropped(self) -> int:
        """Messages that found no room in a queue, over all targets."""
        return sum(channel.dropped for channel in self._channels)

    @property
    def lost(self) -> int:
        """Messages that no attempt got through, over all targets."""
        return sum(channel.lost for channel in self._channels)

    def tell(self, events: Sequence[Event], symbol: str) -> None:
        """Tell what these events of one pair mean to a person. Call it after they were stored."""
        try:
            found = notices(events, symbol)
        except _UNREADABLE as error:
            logger.warning("An event could not be put into words for a notification ({})", type(error).__name__)
            return
        for notice in found:
            self.say(notice)

    def say(self, notice: Notice) -> None:
        """Tell something that is no event, by the same rules."""
        if self._closed or not self._policy.admits(notice):
            return
        held = self._policy.held_back()
        message = Message(notice.title, f"{notice.body}\n{held}" if held else notice.body, notice.severity)
        for channel in self._channels:
            channel.put(message)

    def close(self) -> None:
        """Send what still waits, for ``close_timeout_s`` at the longest; blocks that long. Idempotent."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + self._close_timeout_s
        left = sum(channel.close(deadline) for channel in self._channels)
        if left or self.dropped or self.lost:
            logger.warning("Notifications: {} unsent at the end, {} dropped, {} lost", left, self.dropped, self.lost)


def create_notifier(
    settings: NotifySettings, clock: Clock, environ: Mapping[str, str] | None = None, *, permits: Permits | None = None
) -> Notifier | None:
    """A notifier for the targets of the settings and the environment; None where there are none.

    Raises:
        ConfigError: as ``notify_targets``.
    """
    targets = notify_targets(settings, environ, permits=permits)
    return Notifier(settings, clock, targets) if targets else None


def notify_targets(
    settings: NotifySettings, environ: Mapping[str, str] | None = None, *, permits: Permits | None = None, resolve: Resolve = resolved
) -> tuple[Target, ...]:
    """The guarded targets.

    Args:
        settings: which targets, and whether they may be in the own network.
        environ: the environment; None for the process's own.
        permits: which addresses may be connected to, instead of what the settings say.
        resolve: from a name to its addresses, for the check before sending.

    Raises:
        ConfigError: a library is missing, or a target cannot be used; its URL is not shown.
    """
    found = find_secret(settings.urls_env, os.environ if environ is None else environ)
    listed = found.get_secret_value().split() if found else []
    urls = [*settings.urls, *(SecretStr(url) for url in listed)]
    if not urls:
        return ()
    judge = permits or (is_public_or_own if settings.allow_private_hosts else is_public)
    return open_targets(urls, Guard(judge, resolve))


def send_test(targets: Sequence[Sender]) -> list[Trial]:
    """Send a test message to each target, at any hour, once, and say what became of it. Blocks."""
    results = []
    for target in targets:
        try:
            target.send("alpha_pulse: test", "This is a test. Alerts of your bots will look like this.", Severity.INFO)
        except SendFailed as failure:
            results.append(Trial(target.label, str(failure)))
        else:
            results.append(Trial(target.label))
    return results
