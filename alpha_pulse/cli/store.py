"""What commands read from the database beside running bots."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import RiskState
from alpha_pulse.hedging.state.models import events
from alpha_pulse.hedging.state.queries import BotStatus, load_state, read_status
from alpha_pulse.hedging.state.transactions import reading
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings


def database_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for a server, for memory, and for what is no URL at all."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}
    return Path(str(parsed.database)) if is_file else None


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The bots' database. Reading must not make one, so a missing file is refused.

    Raises:
        ConfigError: no bot has run with this store, or it cannot be used.
        Transient: it is busy.
    """
    file = database_file(settings.store.url)
    if file is not None and not file.exists():
        fix = "start a bot with `alpha-pulse run`, or name the --config that it was started with"
        raise ConfigError(f"no bot has run with this database (looked from {Path.cwd()}).", field="store.url", value=str(file), fix=fix)
    engine = await open_database(settings.store.url)
    try:
        yield engine
    finally:
        await engine.dispose()


async def choose(engine: AsyncEngine, host: SystemHost, *, symbol: str | None, running: bool) -> BotStatus:
    """The one bot that is meant.

    Args:
        engine: the bots' database.
        host: tells live bots from dead ones.
        symbol: in any spelling; may be left out when there is only one.
        running: only bots that run.

    Raises:
        ConfigError: there is none, or there are several.
    """
    wanted = None if symbol is None else hedge_pair(symbol).perpetual
    bots = [bot for bot in await read_status(engine, host) if wanted in {None, bot.symbol} and (bot.running or not running)]
    if not bots:
        what = "running bot" if running else "bot"
        raise ConfigError(f"there is no {what}{f' for {symbol}' if symbol else ''}.", fix="see `alpha-pulse status`")
    if len(bots) > 1:
        names = ", ".join(f"{short_name(bot.symbol)} ({bot.account})" for bot in bots)
        raise ConfigError(f"there are several bots: {names}.", field="--symbol", fix="say which one with --symbol")
    return bots[0]


def short_name(symbol: str) -> str:
    """``BTC/USDT:USDT`` → ``BTCUSDT``."""
    return hedge_pair(symbol).name


@dataclass(frozen=True, slots=True)
class LastEvent:
    """A bot's last event of one kind. ``ts_ms`` is market time."""

    ts_ms: int
    payload: dict[str, Any]


async def last_event(engine: AsyncEngine, bot: BotStatus, kind: EventKind) -> LastEvent | None:
    """A bot's last event of one kind, or None."""
    mine = (events.c.account == bot.account, events.c.symbol == bot.symbol, events.c.kind == kind.value)
    statement = select(events.c.ts_ms, events.c.payload).where(*mine).order_by(events.c.sequence.desc()).limit(1)
    async with reading(engine, "reading the last event") as connection:
        row = (await connection.execute(statement)).one_or_none()
    return None if row is None else LastEvent(row.ts_ms, json.loads(row.payload))


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One bot as ``status`` shows it. Quote units and base units of the perpetual; ratios as fractions; None before the first tick."""

    pair: str
    account: str
    running: bool
    pid: int | None
    short: float  # signed perpetual position
    price: float | None = None  # last traded, of the perpetual
    inventory: float | None = None
    hedge_ratio: float | None = None  # None for a market-neutral grid
    target_ratio: float | None = None
    pnl: float | None = None  # of the perpetual: realised and unrealised, with funding and fees
    drawdown: float | None = None
    risk_state: str = RiskState.NORMAL.value
    reasons: tuple[str, ...] = ()
    last_tick_ms: int = 0  # market time; 0 before the first
    heartbeat_ms: int | None = None  # of a running bot, about every 10 s; the next two are as of it
    loop_lag_s: float | None = None  # how late its event loop was lately, at worst
    stream_age_s: float | None = None  # age of its last market update


async def status_rows(settings: Settings) -> Sequence[StatusRow]:
    """Every bot of the database; none where there is no database yet."""
    file = database_file(settings.store.url)
    if file is not None and not file.exists():
        return ()
    async with database(settings) as engine:
        rows = []
        for bot in await read_status(engine, SystemHost()):
            memory = await load_state(engine, bot.account, bot.symbol)
            row = _row(bot, await last_event(engine, bot, EventKind.TICK))
            halted = memory.risk.halted if memory is not None else ""  # an error leaves no tick behind that says so
            rows.append(replace(row, risk_state=RiskState.HALTED.value, reasons=(halted,)) if halted else row)
        return rows


def _row(bot: BotStatus, last: LastEvent | None) -> StatusRow:
    position = bot.position
    held = float(position.quantity)
    row = StatusRow(
        pair=short_name(bot.symbol),
        account=bot.account,
        running=bot.running,
        pid=bot.holder.process.pid if bot.holder is not None and bot.running else None,
        short=held,
    )
    if bot.holder is not None and bot.running:
        vitals = bot.holder.vitals
        row = replace(row, heartbeat_ms=bot.holder.heartbeat_ms, loop_lag_s=vitals.loop_lag_s, stream_age_s=vitals.stream_age_s)
    if last is None:
        return row
    tick = last.payload
    inventory = float(tick["inventory"])
    earned = float(position.realized_pnl + position.funding - position.fees)
    return replace(
        row,
        price=tick["market"]["perp"]["close"],
        inventory=inventory,
        hedge_ratio=-held / inventory + 0.0 if inventory else None,
        target_ratio=-tick["target_position"] / inventory + 0.0 if inventory else None,
        pnl=earned + held * (tick["market"]["mark"]["close"] - float(position.entry_price)),
        drawdown=tick["drawdown"],
        risk_state=tick["risk_state"],
        reasons=tuple(tick["reasons"]),
        last_tick_ms=last.ts_ms,
    )
