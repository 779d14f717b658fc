"""Bybit v5 linear perpetuals. Conditional orders are listed and cancelled with the rest; ``orderFilter`` tells them apart.

Its disconnection protection fires when a private websocket drops, for keys that Bybit enabled for it: no timer that we could arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderRequest, Side
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dialect import Dialect, ours_is_long
from alpha_pulse.execution.venues.numbers import number, rows, table, text
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, Reading

_REASONS: Final[Mapping[str, Bankruptcy]] = {
    "BustTrade": "liquidation",
    "CreateByLiq": "liquidation",
    "CreateByTakeOver_PassThrough": "liquidation",
    "AdlTrade": "adl",
    "CreateByAdl_PassThrough": "adl",
}


class Bybit(Dialect):
    """Bybit."""

    reading: ClassVar[Reading] = Reading(client_id_keys=("orderLinkId",))
    hedge_mode_key: ClassVar[str] = "positionIdx"
    stop_params: ClassVar[Mapping[str, Any]] = {"trigger": True, "acknowledged": True}
    order_params: ClassVar[Mapping[str, Any]] = {"acknowledged": True}  # ccxt: the last 500 orders only
    spare_stops_params: ClassVar[Mapping[str, Any] | None] = {"orderFilter": "Order"}  # without it, all kinds go

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:
        direction = "ascending" if request.side is Side.BUY else "descending"
        return {"triggerPrice": trigger, "triggerBy": "MarkPrice", "triggerDirection": direction}

    def _leg(self, inventory_sign: int) -> Any:
        return 1 if ours_is_long(inventory_sign) else 2

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """A stop that fired keeps its id and its trigger, and is an ordinary order from then on."""
        waiting = str(readings.info_of(order).get("orderStatus", "Untriggered")) in {"Untriggered", "Deactivated"}
        return waiting and super().is_stop(order)

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``walletBalance`` of the quote coin in ``info.result.list[0].coin``. A coin that was never held is not listed: zero."""
        accounts = rows(table(readings.info_of(balance).get("result"), "result").get("list"), "list of accounts")
        for coin in rows(accounts[0].get("coin") if accounts else None, "list of coins"):
            if text(coin.get("coin"), "coin's name") == quote:
                return number(coin.get("walletBalance"), f"walletBalance of {quote}")
        return ZERO

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By ``execType`` or ``createType``; a client order id alone says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        return _REASONS.get(str(info.get("execType"))) or _REASONS.get(str(info.get("createType"))) or ""

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:  # noqa: ARG002
        """From order/realtime, which answers a query by id with open orders and with the last 500 that are done."""
        theirs = self.to_venue_id(client_order_id)
        return await self._find_listed(exchange, symbol, theirs, {"orderLinkId": theirs})

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """Leverage and position mode from the position's rows, which Bybit has for flat symbols too; margin mode is the account's."""
        reply = await exchange.privateGetV5PositionList({"category": "linear", "symbol": exchange.market(symbol)["id"]})
        rows = reply["result"]["list"]
        margin = await exchange.fetch_margin_mode(symbol)
        leverages = [int(number(row["leverage"], "leverage")) for row in rows if row.get("leverage")]
        return AccountSetup(
            leverage=max(leverages, default=None),
            margin_mode=account.margin_name(margin.get("marginMode")),
            hedge_mode=any(int(row["positionIdx"]) for row in rows) if rows else None,
        )

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """The margin mode of a classic account is set together with its leverage."""
        unified = any(await exchange.is_unified_enabled())
        params = {} if unified else {"leverage": str(wanted.leverage)}
        await account.change(exchange, symbol, wanted, now, margin_params=params)

    async def key_rights(self, exchange: Any) -> KeyRights:
        """From v5/user/query-api."""
        return await account.rights(exchange.privateGetV5UserQueryApi, _rights)


def _rights(reply: Any) -> KeyRights:
    result = reply["result"]
    granted = result["permissions"]
    trades = bool({"Order", "DerivativesTrade"} & {*(granted.get("ContractTrade") or ()), *(granted.get("Derivatives") or ())})
    return KeyRights(can_trade=trades and str(result["readOnly"]) == "0", can_withdraw="Withdraw" in (granted.get("Wallet") or ()))
