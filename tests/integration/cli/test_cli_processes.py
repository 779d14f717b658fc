"""The command line as a user meets it: real processes, a real database, a bot that runs."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "alpha_pulse")
ENVIRONMENT = {**{k: v for k, v in os.environ.items() if k != "TRADING_MODE"}, "COLUMNS": "200"}
PATIENCE_S = 60.0


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own


def alpha_pulse(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(*COMMAND, *arguments, cwd=cwd)


def wait_for(cwd: Path, *arguments: str) -> list[dict[str, object]]:
    """The JSON list that a command prints, as soon as it is not empty and its first entry has a price (if it is a status)."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = alpha_pulse(*arguments, "--json", cwd=cwd)
        found = json.loads(answer.stdout) if answer.returncode == 0 else []
        if found and found[0].get("price", "") is not None:
            return found
        time.sleep(0.2)
    pytest.fail(f"nothing came of {arguments}")


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A bot on a fast simulated market, with the options of the test's parameter."""
    options = getattr(request, "param", ())
    command = [*COMMAND, "run", "--set", "feed.speed=600", "--set", "logging.level=WARNING", *options]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603 - our own
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=PATIENCE_S)


def test_a_bot_runs_is_seen_is_stopped_and_leaves_an_intact_record(tmp_path: Path, running: subprocess.Popen[str]):
    bot = wait_for(tmp_path, "status")[0]
    assert (bot["pair"], bot["running"], bot["pid"]) == ("BTCUSDT", True, running.pid)
    assert f"pid {running.pid}" in alpha_pulse("status", cwd=tmp_path).stdout

    assert alpha_pulse("resume", "--symbol", "btc/usdt", cwd=tmp_path).returncode == 0

    second = alpha_pulse("run", "--set", "feed.speed=600", cwd=tmp_path)
    assert second.returncode == 2
    assert str(running.pid) in second.stderr
    assert "Traceback" not in second.stderr

    stopped = alpha_pulse("stop", cwd=tmp_path)
    assert stopped.returncode == 0
    assert "BTCUSDT stopped (asked to stop): " in stopped.stdout
    assert " 0 left; a short of 0." in stopped.stdout
    assert running.wait(timeout=PATIENCE_S) == 0

    assert json.loads(alpha_pulse("status", "--json", cwd=tmp_path).stdout)[0]["running"] is False
    audit = alpha_pulse("audit", "verify", cwd=tmp_path)
    assert (audit.returncode, audit.stdout.startswith("Intact: ")) == (0, True)

    again = alpha_pulse("stop", cwd=tmp_path)
    assert (again.returncode, "there is no running bot" in again.stderr) == (2, True)
    other = alpha_pulse("resume", "--symbol", "ETHUSDT", cwd=tmp_path)
    assert (other.returncode, "there is no bot for ETHUSDT" in other.stderr) == (2, True)


@pytest.mark.parametrize("running", [("--mode", "recommendation", "--set", "feed.speed=60")], indirect=True)
def test_a_ticket_is_listed_answered_and_its_fill_reported(tmp_path: Path, running: subprocess.Popen[str]):
    tickets = wait_for(tmp_path, "tickets", "list")
    highest = max((t for t in tickets if t["price"]), key=lambda t: float(str(t["price"])))  # far from the price: it stands for a while
    ticket = str(highest["id"])
    assert ticket in alpha_pulse("tickets", "list", cwd=tmp_path).stdout

    for arguments in (("accept", ticket), ("done", ticket, "--price", "95000", "--quantity", str(highest["quantity"]))):
        answer = alpha_pulse("tickets", *arguments, cwd=tmp_path)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert ticket in answer.stdout

    deadline = time.monotonic() + PATIENCE_S
    statuses: dict[str, str] = {}
    while statuses.get(ticket) != "done" and time.monotonic() < deadline:
        listed = json.loads(alpha_pulse("tickets", "list", "--all", "--json", cwd=tmp_path).stdout)
        statuses = {t["id"]: t["status"] for t in listed}
    assert statuses[ticket] == "done"

    closed = alpha_pulse("tickets", "reject", ticket, cwd=tmp_path)
    assert (closed.returncode, "is done already" in closed.stderr) == (2, True)
    unknown = alpha_pulse("tickets", "reject", "nothing", cwd=tmp_path)
    assert (unknown.returncode, "there is no such ticket" in unknown.stderr) == (2, True)
    several = alpha_pulse("tickets", "reject", "ap", cwd=tmp_path)
    assert (several.returncode, "tickets begin like this" in several.stderr) == (2, len(statuses) > 1)


