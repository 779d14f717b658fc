"""One account at a real venue, shared by every pair that trades on it: one connection, one set of streams, one rate budget."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any, Final

import stamina
from loguru import logger

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import Fatal, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.desk import LiveDesk
from alpha_pulse.execution.live.setup import prepare
from alpha_pulse.execution.live.streams import UserStream
from alpha_pulse.execution.venues.dead_man import DeadMan
from alpha_pulse.market.ccxt_mapping import read_errors, translate_read, why_ended
from alpha_pulse.market.guard import Haste, RequestGuard, hasty
from alpha_pulse.runtime.secrets import ExchangeKeys

_LEAST_GAP_S: Final = 0.25  # between two reconciliations of a pair
_LONGEST_WAIT_S: Final = 30.0
_LONGEST_SHARE_S: Final = 5.0  # an answer about the whole account serves every pair that asks on schedule within this time
_CALLED_AGAIN_S: Final = 3600.0  # a call for margin that comes so long after the last one is told again
_FIRST_LOOKS: Final = 20  # how often a start looks, besides, for a position and its trades to agree


class LiveAccount:
    """Connects once for all pairs. Pairs ``join`` and ``leave``; the last one to leave closes it."""

    def __init__(self, settings: ExchangeSettings, keys: ExchangeKeys, *, guard: RequestGuard | None = None, pairs: int = 1) -> None:
        self.settings = settings
        self.name = settings.account or settings.id
        self.guard = guard or RequestGuard(reserve=settings.reserve, weight_per_minute=settings.budget())
        self.connection = Connection(settings, keys, self.guard)
        self.connection.dialect.share_s = settings.reconcile_s if pairs > 1 else 0.0
        self.share_s = min(_LONGEST_SHARE_S, settings.reconcile_s / 3) if pairs > 1 else 0.0
        self.share = Decimal(1) / pairs  # of the wallet that each pair counts on
        self.armed_at: dict[str, float] = {}  # loop time at which the venue last confirmed the dead-man switch
        self._desks: dict[str, LiveDesk] = {}
        self._coming: set[str] = set()  # pairs between ``open`` and ``join``: the connection is theirs too
        self._names: dict[str, str] = {}  # from the venue's name of a pair to ours
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self.stream = UserStream(self.connection, self._on_order, self._on_trade, self.reread, self._on_margin_call, self._on_settings)
        self._opening = asyncio.Lock()
        self._ready = False

    # --- coming and going -------------------------------------------------------------------------------------------
    async def open(self, pair: HedgePair) -> None:
        """Connect, set the account up for this pair and verify it.

        Raises:
            ConfigError: the contract, the key or the account is not what the settings ask for.
            Transient, Fatal: the venue did not answer, or refuses us.
        """
        async with self._opening:
            self._coming.add(pair.perpetual)
            await self.connection.open()
            self._names[self.connection.learn(pair)] = pair.perpetual
            await prepare(self.connection, self.settings, pair.perpetual, first=not self._ready)
            self._ready = True

    async def join(self, desk: LiveDesk) -> None:
        """Read the pair's state, then keep it up to date. Raises ``Transient``, ``Fatal`` or ``ConfigError``."""
        self._desks[desk.symbol] = desk
        self._coming.discard(desk.symbol)
        await desk.load()
        self.stream.start()
        looks = round(self.settings.unexplained_after_s / _LEAST_GAP_S) + _FIRST_LOOKS
        for _ in range(looks):
            if await self._read(desk) or desk.voice.halted:
                break
            await asyncio.sleep(_LEAST_GAP_S)
        if desk.voice.halted:
            raise Fatal(desk.voice.halted)
        self._keep(desk, self._keep_reconciling(desk), "the reading of the account")
        if self.settings.strangers == "cancel":
            await desk.orders.cancel_strangers()
        if self.settings.dead_man_switch_s and self._dead_man() is not None:
            await self._arm(desk)
            self._keep(desk, self._keep_armed(desk), "the renewal of the dead-man switch")

    def is_armed(self, symbol: str) -> bool:
        """Whether the venue would cancel this contract's resting orders if we fell silent, without touching the stop."""
        at = self.armed_at.get(symbol)
        if at is None:
            return False
        return asyncio.get_running_loop().time() - at < self.settings.dead_man_switch_s

    async def leave(self, symbol: str) -> None:
        """Stop looking after a pair; the last one closes the connections. Idempotent."""
        desk = self._desks.pop(symbol, None)
        self._coming.discard(symbol)
        await _end(self._tasks.pop(symbol, []))
        if desk is not None:
            await desk.close()
            await self._disarm(symbol, needed=desk.orders.may_rest())
        self.connection.forget(symbol)
        if not self._desks and not self._coming:
            await self.stream.close()
            await self.connection.close()
            self._ready = False

    def _keep(self, desk: LiveDesk, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have this done for as long as the pair is here; an end that nobody asked for halts the pair, as it would trade on blindly."""

        def ended(task: asyncio.Task[None]) -> None:
            if task in self._tasks.get(desk.symbol, ()):
                desk.voice.halt(f"{name} stopped: {why_ended(task)}. Start again and `alpha-pulse resume`; report it, nobody foresaw this")

        task = asyncio.create_task(work, name=f"{desk.symbol} {name}")
        self._tasks.setdefault(desk.symbol, []).append(task)
        task.add_done_callback(ended)

    # --- reconciling ------------------------------------------------------------------------------------------------
    async def _keep_reconciling(self, desk: LiveDesk) -> None:
        """On a schedule, at the same moments for all pairs so that they share answers, and at once when a desk wants it."""
        loop, every = asyncio.get_running_loop(), self.settings.reconcile_s
        while True:
            try:
                async with asyncio.timeout(every - loop.time() % every):
                    await desk.wanted.wait()
            except TimeoutError:
                scheduled = not desk.wanted.is_set()
            else:
                scheduled = False
            missed = desk.trades.missed
            try:
                await self._reconcile(desk, share_s=self.share_s if scheduled else 0.0)
            except Fatal as error:
                desk.voice.halt(str(error))
                return
            if desk.trades.missed > missed:
                self.stream.rebuild(f"{desk.symbol}: trades arrived over REST that the stream did not bring")
            await asyncio.sleep(_LEAST_GAP_S)

    async def _reconcile(self, desk: LiveDesk, *, share_s: float) -> None:
        retries = stamina.retry_context(
            on=Transient, attempts=None, timeout=None, wait_initial=0.5, wait_max=_LONGEST_WAIT_S, wait_jitter=0.5
        )
        failed = False
        async for attempt in retries:
            with attempt:
                try:
                    await self._read(desk, share_s)
                except Transient as error:
                    if not failed:
                        logger.warning("{}: the account cannot be read ({}); trying on", desk.symbol, error)
                    failed = True
                    raise
        if failed:
            logger.info("{}: the account is read again", desk.symbol)

    async def _read(self, desk: LiveDesk, share_s: float = 0.0) -> bool:
        """As ``LiveDesk.reconcile``; an answer of a form that nobody foresaw is ``Transient`` too."""
        try:
            return await desk.reconcile(share_s=share_s)
        except read_errors() as error:
            raise translate_read(error) from error

    # --- streams ----------------------------------------------------------------------------------------------------
    def reread(self) -> None:
        """Every pair is to be read over REST soon."""
        for desk in self._desks.values():
            desk.wanted.set()

    def _on_order(self, row: Mapping[str, Any]) -> None:
        desk = self._desks.get(self._names.get(str(row.get("symbol")), ""))
        if desk is not None:
            desk.on_order(row)

    def _on_trade(self, row: Mapping[str, Any]) -> None:
        desk = self._desks.get(self._names.get(str(row.get("symbol")), ""))
        if desk is not None:
            desk.on_trade(row)

    def _on_settings(self) -> None:
        for desk in self._desks.values():
            desk.doubt_setup()

    def _on_margin_call(self) -> None:
        for desk in self._desks.values():
            desk.voice.say("margin", "The venue calls for margin: top up the perpetual wallet now", "critical", again_s=_CALLED_AGAIN_S)

    # --- the dead-man switch ----------------------------------------------------------------------------------------
    def _dead_man(self) -> DeadMan | None:
        """The venue's switch, where it is known to spare the stop: one that may take the stop protects nobody."""
        dead_man = self.connection.dialect.dead_man
        return dead_man if dead_man is not None and dead_man.spares_stops else None

    async def _keep_armed(self, desk: LiveDesk) -> None:
        """Renewed while the bot asks for things; a bot that hangs is a dead one, and the switch is left to fire."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.settings.dead_man_switch_s / 3)
            if loop.time() - desk.contact_at < self.settings.dead_man_switch_s:
                await self._arm(desk)

    async def _arm(self, desk: LiveDesk) -> None:
        dead_man = self._dead_man()
        if dead_man is None:
            return
        try:
            with hasty(Haste.PROTECT):
                await dead_man.arm(self.connection.rest, desk.symbol, int(self.settings.dead_man_switch_s * 1000))
        except read_errors() as error:
            desk.voice.say(
                "dead-man switch", f"The venue did not take the dead-man switch: {translate_read(error)}. The stop covers for it"
            )
        else:
            self.armed_at[desk.symbol] = asyncio.get_running_loop().time()
            desk.voice.unsay("dead-man switch")

    async def _disarm(self, symbol: str, *, needed: bool) -> None:
        dead_man = self._dead_man()
        if dead_man is None or symbol not in self.armed_at or self.connection.rest is None:
            return
        del self.armed_at[symbol]
        if needed:
            logger.warning("{}: the dead-man switch stays armed, it cancels what could not be cancelled", symbol)
            return
        try:
            with hasty(Haste.PROTECT):  # a stop does not wait for the budget
                await dead_man.disarm(self.connection.rest, symbol)
        except read_errors() as error:
            logger.warning("{}: the dead-man switch was not disarmed ({}): it cancels the contract's orders soon", symbol, error)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
