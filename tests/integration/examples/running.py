"""Running an example as a reader does: a real process in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOT_OURS = {"TRADING_MODE", "EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "EXCHANGE_API_PASSWORD", "LLM_API_KEY"}


def example(module: str, cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    environment = inherited | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert list(cwd.iterdir()) == [], "an example leaves nothing behind"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def said(module: str, cwd: Path, *arguments: str) -> str:
    """What an example prints that has nothing to complain about."""
    done = example(module, cwd, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])
