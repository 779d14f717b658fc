"""How late an event loop is: what hogs it delays every answer, order and timer of the process."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_BEAT_S: Final = 0.25


class LoopLag:
    """Measures by how much the running event loop wakes up late.

    Args:
        half_life_s: the worst delay seen fades by half in this time [s], so that whoever looks now and then does not miss it.

    Attributes:
        lag_s: the worst delay lately [s]; 0 before ``feel`` runs.
    """

    def __init__(self, half_life_s: float = _BEAT_S) -> None:
        self.lag_s = 0.0
        self._kept = 0.5 ** (_BEAT_S / half_life_s)

    async def feel(self) -> None:
        """Measure until cancelled, four times a second."""
        while True:
            start = time.perf_counter()
            await asyncio.sleep(_BEAT_S)
            self.lag_s = max(time.perf_counter() - start - _BEAT_S, self.lag_s * self._kept)
