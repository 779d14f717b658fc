"""Spot trading of one account: balances, market and limit orders against the symbol's spot price. No margin, no short sales."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, Trade, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.account import FakeAccount


class SpotDesk:
    """Spot balances and orders. A fee is taken from what is received. Prices are per coin."""

    def __init__(self, account: FakeAccount) -> None:
        self.account = account
        self.balances: defaultdict[str, Decimal] = defaultdict(Decimal, account.config.spot)  # locked amounts included
        self.locked: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[int, VenueOrder] = {}
        self.trades: list[Trade] = []
        self._resting: dict[int, VenueOrder] = {}

    def free(self, asset: str) -> Decimal:
        """What can be spent or withdrawn."""
        return self.balances[asset] - self.locked[asset]

    def deposit(self, asset: str, amount: Decimal) -> None:
        """Move coins in (negative: out)."""
        self.balances[asset] += amount
        self.account.announce.spot_balances(self.account, {asset})

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Orders that rest, oldest first."""
        return [order for order in self._resting.values() if symbol in {None, order.symbol}]

    def find(self, symbol: str, order_id: str | None, client_id: str | None) -> VenueOrder | None:
        """An order by either id; of several with one client id the latest."""
        if order_id:
            return self.orders.get(int(order_id)) if order_id.isdigit() else None
        return next((o for o in reversed(self.orders.values()) if o.client_id == client_id and o.symbol == symbol), None)

    def place(self, market: SymbolMarket, order: VenueOrder) -> None:
        """Accept an order; it fills at once where it crosses the spot price. Raises ``Refusal``."""
        crosses = order.type == "MARKET" or self._reached(market, order, at_once=True)
        if crosses and order.type == "LIMIT_MAKER":
            raise Refusal(-2010, "Order would immediately match and take.")
        asset, amount = self._reserve(market, order)
        if self.free(asset) < amount:
            raise Refusal(-2010)
        self.locked[asset] += amount
        self.orders[order.order_id] = self._resting[order.order_id] = order
        self.account.announce.spot_order(self.account, order, "NEW")
        if crosses:
            self._fill(market, order, market.spot, maker=False)
        elif order.time_in_force in {"IOC", "FOK"}:
            self._end(order, market, "EXPIRED")
        else:
            self.account.announce.spot_balances(self.account, {asset})

    def cancel(self, market: SymbolMarket, order: VenueOrder) -> None:
        """Take a resting order out."""
        self._end(order, market, "CANCELED")

    def match(self, market: SymbolMarket) -> None:
        """Fill the resting orders that the spot price has come to."""
        for order in self.open_orders(market.spot_name):
            if market.spot_status == "TRADING" and self._reached(market, order, at_once=False):
                self._fill(market, order, order.price, maker=True)

    def _reached(self, market: SymbolMarket, order: VenueOrder, *, at_once: bool) -> bool:
        """A resting order fills by the venue's fill rule; a new one that stands at the price or beyond takes."""
        margin = ZERO if at_once or self.account.venue.config.fill_rule == "touch" else market.spot_tick
        if order.side == "BUY":
            return market.spot <= order.price - margin
        return market.spot >= order.price + margin

    def _reserve(self, market: SymbolMarket, order: VenueOrder) -> tuple[str, Decimal]:
        """Which asset an order ties up, and how much of it."""
        if order.side == "SELL":
            return market.pair.base, order.quantity
        price = market.spot if order.type == "MARKET" else order.price
        return market.pair.quote, order.quantity * price

    def _fill(self, market: SymbolMarket, order: VenueOrder, price: Decimal, *, maker: bool) -> None:
        asset, amount = self._reserve(market, order)
        self.locked[asset] -= amount
        quantity, fee_rate = order.quantity, self.account.config.spot_fee
        base, quote = market.pair.base, market.pair.quote
        sign = 1 if order.side == "BUY" else -1
        received, gross = (base, quantity) if sign > 0 else (quote, quantity * price)
        fee = gross * fee_rate
        self.balances[base] += sign * quantity
        self.balances[quote] -= sign * quantity * price
        self.balances[received] -= fee
        now = self.account.venue.now_ms()
        number = self.account.venue.next_id()
        trade = Trade(
            number, order.order_id, order.client_id, order.symbol, order.side, "BOTH", price, quantity, fee, received, ZERO, maker, now
        )
        order.book(trade)
        self.trades.append(trade)
        self._resting.pop(order.order_id, None)
        self.account.announce.spot_order(self.account, order, "TRADE", trade)
        self.account.announce.spot_balances(self.account, {base, quote})

    def _end(self, order: VenueOrder, market: SymbolMarket, status: str) -> None:
        asset, amount = self._reserve(market, order)
        self.locked[asset] -= amount
        self._resting.pop(order.order_id, None)
        order.status, order.updated_ms = status, self.account.venue.now_ms()
        self.account.announce.spot_order(self.account, order, status)
        self.account.announce.spot_balances(self.account, {asset})
