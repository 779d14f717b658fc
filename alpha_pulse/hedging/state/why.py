"""Reading back why a hedge was what it was: recorded targets with their contributions and snapshots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.hedging.common.advice import Advice
from alpha_pulse.hedging.common.types import HedgeTarget
from alpha_pulse.hedging.state.codec import decode
from alpha_pulse.hedging.state.models import events
from alpha_pulse.hedging.state.transactions import reading


@dataclass(frozen=True, slots=True)
class RecordedTarget:
    """A target as it was stored."""

    pair: str  # short name
    sequence: int
    ts_ms: int  # market time of the decision
    target: HedgeTarget
    stored: Mapping[str, Any]  # the target's own JSON
    snapshot: Mapping[str, Any] | None  # what it was decided from; None where the record has none
    settings: Mapping[str, Any]  # of the run that decided it
    last_tick: Mapping[str, Any] | None = None  # the last decision on it that was recorded, with its time

    def as_json(self, pair: str) -> dict[str, Any]:
        """Everything but the snapshot, for a machine."""
        return {"pair": pair, "since_ms": self.ts_ms, "event": self.sequence, "target": asdict(self.target), "last_tick": self.last_tick}


async def target_in_force(engine: AsyncEngine, account: str, symbol: str, at_ms: int | None = None) -> RecordedTarget | None:
    """The target that was in force at a market time (None: now), with the last tick up to then; None before the first."""
    async with reading(engine, "reading why") as connection:
        row = await _last(connection, account, symbol, EventKind.TARGET_CHANGED, at_ms)
        if row is None:
            return None
        tick = await _last(connection, account, symbol, EventKind.TICK, at_ms)
        settings = await _settings(connection, account, symbol)
    last = None if tick is None else {"ts_ms": tick.ts_ms, **json.loads(tick.payload)}
    return _target(row, _settings_at(settings, row.sequence), last)


async def recorded_targets(engine: AsyncEngine, account: str, symbol: str) -> Sequence[RecordedTarget]:
    """Every target of a pair, oldest first, each with the settings that it was decided with."""
    async with reading(engine, "reading targets") as connection:
        settings = await _settings(connection, account, symbol)
        kind = events.c.kind == EventKind.TARGET_CHANGED.value
        mine = select(events).where(events.c.account == account, events.c.symbol == symbol, kind).order_by(events.c.sequence)
        rows = (await connection.execute(mine)).all()
    return [_target(row, _settings_at(settings, row.sequence), None) for row in rows]


async def recent_advice(engine: AsyncEngine, symbol: str, limit: int = 500) -> Sequence[Advice]:
    """The last advice on a pair that was recorded, oldest first."""
    mine = select(events.c.payload).where(events.c.symbol == symbol, events.c.kind == EventKind.ADVICE.value)
    async with reading(engine, "reading advice") as connection:
        rows = (await connection.execute(mine.order_by(events.c.ts_ms.desc(), events.c.sequence.desc()).limit(limit))).scalars().all()
    return [decode(Advice, json.loads(payload)) for payload in reversed(rows)]


async def _last(connection: AsyncConnection, account: str, symbol: str, kind: EventKind, at_ms: int | None) -> Row[Any] | None:
    statement = select(events).where(events.c.account == account, events.c.symbol == symbol, events.c.kind == kind.value)
    if at_ms is not None:
        statement = statement.where(events.c.ts_ms <= at_ms)
    return (await connection.execute(statement.order_by(events.c.sequence.desc()).limit(1))).one_or_none()


async def _settings(connection: AsyncConnection, account: str, symbol: str) -> list[tuple[int, Mapping[str, Any]]]:
    """(sequence, settings) of every start of the pair."""
    started = select(events.c.sequence, events.c.symbol, events.c.payload).where(
        events.c.account == account, events.c.symbol == symbol, events.c.kind == EventKind.STARTED.value
    )
    rows = (await connection.execute(started.order_by(events.c.sequence))).all()
    return [(row.sequence, _settings_of(row)) for row in rows]


def _name(row: Any) -> str:
    return hedge_pair(row.symbol).name


def _unreadable(row: Any, kind: str, error: Exception) -> Fatal:
    return Fatal(f"{_name(row)}: event {row.sequence} ({kind}) cannot be read: {error!r}; `alpha-pulse audit verify` tells more")


def _settings_of(row: Any) -> Mapping[str, Any]:
    try:
        settings = json.loads(row.payload)["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(row, "started", error) from error
    return settings if isinstance(settings, Mapping) else {}


def _settings_at(settings: Sequence[tuple[int, Mapping[str, Any]]], sequence: int) -> Mapping[str, Any]:
    return next((found for at, found in reversed(settings) if at < sequence), {})


def _target(row: Row[Any], settings: Mapping[str, Any], tick: Mapping[str, Any] | None) -> RecordedTarget:
    try:
        payload = json.loads(row.payload)
        stored = payload["after"]
        target = decode(HedgeTarget, stored)
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise _unreadable(row, "target_changed", error) from error
    return RecordedTarget(_name(row), row.sequence, row.ts_ms, target, stored, payload.get("snapshot"), settings, tick)
