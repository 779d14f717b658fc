"""What the brokers that live on a market feed share: pairs, wallet, journal, and the feed that matches before it tells."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from loguru import logger

from alpha_pulse.domain.catalog import builtin_instrument
from alpha_pulse.domain.instrument import HedgePair, Instrument, exact
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, Order
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import AmbiguousOutcome, ConfigError, Rejected, Transient
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.desk import Desk
from alpha_pulse.execution.journal import JournalRecord, PaperJournal
from alpha_pulse.execution.matching.ledger import Wallet
from alpha_pulse.hedging.common.approved import ApprovedOrder
from alpha_pulse.hedging.common.interfaces import Clock, FeedProblem, IdSource, MarketDataFactory, MarketFeed
from alpha_pulse.hedging.common.types import BrokerCapabilities
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.market.provider import FeedDataProvider
from alpha_pulse.market.sanity import problem_with
from alpha_pulse.market.wrapped import WrappedFeed


class _Seat:
    """A desk with what the broker remembers about it."""

    __slots__ = ("attended", "credited", "desk", "fed", "inventory", "last_ms", "match", "saved_fills", "saved_funding", "unsaved")

    def __init__(self, desk: Desk, inventory: Decimal) -> None:
        self.desk = desk
        self.match = desk.match  # bound once: it is called for every bar
        self.inventory = inventory
        self.credited = False
        self.last_ms = 0  # of the last update that was matched: none is matched twice
        self.fed = True  # the feed is open for it
        self.attended = True  # every update needs a closer look: there is a journal, or the wallet is not credited yet
        self.unsaved: MarketUpdate | None = None  # matched, but the journal failed: to be saved and handed on first
        self.saved_fills = 0
        self.saved_funding = 0


class VenueFeed(WrappedFeed):
    """The market as the bot sees it: every update has passed the venue's books before it arrives.

    ``latest`` is the last update that was matched; after a restart from a journal it is the one matched last before, whether or
    not the bot came to act on it (it did if its last tick is not older).
    """

    def __init__(self, broker: FeedBroker, inner: MarketFeed) -> None:
        super().__init__(inner)
        self._broker = broker
        self._next = inner.next
        self._seats = broker._seats  # noqa: SLF001 - the feed is a part of its broker

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, after fills, funding and liquidation were booked from it (and journalled, where there is a journal).

        A ``FeedProblem`` is handed on unmatched. When the journal fails, ``Transient`` is raised and the same update comes again.
        """
        seat = self._seats.get(symbol) or self._broker._seat(symbol)  # noqa: SLF001 - as above
        update = seat.unsaved or await self._next(symbol)
        if not isinstance(update, MarketUpdate):
            return update
        if seat.unsaved is None and not (update.close_ms > seat.last_ms and update.mark.low > 0.0 and update.perp.low > 0.0):
            return FeedProblem(update.close_ms, problem_with(update) or f"the update of {update.close_ms} came again or late")
        seat.last_ms = update.close_ms
        if seat.attended:
            await self._broker._attend(seat, update)  # noqa: SLF001 - as above
        elif seat.match(update) and seat.desk.notices:
            self._broker._log_notices(seat)  # noqa: SLF001 - as above
        return update

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last update that was matched."""
        seat = self._seats.get(symbol)
        return None if seat is None else seat.desk.update


class FeedBroker(ABC):
    """A broker without an exchange: pairs on a feed, one cross wallet for each quote currency, books in a journal.

    With a journal, whatever was booked or changed is on disk before the call that did it returns, so that a process killed at any
    instant resumes with the account, the orders and the feed where they were. Without one nothing is ever serialised.
    """

    def __init__(
        self,
        settings: PaperSettings,
        feed: MarketFeed,
        clock: Clock,
        ids: IdSource,
        *,
        account: str,
        capabilities: BrokerCapabilities,
        journal: PaperJournal | None,
    ) -> None:
        self.settings = settings
        self.account = account
        self.capabilities = capabilities
        self.clock = clock
        self.ids = ids
        self._journal = journal
        self._seats: dict[str, _Seat] = {}
        self._wallets: dict[str, Wallet] = {}
        self._record: JournalRecord | None = None
        self._lock = asyncio.Lock()
        self.feed: MarketFeed = VenueFeed(self, feed)
        self.market_data: MarketDataFactory = partial(FeedDataProvider, self.feed, clock)

    @abstractmethod
    def _open_desk(self, instrument: Instrument, wallet: Wallet) -> Desk:
        """An empty desk for a pair."""

    # --- the port ---------------------------------------------------------------------------------------------------
    async def open_pair(self, pair: HedgePair, inventory: Decimal) -> Instrument:
        """See ``Broker``. Where the feed knows no trading rules, the built-in ones apply; fees come from the settings.

        The wallet is credited once: with ``quote_balance`` now, or with |inventory|·spot price when the first update arrives.

        Raises:
            ConfigError: no trading rules are known, or there is neither an inventory nor a quote balance.
        """
        async with self._lock:
            seat = self._seats.get(pair.perpetual)
            if seat is None:
                seat = await self._open_seat(pair, inventory)
            elif not seat.fed:
                await self.feed.open(pair, seat.desk.instrument, resume_after_ms=seat.last_ms)
                seat.fed = True
            return seat.desk.instrument

    async def create_order(self, order: ApprovedOrder) -> Order:
        """See ``Broker``. The order acts from the next market update on."""
        if not isinstance(order, ApprovedOrder):
            raise TypeError("only an ApprovedOrder can be sent")
        placed = self._desk(order.request.symbol).place(order.request, self.clock.now_ms())
        await self._save_write(order.request.client_order_id)
        return placed

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """See ``Broker``."""
        if self._desk(symbol).cancel(client_order_id):
            await self._save_write(client_order_id)

    async def open_orders(self, symbol: str) -> tuple[Order, ...]:
        """See ``Broker``."""
        return self._desk(symbol).orders()

    async def find_order(self, symbol: str, client_order_id: str) -> Order | None:
        """See ``Broker``; the last 10,000 closed orders are remembered."""
        return self._desk(symbol).find(client_order_id)

    async def fills(self, symbol: str, already: int = 0) -> Sequence[Fill]:
        """See ``Broker``."""
        return self._desk(symbol).fills[already:]

    async def funding(self, symbol: str, already: int = 0) -> Sequence[FundingPayment]:
        """See ``Broker``."""
        return self._desk(symbol).funding[already:]

    async def fetch_account(self, symbol: str) -> Account:
        """See ``Broker``."""
        return self._desk(symbol).account()

    async def close(self) -> None:
        """See ``Broker``. The books stay: a pair that is opened again goes on with them."""
        for seat in self._seats.values():
            seat.fed = False
        await self.feed.close()

    async def transfer(self, symbol: str, amount: Decimal) -> None:
        """Move cash into the pair's wallet (positive) or out of it (negative), quote units: a flow, no profit or loss.

        Raises:
            Rejected: the wallet does not hold what is to be taken out.
        """
        wallet = self._desk(symbol).ledger.wallet
        if wallet.cash + amount < 0:
            raise Rejected(f"the wallet holds {wallet.cash}, {-amount} cannot be taken out")
        wallet.transfer(amount)
        await self._save()

    # --- pairs ------------------------------------------------------------------------------------------------------
    def _seat(self, symbol: str) -> _Seat:
        seat = self._seats.get(symbol)
        if seat is None:
            raise ConfigError("the pair is not open at this broker", field="symbol", value=symbol, fix="call open_pair first")
        return seat

    def _desk(self, symbol: str) -> Desk:
        seat = self._seats.get(symbol)
        return seat.desk if seat is not None else self._seat(symbol).desk

    async def _open_seat(self, pair: HedgePair, inventory: Decimal) -> _Seat:
        if inventory == 0 and self.settings.quote_balance is None:
            raise ConfigError(
                "without an inventory there is nothing to derive the wallet from",
                field="paper.quote_balance",
                fix="give the cash in the perpetual wallet, e.g. quote_balance: 100000",
            )
        record = await self._books()
        known = await self.feed.instrument(pair) or builtin_instrument(pair)
        instrument = replace(known, maker_fee=self.settings.maker_fee, taker_fee=self.settings.taker_fee)
        wallet = self._wallet(instrument.quote, record)
        seat = _Seat(self._open_desk(instrument, wallet), inventory)
        self._restore(seat, record)
        update = seat.desk.update
        seat.last_ms = 0 if update is None else update.close_ms
        await self.feed.open(pair, instrument, resume_after_ms=0 if update is None else update.close_ms)
        self._wallets[instrument.quote] = wallet
        self._seats[instrument.symbol] = seat
        balance = self.settings.quote_balance
        if not seat.credited and balance is not None:
            seat.credited = True
            if not wallet.deposits:  # one wallet, however many pairs share it
                wallet.transfer(balance)
        seat.attended = self._journal is not None or not seat.credited
        return seat

    async def _books(self) -> JournalRecord:
        if self._record is None:
            loaded = await self._journal.load(self.account) if self._journal is not None else None
            self._record = loaded if loaded is not None else JournalRecord()
        return self._record

    def _wallet(self, quote: str, record: JournalRecord) -> Wallet:
        if quote in self._wallets:
            return self._wallets[quote]
        state = record.state.get("wallets", {}).get(quote)
        return Wallet() if state is None else Wallet(Decimal(state["cash"]), Decimal(state["deposits"]))

    def _restore(self, seat: _Seat, record: JournalRecord) -> None:
        """Put a pair back as the journal has it."""
        symbol = seat.desk.instrument.symbol
        state = record.state.get("pairs", {}).get(symbol)
        if state is None:
            return
        desk = seat.desk
        desk.restore(state["desk"])
        desk.fills.extend(decode(Fill, f) for f in record.fills if f["symbol"] == symbol)
        desk.funding.extend(decode(FundingPayment, f) for f in record.funding if f["symbol"] == symbol)
        seat.saved_fills, seat.saved_funding = len(desk.fills), len(desk.funding)
        seat.credited, seat.inventory = state["credited"], Decimal(state["inventory"])

    # --- updates and the journal ------------------------------------------------------------------------------------
    async def _attend(self, seat: _Seat, update: MarketUpdate) -> None:
        """Match with everything that the quick way leaves out: the first credit, notices, the journal."""
        if seat.unsaved is None:
            seat.match(update)
            if not seat.credited:
                price = exact(update.spot.close if update.spot is not None else update.index_price)
                seat.desk.ledger.wallet.transfer(abs(seat.inventory) * price)
                seat.credited = True
                seat.attended = self._journal is not None
            seat.unsaved = update
        await self._save()
        seat.unsaved = None

    def _log_notices(self, seat: _Seat) -> None:
        for notice in seat.desk.notices:
            logger.bind(account=self.account, symbol=seat.desk.instrument.symbol).warning(notice)
        seat.desk.notices.clear()

    async def _save_write(self, client_order_id: str) -> None:
        """Save after a write of the bot's; if that fails the write is done here but would not survive: its outcome is unknown."""
        try:
            await self._save()
        except Transient as error:
            raise AmbiguousOutcome(str(error), client_order_id=client_order_id) from error

    async def _save(self) -> None:
        """Journal whatever is new, in one transaction. Nothing counts as saved before the journal says so."""
        for seat in self._seats.values():
            if seat.desk.notices:
                self._log_notices(seat)
        if self._journal is None:
            return
        async with self._lock:
            seats = list(self._seats.values())
            marks = [(seat, len(seat.desk.fills), len(seat.desk.funding)) for seat in seats]
            fills = [encode(fill) for seat in seats for fill in seat.desk.fills[seat.saved_fills :]]
            funding = [encode(payment) for seat in seats for payment in seat.desk.funding[seat.saved_funding :]]
            await self._journal.save(self.account, self._state(), fills, funding)
            for seat, booked, settled in marks:
                seat.saved_fills, seat.saved_funding = booked, settled

    def _state(self) -> dict[str, Any]:
        """The whole venue. Pairs of an earlier run that this one has not opened stay as they were."""
        before = self._record.state if self._record is not None else {}
        wallets = dict(before.get("wallets", {}))
        wallets.update({quote: {"cash": str(w.cash), "deposits": str(w.deposits)} for quote, w in self._wallets.items()})
        pairs = dict(before.get("pairs", {}))
        for symbol, seat in self._seats.items():
            pairs[symbol] = {"desk": seat.desk.state(), "credited": seat.credited, "inventory": str(seat.inventory)}
        return {"wallets": wallets, "pairs": pairs}
