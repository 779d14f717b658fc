"""A bot in real mode against the fake exchange, and what must hold whatever happens to it. Drills and tests run on this."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.bootstrap import build_bot
from alpha_pulse.domain.events import EventKind, StoredEvent
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Purpose
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, DEFAULT_SECRET, FakeConfig
from alpha_pulse.fake_exchange.records import AlgoOrder, LoggedRequest, VenueOrder
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state import audit, models
from alpha_pulse.hedging.state.ledger import event_from
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings

QUICK: Final[Mapping[str, Any]] = {
    "reconcile_s": 0.5,
    "settle_first_s": 0.05,
    "settle_after_s": 1.0,
    "visible_after_s": 0.5,
    "unexplained_after_s": 2.0,
    "stale_after_s": 3.0,
    "stream_silent_s": 3.0,
    "request_timeout_s": 1.0,
    "dead_man_switch_s": 3.0,
}
"""Every wait of the exchange section as short as a rehearsal wants it [s]."""

ENVIRON: Final = {"EXCHANGE_API_KEY": DEFAULT_KEY, "EXCHANGE_API_SECRET": DEFAULT_SECRET}


class Rehearsal:
    """One bot, one fake exchange, one database. Restarts are new bots on the same database."""

    def __init__(self, fake: FakeExchange, settings: Settings, engine: AsyncEngine, environ: Mapping[str, str]) -> None:
        self.fake = fake
        self.settings = settings
        self.engine = engine
        self.bot: GridHedgeBot | None = None
        self._environ = environ
        self._run: asyncio.Task[None] | None = None
        self._base = ZERO  # the position before the first bot came

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        fake: FakeConfig | None = None,
        environ: Mapping[str, str] = ENVIRON,
        quick: Mapping[str, Any] = QUICK,
        start: bool = True,
    ) -> AsyncIterator[Self]:
        """A fake exchange and a database in ``folder``, and with ``start`` a bot that runs. Whatever still runs at the end is stopped.

        Args:
            folder: where the database goes.
            settings: what the bot runs on, over real mode, BTCUSDT, 1 coin and quick intervals.
            fake: the exchange.
            environ: where the keys are.
            quick: the exchange section under ``settings``.
            start: start the bot at once.
        """
        async with FakeExchange.running(fake) as venue:
            tree = _tree(dict(settings or {}), venue, quick, folder)
            engine = await open_database(tree.store.url)
            rehearsal = cls(venue, tree, engine, environ)
            rehearsal._base = venue.venue.position(None, rehearsal.name)
            try:
                if start:
                    await rehearsal.start()
                yield rehearsal
            finally:
                await rehearsal.stop()
                await engine.dispose()

    # --- the bot ----------------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """The symbol as the venue spells it."""
        return self.settings.symbol.replace("/", "").partition(":")[0].upper()

    @property
    def live(self) -> GridHedgeBot:
        """The bot that runs, or ran last."""
        if self.bot is None:
            msg = "no bot was started"
            raise RuntimeError(msg)
        return self.bot

    async def start(self) -> GridHedgeBot:
        """A new bot on the same database, and its loop in the background."""
        store = SqlStore(self.engine, host=SystemHost())
        journal = SqlJournal(self.engine, self.name)
        bot = build_bot(self.settings, store=store, journal=journal, environ=self._environ)
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(bot.broker.close)
            await bot.start()
            undo.pop_all()
        self.bot = bot
        self._run = asyncio.create_task(bot.run(), name="rehearsed bot")
        return bot

    async def stop(self, reason: str = "the rehearsal is over") -> int | None:
        """Ask the bot to stop, and wait until it has; its exit code, or None if none ran."""
        if self._run is None or self.bot is None:
            return None
        self.bot.request_stop(reason)
        run, self._run = self._run, None
        await run
        return self.bot.exit_code

    @property
    def ended(self) -> bool:
        """The bot has ended by itself."""
        return self._run is None or self._run.done()

    # --- time -------------------------------------------------------------------------------------------------------
    def move(self, price: float | Decimal, **others: Any) -> None:
        """Let the perpetual trade at ``price``; see ``Venue.set_price`` for mark, index and spot."""
        self.fake.venue.set_price(self.name, price, **others)

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait for something. Raises ``TimeoutError``."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another program as far as we know
                await asyncio.sleep(0.01)

    async def quiet(self, within_s: float = 15.0, for_s: float = 0.4) -> None:
        """Wait until nothing has been sent for a while, nothing is unsettled, and bot and venue agree. Raises ``TimeoutError``."""
        loop = asyncio.get_running_loop()
        last, since = self._activity(), loop.time()
        async with asyncio.timeout(within_s):
            while True:
                await asyncio.sleep(0.02)
                now = self._activity()
                if now != last or not self._agrees():
                    last, since = now, loop.time()
                elif loop.time() - since >= for_s:
                    return

    def _activity(self) -> tuple[int, ...]:
        venue = self.fake.venue
        writes = sum(1 for r in venue.requests() if r.method != "GET" and ("rder" in r.path))
        return writes, len(venue.fills()), self.live.state.fills_booked

    def _agrees(self) -> bool:
        state, last = self.live.state, self.live.last
        if state.unknown or last is None:
            return False
        fills = self.fake.venue.fills(None, self.name)
        return state.fills_booked == len(fills) and last[0].account.position.quantity == self.position

    # --- what there is ----------------------------------------------------------------------------------------------
    @property
    def position(self) -> Decimal:
        """The venue's position, base units."""
        return self.fake.venue.position(None, self.name)

    @property
    def tag(self) -> str:
        """What every order id of this bot begins with."""
        account = self.settings.exchange.account or self.settings.exchange.id
        return bot_tag(account, self.live.symbol)

    def ours(self) -> list[VenueOrder]:
        """Every order that the venue ever had from this bot; stops that fired became orders of their own."""
        return [o for o in self.fake.venue.orders(None, self.name) if read_order_id(self.tag, o.client_id)]

    def our_stops(self) -> list[AlgoOrder]:
        """Every stop that the venue ever had from this bot."""
        return [o for o in self.fake.venue.algo_orders(None, self.name) if read_order_id(self.tag, o.client_id)]

    def open_orders(self) -> list[VenueOrder | AlgoOrder]:
        """What of ours is live at the venue, stops included."""
        found: list[VenueOrder | AlgoOrder] = [*self.ours(), *self.our_stops()]
        return [order for order in found if order.is_open]

    def laid_out(self) -> list[tuple[str, str, int, Decimal]]:
        """What of ours rests at the venue as (purpose, side, node, what remains), sorted: comparable between runs."""
        found = []
        for order in self.open_orders():
            name = read_order_id(self.tag, order.client_id)
            if name is not None:
                remaining = order.quantity - (order.filled if isinstance(order, VenueOrder) else ZERO)
                found.append((name.purpose.value, name.side.value, name.node, remaining))
        return sorted(found)

    def asked(self, route: str, *, since: int = 0) -> list[LoggedRequest]:
        """The requests of a route ("METHOD /path", with wildcards) that carried a key or were turned away, from number ``since`` on."""
        return [r for r in self.fake.venue.log[since:] if fnmatch.fnmatchcase(f"{r.method} {r.path}", route)]

    async def events(self, *kinds: EventKind) -> list[StoredEvent]:
        """The record, oldest first; of these kinds if any are given."""
        async with self.engine.connect() as connection:
            statement = select(models.events).order_by(models.events.c.sequence)
            found = [event_from(row) for row in (await connection.execute(statement)).mappings()]
        return [stored for stored in found if not kinds or stored.event.kind in kinds]

    async def alerts(self) -> list[str]:
        """Keys and texts of every alert raised."""
        found = await self.events(EventKind.ALERT)
        return [f"{stored.event.payload.get('key')}: {stored.event.payload.get('text')}" for stored in found]

    # --- what must hold ---------------------------------------------------------------------------------------------
    async def broken(self) -> list[str]:
        """Which invariants do not hold now: A bookings, B orders, D the record. Call it when things are ``quiet``."""
        return [*await self._bookings(), *self._twice(), *await self._record()]

    async def _bookings(self) -> list[str]:
        problems = []
        booked = [stored.event.payload["fill"] for stored in await self.events(EventKind.FILL)]
        ids = [fill["trade_id"] for fill in booked]
        if len(ids) != len(set(ids)):
            problems.append("A: a fill was booked twice")
        trades = self.fake.venue.fills(None, self.name)
        if missing := {str(t.id) for t in trades} ^ set(ids):
            problems.append(f"A: venue and record disagree on the trades {sorted(missing)}")
        total = sum((Decimal(f["quantity"]) * (1 if f["side"] == "buy" else -1) for f in booked), self._base)
        if total != self.position:
            problems.append(f"A: the fills add up to {total}, the venue has {self.position}")
        paid, fees = sum((t.commission for t in trades), ZERO), sum((Decimal(f["fee"]) for f in booked), ZERO)
        if paid != fees:
            problems.append(f"A: fees of {fees} are booked, the venue took {paid}")
        funding = sum((Decimal(s.event.payload["payment"]["amount"]) for s in await self.events(EventKind.FUNDING)), ZERO)
        income = sum((i.amount for i in self.fake.venue.income() if i.kind == "FUNDING_FEE" and i.symbol == self.name), ZERO)
        if abs(funding - income) >= Decimal("0.01"):
            problems.append(f"A: funding of {funding} is booked, the venue paid {income}")
        return problems

    def _twice(self) -> list[str]:
        problems = []
        names: dict[str, int] = {}
        spans: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
        for order in self.ours():
            names[order.client_id] = names.get(order.client_id, 0) + 1
            name = read_order_id(self.tag, order.client_id)
            if name is not None and name.purpose is Purpose.GRID:
                end = order.updated_ms if not order.is_open else 1 << 62
                spans.setdefault((name.side.value, name.node), []).append((order.created_ms, end, order.client_id))
        problems += [f"B: {name} reached the venue as {count} orders" for name, count in names.items() if count > 1]
        for (side, node), found in spans.items():
            found.sort()
            for (_, end, first), (begin, _, second) in itertools.pairwise(found):
                if begin < end:
                    problems.append(f"B: node {node} ({side}) had {first} and {second} live at once")
        return problems

    async def _record(self) -> list[str]:
        problems = [f"D: {problem}" for problem in await audit.verify(self.engine)]
        intended = {s.event.payload["order"]["client_order_id"] for s in await self.events(EventKind.ORDER_INTENDED)}
        at_venue = {o.client_id for o in self.ours()} | {o.client_id for o in self.our_stops()}
        if unrecorded := at_venue - intended:
            problems.append(f"D: orders without a record: {sorted(unrecorded)}")
        return problems

    def left_behind(self) -> list[str]:
        """F: what of ours is still at the venue after a stop."""
        return [f"F: {order.client_id} is still there" for order in self.open_orders()]

    def worst_exposure(self) -> Decimal:
        """Largest |position| that could come about if every resting order of one side filled, the stop apart. Base units."""
        held = self.position
        sells = sum((o.quantity - o.filled for o in self.ours() if o.is_open and o.side == "SELL"), ZERO)
        buys = sum((o.quantity - o.filled for o in self.ours() if o.is_open and o.side == "BUY"), ZERO)
        return max(abs(held - sells), abs(held + buys), abs(held))


def _tree(settings: dict[str, Any], fake: FakeExchange, quick: Mapping[str, Any], folder: Path) -> Settings:
    given = {"mode": "real", "symbol": "BTCUSDT", "inventory": {"quantity": "1"}, **settings}
    given["feed"] = {"source": "ccxt", "update_interval_s": 0.05, **given.get("feed", {})}
    urls = {"rest_url": fake.rest_url, "ws_url": fake.ws_url}
    given["exchange"] = {**quick, **given.get("exchange", {}), **urls}
    given.setdefault("store", {"url": f"sqlite+aiosqlite:///{folder / 'bots.db'}"})
    return Settings.read(given)
