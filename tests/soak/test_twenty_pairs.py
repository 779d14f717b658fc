"""Twenty pairs in one process on one account, ten price updates a second each, one request in a hundred going wrong.

``SOAK_MINUTES`` sets how long (10), ``SOAK_PAIRS`` how many pairs (20). What was measured is printed (``pytest -s``) and goes to the file
that ``SOAK_REPORT`` names.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from sqlalchemy import select

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import Purpose
from alpha_pulse.fake_exchange.config import many_symbols
from alpha_pulse.fake_exchange.rehearsal import ENVIRON
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id
from alpha_pulse.hedging.state import audit, models
from alpha_pulse.hedging.state.ledger import event_from
from alpha_pulse.runtime.database import open_database

pytestmark = pytest.mark.soak

HERE = Path(__file__).parent
PAIRS = int(os.environ.get("SOAK_PAIRS", "20"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
FAULTS = 0.01
KINDS: tuple[Mapping[str, Any], ...] = (
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "status", "when": "before"},
    {"kind": "status", "when": "after"},
    {"kind": "truncate"},
    {"kind": "html"},
    {"kind": "empty"},
    {"kind": "timeout_after"},
    {"kind": "delay", "seconds": 0.3},
)
COINS = Decimal(10)
FIRST_MINUTE_S = 60.0


def settings(folder: Path, urls: Mapping[str, str]) -> dict[str, Any]:
    return {
        "mode": "real",
        "pairs": [{"symbol": symbol.name} for symbol in many_symbols(PAIRS)],
        "inventory": {"quantity": str(COINS)},
        "grid": {"grid_spacing_pct": "0.002", "volatility_multiple": 0, "num_levels": 5},
        "hedge": {"amplitude_adverse": 0.25, "min_ratio": 0},
        "risk": {"var_limit_pct": None},
        "feed": {"source": "ccxt", "update_interval_s": 0.1},
        "exchange": dict(urls),
        "store": {"url": f"sqlite+aiosqlite:///{folder / 'bots.db'}"},
        "logging": {"file": None, "level": "WARNING"},
    }


@asynccontextmanager
async def process(folder: Path, name: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of the two scripts beside this file; killed at the end if it still runs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
    with (folder / f"{name}.txt").open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / f"{name}.py"), *arguments,
            cwd=folder, env={**kept, **ENVIRON}, stdout=asyncio.subprocess.PIPE if "exchange" in name else output, stderr=output,
        )  # fmt: skip
        try:
            yield running
        finally:
            if running.returncode is None:
                running.kill()
            await running.wait()


async def control(url: str, name: str, given: Mapping[str, Any] | None = None) -> Any:
    async with aiohttp.ClientSession() as session:
        if given is None:
            async with session.get(f"{url}/control/{name}") as answer:
                return await answer.json()
        async with session.post(f"{url}/control/{name}", json=given) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


async def test_twenty_pairs_keep_every_invariant_and_stay_quick_and_small(tmp_path):
    async with process(tmp_path, "exchange_process", str(PAIRS), "3") as exchange:
        assert exchange.stdout is not None
        urls = json.loads(await exchange.stdout.readline())
        config, measurements = tmp_path / "config.yaml", tmp_path / "measured.jsonl"
        await asyncio.to_thread(config.write_text, yaml.safe_dump(settings(tmp_path, urls)))
        async with process(tmp_path, "pairs_process", str(config), str(measurements)) as pairs:
            await everybody_trades(urls["rest_url"], pairs, tmp_path)
            for kind in KINDS:
                await control(urls["rest_url"], "fault", {"on": "*", "times": None, "chance": FAULTS / len(KINDS), **kind})
            with_faults_at = len((await asyncio.to_thread(measurements.read_text)).splitlines())
            await asyncio.wait({asyncio.create_task(pairs.wait())}, timeout=MINUTES * 60.0)
            assert pairs.returncode is None, "it ended by itself:\n" + (tmp_path / "pairs_process.txt").read_text()[-3000:]
            hits = (await control(urls["rest_url"], "state"))["faults"]["hits"]
            await control(urls["rest_url"], "clear", {})
            await asyncio.sleep(20.0)  # one scheduled reconciliation, so that what was lost is found
            pairs.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(pairs.wait(), 60.0) == 0, (tmp_path / "pairs_process.txt").read_text()[-3000:]
        state = await control(urls["rest_url"], "state")
    lines = [json.loads(line) for line in (await asyncio.to_thread(measurements.read_text)).splitlines()]
    report = measured(lines[with_faults_at:], len(hits), state)
    await told(report)
    assert await broken(tmp_path, state) == []
    assert len(hits) > 0
    assert report["share_over_50_ms"] < 0.01, "that is: p99 under 50 ms"
    assert report["cores"] < 1.0
    assert report["growth"] < 0.05


async def everybody_trades(url: str, pairs: asyncio.subprocess.Process, folder: Path) -> None:
    """Wait until every pair has orders at the venue."""
    async with asyncio.timeout(300.0):
        while True:
            await asyncio.sleep(2.0)
            assert pairs.returncode is None, (folder / "pairs_process.txt").read_text()[-3000:]
            (account,) = (await control(url, "state"))["accounts"].values()
            if len({order["symbol"] for order in account["orders"]}) == PAIRS:
                return


def measured(lines: list[dict[str, float]], hits: int, state: Mapping[str, Any]) -> dict[str, float]:
    """The figures since the faults began."""
    seconds = lines[-1]["at_s"] - lines[0]["at_s"]
    worst = sorted(line["lag_p99_ms"] for line in lines)
    after_a_minute = [line["resident_mb"] for line in lines if line["at_s"] - lines[0]["at_s"] >= FIRST_MINUTE_S] or [
        lines[-1]["resident_mb"]
    ]
    (account,) = state["accounts"].values()
    samples, over = sum(line["samples"] for line in lines), sum(line["lags_over_50_ms"] for line in lines)
    return {
        "seconds": round(seconds, 1),
        "cores": round((lines[-1]["cpu_s"] - lines[0]["cpu_s"]) / seconds, 3),
        "lag_p50_ms": sorted(line["lag_p50_ms"] for line in lines)[len(lines) // 2],
        "lag_p99_usual_window_ms": worst[len(worst) // 2],
        "lag_p99_worst_window_ms": worst[-1],
        "lag_max_ms": max(line["lag_max_ms"] for line in lines),
        "share_over_50_ms": round(over / samples, 5),
        "resident_mb_first": after_a_minute[0],
        "resident_mb_last": after_a_minute[-1],
        "growth": round(after_a_minute[-1] / after_a_minute[0] - 1.0, 4),
        "faults": hits,
        "requests": sum(state["requests"].values()),
        "orders": len(account["orders"]),
        "fills": len(account["fills"]),
    }


async def told(report: Mapping[str, float]) -> None:
    print(json.dumps(report, indent=2))  # noqa: T201 - the figures are what a soak is for
    if name := os.environ.get("SOAK_REPORT"):
        await asyncio.to_thread(Path(name).write_text, json.dumps(report, indent=2))


# --- the invariants, from the exchange's own account and the store ------------------------------------------------------
async def broken(folder: Path, state: Mapping[str, Any]) -> list[str]:
    (account,) = state["accounts"].values()
    engine = await open_database(f"sqlite+aiosqlite:///{folder / 'bots.db'}")
    try:
        problems = [f"D: {problem}" for problem in await audit.verify(engine)]
        async with engine.connect() as connection:
            rows = (await connection.execute(select(models.events).order_by(models.events.c.id))).mappings().all()
    finally:
        await engine.dispose()
    events: dict[str, list[Any]] = {}
    for row in rows:
        events.setdefault(row["symbol"], []).append(event_from(row).event)
    for symbol in many_symbols(PAIRS):
        perpetual = hedge_pair(symbol.name).perpetual
        problems += [f"{symbol.name} {p}" for p in _bookings(account, symbol.name, events[perpetual])]
        problems += [f"{symbol.name} {p}" for p in _orders(account, symbol.name, bot_tag("binanceusdm", perpetual), events[perpetual])]
    return problems


def _bookings(account: Mapping[str, Any], name: str, events: list[Any]) -> list[str]:
    booked = [event.payload["fill"] for event in events if event.kind is EventKind.FILL]
    trades = [trade for trade in account["fills"] if trade["symbol"] == name]
    ids = Counter(fill["trade_id"] for fill in booked)
    problems = [f"A: trade {trade} was booked {count} times" for trade, count in ids.items() if count > 1]
    if missing := {str(trade["id"]) for trade in trades} ^ set(ids):
        problems.append(f"A: venue and record disagree on the trades {sorted(missing)[:5]}")
    held = sum((Decimal(f["quantity"]) * (1 if f["side"] == "buy" else -1) for f in booked), Decimal(0))
    venue = sum((Decimal(p["quantity"]) for key, p in account["positions"].items() if key.startswith(f"{name}/")), Decimal(0))
    if held != venue:
        problems.append(f"A: the fills add up to {held}, the venue has {venue}")
    paid, fees = sum(Decimal(t["commission"]) for t in trades), sum(Decimal(f["fee"]) for f in booked)
    if paid != fees:
        problems.append(f"A: fees of {fees} are booked, the venue took {paid}")
    position = Decimal(0)
    for trade in trades:
        position += Decimal(trade["quantity"]) * (1 if trade["side"] == "BUY" else -1)
        if not -COINS <= position <= 0:
            problems.append(f"C: the position was {position} at trade {trade['id']}")
            break
    return problems


def _orders(account: Mapping[str, Any], name: str, tag: str, events: list[Any]) -> list[str]:
    problems, spans = [], dict[tuple[str, int], list[tuple[int, int, str]]]()
    mine = [order for order in account["orders"] if order["symbol"] == name]
    stops = [order for order in account["algo_orders"] if order["symbol"] == name]
    problems += [f"B: {who} came {n} times" for who, n in Counter(order["client_id"] for order in [*mine, *stops]).items() if n > 1]
    for order in mine:
        said = read_order_id(tag, order["client_id"])
        if said is not None and said.purpose is Purpose.GRID:
            spans.setdefault((order["side"], said.node), []).append((order["created_ms"], order["updated_ms"], order["client_id"]))
    for (side, node), found in spans.items():
        found.sort()
        for (_, end, one), (begin, _, other) in itertools.pairwise(found):
            if begin < end:
                problems.append(f"B: node {node} ({side}) had {one} and {other} live at once")
    problems += [f"F: {o['client_id']} is still there" for o in [*mine, *stops] if o["status"] in {"NEW", "PARTIALLY_FILLED"}]
    intended = {event.payload["order"]["client_order_id"] for event in events if event.kind is EventKind.ORDER_INTENDED}
    if unrecorded := {o["client_id"] for o in [*mine, *stops]} - intended:
        problems.append(f"D: orders without a record: {sorted(unrecorded)[:5]}")
    return problems
