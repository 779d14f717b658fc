"""What other processes ask of the database while bots run: the command line and the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.codec import decode
from alpha_pulse.hedging.state.locks import Host, LockHolder, holder_of
from alpha_pulse.hedging.state.models import bot_state, commands, events, positions, tickets
from alpha_pulse.hedging.state.projection_tables import Pair
from alpha_pulse.hedging.state.transactions import reading, writing


@dataclass(frozen=True, slots=True)
class BookedPosition:
    """A bot's perpetual position as its fills and funding add up. Quantity signed, base units; the rest in quote units."""

    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO  # average; 0 when flat
    realized_pnl: Decimal = ZERO  # before fees and funding
    fees: Decimal = ZERO  # those paid in the settlement currency
    funding: Decimal = ZERO  # positive is received
    other_fees: Mapping[str, Decimal] | None = None  # currency → amount, for fees paid in anything else


@dataclass(frozen=True, slots=True)
class BotStatus:
    """One bot that this database knows, running or not."""

    account: str
    symbol: str
    running: bool
    holder: LockHolder | None  # who holds the pair; present with ``running`` False after a crash
    state: BotState | None
    position: BookedPosition
    events: int  # how many there are
    last_event_ms: int  # time of the last one, milliseconds UTC; 0 without any


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A ticket of recommendation mode. ``ticket`` is what the bot wrote, updates merged in."""

    account: str
    symbol: str
    id: str
    status: str
    ticket: Mapping[str, Any]
    created_ms: int
    updated_ms: int


async def post_command(engine: AsyncEngine, account: str, symbol: str, name: str, argument: str = "", *, now_ms: int) -> int:
    """Leave a command for the running or the next bot of a pair; its id is returned. Raises ``Transient`` when the database is busy."""
    row = {"account": account, "symbol": symbol, "name": name, "argument": argument, "created_ms": now_ms}
    async with writing(engine, "posting a command") as connection:
        result = await connection.execute(insert(commands).values(row).returning(commands.c.id))
        return int(result.scalar_one())


async def read_status(engine: AsyncEngine, host: Host) -> list[BotStatus]:
    """Every bot, by account and symbol. Raises ``Transient`` when the database is busy or away."""
    async with reading(engine, "reading the status") as connection:
        rows = (await connection.execute(select(bot_state).order_by(bot_state.c.account, bot_state.c.symbol))).mappings().all()
        return [await _status(connection, host, row) for row in rows]


async def load_state(engine: AsyncEngine, account: str, symbol: str) -> BotState | None:
    """A bot's memory as it was last saved, without taking its lock. Raises ``ConfigError`` when it cannot be read."""
    pair = Pair(account, symbol)
    async with reading(engine, "reading the memory") as connection:
        return _state((await connection.execute(select(bot_state.c.state).where(pair.of(bot_state)))).scalar_one_or_none())


async def list_tickets(
    engine: AsyncEngine, *, account: str | None = None, symbol: str | None = None, status: str | None = None, limit: int = 100
) -> list[StoredTicket]:
    """Tickets, newest first. Raises ``Transient`` when the database is busy or away."""
    statement = select(tickets).order_by(tickets.c.created_ms.desc(), tickets.c.id).limit(limit)
    wanted = ((tickets.c.account, account), (tickets.c.symbol, symbol), (tickets.c.status, status))
    statement = statement.where(*(column == value for column, value in wanted if value is not None))
    async with reading(engine, "reading tickets") as connection:
        rows = (await connection.execute(statement)).mappings().all()
    names = ("account", "symbol", "id", "status", "created_ms", "updated_ms")
    return [StoredTicket(ticket=json.loads(row["ticket"]), **{name: row[name] for name in names}) for row in rows]


async def _status(connection: AsyncConnection, host: Host, row: Any) -> BotStatus:
    pair = Pair(row["account"], row["symbol"])
    holder = await holder_of(connection, *pair)
    position = (await connection.execute(select(positions).where(pair.of(positions)))).mappings().one_or_none()
    last = select(func.max(events.c.ts_ms)).where(pair.of(events), events.c.sequence == row["head_sequence"])
    return BotStatus(
        *pair,
        running=holder is not None and holder.is_live(host),
        holder=holder,
        state=_state(row["state"]),
        position=BookedPosition() if position is None else _position(position),
        events=row["head_sequence"],
        last_event_ms=(await connection.execute(last)).scalar_one() or 0,
    )


def _state(memory: str | None) -> BotState | None:
    return None if memory is None else decode(BotState, json.loads(memory))


def _position(row: Mapping[Any, Any]) -> BookedPosition:
    names = ("quantity", "entry_price", "realized_pnl", "fees", "funding")
    others = {currency: Decimal(amount) for currency, amount in json.loads(row["other_fees"]).items()}
    return BookedPosition(**{name: Decimal(row[name]) for name in names}, other_fees=others)
