"""``alpha-pulse explain``: what it shows, and that every recorded target follows from what was recorded with it."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.ids import SeededIds
from alpha_pulse.runtime.process import SystemHost
from tests.integration.cli.running import alpha_pulse

START_MS = 1_735_689_600_000  # 2025-01-01 00:00 UTC
HOUR_MS = 3_600_000
DATABASE = Path("var/alpha_pulse.db")
QUIET = ("--set=feed.speed=0", "--set=logging.level=ERROR", "--set=logging.file=null")


pytestmark = pytest.mark.usefixtures("own_folder")


def run(*options: str) -> None:
    code, _, err = alpha_pulse("run", *QUIET, *options)
    assert code == 0, err


def simulated(days: float, *options: str) -> None:
    run("--set", f"feed.days={days}", *options)


def write_candles(path: Path, closes: Sequence[float]) -> None:
    """Hourly bars through the closes; one in between touches a little beyond both of its ends."""
    lines, before = ["timestamp,open,high,low,close,volume"], closes[0]
    for number, close in enumerate(closes):
        high, low = max(before, close) * 1.001, min(before, close) * 0.999
        lines.append(f"{START_MS + number * HOUR_MS},{before:.1f},{high:.1f},{low:.1f},{close:.1f},100")
        before = close
    path.write_text("\n".join(lines) + "\n")


def storm() -> list[float]:
    """Calm hours, a crash of a third, a dead calm, a recovery beyond the start, and calm again."""
    calm = [100_000 * (1 + 0.002 * math.sin(hour)) for hour in range(8)]
    crash = [100_000 * (1 - 0.33 * hour / 4) for hour in range(1, 5)]
    low = [67_000 + 20 * (-1) ** hour for hour in range(20)]
    back = [67_000 + 37_000 * hour / 4 for hour in range(1, 5)]
    return [*calm, *crash, *low, *back, *[104_000 + 20 * (-1) ** hour for hour in range(12)]]


STORM = (
    *("--set", "feed.source=recorded", "--set", "feed.spot=storm.csv", "--set", "feed.perp=storm.csv"),
    *("--set", "risk.stop_volatility_multiple=0", "--set", "risk.floor_half_life_hours=1", "--set", "risk.max_drawdown=0.2"),
)


def stormy(*options: str) -> None:
    write_candles(Path("storm.csv"), storm())
    run(*STORM, *options)


def rows(query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(DATABASE)) as connection:
        return connection.execute(query).fetchall()


def payloads(kind: str) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in rows(f"SELECT payload FROM events WHERE kind = '{kind}' ORDER BY sequence")]  # noqa: S608 - our own


def verified(count: int, *options: str) -> None:
    """Verification passes and counts what the record holds."""
    code, out, err = alpha_pulse("explain", "--verify", *options)
    assert (code, err.strip()) == (0, "")
    assert f": {count} targets decided again from their snapshots, every one the same to the last bit." in out


Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two targets or more, in a file without its guards."""
    folder = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("TRADING_MODE", raising=False)
        simulated(0.05)
        assert len(payloads("target_changed")) >= 2
        with closing(sqlite3.connect(DATABASE)) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{trigger}"')
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.commit()
    return folder


# --- before anything was decided --------------------------------------------------------------------------------
def test_without_a_store_there_is_nothing_to_explain_and_none_is_made():
    for arguments in (("explain",), ("explain", "--verify"), ("explain", "--json")):
        code, out, err = alpha_pulse(*arguments)
        assert (code, out) == (2, "")
        assert "no bot has run with this database" in err
    assert not DATABASE.exists()


async def _opened_only() -> None:
    engine = await open_database(f"sqlite+aiosqlite:///{DATABASE}")
    store = SqlStore(engine, host=SystemHost())
    await store.open("paper", "BTC/USDT:USDT", "run", 0)
    await store.close()
    await engine.dispose()


def test_a_bot_that_has_decided_nothing_yet_says_so():
    asyncio.run(_opened_only())
    code, out, err = alpha_pulse("explain")
    assert (code, out) == (2, "")
    assert "BTCUSDT had decided nothing yet" in err
    assert "alpha-pulse status" in err


