"""The orders of one pair at a real venue: sent once, and never forgotten before the venue has said what became of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Order, OrderRequest, OrderType, Purpose, Side
from alpha_pulse.errors import AmbiguousOutcome, Fatal, Rejected, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.terms import LIVES, Terms, request_of
from alpha_pulse.execution.live.tracker import Life, Tracked, Tracker
from alpha_pulse.execution.live.voice import Voice
from alpha_pulse.execution.venues.structures import VenueOrder
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.hedging.common.order_ids import read_order_id

_ORDINARY: Final = ("not sent", "the venue took it", "OrderNotFillable", "OrderImmediatelyFillable", "InsufficientFunds", "InvalidNonce")
"""How a refusal begins that says nothing of the account's settings."""


class OrderDesk:
    """Sends, cancels and looks after the orders of one pair. ``wanted`` is set when the venue should be read soon."""

    def __init__(self, terms: Terms, connection: Connection, settings: ExchangeSettings, clock: Clock, voice: Voice) -> None:
        self.tracker = Tracker()
        self.wanted = asyncio.Event()
        self.doubted = False  # an order was refused: the account may not be set any more as it was
        self.doubled: set[str] = set()  # names under which the venue has had more than one order
        self.act_now: Callable[[], None] = voice.nudge  # what the venue says of an order calls for a new plan: it is gone, or did not leave
        self._terms = terms
        self._symbol = terms.instrument.symbol
        self._connection = connection
        self._dialect = connection.dialect
        self._settings = settings
        self._clock = clock
        self._voice = voice
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, float] = {}  # orders whose cancel failed at that time [s], until the venue says whether they live
        self._missing_since: dict[str, float] = {}
        self._forgotten: dict[str, tuple[float, float, float]] = {}  # first asked, next due, wait after that [s]

    def read(self, structure: Mapping[str, Any]) -> VenueOrder:
        """A ccxt order structure. Raises ``ValueError`` if it cannot be believed."""
        market: Mapping[str, Any] = self._connection.rest.markets[self._symbol]
        return self._dialect.order_of(structure, market, self._terms.instrument)

    def is_ours(self, client_order_id: str) -> bool:
        """Whether this bot gave the id out, in this run or an earlier one."""
        return read_order_id(self._terms.tag, client_order_id) is not None

    def is_plain(self, client_order_id: str) -> bool:
        """Whether it is known to rest among the ordinary orders: no stop, and no doubt about it."""
        tracked = self.tracker.get(client_order_id)
        if tracked is None or tracked.ended or tracked.unsettled or not tracked.venue_order_id:
            return False
        return tracked.request.type is not OrderType.STOP_MARKET

    def is_beyond(self, bid: float, ask: float) -> bool:
        """Whether the market stands beyond one of our resting orders, which must have filled then."""
        for order in self.tracker.open_orders():
            price = order.request.price
            if price is not None and (price < bid if order.request.side is Side.SELL else price > ask):
                return self.is_ours(order.client_order_id)
        return False

    def venue_id(self, client_order_id: str) -> str:
        """The venue's id of an order, or "" where it is not known."""
        tracked = self.tracker.get(client_order_id)
        return "" if tracked is None else tracked.venue_order_id

    @property
    def inventory_sign(self) -> int:
        """+1 or −1: what the position hedges."""
        return self._terms.inventory_sign

    def in_the_way(self, request: OrderRequest) -> str:
        """Why an order must wait: the one that it replaces may still rest. No node has two, and what did not leave counts against limits.

        Stops and what closes a gap under a floor do not wait.
        """
        if request.purpose not in {Purpose.GRID, Purpose.REBALANCE}:
            return ""
        for tracked in self.tracker.alive():
            other, name = tracked.request, tracked.request.client_order_id
            if other.purpose is not Purpose.GRID or other.side is not request.side:
                continue
            if name in self._leaving or (request.purpose is Purpose.GRID and other.node == request.node):
                return f"not sent: {name} was not cancelled yet"
        return ""

    # --- what is sent in batches ------------------------------------------------------------------------------------
    def about_to_send(self, request: OrderRequest) -> None:
        """Track an order that goes out now. Raises ``Rejected`` for an id that was used, ``Fatal`` once the pair is halted."""
        self._check_new(request)
        self.tracker.sent(request, self._now(), self._clock.now_ms())

    def _check_new(self, request: OrderRequest) -> None:
        if self._voice.halted:
            raise Fatal(self._voice.halted)
        if self.tracker.get(request.client_order_id) is not None:
            raise Rejected("duplicate client order id", client_order_id=request.client_order_id)

    def refused(self, request: OrderRequest, reason: str) -> Rejected:
        """The venue said no: it may know better than we how things stand."""
        self.doubted |= not reason.startswith(_ORDINARY)
        self.wanted.set()
        self.tracker.advance(request.client_order_id, Life.REJECTED, reason=reason)
        return Rejected(reason, client_order_id=request.client_order_id)

    def unanswered(self, request: OrderRequest, reason: str) -> AmbiguousOutcome:
        """Nobody knows: ask."""
        self._ask_after(request.client_order_id)
        return AmbiguousOutcome(reason, client_order_id=request.client_order_id)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- sending and cancelling -------------------------------------------------------------------------------------
    async def create(self, request: OrderRequest) -> Order:
        """Send an order once. Raises ``Rejected``, ``AmbiguousOutcome`` or ``Fatal``."""
        name = request.client_order_id
        self._check_new(request)
        if waits := self.in_the_way(request):
            raise Rejected(waits, client_order_id=name)
        self.tracker.sent(request, self._now(), self._clock.now_ms())
        try:
            answer = await self._connection.create(request, self._terms.inventory_sign)
            venue_id = self._dialect.accepted(answer)
        except Rejected as error:
            raise self.refused(request, error.reason) from error
        except Fatal:
            self.tracker.advance(name, Life.REJECTED, reason="refused")
            raise
        except AmbiguousOutcome:
            self._ask_after(name)
            raise
        except ValueError as error:
            raise self.unanswered(request, f"an unreadable answer: {error}") from error
        self.tracker.advance(name, Life.OPEN, venue_order_id=venue_id)
        with contextlib.suppress(ValueError):  # most venues acknowledge with an id and no more
            self.took(self.read(answer), name)
        tracked = self.tracker.get(name)
        if tracked is None or tracked.life is Life.REJECTED:
            raise Rejected("the venue took it and closed it at once", client_order_id=name)
        return tracked.as_order()

    async def cancel(self, client_order_id: str) -> None:
        """Cancel an order; one that is gone is no error. Raises ``AmbiguousOutcome`` while that is not proven."""
        try:
            await self._cancel(client_order_id)
        except AmbiguousOutcome:
            self._leaving[client_order_id] = self._now()
            raise
        self._leaving.pop(client_order_id, None)

    async def _cancel(self, client_order_id: str) -> None:
        tracked = self.tracker.get(client_order_id)
        if tracked.ended if tracked is not None else not self.is_ours(client_order_id):
            return  # gone, or an id that no bot of ours ever gave out
        is_stop = tracked is not None and tracked.request.type is OrderType.STOP_MARKET
        venue_id = "" if tracked is None else tracked.venue_order_id
        try:
            await self._connection.cancel(self._symbol, client_order_id, venue_id, stop=is_stop)
        except Rejected as error:
            if tracked is None:
                return
            if not await self._prove_gone(tracked):
                raise AmbiguousOutcome(
                    f"the cancel was refused and the order lives: {error.reason}", client_order_id=client_order_id
                ) from error
            return
        except AmbiguousOutcome:
            self.wanted.set()
            raise
        if tracked is not None and tracked.filled == ZERO and not tracked.unsettled:
            self.tracker.advance(client_order_id, Life.CANCELLED)
        elif tracked is not None:
            await self._prove_gone(tracked)

    async def _prove_gone(self, tracked: Tracked) -> bool:
        """Ask what became of an order that the venue does not want to cancel. Whatever it filled is booked soon."""
        try:
            await self.look_up(tracked)
        except (Transient, ValueError) as error:
            self.wanted.set()
            raise AmbiguousOutcome(str(error), client_order_id=tracked.request.client_order_id) from error
        now = self.tracker.get(tracked.request.client_order_id)
        self.wanted.set()
        return now is None or now.ended

    async def find(self, client_order_id: str) -> Order | None:
        """One order; None if the venue never saw it. Raises ``AmbiguousOutcome`` while that is not proven."""
        tracked = self.tracker.get(client_order_id)
        if tracked is None:
            return await self._find_forgotten(client_order_id)
        if tracked.unsettled:
            if client_order_id not in self._settling:
                self._ask_after(client_order_id)
            raise AmbiguousOutcome("the venue is being asked", client_order_id=client_order_id)
        return None if tracked.life is Life.REJECTED else tracked.as_order()

    async def _find_forgotten(self, name: str) -> Order | None:
        """An order of an earlier run whose outcome nobody recorded: asked after, no more often than the growing interval says."""
        said, now = read_order_id(self._terms.tag, name), self._now()
        if said is None:
            return None
        first, due, wait = self._forgotten.get(name, (now, now, self._settings.settle_first_s))
        if now >= due:
            asyncio.get_running_loop().call_later(wait, self._voice.nudge)  # a quiet market would not bring the next question
            try:
                answer = await self._connection.find(self._symbol, name, stop=said.purpose is Purpose.STOP)
                if answer is not None:
                    self._forgotten.pop(name, None)
                    return self.took(self.read(answer), name).as_order()
            except (Transient, ValueError) as error:
                raise AmbiguousOutcome(str(error), client_order_id=name) from error
            if now - first >= self._settings.settle_after_s:
                self._forgotten.pop(name, None)
                return None
            self._forgotten[name] = first, now + wait, 2.0 * wait
        raise AmbiguousOutcome("the venue is being asked", client_order_id=name)

    # --- orders without an answer -----------------------------------------------------------------------------------
    def _ask_after(self, name: str) -> None:
        self.tracker.advance(name, Life.UNKNOWN)
        if name not in self._settling or self._settling[name].done():
            self._settling[name] = asyncio.create_task(self._settle(name), name=f"settle {name}")

    async def _settle(self, name: str) -> None:
        """Ask for an order over growing intervals. Only answers count towards "it never arrived", not the time that passes in silence."""
        wait = self._settings.settle_first_s
        tracked = self.tracker.get(name)
        while tracked is not None and tracked.unsettled and not self._voice.halted:
            await asyncio.sleep(wait)
            wait = min(2.0 * wait, max(1.0, self._settings.settle_after_s / 3))
            asked_at = self._now()
            try:
                there = await self.look_up(tracked)
            except (Transient, ValueError) as error:
                logger.debug("Asking after {}: {}", name, error)
                continue
            except Fatal as error:
                self._voice.halt(str(error))
                return
            tracked = self.tracker.get(name)
            if not there and tracked is not None and tracked.unsettled and asked_at - tracked.at >= self._settings.settle_after_s:
                self.tracker.advance(name, Life.REJECTED, reason="never reached the venue")
                tracked = self.tracker.get(name)
        self._settling.pop(name, None)
        self._voice.nudge()

    async def settled(self, within_s: float) -> bool:
        """Wait until no order is without an answer, or the time is up."""
        tasks = [task for task in self._settling.values() if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        return not any(order.unsettled for order in self.tracker.alive())

    async def look_up(self, tracked: Tracked) -> bool:
        """Ask for one order by its ids; False if the venue knows none. Raises ``Transient``, ``Fatal`` or ``ValueError``."""
        request = tracked.request
        stop = request.type is OrderType.STOP_MARKET
        answer = await self._connection.find(self._symbol, request.client_order_id, tracked.venue_order_id, stop=stop)
        if answer is None:
            return False
        self.took(self.read(answer), request.client_order_id)
        return True

    def may_rest(self) -> bool:
        """Whether an order of ours, the stop apart, may still be at the venue."""
        return any(self.is_ours(o.request.client_order_id) and o.request.purpose is not Purpose.STOP for o in self.tracker.alive())

    async def cancel_strangers(self) -> None:
        """Cancel every open order of this contract that is not the bot's; what cannot be cancelled is said."""
        for order in self.tracker.open_orders():
            name = order.client_order_id
            if self.is_ours(name):
                continue
            try:
                await self.cancel(name)
                logger.info("{}: cancelled {}, which is not ours", self._symbol, order.venue_order_id)
            except AmbiguousOutcome as error:
                self._voice.say(f"stranger {name}", f"Order {order.venue_order_id}, not the bot's, could not be cancelled: {error}")

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._settling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the venue says ----------------------------------------------------------------------------------------
    def took(self, found: VenueOrder, name: str) -> Tracked:
        """Take in what the venue says of an order of ours."""
        known = self.tracker.get(name)
        request = known.request if known is not None else request_of(self._terms, found, name)
        if known is not None and self._is_other(known, found.venue_order_id):
            self.note_double(found.venue_order_id, name)
            return known
        life = LIVES[found.status]
        if found.triggered_order_id:
            self.tracker.link(found.triggered_order_id, name)
        if life is Life.FILLED and found.filled < request.quantity:
            life = Life.CANCELLED  # a fired stop, or an order that ended short: what it filled comes with its trades
        tracked = self.tracker.seen(request, found.venue_order_id, life, found.filled, found.created_ms, self._now())
        self._missing_since.pop(name, None)
        if known is not None and not known.ended and tracked.life is Life.CANCELLED:
            self.act_now()
        return tracked

    async def read_all(self, asked_at: float) -> None:
        """Compare the venue's list of open orders with ours. ``asked_at``: the loop's time before anything was asked [s].

        Raises:
            Transient, Fatal, ValueError: the list cannot be read, or not believed; what was known stays.
        """
        rows = await self._connection.open_orders(self._symbol)
        listed: set[str] = set()
        for row in rows:
            found = self.read(row)
            name = found.client_order_id
            if not self.is_ours(name):
                name = f"venue-{found.venue_order_id}"
            known = self.tracker.get(name)
            listed.add(name)
            if known is not None and self.is_ours(name) and (known.ended or known.venue_order_id not in {"", found.venue_order_id}):
                await self._cancel_extra(found)
                continue
            self.took(replace(found, client_order_id=name), name)
            if self._leaving.get(name, asked_at) < asked_at:
                del self._leaving[name]  # it lives: the next plan counts it, and should not be long in coming
                self.act_now()
        for tracked in self.tracker.alive():
            name = tracked.request.client_order_id
            if name not in listed and not tracked.unsettled and asked_at - tracked.at > self._settings.visible_after_s:
                await self._find_missing(tracked)

    async def _cancel_extra(self, found: VenueOrder) -> None:
        """The venue took one order twice, or lists one that had ended for us: it goes; what it filled counts."""
        self.note_double(found.venue_order_id, found.client_order_id)
        stop = found.type is OrderType.STOP_MARKET
        try:
            await self._connection.cancel(self._symbol, found.client_order_id, found.venue_order_id, stop=stop)
        except (Rejected, AmbiguousOutcome) as error:  # of a list that was out of date, mostly; else the next one shows it again
            logger.debug("The second order {}: {}", found.venue_order_id, error)
            return
        self._voice.say(
            f"twice {found.venue_order_id}",
            f"The venue had one order {found.client_order_id} too many: {found.venue_order_id} is cancelled",
        )

    @staticmethod
    def _is_other(known: Tracked, venue_order_id: str) -> bool:
        """Whether it is another order under the same name. What a fired stop became has its name by right."""
        return known.venue_order_id not in {"", venue_order_id} and known.request.type is not OrderType.STOP_MARKET

    def note_double(self, venue_order_id: str, name: str) -> None:
        """The venue has a second order under one of our names: its news says nothing of the first, and it has to go."""
        self.tracker.link(venue_order_id, name)
        self.doubled.add(name)
        self.wanted.set()

    async def _find_missing(self, tracked: Tracked) -> None:
        """An order that the venue's list lacks: ask for it by name; believe that it is gone only after asking for a while."""
        name = tracked.request.client_order_id
        if name.startswith("venue-"):
            self.tracker.advance(name, Life.CANCELLED)  # a stranger's order: nothing of ours depends on it
            return
        if await self.look_up(tracked):
            return
        since = self._missing_since.setdefault(name, self._now())
        if self._now() - since >= self._settings.settle_after_s:
            self.tracker.advance(name, Life.CANCELLED, reason="unknown to the venue")
            self._missing_since.pop(name, None)
            self.act_now()
        else:
            self.wanted.set()
