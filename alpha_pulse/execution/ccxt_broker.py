"""The real thing: a broker over any ccxt exchange with linear perpetual swaps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from alpha_pulse.domain.events import Event
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.orders import Fill, FundingPayment, Order
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import AlphaPulseError, ConfigError, Transient
from alpha_pulse.execution.journal import MemoryJournal, PaperJournal
from alpha_pulse.execution.live.account import LiveAccount
from alpha_pulse.execution.live.desk import LiveDesk
from alpha_pulse.execution.live.feed import FillsFirst
from alpha_pulse.execution.live.setup import real_instrument
from alpha_pulse.execution.live.terms import Terms
from alpha_pulse.hedging.common.approved import ApprovedOrder
from alpha_pulse.hedging.common.interfaces import Clock, IdSource, MarketDataFactory, MarketFeed
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.common.types import BrokerCapabilities
from alpha_pulse.market.guard import Haste, hasty
from alpha_pulse.market.provider import FeedDataProvider


@dataclass(frozen=True, slots=True)
class _Open:
    pair: HedgePair
    desk: LiveDesk


class CcxtBroker:
    """A ``Broker`` that trades for real. Several brokers may share one ``LiveAccount``; each journals its own pairs.

    Answers come from what the streams and the reconciliations have brought; only writes, and questions about orders that nobody
    here knows, wait for the venue.
    """

    def __init__(self, live: LiveAccount, feed: MarketFeed, clock: Clock, ids: IdSource, *, journal: PaperJournal | None = None) -> None:
        self.account = live.name
        self.live = live
        self.clock = clock
        self.ids = ids
        self._fills_first = FillsFirst(feed, self._desk_of)
        self.feed: MarketFeed = self._fills_first
        self.market_data: MarketDataFactory = partial(FeedDataProvider, self.feed, clock)
        self._journal = journal or MemoryJournal()
        self._open: dict[str, _Open] = {}
        self._joined: set[str] = set()  # of those, the pairs that the account reads
        self._opening = asyncio.Lock()

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What this venue can do now: the dead-man switch counts only while the venue has confirmed it."""
        armed = bool(self._open) and all(self.live.is_armed(symbol) for symbol in self._open)
        return BrokerCapabilities(executes=True, dead_man_switch=armed, simulated=False)

    async def open_pair(self, pair: HedgePair, inventory: Decimal) -> Instrument:
        """See ``Broker``. Account set up and verified, orders and trades of earlier runs taken in, streams running."""
        async with self._opening:
            found = self._open.get(pair.perpetual)
            if found is not None and pair.perpetual in self._joined:
                return found.desk.terms.instrument
            async with AsyncExitStack() as undo:
                undo.push_async_callback(self.live.leave, pair.perpetual)  # a start that fails leaves no connection behind
                instrument = await self._open_pair(pair, inventory)
                undo.pop_all()
            return instrument

    async def _open_pair(self, pair: HedgePair, inventory: Decimal) -> Instrument:
        await self.live.open(pair)
        connection = self.live.connection
        listed = await self.feed.instrument(pair)
        if listed is None:
            raise ConfigError("real mode needs the exchange's own market data", field="feed.source", fix="set feed.source to ccxt")
        instrument = await real_instrument(connection, listed)
        await self.feed.open(pair, instrument)
        sign = -1 if inventory < 0 else 1
        desk = LiveDesk(
            Terms(pair, instrument, bot_tag(self.account, pair.perpetual), sign, self.live.share),
            connection,
            self.live.settings,
            self.clock,
            self._journal,
            self.account,
            partial(self._nudge, pair.perpetual),
            partial(self.feed.latest, pair.perpetual),
        )
        await self.live.join(desk)
        self._open[pair.perpetual] = _Open(pair, desk)
        self._joined.add(pair.perpetual)
        return instrument

    async def create_order(self, order: ApprovedOrder) -> Order:
        """See ``Broker``."""
        if not isinstance(order, ApprovedOrder):
            raise TypeError("only an ApprovedOrder can be sent")
        return await self._desk(order.request.symbol).create(order.request)

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """See ``Broker``."""
        await self._desk(symbol).orders.cancel(client_order_id)

    async def create_orders(self, orders: Sequence[ApprovedOrder]) -> Sequence[Order | AlphaPulseError]:
        """See ``Batching``."""
        if not all(isinstance(order, ApprovedOrder) for order in orders):
            raise TypeError("only an ApprovedOrder can be sent")
        return await self._desk(orders[0].request.symbol).create_many([order.request for order in orders]) if orders else []

    async def cancel_orders(self, symbol: str, client_order_ids: Sequence[str]) -> Sequence[AlphaPulseError | None]:
        """See ``Batching``."""
        return await self._desk(symbol).cancel_many(client_order_ids)

    async def open_orders(self, symbol: str) -> tuple[Order, ...]:
        """See ``Broker``."""
        desk = self._desk(symbol)
        desk.touch()
        return desk.orders.tracker.open_orders()

    async def find_order(self, symbol: str, client_order_id: str) -> Order | None:
        """See ``Broker``."""
        return await self._desk(symbol).orders.find(client_order_id)

    async def fills(self, symbol: str, already: int = 0) -> Sequence[Fill]:
        """See ``Broker``."""
        return await self._desk(symbol).fills(already)

    async def funding(self, symbol: str, already: int = 0) -> Sequence[FundingPayment]:
        """See ``Broker``."""
        desk = self._desk(symbol)
        await desk.save()
        return desk.books.funding[already:]

    async def fetch_account(self, symbol: str) -> Account:
        """See ``Broker``. Raises ``Transient`` while the account cannot be believed, ``Fatal`` once the pair is halted."""
        return self._desk(symbol).account()

    async def refresh(self, symbol: str) -> None:
        """Read orders, trades and account from the venue now, and settle what is in flight. Raises ``Transient`` or ``Fatal``.

        It may use the reserve of the request budget, and does not wait for a reading that has to wait for its share of it.
        """
        desk, patience = self._desk(symbol), self.live.settings.request_timeout_s
        await desk.orders.settled(patience / 2)
        try:
            with hasty(Haste.PROTECT):
                async with asyncio.timeout(patience):
                    await desk.reconcile()
        except TimeoutError as error:
            raise Transient(f"{symbol}: the account could not be read within {patience:g} s") from error

    def rules(self, symbol: str) -> Instrument:
        """See ``Relisting``."""
        return self._desk(symbol).terms.instrument

    def drain_events(self) -> list[Event]:
        """What happened at the venue that a person should know, once."""
        return [event for found in self._open.values() for event in found.desk.voice.drain()]

    async def close(self) -> None:
        """See ``Broker``."""
        for symbol in self._open:
            await self.live.leave(symbol)
            self._joined.discard(symbol)  # its last state can still be read; opened again, it joins the account anew
        await self.feed.close()

    def _nudge(self, symbol: str) -> None:
        self._fills_first.nudge(symbol)

    def _desk_of(self, symbol: str) -> LiveDesk | None:
        found = self._open.get(symbol)
        return None if found is None else found.desk

    def _desk(self, symbol: str) -> LiveDesk:
        found = self._open.get(symbol)
        if found is None:
            raise ConfigError("the pair is not open at this broker", field="symbol", value=symbol, fix="call open_pair first")
        return found.desk
