"""A venue's dialect: our orders and ids as it wants them through ccxt, and its answers as ours.

This class says what ccxt unifies; a venue's own class overrides what it says otherwise. It holds no connection: methods that ask
the venue take the ccxt exchange. Reading methods raise ``ValueError`` for a reply that cannot be believed; asking methods let
ccxt's errors through, to be translated by ``errors.translate_write`` or ``market.ccxt_mapping.translate_read``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.orders import OrderRequest, OrderType, Side, TimeInForce
from alpha_pulse.errors import ConfigError, Rejected
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.client_ids import from_plain, to_plain
from alpha_pulse.execution.venues.dead_man import DeadMan
from alpha_pulse.execution.venues.numbers import exact_float, number, plain, text
from alpha_pulse.execution.venues.structures import (
    AccountSetup,
    Bankruptcy,
    KeyRights,
    OrderCall,
    Reading,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)


class Dialect:
    """What ccxt unifies, for any venue with linear perpetuals. See the module's docstring."""

    reading: ClassVar[Reading] = Reading()
    hedge_mode_key: ClassVar[str] = "positionSide"  # "" where hedge mode cannot be spoken
    stop_params: ClassVar[Mapping[str, Any]] = {"trigger": True}
    """Extra params of fetch_open_orders, fetch_order, cancel_order and cancel_all_orders for stops; empty: listed with the rest."""
    order_params: ClassVar[Mapping[str, Any]] = {}
    """Extra params of fetch_order for orders that are no stops."""
    spare_stops_params: ClassVar[Mapping[str, Any] | None] = {}
    """Extra params with which cancel_all_orders leaves the stops alone; None: it has none, cancel one by one."""
    dead_man: ClassVar[DeadMan | None] = None
    trades_from_id: ClassVar[str] = ""
    """The parameter that lists trades from an id (a number that rises) on; "" where that cannot be asked for."""
    answers_for_all: ClassVar[bool] = False
    """Whether positions and funding payments can be asked for without a symbol, at no greater cost."""
    create_batch: ClassVar[int] = 0
    """Most limit orders in one request; 0: one by one. Only where each row of the answer says which order it is about."""
    cancel_batch: ClassVar[int] = 0
    """Most orders to cancel in one request; 0: one by one."""

    def __init__(self, exchange_id: str, *, margin_mode: str = "cross", leverage: int = 3) -> None:
        if margin_mode not in {"cross", "isolated"}:
            raise ConfigError("is no margin mode.", field="margin_mode", value=margin_mode, fix='write "cross" or "isolated"')
        self.exchange_id = exchange_id
        self.margin_mode = margin_mode
        self.leverage = leverage
        self.share_s = 0.0  # what is set for a whole account need not be asked for again by another pair for so long [s]

    def prepare(self, exchange: Any) -> None:
        """Set what this venue needs on a ccxt exchange that was just made. Call it once, before the first request."""

    def retire(self, exchange: Any) -> None:
        """Keep a ccxt exchange from doing anything after it is closed. Call it just before."""

    # --- ids ----------------------------------------------------------------------------------------------------
    def to_venue_id(self, ours: str) -> str:
        """Our client order id as the venue takes it.

        Raises:
            ValueError: it is not one of our ids.
        """
        return to_plain(ours)

    def from_venue_id(self, theirs: str | None) -> str:
        """Our client order id, or a stranger's id as it is, or "" for none."""
        return from_plain(theirs)

    # --- orders -------------------------------------------------------------------------------------------------
    def order_call(self, request: OrderRequest, market: Mapping[str, Any], *, hedge_mode: bool, inventory_sign: int) -> OrderCall:
        """The call that places an order: ``await exchange.create_order(*call)``. Contracts and prices are exact.

        In hedge mode the position against the inventory is meant: SHORT for a positive one, LONG for a negative one.

        Raises:
            ConfigError: the venue cannot do this; the message says what to do instead.
            ValueError: a number is not finite, not above zero, or off the venue's steps: ccxt would round it, or worse.
        """
        contracts = self._contracts(request, market)
        price = None if request.price is None else exact_float(request.price, "price")
        if price is not None:
            self._on_step(request.price, market, "price")
        params: dict[str, Any] = {"clientOrderId": self.to_venue_id(request.client_order_id)}
        if request.type is OrderType.LIMIT:
            if price is None:
                raise ConfigError("a limit order needs a price.", field="price", fix="give the price, or send a market order")
            params |= self._time_in_force(request.time_in_force)
        elif request.type is OrderType.STOP_MARKET:
            params |= self._stop(request, self._trigger(request, market))
        if hedge_mode:
            params |= self._hedge(request.side, inventory_sign)
        elif request.reduce_only:
            params["reduceOnly"] = True
        params |= self._account_params()
        kind = "limit" if request.type is OrderType.LIMIT else "market"
        return OrderCall(str(market["symbol"]), kind, request.side.value, contracts, self._call_price(request, price), params)

    def _contracts(self, request: OrderRequest, market: Mapping[str, Any]) -> float:
        if not request.quantity.is_finite():
            raise ValueError(f"quantity must be a number above zero, got {request.quantity}")
        contracts = request.quantity / readings.contract_size(market)
        found = exact_float(contracts, "quantity in contracts")
        self._on_step(contracts, market, "amount")
        return found

    def _trigger(self, request: OrderRequest, market: Mapping[str, Any]) -> str:
        if request.trigger_price is None:
            raise ConfigError("a stop needs a trigger price.", field="trigger_price", fix="give the mark price that it waits for")
        exact_float(request.trigger_price, "trigger price")
        self._on_step(request.trigger_price, market, "price")
        return plain(request.trigger_price)

    def _on_step(self, value: Decimal | None, market: Mapping[str, Any], name: str) -> None:
        """Refuse what ccxt would cut to the venue's step: what is sent must be what was decided and saved."""
        step = (market.get("precision") or {}).get(name)
        if value is None or step is None or self.exchange_id not in _STEPPED:
            return
        if value % number(step, f"{name} step"):
            raise ValueError(f"{name} {value} is no multiple of {step}, the step of {market['symbol']}")

    def _time_in_force(self, time_in_force: TimeInForce) -> dict[str, Any]:
        if time_in_force is TimeInForce.POST_ONLY:
            return {"postOnly": True}
        return {"timeInForce": "IOC" if time_in_force is TimeInForce.IOC else "GTC"}

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - some venues want to know
        raise ConfigError(
            "how to place a stop that triggers on the mark price is not known for this exchange.",
            field="exchange.id",
            value=self.exchange_id,
            fix=f"choose one of {', '.join(sorted(_STEPPED))}, or run without a stop at the exchange",
        )

    def _call_price(self, request: OrderRequest, price: float | None) -> float | None:
        """The price that goes into the call itself."""
        return price if request.type is OrderType.LIMIT else None

    def _account_params(self) -> dict[str, Any]:
        """What the venue wants to be told about the account with each order."""
        return {}

    def _hedge(self, side: Side, inventory_sign: int) -> dict[str, Any]:  # noqa: ARG002 - some venues want to know
        if not self.hedge_mode_key:
            raise ConfigError(
                "hedge mode is not supported here.", field="position_mode", value="hedge", fix="set the account to one-way mode"
            )
        return {self.hedge_mode_key: self._leg(inventory_sign)}

    def _leg(self, inventory_sign: int) -> Any:
        return ("SHORT", "LONG")[ours_is_long(inventory_sign)]

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """Whether a ccxt order structure is a stop, to be asked for and cancelled with ``stop_params``."""
        return readings.trigger_price(order) is not None

    def accepted(self, reply: Mapping[str, Any]) -> str:
        """The venue's order id in the reply to a create. Most venues say no more there: read the order itself with ``find``.

        Raises:
            Rejected: the reply says so.
            ValueError: the reply says neither: what happened is unknown.
        """
        if reply.get("status") == "rejected":
            raise Rejected(f"rejected: {str(readings.info_of(reply))[:200]}")
        return text(reply.get("id"), "order id")

    # --- answers ------------------------------------------------------------------------------------------------
    def order_of(self, found: Mapping[str, Any], market: Mapping[str, Any], instrument: Instrument) -> VenueOrder:
        """A ccxt order structure, read.

        Raises:
            ValueError: it lacks what an order must have, makes no sense, or is about another instrument.
        """
        if instrument.contract_size != readings.contract_size(market):
            raise ValueError(f"{market['symbol']}: a contract is {readings.contract_size(market)} now, it was {instrument.contract_size}")
        order = readings.read_order(found, market, self.reading, stop=self.is_stop(found))
        return replace(order, client_order_id=self.from_venue_id(order.client_order_id))

    def trade_of(self, trade: Mapping[str, Any], market: Mapping[str, Any]) -> VenueTrade:
        """A ccxt trade structure, read.

        Raises:
            ValueError: it lacks what a trade must have, or makes no sense.
        """
        found = readings.read_trade(trade, market, self.reading)
        ours = self.from_venue_id(found.client_order_id)
        return replace(found, client_order_id=ours, reason=self.reason_of_trade(trade))

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:  # noqa: ARG002 - ccxt unifies nothing here
        """The cash of the perpetual's wallet in quote units, without unrealised profit.

        Raises:
            ValueError: the reply cannot be believed.
        """
        raise ConfigError(
            f"where this exchange keeps the {quote} balance without unrealised profit is not known.",
            field="exchange.id",
            value=self.exchange_id,
            fix=f"choose one of {', '.join(sorted(_STEPPED))}",
        )

    def position_of(
        self, positions: Sequence[Mapping[str, Any]], symbol: str, market: Mapping[str, Any], hedge_mode: bool, inventory_sign: int
    ) -> VenuePosition:
        """The perpetual position in ccxt's list of positions; flat where no row is about it.

        Raises:
            ValueError: the rows cannot be believed.
        """
        return readings.read_position(positions, symbol, market, hedge_mode=hedge_mode, inventory_sign=inventory_sign)

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:  # noqa: ARG002 - ccxt unifies nothing here
        """Whether the venue traded for us, from a ccxt order or trade structure or from a client order id alone."""
        return ""

    # --- asking -------------------------------------------------------------------------------------------------
    def news_of(self, message: Mapping[str, Any]) -> str:  # noqa: ARG002 - ccxt unifies nothing here
        """What a raw frame of the private stream says that ccxt does not hand on: "expired" (nothing comes any more), "account" (money
        changed other than by a trade), "settings" (leverage or modes changed), "margin" (a margin call), or "".
        """
        return ""

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:
        """Ccxt's structure of the order with our client order id, open or done; None when the venue knows of none.

        None is no proof soon after a create, and some venues forget orders that ended without a fill.
        """
        params = {"clientOrderId": self.to_venue_id(client_order_id), **(self.stop_params if stop else self.order_params)}
        return await account.found_or_none(exchange.fetch_order("", symbol, params))

    async def _find_listed(self, exchange: Any, symbol: str, theirs: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The same from the list of open orders, where a venue cannot be asked for one."""
        listed = await exchange.fetch_open_orders(symbol, None, None, dict(params))
        return next((row for row in listed if readings.client_id(row, self.reading) == theirs), None)

    async def fetch_positions(self, exchange: Any, symbol: str | None) -> list[Mapping[str, Any]]:
        """Ccxt's positions of one symbol, or of all (None, where ``answers_for_all``); an empty list means flat and nothing else.

        Raises:
            ValueError: the venue answered with something that is no list of positions.
        """
        found = await exchange.fetch_positions(None if symbol is None else [symbol])
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            raise ValueError("the reply is no list of positions")
        if not found:
            account.believe_flat(exchange.last_json_response)
        return found

    async def setup(self, exchange: Any, symbol: str, *, leverage: int, margin_mode: str, hedge_mode: bool) -> AccountSetup:
        """Set position mode, margin mode and leverage where they differ, and return what the venue answers afterwards.

        Raises:
            ConfigError: the venue cannot be set so.
        """
        if hedge_mode and not self.hedge_mode_key:
            self._hedge(Side.BUY, 1)
        self.margin_mode, self.leverage = margin_mode, leverage
        wanted = AccountSetup(leverage, margin_mode, hedge_mode)
        return await account.settle(self, exchange, symbol, wanted)

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """How the account is set, as the venue tells it."""
        return await account.ask(exchange, symbol, {})

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """Set what differs."""
        await account.change(exchange, symbol, wanted, now)

    async def key_rights(self, exchange: Any) -> KeyRights:  # noqa: ARG002 - ccxt unifies nothing here
        """What the API key may do."""
        return KeyRights()


def ours_is_long(inventory_sign: int) -> bool:
    """Which leg hedges the inventory in hedge mode: the long one for a negative inventory, the short one for a positive.

    Raises:
        ConfigError: there is no inventory, so both legs would be needed.
    """
    if inventory_sign == 0:
        raise ConfigError(
            "a market-neutral grid needs both sides of one position.",
            field="position_mode",
            value="hedge",
            fix="set the account to one-way mode",
        )
    return inventory_sign < 0


_STEPPED = frozenset({"binanceusdm", "bitget", "bybit", "gate", "gateio", "hyperliquid", "krakenfutures", "kucoinfutures", "okx"})
