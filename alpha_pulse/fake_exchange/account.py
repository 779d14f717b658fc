"""One account of the venue: wallets, settings, desks, orders and the history of its money."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import FundingPayment
from alpha_pulse.execution.matching import Wallet
from alpha_pulse.fake_exchange.config import AccountConfig
from alpha_pulse.fake_exchange.desk import Desk
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO, AlgoOrder, Income, Trade, VenueOrder
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.spot import SpotDesk

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.announce import Announcer
    from alpha_pulse.fake_exchange.venue import Venue

_FEE_UNIT: Final = Decimal("1e-8")
_MINUTE_MS: Final = 60_000


class FakeAccount:
    """Everything of one account. Its name is its API key."""

    def __init__(self, config: AccountConfig, venue: Venue) -> None:
        self.config = config
        self.venue = venue
        self.key = config.key
        self.revoked = False
        self.can_trade = config.can_trade
        self.can_withdraw = config.can_withdraw
        self.dual = config.dual_side
        self.multi_assets = False
        self.wallets = {"USDT": Wallet(config.usdt, config.usdt), "USDC": Wallet(config.usdc, config.usdc)}
        self.bnb = config.bnb
        self.spot = SpotDesk(self)
        self.desks: dict[tuple[str, str], Desk] = {}
        self.orders: dict[int, VenueOrder] = {}
        self.open: dict[int, VenueOrder] = {}  # may hold closed ones until ``open_orders`` sweeps
        self.algos: dict[int, AlgoOrder] = {}
        self._by_client: defaultdict[tuple[str, str], list[VenueOrder]] = defaultdict(list)  # (symbol, client id)
        self.trades: list[Trade] = []
        self.income: list[Income] = []
        self.leverage: dict[str, int] = {}
        self.margin_types: dict[str, str] = {}
        self.countdowns: dict[str, int] = {}  # symbol -> when the dead-man switch fires [venue ms]
        self._listen_key: tuple[str, int] | None = None  # (key, valid until [venue ms])

    @property
    def announce(self) -> Announcer:
        """Who tells the streams."""
        return self.venue.announce

    # --- wallets and settings -----------------------------------------------------------------------------------------
    def wallet_of(self, asset: str) -> Wallet:
        """The futures wallet of a quote currency."""
        return self.wallets.setdefault(asset, Wallet())

    def balance(self, asset: str) -> Decimal:
        """Futures wallet balance [asset]."""
        return self.bnb if asset == "BNB" else self.wallet_of(asset).cash

    def leverage_of(self, symbol: str) -> int:
        """Initial-margin leverage of a symbol."""
        return self.leverage.get(symbol, self.config.leverage)

    def margin_type_of(self, symbol: str) -> str:
        """CROSSED or ISOLATED."""
        return self.margin_types.get(symbol, self.config.margin_type)

    def set_leverage(self, market: SymbolMarket, leverage: int) -> None:
        """Change a symbol's leverage, and say so on the stream."""
        self.leverage[market.name] = leverage
        for desk in self._desks_of(market.name):
            desk.set_leverage(leverage)
        self.announce.leverage(self, market.name, leverage)

    def set_position_mode(self, *, dual: bool) -> None:
        """Change to or from hedge mode. Raises ``Refusal`` when orders or positions are open, or nothing would change."""
        if dual == self.dual:
            raise Refusal(-4059)
        if self.open_orders() or self.open_algos():
            raise Refusal(-4067)
        if any(desk.quantity for desk in self.desks.values()):
            raise Refusal(-4068)
        self.dual = dual
        self._drop_desks()

    def force_position_mode(self, *, dual: bool) -> None:
        """Cancel every order, close every position, and switch."""
        if dual == self.dual:
            return
        for order in self.open_orders():
            self.desk_of(order).cancel(order)
        for algo in self.open_algos():
            self.desk_of(algo).cancel_algo(algo)
        for desk in list(self.desks.values()):
            if desk.quantity:
                side = "SELL" if desk.quantity > 0 else "BUY"
                self.trade_outside(desk.market, side, abs(desk.quantity), desk.side)
        self.set_position_mode(dual=dual)

    def _drop_desks(self) -> None:
        for desk in self.desks.values():
            desk.engine.ledger.wallet.members.remove(desk.engine)
        self.desks.clear()

    # --- desks --------------------------------------------------------------------------------------------------------
    def desk(self, market: SymbolMarket, side: str) -> Desk:
        """The desk for a symbol and position side, opened when first needed."""
        key = (market.name, side)
        if key not in self.desks:
            self.desks[key] = Desk(self, market, side)
        return self.desks[key]

    def desk_of(self, order: VenueOrder | AlgoOrder) -> Desk:
        """The desk where an order rests."""
        return self.desk(self.venue.markets[order.symbol], order.position_side)

    def _desks_of(self, symbol: str) -> list[Desk]:
        return [desk for (name, _), desk in self.desks.items() if name == symbol]

    def position(self, symbol: str) -> Decimal:
        """Signed net position [base units]."""
        return sum((desk.quantity for desk in self._desks_of(symbol)), ZERO)

    def match(self, market: SymbolMarket, update: MarketUpdate) -> None:
        """Run a market update through every desk of its symbol, and through the spot book."""
        for desk in self._desks_of(market.name):
            desk.match(update)
        self.spot.match(market)

    def refine(self, market: SymbolMarket) -> None:
        """The venue's filters changed."""
        for desk in self._desks_of(market.name):
            desk.refine(market.listed)

    # --- orders -------------------------------------------------------------------------------------------------------
    def note_order(self, order: VenueOrder) -> None:
        """Remember an order for ever."""
        self.orders[order.order_id] = self.open[order.order_id] = order
        self._by_client[order.symbol, order.client_id].append(order)

    def note_algo(self, algo: AlgoOrder) -> None:
        """Remember a conditional order for ever."""
        self.algos[algo.algo_id] = algo

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Orders that rest, oldest first."""
        self.open = {number: order for number, order in self.open.items() if order.is_open}
        return [order for order in self.open.values() if symbol in {None, order.symbol}]

    def open_algos(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Conditional orders that wait, oldest first."""
        return [algo for algo in self.algos.values() if algo.is_open and symbol in {None, algo.symbol}]

    def find_order(self, symbol: str, order_id: str | None, client_id: str | None) -> VenueOrder | None:
        """An order by the venue's id or the client's; of several with one client id the open one, else the latest."""
        if order_id:
            found = self.orders.get(int(order_id)) if order_id.isdigit() else None
            return found if found is not None and found.symbol == symbol else None
        same = self._by_client.get((symbol, client_id or ""), [])
        return next((o for o in same if o.is_open), same[-1] if same else None)

    def find_algo(self, algo_id: str | None, client_id: str | None) -> AlgoOrder | None:
        """A conditional order by either id."""
        if algo_id:
            return self.algos.get(int(algo_id)) if algo_id.isdigit() else None
        same = [a for a in self.algos.values() if a.client_id == client_id]
        return next((a for a in same if a.is_open), same[-1] if same else None)

    # --- money --------------------------------------------------------------------------------------------------------
    def charge(self, desk: Desk, fee: Decimal) -> tuple[Decimal, str]:
        """What a fee (quote units, already taken by the engine) costs in the asset that it is paid in, and that asset."""
        quote = desk.engine.instrument.quote
        in_bnb = (fee / self.venue.config.bnb_price).quantize(_FEE_UNIT)
        if self.config.fee_asset == "quote" or self.bnb < in_bnb:
            return fee, quote
        desk.engine.ledger.wallet.book(fee)  # back out of the quote wallet
        self.bnb -= in_bnb
        return in_bnb, "BNB"

    def book_trade(self, desk: Desk, order: VenueOrder, trade: Trade, penalty: Decimal) -> None:
        """A fill: into the history, the income and the streams."""
        quote = desk.engine.instrument.quote
        self.trades.append(trade)
        if trade.realized:
            self._earn("REALIZED_PNL", trade.symbol, quote, trade.realized, trade.ts_ms, str(trade.id))
        if trade.commission:
            self._earn("COMMISSION", trade.symbol, trade.commission_asset, -trade.commission, trade.ts_ms, str(trade.id))
        if penalty:
            self._earn("INSURANCE_CLEAR", trade.symbol, quote, -penalty, trade.ts_ms, str(trade.id))
        self.announce.order(self, order, "CALCULATED" if penalty else "TRADE", trade)
        self.announce.account(self, "ORDER", [desk], {quote, trade.commission_asset})

    def book_funding(self, desk: Desk, payment: FundingPayment) -> None:
        """A funding settlement: into the income and the streams."""
        quote = desk.engine.instrument.quote
        self._earn("FUNDING_FEE", desk.market.name, quote, payment.amount, payment.ts_ms)
        self.announce.account(self, "FUNDING_FEE", [desk], {quote}, {quote: payment.amount})

    def transfer(self, asset: str, amount: Decimal, wallet: str) -> None:
        """Move money in (negative: out)."""
        if wallet == "spot":
            self.spot.deposit(asset, amount)
            return
        if asset == "BNB":
            self.bnb += amount
        else:
            self.wallet_of(asset).transfer(amount)
        self._earn("TRANSFER", "", asset, amount, self.venue.now_ms(), info="DEPOSIT" if amount > 0 else "WITHDRAW")
        self.announce.account(self, "DEPOSIT" if amount > 0 else "WITHDRAW", [], {asset}, {asset: amount})

    def _earn(self, kind: str, symbol: str, asset: str, amount: Decimal, ts_ms: int, trade_id: str = "", info: str = "") -> None:
        self.income.append(Income(self.venue.next_id(), kind, symbol, asset, amount, ts_ms, trade_id, info))

    # --- done outside the bot -----------------------------------------------------------------------------------------
    def trade_outside(self, market: SymbolMarket, side: str, quantity: Decimal, position_side: str | None) -> VenueOrder:
        """A market order from the venue's own app. Raises ``Refusal``."""
        number, now = self.venue.next_id(), self.venue.now_ms()
        where = position_side or (("LONG" if side == "BUY" else "SHORT") if self.dual else "BOTH")
        order = VenueOrder(
            number, f"web_{number}", market.name, side, "MARKET", quantity, now, position_side=where, updated_ms=now, engine_id=f"o{number}"
        )
        self.desk(market, where).place(order)
        return order

    def fill_part(self, market: SymbolMarket, client_id: str, quantity: Decimal) -> None:
        """Fill some of a resting order. Raises ``Refusal`` when there is none of that client id."""
        order = self.find_order(market.name, None, client_id)
        if order is None or not order.is_open:
            raise Refusal(-2013)
        self.desk_of(order).fill_part(order, quantity)

    def deleverage(self, market: SymbolMarket, quantity: Decimal | None) -> None:
        """Auto-deleverage whatever is held in a symbol."""
        for desk in self._desks_of(market.name):
            if desk.quantity:
                desk.deleverage(quantity)

    # --- time ---------------------------------------------------------------------------------------------------------
    def tick(self, now_ms: int) -> None:
        """Dead-man switches fire: resting orders of the symbol go, conditional ones stay."""
        for symbol in [symbol for symbol, at in self.countdowns.items() if at <= now_ms]:
            del self.countdowns[symbol]
            for order in self.open_orders(symbol):
                self.desk_of(order).cancel(order)
        if self._listen_key is not None and self._listen_key[1] <= now_ms:
            self.announce.listen_key_expired(self, self._listen_key[0])
            self._listen_key = None

    def listen_key(self) -> str:
        """The key of the user data stream; the same while it is valid, and valid for its full time again."""
        now = self.venue.now_ms()
        key = self._listen_key[0] if self._listen_key is not None and self._listen_key[1] > now else f"listen{self.venue.next_id()}"
        self._listen_key = (key, now + round(self.venue.config.limits.listen_key_minutes * _MINUTE_MS))
        return key

    def renew_listen_key(self) -> str:
        """Keep the user data stream alive. Raises ``Refusal`` when there is none."""
        if self._listen_key is None or self._listen_key[1] <= self.venue.now_ms():
            raise Refusal(-1125)
        return self.listen_key()

    def close_listen_key(self) -> None:
        """End the user data stream."""
        self._listen_key = None

    def listen_key_is_valid(self, key: str) -> bool:
        """Whether a key is this account's and alive."""
        return self._listen_key is not None and self._listen_key[0] == key and self._listen_key[1] > self.venue.now_ms()
