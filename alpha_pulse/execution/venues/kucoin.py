"""KuCoin futures. Sizes are whole contracts (XBTUSDTM: 0.001 BTC). No dead-man switch for futures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from alpha_pulse.domain.orders import OrderRequest, Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import number, table
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, Reading

_REASONS: Final[Mapping[str, Bankruptcy]] = {"liquidation": "liquidation", "liquid": "liquidation", "adl": "adl"}


class KucoinFutures(Dialect):
    """KuCoin futures."""

    reading: ClassVar[Reading] = Reading(client_id_keys=("clientOid",))

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:
        return {"triggerPrice": trigger, "stopPriceType": "MP", "stop": "up" if request.side is Side.BUY else "down"}

    def _account_params(self) -> dict[str, Any]:
        return {"marginMode": self.margin_mode, "leverage": self.leverage}  # ccxt would send leverage 1, isolated

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """A stop that fired remembers its trigger."""
        return readings.info_of(order).get("stopTriggered") is not True and super().is_stop(order)

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``marginBalance`` of account-overview: ``accountEquity`` without ``unrealisedPNL``."""
        data = table(readings.info_of(balance).get("data"), "futures account")
        if data.get("currency") != quote:
            raise ValueError(f"the reply is no balance of the {quote} futures account")
        number(data.get("unrealisedPNL"), "unrealisedPNL")
        return number(data.get("marginBalance"), f"marginBalance of {quote}")

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By ``tradeType``; a client order id alone says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        return _REASONS.get(str(info.get("tradeType")).lower(), "")

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """Position and margin mode have calls of their own; the leverage of isolated margin goes with each order instead."""
        margin = account.margin_name((await exchange.fetch_margin_mode(symbol)).get("marginMode"))
        leverage: int | None = None
        if margin == "cross":
            leverage = account.one_leverage(await exchange.fetch_leverage(symbol, {"marginMode": "cross"}))
        mode = await exchange.fetch_position_mode(symbol)
        return AccountSetup(leverage, margin, account.flag(mode.get("hedged")))

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """Only cross margin has a leverage to be set."""
        if wanted.leverage is None:
            raise ConfigError("KuCoin wants a leverage.", field="leverage", fix="give one, e.g. 3")
        said = now if wanted.margin_mode == "cross" else AccountSetup(wanted.leverage, now.margin_mode, now.hedge_mode)
        await account.change(exchange, symbol, wanted, said, leverage_params={"marginMode": "cross"})

    async def key_rights(self, exchange: Any) -> KeyRights:
        """From v1/user/api-key."""
        return await account.rights(exchange.privateGetUserApiKey, _rights)


def _rights(reply: Any) -> KeyRights:
    granted = {right.strip().lower() for right in reply["data"]["permission"].split(",")}
    return KeyRights(can_trade="futures" in granted, can_withdraw=bool({"withdrawal", "withdraw"} & granted))
