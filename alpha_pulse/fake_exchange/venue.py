"""The venue itself: symbols, accounts, and everything that happens there without a request. It is synchronous; sockets are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.account import FakeAccount
from alpha_pulse.fake_exchange.announce import Announcer
from alpha_pulse.fake_exchange.config import FakeConfig
from alpha_pulse.fake_exchange.market import Number, SymbolMarket, decimal
from alpha_pulse.fake_exchange.records import AlgoOrder, Income, LoggedRequest, Trade, VenueOrder
from alpha_pulse.hedging.common.interfaces import Clock


class Publisher(Protocol):
    """Who carries frames to whoever subscribed: the ``Hub``. Neither call blocks."""

    def market(self, stream: str, payload: dict[str, Any]) -> None:
        """A public frame, e.g. of ``btcusdt@bookTicker``."""
        ...

    def private(self, account: str, payload: dict[str, Any], kind: str = "futures") -> None:
        """A frame for one account's user streams."""
        ...


class Venue:
    """Everything that the exchange knows. Accounts are named by their API key; ``symbol`` is a name such as ``BTCUSDT``.

    Prices are per unit of the perpetual's base. Every change is matched at once, and told to the ``Publisher``.

    Args:
        config: what is listed and who is known.
        clock: the process's time; the venue's own is ``offset_ms`` ahead of it.
    """

    def __init__(self, config: FakeConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.offset_ms = 0
        self.log: list[LoggedRequest] = []
        self.announce = Announcer(self)
        self.markets = {symbol.name: SymbolMarket(symbol, self.now_ms()) for symbol in config.symbols}
        self.by_spot_name = {market.spot_name: market for market in self.markets.values()}
        self.accounts = {account.key: FakeAccount(account, self) for account in config.accounts}
        self._sequence = 1_000_000

    def connect(self, publisher: Publisher) -> None:
        """Tell everything to ``publisher`` from now on."""
        self.announce.publisher = publisher

    # --- what the streams ask -----------------------------------------------------------------------------------------
    def now_ms(self) -> int:
        """The venue's time [ms UTC]."""
        return self.clock.now_ms() + self.offset_ms

    def account_of_listen_key(self, key: str) -> str | None:
        """The account whose futures user stream this is; None for an unknown or expired key."""
        return next((a.key for a in self.accounts.values() if a.listen_key_is_valid(key)), None)

    def end_listen_key(self, key: str) -> None:
        """A listen key is no longer valid: the next one asked for is new."""
        for account in self.accounts.values():
            if account.listen_key_is_valid(key):
                account.close_listen_key()

    def spot_account_of(self, api_key: str) -> str | None:
        """The account that an API key belongs to, unless it was revoked."""
        account = self.accounts.get(api_key)
        return account.key if account is not None and not account.revoked else None

    def market_snapshot(self, stream: str) -> dict[str, Any] | None:
        """The frame to send right after a subscription, or None."""
        return self.announce.snapshot(stream)

    # --- finding things -----------------------------------------------------------------------------------------------
    def next_id(self) -> int:
        """A number that the venue never used before."""
        self._sequence += 1
        return self._sequence

    def market(self, symbol: str) -> SymbolMarket:
        """A listed symbol. Raises ``ConfigError`` for any other."""
        if symbol not in self.markets:
            raise ConfigError("is not listed at the fake exchange.", field="symbol", value=symbol, fix=f"one of {', '.join(self.markets)}")
        return self.markets[symbol]

    def account(self, key: str | None = None) -> FakeAccount:
        """An account by its key; None: the first. Raises ``ConfigError`` for an unknown key."""
        if key is None:
            return next(iter(self.accounts.values()))
        if key not in self.accounts:
            raise ConfigError("the fake exchange has no such account.", field="account", value=key, fix="use a key of its configuration")
        return self.accounts[key]

    # --- the market moves ---------------------------------------------------------------------------------------------
    def set_price(
        self,
        symbol: str,
        last: Number,
        *,
        mark: Number | None = None,
        index: Number | None = None,
        spot: Number | None = None,
        volume: Number = 1,
        gap: bool = True,
        bid: Number | None = None,
        ask: Number | None = None,
    ) -> None:
        """Move a symbol to new prices and match every order against them.

        Args:
            symbol: the perpetual.
            last: last traded price of the perpetual.
            mark: mark price; None = ``last``.
            index: index price; None = ``last``.
            spot: price of one coin on the spot market; None = ``index`` over the contract's multiplier.
            volume: traded at it, base units.
            gap: jump there in one step; False = travel there in a straight line, so that stops fill on the way.
            bid: best bid; None = a spread below ``last``.
            ask: best ask; None = a spread above ``last``.
        """
        market = self.market(symbol)
        price = market.on_tick(decimal(last))
        at_index = price if index is None else decimal(index)
        coin = at_index / market.pair.multiplier if spot is None else decimal(spot)
        market.touch(bid, ask)
        market.move(price, price if mark is None else decimal(mark), at_index, coin, decimal(volume), self.now_ms())
        self._matched(market, market.flat(self.now_ms()) if gap else market.travelled(self.now_ms()))

    def feed(self, symbol: str, update: MarketUpdate) -> None:
        """Move a symbol along a bar of a recorded or simulated feed: the same bar that the paper broker would match."""
        market = self.market(symbol)
        spot = None if update.spot is None else decimal(update.spot.close) / market.pair.multiplier
        market.touch(update.bid, update.ask)
        market.funding_rate = decimal(update.funding_rate)
        market.move(
            decimal(update.perp.close),
            decimal(update.mark.close),
            decimal(update.index_price),
            spot,
            decimal(update.perp.volume),
            self.now_ms(),
        )
        now = self.now_ms()
        if update.settled_rate is not None:
            market.settled.append((now, decimal(update.settled_rate), decimal(update.mark.open)))
            market.roll_funding(now)
        self._matched(market, update._replace(open_ms=now, close_ms=now))

    def _matched(self, market: SymbolMarket, update: MarketUpdate) -> None:
        self.announce.price(market)
        for account in self.accounts.values():
            account.match(market, update)

    def settle_funding(self, symbol: str, rate: Number | None = None, *, times: int = 1) -> None:
        """Settle funding now, at ``rate`` (fraction of notional; None = the running rate), ``times`` times over."""
        market = self.market(symbol)
        paid = market.funding_rate if rate is None else decimal(rate)
        for _ in range(times):
            for account in self.accounts.values():
                account.match(market, market.flat(self.now_ms(), paid))
            market.settled.append((self.now_ms(), paid, market.mark))
        market.roll_funding(self.now_ms())
        self.announce.mark(market)

    def set_funding(self, symbol: str, *, rate: Number | None = None, interval_h: int | None = None) -> None:
        """Change the running funding rate [fraction per interval] or the hours between settlements."""
        market = self.market(symbol)
        if rate is not None:
            market.funding_rate = decimal(rate)
        if interval_h is not None:
            market.set_interval(interval_h, self.now_ms())
        self.announce.mark(market)

    def halt(self, symbol: str, status: str = "SETTLING") -> None:
        """Stop trading of a symbol; ``status="TRADING"`` starts it again."""
        self.market(symbol).status = status

    def halt_spot(self, symbol: str, status: str = "HALT") -> None:
        """Stop the spot market that belongs to a perpetual; ``status="TRADING"`` starts it again."""
        self.market(symbol).spot_status = status

    def change_filters(
        self,
        symbol: str,
        *,
        tick_size: Number | None = None,
        lot_size: Number | None = None,
        min_notional: Number | None = None,
        min_quantity: Number | None = None,
    ) -> None:
        """Give a perpetual other filters from now on; open orders stay as they are."""
        market = self.market(symbol)
        market.change_filters(tick_size, lot_size, min_notional, min_quantity)
        for account in self.accounts.values():
            account.refine(market)

    # --- things done outside the bot ----------------------------------------------------------------------------------
    def trade_outside(
        self, account: str | None, symbol: str, side: str, quantity: Number, *, position_side: str | None = None
    ) -> VenueOrder:
        """A manual trade: a market order that the account's owner places in the venue's own app."""
        return self.account(account).trade_outside(self.market(symbol), side.upper(), decimal(quantity), position_side)

    def fill_part(self, account: str | None, symbol: str, client_order_id: str, quantity: Number) -> None:
        """Fill some of a resting order at its own price, as maker, while the price stays where it is."""
        self.account(account).fill_part(self.market(symbol), client_order_id, decimal(quantity))

    def deleverage(self, account: str | None, symbol: str, quantity: Number | None = None) -> None:
        """Auto-deleverage: close some of a position (None: all of it) at mark."""
        self.account(account).deleverage(self.market(symbol), None if quantity is None else decimal(quantity))

    def set_leverage_outside(self, account: str | None, symbol: str, leverage: int) -> None:
        """Change the leverage of a symbol, unasked."""
        self.account(account).set_leverage(self.market(symbol), leverage)

    def set_position_mode_outside(self, account: str | None, *, dual: bool) -> None:
        """Change to or from hedge mode as a person would: cancel every order, close every position, switch."""
        self.account(account).force_position_mode(dual=dual)

    def transfer(self, account: str | None, asset: str, amount: Number, *, wallet: str = "futures") -> None:
        """Move money in (negative: out). ``wallet``: futures or spot."""
        self.account(account).transfer(asset, decimal(amount), wallet)

    def revoke_key(self, key: str, *, revoked: bool = True) -> None:
        """Refuse every signed request of a key from now on."""
        self.account(key).revoked = revoked

    # --- what a test looks at -----------------------------------------------------------------------------------------
    def orders(self, account: str | None = None, symbol: str | None = None) -> list[VenueOrder]:
        """Every futures order ever, the triggered ones of stops included, oldest first."""
        return [o for o in self.account(account).orders.values() if symbol in {None, o.symbol}]

    def algo_orders(self, account: str | None = None, symbol: str | None = None) -> list[AlgoOrder]:
        """Every conditional order ever, oldest first."""
        return [o for o in self.account(account).algos.values() if symbol in {None, o.symbol}]

    def open_orders(self, account: str | None = None, symbol: str | None = None) -> list[VenueOrder]:
        """The futures orders that rest now, without conditional ones."""
        return [o for o in self.orders(account, symbol) if o.is_open]

    def fills(self, account: str | None = None, symbol: str | None = None) -> list[Trade]:
        """Every futures fill, oldest first."""
        return [t for t in self.account(account).trades if symbol in {None, t.symbol}]

    def position(self, account: str | None, symbol: str) -> Decimal:
        """Signed net position [base units]."""
        return self.account(account).position(symbol)

    def wallet(self, account: str | None, asset: str) -> Decimal:
        """Futures wallet balance, without unrealised PnL [asset]."""
        return self.account(account).balance(asset)

    def income(self, account: str | None = None) -> list[Income]:
        """Everything that moved a futures wallet, oldest first."""
        return self.account(account).income

    def requests(self, method: str = "", path: str = "") -> list[LoggedRequest]:
        """The logged requests of a method and path; empty: of any."""
        return [r for r in self.log if method in {"", r.method} and path in {"", r.path}]

    # --- time ---------------------------------------------------------------------------------------------------------
    def tick(self) -> None:
        """What time alone brings: dead-man switches and listen keys run out. Called every moment, and before every request."""
        now = self.now_ms()
        for account in self.accounts.values():
            account.tick(now)

    def publish_marks(self, symbols: Iterable[str] | None = None) -> None:
        """Send the mark prices again, as Binance does every second."""
        for name in self.markets if symbols is None else symbols:
            self.announce.mark(self.markets[name])
