"""Kraken futures, multi-collateral perpetuals (PF_…, quoted and settled in USD). One-way mode only.

Cancel-all and the dead-man switch speak of all open orders, stops not excepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import OrderRequest, TimeInForce
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dead_man import DeadMan, unified
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import number, table
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, Reading

_REASONS: Final[Mapping[str, Bankruptcy]] = {
    "liquidation": "liquidation",
    "assignee": "adl",
    "assignor": "liquidation",
    "unwindbankrupt": "liquidation",
    "unwindcounterparty": "adl",
}


class KrakenFutures(Dialect):
    """Kraken futures."""

    reading: ClassVar[Reading] = Reading(
        client_id_keys=("cliOrdId",),
        statuses={"trigger_activation_failure": "rejected", "filled": "closed", "full_fill": "closed"},
    )
    hedge_mode_key: ClassVar[str] = ""
    stop_params: ClassVar[Mapping[str, Any]] = {}  # listed with the rest
    spare_stops_params: ClassVar[Mapping[str, Any] | None] = None
    dead_man: ClassVar[DeadMan | None] = DeadMan(unified, spares_stops=None, account_wide=True)

    def _time_in_force(self, time_in_force: TimeInForce) -> dict[str, Any]:
        if time_in_force is TimeInForce.IOC:
            return {"timeInForce": "ioc"}  # ccxt compares with lower case here, and would send a resting order for "IOC"
        return super()._time_in_force(time_in_force)

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - above or below: by side
        return {"triggerPrice": trigger, "triggerSignal": "mark"}

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``quantity`` of the quote currency in the multi-collateral (flex) wallet; other collateral is not cash."""
        wallets = table(readings.info_of(balance).get("accounts"), "accounts")
        wallet = table(wallets.get("flex"), "multi-collateral wallet")
        number(wallet.get("balanceValue"), "balanceValue")
        currencies = table(wallet.get("currencies"), "currencies")
        return number(table(currencies[quote], quote).get("quantity"), f"quantity of {quote}") if quote in currencies else ZERO

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By ``fillType``; a client order id alone says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        return _REASONS.get(str(info.get("fillType")).lower(), "")

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:  # noqa: ARG002
        """From orders/status, which knows open orders and those that ended within the last five seconds."""
        theirs = self.to_venue_id(client_order_id)
        listed = await exchange.fetch_orders(symbol, None, None, {"cliOrdIds": [theirs]})
        return next((row for row in listed if row.get("clientOrderId") == theirs), None)

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """A leverage preference means isolated margin with that leverage; none means cross."""
        leverage = account.one_leverage(await exchange.fetch_leverage(symbol))
        return AccountSetup(leverage, "isolated" if leverage else "cross", hedge_mode=False)

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """Only isolated margin has a leverage to set; cross margin is what there is without one.

        Raises:
            ConfigError: the market is isolated already and cross was asked for.
        """
        if wanted.margin_mode == "isolated":
            await exchange.set_leverage(wanted.leverage, symbol)
        elif now.margin_mode == "isolated":
            raise ConfigError(
                "a leverage preference makes this market isolated.",
                field="margin_mode",
                value="cross",
                fix="remove the leverage preference of the market on Kraken's page, or set margin_mode: isolated",
            )
