"""Ids of decisions: unique, and in the order of time when they are sorted as text."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = r"^[0-9a-f]{12}-[0-9a-f]{6}-[0-9a-f]{8}$"
_PATTERN: Final = re.compile(PATTERN)


class DecisionIds:
    """``019abc…-000000-1a2b3c4d``: milliseconds, a count within them, and eight digits of the process's run id.

    Args:
        run_id: hexadecimal, of this process alone.
    """

    def __init__(self, run_id: str) -> None:
        self._run = run_id[:8]
        self._ms = -1
        self._count = 0

    def new(self, ts_ms: int) -> str:
        """The next id at a time (milliseconds UTC) that is not before the last one."""
        if ts_ms > self._ms:
            self._ms, self._count = ts_ms, 0
        else:
            self._count += 1
        return f"{self._ms:012x}-{self._count:06x}-{self._run}"


def is_decision_id(text: str) -> bool:
    """Whether this can be an id at all."""
    return _PATTERN.match(text) is not None and "\n" not in text
