"""The trades of one pair at a real venue: each booked once, under the order that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.domain.instrument import ZERO, exact
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, Liquidity, OrderRequest, OrderType, Purpose, Side
from alpha_pulse.execution.live.books import Income, PairBooks
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.orders import OrderDesk
from alpha_pulse.execution.live.terms import Terms
from alpha_pulse.execution.live.tracker import Life
from alpha_pulse.execution.live.voice import Voice
from alpha_pulse.execution.venues.structures import VenueTrade
from alpha_pulse.hedging.common.order_ids import read_order_id

OVERLAP_MS: Final = 120_000
"""Trades and payments are read again from so long before the last complete reading: venues list some late."""

_STREAM_LATE_MS: Final = 3000  # a trade this old that the stream has not brought is one that it lost
_FUNDING_EVERY_MS: Final = 300_000
_FUNDING_AGAIN_MS: Final = 1_000


class TradeDesk:
    """Books trades and funding of one pair, from the stream and over REST alike."""

    def __init__(
        self,
        terms: Terms,
        connection: Connection,
        orders: OrderDesk,
        books: PairBooks,
        voice: Voice,
        market_now: Callable[[], MarketUpdate | None],
    ) -> None:
        self.booked_at = 0.0  # loop time of the last booking: what was asked before it says nothing of it [s]
        self.missed = 0  # trades that REST brought and the stream should have
        self._untold: dict[str, int] = {}  # trades that REST brought before the stream could, and when they happened [ms]
        self._terms = terms
        self._symbol = terms.instrument.symbol
        self._connection = connection
        self._dialect = connection.dialect
        self._orders = orders
        self._tracker = orders.tracker
        self._books = books
        self._voice = voice
        self._market_now = market_now
        self._touch: dict[str, Decimal] = {}  # where the market stood when an order went out
        self._owners: dict[str, str] = {}  # venue order ids that are not ours, to what their ids say
        self._funding_read_ms = -1e12  # the loop's time
        self._funding_seen_ms = 0  # the venue's
        self._asked_ms = 0  # the venue's time up to which trades were last asked for

    def read(self, structure: Mapping[str, Any]) -> VenueTrade:
        """A ccxt trade structure. Raises ``ValueError`` if it cannot be believed."""
        market: Mapping[str, Any] = self._connection.rest.markets[self._symbol]
        return self._dialect.trade_of(structure, market)

    def mark_sent(self, request: OrderRequest) -> None:
        """Remember where the market stands: slippage is measured from here."""
        self._touch[request.client_order_id] = self._touch_price(request)

    def take(self, trade: VenueTrade) -> bool | None:
        """Book a trade from the stream; whether it was new, or None where nobody knows yet whose it is."""
        self._untold.pop(trade.trade_id, None)
        owner = self._owner(trade)
        return None if owner is None else self._book(trade, owner)

    def _owner(self, trade: VenueTrade) -> str | None:
        """Our (or their) client id of the order that a trade belongs to, if it is known."""
        if trade.client_order_id and self._orders.is_ours(trade.client_order_id):
            return trade.client_order_id
        return self._tracker.owner_of(trade.venue_order_id) or self._owners.get(trade.venue_order_id)

    async def _find_owner(self, trade: VenueTrade) -> str:
        """Ask whose order it was. A stop that fired became an order of another id: such stops are asked what they became."""
        answer = await self._connection.find(self._symbol, "", trade.venue_order_id)
        theirs = ""
        if answer is not None:
            found = self._orders.read(answer)
            theirs = found.client_order_id
            if self._orders.is_ours(theirs):
                self._orders.took(found, theirs)
                return theirs
        for tracked in self._tracker.stops():
            await self._orders.look_up(tracked)
            owner = self._tracker.owner_of(trade.venue_order_id)
            if owner is not None:
                return owner
        self._owners[trade.venue_order_id] = theirs or f"venue-{trade.venue_order_id}"
        return self._owners[trade.venue_order_id]

    def _book(self, trade: VenueTrade, owner: str) -> bool:
        """Book a trade once; True if it was new."""
        if self._books.knows(trade.trade_id):
            return False
        known, said = self._tracker.get(owner), read_order_id(self._terms.tag, owner)
        purpose = Purpose.EXTERNAL if said is None else said.purpose
        fill = Fill(
            trade_id=trade.trade_id,
            client_order_id=owner,
            symbol=self._symbol,
            side=trade.side,
            price=trade.price,
            quantity=trade.quantity,
            fee=trade.fee,
            fee_currency=trade.fee_currency or self._terms.instrument.quote,
            liquidity=Liquidity.MAKER if trade.maker else Liquidity.TAKER,
            ts_ms=trade.ts_ms,
            reference_price=trade.price if trade.maker else self._touch.get(owner, trade.price),
            purpose=purpose,
            node=0 if said is None else said.node,
        )
        self.booked_at = asyncio.get_running_loop().time()
        self._books.book(fill, fill.fee if fill.fee_currency == self._terms.instrument.quote else ZERO)
        if known is not None and known.request.type is not OrderType.STOP_MARKET and known.venue_order_id not in {"", trade.venue_order_id}:
            self._orders.note_double(trade.venue_order_id, owner)
        if owner in self._orders.doubled:
            self._orders.wanted.set()  # the sum of its fills is not one order's: what each has filled is read from the orders
        elif known is not None and not known.ended:
            self._tracker.advance(owner, Life.PARTLY_FILLED, filled=self._books.filled[owner])
        if purpose is Purpose.EXTERNAL:
            self._tell_of_outsider(trade, trade.reason or self._dialect.reason_of_trade(owner))
        return True

    def adopt_difference(self, quantity: Decimal) -> None:
        """Book a signed quantity that no trade of the venue's explains, at mark, as somebody else's."""
        update = self._market_now()
        price = exact(update.mark.close) if update is not None else self._books.ledger.entry_price
        now_ms = self._asked_ms or self._books.read_until_ms
        name = f"unexplained-{now_ms}"
        fill = Fill(
            trade_id=name,
            client_order_id=name,
            symbol=self._symbol,
            side=Side.BUY if quantity > 0 else Side.SELL,
            price=price,
            quantity=abs(quantity),
            fee=ZERO,
            fee_currency=self._terms.instrument.quote,
            liquidity=Liquidity.TAKER,
            ts_ms=now_ms,
            reference_price=price,
            purpose=Purpose.EXTERNAL,
        )
        self._books.book(fill, ZERO)

    def _tell_of_outsider(self, trade: VenueTrade, why: str) -> None:
        what = f"{trade.side.value} {trade.quantity} {self._terms.instrument.base} at {trade.price}"
        if why == "liquidation":
            self._books.liquidated()
            self._voice.say(f"liquidated {trade.trade_id}", f"The venue liquidated: {what}", "critical")
        elif why:
            self._voice.say(
                f"deleveraged {trade.venue_order_id}", f"The venue deleveraged the position ({why}): {what}. The hedge is repaired"
            )
        else:
            self._voice.say(
                f"outsider {trade.venue_order_id}", f"Somebody else traded in this contract: {what}. It counts; the hedge is repaired"
            )

    def _touch_price(self, request: OrderRequest) -> Decimal:
        """Where the market stood before our own impact."""
        if request.trigger_price is not None:
            return request.trigger_price
        update = self._market_now()
        if update is None:
            return request.price or ZERO
        return exact(update.bid if request.side.sign < 0 else update.ask)

    async def read_trades(self, until_ms: int) -> None:
        """Book every trade up to ``until_ms`` (the venue's time) that is not booked. Raises ``Transient``, ``Fatal`` or ``ValueError``."""
        since = max(0, self._books.read_until_ms - OVERLAP_MS)
        fresh = 0
        for row in await self._connection.trades(self._symbol, since, until_ms):
            trade = self.read(row)
            if self._books.knows(trade.trade_id):
                continue
            owner = self._owner(trade) or await self._find_owner(trade)
            if self._book(trade, owner):
                fresh += 1
                self._untold[trade.trade_id] = trade.ts_ms
        for trade_id in [name for name, at in self._untold.items() if until_ms - at > _STREAM_LATE_MS]:
            del self._untold[trade_id]
            self.missed += 1
        self._asked_ms = until_ms
        if fresh:
            self._voice.nudge()

    async def read_funding(self, until_ms: int, *, after: float, now: bool = False) -> bool:
        """Funding payments, every few minutes, after a settlement, and ``now`` when the wallet moved: the history is dear to read.

        What another pair has asked for will do if that was ``after`` or later (the loop's time). Whether they are known up to then.
        """
        now_ms = asyncio.get_running_loop().time() * 1000.0  # a venue's clock may be set back
        update, since_read = self._market_now(), now_ms - self._funding_read_ms
        settled = update is not None and max(self._funding_seen_ms, self._books.opened_ms) < update.next_funding_ms - round(
            update.funding_interval_h * 3_600_000
        )
        wanted = now or (settled and self._books.ledger.lots != 0)
        if since_read < (_FUNDING_AGAIN_MS if wanted else _FUNDING_EVERY_MS):
            return self._funding_read_ms >= after * 1000.0
        since = max(self._books.opened_ms, self._books.funded_until_ms() - OVERLAP_MS)
        mark = exact(update.mark.close) if update is not None else self._books.ledger.entry_price
        interval = 8.0 if update is None else update.funding_interval_h
        for row in await self._connection.funding(self._symbol, since, after=after):
            income_id, amount, at = row.get("id"), row.get("amount"), row.get("timestamp")
            if income_id is None or amount is None or at is None or row.get("symbol") not in {None, self._connection.listed[self._symbol]}:
                continue
            paid = exact(float(amount))
            quantity = self._books.ledger.quantity
            rate = (-paid / (quantity * mark)).quantize(Decimal("1e-8")) if quantity and mark else ZERO
            if int(at) >= self._books.opened_ms and int(at) <= until_ms + OVERLAP_MS:
                self._books.settle(Income(str(income_id), int(at), paid), rate, mark, interval)
                self._funding_seen_ms = max(self._funding_seen_ms, int(at))
        self._funding_read_ms = now_ms
        return True
