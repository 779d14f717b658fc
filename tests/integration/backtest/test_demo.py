"""The demo as its user runs it: on a simulated market, twice; on recorded candles, where its books are walked from the files alone."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.integration.backtest.ledger import Candle, impossible_maker_fills, walk

REPO = Path(__file__).resolve().parents[3]
FILES = ("result.json", "fills.csv", "funding.csv", "equity.csv", "report.html")


def demo(folder: Path, *options: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
    command = [sys.executable, "-m", "alpha_pulse", "demo", "--out", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent, env=environment, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def booked(folder: Path) -> dict[str, float]:
    result = json.loads((folder / "result.json").read_text())
    return {name: result[name] for name in ("cash", "perp_position", "fees", "funding")}


def check_books(folder: Path) -> None:
    """Cash, position, fees and funding to the cent, from fills.csv and funding.csv alone."""
    result = json.loads((folder / "result.json").read_text())
    books = walk(folder, Decimal(str(result["initial_wallet"])))
    assert books.problems == []
    assert float(books.cash) == pytest.approx(result["cash"], abs=0.005)
    assert float(books.position) == pytest.approx(result["perp_position"], abs=1e-9)
    assert float(books.fees) == pytest.approx(result["fees"], abs=0.005)
    assert float(books.funding) == pytest.approx(result["funding"], abs=0.005)
    shown = result["attribution"]
    terms = sum(round(shown[name] * 100) for name in ("static", "timing", "basis", "funding"))
    assert terms - round(shown["fees"] * 100) - round(shown["slippage"] * 100) == round(shown["hedge_pnl"] * 100)


def test_the_same_seed_gives_the_same_result_to_the_last_digit_in_two_processes(tmp_path):
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    output = demo(first, "--days", "4", "--seed", "5")
    demo(second, "--days", "4", "--seed", "5")
    demo(other, "--days", "4", "--seed", "6")
    assert "SIMULATED MARKET (seed 5)" in output
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert booked(first) != booked(other)
    check_books(first)


def test_the_store_of_a_demo_holds_every_fill_once_and_verifies(tmp_path):
    folder = tmp_path / "demo"
    demo(folder, "--days", "4")
    fills = (folder / "fills.csv").read_text().splitlines()[1:]
    with sqlite3.connect(folder / "events.db") as connection:
        kinds = dict(connection.execute("SELECT kind, COUNT(*) FROM events GROUP BY kind").fetchall())
    assert kinds["fill"] == len(fills) > 0
    verify = [sys.executable, "-m", "alpha_pulse", "audit", "verify", "--set", f"store.url=sqlite+aiosqlite:///{folder / 'events.db'}"]
    assert subprocess.run(verify, capture_output=True, check=False, cwd=tmp_path).returncode == 0  # noqa: S603


def test_the_log_of_a_demo_tells_market_time(tmp_path):
    demo(tmp_path / "demo", "--days", "1")
    lines = (tmp_path / "demo" / "demo.log").read_text().splitlines()
    assert lines[0].endswith("| INFO     | Initialized GridHedgeBot for BTCUSDT with 10 levels")
    assert lines[1].startswith("2025-01-01 00:01:00 | ")


@pytest.mark.market_data
@pytest.mark.parametrize("config", ["config/grid_hedge.yaml", "config/examples/symmetric_grid.yaml"])
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_on_recorded_candles_the_books_are_exact_and_every_maker_fill_was_possible(market_data, tmp_path, coin, config):
    span = "2025-05-20_2025-06-24"
    files = {
        "--spot": market_data / f"binance_spot_{coin}USDT_1m_{span}.parquet",
        "--perp": market_data / f"binance_perp_{coin}USDT_1m_{span}.parquet",
        "--funding": market_data / f"binance_funding_{coin}USDT_{span}.parquet",
    }
    options = [str(part) for pair in files.items() for part in pair]
    folder = tmp_path / "run"
    demo(folder, "--config", str(REPO / config), "--symbol", f"{coin}USDT", "--inventory", "1", *options)
    check_books(folder)
    table = pq.read_table(files["--perp"]).to_pydict()
    candles = [Candle(*row) for row in zip(*(table[name] for name in ("timestamp", "high", "low")), strict=True)]
    assert impossible_maker_fills(folder, candles, bar_ms=60_000) == []
    assert len((folder / "fills.csv").read_text().splitlines()) > 30
