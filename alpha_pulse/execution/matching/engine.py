"""The matching engine: one pair's orders against one bar after another. Paper mode and backtests run this same code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Liquidity, Order, OrderRequest, OrderStatus, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.domain.position import Account, Position
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.matching import kernel
from alpha_pulse.execution.matching.admission import check_form, check_market
from alpha_pulse.execution.matching.book import Book, Kind, Resting, kind_of
from alpha_pulse.execution.matching.codec import book_state, ledger_state, restore_book, restore_ledger
from alpha_pulse.execution.matching.ledger import Ledger, Wallet
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY, affordable, liquidation_bounds, maintenance, tiers_of
from alpha_pulse.execution.matching.trades import Tariff, Trades
from alpha_pulse.hedging.state.codec import decode, encode

LIQUIDATION_ID = "autoclose"
"""Client order ids of fills that are a liquidation start with it, as Binance's do."""

_UNLIMITED = 1 << 62


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """The assumptions of a simulated venue, see ``execution.config.PaperSettings``."""

    fill_rule: str = "through"  # touch | through | queue
    queue_share: float = 0.1
    slippage_bps: float = 1.0
    leverage: Decimal = Decimal(3)


class MatchingEngine:
    """Matches one pair, out of a wallet that it may share with others.

    ``match`` takes one market update. Within a bar, in this order: funding on the position held before it; liquidation if mark opened
    beyond it; takers placed before the bar, at its open; then along the path (see ``kernel``) resting limit orders on the last price,
    stops and liquidation on mark, each where it lies. At one and the same place: liquidation, then stops, then limit orders, the
    best price first, then the oldest. An order placed after an update acts from the next update on.

    A stop that fires takes at the last price of that moment. Like at Binance its margin is checked only then: a stop that the wallet
    cannot carry expires. Limit orders fill at their own price, even where the bar opens beyond it. Takers pay half the spread and the
    impact, rounded up (buys) or down (sells) to a tick. A reduce-only order is clipped to the position and expires when there is
    nothing left to reduce. A liquidation closes at mark, with the taker fee and the penalty, as a fill of purpose FLOOR; a loss
    beyond the wallet stays in it: no insurance fund is assumed. Of pairs that share a wallet, the one whose mark moved is closed first.
    """

    def __init__(self, instrument: Instrument, wallet: Wallet, rules: MatchingRules) -> None:
        self.instrument = instrument
        self.rules = rules
        self.ledger = Ledger(wallet, instrument.lot_size)
        self.book = Book(instrument, 0 if rules.fill_rule == "touch" else 1)
        self.trades = Trades(instrument, self.ledger)
        self.fills = self.trades.fills
        self.funding = self.trades.funding
        self.notices: list[str] = []  # what a person should hear of; whoever runs the engine takes them out
        self.update: MarketUpdate | None = None
        self._tariff = Tariff(instrument, rules.slippage_bps)
        self._tiers = tiers_of(instrument)
        self._account: Account | None = None
        self._state: dict[str, Any] = {}
        self._state_at = -1
        self._budget = _UNLIMITED  # lots that resting orders may still fill on this bar
        self._changes = 0
        self._liquidation = (-math.inf, math.inf)
        self._buy_reach = self._sell_reach = self._mark_low = self._mark_high = 0.0
        self._stale = True
        self.invalidate()
        wallet.members.append(self)

    # --- the venue's doors ------------------------------------------------------------------------------------------
    def place(self, request: OrderRequest, now_ms: int) -> Order:
        """Accept an order, to act from the next update on.

        Raises:
            Rejected: duplicate id, malformed, against a rule of the venue, or more than the margin allows.
        """
        update = self.update
        if self.find(request.client_order_id) is not None:
            raise Rejected("duplicate client order id", client_order_id=request.client_order_id)
        if update is None:
            raise Rejected("there is no market price yet", client_order_id=request.client_order_id)
        check_form(request, self.instrument, update.mark.close)
        crossing = check_market(request, self.instrument, update, self.ledger.lots)
        if request.type is not OrderType.STOP_MARKET and not request.reduce_only:
            price = max(update.mark.close, float(request.price or 0))
            lots = self.instrument.lots_down(request.quantity)
            if not self._affords(request.side.sign, lots, price, update.mark.close):
                raise Rejected(f"insufficient margin to {request.side} {request.quantity}", client_order_id=request.client_order_id)
        self._touched()
        return self.book.add(request, kind_of(request, crossing=crossing), now_ms).order

    def cancel(self, client_order_id: str) -> bool:
        """Take an order out; False if it is not open."""
        resting = self.book.open.get(client_order_id)
        if resting is None:
            return False
        self._close(resting)
        return True

    def find(self, client_order_id: str) -> Order | None:
        """An order by our id, open or among the last closed ones."""
        return self.book.find(client_order_id)

    def orders(self) -> tuple[Order, ...]:
        """The open orders, oldest first; the same object until one of them changed."""
        return self.book.orders()

    def account(self) -> Account:
        """Wallet and position; the same object until something was booked."""
        if self._account is None:
            ledger = self.ledger
            self._account = Account(
                wallet=ledger.wallet.cash,
                position=Position(self.instrument.symbol, ledger.quantity, ledger.entry_price),
                fees_paid=ledger.fees,
                funding_received=ledger.funding,
                realized_pnl=ledger.realized,
                deposits=ledger.wallet.deposits,
                leverage_limit=self.rules.leverage,
                liquidated=ledger.liquidated,
            )
        return self._account

    def state(self) -> dict[str, Any]:
        """Everything but the fills and funding payments, as JSON values: what ``restore`` takes. Read it, do not change it."""
        if self._state_at != self._changes:
            self._state_at = self._changes
            self._state = {"ledger": ledger_state(self.ledger), "book": book_state(self.book)}
        return {**self._state, "update": encode(self.update)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state``. Its fills and funding payments are the caller's to put back. Raises ``ConfigError``."""
        restore_ledger(self.ledger, state["ledger"])
        restore_book(self.book, state["book"])
        self.update = decode(MarketUpdate, state["update"]) if state["update"] is not None else None
        self.invalidate()

    # --- a member of the wallet -------------------------------------------------------------------------------------
    def invalidate(self) -> None:
        """Something was booked in the wallet: account and cached prices no longer hold."""
        self._account = None
        self._touched()

    def _touched(self) -> None:
        self._stale = True
        self._changes += 1
        self._buy_reach = math.inf  # the quick test of ``match`` fails

    def exposure(self) -> tuple[float, float, float]:
        """(Unrealised PnL, maintenance margin, absolute notional) at the last mark, quote units."""
        if self.update is None or not self.ledger.lots:
            return 0.0, 0.0, 0.0
        quantity, mark = float(self.ledger.quantity), self.update.mark.close
        notional = abs(quantity) * mark
        return quantity * mark - float(self.ledger.cost), maintenance(notional, self._tiers), notional

    def _affords(self, sign: int, lots: int, price: float, mark: float) -> bool:
        """Whether margin carries ``lots`` more on a side, all working orders of that side included, at ``price``."""
        ledger, lot = self.ledger, self.instrument.lot
        worst = ledger.lots + sign * (lots + sum(r.left for r in self.book.working(sign)))
        unrealized, _, committed = ledger.wallet.elsewhere(self)
        equity = float(ledger.wallet.cash - ledger.cost) + ledger.lots * lot * mark + unrealized
        return affordable(worst * lot, ledger.lots * lot, price, equity, float(self.rules.leverage), committed)

    # --- a bar ------------------------------------------------------------------------------------------------------
    def match(self, update: MarketUpdate) -> bool:
        """Run one update through the book; True if an order or the account changed.

        Nearly every bar of a run changes nothing: five comparisons find that out.
        """
        self.update = update
        last, mark = update.perp, update.mark
        if (
            last.low > self._buy_reach
            and last.high < self._sell_reach
            and mark.low > self._mark_low
            and mark.high < self._mark_high
            and (update.settled_rate is None or not self.ledger.lots)
        ):
            return False
        return self._match_with_care(update)

    def _match_with_care(self, update: MarketUpdate) -> bool:
        before = self._changes
        self._refresh()
        last, mark = update.perp, update.mark
        settled = self.trades.settle(update)
        reached = last.low <= self._buy_reach or last.high >= self._sell_reach
        if settled or reached or mark.low <= self._mark_low or mark.high >= self._mark_high:
            share = self.rules.queue_share
            queue = self.rules.fill_rule == "queue"
            self._budget = kernel.queue_lots(last.volume, share, self.instrument.lot) if queue else _UNLIMITED
            self._refresh()
            if not self._liquidation[0] < mark.open < self._liquidation[1]:
                self._liquidate(mark.open, update)
            for resting in self.book.takes():
                if resting.request.client_order_id in self.book.open:  # an earlier one may have left it nothing to reduce
                    self._take_at_open(resting, update)
            self._walk(update)
        changed = self._changes != before
        if len(self.ledger.wallet.members) > 1:
            self._stale = True  # what others hold in the wallet moves with their mark: the bounds held for this bar only
            self._buy_reach = math.inf
        return changed

    def _refresh(self) -> None:
        """Find the prices again at which something happens, if anything changed since they were found."""
        if not self._stale:
            return
        book, ledger = self.book, self.ledger
        book.refresh()
        unrealized, required, _ = ledger.wallet.elsewhere(self)
        free = float(ledger.wallet.cash - ledger.cost) + unrealized - required
        self._liquidation = low, high = liquidation_bounds(free, float(ledger.quantity), self._tiers)
        self._buy_reach = math.inf if book.takers else book.buy_reach
        self._sell_reach = book.sell_reach
        self._mark_low = max(low, book.stop_low)
        self._mark_high = min(high, book.stop_high)
        self._stale = False

    def _walk(self, update: MarketUpdate) -> None:
        last, mark = update.perp, update.mark
        extremes = [(last.low, mark.low), (last.high, mark.high)]
        if not kernel.low_first(last.open, last.high, last.low):
            extremes.reverse()
        at, mark_at = last.open, mark.open
        for end, mark_end in (*extremes, (last.close, mark.close)):
            while True:
                self._refresh()
                place, resting = self._next_event(at, end, mark_at, mark_end)
                if place == kernel.NEVER:
                    break
                at += place * (end - at)
                mark_at += place * (mark_end - mark_at)
                if resting is None:
                    self._liquidate(mark_at, update)
                elif resting.kind is Kind.STOP:
                    self._fire(resting, at, mark_at, update)
                else:
                    self._make(resting, update)
            at, mark_at = end, mark_end

    def _next_event(self, at: float, end: float, mark_at: float, mark_end: float) -> tuple[float, Resting | None]:
        """Where on the rest of a segment the next thing happens, and to which order (None: liquidation)."""
        low, high = self._liquidation
        place = min(kernel.crossing(mark_at, mark_end, low, -1), kernel.crossing(mark_at, mark_end, high, 1))
        best = (place, -1, 0.0, 0)
        found: Resting | None = None
        for resting in self.book.open.values():
            sign = resting.sign
            if resting.kind is Kind.STOP:
                key = (kernel.crossing(mark_at, mark_end, resting.trigger, sign), 0, sign * resting.trigger, resting.sequence)
            elif resting.kind is Kind.REST and self._budget > 0:
                key = (kernel.crossing(at, end, resting.reach, -sign), 1, float(-sign * resting.ticks), resting.sequence)
            else:
                continue
            if key[0] != kernel.NEVER and key < best:
                best, found = key, resting
        return best[0], found

    # --- what happens on it -----------------------------------------------------------------------------------------
    def _make(self, resting: Resting, update: MarketUpdate) -> None:
        """A resting order fills at its own price."""
        lots = self._reducible(resting, min(resting.left, self._budget))
        self._budget -= lots
        self._fill(resting, lots, resting.ticks, self.instrument.price(resting.ticks), Liquidity.MAKER, update)

    def _fire(self, resting: Resting, at: float, mark_at: float, update: MarketUpdate) -> None:
        """A stop triggers: it takes at once, or expires when margin does not carry it."""
        lots = self._reducible(resting, resting.left)
        ticks = self._tariff.ticks(resting.sign, lots, at, update)
        if not resting.request.reduce_only and not self._affords(resting.sign, lots, max(ticks * self.instrument.tick, mark_at), mark_at):
            self.notices.append(f"stop {resting.request.client_order_id} expired when it triggered: insufficient margin")
            self._close(resting)
            return
        self._fill(resting, lots, ticks, self._tariff.reference(at), Liquidity.TAKER, update)

    def _take_at_open(self, resting: Resting, update: MarketUpdate) -> None:
        """A taker takes what it can; of a limit order the rest rests, unless it is IOC."""
        price, sign, request = update.perp.open, resting.sign, resting.request
        limited = request.type is OrderType.LIMIT
        lots = self._tariff.lots(sign, resting.left, price, resting.ticks, update) if limited else resting.left
        lots = self._reducible(resting, lots)
        if lots:
            ticks = self._tariff.ticks(sign, lots, price, update)
            if limited:
                ticks = sign * min(sign * ticks, sign * resting.ticks)
            self._fill(resting, lots, ticks, self._tariff.reference(price), Liquidity.TAKER, update)
        if request.client_order_id in self.book.open:
            if limited and request.time_in_force is not TimeInForce.IOC:
                resting.kind = Kind.REST
                self._touched()
            else:
                self._close(resting)

    def _liquidate(self, mark: float, update: MarketUpdate) -> None:
        """Close everything at ``mark``, cancel every order, and say so in the account."""
        for resting in list(self.book.open.values()):
            self._close(resting)
        instrument, held = self.instrument, self.ledger.lots
        side = Side.SELL if held > 0 else Side.BUY
        price = instrument.price(kernel.ticks_against(side.sign, mark, instrument.tick))
        self.ledger.liquidated = True
        self.notices.append(f"LIQUIDATED {instrument.symbol}: {self.ledger.quantity} at {price}")
        name = f"{LIQUIDATION_ID}{len(self.fills) + 1}"
        request = OrderRequest(name, instrument.symbol, side, OrderType.MARKET, instrument.quantity(abs(held)), None, Purpose.FLOOR)
        fee_rate = instrument.taker_fee + LIQUIDATION_PENALTY
        self.trades.fill(request, abs(held), price, self._tariff.reference(mark), Liquidity.TAKER, fee_rate, update.close_ms)

    def _reducible(self, resting: Resting, lots: int) -> int:
        """``lots``, clipped to the position if the order is reduce-only."""
        return min(lots, abs(self.ledger.lots)) if resting.request.reduce_only else lots

    def _close(self, resting: Resting) -> None:
        self.book.close(resting, OrderStatus.CANCELLED)
        self._touched()

    def _fill(self, resting: Resting, lots: int, ticks: int, reference: Decimal, liquidity: Liquidity, update: MarketUpdate) -> None:
        """Book a fill, and expire reduce-only orders that it left with nothing to reduce."""
        instrument = self.instrument
        fee_rate = instrument.maker_fee if liquidity is Liquidity.MAKER else instrument.taker_fee
        self.book.fill(resting, lots)
        self.trades.fill(resting.request, lots, instrument.price(ticks), reference, liquidity, fee_rate, update.close_ms)
        if self.book.reducers:
            held = self.ledger.lots
            for other in [r for r in self.book.open.values() if r.request.reduce_only and r.sign * held >= 0]:
                self._close(other)
