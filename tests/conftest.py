"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loguru import logger

logger.remove()  # what the software logs is noise here; tests of logging add sinks of their own
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of recorded market data. Absent: skip with the reason, but fail where CI runs."""
    if DATA.is_dir():
        return DATA
    reason = f"recorded market data is not at {DATA}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
