"""Binance USD-M futures (ccxt: binanceusdm).

Stops live in the algo service, with calls and ids of their own; neither cancel-all nor the countdown of the ordinary orders
reaches them there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.execution.sharing import Shared
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dead_man import DeadMan
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import number, rows, text
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, Reading


async def _countdown(exchange: Any, symbol: str, timeout_ms: int) -> Any:
    request = {"symbol": exchange.market(symbol)["id"], "countdownTime": timeout_ms}
    return await exchange.fapiPrivatePostCountdownCancelAll(request)


def _session(exchange: Any) -> dict[str, Any]:
    """What ccxt keeps of the private stream of USD-M futures."""
    found: dict[str, Any] = exchange.options.get("linear") or {}
    return found


class BinanceFutures(Dialect):
    """Binance USD-M."""

    reading: ClassVar[Reading] = Reading(
        client_id_keys=("clientOrderId", "clientAlgoId", "c", "caid"),
        triggered_id_keys=("actualOrderId", "ai"),
        statuses={"new_adl": "open", "new_insurance": "open"},
    )
    trades_from_id: ClassVar[str] = "fromId"
    # The countdown "cancels all open orders of the symbol" on the order service; conditional orders rest in the algo service.
    dead_man: ClassVar[DeadMan | None] = DeadMan(_countdown, spares_stops=True, account_wide=False)

    answers_for_all: ClassVar[bool] = True  # v3/positionRisk and income without a symbol, at the same weight
    create_batch: ClassVar[int] = 5  # POST and DELETE /fapi/v1/batchOrders
    cancel_batch: ClassVar[int] = 10

    def __init__(self, exchange_id: str, *, margin_mode: str = "cross", leverage: int = 3) -> None:
        super().__init__(exchange_id, margin_mode=margin_mode, leverage=leverage)
        self._dual: Shared[Mapping[str, Any]] = Shared()  # the position mode: it weighs thirty times what an order list does

    def prepare(self, exchange: Any) -> None:
        """Renew the listen key for as long as there is one: ccxt (4.5.90) does so once, and a quiet account's stream would end."""
        renew = getattr(exchange, "keep_alive_listen_key", None)
        if renew is None:
            return  # it has no websockets

        async def keep_alive_listen_key(params: Mapping[str, Any]) -> None:
            await renew(params)
            if _session(exchange).get("listenKey"):
                exchange.delay(exchange.options["listenKeyRefreshRate"], keep_alive_listen_key, params)

        exchange.keep_alive_listen_key = keep_alive_listen_key

    def retire(self, exchange: Any) -> None:
        """Forget the listen key: its timer would open a connection to renew it, which nobody closes."""
        _session(exchange).pop("listenKey", None)

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - the side is enough for Binance
        return {"triggerPrice": trigger, "workingType": "MARK_PRICE", "priceProtect": "FALSE"}

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """Whether it rests in the algo service. What a fired stop became is an ordinary order, though it remembers its trigger."""
        info = readings.info_of(order)
        return bool({"algoId", "aid"} & info.keys()) if info else super().is_stop(order)

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``walletBalance`` of the quote asset in ``info.assets``. An asset that was never held is not listed: zero, provided
        that the reply has the account's total.
        """
        info = readings.info_of(balance)
        number(info.get("totalWalletBalance"), "totalWalletBalance")
        for asset in rows(info.get("assets"), "assets"):
            if text(asset.get("asset"), "asset's name") == quote:
                return number(asset.get("walletBalance"), f"walletBalance of {quote}")
        return ZERO

    def news_of(self, message: Mapping[str, Any]) -> str:
        """By the event's name; an ACCOUNT_UPDATE for the reason ORDER comes with its trade."""
        name = message.get("e")
        if name == "ACCOUNT_UPDATE":
            changed = message.get("a")
            return "" if isinstance(changed, Mapping) and changed.get("m") == "ORDER" else "account"
        return {"listenKeyExpired": "expired", "ACCOUNT_CONFIG_UPDATE": "settings", "MARGIN_CALL": "margin"}.get(str(name), "")

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By the client order id that Binance gives its own orders: ``autoclose-…`` liquidates, ``adl_autoclose`` deleverages."""
        theirs = found if isinstance(found, str) else readings.client_id(found, self.reading)
        if theirs.startswith("autoclose-"):
            return "liquidation"
        return "adl" if theirs.startswith("adl_autoclose") else ""

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:
        """The algo service has its own name for the id."""
        if not stop:
            return await super().find(exchange, symbol, client_order_id, stop=False)
        params = {**self.stop_params, "clientAlgoId": self.to_venue_id(client_order_id)}
        return await account.found_or_none(exchange.fetch_order("", symbol, params))

    async def fetch_positions(self, exchange: Any, symbol: str | None) -> list[Mapping[str, Any]]:
        """The rows of v3/positionRisk, which lists a symbol only when there is a position or an order; checked as a list first.

        Raises:
            ValueError: the answer is no list, or a row is none of positions.
        """
        if symbol is not None:
            market = exchange.market(symbol)
            raw = await exchange.fapiPrivateV3GetPositionRisk({"symbol": market["id"]})
            return [_position(exchange, market, row) for row in rows(raw, "list of positions")]
        raw = await exchange.fapiPrivateV3GetPositionRisk({})
        listed = [(exchange.safe_market(row.get("symbol"), None, None, "swap"), row) for row in rows(raw, "list of positions")]
        return [_position(exchange, market, row) for market, row in listed]

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """From v1/positionSide/dual and v1/symbolConfig."""
        now = asyncio.get_running_loop().time()
        _, dual = await self._dual.get(lambda: exchange.fetch_position_mode(symbol), after=now - self.share_s)
        found = await exchange.fetch_margin_mode(symbol)
        leverage = (found.get("info") or {}).get("leverage")
        return AccountSetup(
            leverage=None if leverage is None else int(number(leverage, "leverage")),
            margin_mode=account.margin_name(found.get("marginMode")),
            hedge_mode=account.flag(dual.get("hedged")),
        )

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """Set what differs; what was read before holds no longer."""
        self._dual.forget()
        await super().write_setup(exchange, symbol, wanted, now)

    async def key_rights(self, exchange: Any) -> KeyRights:
        """From sapi/v1/account/apiRestrictions, which lives on the spot host; unknown where that host cannot be reached."""
        return await account.rights(exchange.sapiGetAccountApiRestrictions, _rights)


def _position(exchange: Any, market: Any, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ccxt takes the side from the notional; the signed amount says it even where the notional is missing."""
    amount = number(row.get("positionAmt"), "positionAmt")
    parsed: dict[str, Any] = exchange.parse_position_risk(row, market)
    return parsed | {"contracts": abs(amount), "side": "long" if amount > 0 else "short" if amount < 0 else None}


def _rights(reply: Any) -> KeyRights:
    return KeyRights(can_trade=account.flag(reply.get("enableFutures")), can_withdraw=account.flag(reply.get("enableWithdrawals")))
