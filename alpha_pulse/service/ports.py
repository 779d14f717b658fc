"""What the service's routes need of the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the service, as it is kept for ever. Everything in it is plain JSON.

    Attributes:
        decision_id: unique, sorts by time.
        ts_ms: when it was decided, milliseconds UTC.
        kind: the route: "hedge", "multi", "signals" or "assess".
        asset: what it is about, e.g. "BTC"; "" where the question names none.
        request: the question, as it was understood.
        response: the answer, as it was sent.
        contributions: each step that led to the answer, by name.
        curve_hash: SHA-256 of the curve file in force.
        version: of alpha_pulse.
        client: the name of the token that asked; "" without tokens.
    """

    decision_id: str
    ts_ms: int
    kind: str
    asset: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    contributions: Mapping[str, Any] = field(default_factory=dict)
    curve_hash: str = ""
    version: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Decisions, newest first, each as the JSON object that is kept, and where the next page begins; None at the end."""

    records: Sequence[str]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log is doing.

    Attributes:
        breaker: "closed", "opened" or "half-opened".
        spooled: decisions that wait for the database.
        delivered: decisions that this process has brought there.
        problem: what the last failed delivery said; "" if the last one worked.
    """

    breaker: str
    spooled: int
    delivered: int
    problem: str


class DecisionLog(Protocol):
    """Keeps every decision: durable on this machine before the answer leaves, in the database soon afterwards, once and in order."""

    async def record(self, decision: Decision) -> None:
        """Return when the decision would survive a power cut here. Concurrent calls share one write.

        Raises:
            Fatal: it cannot be kept (disk full, folder gone): the answer must not leave.
        """
        ...

    async def check(self) -> None:
        """Return if a decision could be kept now, without keeping one. Raises ``Fatal`` if not."""
        ...

    async def get(self, decision_id: str) -> Decision | None:
        """One decision, delivered or not; None if there is none. Raises ``Transient`` while the database is away and it is not here."""
        ...

    async def find(self, *, asset: str = "", kind: str = "", since_ms: int = 0, before: str = "", limit: int = 100) -> Page:
        """Delivered decisions that match, newest first, older than the decision ``before``. Raises ``Transient``."""
        ...

    def state(self) -> LogState:
        """At once, without asking anybody."""
        ...

    async def close(self) -> None:
        """Deliver what can be delivered in a moment; the rest waits for the next start. Idempotent."""
        ...
