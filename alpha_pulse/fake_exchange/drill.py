"""One drilled bot: started on a user's settings, driven through an outage, watched, and judged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import EventKind, StoredEvent
from alpha_pulse.domain.instrument import ZERO, Instrument
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.fake_exchange.drill_setup import coins_of, most_held
from alpha_pulse.fake_exchange.drill_watch import Watch
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.grid.bot import GridHedgeBot

CREATE: Final = "POST /fapi/v1/*rder*"  # one by one, in batches, and stops
CANCEL: Final = "DELETE /fapi/v1/*rder*"

_LOOK_S: Final = 0.05
_QUOTE_S: Final = 0.25  # a live market speaks all the time
_START_S: Final = 60.0
_CALM_S: Final = 0.4


class Drill(Rehearsal):
    """A rehearsal with a market that keeps talking, a watch, and processes that may be killed.

    Attributes:
        notes: what the script has to tell.
        problems: what must not be, beside the invariants, each with its letter first.
        expects_halt: the bot may end by itself.
        watch: protection, quotes and limits; there from ``begin`` on.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        market = self.fake.venue.market(self.name)
        self.instrument: Instrument = market.listed
        self.start_price: Decimal = market.last
        at_exchange = self.fake.venue.account().spot.balances.get(hedge_pair(self.settings.symbol).base, ZERO)
        self.inventory = coins_of(self.settings, at_exchange)
        self.limit = most_held(self.settings, at_exchange)
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.expects_halt = False
        self.watch = Watch(self, self.inventory, self.limit, self.instrument.lot_size)
        self._watching = False
        self._helpers: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._exit_code: int | None = None

    @property
    def tag(self) -> str:
        """What every order id of this bot begins with, also while no bot runs here."""
        account = self.settings.exchange.account or self.settings.exchange.id
        return bot_tag(account, hedge_pair(self.settings.symbol).perpetual)

    @property
    def patience_s(self) -> float:
        """How long the bot may take to come to rest after an outage [s]."""
        exchange = self.settings.exchange
        slowest = exchange.settle_after_s + exchange.visible_after_s + exchange.reconcile_s + exchange.stale_after_s
        return 10.0 + 2.0 * slowest + self.settings.hedge.escalate_after_s

    # --- beginning and end ------------------------------------------------------------------------------------------
    async def begin(self) -> None:
        """Start a bot here and wait until its hedge is on and its grid is laid.

        Raises:
            AlphaPulseError: it cannot run on these settings.
        """
        self.keep_talking()
        await self.start()
        await self.rest()
        self.look_out()

    def keep_talking(self) -> None:
        """Send quotes all the time from now on. Idempotent."""
        if not self._helpers:
            self._helpers = [asyncio.create_task(self._talk()), asyncio.create_task(self._keep_looking())]

    def look_out(self) -> None:
        """The watch counts from now on."""
        self._watching = True

    async def _talk(self) -> None:
        venue = self.fake.venue
        while True:
            venue.announce.price(venue.market(self.name))
            await asyncio.sleep(_QUOTE_S)

    async def _keep_looking(self) -> None:
        clock = asyncio.get_running_loop()
        while True:
            if self._watching:
                self.watch.look(clock.time())
            await asyncio.sleep(_LOOK_S)

    async def stop(self, reason: str = "the drill is over") -> int | None:
        """Stop the bot, and the market; a process that is left is killed. Its exit code, or None if none ran."""
        try:
            await self.withdraw(reason)
        finally:
            await self.kill()
            helpers, self._helpers = self._helpers, []
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return self._exit_code

    async def withdraw(self, reason: str = "the drill is over") -> None:
        """Stop the bot that runs here, if one does, and the watch with it; the market goes on."""
        self._watching = False
        if self._run is not None:
            self._exit_code = await super().stop(reason)

    async def restart(self) -> GridHedgeBot:
        """A bot here on the database of one that is gone, at rest."""
        bot = await self.start()
        await self.rest()
        return bot

    # --- a bot in a process of its own ------------------------------------------------------------------------------
    async def spawn(self, folder: Path) -> None:
        """Start it as ``alpha-pulse run`` would, and wait until its grid is laid."""
        self.keep_talking()
        config = folder / "drill.yaml"
        config.write_text(yaml.safe_dump(self.settings.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
        with (folder / "output.txt").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "alpha_pulse", "run", "--config", str(config),
                env={**kept, **self._environ}, stdout=output, stderr=output,
            )  # fmt: skip
        await self.until(lambda: bool(self.watch.grid_orders()) or self._has_died(), _START_S)
        if self._has_died():
            raise AlphaPulseError(f"the drilled bot has ended: {(folder / 'output.txt').read_text(encoding='utf-8')[-500:]}")
        await self.silence()
        self.look_out()

    def _has_died(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def silence(self, for_s: float = 0.0) -> None:
        """Wait until nothing was sent for a while; for a bot that cannot be asked."""
        loop, for_s = asyncio.get_running_loop(), max(for_s, self.settings.hedge.escalate_after_s + _CALM_S)
        last, since = -1, loop.time()
        async with asyncio.timeout(self.patience_s):
            while loop.time() - since < for_s:
                now = sum(1 for r in self.fake.venue.requests() if r.method != "GET" and "rder" in r.path)
                if now != last:
                    last, since = now, loop.time()
                await asyncio.sleep(_LOOK_S)

    def hang(self) -> None:
        """The process stands still from now on, its connections open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """SIGKILL, if a process lives."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()

    # --- the script's words -----------------------------------------------------------------------------------------
    def note(self, text: str) -> None:
        """Tell something."""
        self.notes.append(text)

    def broke(self, letter: str, text: str) -> None:
        """Say that an invariant does not hold."""
        self.problems.append(f"{letter}: {text}")

    def to(self, factor: float, *, gap: bool = True) -> None:
        """Let the perpetual trade at ``factor`` times the price at which the drill began."""
        self.move(self.start_price * Decimal(repr(factor)), gap=gap)

    def cross(self, nodes: int = 1) -> None:
        """Let price trade through the nearest grid orders of the side that has more of them; they fill."""
        orders = self.watch.grid_orders()
        sells = sorted((o for o in orders if o.side == "SELL"), key=lambda o: o.price)
        buys = sorted((o for o in orders if o.side == "BUY"), key=lambda o: -o.price)
        side, beyond = (sells, 2) if len(sells) >= len(buys) else (buys, -2)
        if side:
            self.move(side[: max(1, nodes)][-1].price + beyond * self.instrument.tick_size)

    async def rest(self) -> None:
        """Wait until the bot has come to rest, or has ended. One that does neither is a problem.

        Raises:
            AlphaPulseError: it has ended with an error that nobody expected.
        """
        calm = max(_CALM_S, self.settings.hedge.escalate_after_s + 0.3) if not self._watching else _CALM_S
        quiet = asyncio.ensure_future(self._quiet_and_known(calm))
        waited: list[asyncio.Future[Any]] = [quiet, *([] if self._run is None else [self._run])]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not quiet.done():
            quiet.cancel()
            await asyncio.gather(quiet, return_exceptions=True)
            if self._run is not None:
                self._run.result()
            if not self.expects_halt:
                self.broke("G", "the bot has ended by itself")
        elif isinstance(quiet.exception(), TimeoutError):
            self.broke("A", f"after {self.patience_s:.0f} s bot and venue still do not agree")
        else:
            quiet.result()

    async def _quiet_and_known(self, calm_s: float) -> None:
        """Quiet, and bot and venue know of the same orders. Raises ``TimeoutError``."""
        async with asyncio.timeout(self.patience_s):
            await self.quiet(self.patience_s, calm_s)
            while await self.lost():
                await self.quiet(self.patience_s, calm_s)

    async def within(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for something; whether it came."""
        with contextlib.suppress(TimeoutError):
            await self.until(condition, within_s)
            return True
        return False

    # --- the verdict ------------------------------------------------------------------------------------------------
    async def lost(self) -> int:
        """Orders that rest at the venue unknown to the bot, or the other way round."""
        if self.ended:
            return 0
        known = {order.client_order_id for order in await self.live.broker.open_orders(self.live.symbol)}
        return len(known ^ {order.client_id for order in self.open_orders()})

    def doubled(self) -> int:
        """Orders too many: of one id, or of one node at a time."""
        return len(self._twice())

    def left(self) -> list[str]:
        """F: what of ours is at the venue after the end, beside a stop that was to stay."""
        keeps_stop = self.settings.execution.keep_stop_on_exit or bool(self._exit_code)
        stops = {order.client_id for order in self.our_stops()}
        return [f"F: {o.client_id} is still there" for o in self.open_orders() if not (keeps_stop and o.client_id in stops)]

    def was_told(self, events: list[StoredEvent]) -> bool:
        """G: whether something came up that a person sees."""
        loud = {EventKind.ALERT, EventKind.STOP_LATCHED, EventKind.RISK_STATE_CHANGED, EventKind.TICK_SKIPPED}
        return bool(self._exit_code) or any(stored.event.kind in loud for stored in events)


_DID: Final[Mapping[EventKind, str]] = {
    EventKind.ORDER_INTENDED: "sent {} orders",
    EventKind.CANCEL_INTENDED: "cancelled {}",
    EventKind.ORDER_REJECTED: "{} refused",
    EventKind.ORDER_UNKNOWN: "asked after {} without an answer",
    EventKind.ORDER_ADOPTED: "adopted {}",
    EventKind.FILL: "booked {} fills",
    EventKind.FUNDING: "booked {} funding payments",
    EventKind.TICK_SKIPPED: "skipped ticks {} times",
    EventKind.STOP_LATCHED: "latched the stop",
    EventKind.STOP_RELEASED: "released the latch",
    EventKind.DRAWDOWN_LATCHED: "latched a drawdown",
}


def digest(events: list[StoredEvent]) -> str:
    """What a bot did, in a line."""
    counts = Counter(stored.event.kind for stored in events)
    parts = [text.format(counts[kind]) for kind, text in _DID.items() if counts[kind]]
    told = dict.fromkeys(str(s.event.payload.get("key")) for s in events if s.event.kind is EventKind.ALERT)
    return "; ".join([*parts, *([f"told: {', '.join(told)}"] if told else [])])


def booked_position(events: list[StoredEvent]) -> Decimal:
    """The position that the recorded fills add up to [base units]."""
    fills = (stored.event.payload["fill"] for stored in events if stored.event.kind is EventKind.FILL)
    return sum((Decimal(fill["quantity"]) * (1 if fill["side"] == "buy" else -1) for fill in fills), ZERO)


Script = Callable[[Drill, Path], Awaitable[None]]
