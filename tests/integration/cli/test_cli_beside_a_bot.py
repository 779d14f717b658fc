"""The operating commands beside a bot that is played by a thread: the same database, no market."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.main import app, main
from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.orders import Fill, Liquidity, Purpose, Side
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost

URL = "sqlite+aiosqlite:///var/alpha_pulse.db"
SYMBOL = "BTC/USDT:USDT"
NOW = 1_735_700_000_000
TICK = {
    "market": {"perp": {"close": 95_000.0}, "mark": {"close": 95_100.0}},
    "inventory": "1.0",
    "target_position": -0.6,
    "drawdown": 0.01,
    "risk_state": "normal",
    "reasons": [],
}
FILL = Fill(
    "t1",
    "apxxxxxgs001",
    SYMBOL,
    Side.SELL,
    Decimal(95_000),
    Decimal("0.5"),
    Decimal(10),
    "USDT",
    Liquidity.MAKER,
    NOW,
    Decimal(95_000),
    Purpose.GRID,
)
TICKET = {
    "id": "ap1234gs",
    "number": 1,
    "side": "sell",
    "quantity": "0.1",
    "price": "96000",
    "why": "node [3]",
    "status": "open",
    "cost_bps": 2.0,
}


def event(kind: EventKind, payload: Mapping[str, Any]) -> Event:
    return Event(kind, NOW, "t", payload)


EVENTS = (
    event(EventKind.STARTED, {}),
    event(EventKind.FILL, {"fill": to_jsonable(FILL)}),
    event(EventKind.TICK, TICK),
    event(EventKind.TICKET, {"ticket": TICKET}),
    event(EventKind.TICKET, {"ticket": TICKET | {"id": "ap1299gs", "status": "expired"}}),
)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADING_MODE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


async def play(
    *, symbol: str = SYMBOL, started: threading.Event | None = None, busy: threading.Event | None = None
) -> list[tuple[str, str]]:
    """A bot's database work: it records what happened and, if it is to run, obeys until it is told to stop.

    While ``busy`` is set it does not look at its commands.
    """
    engine = await open_database(URL)
    store = SqlStore(engine, host=SystemHost())
    obeyed: list[tuple[str, str]] = []
    await store.open("paper", symbol, "run", NOW)
    await store.save(EVENTS, BotState())
    if started is not None:
        started.set()
        while ("stop", "") not in obeyed:
            if busy is None or not busy.is_set():
                obeyed += [(command.name, command.argument) for command in await store.commands()]
            await asyncio.sleep(0.02)
        await store.save([event(EventKind.STOPPED, {"reason": "asked to stop", "cancelled": 3, "left": 0})])
    await store.close()
    await engine.dispose()
    return obeyed


@contextmanager
def running_bot(busy: threading.Event | None = None) -> Iterator[list[tuple[str, str]]]:
    """A bot that runs until ``stop``; what it was told appears in the list when it has ended."""
    told: list[tuple[str, str]] = []
    started = threading.Event()
    thread = threading.Thread(target=lambda: told.extend(asyncio.run(play(started=started, busy=busy))))
    thread.start()
    assert started.wait(30)
    yield told
    thread.join(30)
    assert not thread.is_alive()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_running_bot_is_shown_commanded_and_stopped():
    with running_bot() as told:
        code, output = run("status", "--json")
        bot = json.loads(output)[0]
        assert (code, bot["running"], bot["price"], bot["short"], bot["last_tick_ms"]) == (0, True, 95_000.0, -0.5, NOW)
        assert (bot["hedge_ratio"], bot["target_ratio"]) == (0.5, 0.6)
        assert bot["pnl"] == pytest.approx(-0.5 * 100 - 10)
        assert "50.0% of 60.0%" in run("status")[1]
        assert run("resume", "--symbol", "BTCUSDT")[0] == 0
        assert run("stop", "--symbol", "btcusdt") == (
            0,
            "BTCUSDT stopped (asked to stop): 3 orders cancelled, 0 left; a short of 0.5 at 95000.00 stays open.\n",
        )
    assert ("resume", "") in told
    assert told[-1] == ("stop", "")


def test_an_impatient_stop_says_that_it_is_not_done():
    busy = threading.Event()
    busy.set()
    with running_bot(busy):
        code, output = run("stop", "--timeout", "0.1")
        busy.clear()
    assert (code, "BTCUSDT has not stopped after 0.1 s" in output) == (1, True)


def test_a_verdict_reaches_the_bot_with_the_whole_id():
    with running_bot() as told:
        assert run("tickets", "accept", "ap123")[0] == 0
        assert run("tickets", "reject", "ap1234gs")[0] == 0
        assert run("tickets", "done", "ap1234gs", "--price", "9.6e4", "--quantity", "0.10")[0] == 0
        run("stop")
    assert told[:3] == [("accept", "ap1234gs"), ("reject", "ap1234gs"), ("done", "ap1234gs 96000 0.1")]


def test_tickets_are_listed(capsys):
    asyncio.run(play())
    code, output = run("tickets", "list")
    assert (code, "ap1234gs" in output, "node [3]" in output, "ap1299gs" in output) == (0, True, True, False)
    assert "ap1299gs" in run("tickets", "list", "--all")[1]
    assert [t["id"] for t in json.loads(run("tickets", "list", "--json")[1])] == ["ap1234gs"]
    assert "2 tickets begin like this" in refusal(capsys, "tickets", "accept", "ap12")
    assert "is expired already" in refusal(capsys, "tickets", "accept", "ap1299gs")
    assert "no such ticket" in refusal(capsys, "tickets", "accept", "zz")


def test_one_of_several_bots_must_be_named(capsys):
    asyncio.run(play())
    asyncio.run(play(symbol="ETH/USDT:USDT"))
    assert "there are several bots: BTCUSDT (paper), ETHUSDT (paper)" in refusal(capsys, "resume")
    assert run("resume", "--symbol", "ETHUSDT")[0] == 0
    assert "there is no running bot." in refusal(capsys, "stop")


def test_an_intact_record_is_called_intact():
    asyncio.run(play())
    assert run("audit", "verify") == (0, "Intact: 5 events of 1 bots, every link recomputed.\n")


def test_a_database_that_is_none_is_refused(capsys):
    Path("var").mkdir()
    Path("var/alpha_pulse.db").write_text("no database at all, but long enough to have a header of its own")
    for arguments in (("status",), ("stop",), ("audit", "verify")):
        assert "store.url" in refusal(capsys, *arguments)


def test_a_demo_shows_its_figures_and_leaves_its_files():
    code, output = run("demo", "--days", "1", "--out", "here", "--inventory", "2")
    assert code == 0
    assert "SIMULATED MARKET (seed 7)" in output
    assert "here/report.html" in output
    shown = json.loads(Path("here/result.json").read_text())
    assert {"fees", "funding", "perp_position", "cash", "hedge_effectiveness"} <= set(shown)


def test_a_demo_never_needs_the_network():
    Path("live.yaml").write_text("mode: recommendation\nfeed: {source: ccxt, days: 1}\n")
    code, output = run("demo", "--config", "live.yaml", "--out", "here")
    assert (code, "SIMULATED MARKET" in output) == (0, True)


def test_a_run_ends_with_its_market():
    code, _ = run("run", "--set", "feed.days=0.02", "--set", "feed.speed=0", "--set", "logging.level=ERROR")
    assert code == 0
    assert "last tick" in run("status")[1]
