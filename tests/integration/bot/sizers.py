"""A sizer of the user's own, loaded by its name in a test."""

from __future__ import annotations

from alpha_pulse.hedging.common.types import Snapshot


class Half:
    """Half of a half."""

    def size(self, snapshot: Snapshot) -> tuple[float, str]:
        return 0.25, "a quarter, because the test says so"
