"""A decision log in memory, for tests of what asks the service or of the service itself."""

from __future__ import annotations

from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.service.log.codec import encode
from alpha_pulse.service.ports import Decision, LogState, Page


class MemoryDecisionLog:
    """Keeps decisions in the order of recording.

    Attributes:
        decisions: what was recorded.
        broken: not empty: recording fails with this as the reason, as on a full disk.
        away: not empty: looking things up fails with this as the reason, as without a database.
        closed: how often it was closed.
    """

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.broken = ""
        self.away = ""
        self.closed = 0

    async def record(self, decision: Decision) -> None:
        """Keep it, unless ``broken``."""
        if self.broken:
            raise Fatal(self.broken)
        self.decisions.append(decision)

    async def check(self) -> None:
        """Raise what ``record`` would raise."""
        if self.broken:
            raise Fatal(self.broken)

    async def get(self, decision_id: str) -> Decision | None:
        """The decision of this id, unless ``away``."""
        self._look()
        return next((decision for decision in self.decisions if decision.decision_id == decision_id), None)

    async def find(self, *, asset: str = "", kind: str = "", since_ms: int = 0, before: str = "", limit: int = 100) -> Page:
        """What matches, newest first, unless ``away``."""
        self._look()
        found = [
            decision
            for decision in sorted(self.decisions, key=lambda each: each.decision_id, reverse=True)
            if asset in {"", decision.asset}
            and kind in {"", decision.kind}
            and decision.ts_ms >= since_ms
            and (not before or decision.decision_id < before)
        ]
        return Page([encode(decision).decode() for decision in found[:limit]], found[limit - 1].decision_id if len(found) > limit else None)

    def state(self) -> LogState:
        """Nothing waits; the breaker is open while ``away``."""
        return LogState("opened" if self.away else "closed", 0, len(self.decisions), self.away)

    async def close(self) -> None:
        """Count it."""
        self.closed += 1

    def _look(self) -> None:
        if self.away:
            raise Transient(self.away)
