"""``alpha-pulse optimize`` as a user types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alpha_pulse.settings import load_settings
from tests.integration.cli.running import alpha_pulse
from tests.unit.backtest.search.searching import market_file

VARY = ("--vary", "hedge.amplitude=0..0.5", "--vary", "hedge.ratio=0.2..0.9", "--test", "0.4", "--engine", "replay")


@pytest.fixture(autouse=True)
def _market(own_folder: None, tmp_path: Path) -> None:
    market_file(tmp_path, days=40)
    Path("mine.yaml").write_text("symbol: BTCUSDT\ninventory: {quantity: 2}\ngrid: {num_levels: 4}\n")


def optimize(*options: str) -> tuple[int, str, str]:
    return alpha_pulse("optimize", "mine.yaml", "--spot", "market.csv", "--perp", "market.csv", "--out", "out", *options)


def test_a_search_writes_a_ready_configuration_and_the_same_command_goes_on():
    code, shown, err = optimize(*VARY, "--trials", "5")
    assert code == 0, err
    for words in ("In sample and out of sample", "What was chosen", "Pareto front", "Deflated Sharpe ratio", "Static benchmark"):
        assert words in shown
    best = load_settings("out/best.yaml", environ={}).settings
    assert (best.grid.num_levels, best.feed.source) == (4, "simulated")  # what chose the market for the search is no part of it
    five = Path("out/trials.csv").read_text()
    code, _, err = optimize(*VARY, "--trials", "7")
    assert code == 0, err
    assert Path("out/trials.csv").read_text().startswith(five)
    assert len(Path("out/trials.csv").read_text().splitlines()) == 8


def test_what_is_wrong_is_said_before_anything_runs():
    for options, problem in (
        (("--vary", "hedge.amplitud=0..1"), "write hedge.amplitude"),
        ((), "nothing is varied"),
        ((*VARY, "--objective", "profit"), "is no objective"),
        ((*VARY, "--prune"), "single objective"),
        ((*VARY, "--test", "2"), "between 0 and 1"),
        ((*VARY, "--storage", "mysql://x"), "no address"),
        ((*VARY, "--set", "hedge.ratio=0.5", "--workers", "0"), "1 at least"),
        ((*VARY, "--since", "2025-01-01"), "--since means the store"),
    ):
        code, shown, err = optimize(*options)
        assert (code, shown) == (2, "")
        assert problem in err
        assert not Path("out/best.yaml").exists()


def test_ctrl_c_keeps_what_is_there():
    command = [sys.executable, "-m", "alpha_pulse", "optimize", "mine.yaml", "--spot", "market.csv", "--perp", "market.csv", "--out", "out"]
    running = subprocess.Popen([*command, *VARY, "--trials", "5000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    try:
        _wait_for_trials(running)
        os.kill(running.pid, signal.SIGINT)
        shown, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, err
    assert "Interrupted: this is what was found until then." in shown
    assert len(Path("out/trials.csv").read_text().splitlines()) > 2
    assert load_settings("out/best.yaml", environ={}).settings.grid.num_levels == 4


def _wait_for_trials(running: subprocess.Popen[str]) -> None:
    """Until the storage has grown by a few trials."""
    for _ in range(600):
        assert running.poll() is None
        log = Path("out/study.db-wal")
        if log.exists() and log.stat().st_size > 200_000:
            return
        time.sleep(0.1)
    pytest.fail("no trial ended within a minute")
