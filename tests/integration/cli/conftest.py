"""Fixtures of the tests that type commands."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with no mode from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADING_MODE", raising=False)
