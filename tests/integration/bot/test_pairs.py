"""Several pairs in one process: the same run every time, one store, one portfolio, and one's trouble is not the others'."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from tests.integration.cli.running import alpha_pulse

PATIENCE_S = 120.0
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TRADING_MODE" and not k.startswith("ALPHA_PULSE_")}
COMMAND = (sys.executable, "-m", "alpha_pulse", "run", "--config", "mine.yaml")
DATABASE = Path("var/alpha_pulse.db")
START_MS = 1_735_689_600_000
MINUTE_MS = 60_000
BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"

COMMON = """
feed: {speed: 0, days: %s}
grid: {grid_spacing_pct: 0.001, volatility_multiple: 0, num_levels: 3}
logging: {level: ERROR, file: null}
"""
TWO = COMMON + "pairs:\n  - symbol: BTCUSDT\n  - symbol: ETHUSDT\n    inventory: {quantity: 20}\n"
SOLANA = "  - symbol: SOLUSDT\n    inventory: {quantity: 400}\n"
THREE = TWO + SOLANA + "    hedge: {ratio: 0.3}\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name == "TRADING_MODE" or name.startswith("ALPHA_PULSE_"):
            monkeypatch.delenv(name)


def hedge(text: str, *options: str) -> tuple[int, str]:
    """Run these settings to the end of their market: exit code and log."""
    Path("mine.yaml").write_text(text)
    code, _, err = alpha_pulse("run", "--config", "mine.yaml", *options)
    return code, err


def rows(query: str, folder: Path = Path()) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / DATABASE, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def events(symbol: str, folder: Path = Path()) -> list[tuple[Any, ...]]:
    return rows(f"SELECT sequence, ts_ms, kind, tick_id, payload, hash FROM events WHERE symbol = '{symbol}' ORDER BY sequence", folder)  # noqa: S608 - our own


def payloads(symbol: str, kind: str) -> list[dict[str, Any]]:
    return [json.loads(event[4]) for event in events(symbol) if event[2] == kind]


def fills(symbol: str, folder: Path = Path()) -> list[tuple[Any, ...]]:
    """What the venue traded: everything but our ids, which carry a generation that a crash may skip."""
    query = f"SELECT booking FROM paper_fills WHERE account = 'paper/{symbol}' ORDER BY number"  # noqa: S608 - our own
    found = [json.loads(text) for (text,) in rows(query, folder)]
    return [(f["ts_ms"], f["side"], f["price"], f["quantity"], f["fee"], f["liquidity"]) for f in found]


def booked(symbol: str, folder: Path = Path()) -> list[tuple[Any, ...]]:
    found = [json.loads(event[4])["fill"] for event in events(symbol, folder) if event[2] == "fill"]
    return [(f["ts_ms"], f["side"], f["price"], f["quantity"], f["fee"], f["liquidity"]) for f in found]


def books(symbol: str, folder: Path = Path()) -> dict[str, Any]:
    """The paper venue's memory of a pair."""
    ((text,),) = rows(f"SELECT state FROM paper_accounts WHERE account = 'paper/{symbol}'", folder)  # noqa: S608 - our own
    found: dict[str, Any] = json.loads(text)
    assert list(found["pairs"]) == [symbol]
    return found


def resting(symbol: str, folder: Path = Path()) -> list[str]:
    """The purposes of the orders that rest at the venue."""
    return sorted(entry["order"]["request"]["purpose"] for entry in books(symbol, folder)["pairs"][symbol]["desk"]["book"]["open"])


