"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
