"""A process killed at any instant goes on where it was: same fills, same account, every fill booked once, the chain whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "alpha_pulse", "run"]
SETTINGS = {
    "feed.days": "0.35",
    "feed.speed": "0",
    "feed.seed": "11",
    "grid.grid_spacing_pct": "0.001",
    "grid.volatility_multiple": "0",
    "hedge.min_ratio": "0",
    "hedge.amplitude_adverse": "0.25",
    "risk.var_limit_pct": "null",
    "logging.file": "null",
}


def start(folder: Path) -> subprocess.Popen[bytes]:
    options = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
    return subprocess.Popen([*COMMAND, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)  # noqa: S603


def finish(folder: Path) -> None:
    process = start(folder)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "var" / "alpha_pulse.db") as connection:
        return connection.execute(query).fetchall()


def venue_fills(folder: Path) -> list[tuple[object, ...]]:
    """What the paper venue traded: everything but our ids, which carry a generation that a crash may skip."""
    fills = [json.loads(str(payload)) for (payload,) in rows(folder, "SELECT booking FROM paper_fills ORDER BY number")]
    return [(f["ts_ms"], f["side"], f["price"], f["quantity"], f["fee"], f["liquidity"]) for f in fills]


def booked_fills(folder: Path) -> list[tuple[object, ...]]:
    events = [json.loads(str(p))["fill"] for (p,) in rows(folder, "SELECT payload FROM events WHERE kind = 'fill' ORDER BY sequence")]
    return [(f["ts_ms"], f["side"], f["price"], f["quantity"], f["fee"], f["liquidity"]) for f in events]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run that nobody kills."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return folder


def check_same(folder: Path, undisturbed: Path) -> None:
    """Same fills at the venue and in the record, same wallet, and a chain that verifies."""
    expected = venue_fills(undisturbed)
    assert len(expected) > 20
    assert venue_fills(folder) == expected
    assert booked_fills(folder) == expected
    account = "SELECT state FROM paper_accounts"
    wallets = [json.loads(str(rows(each, account)[0][0]))["wallets"] for each in (undisturbed, folder)]
    assert wallets[0] == wallets[1]
    verified = subprocess.run([sys.executable, "-m", "alpha_pulse", "audit", "verify"], cwd=folder, capture_output=True, check=False)
    assert verified.returncode == 0, verified.stdout.decode()


def killed_run(folder: Path, kills: int, seed: int) -> None:
    """Kill -9 that many times, at random moments, then let it finish."""
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    for _ in range(kills):
        process = start(folder)
        time.sleep(chance.uniform(0.6, 1.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(folder)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_runs_end_as_if_nothing_had_happened(undisturbed, tmp_path, seed):
    killed_run(tmp_path, 5, seed)
    check_same(tmp_path, undisturbed)


@pytest.mark.soak
def test_a_run_killed_sixty_times_ends_as_if_nothing_had_happened(undisturbed, tmp_path):
    killed_run(tmp_path, 60, 3)
    check_same(tmp_path, undisturbed)


def until_it_trades(folder: Path) -> None:
    """Wait for the first fill: a process that has one listens to signals."""
    for _ in range(600):
        with contextlib.suppress(sqlite3.OperationalError):  # no file or no table yet
            if rows(folder, "SELECT 1 FROM paper_fills LIMIT 1"):
                return
        time.sleep(0.05)
    pytest.fail("no fill within 30 s")


def test_a_stop_by_signal_leaves_no_order_behind(tmp_path):
    process = start(tmp_path)
    until_it_trades(tmp_path)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0, output.decode()
    assert b", 0 left behind" in output
    (state,) = rows(tmp_path, "SELECT state FROM paper_accounts")[0]
    (pair,) = json.loads(str(state))["pairs"].values()
    assert pair["desk"]["book"]["open"] == []
