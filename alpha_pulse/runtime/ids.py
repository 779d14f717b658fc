"""Identities of runs: random for a live process, a function of the seed for a simulated one."""

from __future__ import annotations

import hashlib
import uuid


class SystemIds:
    """Random run ids (UUID version 4, 32 hexadecimal digits)."""

    def new_run_id(self) -> str:
        """An id that no other run has."""
        return uuid.uuid4().hex  # noqa: TID251 - this is the id source that everybody else is given


class SeededIds:
    """Run ids that repeat: the nth id is a function of the seed and n (32 hexadecimal digits)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def new_run_id(self) -> str:
        """The next id of this seed."""
        self._count += 1
        return hashlib.sha256(f"run:{self._seed}:{self._count}".encode()).hexdigest()[:32]
