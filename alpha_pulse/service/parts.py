"""Everything that the routes use, put together: from settings to open parts, and closed again in the reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from loguru import logger
from prometheus_client.core import Metric

from alpha_pulse import __version__
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.ids import SystemIds
from alpha_pulse.runtime.loop_lag import LoopLag
from alpha_pulse.runtime.masking import mask
from alpha_pulse.service.curves import CurveBook, CurveSet
from alpha_pulse.service.deciding import Desk, Outcome
from alpha_pulse.service.ids import DecisionIds
from alpha_pulse.service.metrics import Metrics, log_metrics, score_metrics, service_metrics
from alpha_pulse.service.ports import Decision, DecisionLog
from alpha_pulse.service.problems import Problem
from alpha_pulse.service.settings import ServiceSettings
from alpha_pulse.service.sources import Depths, NoScores, Scores

if TYPE_CHECKING:
    from alpha_pulse.service.bot_metrics import BotWatch
    from alpha_pulse.service.depth_feed import BookDepths

_DEFAULT_CURVES: Final = ServiceSettings.model_fields["curves"].default
_CHECK_S: Final = 1.0  # between two looks whether decisions can be kept again


class Parts:
    """One running service.

    Args:
        settings: what it was told.
        log: keeps decisions; None opens the one of the settings with the service.
        scores: latest scores; None follows the Redis of the settings, if there is one.
        depths: a market feed for depths; None follows the order books of the settings, if there are any.
        clock: the time of decisions.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        log: DecisionLog | None = None,
        scores: Scores | None = None,
        depths: Depths | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.lag = LoopLag()
        self.curves = CurveBook(settings.curves, built_in=settings.curves == _DEFAULT_CURVES, on_reload=self.metrics.reloaded)
        self.scores = scores or _scores(settings, self.clock)
        self.books = _books(settings, self.clock) if depths is None else None
        """The order books that this service follows itself."""
        depths = depths or self.books
        self.desk = Desk(frozenset(settings.assets), self.scores, depths, settings.default_depth_usd, settings.max_hedge_pct)
        self.refusal = ""
        """Why decisions cannot be kept; "" if they can."""
        self._given_log = log
        self._log = log
        self._ids = DecisionIds(SystemIds().new_run_id())
        self.bots: BotWatch | None = None
        self.metrics.watch(self._look)

    @property
    def log(self) -> DecisionLog:
        """The decision log; there is one while the service is open."""
        if self._log is None:
            raise Fatal("the service is not open")
        return self._log

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything; afterwards close it. Raises what opening the log and the bots' database raises."""
        async with AsyncExitStack() as undo:
            if self._log is None:
                self._log = await open_log(self.settings)
            undo.push_async_callback(self.log.close)
            await self.scores.start()
            undo.push_async_callback(self.scores.close)
            if self.books is not None:
                await self.books.start()
                undo.push_async_callback(self.books.close)
            await self._watch_bots(undo)
            following = _task(undo, self.curves.follow(), "curves")
            undo.push_async_callback(_finished, following)
            undo.callback(self.curves.stop)
            _task(undo, self.lag.feel(), "lag", cancel=True)
            _task(undo, self._check_the_log(), "log", cancel=True)
            yield
        self._log = self._given_log

    def decide(self, outcome: Outcome, kind: str, curves: CurveSet, client: str) -> Decision:
        """An outcome with its stamps."""
        ts_ms = self.clock.now_ms()
        decision_id = self._ids.new(ts_ms)
        response = outcome.response
        response["version"], response["ts_ms"] = __version__, ts_ms
        if kind != "assess":
            response["decision_id"] = decision_id
        return Decision(
            decision_id, ts_ms, kind, outcome.asset, outcome.request, response, outcome.contributions, curves.digest, __version__, client
        )

    async def keep(self, decision: Decision) -> None:
        """Return when the decision is durable. Raises ``Problem`` if it cannot be: then the answer must not leave."""
        try:
            await self.log.record(decision)
        except Fatal as error:
            if not self.refusal:
                logger.error("Decisions cannot be kept, so none is given: {}", error)
            self.refusal = str(error)
            detail = "The decision log cannot be written; see /readyz and the service's log."
            raise Problem(503, "not-kept", detail, headers={"retry-after": "5"}) from None
        self._can_keep()

    def _can_keep(self) -> None:
        if self.refusal:
            logger.info("Decisions can be kept again")
        self.refusal = ""

    async def _check_the_log(self) -> None:
        """While decisions cannot be kept, look whether they can: behind a load balancer that obeys ``/readyz`` no question would tell."""
        while True:
            await asyncio.sleep(_CHECK_S)
            if self.refusal:
                with suppress(Fatal):
                    await self.log.check()
                    self._can_keep()

    def _look(self) -> Iterator[Metric]:
        """What is asked at each scrape."""
        if self._log is not None:
            yield from log_metrics(self._log.state())
        yield from score_metrics(self.scores.ages_s(), not self.scores.problem())
        yield from service_metrics(self.lag.lag_s, not self.curves.problem)

    async def _watch_bots(self, undo: AsyncExitStack) -> None:
        """Follow the bots' database, where one is configured."""
        if self.settings.bots_dsn is None:
            return
        from alpha_pulse.runtime.database import create_engine  # noqa: PLC0415 - only with HE_BOTS_DSN
        from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above
        from alpha_pulse.service.bot_metrics import BotWatch  # noqa: PLC0415 - as above

        try:
            engine = create_engine(self.settings.bots_dsn)
        except ConfigError as error:
            raise ConfigError(error.problem, field="HE_BOTS_DSN", fix=error.fix) from None
        undo.push_async_callback(engine.dispose)
        self.bots = BotWatch(engine, SystemHost())
        self.metrics.watch(self.bots.metrics)
        _task(undo, self.bots.follow(), "bots", cancel=True)


async def open_log(settings: ServiceSettings) -> DecisionLog:
    """The decision log of the settings: a spool on this disk, and the database behind it. Raises ``ConfigError``."""
    from alpha_pulse.service.log.decision_log import open_log as opened  # noqa: PLC0415 - the database's libraries are slow to import

    return await opened(
        settings.spool_dir,
        settings.db_dsn,
        breaker_after=settings.breaker_failures,
        breaker_reset_s=settings.breaker_retry_s,
        folder_field="HE_SPOOL_DIR",
        dsn_field="HE_DB_DSN",
    )


def _scores(settings: ServiceSettings, clock: Clock) -> Scores:
    if settings.redis_url is None:
        return NoScores()
    from alpha_pulse.service.redis_scores import RedisScores  # noqa: PLC0415 - only with a Redis

    return RedisScores(settings, clock)


def _books(settings: ServiceSettings, clock: Clock) -> BookDepths | None:
    if settings.depth_feed is None:
        return None
    from alpha_pulse.service.depth_feed import BookDepths  # noqa: PLC0415 - only with a feed

    return BookDepths(settings, clock)


def _task(undo: AsyncExitStack, work: Coroutine[Any, Any, None], name: str, *, cancel: bool = False) -> asyncio.Task[None]:
    """Work in the background; it is cancelled at the end if ``cancel``."""
    task = asyncio.create_task(work, name=f"service: {name}")
    task.add_done_callback(_told)
    if cancel:
        undo.push_async_callback(_finished, task)
        undo.callback(task.cancel)
    return task


def _told(task: asyncio.Task[None]) -> None:
    """Work that ends with an error is a bug of ours, and nobody waits for it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("Work in the background has ended, {}: {}: {}", task.get_name(), type(error).__name__, mask(str(error)))


async def _finished(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)
