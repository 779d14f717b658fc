"""Where a simulated venue keeps its books, so that a kill -9 at any instant resumes exactly where it was."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """Everything a simulated venue needs to go on. JSON values only.

    ``state`` is the venue as it stood after the last save (cash, positions, open orders, counters, last processed close_ms of
    each symbol); ``fills`` and ``funding`` are every one ever saved, in the order in which they were booked.
    """

    state: dict[str, Any] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    funding: list[dict[str, Any]] = field(default_factory=list)


class PaperJournal(Protocol):
    """The port. An implementation stores JSON; what is in it is the venue's business."""

    async def load(self, account: str) -> JournalRecord | None:
        """The books of ``account``, or None if it was never saved. Raises ``Transient`` when storage cannot be read."""
        ...

    async def save(
        self,
        account: str,
        state: Mapping[str, Any],
        new_fills: Sequence[Mapping[str, Any]],
        new_funding: Sequence[Mapping[str, Any]],
    ) -> None:
        """Replace the state and append what was newly booked, in one transaction: atomic, and durable once it returns."""
        ...


class MemoryJournal:
    """A journal that lives as long as the process: tests restart a venue on it."""

    def __init__(self) -> None:
        self._records: dict[str, JournalRecord] = {}
        self.saves = 0  # how often something was written

    async def load(self, account: str) -> JournalRecord | None:
        """The books of ``account`` as they were last saved; a copy, so that nothing leaks back."""
        record = self._records.get(account)
        return None if record is None else copy.deepcopy(record)

    async def save(
        self,
        account: str,
        state: Mapping[str, Any],
        new_fills: Sequence[Mapping[str, Any]],
        new_funding: Sequence[Mapping[str, Any]],
    ) -> None:
        """Replace the state and append what was newly booked."""
        old = self._records.get(account) or JournalRecord()
        fills = [*old.fills, *(dict(f) for f in new_fills)]
        funding = [*old.funding, *(dict(f) for f in new_funding)]
        self._records[account] = JournalRecord(copy.deepcopy(dict(state)), fills, funding)
        self.saves += 1
