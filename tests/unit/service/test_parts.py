"""What the service does beside its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from alpha_pulse.service.parts import Parts
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from tests.unit.service.log.decisions import until


class BrokenCurves:
    """Curves whose following fails at once."""

    async def follow(self) -> None:
        raise ValueError("no such thing as a curve")

    def stop(self) -> None:
        """Nothing to stop."""


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """Errors in the log."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.record["message"]), level="ERROR")
    yield lines
    logger.remove(sink)


async def test_work_in_the_background_that_fails_is_logged(errors):
    parts = Parts(load_service_settings({}), log=MemoryDecisionLog())
    parts.curves = BrokenCurves()  # type: ignore[assignment]
    async with parts.running():
        await until(lambda: errors)
    assert errors == ["Work in the background has ended, service: curves: ValueError: no such thing as a curve"]
