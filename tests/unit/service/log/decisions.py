"""Decisions for tests, and waiting for what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from alpha_pulse.service.ports import Decision


def decision(number: int, **changes: Any) -> Decision:
    """The decision of that number; ids sort by it."""
    fields: dict[str, Any] = {
        "decision_id": f"{number:012d}",
        "ts_ms": 1_700_000_000_000 + number,
        "kind": "hedge",
        "asset": "BTC",
        "request": {"asset": "BTC", "amount_usd": 1e6, "override_score": 0.42},
        "response": {"hedge_pct": 0.56, "notional_usd": 560_000.0, "confidence": 0.9},
        "contributions": {"spline": {"score": 0.42, "depth_usd": 2.5e7}},
        "curve_hash": "c" * 64,
        "version": "0.1.0",
        "client": "desk",
    }
    return Decision(**fields | changes)


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return when it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a state that nobody announces
            await asyncio.sleep(0.005)
