"""What may go wrong on a websocket: which events are lost, doubled, swapped or late, and which sockets hang or are refused."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.stream_topics import SPOT, user_topic

EVERYTHING: Final = "*"
LASTING: Final = ("silent", "frozen", "delay", "refuse")
COUNTED: Final = ("drop", "duplicate", "reorder", "gap", "checksum")
AT_ONCE: Final = ("disconnect", "malformed", "expire_listen_key", "terminate_user_stream")
_FAR: Final = 1_000_000  # update ids that a checksum fault jumps ahead


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event on its way to the sockets: ``stream`` is the name that the venue published it under, ``wait`` [s] its delay."""

    topic: str
    stream: str
    payload: Any
    wait: float = 0.0


@dataclass(slots=True)
class StreamFault:
    """One fault that is switched on."""

    name: str
    pattern: str = EVERYTHING  # of topics, with * and ?
    account: str | None = None  # its private topics instead of a pattern
    left: int | None = None  # events still to be hit; None = until cleared
    seconds: float = 0.0  # the delay
    until: float | None = None  # ends by itself at this loop time
    held: StreamEvent | None = None  # the event that waits to be swapped

    def hits(self, topic: str) -> bool:
        """Whether it concerns this topic."""
        if self.account is not None:
            return topic in {user_topic(self.account), user_topic(self.account, "spot")}
        return any(fnmatch.fnmatchcase(name, self.pattern) for name in (topic, topic.removeprefix(SPOT)))

    def hits_socket(self, topics: Iterable[str]) -> bool:
        """Whether it concerns a socket with these topics; a fault of everything concerns one without topics too."""
        return (self.account is None and self.pattern == EVERYTHING) or any(self.hits(topic) for topic in topics)


class StreamFaults:
    """The faults that are on, and what they do to an event. ``now`` is a monotonic time [s]."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._active: list[StreamFault] = []

    @property
    def active(self) -> list[StreamFault]:
        """The faults that are on, oldest first."""
        if self._active:
            self._active = [fault for fault in self._active if not self._over(fault)]
        return self._active

    def _over(self, fault: StreamFault) -> bool:
        ended = fault.until is not None and self._now() >= fault.until
        return ended or (fault.left is not None and fault.left <= 0 and fault.held is None)

    def add(self, name: str, *, pattern: str, account: str | None, count: int | None, seconds: float) -> StreamFault:
        """Switch a lasting or counted fault on.

        Raises:
            ConfigError: the fault is unknown.
        """
        if name not in (*LASTING, *COUNTED):
            known = ", ".join(sorted((*LASTING, *COUNTED, *AT_ONCE)))
            raise ConfigError("There is no such stream fault.", field="fault", value=name, fix=f"choose one of {known}")
        fault = StreamFault(name, pattern, account)
        if name in COUNTED:
            fault.left = 1 if count is None else count
        elif name == "delay":
            fault.left, fault.seconds = count, seconds
        elif seconds > 0.0:
            fault.until = self._now() + seconds
        self._active.append(fault)
        return fault

    def clear(self, name: str | None = None) -> list[StreamEvent]:
        """Switch off all faults, or those of one name; returns the events that were held back."""
        gone = [fault for fault in self._active if name in {None, fault.name}]
        self._active = [fault for fault in self._active if fault not in gone]
        return [fault.held for fault in gone if fault.held is not None]

    def is_frozen(self, topics: Iterable[str]) -> bool:
        """Whether a socket with these topics hangs: it neither reads nor writes."""
        return any(fault.name == "frozen" and fault.hits_socket(topics) for fault in self.active)

    def is_refused(self, topics: Iterable[str]) -> bool:
        """Whether a socket with these topics is turned away."""
        return any(fault.name == "refuse" and fault.hits_socket(topics) for fault in self.active)

    def pass_on(self, event: StreamEvent) -> list[StreamEvent]:
        """What becomes of an event: none, one or several of them, in the order to deliver."""
        events = [event]
        for fault in list(self.active):
            events = [after for before in events for after in _apply(fault, before)]
        return events


def _apply(fault: StreamFault, event: StreamEvent) -> list[StreamEvent]:
    if not fault.hits(event.topic):
        return [event]
    match fault.name:
        case "silent":
            return []
        case "drop" | "duplicate" | "gap" | "checksum":
            return _counted(fault, event)
        case "reorder":
            return _swapped(fault, event)
        case "delay" if fault.left is None or fault.left > 0:
            fault.left = None if fault.left is None else fault.left - 1
            return [replace(event, wait=event.wait + fault.seconds)]
    return [event]


def _counted(fault: StreamFault, event: StreamEvent) -> list[StreamEvent]:
    depth_only = fault.name in {"gap", "checksum"}
    if not fault.left or fault.left <= 0 or (depth_only and "@depth" not in event.topic):
        return [event]
    fault.left -= 1
    if fault.name == "duplicate":
        return [event, event]
    if fault.name == "checksum":
        return [replace(event, payload=_out_of_sequence(event.payload))]
    return []  # drop and gap: the update ids of the next frame do not follow


def _swapped(fault: StreamFault, event: StreamEvent) -> list[StreamEvent]:
    if fault.held is not None:
        held, fault.held = fault.held, None
        return [event, held]
    if fault.left is not None and fault.left <= 0:
        return [event]
    fault.left = None if fault.left is None else fault.left - 1
    fault.held = event
    return []


def _out_of_sequence(payload: dict[str, Any]) -> dict[str, Any]:
    """The same depth frame with update ids far ahead: no client can have applied what comes before it."""
    return payload | {name: payload[name] + _FAR for name in ("U", "u", "pu") if name in payload}
