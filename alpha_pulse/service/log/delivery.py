"""Brings spooled decisions to the database, in the background, behind a circuit breaker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loguru import logger
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from alpha_pulse.errors import Transient
from alpha_pulse.service.log.database import DecisionDatabase, Outcome
from alpha_pulse.service.log.spool import Spool

if TYPE_CHECKING:
    from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker  # the library has no public name for what it returns


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How decisions are delivered.

    Attributes:
        breaker_after: failures in a row after which the database is left alone.
        breaker_reset_s: for how long, seconds; then one try decides.
        batch: decisions in one transaction at most; preparing them holds up the event loop for some 8 µs each.
        linger_s: how long a smaller batch waits for more, seconds: each transaction costs the same disk a sync, and the event loop some
            5 ms in small pieces, however few decisions are in it.
        retry_s: pause after a failure while the breaker is closed, seconds.
        check_s: with nothing to deliver for so long, seconds, the database is asked whether it is still there.
    """

    breaker_after: int = 3
    breaker_reset_s: float = 30.0
    batch: int = 500
    linger_s: float = 0.5
    retry_s: float = 0.2
    check_s: float = 10.0


class Delivery:
    """The one task that empties a spool. ``delivered`` counts what it brought, ``problem`` is why the last try failed."""

    def __init__(self, spool: Spool, database: DecisionDatabase, breaker: AsyncCircuitBreaker, settings: DeliverySettings) -> None:
        self.delivered = 0
        self.problem = ""
        self._spool = spool
        self._database = database
        self._breaker = breaker
        self._settings = settings
        self._away = False  # the last failure was one of the line or of the server, not of what was sent
        self._careful = True  # an earlier run may have been killed between a commit and its mark in the spool
        self._closing = asyncio.Event()
        self._stopped = False

    @classmethod
    async def create(cls, spool: Spool, database: DecisionDatabase, settings: DeliverySettings) -> Delivery:
        """With a closed breaker."""
        factory = AsyncCircuitBreakerFactory(default_threshold=settings.breaker_after, default_ttl=settings.breaker_reset_s)
        return cls(spool, database, await factory.get_breaker("database"), settings)

    @property
    def breaker(self) -> str:
        """Closed, opened or half-opened, in these words."""
        return self._breaker.context.state

    @property
    def left_alone(self) -> bool:
        """Whether the database does not answer, and is not asked either for some seconds."""
        return self._away and self.breaker == "opened"

    def finish(self) -> None:
        """Deliver what is there and end; end at the first failure, too."""
        self._closing.set()
        self._spool.arrived.set()

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopped = True

    async def run(self) -> None:
        """Until ``finish`` or ``stop``."""
        while not self._stopped and await self._something_waits():
            try:
                await self._deliver()
            except OpenedState:
                if self._closing.is_set():
                    return
                await self._pause(min(1.0, self._settings.breaker_reset_s / 10))
            except Exception as error:  # noqa: BLE001 - decisions wait for whatever it is to be mended; nobody else delivers them
                self._failed(error)
                if self._closing.is_set():
                    return
                await self._pause(self._settings.retry_s)

    async def _something_waits(self) -> bool:
        while not self._spool.depth and not self.problem:  # with a problem the database is tried also without anything to deliver
            if self._closing.is_set():
                return False
            try:
                async with asyncio.timeout(self._settings.check_s):
                    await self._spool.arrived.wait()
            except TimeoutError:
                return True
            self._spool.arrived.clear()
        if self._spool.depth < self._settings.batch:
            await self._pause(self._settings.linger_s)
        return True

    async def _deliver(self) -> None:
        batch = await self._spool.read(self._settings.batch)
        async with self._breaker:
            if batch.payloads:
                outcome = await self._database.append(self._spool.id, batch.first, batch.payloads, careful=self._careful)
            else:
                await self._database.check()
                outcome = Outcome(0, [])
        if outcome.refused:
            path = await self._spool.set_aside(outcome.refused)
            logger.error("{} decisions bear the id of another decision that is stored; they are kept in {}", len(outcome.refused), path)
        await self._spool.release(batch.end)
        if self.problem:
            logger.info("decisions reach the database again; {} wait", self._spool.depth)
        self.delivered += outcome.inserted
        self.problem = ""
        self._careful = False

    def _failed(self, error: Exception) -> None:
        if not self.problem or self.breaker == "opened":
            logger.warning("decisions wait in the spool ({}), the breaker is {}: {}", self._spool.depth, self.breaker, error)
        self.problem = str(error) or type(error).__name__
        self._away = isinstance(error, Transient)
        self._careful = True

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
