"""The decision log as the service uses it: a spool, its delivery, and the database behind."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from loguru import logger

from alpha_pulse.errors import Transient
from alpha_pulse.service.log import queries
from alpha_pulse.service.log.codec import decode, encode, key
from alpha_pulse.service.log.database import DecisionDatabase, make_database
from alpha_pulse.service.log.delivery import Delivery, DeliverySettings
from alpha_pulse.service.log.spool import SEGMENT_BYTES, Spool
from alpha_pulse.service.ports import Decision, LogState, Page


class SpooledDecisionLog:
    """A ``DecisionLog``. Opened by ``open_log``; an asynchronous context manager that closes it."""

    def __init__(self, spool: Spool, database: DecisionDatabase, delivery: Delivery, *, closing_s: float) -> None:
        self._closing_s = closing_s
        self._spool = spool
        self._database = database
        self._delivery = delivery
        self._task = asyncio.create_task(delivery.run())
        self._closed = False

    async def record(self, decision: Decision) -> None:
        """Return when the decision would survive a power cut here. Raises ``Fatal``: it is not kept, the answer must not leave."""
        await self._spool.append(encode(decision))

    async def check(self) -> None:
        """Return if a decision could be kept now. Raises ``Fatal``."""
        await self._spool.check()

    async def get(self, decision_id: str) -> Decision | None:
        """One decision, delivered or not; None if there is none.

        Raises:
            Transient: it is not here, and the database is away.
            Fatal, ConfigError: it is not here, and the database refuses.
        """
        here = await self._spool.find(key(decision_id), lambda record: decode(record).decision_id == decision_id)
        if here is not None:
            return decode(here)
        self._refuse_to_wait()
        return await queries.get(self._database, decision_id)

    async def find(self, *, asset: str = "", kind: str = "", since_ms: int = 0, before: str = "", limit: int = 100) -> Page:
        """Delivered decisions that match, newest first, older than the decision ``before``. Raises as ``get``."""
        self._refuse_to_wait()
        return await queries.find(self._database, asset=asset, kind=kind, since_ms=since_ms, before=before, limit=limit)

    def state(self) -> LogState:
        """At once, without asking anybody."""
        problem = self._delivery.problem or self._spool.damage
        if self._task.done() and not self._closed:  # it ends only when told to: this would be a bug of ours
            problem = f"the delivery stopped: {None if self._task.cancelled() else self._task.exception()!r}"
        return LogState(self._delivery.breaker, self._spool.depth, self._delivery.delivered, problem)

    async def close(self) -> None:
        """Deliver what can be delivered in a moment; the rest waits for the next start. Idempotent."""
        if self._closed:
            return
        self._closed = True
        async with AsyncExitStack() as ending:
            ending.push_async_callback(self._database.dispose)
            ending.push_async_callback(self._spool.close)
            self._delivery.finish()
            await asyncio.wait([self._task], timeout=self._closing_s)
            self._delivery.stop()
            await asyncio.wait([self._task], timeout=self._closing_s)
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
        if self._spool.depth:
            logger.warning("{} decisions wait in the spool for the next start", self._spool.depth)

    def _refuse_to_wait(self) -> None:
        """Whoever asks while the database is silent would wait for as long as each delivery has waited."""
        if self._delivery.left_alone:
            raise Transient(f"the database is left alone for a while: {self._delivery.problem}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


async def open_log(
    folder: Path | str,
    dsn: str,
    *,
    breaker_after: int = 3,
    breaker_reset_s: float = 30.0,
    batch: int = 500,
    linger_s: float = 0.5,
    timeout_s: float = 10.0,
    opening_s: float = 2.0,
    closing_s: float = 2.0,
    segment_bytes: int = SEGMENT_BYTES,
    folder_field: str = "folder",
    dsn_field: str = "dsn",
) -> SpooledDecisionLog:
    """Open the decision log with its spool in ``folder`` and its database at ``dsn``; what waits in the spool is delivered first.

    A database that is away does not keep the log from opening: decisions are spooled until it is back. One process for each folder; any
    number of them for one database.

    Args:
        folder: on a local disk; made if need be.
        dsn: SQLAlchemy's URL of a SQLite file or a PostgreSQL database.
        breaker_after: failures in a row after which the database is left alone.
        breaker_reset_s: for how long, seconds; then one try decides.
        batch: decisions in one transaction at most; preparing them holds up the event loop for some 8 µs each.
        linger_s: how long a smaller batch waits for more, seconds.
        timeout_s: a server that does not answer within so many seconds counts as away.
        opening_s: how long a start waits for a server, seconds; after that it is away.
        closing_s: how long ``close`` goes on delivering, seconds; a batch under way then has as long again to end.
        segment_bytes: size of the spool's files; about what it takes with everything delivered.
        folder_field: the setting that a message about the folder names.
        dsn_field: the setting that a message about the URL names.

    Raises:
        ConfigError: the folder cannot be used or is in use; the database is none, is not ours, is newer, or refuses us.
        Fatal: the spool cannot be read.
    """
    settings = DeliverySettings(breaker_after=breaker_after, breaker_reset_s=breaker_reset_s, batch=batch, linger_s=linger_s)
    async with AsyncExitStack() as undo:
        spool = await Spool.open(Path(folder), segment_bytes=segment_bytes, field=folder_field)
        undo.push_async_callback(spool.close)
        database = make_database(dsn, field=dsn_field, timeout_s=timeout_s)
        undo.push_async_callback(database.dispose)
        delivery = await Delivery.create(spool, database, settings)
        try:
            await database.prepare(patience_s=opening_s)
        except Transient as error:
            delivery.problem = str(error)
            logger.warning("the database is away, decisions wait in the spool: {}", error)
        undo.pop_all()
    return SpooledDecisionLog(spool, database, delivery, closing_s=closing_s)
