"""OKX perpetual swaps. Sizes are in contracts (BTC-USDT-SWAP: 0.01 BTC). Stops are algo orders with ids of their own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dead_man import DeadMan, unified
from alpha_pulse.execution.venues.dialect import Dialect, ours_is_long
from alpha_pulse.execution.venues.numbers import number, rows, text
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, OrderCall, Reading

_REASONS: Final[Mapping[str, Bankruptcy]] = {
    "full_liquidation": "liquidation",
    "partial_liquidation": "liquidation",
    "adl": "adl",
}
_LIQUIDATING: Final = frozenset({"100", "101", "102", "103", "104", "105", "106", "107", "108", "109", "110"})  # fills' subType
_DELEVERAGING: Final = frozenset({"125", "126", "127", "128"})


class Okx(Dialect):
    """OKX."""

    reading: ClassVar[Reading] = Reading(
        client_id_keys=("clOrdId", "algoClOrdId"),  # a fired stop's order carries the stop's id in the second
        triggered_id_keys=("ordIdList", "ordId"),
        statuses={"pause": "open", "partially_failed": "canceled"},
    )
    spare_stops_params: ClassVar[Mapping[str, Any] | None] = None  # ccxt has no cancel-all here
    dead_man: ClassVar[DeadMan | None] = DeadMan(unified, spares_stops=None, account_wide=True, least_ms=10_000)

    def order_call(self, request: OrderRequest, market: Mapping[str, Any], *, hedge_mode: bool, inventory_sign: int) -> OrderCall:
        """See ``Dialect``. An algo order takes its client id under another name."""
        call = super().order_call(request, market, hedge_mode=hedge_mode, inventory_sign=inventory_sign)
        if "triggerPrice" not in call.params:
            return call
        return call._replace(params=call.params | {"algoClOrdId": call.params["clientOrderId"]})

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - OKX compares with the price of now
        return {"triggerPrice": trigger, "triggerPxType": "mark"}

    def _account_params(self) -> dict[str, Any]:
        return {"tdMode": self.margin_mode}

    def _leg(self, inventory_sign: int) -> Any:
        return "long" if ours_is_long(inventory_sign) else "short"

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """Whether it is an algo order; the order that it became names its ``algoId`` too, but has an ``ordType`` of its own."""
        kind = readings.info_of(order).get("ordType")
        return super().is_stop(order) if kind is None else kind in {"trigger", "conditional", "oco"}

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``cashBal`` of the quote currency in ``info.data[0].details``. A currency that was never held is not listed: zero."""
        data = rows(readings.info_of(balance).get("data"), "data")
        for row in rows(data[0].get("details") if data else None, "details of the balance"):
            if text(row.get("ccy"), "currency's name") == quote:
                return number(row.get("cashBal"), f"cashBal of {quote}")
        return ZERO

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By an order's ``category`` or a fill's ``subType``; a client order id alone says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        told = str(info.get("subType") or "")
        if told in _LIQUIDATING:
            return "liquidation"
        return "adl" if told in _DELEVERAGING else _REASONS.get(str(info.get("category")), "")

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """OKX keeps a leverage per margin mode, and takes the margin mode with each order: it is ours as soon as we say so."""
        return await account.ask(exchange, symbol, {"marginMode": self.margin_mode})

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """Position mode and the leverage of the margin mode; both sides of a hedged isolated position have one each."""
        said = AccountSetup(now.leverage, wanted.margin_mode, now.hedge_mode)  # nothing to set for the margin mode
        sides = ("long", "short") if wanted.hedge_mode and wanted.margin_mode == "isolated" else ("",)
        for side in sides:
            params = {"marginMode": wanted.margin_mode} | ({"posSide": side} if side else {})
            await account.change(exchange, symbol, wanted, said, leverage_params=params)

    async def key_rights(self, exchange: Any) -> KeyRights:
        """From account/config."""
        return await account.rights(exchange.privateGetAccountConfig, _rights)


def _rights(reply: Any) -> KeyRights:
    granted = {right.strip() for right in reply["data"][0]["perm"].split(",")}
    return KeyRights(can_trade="trade" in granted, can_withdraw="withdraw" in granted)