def test_an_altered_record_is_found(tmp_path: Path, running: subprocess.Popen[str]):
    import sqlite3  # noqa: PLC0415 - this test alone plays the forger
    from contextlib import closing  # noqa: PLC0415 - as above

    wait_for(tmp_path, "status")
    alpha_pulse("stop", cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / "var" / "alpha_pulse.db")) as connection:
        triggers = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for trigger in triggers:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("UPDATE events SET payload = '{}' WHERE sequence = 2")
        connection.commit()
    answer = alpha_pulse("audit", "verify", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "BTCUSDT (paper): event 2:" in answer.stderr


def test_help_needs_none_of_the_heavy_libraries(tmp_path: Path):
    heavy = "{'pydantic', 'numpy', 'sqlalchemy', 'ccxt', 'yaml', 'loguru', 'alembic'}"
    code = f"import sys, alpha_pulse.cli.main; print(sorted({heavy} & set(sys.modules)))"
    answer = run(sys.executable, "-c", code, cwd=tmp_path)
    assert answer.stdout.strip() == "[]"


def test_help_takes_half_a_second_at_most(tmp_path: Path):
    best = 10.0
    for _ in range(5):  # the best of five: other processes share this machine
        start = time.perf_counter()
        assert alpha_pulse("--help", cwd=tmp_path).returncode == 0
        best = min(best, time.perf_counter() - start)
    assert best < 0.5


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path):
    answer = run("/bin/sh", "-c", f"{' '.join(COMMAND)} config show --json | head -n 1", cwd=tmp_path)
    assert (answer.stdout, answer.stderr) == ("{\n", "")


class Terminal:
    """A command on a pseudo-terminal, for what only happens there."""

    def __init__(self, cwd: Path, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([*COMMAND, *arguments], cwd=cwd, env=ENVIRONMENT, stdin=slave, stdout=slave, stderr=slave)  # noqa: S603 - our own
        os.close(slave)
        self.seen = ""

    def expect(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += os.read(self.master, 4096).decode()

    def answer(self, question: str, text: str) -> None:
        self.expect(question)
        self.seen = ""
        os.write(self.master, f"{text}\n".encode())

    def end(self) -> int:
        try:
            return self.process.wait(timeout=PATIENCE_S)
        finally:
            os.close(self.master)


def test_init_asks_on_a_terminal_and_asks_again_after_a_slip(tmp_path: Path):
    terminal = Terminal(tmp_path, "init", "--mode", "paper", "-o", "mine.yaml")
    terminal.answer("Which pair", "eth/usdt")
    terminal.answer("How many coins", "many")
    terminal.expect("is not a number")
    terminal.answer("How many coins", "2.5")
    terminal.answer("Which share", "50")
    terminal.expect("write 0.5 for 50 %")
    terminal.answer("Which share", "0.6")
    terminal.answer("Where do prices", "recorded")
    terminal.answer("File of spot", "absent.csv")
    terminal.answer("File of perp", "absent.csv")
    terminal.expect("no such file")
    terminal.answer("Where do prices", "")
    terminal.expect("Wrote mine.yaml")
    assert terminal.end() == 0
    written = (tmp_path / "mine.yaml").read_text()
    assert "symbol: eth/usdt" in written
    assert 'quantity: "2.5"' in written
    assert "ratio: 0.6" in written


def test_ctrl_c_leaves_quietly_with_130(tmp_path: Path):
    terminal = Terminal(tmp_path, "init", "-o", "mine.yaml")
    terminal.expect("Which pair")
    deadline = time.monotonic() + PATIENCE_S
    while terminal.process.poll() is None and time.monotonic() < deadline:
        terminal.process.send_signal(signal.SIGINT)  # again if it came between the question and the reading of the answer
        time.sleep(0.5)
    assert terminal.process.wait(timeout=PATIENCE_S) == 130
    assert "Traceback" not in terminal.seen
    assert not (tmp_path / "mine.yaml").exists()
    terminal.end()
