"""The bots' metrics: what their database says, and nothing for what it does not know."""

from dataclasses import replace
from decimal import Decimal

import pytest
from loguru import logger
from prometheus_client import CollectorRegistry, generate_latest

from alpha_pulse.hedging.common.types import BotState, HedgeTarget, RiskMemory, RiskState
from alpha_pulse.hedging.state.locks import LockHolder, ProcessIdentity, Vitals
from alpha_pulse.hedging.state.models import bot_state, events, orders
from alpha_pulse.hedging.state.queries import BookedPosition, BotStatus
from alpha_pulse.runtime.database import create_engine, open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.service.bot_metrics import BotWatch, OrderCounts, bot_metrics, read_order_counts
from alpha_pulse.service.metrics import Metrics

STATE = BotState(
    target=HedgeTarget(ratio=0.5, floor=0.7, min_ratio=0.2, max_ratio=1.0),
    risk=RiskMemory(inventory=Decimal(2), state=RiskState.DELTA_REDUCE),
)
POSITION = BookedPosition(quantity=Decimal("-1.2"), fees=Decimal("3.5"), funding=Decimal("-1.25"))
STATUS = BotStatus(
    account="main", symbol="BTCUSDT", running=True, holder=None, state=STATE, position=POSITION, events=7, last_event_ms=10_000
)


def values(*statuses, counts=None, now_ms=12_500):
    registry = CollectorRegistry()
    metrics = Metrics()
    metrics.registry = registry
    metrics.watch(lambda: bot_metrics(statuses, counts or {}, now_ms))
    lines = generate_latest(registry).decode().splitlines()
    return dict(line.removeprefix("alpha_pulse_bot_").rsplit(" ", 1) for line in lines if not line.startswith("#"))


LABELS = '{account="main",symbol="BTCUSDT"}'


def test_a_bot_is_shown_in_figures():
    found = values(STATUS, counts={("main", "BTCUSDT"): OrderCounts(open=9, unknown=1, adopted=2)})
    expected = {
        "running": 1.0, "last_event_age_seconds": 2.5, "position_base": -1.2, "inventory_base": 2.0, "net_delta_base": 0.8,
        "hedge_ratio": 0.6, "hedge_target": 0.7, "hedge_error": 0.1, "funding_received_quote": -1.25, "fees_paid_quote": 3.5,
        "open_orders": 9.0, "unknown_orders": 1.0, "orphan_orders_total": 2.0,
    }  # fmt: skip
    assert {name: round(float(found[f"{name}{LABELS}"]), 9) for name in expected} == expected
    assert found['risk_state{account="main",state="' + RiskState.DELTA_REDUCE.value + '",symbol="BTCUSDT"}'] == "1.0"
    assert sum(float(value) for name, value in found.items() if name.startswith("risk_state")) == 1.0


HOLDER = LockHolder("main", "BTCUSDT", "r1", ProcessIdentity(1, "here", "s1"), 0, 9_500, Vitals(0.25, 1.5))
VITALS = {"heartbeat_age_seconds", "loop_lag_seconds", "stream_age_seconds"}


def vital(status):
    found = values(status)
    return {name: float(found[f"{name}{LABELS}"]) for name in VITALS if f"{name}{LABELS}" in found}


def test_a_running_bots_own_measurements_are_shown_with_the_age_of_its_heartbeat():
    assert vital(replace(STATUS, holder=HOLDER)) == {"heartbeat_age_seconds": 3.0, "loop_lag_seconds": 0.25, "stream_age_seconds": 1.5}
    assert vital(replace(STATUS, holder=replace(HOLDER, vitals=Vitals()))) == {"heartbeat_age_seconds": 3.0}


def test_what_a_dead_bot_last_said_of_itself_is_not_shown():
    assert vital(replace(STATUS, holder=HOLDER, running=False)) == {}


def test_what_is_not_known_yet_is_not_shown():
    found = values(replace(STATUS, state=None, last_event_ms=0))
    names = {name.partition("{")[0] for name in found}
    assert not names & {"hedge_ratio", "hedge_target", "hedge_error", "net_delta_base", "last_event_age_seconds", "risk_state"}
    assert float(found[f"position_base{LABELS}"]) == -1.2


def test_a_neutral_grid_has_no_ratio():
    names = {name.partition("{")[0] for name in values(replace(STATUS, state=replace(STATE, risk=RiskMemory(inventory=Decimal(0)))))}
    assert "net_delta_base" in names
    assert not names & {"hedge_ratio", "hedge_error"}


async def test_orders_are_counted_in_the_bots_database(tmp_path):
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'bots.db'}")
    order = {column.name: "0" for column in orders.columns} | {"account": "main", "symbol": "BTCUSDT", "sequence": 1, "node": 1}
    number = {column.name: 1 for column in orders.columns if column.type.python_type is int}
    rows = [
        order | number | {"client_order_id": f"o{n}", "status": status} for n, status in enumerate(["open", "open", "filled", "unknown"])
    ]
    event = {column.name: "0" for column in events.columns} | {"account": "main", "symbol": "BTCUSDT", "ts_ms": 1, "kind": "order_adopted"}
    async with engine.begin() as connection:
        await connection.execute(orders.insert(), rows)
        await connection.execute(events.insert(), [event | {"id": n, "sequence": n} for n in (1, 2)])
    assert await read_order_counts(engine) == {("main", "BTCUSDT"): OrderCounts(open=2, unknown=1, adopted=2)}
    watch = BotWatch(engine, SystemHost())
    await watch.read()
    assert watch.problem == ""
    assert "alpha_pulse_bots_database_up" in {metric.name for metric in watch.metrics()}
    await engine.dispose()


@pytest.fixture
def told():
    """What the log said, from information on."""
    lines = []
    sink = logger.add(lambda line: lines.append(line.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


async def test_a_row_that_cannot_be_read_is_a_problem_until_it_can(tmp_path, told):
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'bots.db'}")
    row = {column.name: 0 if column.type.python_type is int else "0" for column in bot_state.columns}
    async with engine.begin() as connection:
        await connection.execute(bot_state.insert(), [row | {"state": "{"}])
    watch = BotWatch(engine, SystemHost())
    await watch.read()
    await watch.read()
    assert "JSONDecodeError" in watch.problem
    async with engine.begin() as connection:
        await connection.execute(bot_state.delete())
    await watch.read()
    assert watch.problem == ""
    assert [line.partition(":")[0] for line in told] == [
        "The bots' database cannot be read",
        "The bots' database can be read again",
    ]
    await engine.dispose()


async def test_a_database_that_is_away_is_a_problem_and_no_error():
    engine = create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    watch = BotWatch(engine, SystemHost())
    await watch.read()
    assert watch.problem
    up = next(metric for metric in watch.metrics() if metric.name == "alpha_pulse_bots_database_up")
    assert up.samples[0].value == 0.0
    await engine.dispose()