# --- what is shown ----------------------------------------------------------------------------------------------
def test_the_table_tells_each_step_and_what_the_grid_makes_of_it(record, monkeypatch):
    monkeypatch.chdir(record)
    code, out, _ = alpha_pulse("explain")
    assert code == 0
    target = payloads("target_changed")[-1]["after"]
    assert f"BTCUSDT: hedge ratio {target['ratio']:.1%}, floor {target['floor']:.1%}, in force since 2025-01-01 00:" in out
    for step in target["contributions"]:
        line = next(line for line in out.splitlines() if step["name"] in line)
        assert f"{step['before']:.1%}" in line
        assert f"{step['after']:.1%}" in line
        assert step["reason"] in line
    tick = payloads("tick")[-1]
    assert f"price {tick['market']['perp']['close']:,.2f}: the grid around {tick['anchor']:,.2f} asks for" in out
    assert f"held is {float(tick['account']['position']['quantity']):+.6g}." in out


def test_json_is_the_object_that_was_stored(record, monkeypatch):
    monkeypatch.chdir(record)
    code, out, err = alpha_pulse("explain", "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    stored = payloads("target_changed")[-1]["after"]
    assert shown["pair"] == "BTCUSDT"
    assert shown["target"] == stored
    assert [step["name"] for step in shown["target"]["contributions"]][:5] == ["sizer", "funding tilt", "bounds", "cost test", "hysteresis"]
    assert shown["last_tick"]["ts_ms"] == rows("SELECT max(ts_ms) FROM events WHERE kind = 'tick'")[0][0]
    assert shown["target"]["contributions"][-1]["after"] == shown["target"]["floor"]


def test_a_time_in_the_past_shows_what_was_in_force_then():
    stormy()
    targets = [
        (ts, json.loads(payload)["after"]) for ts, payload in rows("SELECT ts_ms, payload FROM events WHERE kind = 'target_changed'")
    ]
    assert len(targets) > 5
    for at, (ts_ms, stored) in enumerate(targets[:-1]):
        for moment in (ts_ms, targets[at + 1][0] - 1):  # from its own millisecond to the one before the next
            when = datetime.fromtimestamp(moment / 1000, UTC)
            shown = json.loads(alpha_pulse("explain", "--json", "--at", when.isoformat())[1])
            assert (shown["target"], shown["since_ms"]) == (stored, ts_ms)
            assert shown["last_tick"]["ts_ms"] <= moment
        if at == 2:
            break
    assert json.loads(alpha_pulse("explain", "--json", "--at", "2030-01-01")[1])["target"] == targets[-1][1]


def test_times_are_utc_unless_they_name_a_zone(record, monkeypatch):
    monkeypatch.chdir(record)
    shown = [alpha_pulse("explain", "--at", text) for text in ("2025-01-01T00:30", "2025-01-01T02:30+02:00", "2024-12-31T20:30-04:00")]
    assert shown[0][0] == 0
    assert shown[0] == shown[1] == shown[2]


def test_a_time_before_the_first_decision_is_refused_with_that_reason(record, monkeypatch):
    monkeypatch.chdir(record)
    code, out, err = alpha_pulse("explain", "--at", "2024-12-31T23:59")
    assert (code, out) == (2, "")
    assert "--at: BTCUSDT had decided nothing by then" in err


@pytest.mark.parametrize("text", ["now", "", "2025-13-01", "12:00", "yesterday", "1e9999", "[bold]"])
def test_a_time_that_is_none_is_refused_with_the_fix(text):
    code, out, err = alpha_pulse("explain", "--at", text)
    assert (code, out) == (2, "")
    assert f"--at = {text!r}: is no time" in err
    assert "Fix: write 2026-03-01T12:00" in err


def test_of_two_bots_in_one_store_the_one_that_is_meant_must_be_named():
    simulated(0.005)
    simulated(0.005, "--symbol", "ETHUSDT")
    for arguments in (("explain",), ("explain", "--verify")):
        code, _, err = alpha_pulse(*arguments)
        assert code == 2
        assert "there are several bots: BTCUSDT (paper), ETHUSDT (paper)" in err
        assert "Fix: say which one with --symbol" in err
    for name in ("BTCUSDT", "eth/usdt"):
        code, out, _ = alpha_pulse("explain", "--symbol", name)
        assert (code, out.startswith(name.replace("/", "").upper())) == (0, True)
        symbols = [symbol for (symbol,) in rows("SELECT symbol FROM events WHERE kind = 'target_changed'")]
        verified(sum(symbol.startswith(name[:3].upper()) for symbol in symbols), "--symbol", name)
    assert "there is no bot for SOLUSDT" in alpha_pulse("explain", "--symbol", "SOLUSDT")[2]


OWN = """
class Chatty:
    def size(self, snapshot):
        return 0.4, "node [3], [bold]loud[/bold], [/nothing] and a \\\\[slash]"


class Fragile:
    calls = 0

    def size(self, snapshot):
        type(self).calls += 1
        if type(self).calls == 20:
            raise ValueError("the [red]twentieth[/red] call")
        return 0.4, "so far [so] good"
"""


def test_brackets_in_a_reason_are_text_and_no_markup(monkeypatch, tmp_path):
    (tmp_path / "own_sizers_for_explain.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    simulated(0.02, "--set", "hedge.sizer=own_sizers_for_explain:Chatty")
    code, out, _ = alpha_pulse("explain")
    assert code == 0
    assert "node [3], [bold]loud[/bold], [/nothing] and a \\[slash]" in out
    verified(len(payloads("target_changed")))


def test_brackets_in_the_reason_of_a_halt_are_text_too(monkeypatch, tmp_path):
    (tmp_path / "own_sizers_that_break.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ("--set", "hedge.sizer=own_sizers_that_break:Fragile")
    assert alpha_pulse("run", *QUIET, "--set", "feed.days=0.05", *options)[0] == 1
    assert alpha_pulse("run", *QUIET, "--set", "feed.days=0.05", *options)[0] == 0
    told = "unexpected error: ValueError: the [red]twentieth[/red] call"
    assert f"Risk state HALTED: {told}." in alpha_pulse("explain")[1]
    assert told in json.loads(alpha_pulse("status", "--json")[1])[0]["reasons"]
    assert "[red]twentieth[/red]" in "".join(alpha_pulse("status")[1].split("\n"))


def test_a_bot_that_an_error_halted_is_shown_as_halted(monkeypatch, tmp_path):
    (tmp_path / "own_sizers_that_halt.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert alpha_pulse("run", *QUIET, "--set", "feed.days=0.05", "--set", "hedge.sizer=own_sizers_that_halt:Fragile")[0] == 1
    assert json.loads(alpha_pulse("status", "--json")[1])[0]["risk_state"] == "halted"


# --- deciding again ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sizer", ["constant", "spline", "signal", "blend"])
def test_every_target_of_a_storm_is_decided_again_the_same_with_every_sizer(sizer):
    stormy("--set", f"hedge.sizer={sizer}")
    targets = payloads("target_changed")
    floors = [target["after"]["floor"] for target in targets]
    assert any(later > earlier for earlier, later in pairwise(floors))
    assert any(0.0 < later < earlier < 1.0 for earlier, later in pairwise(floors))  # it fell slowly
    assert len(payloads("stop_latched")) == len(payloads("stop_released")) == 1
    assert sizer == "constant" or len({target["after"]["ratio"] for target in targets}) > 1
    verified(len(targets))


def test_latches_that_a_person_released_and_what_came_after_are_decided_again_too():
    limits = ("--set", "risk.stop_loss_pct=null", "--set", "risk.max_drawdown=0.03")
    stormy("--set", "feed.days=1", *limits)
    assert len(payloads("drawdown_latched")) == 1
    assert alpha_pulse("resume")[0] == 0
    run(*STORM, *limits)
    targets = payloads("target_changed")
    assert payloads("resumed")
    assert any("drawdown limit" in step["reason"] for target in targets for step in target["after"]["contributions"])
    verified(len(targets))


async def hedge_months(method: str) -> None:
    """Two stormy days after half a year of history, with fat tails in it."""
    days = [math.exp(0.03 * math.sin(1.7 * day) - (0.12 if day % 37 == 0 else 0.0)) for day in range(185)]
    price, closes = 100_000.0, []
    for day, factor in enumerate(days):
        closes += [price * factor ** ((hour + 1) / 24) * (1 + 0.001 * math.sin(hour + day)) for hour in range(24)]
        price *= factor if price > 30_000 else 1.3
    path = Path("months.csv")
    write_candles(path, closes)
    engine = await open_database(f"sqlite+aiosqlite:///{DATABASE}")
    store = SqlStore(engine, host=SystemHost(), flush_every=500)
    feed = RecordedFeed(path, path, start_ms=START_MS + 183 * 24 * HOUR_MS)
    broker = PaperBroker(PaperSettings(), feed, SimulatedClock(), SeededIds(1))
    config = {"risk": {"var_method": method, "var_limit_pct": "0.005", "floor_half_life_hours": 3}}
    bot = GridHedgeBot(broker=broker, symbol="BTCUSDT", config=config, store=store)
    await bot.run()
    assert bot.exit_code == 0
    await engine.dispose()


def test_every_way_to_read_the_tail_is_decided_again_the_same(tmp_path, monkeypatch):
    floors = {}
    for method in ("parametric", "cornish_fisher", "filtered_historical"):
        folder = tmp_path / method
        folder.mkdir()
        monkeypatch.chdir(folder)
        asyncio.run(hedge_months(method))
        targets = payloads("target_changed")
        assert len(targets[0]["snapshot"]["market"]["indicators"]["residuals"]) >= 100
        floors[method] = tuple(step["after"] for t in targets for step in t["after"]["contributions"] if step["name"] == "VaR floor")
        verified(len(targets))
    assert len(set(floors.values())) == 3  # each reads it its own way


def test_each_target_is_judged_by_the_settings_of_its_own_run():
    simulated(0.01)
    simulated(0.02, "--set", "hedge.ratio=0.7", "--set", "hedge.sizer=spline", "--set", "risk.var_confidence=0.95")
    simulated(0.03, "--set", "hedge.ratio=0.3", "--set", "risk.var_limit=2000", "--set", "execution.rebalance_interval_seconds=120")
    simulated(0.035, "--set", "inventory.quantity=2", "--set", "inventory.acquired_at=2024-12-31T12:00", "--set", "llm_max_tilt=0.2")
    ratios = [target["after"]["ratio"] for target in payloads("target_changed")]
    assert len({round(ratio, 3) for ratio in ratios}) >= 3
    assert len({json.dumps(started["settings"], sort_keys=True) for started in payloads("started")}) == 4
    verified(len(ratios))


@pytest.mark.parametrize(
    "options",
    [
        ("--inventory", "-1"),
        ("--inventory", "0", "--set", "risk.max_position_size=1", "--set", "paper.quote_balance=100000", "--set", "hedge.amplitude=1"),
        ("--mode", "recommendation"),
    ],
)
def test_odd_inventories_and_settings_are_decided_again_too(options):
    stormy(*options)
    verified(len(payloads("target_changed")))
    assert alpha_pulse("explain")[0] == 0


# --- a record that was altered ----------------------------------------------------------------------------------
@pytest.fixture
def altered(record: Path, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Alter the last event of a kind and verify."""

    def alter(change: Change | str, kind: str = "target_changed") -> tuple[int, str, str]:
        shutil.copytree(record / "var", tmp_path / "var")
        with closing(sqlite3.connect(DATABASE)) as connection:
            query = "SELECT id, payload FROM events WHERE kind = ? ORDER BY sequence DESC LIMIT 1"
            number, text = connection.execute(query, (kind,)).fetchone()
            if isinstance(change, str):
                text = change
            else:
                payload = json.loads(text)
                change(payload)
                text = json.dumps(payload)
            connection.execute("UPDATE events SET payload = ? WHERE id = ?", (text, number))
            connection.commit()
        return alpha_pulse("explain", "--verify")

    return alter


def last_target() -> int:
    return int(rows("SELECT max(sequence) FROM events WHERE kind = 'target_changed'")[0][0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p["after"].__setitem__("ratio", 0.6), "ratio 0.6 became 0.5"),
        (lambda p: p["after"].__setitem__("floor", 0.6), "floor 0.6 became 0."),
        (lambda p: p["after"]["contributions"][0].__setitem__("after", 0.61), "step 'sizer' differs"),
        (lambda p: p["after"]["contributions"][0]["inputs"].__setitem__("planted", 1.0), "step 'sizer' differs"),
        (lambda p: p["after"]["contributions"].reverse(), "the steps "),
        (lambda p: p["snapshot"]["market"]["raw"].__setitem__("funding_rate", 0.01), "step 'funding tilt' differs"),
        (lambda p: p["snapshot"]["market"]["indicators"].__setitem__("volatility_day", 0.3), "step 'VaR floor' differs"),
        (lambda p: p["snapshot"]["state"].__setitem__("target", None), "step 'cost test' differs"),
        (lambda p: p["snapshot"]["state"]["risk"].__setitem__("drawdown_latched", True), "floor "),
    ],
)
def test_an_altered_target_or_snapshot_is_found_and_what_differs_is_named(altered, change, told):
    code, out, err = altered(change)
    assert (code, out) == (1, "")
    assert f"BTCUSDT: event {last_target()} gives another target now: " in err
    assert told in err
    assert "Traceback" not in err


def test_altered_settings_of_a_run_are_found(altered):
    code, _, err = altered(lambda p: p["settings"]["hedge"].__setitem__("ratio", 0.7), "started")
    assert code == 1
    assert "step 'sizer' differs" in err


def test_the_smallest_alteration_of_a_number_is_found(altered):
    def nudge(payload: dict[str, Any]) -> None:
        step = next(step for step in payload["after"]["contributions"] if step["name"] == "VaR floor")
        step["after"] = math.nextafter(step["after"], 1.0)

    code, _, err = altered(nudge)
    assert (code, "step 'VaR floor' differs" in err) == (1, True)


def test_a_snapshot_that_was_taken_out_is_counted_as_missing(altered):
    code, out, _ = altered(lambda p: p.pop("snapshot"))
    assert code == 0
    assert "1 of an older record have no snapshot" in out


def test_a_record_without_any_snapshot_verifies_nothing(record, tmp_path):
    shutil.copytree(record / "var", tmp_path / "var")
    count = len(payloads("target_changed"))
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("UPDATE events SET payload = json_remove(payload, '$.snapshot') WHERE kind = 'target_changed'")
        connection.commit()
    code, out, err = alpha_pulse("explain", "--verify")
    assert (code, out) == (1, "")
    assert f"nothing could be decided again ({count} targets without one)" in err


def test_a_step_that_was_taken_out_is_named(altered):
    code, _, err = altered(lambda p: p["after"]["contributions"].pop())
    assert code == 1
    assert "latches" in err


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda p: p["after"].pop("ratio"), "target_changed"),
        (lambda p: p["after"].__setitem__("ratio", "half"), "target_changed"),
        (lambda p: p["snapshot"]["market"].pop("raw"), "target_changed"),
        (lambda p: p.__setitem__("snapshot", "nothing"), "target_changed"),
        (lambda p: p["settings"].__setitem__("colour", "red"), "started"),
    ],
)
def test_a_record_that_cannot_be_read_any_more_is_found_with_its_event(altered, change, kind):
    code, out, err = altered(change, kind)
    assert (code, out) == (1, "")
    assert f"BTCUSDT: event {last_target()}" in err or kind == "started"
    assert "BTCUSDT" in err


@pytest.mark.parametrize(
    ("change", "kind"),
    [("{", "target_changed"), (lambda p: p.pop("after"), "target_changed"), (lambda p: p.pop("settings"), "started")],
)
def test_a_record_with_a_hole_in_it_is_found_without_a_traceback(altered, change, kind):
    code, out, err = altered(change, kind)
    assert (code, out) == (1, "")
    assert "BTCUSDT" in err


def test_verification_can_be_read_by_a_machine(record, monkeypatch):
    monkeypatch.chdir(record)
    code, out, _ = alpha_pulse("explain", "--verify", "--json")
    assert code == 0
    json.loads(out)