def last_minute(symbol: str) -> int:
    """Of the market, as of the last decision."""
    return int((max((event[1] for event in events(symbol) if event[2] == "tick"), default=START_MS) - START_MS) // MINUTE_MS)


def status() -> dict[str, dict[str, Any]]:
    return {bot["pair"]: bot for bot in json.loads(alpha_pulse("status", "--json")[1])}


def intact() -> None:
    code, out, err = alpha_pulse("audit", "verify")
    assert (code, out.startswith("Intact: ")) == (0, True), err
    for name in status():
        assert alpha_pulse("explain", "--verify", "--symbol", name)[0] == 0


def write_candles(path: str, closes: Sequence[float]) -> None:
    """One-minute bars."""
    lines, before = ["timestamp,open,high,low,close,volume"], closes[0]
    for number, close in enumerate(closes):
        prices = f"{before:.2f},{max(before, close):.2f},{min(before, close):.2f},{close:.2f}"
        lines.append(f"{START_MS + number * MINUTE_MS},{prices},100")
        before = close
    Path(path).write_text("\n".join(lines) + "\n")


# --- the same run every time ------------------------------------------------------------------------------------
def test_two_runs_of_three_pairs_leave_the_same_events_hash_by_hash(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert hedge(THREE % "0.02")[0] == 0
    for symbol in (BTC, ETH, SOL):
        first, second = events(symbol, tmp_path / "first"), events(symbol, tmp_path / "second")
        assert first == second
        assert len(first) > 30
    assert [(bot["pair"], bot["inventory"], bot["running"]) for bot in status().values()] == [
        ("BTCUSDT", 1.0, False),
        ("ETHUSDT", 20.0, False),
        ("SOLUSDT", 400.0, False),
    ]
    table = alpha_pulse("status")[1]
    assert all(name in table for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT"))
    assert len({events(symbol)[-1][5] for symbol in (BTC, ETH, SOL)}) == 3
    assert payloads(SOL, "target_changed")[-1]["after"]["contributions"][0]["after"] == 0.3
    intact()


def test_a_pair_among_others_trades_as_it_would_alone(tmp_path, monkeypatch):
    """Nothing but the portfolio's limits ties them together."""
    alone = {}
    for name in ("BTCUSDT", "ETHUSDT"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert hedge(TWO % "0.03", "--symbol", name)[0] == 0
        assert list(status()) == [name]  # that one only
        alone[name] = fills(BTC if name == "BTCUSDT" else ETH)
    monkeypatch.chdir(tmp_path)
    assert hedge(TWO % "0.03" + "portfolio: {var_limit_pct: null, max_drawdown: null}\n")[0] == 0
    assert fills(BTC) == alone["BTCUSDT"]
    assert fills(ETH) == alone["ETHUSDT"]
    assert min(len(found) for found in alone.values()) > 3


def test_each_pair_has_a_wallet_and_books_of_its_own():
    assert hedge(TWO % "0.02")[0] == 0
    for symbol in (BTC, ETH):
        assert fills(symbol) == booked(symbol) != []
        first = payloads(symbol, "tick")[0]["market"]["spot"]["close"]
        deposits = float(books(symbol)["wallets"]["USDT"]["deposits"])
        assert deposits == pytest.approx(first * (1 if symbol == BTC else 20))
        assert resting(symbol) == []


def test_a_pair_whose_market_ends_earlier_leaves_the_others_to_their_end():
    text = THREE % "0.02" + "    feed: {days: 0.01}\n"  # of the third
    assert hedge(text)[0] == 0
    assert [last_minute(symbol) for symbol in (BTC, ETH)] == [29, 29]  # 0.02 days are 28.8 minutes
    assert last_minute(SOL) == 14
    assert {payloads(symbol, "stopped")[-1]["reason"] for symbol in (BTC, ETH, SOL)} == {"the feed has ended"}
    intact()


# --- one's trouble ----------------------------------------------------------------------------------------------
FRAGILE = """
class Fragile:
    calls = 0

    def size(self, snapshot):
        type(self).calls += 1
        if type(self).calls == 20:
            raise ValueError("the twentieth call")
        return 0.5, "until it breaks"


class Broken:
    def size(self, snapshot):
        raise ValueError("at once")
"""


def with_sizer(monkeypatch: pytest.MonkeyPatch, module: str, name: str, days: str) -> str:
    """The second pair on a sizer of the user's own, from a module that only this test knows."""
    Path(f"{module}.py").write_text(FRAGILE)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    return TWO % days + f"    hedge: {{sizer: '{module}:{name}'}}\n{SOLANA}"


def test_a_pair_that_breaks_halts_with_its_stop_and_leaves_the_others_to_their_end(monkeypatch):
    code, log = hedge(with_sizer(monkeypatch, "pairs_fragile", "Fragile", "0.02"))
    assert code == 1
    assert "ValueError: the twentieth call" in log
    assert "ETHUSDT" in log
    assert [last_minute(symbol) for symbol in (BTC, SOL)] == [29, 29]
    assert last_minute(ETH) < 25
    assert resting(ETH) == ["stop"]
    assert resting(BTC) == resting(SOL) == []
    assert payloads(ETH, "stopped")[-1]["reason"].startswith("unexpected error: ValueError")
    intact()


def test_a_pair_that_breaks_as_it_picks_up_where_it_was_leaves_the_others_running(monkeypatch):
    assert hedge(TWO % "0.01")[0] == 0
    Path("mine.yaml").write_text(with_sizer(monkeypatch, "pairs_broken", "Broken", "0.02"))
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), ENVIRONMENT.get("PYTHONPATH", "")])}
    answer = subprocess.run(COMMAND, env=environment, capture_output=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own
    assert answer.returncode == 1
    assert [last_minute(symbol) for symbol in (BTC, SOL)] == [29, 29]
    assert payloads(BTC, "stopped")[-1]["reason"] == "the feed has ended"


RECORDED = """
feed: {source: recorded, speed: %s, spot: btc.csv, perp: btc.csv}
grid: {num_levels: 3}
logging: {level: ERROR, file: null}
pairs:
  - symbol: BTCUSDT
  - symbol: ETHUSDT
    inventory: {quantity: 20}
    feed: {spot: eth.csv, perp: eth.csv}
"""


def broken_recording() -> None:
    """Bitcoin's is sound, ether's has a row in the middle that is no number."""
    write_candles("btc.csv", [100_000 + number for number in range(40)])
    write_candles("eth.csv", [4_000 + number for number in range(40)])
    lines = Path("eth.csv").read_text().splitlines()
    lines[20] = lines[20].replace("4019", "four thousand")
    Path("eth.csv").write_text("\n".join(lines) + "\n")


def test_a_pair_whose_recording_is_broken_says_where_and_leaves_the_others_to_their_end():
    broken_recording()
    code, log = hedge(RECORDED % 0)
    assert code == 1
    assert "ETHUSDT" in log
    assert "eth.csv, row 20" in log
    assert "This pair has ended, the others go on" in log
    assert last_minute(BTC) == 40
    assert len(fills(BTC)) > 0
    assert not [event for event in events(ETH) if event[2] == "tick"]


def until_it_ticks(process: subprocess.Popen[bytes], ticks: int, folder: Path = Path()) -> bool:
    """Wait until that many decisions are recorded; False if the process ended before."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None:
        assert time.monotonic() < deadline, "it decides nothing"
        try:
            if rows("SELECT count(*) FROM events WHERE kind = 'tick'", folder)[0][0] >= ticks:
                return True
        except sqlite3.OperationalError:
            pass  # the tables are still to be made
        time.sleep(0.05)
    return False


def test_a_pair_that_could_not_start_is_not_shown_as_running():
    broken_recording()
    Path("mine.yaml").write_text(RECORDED % 60)
    process = subprocess.Popen(COMMAND, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        assert until_it_ticks(process, 1)
        assert {name: bot["running"] for name, bot in status().items()} == {"BTCUSDT": True, "ETHUSDT": False}
    finally:
        process.kill()
        process.wait(timeout=PATIENCE_S)


def test_a_pair_that_another_process_holds_is_refused_and_the_others_run():
    async def held() -> tuple[int, str]:
        engine = await open_database(f"sqlite+aiosqlite:///{DATABASE}")
        store = SqlStore(engine, host=SystemHost())
        await store.open("paper", BTC, "another", 0)
        try:
            return await asyncio.to_thread(run_beside)
        finally:
            await store.close()
            await engine.dispose()

    def run_beside() -> tuple[int, str]:
        answer = subprocess.run(COMMAND, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own
        return answer.returncode, answer.stderr

    Path("mine.yaml").write_text(TWO % "0.02")
    code, log = asyncio.run(held())
    assert code == 1
    assert str(os.getpid()) in log
    assert last_minute(ETH) == 29
    assert events(BTC) == []


# --- together ---------------------------------------------------------------------------------------------------
def falling(depth: float, minutes: int = 20, then: int = 15) -> None:
    """Both markets fall together by ``depth``, and stand still."""
    path = [1 - depth * min(number, minutes) / minutes for number in range(minutes + then)]
    write_candles("btc.csv", [100_000 * share for share in path])
    write_candles("eth.csv", [4_000 * share for share in path])


OFF = "risk: {max_drawdown: null, stop_loss_pct: null, var_limit_pct: null}\ninventory_risk: {enabled: false}\n"


def test_the_portfolios_floor_holds_in_every_pair_and_is_named():
    falling(0.01)
    assert hedge(RECORDED % 0 + OFF + "portfolio: {var_limit_pct: 0.01}\n")[0] == 0
    for symbol, inventory in ((BTC, 1), (ETH, 20)):
        target = payloads(symbol, "target_changed")[-1]["after"]
        step = next(step for step in target["contributions"] if step["name"] == "portfolio VaR")
        # All pairs count as one for the first two days, so VaR is the sum of theirs: z·σ of each one's value, over a limit of 1 %.
        sigmas = [payloads(each, "tick")[-1]["indicators"]["volatility_day"] for each in (BTC, ETH)]
        weights = [100_000 / 180_000, 80_000 / 180_000]
        expected = 1 - 0.01 / (2.3263478740408408 * sum(weight * sigma for weight, sigma in zip(weights, sigmas, strict=True)))
        assert step["after"] == pytest.approx(expected, abs=0.03)
        assert "all 2 pairs together" in step["reason"]
        assert target["floor"] >= step["after"] - 1e-12
        assert (
            float(payloads(symbol, "tick")[-1]["account"]["position"]["quantity"]) <= -target["floor"] * inventory + 0.0011
        )  # but for less than a lot
        name = "BTCUSDT" if symbol == BTC else "ETHUSDT"
        assert "value at risk of all 2 pairs together" in alpha_pulse("explain", "--symbol", name)[1]
    intact()


LATCH = OFF + "portfolio: {var_limit_pct: null, max_drawdown: 0.005}\n"
TOGETHER = "drawdown limit of all pairs together reached"


def test_the_portfolios_drawdown_latches_every_pair_until_each_is_resumed():
    falling(0.06)
    assert hedge(RECORDED % 0 + LATCH, "--set", "feed.days=0.018")[0] == 0
    for name, symbol in (("BTCUSDT", BTC), ("ETHUSDT", ETH)):
        bot = status()[name]
        assert (bot["risk_state"], bot["reasons"], bot["hedge_ratio"]) == ("delta_reduce", [TOGETHER], 1.0)
        assert payloads(symbol, "risk_state_changed")[-1]["reasons"] == [TOGETHER]
        assert TOGETHER in alpha_pulse("explain", "--symbol", name)[1]
        assert payloads(symbol, "target_changed")[-1]["after"]["floor"] == 1.0
    assert hedge(RECORDED % 0 + LATCH, "--set", "feed.days=0.02")[0] == 0  # a restart does not release it
    assert {bot["risk_state"] for bot in status().values()} == {"delta_reduce"}
    for name in ("BTCUSDT", "ETHUSDT"):
        assert alpha_pulse("resume", "--symbol", name)[0] == 0
    assert hedge(RECORDED % 0 + LATCH)[0] == 0
    assert {bot["risk_state"] for bot in status().values()} == {"normal"}
    assert all(bot["hedge_ratio"] < 0.6 for bot in status().values())
    intact()


def test_pairs_that_are_resumed_one_after_the_other_are_all_released():
    path = [1.0] * 5 + [0.9] * 40  # a gap of a tenth, so that the loss is far over the limit before anything can be done
    write_candles("btc.csv", [100_000 * share for share in path])
    write_candles("eth.csv", [4_000 * share for share in path])
    assert hedge(RECORDED % 0 + LATCH, "--set", "feed.days=0.01")[0] == 0
    assert {bot["risk_state"] for bot in status().values()} == {"delta_reduce"}
    for name, days in (("BTCUSDT", "0.015"), ("ETHUSDT", "0.02")):
        assert alpha_pulse("resume", "--symbol", name)[0] == 0
        assert hedge(RECORDED % 0 + LATCH, "--set", f"feed.days={days}")[0] == 0
    assert {name: bot["risk_state"] for name, bot in status().items()} == {"BTCUSDT": "normal", "ETHUSDT": "normal"}


# --- processes --------------------------------------------------------------------------------------------------
def test_processes_killed_at_any_moment_end_as_if_nothing_had_happened(tmp_path, monkeypatch):
    chance = random.Random(5)  # noqa: S311 - a test's dice
    kills = 0
    for name, moments in (("undisturbed", ()), ("killed", (20, 80))):  # of about 130 decisions
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.yaml").write_text(TWO % "0.045")
        for moment in moments:
            process = subprocess.Popen(COMMAND, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
            until_it_ticks(process, moment, folder)
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            kills += process.wait(timeout=PATIENCE_S) == -signal.SIGKILL
        answer = subprocess.run(COMMAND, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own
        assert answer.returncode == 0, answer.stderr
    assert kills > 0
    for symbol in (BTC, ETH):
        expected = fills(symbol, tmp_path / "undisturbed")
        assert len(expected) > 4
        assert fills(symbol, tmp_path / "killed") == booked(symbol, tmp_path / "killed") == expected
        assert books(symbol, tmp_path / "killed")["wallets"] == books(symbol, tmp_path / "undisturbed")["wallets"]
    monkeypatch.chdir(tmp_path / "killed")
    intact()


def test_a_stop_by_signal_leaves_no_order_of_any_pair_behind():
    Path("mine.yaml").write_text((TWO % "null").replace("speed: 0", "speed: 600"))
    process = subprocess.Popen(COMMAND, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    assert until_it_ticks(process, 12)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_S) == 0
    for symbol in (BTC, ETH):
        assert resting(symbol) == []
        assert payloads(symbol, "stopped") == [payloads(symbol, "stopped")[0] | {"reason": "signal SIGTERM", "left": 0}]
    assert {bot["running"] for bot in status().values()} == {False}


# --- the command line -------------------------------------------------------------------------------------------
def test_a_pair_that_is_not_listed_is_refused_by_name():
    code, err = hedge(TWO % "0.01", "--symbol", "SOLUSDT")
    assert code == 2
    assert "--symbol = 'SOLUSDT': is not among the pairs" in err
    assert "name one of BTCUSDT, ETHUSDT" in err
    assert not DATABASE.exists()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("  - {symbol: btc/usdt}\n", "BTC/USDT:USDT is listed twice"),
        ("  - {symbol: SOLUSDT, store: {url: x}}\n", "pairs[2].store: is common to all pairs"),
        ("  - {symbol: SOLUSDT, mode: real}\n", "pairs[2].mode: is common to all pairs"),
        ("  - {symbol: SOLUSDT, hedge: {ratio: 50}}\n", "pairs[2].hedge.ratio = '50': looks like a percentage"),
        ("  - {symbol: NOPE}\n", "pairs[2].symbol = 'NOPE': is not a pair"),
    ],
)
def test_slips_in_an_entry_end_every_command_before_it_begins(entry, told):
    Path("mine.yaml").write_text(TWO % "0.01" + entry)
    for command in ("run", "demo"):
        code, out, err = alpha_pulse(command, "--config", "mine.yaml")
        assert (code, out) == (2, "")
        assert told in err
        assert "Traceback" not in err
    assert not DATABASE.exists()


def test_flags_and_the_environment_reach_every_pair_that_does_not_say_otherwise(monkeypatch):
    monkeypatch.setenv("ALPHA_PULSE_HEDGE__RATIO", "0.3")
    assert hedge(TWO % "9", "--set", "feed.days=0.01", "--set", "grid.num_levels=4", "--inventory", "3")[0] == 0
    for symbol, quantity in ((BTC, "3"), (ETH, "20")):
        (started,) = payloads(symbol, "started")
        settings = started["settings"]
        assert (settings["hedge"]["ratio"], settings["grid"]["num_levels"], settings["inventory"]["quantity"]) == (0.3, 4, quantity)
        assert last_minute(symbol) == 14


def test_a_demo_shows_the_first_pair_or_the_one_that_is_named():
    Path("mine.yaml").write_text(TWO % "9")
    for options, name in (((), "BTC"), (("--symbol", "ethusdt"), "ETH")):
        code, _, err = alpha_pulse("demo", "--config", "mine.yaml", "--days", "0.2", "--out", "here", *options)
        assert code == 0, err
        shown = Path("here/result.json").read_text()
        assert [coin for coin in ("BTC", "ETH") if coin in shown] == [name]
    assert not DATABASE.exists()
