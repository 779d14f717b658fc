"""One live bot for each (account, symbol): who holds a pair, and whether it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.state.models import locks

STALE_MS: Final = 60_000
"""A lock from another host counts as abandoned when its heartbeat is older than this."""

HEARTBEAT_MS: Final = 10_000
"""The heartbeat is written at most this often."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, told apart from a later one with the same pid by its start stamp. ``host`` includes what separates pid spaces."""

    pid: int
    host: str
    started: str


class Host(Protocol):
    """What a lock must know about processes. ``alpha_pulse.runtime.process.SystemHost`` is the real one."""

    def identity(self) -> ProcessIdentity:
        """This process."""
        ...

    def is_running(self, process: ProcessIdentity) -> bool | None:
        """Whether a process lives; None when it is on another host and cannot be asked."""
        ...

    def now_ms(self) -> int:
        """Wall-clock time, milliseconds UTC: locks are about processes, also when the market is simulated."""
        ...


@dataclass(frozen=True, slots=True)
class Vitals:
    """What only a bot's own process knows of its health; None where nobody measures.

    Attributes:
        loop_lag_s: how late its event loop was lately, at worst [s].
        stream_age_s: age of its last market update [s of the market's time].
    """

    loop_lag_s: float | None = None
    stream_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A lock as it is stored. ``vitals`` are as of the heartbeat."""

    account: str
    symbol: str
    run_id: str
    process: ProcessIdentity
    since_ms: int
    heartbeat_ms: int
    vitals: Vitals = Vitals()

    def is_live(self, host: Host) -> bool:
        """A process on this host is asked for; one elsewhere is believed as long as its heartbeat is fresh."""
        running = host.is_running(self.process)
        return host.now_ms() - self.heartbeat_ms <= STALE_MS if running is None else running


async def refuse_live(connection: AsyncConnection, host: Host, *, account: str, symbol: str) -> LockHolder | None:
    """Who held the pair and is dead now; None when nobody holds it.

    Raises:
        ConfigError: a live bot holds it.
    """
    holder = await holder_of(connection, account, symbol)
    if holder is not None and holder.is_live(host):
        raise _refusal(holder, host)
    return holder


async def acquire(connection: AsyncConnection, host: Host, *, account: str, symbol: str, run_id: str) -> None:
    """Take the lock inside the caller's write transaction; a dead holder's lock is taken over at once.

    Raises:
        ConfigError: a live bot holds it.
    """
    holder = await refuse_live(connection, host, account=account, symbol=symbol)
    if holder is not None:
        await connection.execute(delete(locks).where(*_is(account, symbol), locks.c.run_id == holder.run_id))
    me, now = host.identity(), host.now_ms()
    row = {"pid": me.pid, "host": me.host, "started": me.started, "since_ms": now, "heartbeat_ms": now}
    try:
        await connection.execute(insert(locks).values(account=account, symbol=symbol, run_id=run_id, **row))
    except IntegrityError as error:
        raise ConfigError(
            f"another bot for {symbol} on account {account} started at the same moment",
            fix="wait for it, or stop it with `alpha-pulse stop`",
        ) from error


async def release(connection: AsyncConnection, account: str, symbol: str, run_id: str) -> None:
    """Give the lock back, if it is still ours."""
    await connection.execute(delete(locks).where(*_is(account, symbol), locks.c.run_id == run_id))


async def beat(connection: AsyncConnection, account: str, symbol: str, run_id: str, now_ms: int, vitals: Vitals) -> None:
    """Say that we live, and how."""
    row = {"heartbeat_ms": now_ms, "loop_lag_s": vitals.loop_lag_s, "stream_age_s": vitals.stream_age_s}
    await connection.execute(update(locks).where(*_is(account, symbol), locks.c.run_id == run_id).values(row))


async def holder_of(connection: AsyncConnection, account: str, symbol: str) -> LockHolder | None:
    """Who holds the pair, dead or alive; None when nobody does."""
    row = (await connection.execute(select(locks).where(*_is(account, symbol)))).mappings().one_or_none()
    return None if row is None else holder_from(row)


def holder_from(row: Any) -> LockHolder:
    """A row of ``locks`` as a value."""
    process = ProcessIdentity(row["pid"], row["host"], row["started"])
    vitals = Vitals(row["loop_lag_s"], row["stream_age_s"])
    return LockHolder(row["account"], row["symbol"], row["run_id"], process, row["since_ms"], row["heartbeat_ms"], vitals)


def _is(account: str, symbol: str) -> tuple[Any, Any]:
    return locks.c.account == account, locks.c.symbol == symbol


def _refusal(holder: LockHolder, host: Host) -> ConfigError:
    since = datetime.fromtimestamp(holder.since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    process = holder.process
    fix = "stop it with `alpha-pulse stop`, or run this one on another account"
    if host.is_running(process) is None:
        fix += f"; if that machine is gone, wait until the lock's heartbeat is {STALE_MS // 1000} s old"
    return ConfigError(
        f"a bot for {holder.symbol} on account {holder.account} is already running: pid {process.pid} on {process.host} since {since}",
        fix=fix,
    )
