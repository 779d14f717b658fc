"""One account's dealings in one perpetual (and, in hedge mode, one side of it): the project's matching engine under Binance's records."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, Liquidity, OrderRequest, OrderStatus, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.matching import Kind, Ledger, MatchingEngine, MatchingRules, Wallet
from alpha_pulse.execution.matching.engine import LIQUIDATION_ID
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY, liquidation_price, tiers_of
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, AlgoOrder, Trade, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal, refusal_of

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.account import FakeAccount

_TIF = {"GTC": TimeInForce.GTC, "GTX": TimeInForce.POST_ONLY, "IOC": TimeInForce.IOC, "FOK": TimeInForce.IOC}
_EVERYTHING = Decimal(1_000_000_000)  # lots of a close-position stop: reduce-only clips it to what is there


class Desk:
    """Orders of one account in one symbol and position side.

    Inside the engine an order is named by ``engine_id``, so that the venue's own rules about client order ids can be applied (or
    broken by a fault) outside of it. ``sync`` turns what the engine did into orders, trades, income and frames.
    """

    def __init__(self, account: FakeAccount, market: SymbolMarket, side: str) -> None:
        self.account = account
        self.market = market
        self.side = side
        self.watched: list[AlgoOrder] = []  # conditional orders that the engine has no type for
        self.by_engine: dict[str, VenueOrder | AlgoOrder] = {}
        self.updated_ms = 0
        self.engine = self._engine(self._instrument(market.listed))
        self._shadow = Ledger(Wallet(), self.engine.instrument.lot_size)  # tells each fill's own share of the realised PnL
        self._seen_fills = self._seen_funding = 0
        self.engine.match(market.flat(account.venue.now_ms()))

    def _instrument(self, listed: Instrument) -> Instrument:
        """The filters are the venue's business: the engine takes whatever is on its steps."""
        config = self.account.config
        return replace(listed, maker_fee=config.maker_fee, taker_fee=config.taker_fee, min_notional=ZERO, min_quantity=listed.lot_size)

    def _engine(self, instrument: Instrument) -> MatchingEngine:
        config, account = self.account.venue.config, self.account
        leverage = Decimal(account.leverage_of(self.market.name))
        rules = MatchingRules(config.fill_rule, slippage_bps=config.slippage_bps, leverage=leverage)
        return MatchingEngine(instrument, account.wallet_of(instrument.quote), rules)

    # --- what it holds ------------------------------------------------------------------------------------------------
    @property
    def quantity(self) -> Decimal:
        """Signed position [base units]."""
        return self.engine.ledger.quantity

    @property
    def entry(self) -> Decimal:
        """Average entry price; 0 when flat."""
        return self.engine.ledger.entry_price

    @property
    def unrealized(self) -> Decimal:
        """Unrealised PnL at mark [quote units]."""
        ledger = self.engine.ledger
        return ledger.quantity * self.market.mark - ledger.cost

    def liquidation_price(self) -> float:
        """Where mark would liquidate; 0 where nothing does."""
        ledger = self.engine.ledger
        unrealized, required, _ = ledger.wallet.elsewhere(self.engine)
        free = float(ledger.wallet.cash - ledger.cost) + unrealized - required
        price = liquidation_price(free, float(ledger.quantity), tiers_of(self.engine.instrument))
        return 0.0 if math.isnan(price) else price

    def set_leverage(self, leverage: int) -> None:
        """What new orders may use."""
        self.engine.rules = replace(self.engine.rules, leverage=Decimal(leverage))
        self.engine.invalidate()

    # --- orders -------------------------------------------------------------------------------------------------------
    def place(self, order: VenueOrder) -> None:
        """Accept an order and let it take what it takes. Raises ``Refusal``."""
        self._enter(order, order.quantity)
        self.account.note_order(order)
        self.account.announce.order(self.account, order, "NEW")
        self._take(order.engine_id)

    def _enter(self, order: VenueOrder, quantity: Decimal) -> None:
        market = order.type == "MARKET"
        self._admit(
            OrderRequest(
                order.engine_id,
                self.engine.instrument.symbol,
                Side(order.side.lower()),
                OrderType.MARKET if market else OrderType.LIMIT,
                quantity,
                None if market else order.price,
                Purpose.GRID,
                time_in_force=TimeInForce.GTC if market else _TIF[order.time_in_force],
                reduce_only=order.reduce_only or self._closes(order.side),
            )
        )
        self.by_engine[order.engine_id] = order

    def _admit(self, request: OrderRequest) -> None:
        try:
            self.engine.place(request, self.account.venue.now_ms())
        except Rejected as error:
            raise refusal_of(error) from None

    def _closes(self, side: str) -> bool:
        """In hedge mode the side of an order says whether it opens or closes."""
        return (self.side, side) in {("LONG", "SELL"), ("SHORT", "BUY")}

    def _take(self, engine_id: str) -> None:
        """A real venue does not wait for the next price: what takes, takes now."""
        resting = self.engine.book.open.get(engine_id)
        if resting is not None and resting.kind is Kind.TAKE:
            self.engine.match(self.market.flat(self.account.venue.now_ms()))
        self.sync()

    def amend(self, order: VenueOrder, price: Decimal, quantity: Decimal) -> None:
        """Change a resting limit order; it loses its place in the queue. Raises ``Refusal``, and leaves it as it was."""
        engine, old = self.engine, order.engine_id
        resting = engine.book.open[old]
        before = (order.price, order.quantity)
        engine.cancel(old)
        order.price, order.quantity, order.engine_id = price, quantity, f"{order.order_id}-{self.account.venue.next_id()}"
        try:
            self._enter(order, quantity - order.filled)
        except Refusal:
            order.price, order.quantity = before
            order.engine_id = old
            engine.book.put(resting.order, resting.kind, resting.sequence)
            engine.invalidate()
            raise
        del self.by_engine[old]
        order.updated_ms = self.account.venue.now_ms()
        self.account.announce.order(self.account, order, "AMENDMENT")
        self._take(order.engine_id)

    def cancel(self, order: VenueOrder) -> None:
        """Take a resting order out at its owner's wish."""
        self.engine.cancel(order.engine_id)
        self._ended(order, "CANCELED")

    def place_algo(self, algo: AlgoOrder) -> None:
        """Accept a conditional order. Stops on mark live in the engine, where they fire at their place on the way. Raises ``Refusal``."""
        if algo.type == "STOP_MARKET" and algo.working_type == "MARK_PRICE":
            closing = algo.close_position
            if closing and not self.quantity:
                raise Refusal(-4509)
            quantity = self.engine.instrument.lot_size * _EVERYTHING if closing else algo.quantity
            name, symbol, side = algo.engine_id, self.engine.instrument.symbol, Side(algo.side.lower())
            reduces = closing or algo.reduce_only or self._closes(algo.side)
            stop = OrderType.STOP_MARKET
            self._admit(
                OrderRequest(name, symbol, side, stop, quantity, None, Purpose.STOP, trigger_price=algo.trigger_price, reduce_only=reduces)
            )
            self.by_engine[name] = algo
        elif self._reached(algo, self.market.flat(self.account.venue.now_ms())):
            raise Refusal(-2021)
        else:
            self.watched.append(algo)
        self.account.note_algo(algo)
        self.account.announce.algo(self.account, algo)

    def cancel_algo(self, algo: AlgoOrder) -> None:
        """Take a conditional order out at its owner's wish."""
        self.engine.cancel(algo.engine_id)
        self.by_engine.pop(algo.engine_id, None)
        self.watched = [other for other in self.watched if other is not algo]
        self._algo_ended(algo, "CANCELED")

    # --- the market moves ---------------------------------------------------------------------------------------------
    def match(self, update: MarketUpdate) -> None:
        """Run one update through the engine, then fire the conditional orders that are watched here."""
        funded = update.settled_rate is not None
        if self.engine.match(update) or funded:
            self.sync()
        for algo in [algo for algo in self.watched if self._reached(algo, update)]:
            if algo.is_open:
                self._fire(algo)

    def _reached(self, algo: AlgoOrder, update: MarketUpdate) -> bool:
        bar = update.mark if algo.working_type == "MARK_PRICE" else update.perp
        rising = (algo.side == "BUY") != algo.type.startswith("TAKE_PROFIT")
        trigger = float(algo.trigger_price)
        return bar.high >= trigger if rising else bar.low <= trigger

    def _fire(self, algo: AlgoOrder) -> None:
        self.watched.remove(algo)
        quantity = abs(self.quantity) if algo.close_position else algo.quantity
        order = self._triggered(algo, quantity)
        try:
            self.place(order)
        except Refusal as refusal:
            algo.actual, algo.reason = None, refusal.message
            self._algo_ended(algo, "REJECTED")
            return
        self._algo_ended(algo, "FINISHED")

    def _triggered(self, algo: AlgoOrder, quantity: Decimal) -> VenueOrder:
        """The ordinary order that a conditional one becomes. It keeps the client's id."""
        now = self.account.venue.now_ms()
        number = self.account.venue.next_id()
        limited = algo.type in {"STOP", "TAKE_PROFIT"}
        algo.actual = VenueOrder(
            order_id=number,
            client_id=algo.client_id,
            symbol=algo.symbol,
            side=algo.side,
            type="LIMIT" if limited else "MARKET",
            quantity=quantity,
            created_ms=now,
            price=algo.price,
            time_in_force=algo.time_in_force,
            position_side=algo.position_side,
            reduce_only=algo.reduce_only or algo.close_position,
            close_position=algo.close_position,
            orig_type=algo.type,
            stop_price=algo.trigger_price,
            working_type=algo.working_type,
            updated_ms=now,
            engine_id=f"t{number}",
        )
        algo.status, algo.triggered_ms, algo.updated_ms = "TRIGGERED", now, now
        self.account.announce.algo(self.account, algo)
        return algo.actual

    # --- from the engine into the records -----------------------------------------------------------------------------
    def sync(self) -> None:
        """Book everything that the engine did since the last time."""
        engine = self.engine
        while self._seen_fills < len(engine.fills):
            self._seen_fills += 1
            self._book(engine.fills[self._seen_fills - 1])
        while self._seen_funding < len(engine.funding):
            self._seen_funding += 1
            self.account.book_funding(self, engine.funding[self._seen_funding - 1])
        for name in [name for name in self.by_engine if name not in engine.book.open]:
            self._left(name, self.by_engine.pop(name))
        engine.notices.clear()
        engine.ledger.liquidated = False  # said once: the account trades on with what is left

    def _book(self, fill: Fill) -> None:
        order = self._order_of(fill)
        before = self._shadow.realized
        lots = self.engine.instrument.lots_down(fill.quantity) * fill.side.sign
        self._shadow.trade(lots, fill.price, ZERO)
        liquidated = fill.client_order_id.startswith(LIQUIDATION_ID)
        penalty = fill.price * fill.quantity * LIQUIDATION_PENALTY if liquidated else ZERO
        fee, asset = self.account.charge(self, fill.fee - penalty)
        trade = Trade(
            id=self.account.venue.next_id(),
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=self.market.name,
            side=order.side,
            position_side=self.side,
            price=fill.price,
            quantity=fill.quantity,
            commission=fee,
            commission_asset=asset,
            realized=self._shadow.realized - before,
            maker=fill.liquidity is Liquidity.MAKER,
            ts_ms=fill.ts_ms,
        )
        order.book(trade)
        self.updated_ms = fill.ts_ms
        self.account.book_trade(self, order, trade, penalty)

    def _order_of(self, fill: Fill) -> VenueOrder:
        found = self.by_engine.get(fill.client_order_id)
        if isinstance(found, VenueOrder):
            return found
        if isinstance(found, AlgoOrder):
            if found.actual is None:
                order = self._triggered(found, fill.quantity)
                self.account.note_order(order)
                self.account.announce.order(self.account, order, "NEW")
            if found.actual is not None:
                return found.actual
        return self._forced(fill.side.name, fill.quantity, f"{LIQUIDATION_ID}-{fill.ts_ms}")

    def _forced(self, side: str, quantity: Decimal, client_id: str) -> VenueOrder:
        """An order that nobody placed: a liquidation or an auto-deleveraging."""
        number, now = self.account.venue.next_id(), self.account.venue.now_ms()
        order = VenueOrder(
            number, client_id, self.market.name, side, "LIMIT", quantity, now, time_in_force="IOC", position_side=self.side, updated_ms=now
        )
        self.account.note_order(order)
        return order

    def _left(self, name: str, order: VenueOrder | AlgoOrder) -> None:
        """An order is no longer in the engine's book, and nobody asked for that: it filled, or the venue took it out."""
        if isinstance(order, AlgoOrder):
            if order.actual is None and not self.engine.ledger.liquidated:
                order.reason = "expired when it triggered: margin is insufficient, or nothing was left to reduce"
            self._algo_ended(order, "FINISHED" if order.actual is not None else "EXPIRED")
            return
        known = self.engine.find(name)
        if order.is_open and (known is None or known.status is not OrderStatus.FILLED):
            self._ended(order, "CANCELED" if self.engine.ledger.liquidated else "EXPIRED")

    def _ended(self, order: VenueOrder, status: str) -> None:
        self.by_engine.pop(order.engine_id, None)
        order.status, order.updated_ms = status, self.account.venue.now_ms()
        self.account.announce.order(self.account, order, status)

    def _algo_ended(self, algo: AlgoOrder, status: str) -> None:
        algo.status, algo.updated_ms = status, self.account.venue.now_ms()
        self.account.announce.algo(self.account, algo)

    # --- what tests do to it ------------------------------------------------------------------------------------------
    def fill_part(self, order: VenueOrder, quantity: Decimal) -> None:
        """Fill some of a resting order at its own price, as maker."""
        engine = self.engine
        resting = engine.book.open[order.engine_id]
        lots = min(resting.left, engine.instrument.lots_down(quantity))
        price = engine.instrument.price(resting.ticks)
        engine.book.fill(resting, lots)
        self._trade(resting.request, lots, price, Liquidity.MAKER, engine.instrument.maker_fee)

    def deleverage(self, quantity: Decimal | None) -> None:
        """Close some of the position (None: all) at mark, without a fee, as an auto-deleveraging."""
        engine = self.engine
        held = engine.ledger.lots
        lots = abs(held) if quantity is None else min(abs(held), engine.instrument.lots_down(quantity))
        side = Side.SELL if held > 0 else Side.BUY
        order = self._forced(side.name, engine.instrument.quantity(lots), "adl_autoclose")
        order.engine_id = f"adl{order.order_id}"
        self.by_engine[order.engine_id] = order
        price = self.market.on_tick(self.market.mark)
        request = OrderRequest(order.engine_id, engine.instrument.symbol, side, OrderType.MARKET, order.quantity, None, Purpose.FLOOR)
        self._trade(request, lots, price, Liquidity.TAKER, ZERO)

    def _trade(self, request: OrderRequest, lots: int, price: Decimal, liquidity: Liquidity, fee_rate: Decimal) -> None:
        engine = self.engine
        engine.trades.fill(request, lots, price, price, liquidity, fee_rate, self.account.venue.now_ms())
        for other in list(engine.book.open.values()):
            if other.request.reduce_only and other.sign * engine.ledger.lots >= 0:
                engine.cancel(other.request.client_order_id)
        engine.invalidate()
        self.sync()

    def refine(self, listed: Instrument) -> None:
        """Go on in an engine of finer steps, if the venue's new filters need one."""
        old = self.engine
        tick, lot = min(old.instrument.tick_size, listed.tick_size), min(old.instrument.lot_size, listed.lot_size)
        if (tick, lot) == (old.instrument.tick_size, old.instrument.lot_size):
            return
        old.ledger.wallet.members.remove(old)
        new = self.engine = self._engine(self._instrument(replace(listed, tick_size=tick, lot_size=lot)))
        scale = int(old.instrument.lot_size / lot)
        for name in ("cost", "realized", "fees", "funding", "liquidated"):
            setattr(new.ledger, name, getattr(old.ledger, name))
        new.ledger.lots = old.ledger.lots * scale
        self._shadow.lots, self._shadow.lot_size = self._shadow.lots * scale, lot
        for resting in old.book.open.values():
            new.book.put(resting.order, resting.kind, resting.sequence)
        new.book.sequence = old.book.sequence
        self._seen_fills = self._seen_funding = 0
        new.match(self.market.flat(self.account.venue.now_ms()))
        self.sync()
