"""Bitget USDT and USDC futures. Stops are plan orders. No dead-man switch for classic accounts.

In hedge mode Bitget reports the side of the position instead of the order's, in some calls and not in others: hedge mode is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import number, rows
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, Reading


class Bitget(Dialect):
    """Bitget."""

    reading: ClassVar[Reading] = Reading(client_id_keys=("clientOid",), triggered_id_keys=("executeOrderId",))
    hedge_mode_key: ClassVar[str] = ""

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - Bitget compares with the price of now
        return {"triggerPrice": trigger, "triggerType": "mark_price"}

    def _account_params(self) -> dict[str, Any]:
        return {"marginMode": self.margin_mode}

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``accountEquity`` less ``unrealizedPL`` of the margin coin's row."""
        for row in rows(balance.get("info"), "list of futures accounts"):
            if row.get("marginCoin") == quote:
                equity = number(row.get("accountEquity"), f"accountEquity of {quote}")
                return equity - number(row.get("unrealizedPL"), f"unrealizedPL of {quote}")
        raise ValueError(f"the reply has no futures account in {quote}")

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By ``tradeSide``: ``burst_…`` liquidates, ``reduce_…`` and ``…adl…`` deleverage; a client order id says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        told = str(info.get("tradeSide") or "").lower()
        if told.startswith("burst"):
            return "liquidation"
        return "adl" if "adl" in told else ""

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:
        """A plan order can only be found in the list of open ones."""
        if not stop:
            return await super().find(exchange, symbol, client_order_id, stop=False)
        theirs = self.to_venue_id(client_order_id)
        return await self._find_listed(exchange, symbol, theirs, {**self.stop_params, "clientOrderId": theirs})

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """All three from mix/account/account."""
        found = await exchange.fetch_leverage(symbol)
        mode = (found.get("info") or {}).get("posMode")
        hedge_mode = {"hedge_mode": True, "one_way_mode": False}.get(str(mode))
        return AccountSetup(account.one_leverage(found), account.margin_name(found.get("marginMode")), hedge_mode)
