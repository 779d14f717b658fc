"""``flatten`` and ``kill`` on bots that run in processes of their own, and what is left of them after a restart."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.main import app
from tests.integration.cli.running import alpha_pulse

COMMAND = (sys.executable, "-m", "alpha_pulse")
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TRADING_MODE" and not k.startswith("ALPHA_PULSE_")}
PATIENCE_S = 60.0
PACE = "feed.speed=900"  # a quarter of an hour of market a second
DATABASE = Path("var/alpha_pulse.db")
START_MS = 1_735_689_600_000  # of the simulated market
MINUTE_MS = 60_000
ACTIVE = ("--set=grid.grid_spacing_pct=0.001", "--set=grid.volatility_multiple=0", "--set=grid.num_levels=3")  # a fill every few minutes


pytestmark = pytest.mark.usefixtures("own_folder")


def run_to(end: float, *options: str) -> None:
    """A bot that goes on, as fast as it can, to this day of its market."""
    code, _, err = alpha_pulse("run", "--set=feed.speed=0", "--set=logging.level=ERROR", f"--set=feed.days={end}", *ACTIVE, *options)
    assert code == 0, err


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts bots in processes; what still runs when the test ends is killed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        command = [*COMMAND, "run", f"--set={PACE}", "--set=logging.level=WARNING", *ACTIVE, *options]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - our own
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE_S)


def rows(query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(DATABASE, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def kinds(after: int = 0) -> list[str]:
    return [kind for (kind,) in rows(f"SELECT kind FROM events WHERE sequence > {after} ORDER BY sequence")]  # noqa: S608 - our own


def head() -> int:
    return int(rows("SELECT max(sequence) FROM events")[0][0])


def last(kind: str) -> dict[str, Any]:
    query = f"SELECT payload FROM events WHERE kind = '{kind}' ORDER BY sequence DESC LIMIT 1"  # noqa: S608 - our own
    payload: dict[str, Any] = json.loads(rows(query)[0][0])
    return payload


def statuses() -> list[dict[str, Any]]:
    """Every bot, by its pair."""
    found: list[dict[str, Any]] = json.loads(alpha_pulse("status", "--json")[1])
    return found


def status() -> dict[str, Any]:
    (bot,) = statuses()
    return bot


def placed(after: int) -> set[str]:
    """Purposes of the orders that the bot meant to send since."""
    query = f"SELECT payload FROM events WHERE kind = 'order_intended' AND sequence > {after}"  # noqa: S608 - our own
    return {json.loads(text)["order"]["purpose"] for (text,) in rows(query)}


def venue() -> tuple[float, list[str]]:
    """The position that the paper venue books, and the purposes of the orders that rest there."""
    (account,) = json.loads(rows("SELECT state FROM paper_accounts")[0][0])["pairs"].values()
    fills = [json.loads(text) for (text,) in rows("SELECT booking FROM paper_fills ORDER BY number")]
    position = sum(float(fill["quantity"]) * (1 if fill["side"] == "buy" else -1) for fill in fills)
    return round(position, 9), sorted(order["order"]["request"]["purpose"] for order in account["desk"]["book"]["open"])


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if happened():
                return
        except (sqlite3.OperationalError, ValueError, IndexError):
            pass  # the bot has not made its tables yet
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def hedged() -> bool:
    """A short, a grid and a stop."""
    position, orders = venue()
    return position < -0.3 and {"grid", "stop"} <= set(orders)


def ticks_pass(count: int = 10) -> None:
    before = head()
    until(lambda: kinds(before).count("tick") >= count)


def write_candles(path: str, closes: Sequence[float], *, first_minute: int) -> None:
    """One-minute bars from a minute of the simulated market on."""
    lines, before = ["timestamp,open,high,low,close,volume"], closes[0]
    for number, close in enumerate(closes, start=first_minute):
        prices = f"{before:.1f},{max(before, close):.1f},{min(before, close):.1f},{close:.1f}"
        lines.append(f"{START_MS + number * MINUTE_MS},{prices},100")
        before = close
    Path(path).write_text("\n".join(lines) + "\n")


# --- flatten ----------------------------------------------------------------------------------------------------
def test_flattening_needs_a_bot_that_runs():
    code, _, err = alpha_pulse("flatten", "--yes")
    assert (code, "no bot has run with this database" in err) == (2, True)
    run_to(0.01)
    before = head()
    code, out, err = alpha_pulse("flatten", "--yes")
    assert (code, out) == (2, "")
    assert "there is no running bot" in err
    assert rows("SELECT count(*) FROM commands") == [(0,)]
    run_to(0.015)
    assert "flattened" not in kinds(before)


STORMY = ("--set=feed.source=recorded", "--set=feed.spot=storm.csv", "--set=feed.perp=storm.csv", "--set=risk.max_drawdown=0.1")


def test_a_flattened_hedge_stays_off_through_restart_and_storm_until_the_user_resumes(start):
    process = start()
    until(hedged)

    # The question names what is at stake; "no" changes nothing.
    answer = CliRunner().invoke(app, ["flatten"], input="n\n")
    assert answer.exit_code == 1
    assert "This removes the hedge of BTCUSDT (a short of 0." in answer.output
    assert "Remove the hedge?" in answer.output
    assert "Asked BTCUSDT to flatten" not in answer.output
    assert rows("SELECT count(*) FROM commands") == [(0,)]
    ticks_pass(6)
    assert "flattened" not in kinds()
    assert hedged()

    # "yes" closes everything.
    code, out, _ = alpha_pulse("flatten", "--yes")
    assert (code, "Asked BTCUSDT to flatten" in out) == (0, True)
    until(lambda: venue() == (0.0, []))
    until(lambda: status()["risk_state"] == "halted")
    bot = status()
    assert (bot["short"], bot["reasons"], bot["running"]) == (0.0, ["the user removed the hedge"], True)
    quiet = head()
    ticks_pass(6)
    assert {"order_intended", "fill"}.isdisjoint(kinds(quiet))
    assert alpha_pulse("stop")[0] == 0
    assert process.wait(timeout=PATIENCE_S) == 0

    # A restart into a crash that latches everything there is, and a rally through the whole grid.
    minute = (rows("SELECT max(ts_ms) FROM events")[0][0] - START_MS) // MINUTE_MS
    price = last("tick")["market"]["perp"]["close"]
    path = [1.0, *[1 - 0.03 * step for step in range(1, 12)], *[0.67 + 0.04 * step for step in range(1, 12)], 1.1, 1.1]
    write_candles("storm.csv", [price * share for share in path], first_minute=minute)
    before = head()
    run_to(1, *STORMY)
    assert {"started", "drawdown_latched", "target_changed"} <= set(kinds(before))
    assert last("target_changed")["after"]["floor"] == 1.0
    assert {"order_intended", "fill", "order_rejected"}.isdisjoint(kinds(before))
    assert venue() == (0.0, [])
    assert status()["reasons"] == ["the user removed the hedge"]
    assert "the user removed the hedge" in alpha_pulse("status")[1]
    assert "Risk state HALTED: the user removed the hedge." in alpha_pulse("explain")[1]

    # Resumed, it hedges again.
    assert alpha_pulse("resume")[0] == 0
    later = [price * (1.1 + 0.0001 * (-1) ** step) for step in range(10)]
    write_candles("storm.csv", later, first_minute=minute + 40)
    run_to(1, *STORMY)
    bot = status()
    assert bot["risk_state"] == "normal"
    assert -1.0 <= bot["short"] < -0.4
    assert bot["short"] == venue()[0]
    assert alpha_pulse("audit", "verify")[0] == 0
    assert alpha_pulse("explain", "--verify")[0] == 0


def test_one_of_several_running_bots_must_be_named_and_the_others_do_not_notice(start):
    Path("two.yaml").write_text("pairs:\n  - symbol: BTCUSDT\n  - symbol: ETHUSDT\n    inventory: {quantity: 20}\n")
    process = start("--config", "two.yaml")
    until(lambda: rows("SELECT count(DISTINCT symbol) FROM fills") == [(2,)])
    code, _, err = alpha_pulse("flatten", "--yes")
    assert (code, "there are several bots" in err) == (2, True)
    assert alpha_pulse("flatten", "--yes", "--symbol", "ethusdt")[0] == 0
    until(lambda: rows("SELECT quantity FROM positions WHERE symbol LIKE 'ETH%' AND CAST(quantity AS REAL) = 0") != [])
    ticks_pass(8)
    found = {bot["pair"]: (bot["risk_state"], bot["running"], bot["short"] < -0.3) for bot in statuses()}
    assert found == {"BTCUSDT": ("normal", True, True), "ETHUSDT": ("halted", True, False)}

    assert alpha_pulse("kill", "--symbol", "ETHUSDT")[0] == 0  # ends that pair alone
    until(lambda: [bot["running"] for bot in statuses()] == [True, False])
    ticks_pass(4)
    assert alpha_pulse("stop", "--symbol", "BTCUSDT")[0] == 0
    assert process.wait(timeout=PATIENCE_S) == 0

    # One resume releases what was asked for twice.
    day = last_minute() / 1440
    for end, state, flat in ((day + 0.005, "halted", True), (day + 0.02, "normal", False)):
        run_to(end, "--symbol", "ETHUSDT", "--inventory", "20")
        _, ether = statuses()
        assert (ether["risk_state"], ether["short"] == 0.0) == (state, flat)
        assert alpha_pulse("resume", "--symbol", "ETHUSDT")[0] == 0


def ask(name: str) -> None:
    """Leave a command as the command line does for a bot that runs."""
    with closing(sqlite3.connect(DATABASE, timeout=30)) as connection:
        values = ("paper", "BTC/USDT:USDT", name)
        connection.execute("INSERT INTO commands (account, symbol, name, argument, created_ms) VALUES (?, ?, ?, '', 0)", values)
        connection.commit()


@pytest.mark.parametrize("inventory", ["-1", "0"])
def test_a_short_inventory_and_a_neutral_grid_are_flattened_too(inventory):
    neutral = ("--set=risk.max_position_size=1", "--set=paper.quote_balance=100000", "--set=hedge.amplitude=1")
    options = ("--inventory", inventory, *(neutral if inventory == "0" else ()))
    run_to(0.03, *options)
    assert abs(venue()[0]) > 0.05
    ask("flatten")
    run_to(0.05, *options)
    assert "flattened" in kinds()
    assert venue() == (0.0, [])
    closed = rows("SELECT max(sequence) FROM events WHERE kind = 'fill'")[0][0]
    assert kinds(closed).count("tick") > 20
    assert "order_intended" not in kinds(closed)


def test_a_bot_that_was_killed_can_still_be_flattened():
    run_to(0.03)
    alpha_pulse("kill")
    run_to(0.04)  # takes the kill up
    assert venue()[0] < 0
    ask("flatten")  # as `alpha-pulse flatten` does while a halted bot runs
    run_to(0.06)
    assert "flattened" in kinds()
    assert venue() == (0.0, [])


# --- kill -------------------------------------------------------------------------------------------------------
def test_a_kill_withdraws_the_grid_leaves_the_stop_and_lasts_until_the_user_resumes(start):
    process = start()
    until(hedged)
    code, out, _ = alpha_pulse("kill")
    assert (code, "Asked BTCUSDT to halt and end" in out) == (0, True)
    assert process.wait(timeout=PATIENCE_S) == 0
    position, orders = venue()
    assert (position < 0.0, orders) == (True, ["stop"])
    bot = status()
    assert (bot["running"], bot["risk_state"], bot["reasons"]) == (False, "halted", ["killed by the user"])
    assert last("stopped")["reason"] == "killed"

    # The next run is halted too: it watches, and places nothing.
    before, day = head(), (last_minute() + 30) / 1440
    run_to(day)
    assert placed(before) <= {"stop"}
    assert "fill" not in kinds(before)
    assert kinds(before).count("tick") >= 25
    assert venue() == (position, ["stop"])
    assert status()["risk_state"] == "halted"

    # Resumed, it quotes again; a clean end takes the stop out as well.
    assert alpha_pulse("resume")[0] == 0
    run_to(day + 0.02)
    assert {"resumed", "order_intended"} <= set(kinds(before))
    assert status()["risk_state"] == "normal"
    assert venue()[1] == []
    assert alpha_pulse("audit", "verify")[0] == 0
    assert alpha_pulse("explain", "--verify")[0] == 0


def last_minute() -> int:
    return int((rows("SELECT max(ts_ms) FROM events")[0][0] - START_MS) // MINUTE_MS)


def test_a_kill_of_a_bot_that_does_not_run_holds_from_its_next_start():
    run_to(0.05, "--set=execution.keep_stop_on_exit=true")
    assert venue()[1] == ["stop"]
    code, out, _ = alpha_pulse("kill")
    assert (code, "running or not" in out) == (0, True)
    before, position = head(), venue()[0]
    for end in (0.06, 0.07):  # the first start takes it up and ends, the second finds it in the memory
        run_to(end)
        assert placed(before) <= {"stop"}  # it carries what the grid could have taken off no longer
        assert "fill" not in kinds(before)
        assert venue() == (position, ["stop"])
        assert (status()["risk_state"], status()["reasons"]) == ("halted", ["killed by the user"])
    assert kinds(before).count("killed") == 1
    assert alpha_pulse("resume")[0] == 0
    run_to(0.08)
    assert "order_intended" in kinds(before)
    assert status()["risk_state"] == "normal"


def test_a_kill_before_anything_ever_ran_has_nobody_to_reach():
    code, _, err = alpha_pulse("kill")
    assert (code, "no bot has run with this database" in err) == (2, True)


def test_a_kill_that_was_taken_back_before_the_next_start_does_not_end_it():
    run_to(0.02)
    assert alpha_pulse("kill")[0] == 0
    assert alpha_pulse("resume")[0] == 0
    before = head()
    run_to(0.04)
    assert last("stopped")["reason"] == "the feed has ended"
    assert kinds(before).count("tick") > 10
