"""What ``doctor`` sees at the exchange: the account and its coins as they are. Everything is read, nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.instrument import ZERO, Instrument
from alpha_pulse.domain.orders import OrderType
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.execution.broker_factory import WITH_PASSWORD
from alpha_pulse.execution.feed_factory import live_feed
from alpha_pulse.execution.inventory_factory import create_inventory
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.setup import real_instrument
from alpha_pulse.execution.venues.structures import AccountSetup, KeyRights, VenueOrder, VenuePosition
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id
from alpha_pulse.hedging.execution.position_fetcher import release
from alpha_pulse.hedging.risk.checkup import Finding, Severity
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.runtime.secrets import ExchangeKeys, read_keys
from alpha_pulse.settings import Settings

T = TypeVar("T")

_UNREACHED: Final = "check the network, exchange.rest_url and the venue's status, then look again; --offline leaves the account out"
_REFUSED: Final = "check the key at the venue: whether it is alive, its rights, and the addresses that it may be used from"
_FAR_OFF_MS: Final = 1000  # a clock that is out by more than this should be set, though requests are corrected


@dataclass(frozen=True, slots=True)
class AccountFound:
    """What was found, as far as it was: findings, and the numbers that the rest of the examination goes on with."""

    findings: tuple[Finding, ...] = ()
    instrument: Instrument | None = None  # with the account's fees and the venue's brackets
    price: float | None = None  # mark, quote units
    wallet: Decimal | None = None  # quote units
    coins: Decimal | None = None

    def over(self, settings: Settings) -> Settings:
        """The settings with what was found in the place of what is assumed or read later: coins, wallet, fees, leverage."""
        changes: dict[str, Any] = {}
        if self.coins and settings.inventory.coins is None:
            known = {"source": "fixed", "quantity": self.coins, "exchange": None, "sources": ()}
            changes["inventory"] = settings.inventory.model_copy(update=known)
        if self.wallet is not None and self.instrument is not None:
            rules = {"quote_balance": self.wallet, "maker_fee": self.instrument.maker_fee, "taker_fee": self.instrument.taker_fee}
            changes["paper"] = settings.paper.model_copy(update=rules | {"leverage": Decimal(settings.exchange.leverage)})
        return settings.model_copy(update=changes) if changes else settings


def examine_account(settings: Settings, environ: Mapping[str, str]) -> AccountFound:
    """Ask the exchange, and whoever holds the coins; what cannot be reached is a finding. Nothing is asked that nobody needs to know."""
    return asyncio.run(look(settings, environ))


async def look(settings: Settings, environ: Mapping[str, str]) -> AccountFound:
    """As ``examine_account``."""
    desk = _Look(settings)
    found = AccountFound()
    if settings.mode == "real":
        exchange = settings.exchange
        try:
            keys = read_keys(
                exchange.api_key_env, exchange.api_secret_env, exchange.api_password_env, exchange.id in WITH_PASSWORD, environ
            )
        except ConfigError:
            return found  # said where the mode is looked at
        found = await desk.account(keys)
    if settings.mode == "real" or settings.inventory.coins is None:
        found = replace(found, coins=await desk.inventory(environ))
    return replace(found, findings=tuple(desk.findings))


class _Look:
    """One look at an account, finding by finding."""

    def __init__(self, settings: Settings) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._exchange = settings.exchange
        self._pair = hedge_pair(settings.symbol)
        self._guard = RequestGuard(reserve=settings.exchange.reserve, weight_per_minute=settings.exchange.budget())

    def say(self, topic: str, what: str, severity: Severity = Severity.OK, fix: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(severity, topic, what, fix))

    async def ask(self, topic: str, question: Awaitable[T]) -> T | None:
        """An answer, or None and a finding that says why there is none."""
        try:
            return await question
        except ConfigError as error:
            self.say(topic, str(error).removesuffix(f" Fix: {error.fix}"), Severity.ERROR, error.fix)
        except Fatal as error:
            self.say(topic, f"the exchange refuses: {error}", Severity.ERROR, _REFUSED)
        except (Transient, ValueError) as error:
            self.say(topic, f"no usable answer: {error}", Severity.ERROR, _UNREACHED)
        return None

    # --- the coins ----------------------------------------------------------------------------------------------------
    async def inventory(self, environ: Mapping[str, str]) -> Decimal | None:
        """Coins as found, and said."""
        units = await self.ask("inventory", self._units(environ))
        if units is None:
            return None
        coins, source = units * self._pair.multiplier, self._settings.inventory.source
        told = "as written down" if self._settings.inventory.coins is not None else f"found by source {source}"
        if coins == ZERO and source != "fixed":
            fix = "look whether they lie in that account's spot wallet; for a market-neutral grid give source fixed and quantity 0"
            self.say("inventory", f"no {self._pair.base} found: the bot would not start", Severity.ERROR, fix)
        else:
            self.say("inventory", f"{_plain(coins)} {self._pair.base}, {told}")
        return coins

    async def _units(self, environ: Mapping[str, str]) -> Decimal:
        fetcher = create_inventory(self._settings.inventory, self._exchange, self._pair, environ, self._guard)
        try:
            return await fetcher.fetch_inventory(self._pair.perpetual)
        finally:
            await release(fetcher)

    # --- the account --------------------------------------------------------------------------------------------------
    async def account(self, keys: ExchangeKeys) -> AccountFound:
        """Everything about the perpetual's account."""
        connection = await self.ask("connection", self._connect(keys))
        if connection is None:
            return AccountFound()
        try:
            return await self._look_around(connection)
        finally:
            await connection.close()

    async def _connect(self, keys: ExchangeKeys) -> Connection:
        connection = Connection(self._exchange, keys, self._guard)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(connection.close)
            await connection.open()
            connection.learn(self._pair)
            undo.pop_all()
        return connection

    async def _look_around(self, connection: Connection) -> AccountFound:
        rest, dialect, symbol = connection.rest, connection.dialect, self._pair.perpetual
        market = rest.markets[symbol]
        self._clock(rest.options.get("timeDifference"))
        rights = await self.ask("key", connection.read(lambda: dialect.key_rights(rest)))
        if rights is None:
            return AccountFound()
        self._rights(rights)
        setup = await self.ask("setup", connection.read(lambda: dialect.read_setup(rest, symbol)))
        balance = await self.ask("wallet", self._wallet(connection))
        position = await self.ask("position", self._position(connection, market, setup))
        instrument = await self.ask("market data", self._market_data(connection))
        price = await self.ask("market data", self._mark(connection))
        orders = None if instrument is None else await self.ask("open orders", self._orders(connection, market, instrument))
        if orders is not None:
            self._say_orders(orders)
        if setup is not None:
            self._say_setup(setup, fixed=bool(orders) or (position is not None and position.quantity != ZERO))
        self._dead_man(connection)
        if instrument is not None:
            instrument = await real_instrument(connection, instrument)
            self._say_rules(instrument, price)
        return AccountFound(instrument=instrument, price=price, wallet=balance)

    def _clock(self, difference_ms: int | None) -> None:
        if difference_ms is None:
            self.say("clock offset", f"{self._exchange.id} does not tell its time")
            return
        off = int(difference_ms)
        what = f"this machine is {abs(off)} ms {'ahead of' if off >= 0 else 'behind'} {self._exchange.id}, the way there included"
        if abs(off) > _FAR_OFF_MS:
            self.say("clock offset", what, Severity.WARNING, "set the clock, e.g. by NTP; requests are corrected meanwhile")
        else:
            self.say("clock offset", what)

    def _rights(self, rights: KeyRights) -> None:
        if rights.can_trade is False:
            self.say("key", "it may not trade futures", Severity.ERROR, "allow futures trading for this key at the venue")
        elif rights.can_trade:
            self.say("key", "it may trade futures")
        if rights.can_withdraw:
            fix = "make a key without the right to withdraw: hedging never needs it"
            self.say("key", "it may withdraw: whoever steals it takes the money", Severity.WARNING, fix)
        elif rights.can_withdraw is False:
            self.say("key", "it may not withdraw, as it should be")
        if None in {rights.can_trade, rights.can_withdraw}:
            self.say("key", f"{self._exchange.id} does not tell all of its rights: look there whether it may withdraw")

    def _say_setup(self, setup: AccountSetup, *, fixed: bool) -> None:
        """What is set against what should be. ``fixed``: a position or orders may keep the modes from being changed."""
        modes = {True: "hedge", False: "one_way", None: None}
        exchange = self._exchange
        for topic, wanted, there in (
            ("position mode", exchange.position_mode, modes[setup.hedge_mode]),
            ("margin mode", exchange.margin_mode, setup.margin_mode),
            ("leverage", exchange.leverage, setup.leverage),
        ):
            if there is None:
                self.say(topic, f"{exchange.id} does not tell; the settings say {wanted}")
            elif there == wanted:
                self.say(topic, f"{there}, as in the settings")
            elif fixed and topic != "leverage":
                fix = f"close them, or write exchange.{topic.replace(' ', '_')}: {there}"
                self.say(topic, f"{there}, not {wanted}, and position or orders may keep it from being changed", Severity.ERROR, fix)
            else:
                fix = f"nothing, or write exchange.{topic.replace(' ', '_')}: {there}"
                self.say(topic, f"{there}, not {wanted}: the bot changes it when it starts", Severity.WARNING, fix)

    async def _wallet(self, connection: Connection) -> Decimal:
        quote = self._pair.quote
        _, balance = await connection.balance()
        wallet = connection.dialect.wallet_of(balance, quote)
        if wallet <= ZERO:
            self.say("wallet", f"{_plain(wallet)} {quote}", Severity.ERROR, f"transfer {quote} into the futures wallet")
        else:
            self.say("wallet", f"{_plain(wallet)} {quote}, without unrealised profit")
        return wallet

    async def _position(self, connection: Connection, market: Mapping[str, Any], setup: AccountSetup | None) -> VenuePosition:
        hedge_mode = connection.hedge_mode if setup is None or setup.hedge_mode is None else setup.hedge_mode
        _, rows = await connection.position(self._pair.perpetual)
        coins = self._settings.inventory.coins
        sign = -1 if coins is not None and coins < ZERO else 1
        found = connection.dialect.position_of(rows, self._pair.perpetual, market, hedge_mode, sign)
        what = "none"
        if found.quantity != ZERO:
            entry = "" if found.entry_price is None else f" from {_plain(found.entry_price)}"
            liquidation = "" if found.liquidation_price is None else f", liquidated at {_plain(found.liquidation_price)}"
            side = "+" if found.quantity > ZERO else ""
            what = f"{side}{_plain(found.quantity)} {market['base']}{entry}{liquidation}"
        if found.quantity * sign > ZERO:
            self.say("position", f"{what}: it adds to the inventory's risk", Severity.WARNING, "close it, or let the bot turn it round")
        else:
            self.say("position", what)
        return found

    async def _market_data(self, connection: Connection) -> Instrument:
        """Through the feed that a bot would use: both markets listed, and a book that answers."""
        del connection
        feed = live_feed(self._settings.feed, self._exchange, guard=self._guard)
        try:
            return await feed.connect(self._pair)
        finally:
            await feed.close()

    async def _mark(self, connection: Connection) -> float:
        found = await connection.read(lambda: connection.rest.fetch_funding_rate(self._pair.perpetual))
        mark, rate = found.get("markPrice"), found.get("fundingRate")
        if not isinstance(mark, int | float) or not mark > 0.0:
            raise ValueError("the reply has no mark price")
        funding = "" if rate is None else f", funding {float(rate):+.4%} an interval"
        self.say("market data", f"spot and perpetual answer; mark {mark:,} {self._pair.quote}{funding}")
        return float(mark)

    async def _orders(self, connection: Connection, market: Mapping[str, Any], instrument: Instrument) -> list[VenueOrder]:
        rows = await connection.open_orders(self._pair.perpetual)
        return [connection.dialect.order_of(row, market, instrument) for row in rows]

    def _say_orders(self, orders: list[VenueOrder]) -> None:
        tag = bot_tag(self._exchange.account or self._exchange.id, self._pair.perpetual)
        ours = [order for order in orders if read_order_id(tag, order.client_order_id) is not None]
        stops = sum(order.type is OrderType.STOP_MARKET for order in ours)
        self.say("open orders", f"{len(ours)} of this bot, {stops} of them stops" if ours else "none of this bot")
        strangers = len(orders) - len(ours)
        if strangers:
            does = "leaves them alone" if self._exchange.strangers == "leave" else "cancels them when it starts"
            fix = "cancel them at the venue, or decide by exchange.strangers: leave or cancel"
            self.say("open orders", f"{strangers} of somebody else in this contract; the bot {does}", Severity.WARNING, fix)

    def _dead_man(self, connection: Connection) -> None:
        dead_man, seconds = connection.dialect.dead_man, self._exchange.dead_man_switch_s
        if dead_man is None:
            self.say("dead-man switch", f"{self._exchange.id} offers none: the stop's quantity covers resting unwinding orders")
        elif not seconds:
            fix = "exchange.dead_man_switch_s: 120"
            self.say("dead-man switch", "offered, and switched off: orders rest when the bot is dead", Severity.WARNING, fix)
        else:
            spares = "and spares the stop" if dead_man.spares_stops else "and may take the stop along"
            scope = "of the whole account" if dead_man.account_wide else "of the contract"
            self.say("dead-man switch", f"cancels the orders {scope} after {seconds:g} s of silence, {spares}")

    def _say_rules(self, instrument: Instrument, price: float | None) -> None:
        self.say("fees", f"maker {float(instrument.maker_fee):.4%}, taker {float(instrument.taker_fee):.4%} of notional")
        least = "" if price is None else f", least order {instrument.min_lots(price) * instrument.lot:g} {instrument.base}"
        notional = f"minimum notional {_plain(instrument.min_notional)} {instrument.quote}"
        self.say("filters", f"tick {_plain(instrument.tick_size)}, lot {_plain(instrument.lot_size)}, {notional}{least}")
        first, count = instrument.margin_tiers[0], len(instrument.margin_tiers)
        upto = f" up to {_plain(first.max_notional)} {instrument.quote}" if count > 1 else ""
        self.say("margin brackets", f"{count}; the first demands {float(first.maintenance_rate):.2%} of notional{upto}")


def _plain(value: Decimal) -> str:
    """A number for a person: thousands apart, no trailing zeros."""
    return f"{value.normalize():,f}"
